"""All that a training run of a torch module is at one moment, and the file from which it goes on to the same bits."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ebm.history import Record
from ebm.whole_file import write_bytes
from models.model import read_record
from samplers.store import StoreError

KIND = "ebmlab checkpoint of a model"
PROGRESS = ("epoch", "batch", "steps", "rows", "losses", "seconds", "records")


class TrainingState:
    """Where a run stands: `batch` batches of epoch number `epoch` (from 0) are done.

    Args:
        model: the module, changed in place.
        optimisers: of each player.
        averaged: whether a moving average of the parameters, and of what batch norm has seen, is kept.

    Attributes:
        steps: batches done in all.
        rows: rows seen in this epoch, and `losses`: the sum of their losses, by player.
        records: one for each epoch done.
        best: the model's state after the epoch of the lowest validation loss, if that is asked for.
    """

    def __init__(self, model: torch.nn.Module, optimisers: dict[str, torch.optim.Optimizer], averaged: bool) -> None:
        self.model, self.optimisers, self.steps, self.records = model, optimisers, 0, list[Record]()
        self.average = {name: p.detach().clone() for name, p in _followed(model)} if averaged else {}
        self.best: dict[str, torch.Tensor] = {}
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Stand at the beginning of an epoch."""
        self.epoch, self.batch, self.rows, self.seconds = epoch, 0, 0, 0.0
        self.losses: dict[str, float] = {}

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the averages after a step: a plain mean until there are enough steps for the exponential one."""
        weight = 1.0 - min(decay, 1.0 - 1.0 / self.steps)
        for name, parameter in _followed(self.model) if self.average else ():
            self.average[name].lerp_(parameter, weight)

    @torch.no_grad()
    def exchange(self) -> None:
        """Exchange the parameters and their averages, if there are any, in place."""
        for name, parameter in _followed(self.model) if self.average else ():
            last = parameter.clone()
            parameter.copy_(self.average[name])
            self.average[name].copy_(last)

    def save(self, path: Path, story: dict[str, Any]) -> None:
        """Write the state and the story of the run, replacing an earlier checkpoint as a whole."""
        record = {
            "format": KIND, "story": json.dumps(story), "model": self.model.state_dict(), "average": self.average,
            "best": self.best, "progress": json.dumps({name: getattr(self, name) for name in PROGRESS}),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
        }  # fmt: skip
        image = io.BytesIO()
        torch.save(record, image)
        write_bytes(path, image.getvalue(), replace=True)

    def load(self, path: Path, story: dict[str, Any]) -> int:
        """Set the state from a checkpoint, if it is one of the same run; return the seed of the run.

        Raises:
            StoreError: no checkpoint, or one of other settings.
        """
        record = read_record(path, KIND)
        stored = json.loads(record["story"])
        for name, value in story.items():
            old = stored.get(name)  # None in a file of an earlier version that knew no such setting
            if name == "factors":  # epochs may be added, but those of both runs must have had the same rates
                old, value = old[: len(value)], value[: len(old)]
            if old != value and not (name == "seed" and value is None):
                raise StoreError(f"{path} belongs to a run with other settings: {name} was {old!r}, now {value!r}")
        self.model.load_state_dict(record["model"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(record["optimisers"][name])
        self.average, self.best = record["average"], record["best"]
        for name, value in json.loads(record["progress"]).items():
            setattr(self, name, value)
        return int(stored["seed"])


def _followed(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what is averaged: the parameters, and the running means and variances of batch norm, which follow them."""
    yield from model.named_parameters()
    for name, buffer in model.named_buffers():
        if name.rpartition(".")[2] in ("running_mean", "running_var"):
            yield name, buffer


def fingerprint(data: tuple[torch.Tensor, ...] | None) -> str | None:
    """Hash data, so that a run is not resumed with others."""
    if data is None:
        return None
    digest = hashlib.sha256()
    for part in data:
        digest.update(f"{part.dtype}{tuple(part.shape)}".encode() + part.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
