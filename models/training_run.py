"""One training run of a torch module: its checked arguments, and the loops over epochs and batches."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from ebm.history import Record
from ebm.optimisers import check_share
from ebm.training_run import LearningError
from models.batches import as_tensors, packed
from models.checkpoints import TrainingState, fingerprint
from models.streams import seeded
from samplers import protocols, random
from samplers.interrupt import InterruptFlag
from samplers.store import StoreError

SAVE_SECONDS = 5.0  # between checkpoints; the end and Ctrl-C always write one
BATCH, VALIDATION, ORDER = 0, 1, 2  # streams of a run's seed


@runtime_checkable
class Adversarial(Protocol):
    """A model of modules that play against each other."""

    players: dict[str, torch.nn.Module]


@runtime_checkable
class Paced(Protocol):
    """A model whose parameters learn at paces of their own."""

    paces: dict[str, float]


@runtime_checkable
class Scheduled(Protocol):
    """A model that wants to know how far training is."""

    def begin_epoch(self, epoch: int) -> None: ...


@runtime_checkable
class Checking(Protocol):
    """A model that looks at its data before it learns from them, and before it is judged by others."""

    def check(self, data: Any) -> None:
        """Raise unless these are data (a tensor, or a tuple of them) that the model can learn from, in training mode,
        or be judged by, in evaluation mode."""


class TrainingRun:
    """A run in progress. The arguments are those of `models.fit`."""

    def __init__(
        self, model: Any, data: Any, epochs: int, batch_size: int, learning_rate: float, seed: int | None,
        optimiser: Callable[..., torch.optim.Optimizer], schedule: Callable[[float], float] | None, averaging: float,
        l2: float, augment: Callable[[Any], Any] | None, validation: Any, patience: int | None,
        after_step: Callable[[Any, float], Any] | None, measure: Callable[[Any], Record] | None,
        checkpoint: str | Path | None, resume: bool,
    ) -> None:  # fmt: skip
        _check(model, epochs, batch_size, learning_rate, seed, averaging, l2, validation, patience)
        self.model, self.epochs, self.batch_size, self.learning_rate = model, epochs, batch_size, learning_rate
        self.schedule, self.averaging, self.l2, self.augment, self.patience = schedule, averaging, l2, augment, patience
        self.after_step, self.measure = after_step, measure
        dtype = next(model.parameters()).dtype
        self.data = as_tensors(data, dtype)
        self.validation = None if validation is None else as_tensors(validation, dtype, "validation")
        if isinstance(model, Checking):
            with seeded(0):
                first = packed(self.data)
                self.model.train()
                model.check(first if augment is None else augment(first))
            if self.validation is not None:
                self.model.eval()
                model.check(packed(self.validation))
        if resume and checkpoint is None:
            raise ValueError("resume=True needs checkpoint, the file to go on from, got checkpoint=None")
        self.path = None if checkpoint is None else Path(checkpoint)
        self.players = dict(model.players) if isinstance(model, Adversarial) else {"": model}
        self.optimisers = {
            name: optimiser(_groups(part, model), lr=learning_rate) for name, part in self.players.items()
        }
        self.entropy = random.fresh_entropy() if seed is None else int(seed)
        self.state = TrainingState(model, self.optimisers, averaging > 0)
        self.story = {
            "model": f"{type(model).__name__}({getattr(model, 'settings', '')})",
            "optimiser": getattr(optimiser, "__qualname__", repr(optimiser)), "data": fingerprint(self.data),
            "validation": fingerprint(self.validation), "batch_size": batch_size, "learning_rate": learning_rate,
            "averaging": averaging, "l2": l2, "patience": patience,
            "factors": [self._factor(float(epoch)) for epoch in range(epochs)], "seed": seed,
        }  # fmt: skip
        if self.path is not None and self.path.exists():
            if not resume:
                raise StoreError(f"{self.path} exists already: choose another name, or resume=True to go on from it")
            self.entropy = self.state.load(self.path, self.story)
        self.story["seed"] = self.entropy

    def epochs_left(self) -> Iterator[Record]:
        """Train for the epochs that are left and yield the record of each; the model has its averages meanwhile."""
        state, saved = self.state, time.monotonic()
        if self.path is not None and not self.path.exists():
            state.save(self.path, self.story)  # a path that cannot be written is known before the work, not after
        while state.epoch < self.epochs and not self._stopped():
            with InterruptFlag() as interrupted:
                finished = self._epoch(interrupted)
            state.exchange()
            if finished:
                self.model.eval()
                state.records.append(self._record())
                self._keep_the_best()
                state.begin(state.epoch + 1)
            state.exchange()
            last = state.epoch == self.epochs or self._stopped()
            stop = bool(interrupted) and not last  # also if Ctrl-C came in the last batch of the epoch
            if self.path is not None and (last or stop or time.monotonic() - saved > SAVE_SECONDS):
                state.save(self.path, self.story)
                saved = time.monotonic()
            if stop:
                state.exchange()
                self._say_how_to_go_on()
                raise KeyboardInterrupt
            state.exchange()
            yield dict(state.records[-1])
            state.exchange()
        state.exchange()
        self.model.eval()
        if state.best:
            self.model.load_state_dict(state.best)

    def _epoch(self, interrupted: InterruptFlag) -> bool:
        """Run the batches that are left in this epoch; return False if Ctrl-C came before its end."""
        state, began = self.state, time.perf_counter()
        self.model.train()
        if isinstance(self.model, Scheduled):
            self.model.begin_epoch(state.epoch)
        # The order of an epoch follows from its number: a checkpoint need not hold it.
        generator = np.random.default_rng(np.random.SeedSequence(self.entropy, spawn_key=(ORDER, state.epoch)))
        order = torch.from_numpy(generator.permutation(len(self.data[0])))
        batches = -(-len(order) // self.batch_size)
        while state.batch < batches and not interrupted:
            rows = order[state.batch * self.batch_size : (state.batch + 1) * self.batch_size]
            with seeded(self.entropy, BATCH, state.steps):
                self._step(self._batch(self.data, rows, self.augment), len(rows), batches)
            state.batch += 1
        state.seconds += time.perf_counter() - began
        return state.batch == batches

    def _step(self, batch: Any, rows: int, batches: int) -> None:
        """Move the parameters of each player once."""
        state = self.state
        rate = self.learning_rate * self._factor(state.epoch + state.batch / batches)
        for name, optimiser in self.optimisers.items():
            penalised = [p for group in optimiser.param_groups for p in group["params"] if p.ndim > 1 and self.l2]
            for group in optimiser.param_groups:
                group["lr"] = rate * group["pace"]

            def closure(
                name: str = name, optimiser: torch.optim.Optimizer = optimiser, matrices: list = penalised
            ) -> torch.Tensor:
                optimiser.zero_grad(set_to_none=True)
                loss = self.model.loss(batch, name) if name else self.model.loss(batch)
                for w in matrices:
                    loss = loss + 0.5 * self.l2 * w.square().sum()
                if not torch.isfinite(loss):
                    raise LearningError(self._diverged(f"the {name or 'model'}'s loss", loss.item(), rate))
                loss.backward()
                return loss

            loss = optimiser.step(closure)
            state.losses[name] = state.losses.get(name, 0.0) + rows * float(loss.detach())
        state.rows += rows
        state.steps += 1
        if self.after_step is not None:
            with torch.no_grad():
                self.after_step(self.model, rate)
        state.follow(self.averaging)

    def _factor(self, time: float) -> float:
        factor = 1.0 if self.schedule is None else float(self.schedule(time))
        if not (np.isfinite(factor) and factor >= 0):
            raise ValueError(f"schedule must give finite factors of at least 0, got {factor} at epoch {time:g}")
        return factor

    def _batch(self, data: tuple[torch.Tensor, ...], rows: Any, augment: Callable[[Any], Any] | None) -> Any:
        device = next(self.model.parameters()).device
        batch = packed(tuple(part[rows].to(device) for part in data))
        return batch if augment is None else augment(batch)

    def _record(self) -> Record:
        state = self.state
        for name, parameter in self.model.named_parameters():
            if not torch.isfinite(parameter).all():
                raise LearningError(self._diverged(f"parameter {name}", "NaN or infinity", self.learning_rate))
        rate = self.learning_rate * self._factor(float(state.epoch))
        record = {"epoch": float(state.epoch + 1), "learning_rate": rate}
        record |= {f"{name}_loss" if name else "loss": total / state.rows for name, total in state.losses.items()}
        if self.validation is not None:
            record["validation_loss"] = self._validation_loss()
        if self.measure is not None:
            with seeded(self.entropy, VALIDATION, 1):
                record |= {name: float(value) for name, value in self.measure(self.model).items()}
        return {**record, "seconds": state.seconds}

    def _validation_loss(self) -> float:
        """Return the mean loss of the validation data, with the same random numbers after every epoch."""
        assert self.validation is not None
        total, n = 0.0, len(self.validation[0])
        last = list(self.players)[-1]
        with seeded(self.entropy, VALIDATION, 0), torch.no_grad():
            for start in range(0, n, self.batch_size):
                rows = slice(start, start + self.batch_size)
                batch = self._batch(self.validation, rows, None)
                loss = self.model.loss(batch, last) if last else self.model.loss(batch)
                total += float(loss) * (min(start + self.batch_size, n) - start)
        return total / n

    def _keep_the_best(self) -> None:
        if self.patience is None:
            return
        losses = [record["validation_loss"] for record in self.state.records]
        if int(np.argmin(losses)) == len(losses) - 1:
            self.state.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def _stopped(self) -> bool:
        if self.patience is None or not self.state.records:
            return False
        losses = [record["validation_loss"] for record in self.state.records]
        return len(losses) - 1 - int(np.argmin(losses)) >= self.patience

    def _diverged(self, what: str, value: Any, rate: float) -> str:
        place = f"epoch {self.state.epoch + 1}, batch {self.state.batch + 1}"
        return f"{what} must stay finite, got {value} in {place}: a smaller learning_rate is needed (it was {rate:g})"

    def _say_how_to_go_on(self) -> None:
        place = f"epoch {self.state.epoch + 1}, batch {self.state.batch + 1}"
        how = "nothing was saved (no checkpoint)" if self.path is None else f"go on with resume=True from {self.path}"
        print(f"\nInterrupted before {place}: {how}.", file=sys.stderr)


def _groups(part: torch.nn.Module, model: torch.nn.Module) -> list[dict[str, Any]]:
    """Return the parameters that learn, as groups of one pace each."""
    paces = model.paces if isinstance(model, Paced) else {}
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in part.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(paces.get(name.partition(".")[0], 1.0), []).append(parameter)
    return [{"params": parameters, "pace": pace} for pace, parameters in groups.items()]


def _check(
    model: Any, epochs: int, batch_size: int, learning_rate: float, seed: int | None, averaging: float,
    l2: float, validation: Any, patience: int | None,
) -> None:  # fmt: skip
    if not isinstance(model, torch.nn.Module) or not callable(getattr(model, "loss", None)):
        raise TypeError(f"model must be a torch module with loss(batch), got {protocols.name_of(model)}")
    if not any(p.requires_grad for p in model.parameters()):
        raise TypeError(f"model must have parameters to learn, got a {type(model).__name__} without any")
    protocols.check_positive(epochs, "epochs", integer=True)
    protocols.check_positive(batch_size, "batch_size", integer=True)
    protocols.check_positive(learning_rate, "learning_rate")
    check_share(averaging, "averaging")
    protocols.check_positive(l2, "l2", zero=True)
    if seed is not None:
        protocols.check_positive(seed, "seed", integer=True, zero=True)
    if patience is not None:
        protocols.check_positive(patience, "patience", integer=True)
        if validation is None:
            raise ValueError(f"patience needs validation data to be judged by, got patience={patience} without any")
