"""Bugs to be planted in energies and exact results."""

from bug import Bug

_ENERGIES = "tests/energies/test_energies.py::"
_MATRIX = "tests/samplers/test_transition_matrices.py::"
_BALANCE = _MATRIX + "test_sweeps_leave_the_law_and_moves_are_in_detailed_balance"
_LANES = "tests/samplers/test_lanes.py::"
_OBJECTIVES = "tests/learning/test_objectives.py::"
_RATIOS = "tests/log_z/test_ratios.py::"

BUGS = (
    Bug(
        "the gradient has the wrong sign",
        "ebm/gaussian.py",
        "            out[i] += weight * _row(x, mean, precision, i)",
        "            out[i] -= weight * _row(x, mean, precision, i)",
        (_ENERGIES + "test_every_energy_passes_its_check[gaussian]",),
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
        "the last columns of a matrix are left out",
        "ebm/gaussian.py",
        "    for j in range(n - n % 4, n):",
        "    for j in range(n - n % 4, n - 1):",
        (_LANES + "test_products_with_a_precision_are_those_of_numpy[13]",),
        slow=True,
    ),
    Bug(
        "the slope of SiLU is that of a sigmoid",
        "ebm/network_passes.py",
        "                slope[i] = s * (one + z * (one - s))",
        "                slope[i] = s * (one - s)",
        ("tests/energies/test_compiled_network.py::test_energy_and_gradient_are_those_of_torch[SiLU-dtype0]",),
    ),
    Bug(
        "eight chains share the gradient of one",
        "ebm/network_passes.py",
        "gradient[i * chains + c] = scratch[0, c * a + i]",
        "gradient[i * chains + c] = scratch[0, i]",
        (
            "tests/energies/test_compiled_network.py::test_eight_chains_together_have_the_bits_of_each_by_itself[dtype0]",
        ),
        slow=True,
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
        "a wavefunction samples its amplitude and not the square",
        "ebm/wavefunction.py",
        "    return (a, 2.0, q) if",
        "    return (0.5 * a, 1.0, q) if",
        (_BALANCE + "[rbm wavefunction-metropolis]",),
        slow=True,
    ),
    Bug(
        "a wavefunction keeps the product of a flip that was not made",
        "ebm/wavefunction.py",
        "        if cache[m + blocks + blocks] != site:",
        "        if cache[m + blocks + blocks] < 0.0:",
        ("tests/energies/test_wavefunction.py::test_products_are_those_of_the_moves_made[exchange]",),
        slow=True,
    ),
    Bug(
        "the gradient by the widths has the wrong sign",
        "ebm/gaussian_rbm.py",
        "-(square + through_hidden)",
        "(square + through_hidden)",
        (_OBJECTIVES + "test_exact_gradient_is_the_derivative_of_the_log_likelihood[gaussian rbm, learned widths]",),
    ),
    Bug(
        "persistent chains forget what the widths do to the hidden units",
        "ebm/gaussian_rbm.py",
        "gradient = self._with_widths(gradient, rows",
        'gradient = self._with_widths({**gradient, "W": 0 * self.W}, rows',
        (_OBJECTIVES + "test_shared_products_give_the_plain_gradient_of_data_and_chains[width_learner-20-30-1]",),
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
