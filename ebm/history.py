"""The record of a training run, and what is measured after each of its epochs."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ebm.whole_file import write_whole
from samplers import protocols

ROWS = 1000  # of the data, and of the validation set, that are looked at after each epoch

Record = dict[str, float]


@runtime_checkable
class Reconstructing(Protocol):
    """A machine that can look at what it makes of a configuration: visible(hidden(x))."""

    def hidden(self, v: np.ndarray) -> np.ndarray: ...

    def visible(self, h: np.ndarray) -> np.ndarray: ...


class History:
    """Numbers of each epoch by name: history["gradient_norm"] is an array (epochs,).

    Always there: epoch, learning_rate, gradient_norm (root mean square over the batches, of the direction taken) and
    seconds. Objectives that are a loss add its mean over the batches, discrete energies of two states
    pseudo_log_likelihood (nats a configuration, one random site of each, scaled to all), machines over real units
    reconstruction_error (mean square, in the unit of v squared), and a validation set adds free_energy_gap: its mean
    energy less that of the training data, which grows on overfitting. ParallelTemperingCD adds swap_rate and
    round_trips, and what `measure` returns comes last but for seconds.

    Args:
        records: one dictionary an epoch, all with the same names.

    Example:
        >>> History([{"epoch": 1, "seconds": 0.5}, {"epoch": 2, "seconds": 0.25}])["seconds"]
        array([0.5 , 0.25])
    """

    def __init__(self, records: list[Record]) -> None:
        self.names = tuple(records[0]) if records else ()
        self._arrays = {name: np.array([record[name] for record in records], np.float64) for name in self.names}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._arrays:
            raise KeyError(f"history has {', '.join(self.names) or 'no names'}, got {name!r}")
        return self._arrays[name]

    def __len__(self) -> int:
        return len(self._arrays[self.names[0]]) if self.names else 0

    def records(self) -> list[Record]:
        """Return one dictionary an epoch."""
        return [{name: float(self._arrays[name][i]) for name in self.names} for i in range(len(self))]

    def save(self, path: str | Path) -> None:
        """Write the arrays to an HDF5 file, replacing one of that name as a whole.

        Raises:
            StoreError: it cannot be written; what was there stays.
        """
        write_file(Path(path), "ebmlab history", self._arrays, {})

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {self._arrays[name][-1]:.4g}" for name in self.names if name != "epoch")
        return f"History({len(self)} epochs{'; last: ' + last if last else ''})"


def measured(energy: Any, data: np.ndarray, validation: np.ndarray | None, rng: np.random.Generator) -> Record:
    """Return what an epoch has come to on the first rows of the data and of the validation set: nothing of a score."""
    x = data[:ROWS]
    record: Record = {}
    if not protocols.has_energy(energy):
        return record
    values = energy(x)
    if energy.domain in ("binary", "spin"):
        flat = x.reshape(len(x), -1).copy()
        rows, sites = np.arange(len(x)), rng.integers(0, flat.shape[1], len(x))
        flat[rows, sites] = protocols.values(energy).sum() - flat[rows, sites]
        change = energy(flat.reshape(x.shape)) - values
        record["pseudo_log_likelihood"] = -flat.shape[1] * float(np.logaddexp(0.0, -change).mean())
    elif isinstance(energy, Reconstructing):
        record["reconstruction_error"] = float(((x - energy.visible(energy.hidden(x))) ** 2).mean())
    if validation is not None:
        record["free_energy_gap"] = float(energy(validation[:ROWS]).mean() - values.mean())
    return record


def write_file(path: Path, kind: str, arrays: dict[str, np.ndarray], attributes: dict[str, Any]) -> None:
    """Write arrays to an HDF5 file that is either the old one or the new one, whenever the process dies.

    Raises:
        StoreError: it cannot be written; what was there stays.
    """

    def fill(file: Any) -> None:
        for name, value in attributes.items():
            file.attrs[name] = value
        for name, array in arrays.items():
            file[name] = array

    write_whole(path, kind, fill, replace=True)
