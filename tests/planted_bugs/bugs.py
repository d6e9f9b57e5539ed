"""Bugs of the kinds that samplers really had, each a small change of one file, and the quick tests that must see it."""

from typing import NamedTuple


class Bug(NamedTuple):
    """A change of one source file (`old` occurs in it exactly once) and the tests that are to fail with it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


_ENERGIES = "tests/energies/test_energies.py::"
_START = "tests/samplers/test_exact_start.py::"
_MATRIX = "tests/samplers/test_transition_matrices.py::"
_OWN_MATRIX = _MATRIX + "test_the_matrix_is_the_samplers_own"
_BALANCE = _MATRIX + "test_sweeps_leave_the_law_and_moves_are_in_detailed_balance"
_UNADJUSTED = "tests/samplers/test_unadjusted.py::"
_RANDOM = "tests/samplers/test_random.py::"
_REPRODUCIBLE = "tests/samplers/test_reproducible.py::"
_TEMPERING = "tests/samplers/test_tempering.py::"
_SWAP_MATRIX = _TEMPERING + "test_a_swap_step_is_its_exact_matrix"
_ANNEALING = "tests/samplers/test_annealing.py::"

BUGS = (
    Bug(
        "the temperature is forgotten in local moves",
        "samplers/compiled.py",
        "        return beta * change(x, site, value, p)",
        "        return change(x, site, value, p)",
        (_BALANCE + "[ising 2x3 in a field-metropolis]",),
    ),
    Bug(
        "the temperature counts twice",
        "samplers/compiled.py",
        "        return beta * energy(x, p)",
        "        return beta * beta * energy(x, p)",
        (_ENERGIES + "test_the_reduced_energy_is_beta_times_the_energy[double well]",),
    ),
    Bug(
        "the gradient has the wrong sign",
        "ebm/gaussian.py",
        "        out[i] += weight * row",
        "        out[i] -= weight * row",
        (_ENERGIES + "test_every_energy_passes_its_check[gaussian]",),
    ),
    Bug(
        "the local change has the wrong sign",
        "ebm/lattice.py",
        "    return (x[site] - value) * _ising_field(x, site, p)",
        "    return (value - x[site]) * _ising_field(x, site, p)",
        (_ENERGIES + "test_every_energy_passes_its_check[ising ring]",),
    ),
    Bug(
        "an energy per spin where the total is needed",
        "ebm/lattice.py",
        "        energy -= 0.5 * x[i] * (_ising_field(x, i, p) + p[3][i])",
        "        energy -= 0.5 * x[i] * (_ising_field(x, i, p) + p[3][i]) / x.shape[0]",
        (_ENERGIES + "test_every_energy_passes_its_check[ising ring]",),
    ),
    Bug(
        "the lattice wraps around into the next row",
        "ebm/graph.py",
        "np.roll(site, -1, axis).ravel()",
        "np.roll(site.ravel(), -int(np.prod(shape[axis + 1 :])))",
        (_ENERGIES + "test_lattices_hold_each_bond_once[False-shape7]",),
    ),
    Bug(
        "a side of two has no bonds",
        "ebm/graph.py",
        "        if shape[axis] == 1:",
        "        if shape[axis] <= 2:",
        (_ENERGIES + "test_lattices_hold_each_bond_once[False-shape1]",),
    ),
    Bug(
        "Langevin noise of sqrt(step) for sqrt(2 step)",
        "samplers/langevin.py",
        "    noise = math.sqrt(2.0 * drift)",
        "    noise = math.sqrt(drift)",
        (_UNADJUSTED + "test_ula_variance_is_its_biased_closed_form[0.5-0.4]",),
    ),
    Bug(
        "BAOAB draws its noise after both drifts",
        "samplers/langevin.py",
        "        half = keep * half + noise * xi\n        x[i] = position + 0.5 * step_size * half\n",
        "        x[i] = position + 0.5 * step_size * half\n        half = keep * half + noise * xi\n",
        (_UNADJUSTED + "test_baoab_position_variance_is_exact_and_momentum_variance_is_its_own[3.0]",),
    ),
    Bug(
        "angles are wrapped to the wrong turn",
        "samplers/langevin.py",
        "math.ceil((x - math.pi) / (2.0 * math.pi))",
        "math.floor((x - math.pi) / (2.0 * math.pi))",
        (_START + "test_continuous_law_stays[xy ring-metropolis-1.0]",),
    ),
    Bug(
        "chains share their random numbers",
        "samplers/random.py",
        "    children = np.random.SeedSequence(entropy).spawn(chains)",
        "    children = [np.random.SeedSequence(entropy)] * chains",
        (_RANDOM + "test_streams_of_chains_are_apart",),
    ),
    Bug(
        "the tail of the normal law is cut off",
        "samplers/random.py",
        "                return math.copysign(_TAIL + a, x), stream",
        "                return math.copysign(_TAIL, x), stream",
        (_RANDOM + "test_normals_have_the_normal_law_in_the_middle_and_in_the_tails",),
    ),
    Bug(
        "one random number accepts a move and begins the next proposal",
        "samplers/metropolis.py",
        "        probability = accept_probability(-call_change(tag, row, site, value, b, p))\n"
        "        r, stream = random.uniform(stream)\n",
        "        probability = accept_probability(-call_change(tag, row, site, value, b, p))\n"
        "        r, _ = random.uniform(stream)\n",
        (_OWN_MATRIX + "[potts 3-metropolis]",),
    ),
    Bug(
        "MALA keeps the gradient of the place it has left",
        "samplers/mala.py",
        "            gradient[chain, i] = gradient_y[i]\n",
        "",
        (_START + "test_continuous_law_stays[gaussian-mala-1.0]",),
    ),
    Bug(
        "MALA takes the energy of a proposal that it rejected",
        "samplers/mala.py",
        "    if r < probability:\n        for i in range(y.shape[0]):",
        "    u[chain] = u_y\n    if r < probability:\n        for i in range(y.shape[0]):",
        (_START + "test_continuous_law_stays[gaussian-mala-1.0]",),
    ),
    Bug(
        "the random walk keeps the energy of the place it has left",
        "samplers/metropolis.py",
        "            x[chain, i] = wrap_angle(y[i]) if wrap else y[i]\n        u[chain] = u_y\n",
        "            x[chain, i] = wrap_angle(y[i]) if wrap else y[i]\n",
        (_START + "test_continuous_law_stays[gaussian-gaussian-1.0]",),
    ),
    Bug(
        "the Hastings factor is forgotten",
        "samplers/mala.py",
        "    return u_x - u_y + (forward - backward) / (4.0 * drift)",
        "    return u_x - u_y",
        (_START + "test_continuous_law_stays[gaussian-mala-1.0]",),
    ),
    Bug(
        "the Hastings factor is multiplied by the temperature",
        "samplers/mala.py",
        "        x, y, u, u_y, gradient, gradient_y, step_size, averaging, chain, finite, "
        "drift, settings, adapting, stream\n",
        "        x, y, u, u_y, gradient, gradient_y, step_size, averaging, chain, finite, step_size[chain], settings,\n"
        "        adapting, stream\n",
        (_START + "test_continuous_law_stays[double well-mala-0.6]",),
    ),
    Bug(
        "MALA wraps angles before it asks what step was taken",
        "samplers/mala.py",
        "        y[i] = x[i] - drift * gradient[i] + noise * xi\n",
        "        y[i] = wrap_angle(x[i] - drift * gradient[i] + noise * xi)\n",
        (_START + "test_continuous_law_stays[xy ring-mala-0.6]",),
    ),
    Bug(
        "probabilities are rounded to eight bits",
        "samplers/mala.py",
        "    return math.exp(log_ratio)",
        "    return math.floor(256.0 * math.exp(log_ratio)) / 256.0",
        (_BALANCE + "[ising 2x3 in a field-metropolis]",),
    ),
    Bug(
        "HMC forgets its last half kick",
        "samplers/hmc.py",
        "        last = momentum[i] - kick * gradient[i]",
        "        last = momentum[i]",
        (_START + "test_continuous_law_stays[gaussian-hmc-1.0]",),
    ),
    Bug(
        "Gibbs prefers what is improbable",
        "samplers/gibbs.py",
        "1.0 / (1.0 + math.exp(call_change(tag, row, site, other, b, p)))",
        "1.0 / (1.0 + math.exp(-call_change(tag, row, site, other, b, p)))",
        (_OWN_MATRIX + "[ising 2x3 in a field-gibbs]",),
    ),
    Bug(
        "a Potts proposal that never proposes one of the states",
        "samplers/metropolis.py",
        "        shift, stream = random.below(q - 1, stream)",
        "        shift, stream = random.below(max(q - 2, 1), stream)",
        (_OWN_MATRIX + "[potts 3-metropolis]",),
    ),
    Bug(
        "an exchange that only goes one way",
        "samplers/metropolis.py",
        "        if a == c:\n            continue",
        "        if a == c or (i < j and a < c):\n            continue",
        (_OWN_MATRIX + "[ising 2x3 in a field-exchange]",),
    ),
    Bug(
        "steps still adapt after the warm-up",
        "samplers/mala.py",
        "    if adapting >= 0 and target > 0.0 and probability == probability:",
        "    if target > 0.0 and probability == probability:",
        (_REPRODUCIBLE + "test_steps_stay_fixed_after_the_warm_up[adaptive mala]",),
    ),
    Bug(
        "a resumed run begins its random numbers anew",
        "samplers/run.py",
        "        state, warmed = checkpoint.unpack(file.checkpoint)\n",
        "        state, warmed = checkpoint.unpack(file.checkpoint)\n"
        '        state["stream"] = random.make_streams(entropy, chains)\n',
        (_REPRODUCIBLE + "test_an_extended_run_is_the_longer_run[array tier, ising metropolis]",),
    ),
    Bug(
        "the free energy of an RBM times beta",
        "ebm/rbm.py",
        "            softplus_rows(v @ W + c, betas[rows], out[rows])\n",
        "            softplus_rows(v @ W + c, np.ones(len(v)), out[rows])\n            out[rows] *= betas[rows]\n",
        ("tests/learning/test_rbm.py::test_reduced_energy_sums_hidden_units_out_at_beta",),
    ),
    Bug(
        "a swap with the wrong sign",
        "samplers/swaps.py",
        "accept_probability(own[k] + own[k + 1] - other[k] - other[k + 1])",
        "accept_probability(other[k] + other[k + 1] - own[k] - own[k + 1])",
        (_SWAP_MATRIX + "[ising]",),
    ),
    Bug(
        "a swap by the energy per site",
        "samplers/replicas.py",
        "            return own * energy, other * energy\n",
        "            energy = energy / self.rows['x'].shape[1]\n            return own * energy, other * energy\n",
        (_SWAP_MATRIX + "[ising]",),
    ),
    Bug(
        "a swap by beta times the free energy of an RBM",
        "samplers/replicas.py",
        "        self.linear = protocols.is_linear(energy)\n",
        "        self.linear = True\n",
        (_SWAP_MATRIX + "[rbm]",),
    ),
    Bug(
        "the pairs of a swap step share a random number",
        "samplers/swaps.py",
        "        r, stream = random.uniform(stream)\n        good",
        "        r, _ = random.uniform(stream)\n        good",
        (_SWAP_MATRIX + "[ising]",),
    ),
    Bug(
        "a replica keeps the gradient of its last temperature",
        "samplers/swaps.py",
        "        gradient[row] = 0.0\n        call_gradient(tag, x[row], beta[row], 1.0, p, gradient[row], work)\n",
        "        pass\n",
        (_TEMPERING + "test_every_rung_keeps_its_continuous_law[mala-True]",),
    ),
    Bug(
        "even pairs again after every pause",
        "samplers/replicas.py",
        '                self.state["sweep"] += n\n',
        '                self.state["sweep"] = self.state["sweep"] * (draw > 0) + n\n',
        (_TEMPERING + "test_parity_goes_on_across_blocks[array]",),
    ),
    Bug(
        "a step of Annealed Langevin that follows the noise and not its square",
        "samplers/annealed_langevin.py",
        "(sigma / self.sigmas[-1]) ** 2)",
        "(sigma / self.sigmas[-1]))",
        (_ANNEALING + "test_the_last_level_has_its_own_discretised_law[False]",),
    ),
    Bug(
        "annealing with the gradient of the first temperature",
        "samplers/simulated_annealing.py",
        "            sampler.retemper(energy, state, np.arange(chains))\n",
        "",
        (_ANNEALING + "test_the_minimum_of_a_landscape_is_found[mala]",),
    ),
    Bug(
        "tau without the factor two",
        "samplers/autocorrelation.py",
        "gamma[0] + 2.0 * gamma[1:window].sum()",
        "gamma[0] + gamma[1:window].sum()",
        ("tests/diagnostics/test_autocorrelation.py::test_tau_and_its_error_match_ar1",),
    ),
)
