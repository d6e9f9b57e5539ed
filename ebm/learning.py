"""Learning: stochastic gradient ascent on the log-likelihood of the data, with momentum and weight decay.

    velocity <- momentum velocity + rate (d ln p / d theta - weight_decay W),        theta <- theta + velocity

The decay acts on matrices only. `fit` is a loop over `training`, a generator of one record an epoch, for people who log
in their own way. The same seed gives the same bits with any number of threads, and wherever a run was cut and resumed.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from ebm.centring import Centre
from ebm.history import History, Record, measure
from ebm.objectives import Centrable, Learnable, Objective
from ebm.products import one_blas_thread
from ebm.training_state import TrainingState, fingerprint
from samplers import protocols, random
from samplers.compiled import OPTIONS
from samplers.elementary import plus
from samplers.interrupt import InterruptFlag
from samplers.progress import progress_bar
from samplers.sampler import over_chains
from samplers.store import StoreError

__all__ = ["History", "LearningError", "fit", "training"]

PIECE = 1 << 16  # numbers of a parameter that are moved and summed at a time, with any number of threads
SAVE_SECONDS = 5.0  # between checkpoints; the end and Ctrl-C always write one


class LearningError(ArithmeticError):
    """Learning diverged: a parameter became NaN or infinite."""


def fit(
    energy: Any,
    data: np.ndarray,
    objective: Objective,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int | None = None,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    schedule: Callable[[int], float] | None = None,
    centred: bool = False,
    validation: np.ndarray | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    callback: Callable[[Record], Any] | None = None,
) -> History:
    """Learn an energy's parameters from data, in place.

    Args:
        energy: an RBM, GaussianRBM or BoltzmannMachine, or any energy with `learnable` and `parameter_gradient`.
        data: configurations (n, *shape).
        objective: ContrastiveDivergence, PersistentCD or ExactLikelihood.
        epochs: passes over the data, in all (also when a run is resumed).
        batch_size: configurations of one step; the last batch of an epoch may be smaller.
        learning_rate: length of a step along the gradient of the mean log-likelihood.
        seed: non-negative integer; None takes one from the operating system.
        momentum: share of the last step that is kept, from 0 to below 1.
        weight_decay: pull of matrices towards zero, in the unit of the gradient.
        schedule: epoch (from 0) -> factor of the learning rate.
        centred: whether gradients are centred (RBMs only; see ebm.centring).
        validation: configurations that are only looked at.
        checkpoint: file from which a run that was cut goes on.
        resume: go on from the checkpoint if there is one.
        progress: show a progress bar on a terminal.
        callback: called with each epoch's record.

    Returns:
        History of all epochs.

    Raises:
        ValueError, TypeError: an argument is out of range, or energy, data and objective do not fit together.
        LearningError: a parameter became NaN or infinite.
        StoreError: the checkpoint exists (without `resume`), is of another run, or cannot be written.

    Example:
        >>> import ebm
        >>> data = np.array([[1, 1, 0], [0, 0, 1]] * 20)
        >>> rbm = ebm.RBM(3, 2, seed=0)
        >>> history = ebm.fit(rbm, data, ebm.ExactLikelihood(), epochs=5, batch_size=40, learning_rate=0.5, seed=1)
        >>> len(history)
        5
    """
    run = _Training(
        energy, data, objective, epochs, batch_size, learning_rate, seed, momentum, weight_decay, schedule, centred,
        validation, checkpoint, resume,
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
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    schedule: Callable[[int], float] | None = None,
    centred: bool = False,
    validation: np.ndarray | None = None,
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
    run = _Training(
        energy, data, objective, epochs, batch_size, learning_rate, seed, momentum, weight_decay, schedule, centred,
        validation, checkpoint, resume,
    )  # fmt: skip
    return run.epochs_left()


class _Training:
    """One training run: checked arguments, its state, and the loops over epochs and batches."""

    def __init__(
        self, energy: Any, data: Any, objective: Any, epochs: int, batch_size: int, learning_rate: float,
        seed: int | None, momentum: float, weight_decay: float, schedule: Callable[[int], float] | None,
        centred: bool, validation: Any, checkpoint: str | Path | None, resume: bool,
    ) -> None:  # fmt: skip
        _check(energy, objective, epochs, batch_size, learning_rate, seed, momentum, weight_decay, centred)
        self.energy, self.objective, self.epochs = energy, objective, epochs
        self.data = _configurations(data, energy, "data")
        self.validation = None if validation is None else _configurations(validation, energy, "validation")
        self.batch_size, self.momentum, self.weight_decay = batch_size, momentum, weight_decay
        self.rates = [learning_rate * factor for factor in _factors(schedule, epochs)]
        self.path = None if checkpoint is None else Path(checkpoint)
        if resume and self.path is None:
            raise ValueError("resume=True needs checkpoint, the file to go on from, got checkpoint=None")
        self.entropy = random.fresh_entropy() if seed is None else int(seed)
        self.state = self._start(centred)
        self.story = {
            "energy": repr(energy), "objective": repr(objective), "data": fingerprint(self.data),
            "validation": fingerprint(self.validation), "batch_size": batch_size, "momentum": momentum,
            "weight_decay": weight_decay, "centred": bool(centred), "factors": self.rates, "seed": seed,
        }  # fmt: skip
        if self.path is not None and self.path.exists():
            if not resume:
                raise StoreError(f"{self.path} exists already: choose another name, or resume=True to go on from it")
            self.entropy = self.state.load(self.path, self.story)
        self.story["seed"] = self.entropy
        self.centre = Centre(self.state.memory) if centred else None

    def _start(self, centred: bool) -> TrainingState:
        parameters = self.energy.learnable()
        memory = self.objective.start(self.energy, self.batch_size, self.entropy)
        if centred:
            memory |= Centre.start(self.energy.n_visible, self.energy.n_hidden)
        return TrainingState(parameters, {name: np.zeros_like(a) for name, a in parameters.items()}, memory)

    def epochs_left(self) -> Iterator[Record]:
        """Learn for the epochs that are left and yield the record of each."""
        state, saved = self.state, time.monotonic()
        if self.path is not None and not self.path.exists():
            state.save(self.path, self.story)  # a path that cannot be written is known before the work, not after
        while state.epoch < self.epochs:
            with InterruptFlag() as interrupted, one_blas_thread():
                finished = self._epoch(interrupted)
                if finished:
                    state.records.append(self._record())
            if finished:
                state.epoch, state.batch, state.squares, state.seconds = state.epoch + 1, 0, 0.0, 0.0
            last = state.epoch == self.epochs
            if self.path is not None and (last or not finished or time.monotonic() - saved > SAVE_SECONDS):
                state.save(self.path, self.story)
                saved = time.monotonic()
            if not finished:
                self._say_how_to_go_on()
                raise KeyboardInterrupt
            yield dict(state.records[-1])

    def _epoch(self, interrupted: InterruptFlag) -> bool:
        """Run the batches that are left in this epoch; return False if Ctrl-C came before its end."""
        state, began = self.state, time.perf_counter()
        # The order of an epoch follows from its number: a checkpoint need not hold it.
        order = self._generator(state.epoch, 0).permutation(len(self.data))
        batches = -(-len(self.data) // self.batch_size)
        while state.batch < batches and not interrupted:
            batch = self.data[order[state.batch * self.batch_size : (state.batch + 1) * self.batch_size]]
            direction = self.objective.gradient(self.energy, batch, state.memory, self.centre)
            for name, parameter in state.parameters.items():
                self._move(name, parameter, direction[name])
            state.batch += 1
        state.seconds += time.perf_counter() - began
        return state.batch == batches

    def _move(self, name: str, parameter: np.ndarray, direction: np.ndarray) -> None:
        state, number = self.state, parameter.dtype.type
        decay = self.weight_decay if parameter.ndim > 1 else 0.0
        arrays = parameter.reshape(-1), state.velocity[name].reshape(-1), np.ascontiguousarray(direction).reshape(-1)
        numbers = number(self.rates[state.epoch]), number(self.momentum), number(decay)
        squares = np.empty(-(-parameter.size // PIECE))
        over_chains(lambda pieces: _ascend(*arrays, *numbers, PIECE, pieces.start, pieces.stop, squares), len(squares))
        state.squares += float(squares.sum())
        if np.isnan(squares).any():
            raise LearningError(
                f"parameter {name} must stay finite, got NaN or infinity in epoch {state.epoch + 1}, "
                f"batch {state.batch + 1}: a smaller learning_rate is needed (it was {self.rates[state.epoch]:g})"
            )

    def _record(self) -> Record:
        state = self.state
        record = {
            "epoch": float(state.epoch + 1),
            "learning_rate": float(self.rates[state.epoch]),
            "gradient_norm": float(np.sqrt(state.squares / state.batch)),
        }
        record |= measure(self.energy, self.data, self.validation, self._generator(state.epoch, 1))
        return {**record, "seconds": state.seconds}

    def _generator(self, epoch: int, purpose: int) -> np.random.Generator:
        # One more word than the objective's streams spawn with, so that the two never meet.
        return np.random.default_rng(np.random.SeedSequence(self.entropy, spawn_key=(epoch, purpose, 0)))

    def _say_how_to_go_on(self) -> None:
        place = f"epoch {self.state.epoch + 1}, batch {self.state.batch}"
        if self.path is None:
            print(f"\nStopped in {place}. With checkpoint=FILE a run can be resumed.", file=sys.stderr)
        else:
            print(f"\nStopped in {place}. Go on with the same call and resume=True ({self.path}).", file=sys.stderr)


@njit(cache=True, **OPTIONS)
def _ascend(parameter, velocity, direction, rate, momentum, decay, size, first, last, squares):
    """Take one step in place in some pieces of the arrays; note the squared norm of the direction in each piece.

    NaN says that a parameter became NaN or infinite.
    """
    for piece in range(first, last):
        square, finite = direction[0] - direction[0], True
        for i in range(piece * size, min(piece * size + size, parameter.shape[0])):
            g = direction[i]
            square = plus(square, g * g)
            velocity[i] = momentum * velocity[i] + rate * (g - decay * parameter[i])
            parameter[i] += velocity[i]
            finite &= np.isfinite(parameter[i])
        squares[piece] = square if finite else np.nan


def _check(
    energy: Any, objective: Any, epochs: Any, batch_size: Any, learning_rate: Any, seed: Any, momentum: Any,
    weight_decay: Any, centred: bool,
) -> None:  # fmt: skip
    protocols.check_space(energy)
    if not isinstance(energy, Learnable):
        raise TypeError(
            "energy must have parameters to learn (an RBM, GaussianRBM or BoltzmannMachine), got "
            f"{protocols.name_of(energy)}"
        )
    if not all(callable(getattr(objective, name, None)) for name in ("check", "start", "gradient")):
        raise TypeError(f"objective must be one such as ebm.PersistentCD(), got {objective!r}")
    if centred and not isinstance(energy, Centrable):
        raise TypeError(f"centred=True needs an RBM or GaussianRBM, got {protocols.name_of(energy)}")
    protocols.check_positive(epochs, "epochs", integer=True)
    protocols.check_positive(batch_size, "batch_size", integer=True)
    protocols.check_positive(learning_rate, "learning_rate")
    protocols.check_positive(weight_decay, "weight_decay", zero=True)
    protocols.check_positive(momentum, "momentum", zero=True)
    if momentum >= 1:
        raise ValueError(f"momentum must be below 1, got {momentum!r}")
    if seed is not None:
        protocols.check_positive(seed, "seed", integer=True, zero=True)
    objective.check(energy)


def _configurations(value: Any, energy: Any, name: str) -> np.ndarray:
    x = protocols.check_configurations(value, energy, name)
    if not len(x):
        raise ValueError(f"{name} must hold at least one configuration, got none")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite, got {x[~np.isfinite(x)][0]}")
    return x


def _factors(schedule: Callable[[int], float] | None, epochs: int) -> list[float]:
    if schedule is None:
        return [1.0] * epochs
    factors = [float(schedule(epoch)) for epoch in range(epochs)]
    if not all(np.isfinite(f) and f >= 0 for f in factors):
        bad = next(f for f in factors if not (np.isfinite(f) and f >= 0))
        raise ValueError(f"schedule must give finite factors of at least 0, got {bad}")
    return factors
