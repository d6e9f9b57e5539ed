"""One training run: its checked arguments, its state, and the loops over epochs and batches."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ebm.centring import Centre
from ebm.history import ROWS, Record, measured
from ebm.objectives import Centrable, Learnable, Objective, Reporting
from ebm.optimisers import Optimiser, check_share
from ebm.products import one_blas_thread
from ebm.training_state import TrainingState, fingerprint
from samplers import protocols, random
from samplers.blocks import SamplingError
from samplers.interrupt import InterruptFlag
from samplers.store import StoreError

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]

SAVE_SECONDS = 5.0  # between checkpoints; the end and Ctrl-C always write one


class LearningError(ArithmeticError):
    """Learning diverged: a parameter became NaN or infinite, or the model's chains did."""


class TrainingRun:
    """A run in progress. The arguments are those of `ebm.fit`."""

    def __init__(
        self, energy: Any, data: Any, objective: Objective, epochs: int, batch_size: int, learning_rate: float,
        seed: int | None, optimiser: Optimiser, averaging: float, schedule: Callable[[int], float] | None,
        centred: bool, augment: Augment | None, validation: Any, measure: Callable[[Any], Record] | None,
        checkpoint: str | Path | None, resume: bool,
    ) -> None:  # fmt: skip
        _check(energy, objective, epochs, batch_size, learning_rate, seed, optimiser, averaging, centred)
        self.energy, self.objective, self.optimiser, self.epochs = energy, objective, optimiser, epochs
        self.data = _configurations(data, energy, "data") if augment is None else _rows(data)
        self.validation = None if validation is None else _configurations(validation, energy, "validation")
        self.batch_size, self.averaging, self.augment, self.measure = batch_size, averaging, augment, measure
        self.rates = [learning_rate * factor for factor in _factors(schedule, epochs)]
        self.path = None if checkpoint is None else Path(checkpoint)
        if resume and self.path is None:
            raise ValueError("resume=True needs checkpoint, the file to go on from, got checkpoint=None")
        self.entropy = random.fresh_entropy() if seed is None else int(seed)
        self.state = self._start(centred)
        self.story = {
            "energy": repr(energy), "objective": repr(objective), "data": fingerprint(self.data),
            "validation": fingerprint(self.validation), "batch_size": batch_size, "optimiser": repr(optimiser),
            "averaging": averaging, "centred": bool(centred), "factors": self.rates, "seed": seed,
        }  # fmt: skip
        if self.path is not None and self.path.exists():
            if not resume:
                raise StoreError(f"{self.path} exists already: choose another name, or resume=True to go on from it")
            self.entropy = self.state.load(self.path, self.story)
        self.story["seed"] = self.entropy
        self.centre = Centre(self.state.memory) if centred else None

    def _start(self, centred: bool) -> TrainingState:
        memory = self.objective.start(self.energy, self._augmented(self.data, 0, 2), self.batch_size, self.entropy)
        if centred:
            memory |= Centre.start(self.energy.n_visible, self.energy.n_hidden)
        parameters = self.energy.learnable() | {name: memory[name] for name in self.objective.learned}
        moments = {f"{m}.{name}": np.zeros_like(a) for m in self.optimiser.moments for name, a in parameters.items()}
        average = {name: a.copy() for name, a in parameters.items()} if self.averaging else {}
        return TrainingState(parameters, moments, average, memory)

    def epochs_left(self) -> Iterator[Record]:
        """Learn for the epochs that are left and yield the record of each.

        Between epochs and at the end the energy has its averaged parameters, if there are any.
        """
        state, saved = self.state, time.monotonic()
        if self.path is not None and not self.path.exists():
            state.save(self.path, self.story)  # a path that cannot be written is known before the work, not after
        if state.epoch >= self.epochs:
            state.exchange()
        while state.epoch < self.epochs:
            with InterruptFlag() as interrupted, one_blas_thread():
                finished = self._epoch(interrupted)
                state.exchange()
                if finished:
                    state.records.append(self._record())
                state.exchange()
            if finished:
                state.epoch, state.batch, state.squares, state.losses, state.seconds = state.epoch + 1, 0, 0.0, 0.0, 0.0
            last = state.epoch == self.epochs
            stop = bool(interrupted) and not last  # also if Ctrl-C came in the last batch of the epoch
            if self.path is not None and (last or stop or time.monotonic() - saved > SAVE_SECONDS):
                state.save(self.path, self.story)
                saved = time.monotonic()
            state.exchange()
            if stop:
                self._say_how_to_go_on()
                raise KeyboardInterrupt
            yield dict(state.records[-1])
            if not last:
                state.exchange()

    def _epoch(self, interrupted: InterruptFlag) -> bool:
        """Run the batches that are left in this epoch; return False if Ctrl-C came before its end."""
        state, began = self.state, time.perf_counter()
        # The order of an epoch follows from its number: a checkpoint need not hold it.
        order = self._generator(state.epoch, 0).permutation(len(self.data))
        batches = -(-len(self.data) // self.batch_size)
        while state.batch < batches and not interrupted:
            rows = self.data[order[state.batch * self.batch_size : (state.batch + 1) * self.batch_size]]
            batch = self._augmented(rows, state.steps, 3)
            try:
                direction = self.objective.gradient(self.energy, batch, state.memory, self.centre)
            except SamplingError as error:
                raise LearningError(f"{error}, in {self._place()}") from error
            self._add_loss()
            state.steps += 1
            for name, parameter in state.parameters.items():
                self._move(name, parameter, direction[name])
            state.batch += 1
        state.seconds += time.perf_counter() - began
        return state.batch == batches

    def _add_loss(self) -> None:
        """Add the objective's loss, if it has one, before a step is taken: parameters at a NaN are worth looking at."""
        if "loss" in self.state.memory:
            loss = float(self.state.memory["loss"][0])
            if not np.isfinite(loss):
                raise LearningError(
                    f"the loss of {type(self.objective).__name__} must stay finite, got {loss} in {self._place()}: a "
                    f"smaller learning_rate is needed (it was {self.rates[self.state.epoch]:g}), or other data"
                )
            self.state.losses += loss

    def _move(self, name: str, parameter: np.ndarray, direction: np.ndarray) -> None:
        state, rate = self.state, self.rates[self.state.epoch]
        moments = tuple(state.moments[f"{moment}.{name}"] for moment in self.optimiser.moments)
        square, finite = self.optimiser.step(parameter, moments, direction, rate, state.steps)
        state.squares += square
        if not finite:
            raise LearningError(
                f"parameter {name} must stay finite, got NaN or infinity in {self._place()}: "
                f"a smaller learning_rate is needed (it was {rate:g})"
            )
        if self.averaging:
            # A plain mean until there are enough steps for the exponential one.
            state.average[name] += (1.0 - min(self.averaging, 1.0 - 1.0 / state.steps)) * (
                parameter - state.average[name]
            )

    def _record(self) -> Record:
        state = self.state
        record = {
            "epoch": float(state.epoch + 1),
            "learning_rate": float(self.rates[state.epoch]),
            "gradient_norm": float(np.sqrt(state.squares / state.batch)),
        }
        if "loss" in state.memory:
            record["loss"] = state.losses / state.batch
        record |= {name: float(state.parameters[name][0]) for name in self.objective.learned}
        if isinstance(self.objective, Reporting):
            record |= self.objective.report(state.memory)
        data = self._augmented(self.data[:ROWS], state.epoch, 4)
        record |= measured(self.energy, data, self.validation, self._generator(state.epoch, 1))
        if self.measure is not None:
            record |= {name: float(value) for name, value in self.measure(self.energy).items()}
        return {**record, "seconds": state.seconds}

    def _augmented(self, rows: np.ndarray, number: int, purpose: int) -> np.ndarray:
        """Return configurations made of rows of the data, by a generator of their own."""
        if self.augment is None:
            return rows
        return _configurations(
            self.augment(rows, self._generator(number, purpose)), self.energy, "what augment returns"
        )

    def _generator(self, epoch: int, purpose: int) -> np.random.Generator:
        # One more word than the objective's streams spawn with, so that the two never meet.
        return np.random.default_rng(np.random.SeedSequence(self.entropy, spawn_key=(epoch, purpose, 0)))

    def _place(self) -> str:
        return f"epoch {self.state.epoch + 1}, batch {self.state.batch + 1}"

    def _say_how_to_go_on(self) -> None:
        epoch, batch = self.state.epoch, self.state.batch
        place = f"in epoch {epoch + 1}, batch {batch}" if batch else f"after epoch {epoch}"
        if self.path is None:
            print(f"\nStopped {place}. With checkpoint=FILE a run can be resumed.", file=sys.stderr)
        else:
            print(f"\nStopped {place}. Go on with the same call and resume=True ({self.path}).", file=sys.stderr)


def _check(
    energy: Any, objective: Any, epochs: Any, batch_size: Any, learning_rate: Any, seed: Any, optimiser: Any,
    averaging: Any, centred: bool,
) -> None:  # fmt: skip
    protocols.check_space(energy)
    if not isinstance(energy, Learnable):
        raise TypeError(
            f"energy must have parameters to learn (an RBM, a NeuralEnergy, ...), got {protocols.name_of(energy)}"
        )
    if not all(callable(getattr(objective, name, None)) for name in ("check", "start", "gradient")):
        raise TypeError(f"objective must be one such as ebm.PersistentCD(), got {objective!r}")
    if centred and not isinstance(energy, Centrable):
        raise TypeError(f"centred=True needs an RBM or GaussianRBM, got {protocols.name_of(energy)}")
    protocols.check_positive(epochs, "epochs", integer=True)
    protocols.check_positive(batch_size, "batch_size", integer=True)
    protocols.check_positive(learning_rate, "learning_rate")
    check_share(averaging, "averaging")
    if not callable(getattr(optimiser, "step", None)):
        raise TypeError(f"optimiser must be one such as ebm.Adam(), got {optimiser!r}")
    if seed is not None:
        protocols.check_positive(seed, "seed", integer=True, zero=True)
    objective.check(energy)


def _rows(value: Any) -> np.ndarray:
    rows = np.asarray(value)
    if not rows.ndim or not len(rows):
        raise ValueError(f"data must hold at least one row, got shape {rows.shape}")
    return rows


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
