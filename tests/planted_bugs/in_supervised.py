"""Bugs of classifiers and regressors, their first weights and their training."""

from bug import Bug

_SUPERVISED, _FIRST = "tests/models/test_supervised.py::", "tests/models/test_initialisation.py::"
_STEPS, _MOTION = "tests/models/test_optimiser_steps.py::", "tests/models/test_rigid_motion.py::"

BUGS = (
    Bug(
        "the logits of two classes change places",
        "models/supervised.py",
        "torch.cat([torch.zeros_like(f), f], 1)",
        "torch.cat([f, torch.zeros_like(f)], 1)",
        (_SUPERVISED + "test_gradients_are_those_derived_by_hand",),
        slow=True,
    ),
    Bug(
        "a classifier predicts in training mode",
        "models/supervised.py",
        "        self.eval()\n",
        "",
        (_SUPERVISED + "test_a_prediction_depends_on_its_row_alone",),
        slow=True,
    ),
    Bug(
        "He's weights are too small by the root of two",
        "models/initialisation.py",
        '"he": 2.0 / fan_in',
        '"he": 1.0 / fan_in',
        (_FIRST + "test_he_keeps_the_mean_square_of_relu_activations",),
        slow=True,
    ),
    Bug(
        "L2 has lost its half",
        "models/training_run.py",
        "0.5 * self.l2 * w.square()",
        "self.l2 * w.square()",
        (_SUPERVISED + "test_l2_is_ridge_regression", _STEPS + "test_a_step_is_that_of_the_paper"),
        slow=True,
    ),
    Bug(
        "L2 pulls at biases",
        "models/training_run.py",
        "if p.ndim > 1 and self.l2",
        "if self.l2",
        (_SUPERVISED + "test_l2_is_ridge_regression",),
        slow=True,
    ),
    Bug(
        "the threshold of L1 forgets the rate",
        "models/soft_threshold.py",
        "w.abs() - rate * self.l1",
        "w.abs() - self.l1",
        (_SUPERVISED + "test_l1_is_soft_thresholding_of_least_squares",),
        slow=True,
    ),
    Bug(
        "averages of the weights go with the last means of batch norm",
        "models/checkpoints.py",
        'in ("running_mean", "running_var")',
        "in ()",
        (_SUPERVISED + "test_running_means_of_batch_norm_are_averaged_with_the_weights",),
        slow=True,
    ),
    Bug(
        "images that are not square are stretched when they turn",
        "models/rigid_motion.py",
        "turn * half / half[:, None]",
        "turn",
        (_MOTION + "test_a_long_image_turns_without_being_stretched",),
        slow=True,
    ),
)
