"""Learning: an objective gives the direction of ascent for a batch, an optimiser the step along it.

`fit` is a loop over `training`, a generator of one record an epoch, for people who log in their own way. The same seed
gives the same bits with any number of threads, and wherever a run was cut and resumed.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ebm.history import History, Record
from ebm.objectives import Objective
from ebm.optimisers import SGD, Optimiser
from ebm.training_run import Augment, TrainingRun
from samplers.progress import progress_bar

PLAIN = SGD()


def fit(
    energy: Any,
    data: np.ndarray,
    objective: Objective,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int | None = None,
    optimiser: Optimiser = PLAIN,
    averaging: float = 0.0,
    schedule: Callable[[int], float] | None = None,
    centred: bool = False,
    augment: Augment | None = None,
    validation: np.ndarray | None = None,
    measure: Callable[[Any], Record] | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    callback: Callable[[Record], Any] | None = None,
) -> History:
    """Learn an energy's parameters from data, in place.

    Args:
        energy: an RBM, GaussianRBM, BoltzmannMachine, Hopfield, NeuralEnergy, ScoreModel or TorchEnergy, or any energy
            with `learnable` and `parameter_gradient`.
        data: configurations (n, *shape).
        objective: what is climbed: ContrastiveDivergence, PersistentCD, ParallelTemperingCD, ExactLikelihood,
            ScoreMatching, SlicedScoreMatching, DenoisingScoreMatching or NoiseContrastive.
        epochs: passes over the data, in all (also when a run is resumed).
        batch_size: configurations of one step; the last batch of an epoch may be smaller.
        learning_rate: of the optimiser; with SGD the length of a step along the gradient of the mean log-likelihood.
        seed: non-negative integer; None takes one from the operating system.
        optimiser: SGD(momentum, weight_decay) or Adam(...).
        averaging: decay of the exponential moving average of the parameters over steps, from 0 (none) to below 1: the
            energy has the averaged parameters between epochs and at the end.
        schedule: epoch (from 0) -> factor of the learning rate.
        centred: whether gradients are centred (RBMs only; see ebm.centring).
        augment: (rows of the data, numpy Generator) -> configurations, made anew for each batch: binarisation of grey
            levels, dequantisation, shifts. The data may then be of any shape and type.
        validation: configurations that are only looked at.
        measure: called with the energy after each epoch, such as ebm.Equilibrium(k=1); the numbers it returns by name
            join the record.
        checkpoint: file from which a run that was cut goes on.
        resume: go on from the checkpoint if there is one.
        progress: show a progress bar on a terminal.
        callback: called with each epoch's record.

    Returns:
        History of all epochs.

    Raises:
        ValueError, TypeError: an argument is out of range, or energy, data and objective do not fit together.
        LearningError: a parameter became NaN or infinite, or the model's chains did; the message says where.
        StoreError: the checkpoint exists (without `resume`), is of another run, or cannot be written.

    Example:
        >>> import ebm
        >>> data = np.array([[1, 1, 0], [0, 0, 1]] * 20)
        >>> rbm = ebm.RBM(3, 2, seed=0)
        >>> history = ebm.fit(rbm, data, ebm.ExactLikelihood(), epochs=5, batch_size=40, learning_rate=0.5, seed=1)
        >>> len(history)
        5
    """
    run = TrainingRun(
        energy, data, objective, epochs, batch_size, learning_rate, seed, optimiser, averaging, schedule, centred,
        augment, validation, measure, checkpoint, resume,
    )  # fmt: skip
    bar = progress_bar(progress, epochs, "epoch", run.state.epoch)
    with bar:
        for record in run.epochs_left():
            shown = {name: f"{value:.4g}" for name, value in record.items() if name not in ("epoch", "seconds")}
            bar.set_postfix(shown, refresh=False)
            bar.update()
            if callback is not None:
                callback(record)
    return History(run.state.records)


def training(
    energy: Any,
    data: np.ndarray,
    objective: Objective,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int | None = None,
    optimiser: Optimiser = PLAIN,
    averaging: float = 0.0,
    schedule: Callable[[int], float] | None = None,
    centred: bool = False,
    augment: Augment | None = None,
    validation: np.ndarray | None = None,
    measure: Callable[[Any], Record] | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
) -> Iterator[Record]:
    """Learn as `fit` does and yield a record after each epoch; arguments and errors are those of `fit`.

    Example:
        >>> import ebm
        >>> steps = training(
        ...     ebm.RBM(2, 1, seed=0), np.eye(2, dtype=int), ebm.ContrastiveDivergence(),
        ...     epochs=3, batch_size=2, learning_rate=0.1, seed=1,
        ... )
        >>> [int(record["epoch"]) for record in steps]
        [1, 2, 3]
    """
    run = TrainingRun(
        energy, data, objective, epochs, batch_size, learning_rate, seed, optimiser, averaging, schedule, centred,
        augment, validation, measure, checkpoint, resume,
    )  # fmt: skip
    return run.epochs_left()
