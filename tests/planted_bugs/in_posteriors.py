"""Bugs of posteriors of weights, of batches, and of classifiers' energies."""

from bug import Bug

_SGLD, _POSTERIOR = "tests/samplers/test_sgld.py::", "tests/models/test_posterior.py::"
_LOGITS, _JOINT = "tests/models/test_logit_energy.py::", "tests/models/test_joint_energy.py::"

BUGS = (
    Bug(
        "the gradient of a batch is that of its rows alone",
        "models/posterior.py",
        "-terms.sum() * (self.n_data / rows.shape[1])",
        "-terms.sum()",
        (_POSTERIOR + "test_gradients_are_derivatives_and_those_of_batches_have_no_bias[two classes]",),
    ),
    Bug(
        "a batch forgets the prior",
        "models/posterior.py",
        " - self._log_priors(w).sum()",
        "",
        (_POSTERIOR + "test_gradients_are_derivatives_and_those_of_batches_have_no_bias[two classes]",),
        slow=True,
    ),
    Bug(
        "the prior is not normalised",
        "models/posterior.py",
        " - float(np.log(widths).sum())",
        "",
        (_POSTERIOR + "test_the_energy_of_classes_is_that_by_hand[2]",),
        slow=True,
    ),
    Bug(
        "the prior's width is its variance",
        "models/posterior.py",
        "widths**-2.0",
        "widths**-1.0",
        (_POSTERIOR + "test_the_energy_of_classes_is_that_by_hand[3]",),
        slow=True,
    ),
    Bug(
        "stochastic gradients forget beta",
        "samplers/sgld.py",
        "gradient = beta[:, None] * protocols",
        "gradient = protocols",
        (_SGLD + "test_the_variance_is_its_biased_closed_form[0.1-4]",),
        slow=True,
    ),
    Bug(
        "stochastic gradients climb",
        "samplers/sgld.py",
        "gradient = beta[:, None] * protocols",
        "gradient = -beta[:, None] * protocols",
        (_SGLD + "test_the_temperature_is_right_as_the_step_vanishes",),
        slow=True,
    ),
    Bug(
        "all chains share one batch",
        "samplers/sgld.py",
        "protocols.batch_gradient(energy, x, batch)",
        "protocols.batch_gradient(energy, x, np.tile(batch[:1], (len(x), 1)))",
        (_SGLD + "test_the_variance_is_its_biased_closed_form[0.1-4]",),
        slow=True,
    ),
    Bug(
        "rows of a batch come with replacement",
        "samplers/sgld.py",
        "            order[k], order[k + j] = order[k + j], order[k]",
        "            order[k] = j",
        (_SGLD + "test_batches_are_uniform_without_replacement_and_each_chain_has_its_own",),
        slow=True,
    ),
    Bug(
        "a chain's batch depends on the chains before it",
        "samplers/sgld.py",
        "            order[k], order[swapped[k]] = order[swapped[k]], order[k]",
        "            pass",
        (_SGLD + "test_batches_are_uniform_without_replacement_and_each_chain_has_its_own",),
        slow=True,
    ),
    Bug(
        "the variance of a batch is that with replacement",
        "ebm/exact/integrators.py",
        "n * (n - m) / m * terms.var(ddof=1)",
        "n * n / m * terms.var(ddof=1)",
        (_SGLD + "test_the_variance_is_its_biased_closed_form[0.2-12]",),
        slow=True,
    ),
    Bug(
        "the logits' energy has the wrong sign",
        "models/supervised.py",
        "/ (2.0 * width**2) - wells",
        "/ (2.0 * width**2) + wells",
        (_LOGITS + "test_the_energy_is_that_of_the_logits[settings0-3]",),
        slow=True,
    ),
    Bug(
        "joint training pushes the energy of the data up",
        "models/joint_energy.py",
        "contrast = energy(batch[0]).mean() - energy(self.x).mean()",
        "contrast = energy(self.x).mean() - energy(batch[0]).mean()",
        (_JOINT + "test_chains_move_in_training_only",),
        slow=True,
    ),
)
