"""All that a training run is at one moment, and its checkpoint: a file from which it goes on to the same bits."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ebm.history import Record, write_file
from samplers.store import StoreError

KIND = "ebmlab training checkpoint"
SCHEMA_VERSION = 3  # 2: persistent chains keep their hidden units; 3: moments of any optimiser, averages
GROUPS = ("parameters", "moments", "average", "memory")
PROGRESS = ("epoch", "batch", "steps", "squares", "losses", "seconds")


@dataclass
class TrainingState:
    """Where a run stands: `batch` batches of epoch number `epoch` (from 0) are done.

    Attributes:
        parameters: the energy's own arrays, changed in place.
        moments: what the optimiser keeps of each parameter.
        average: moving average of each parameter, or nothing.
        memory: what the objective and the centre remember.
        steps: batches done in all.
        squares: sum over the epoch's batches of the squared norm of the direction.
        losses: sum over the epoch's batches of the objective's loss.
        records: one for each epoch done.
    """

    parameters: dict[str, np.ndarray]
    moments: dict[str, np.ndarray]
    average: dict[str, np.ndarray]
    memory: dict[str, np.ndarray]
    epoch: int = 0
    batch: int = 0
    steps: int = 0
    squares: float = 0.0
    losses: float = 0.0
    seconds: float = 0.0
    records: list[Record] = field(default_factory=list)

    def exchange(self) -> None:
        """Exchange the parameters and their averages, if there are any, in place."""
        for name, average in self.average.items():
            last = self.parameters[name].copy()
            self.parameters[name][...] = average
            average[...] = last

    def save(self, path: Path, story: dict[str, Any]) -> None:
        """Write the state and the story of the run, replacing an earlier checkpoint as a whole."""
        arrays = {f"{group}/{name}": array for group in GROUPS for name, array in getattr(self, group).items()}
        progress = {name: getattr(self, name) for name in PROGRESS}
        texts = {"story": json.dumps(story), "progress": json.dumps(progress), "records": json.dumps(self.records)}
        write_file(path, KIND, arrays, {"schema_version": SCHEMA_VERSION, **texts})

    def load(self, path: Path, story: dict[str, Any]) -> int:
        """Set the state from a checkpoint, if it is one of the same run; return the seed of the run.

        Raises:
            StoreError: no checkpoint, or one of other settings or of a newer version.
        """
        import h5py

        try:
            file = h5py.File(path, "r")
        except OSError as error:
            raise StoreError(f"{path} is not a readable HDF5 file: {error}") from error
        with file:
            if file.attrs.get("format") != KIND:
                raise StoreError(f"{path} is not a training checkpoint")
            version = int(file.attrs["schema_version"])
            if version != SCHEMA_VERSION:
                advice = "update ebmlab" if version > SCHEMA_VERSION else "begin anew"
                raise StoreError(f"{path} was written by another version (schema {version}): {advice}")
            stored = json.loads(file.attrs["story"])
            _compare(stored, story, path)
            for group in GROUPS:
                for name, array in getattr(self, group).items():
                    array[...] = file[f"{group}/{name}"][()]
            for name, value in json.loads(file.attrs["progress"]).items():
                setattr(self, name, value)
            self.records = json.loads(file.attrs["records"])
        return int(stored["seed"])


def _compare(stored: dict[str, Any], story: dict[str, Any], path: Path) -> None:
    for name, value in story.items():
        old = stored.get(name)
        if name == "factors":  # epochs may be added, but those of both runs must have had the same rates
            common = min(len(old or ()), len(value))
            old, value = (old or [])[:common], value[:common]
        if name == "seed" and value is None:
            continue
        if old != value:
            raise StoreError(f"{path} belongs to a run with other settings: {name} was {old!r}, now {value!r}")


def fingerprint(array: np.ndarray | None) -> str | None:
    """Hash data, so that a run is not resumed with others."""
    if array is None:
        return None
    return hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + array.tobytes()).hexdigest()[:16]
