"""Bugs to be planted in learning and the machines that learn."""

from bug import Bug

_OBJECTIVES = "tests/learning/test_objectives.py::"
_TEMPERED = "tests/learning/test_tempered.py::"
_LAYERS = "tests/learning/test_layers.py::"
_TORCH = "tests/learning/test_torch_objectives.py::"

BUGS = (
    Bug(
        "score matching takes the trace with the wrong sign",
        "ebm/score_matching.py",
        "sum(1) + trace).mean()",
        "sum(1) - trace).mean()",
        (_TORCH + "test_exact_directions_are_the_closed_forms",),
    ),
    Bug(
        "noise-contrastive estimation forgets how much noise there is",
        "ebm/noise_contrastive.py",
        '        shift -= float(state["log_z"][0]) + math.log(self.ratio)\n',
        '        shift -= float(state["log_z"][0])\n',
        (_TORCH + "test_noise_contrastive_direction_vanishes_at_the_truth_and_points_to_it",),
        slow=True,
    ),
    Bug(
        "all points of a batch share their noise",
        "ebm/score_matching.py",
        "        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)\n",
        "        z = torch.randn(x[:1].shape, generator=generator, dtype=x.dtype).expand_as(x)\n",
        (_TORCH + "test_more_draws_of_noise_make_the_direction_steadier",),
        slow=True,
    ),
    Bug(
        "a chain that starts anew draws what it draws next",
        "ebm/contrastive.py",
        "        random.save(streams, chain, stream)\n",
        "        pass\n",
        ("tests/learning/test_optimisers.py::test_restarted_chains_begin_where_chains_begin",),
        slow=True,
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
        slow=True,
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
        "tempered chains learn from the hottest rung",
        "ebm/tempered_divergence.py",
        '"beta": np.ones(self.chains)}',
        '"beta": np.full(self.chains, self.betas[0])}',
        (_TEMPERED + "test_the_model_s_term_is_the_exact_one_at_other_parameters_than_those_of_the_start[rbm]",),
        slow=True,
    ),
    Bug(
        "tempered chains never go on from where they were",
        "ebm/tempered_divergence.py",
        "{name: state[PREFIX + name] for name in OF_A_CHAIN}",
        "{name: state[PREFIX + name].copy() for name in OF_A_CHAIN}",
        (_TEMPERED + "test_replicas_move_from_where_they_were",),
        slow=True,
    ),
    Bug(
        "learning gives spins a coupling to themselves",
        "ebm/mean_field.py",
        "    np.fill_diagonal(product, 0.0)\n    return product",
        "    return product",
        ("tests/learning/test_hopfield.py::test_learning_holds_patterns_that_hebbs_rule_loses",),
        slow=True,
    ),
    Bug(
        "the monitor of learning looks at the energy alone",
        "ebm/equilibrium.py",
        "        if self._component is not None:\n",
        "        if self._component is not None and not observed:\n",
        ("tests/learning/test_equilibrium.py::test_the_slowest_observable_counts",),
        slow=True,
    ),
)
