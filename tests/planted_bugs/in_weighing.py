"""Bugs to be planted in ln Z and landscapes."""

from bug import Bug

_LANDSCAPE = "tests/landscape/test_"
_CROOKS = "tests/log_z/test_crooks.py::test_jarzynski_and_crooks_hold"
_RATIOS = "tests/log_z/test_ratios.py::"

BUGS = (
    Bug(
        "a search for saddles that goes up along two modes",
        "ebm/landscape/searches.py",
        "        along[1:] *= -1.0",
        "        along[2:] *= -1.0",
        (_LANDSCAPE + "stationary.py::test_muller_browns_five_stationary_points_are_exact",),
        slow=True,
    ),
    Bug(
        "a string that is drawn down by plain steps leaves the floor of the valley",
        "ebm/landscape/paths.py",
        "    return x - size / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)",
        "    return x - size * k1",
        (_LANDSCAPE + "paths.py::test_the_path_of_muller_brown_passes_both_saddles_and_the_middle_well",),
        slow=True,
    ),
    Bug(
        "the walls of a committor's box conduct as its inside does",
        "ebm/landscape/committors.py",
        "([0, -1], slice(None))] *= 0.5",
        "([0, -1], slice(None))] *= 1.0",
        (_LANDSCAPE + "committor.py::test_walls_are_mirrors",),
        slow=True,
    ),
    Bug(
        "a free energy's difference with the errors of independent bins",
        "ebm/landscape/free_energies.py",
        "influence = weights * ((bins == bin) / self.probabilities[bin] - reference)",
        "influence = weights * ((bins == bin) / self.probabilities[bin] + reference)",
        (_LANDSCAPE + "free_energy.py::test_errors_are_those_of_independent_runs",),
        slow=True,
    ),
    Bug(
        "the weights of Lanczos quadrature are not squared",
        "ebm/landscape/spectrum.py",
        "found.values, found.first**2",
        "found.values, np.abs(found.first)",
        (_LANDSCAPE + "networks.py::test_the_moments_of_the_density_are_traces",),
    ),
    Bug(
        "the work of an annealing has the wrong sign",
        "ebm/bridge_path.py",
        'state["log_weight"] -= (new - old)',
        'state["log_weight"] += (new - old)',
        (_CROOKS + "[mala-fast]",),
        slow=True,
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
        "at beta = 0 hidden units are not counted",
        "ebm/tempered.py",
        "np.log(len(protocols.values(energy))) - u[0])",
        "np.log(len(protocols.values(energy))))",
        ("tests/log_z/test_agreement.py::test_at_beta_zero_states_and_hidden_units_are_counted[rbm]",),
    ),
    Bug(
        "MBAR weighs runs of unequal lengths alike",
        "ebm/reweighting.py",
        "log_denominators(u, counts, mbar(u, counts))",
        "log_denominators(u, counts.mean() + 0 * counts, mbar(u, counts))",
        ("tests/log_z/test_weights.py::test_weights_are_those_of_the_formula_at_the_true_log_z",),
        slow=True,
    ),
    Bug(
        "a free energy takes estimated weights as exact",
        "ebm/landscape/free_energies.py",
        "            influence = self._response.of_mean(influence)\n",
        "            pass\n",
        ("tests/landscape/test_free_energy.py::test_errors_know_that_weights_of_runs_far_apart_are_estimated",),
        slow=True,
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
)
