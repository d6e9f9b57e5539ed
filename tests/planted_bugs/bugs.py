"""Bugs of the kinds that samplers really had, each a small change of one file, and the quick tests that must see it."""

from typing import NamedTuple


class Bug(NamedTuple):
    """A change of one source file (`old` occurs in it exactly once) and the tests that are to fail with it.

    Those marked slow are planted by `make test-all` only; the quick tests plant a few of the bugs of each part.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    slow: bool = False


_ENERGIES = "tests/energies/test_energies.py::"
_START = "tests/samplers/test_exact_start.py::"
_MATRIX = "tests/samplers/test_transition_matrices.py::"
_OWN_MATRIX = _MATRIX + "test_the_matrix_is_the_samplers_own"
_BALANCE = _MATRIX + "test_sweeps_leave_the_law_and_moves_are_in_detailed_balance"
_UNADJUSTED = "tests/samplers/test_unadjusted.py::"
_CACHES = "tests/samplers/test_caches.py::"
_RANDOM = "tests/samplers/test_random.py::"
_WORDS = "tests/samplers/test_bit_lattice.py::"
_STATES = "tests/samplers/test_state_lattice.py::"
_LANES = "tests/samplers/test_lanes.py::"
_REPRODUCIBLE = "tests/samplers/test_reproducible.py::"
_CLUSTERS = "tests/samplers/test_clusters.py::"
_OBJECTIVES = "tests/learning/test_objectives.py::"
_LAYERS = "tests/learning/test_layers.py::"
_TEMPERING = "tests/samplers/test_tempering.py::"
_SWAP_MATRIX = _TEMPERING + "test_a_swap_step_is_its_exact_matrix"
_ANNEALING = "tests/samplers/test_annealing.py::"
_CROOKS = "tests/log_z/test_crooks.py::test_jarzynski_and_crooks_hold"
_RATIOS = "tests/log_z/test_ratios.py::"

BUGS = (
    Bug(
        "the temperature is forgotten in local moves",
        "samplers/compiled.py",
        "            return beta * cached_change(x, site, value, p, cache)",
        "            return cached_change(x, site, value, p, cache)",
        (_BALANCE + "[ising 2x3 in a field-metropolis]",),
    ),
    Bug(
        "the temperature counts twice",
        "samplers/compiled.py",
        "        return beta * energy(x, p)",
        "        return beta * beta * energy(x, p)",
        (_ENERGIES + "test_the_reduced_energy_is_beta_times_the_energy[double well]",),
        slow=True,
    ),
    Bug(
        "the gradient has the wrong sign",
        "ebm/gaussian.py",
        "            out[i] += weight * _row(x, mean, precision, i)",
        "            out[i] -= weight * _row(x, mean, precision, i)",
        (_ENERGIES + "test_every_energy_passes_its_check[gaussian]",),
    ),
    Bug(
        "the local change has the wrong sign",
        "ebm/lattice.py",
        "    return (x[site] - value) * _ising_field(x, site, p)",
        "    return (value - x[site]) * _ising_field(x, site, p)",
        (_ENERGIES + "test_every_energy_passes_its_check[ising ring]",),
        slow=True,
    ),
    Bug(
        "an energy per spin where the total is needed",
        "ebm/lattice.py",
        "        energy -= 0.5 * x[i] * (_ising_field(x, i, p) + p[3][i])",
        "        energy -= 0.5 * x[i] * (_ising_field(x, i, p) + p[3][i]) / x.shape[0]",
        (_ENERGIES + "test_every_energy_passes_its_check[ising on a graph]",),
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
        slow=True,
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
        slow=True,
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
        slow=True,
    ),
    Bug(
        "one random number accepts a move and begins the next proposal",
        "samplers/metropolis.py",
        "        probability = accept_probability(-call_cached_change(tag, row, site, value, b, p, cache))\n"
        "        r, stream = random.uniform(stream)\n",
        "        probability = accept_probability(-call_cached_change(tag, row, site, value, b, p, cache))\n"
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
        slow=True,
    ),
    Bug(
        "the random walk keeps the energy of the place it has left",
        "samplers/random_walk.py",
        "            x[chain, i] = wrap_angle(y[i]) if wrap else y[i]\n        u[chain] = u_y\n",
        "            x[chain, i] = wrap_angle(y[i]) if wrap else y[i]\n",
        (_START + "test_continuous_law_stays[gaussian-gaussian-1.0]",),
        slow=True,
    ),
    Bug(
        "the Hastings factor is forgotten",
        "samplers/mala.py",
        "    return (forward - backward) / (4.0 * drift)",
        "    return 0.0 * drift",
        (_START + "test_continuous_law_stays[gaussian-mala-1.0]",),
        slow=True,
    ),
    Bug(
        "the Hastings factor is multiplied by the temperature",
        "samplers/mala.py",
        "    numbers[4] = _hastings(x, y, gradient_x, gradient_y, numbers[1])",
        "    numbers[4] = _hastings(x, y, gradient_x, gradient_y, numbers[1] * numbers[0])",
        (_START + "test_continuous_law_stays[double well-mala-0.6]",),
    ),
    Bug(
        "MALA wraps angles before it asks what step was taken",
        "samplers/mala.py",
        "        y[i] = x[i] - drift * gradient[i] + noise * xi\n",
        "        y[i] = wrap_angle(x[i] - drift * gradient[i] + noise * xi)\n",
        (_START + "test_continuous_law_stays[xy ring-mala-0.6]",),
        slow=True,
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
        "1.0 / (1.0 + math.exp(call_cached_change(tag, row, site, other, b, p, cache)))",
        "1.0 / (1.0 + math.exp(-call_cached_change(tag, row, site, other, b, p, cache)))",
        (_OWN_MATRIX + "[ising 2x3 in a field-gibbs]",),
    ),
    Bug(
        "a Potts proposal that never proposes one of the states",
        "samplers/metropolis.py",
        "        shift, stream = random.below(q - 1, stream)",
        "        shift, stream = random.below(max(q - 2, 1), stream)",
        (_OWN_MATRIX + "[potts 3-metropolis]",),
        slow=True,
    ),
    Bug(
        "an exchange that only goes one way",
        "samplers/metropolis.py",
        "        if a == c:\n            continue",
        "        if a == c or (i < j and a < c):\n            continue",
        (_OWN_MATRIX + "[ising 2x3 in a field-exchange]",),
        slow=True,
    ),
    Bug(
        "clusters of spins grow as if they were states",
        "samplers/clusters.py",
        "np.abs(weights) * (2.0 if ",
        "np.abs(weights) * (1.0 if ",
        (_START + "test_discrete_law_stays[ising ring-wolff-1.0]",),
    ),
    Bug(
        "a cluster leaves a row into the next one",
        "samplers/wolff.py",
        "site + stride - (side * stride if place == side - 1 else 0)",
        "site + stride - (x.shape[0] if site + stride >= x.shape[0] else 0)",
        (_START + "test_discrete_law_stays[ising ferromagnet in three dimensions-wolff-1.0]",),
        slow=True,
    ),
    Bug(
        "the probability of a bond is rounded to sixteen bits",
        "samplers/clusters.py",
        "        return uint8(u < rest), stream",
        "        return uint8(1), stream",
        (_CLUSTERS + "test_the_probability_of_a_bond_is_not_rounded",),
        slow=True,
    ),
    Bug(
        "the bits that open bonds also turn the clusters",
        "samplers/swendsen_wang.py",
        "        expand(key, first + low // 64, words)",
        "        expand(key, low // 64, words)",
        (_CLUSTERS + "test_trajectories_are_those_of_the_plain_twin[swendsen-wang-ring]",),
        slow=True,
    ),
    Bug(
        "a chain takes the energy of its neighbour in the register",
        "samplers/mala.py",
        "numbers[2, lane] > 0.0, numbers[3, lane], numbers[4, lane]",
        "numbers[2, lane] > 0.0, numbers[3, lane ^ 1], numbers[4, lane]",
        (_LANES + "test_a_chain_has_the_same_bits_whichever_chains_stand_beside_it[mala]",),
    ),
    Bug(
        "eight chains share the reach of one",
        "samplers/hmc.py",
        "np.isfinite(numbers[5, lane])",
        "np.isfinite(numbers[5, 4])",
        (_LANES + "test_a_chain_that_blows_up_rejects_and_leaves_its_neighbours_alone[hmc]",),
        slow=True,
    ),
    Bug(
        "the last columns of a matrix are left out",
        "ebm/gaussian.py",
        "    for j in range(n - n % 4, n):",
        "    for j in range(n - n % 4, n - 1):",
        (_LANES + "test_products_with_a_precision_are_those_of_numpy[13]",),
        slow=True,
    ),
    Bug(
        "the slope of SiLU is that of a sigmoid",
        "ebm/compiled_network.py",
        "                slope[i] = s * (one + z * (one - s))",
        "                slope[i] = s * (one - s)",
        ("tests/energies/test_compiled_network.py::test_energy_and_gradient_are_those_of_torch[SiLU-dtype0]",),
    ),
    Bug(
        "the energy of a pass for both is that of beta = 1",
        "ebm/gaussian.py",
        "            u += 0.5 * row * (x[i] - mean[i])",
        "            u += 0.5 * row / beta * (x[i] - mean[i])",
        (_LANES + "test_energy_and_gradient_from_one_pass_in_lanes_lead_mala_as_the_array_tier_does[6]",),
        slow=True,
    ),
    Bug(
        "steps still adapt after the warm-up",
        "samplers/mala.py",
        "    if adapting >= 0 and target > 0.0 and probability == probability:",
        "    if target > 0.0 and probability == probability:",
        (_REPRODUCIBLE + "test_steps_stay_fixed_after_the_warm_up[adaptive mala]",),
        slow=True,
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
        "a flip leaves the local fields as they were",
        "samplers/metropolis.py",
        "            call_update_cache(tag, row, site, value, p, cache)\n            row[site] = value\n",
        "            row[site] = value\n",
        (_CACHES + "test_a_cache_follows_the_moves_of_its_sampler[ising on a graph-single]",),
    ),
    Bug(
        "an exchange that was refused stays in the local fields",
        "samplers/metropolis.py",
        "            call_update_cache(tag, row, i, a, p, cache)\n",
        "",
        (_CACHES + "test_a_cache_follows_the_moves_of_its_sampler[ising on a graph-exchange]",),
        slow=True,
    ),
    Bug(
        "the neighbours of a spin that flips see half of it",
        "ebm/lattice.py",
        "        fields[indices[k]] += step * weights[k]",
        "        fields[indices[k]] += 0.5 * step * weights[k]",
        (_ENERGIES + "test_every_energy_passes_its_check[ising on a graph]",),
        slow=True,
    ),
    Bug(
        "a wavefunction samples its amplitude and not the square",
        "ebm/wavefunction.py",
        "    return -2.0 * log_ratio",
        "    return -log_ratio",
        (_BALANCE + "[rbm wavefunction-metropolis]",),
    ),
    Bug(
        "the free energy of an RBM times beta",
        "ebm/rbm.py",
        "                softplus_rows(theta, beta, u)\n",
        "                softplus_rows(theta, np.ones(len(v)), u)\n                u *= beta\n",
        ("tests/learning/test_rbm.py::test_reduced_energy_sums_hidden_units_out_at_beta",),
    ),
    Bug(
        "units of a layer share their random numbers in fours",
        "ebm/layers.py",
        "        z = key + uint64(j + 1) * _GAMMA",
        "        z = key + uint64(j // 2 + 1) * _GAMMA",
        (_LAYERS + "test_units_are_those_of_a_plain_loop[float32]",),
        slow=True,
    ),
    Bug(
        "one temperature for all rows of a layer",
        "ebm/layers.py",
        "float32(scale[c])",
        "float32(scale[0])",
        (_LAYERS + "test_units_are_those_of_a_plain_loop[float32]",),
        slow=True,
    ),
    Bug(
        "a unit whose activation is NaN is simply off",
        "ebm/layers.py",
        "            row[j] = one if a == a else a",
        "            row[j] = one",
        (
            _LAYERS + "test_nan_is_seen_and_infinity_is_certain",
            _LAYERS + "test_block_gibbs_says_that_an_activation_is_nan",
        ),
        slow=True,
    ),
    Bug(
        "the limit of BLAS is lifted by the first who leaves",
        "ebm/products.py",
        "            self._inside -= 1\n            if not self._inside:\n",
        "            self._inside -= 1\n            if self._limit is not None:\n",
        (_LAYERS + "test_blas_stays_on_one_thread_until_the_last_has_left",),
        slow=True,
    ),
    Bug(
        "a thread other than the first cannot limit BLAS",
        "ebm/products.py",
        "                _take_control()\n                self._limit = _blas",
        "                self._limit = _blas",
        (_LAYERS + "test_every_thread_can_limit_blas",),
        slow=True,
    ),
    Bug(
        "persistent chains forget their hidden units",
        "ebm/two_layers.py",
        '        check_units(machine, store_units(sample, state["h"][k]), k.start)\n',
        "",
        (_OBJECTIVES + "test_persistent_chains_of_both_layers_stay_exact[1]",),
    ),
    Bug(
        "the gradient takes the hidden units of before the last sweep",
        "ebm/two_layers.py",
        "        np.matmul(y[all_rows], W, out=h[all_rows])\n        sample",
        "        np.matmul(y[: i.stop + k.start], W, out=h[: i.stop + k.start])\n        sample",
        (_OBJECTIVES + "test_shared_products_give_the_plain_gradient_of_data_and_chains[RBM-20-30-1]",),
        slow=True,
    ),
    Bug(
        "the model's term of a gradient has the sign of the data's",
        "ebm/layers.py",
        "            row[j] = w * (1.0",
        "            row[j] = abs(w) * (1.0",
        (_LAYERS + "test_weighted_probabilities_are_logistic[float64]",),
        slow=True,
    ),
    Bug(
        "a swap with the wrong sign",
        "samplers/swaps.py",
        "accept_probability(own[k] + own[k + 1] - other[k] - other[k + 1])",
        "accept_probability(other[k] + other[k + 1] - own[k] - own[k + 1])",
        (_SWAP_MATRIX + "[ising]",),
        slow=True,
    ),
    Bug(
        "a swap by the energy per site",
        "samplers/replicas.py",
        "            return own * energy, other * energy\n",
        "            energy = energy / self.rows['x'].shape[1]\n            return own * energy, other * energy\n",
        (_SWAP_MATRIX + "[ising]",),
        slow=True,
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
        slow=True,
    ),
    Bug(
        "even pairs again after every pause",
        "samplers/replicas.py",
        '                self.state["sweep"] += n\n',
        '                self.state["sweep"] = self.state["sweep"] * (draw > 0) + n\n',
        (_TEMPERING + "test_parity_goes_on_across_blocks[array]",),
        slow=True,
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
        slow=True,
    ),
    Bug(
        "tau without the factor two",
        "samplers/autocorrelation.py",
        "gamma[0] + 2.0 * gamma[1:window].sum()",
        "gamma[0] + gamma[1:window].sum()",
        ("tests/diagnostics/test_autocorrelation.py::test_tau_and_its_error_match_ar1",),
    ),
    Bug(
        "probabilities are rounded to the bits that are drawn at once",
        "samplers/bit_sweep.py",
        "            less = drawn < digit\n",
        "            less = False\n",
        (_WORDS + "test_ties_are_settled_to_the_last_bit_of_the_probability",),
    ),
    Bug(
        "words of bits take their second neighbour from the wrong side",
        "samplers/bit_layout.py",
        "        if (colour + row_parity[row]) & 1:  #",
        "        if colour & 1:  #",
        (_WORDS + "test_words_move_as_their_plain_twin[square-metropolis]",),
        slow=True,
    ),
    Bug(
        "blocks of one lattice share their random bits",
        "samplers/bit_lattice.py",
        "        for block in range(lanes.shape[1]):\n            for lane",
        "        for block in range(lanes.shape[1]):\n"
        "            stream = random.load(streams, chain)\n            for lane",
        (_WORDS + "test_every_word_and_chain_has_random_bits_of_its_own",),
    ),
    Bug(
        "Potts states in vector registers never propose one of the states",
        "samplers/state_lattice.py",
        "(words[used + w] >> uint64(32)) * (q - uint64(1))",
        "(words[used + w] >> uint64(32)) * (q - uint64(2))",
        (_STATES + "test_states_move_as_their_plain_twin[three states-metropolis]",),
    ),
    Bug(
        "the work of an annealing has the wrong sign",
        "ebm/bridge_path.py",
        'state["log_weight"] -= (new - old)',
        'state["log_weight"] += (new - old)',
        (_CROOKS + "[mala-fast]",),
    ),
    Bug(
        "the reverse run of Gibbs sweeps visits sites in the order of the forward one",
        "ebm/annealing_paths.py",
        "settings = self.settings if forward else self.sampler.backwards(self.settings)",
        "settings = self.settings",
        (_CROOKS + "[gibbs-fast]",),
        slow=True,
    ),
    Bug(
        "the reverse run of Metropolis sweeps visits sites in the order of the forward one",
        "samplers/metropolis.py",
        "        return kind, q, order[::-1].copy(), target, warmup",
        "        return settings",
        (_CROOKS + "[metropolis-fast]",),
    ),
    Bug(
        "at beta = 0 hidden units are not counted",
        "ebm/tempered.py",
        "np.log(len(protocols.values(energy))) - u[0])",
        "np.log(len(protocols.values(energy))))",
        ("tests/log_z/test_agreement.py::test_at_beta_zero_states_and_hidden_units_are_counted[rbm]",),
    ),
    Bug(
        "MBAR weighs runs of unequal lengths alike",
        "ebm/mbar_weights.py",
        "log_denominators(u, counts, mbar(u, counts))",
        "log_denominators(u, counts.mean() + 0 * counts, mbar(u, counts))",
        ("tests/log_z/test_weights.py::test_weights_are_those_of_the_formula_at_the_true_log_z",),
    ),
    Bug(
        "the error of MBAR as if it were chance how many draws a state has",
        "ebm/mbar.py",
        "        p[:, begin:end] -= p[:, begin:end].mean(1, keepdims=True)\n",
        "        p[:, begin:end] -= p.mean(1, keepdims=True)\n",
        (_RATIOS + "test_mbar_is_that_of_pymbar",),
        slow=True,
    ),
    Bug(
        "the error of a ladder forgets the memory of its chains",
        "ebm/tempered.py",
        "    return found.error, found.tau",
        "    return found.error / found.tau**0.5, found.tau",
        (_RATIOS + "test_errors_know_autocorrelation_and_shared_noise[bar-0.8]",),
        slow=True,
    ),
    Bug(
        "the correction of the trapezoid has the wrong sign",
        "ebm/thermodynamic_integration.py",
        "value -= mean / 2 - sign * a * variance",
        "value -= mean / 2 + sign * a * variance",
        (_RATIOS + "test_integration_follows_the_terms_of_higher_order",),
        slow=True,
    ),
)
