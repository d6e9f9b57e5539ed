"""Reading a chain file: arrays that stay on disk until a part of them is asked for."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Iterator
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from samplers.layout import Variable, unpack
from samplers.snapshot import Snapshot

READ_BYTES = 4 * 1024 * 1024
Index = int | slice | EllipsisType


class StoredArray:
    """One variable of a chain file, (chains, draws, *shape): numpy indexing, and only the draws asked for are read.

    It sees the draws that were there when the file was read, also while a writer goes on. Integers, slices and `...`
    index it; `numpy.asarray` loads it whole.
    """

    def __init__(self, snapshot: Snapshot, name: str) -> None:
        self._snapshot, self._name = snapshot, name
        self.variable: Variable = snapshot.description.variables[name]
        self.shape: tuple[int, ...] = (snapshot.description.chains, snapshot.draws, *self.variable.shape)
        self.dtype: np.dtype = self.variable.dtype
        self.ndim: int = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"StoredArray({self._name}, shape={self.shape}, dtype={self.dtype}, in {self._snapshot.path})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError(f"{self._name} is on disk, so an array of it is always a copy: copy must not be False")
        return self[...].astype(self.dtype if dtype is None else dtype, copy=False)

    def __getitem__(self, index: Index | tuple[Index, ...]) -> Any:
        chains, draws, *sites = self._full_index(index)
        chain_range, chain_end = _ascending(chains, self.shape[0])
        draw_range, draw_end = _ascending(draws, self.shape[1])
        site_shape = np.broadcast_to(np.empty(()), self.variable.shape)[tuple(sites)].shape
        values = np.empty((len(chain_range), len(draw_range), *site_shape), self.dtype)
        if values.size:
            span = slice(chain_range[0], chain_range[-1] + 1)
            picked = (slice(None, None, chain_range.step), slice(None, None, draw_range.step), *sites)
            for start, stop in self._pieces(draw_range, span.stop - span.start):
                piece = slice(draw_range[start], draw_range[stop - 1] + 1)
                block = unpack(self.variable, self._snapshot.stored(self._name, span, piece))
                values[:, start:stop] = block[picked]
        return values[chain_end, draw_end]

    def _full_index(self, index: Index | tuple[Index, ...]) -> list[int | slice]:
        """Return one integer or slice for each axis, as numpy would understand the index."""
        entries = [_entry(entry) for entry in (index if isinstance(index, tuple) else (index,))]
        dots = entries.count(...)
        if len(entries) - dots > self.ndim or dots > 1:
            raise IndexError(f"{self._name} has {self.ndim} axes, got the index {index}")
        place = entries.index(...) if dots else len(entries)
        missing: list[Index] = [slice(None)] * (self.ndim - len(entries) + dots)
        full = [entry for entry in entries[:place] + missing + entries[place:] if not isinstance(entry, EllipsisType)]
        for axis, (entry, size) in enumerate(zip(full, self.shape, strict=True)):
            if isinstance(entry, int) and not -size <= entry < size:
                raise IndexError(f"index {entry} is out of bounds for axis {axis} of {self._name} with size {size}")
        return full

    def _pieces(self, draws: range, chains: int) -> Iterator[tuple[int, int]]:
        """Cut the wanted draws into pieces that take about READ_BYTES in memory."""
        draw_bytes = chains * max(math.prod(self.variable.shape) * self.dtype.itemsize, 1)
        length = max(1, READ_BYTES // (draw_bytes * draws.step))
        for start in range(0, len(draws), length):
            yield start, min(start + length, len(draws))


def _entry(entry: Any) -> Index:
    if isinstance(entry, slice | EllipsisType):
        return entry
    if isinstance(entry, bool) or not hasattr(entry, "__index__") or np.ndim(entry):
        raise TypeError(
            f"an array on disk is indexed by integers, slices and '...', got {entry!r}: "
            "load it with numpy.asarray(...) for other indices"
        )
    return operator.index(entry)


def _ascending(entry: int | slice, size: int) -> tuple[range, int | slice]:
    """Return the positions an index picks, in ascending order, and the index that then makes the asked-for order."""
    if isinstance(entry, int):
        start = entry % size
        return range(start, start + 1), 0
    positions = range(size)[entry]
    return (positions[::-1], slice(None, None, -1)) if positions.step < 0 else (positions, slice(None))


class StoredRun(NamedTuple):
    """What a chain file holds.

    `checkpoint` is the state after the last draw, and `variables` maps each name to a lazy array (chains, draws, ...).
    """

    path: str
    attributes: dict[str, Any]
    chains: int
    draws: int
    checkpoint: bytes
    variables: dict[str, StoredArray]


def read(path: str | os.PathLike[str]) -> StoredRun:
    """Open a chain file for reading, also while another process writes it.

    Args:
        path: path of the chain file; its journal is found beside it.

    Returns:
        The run as it is now. Nothing is locked or written.

    Raises:
        StoreError: the file is missing, foreign, damaged or of a newer schema.

    Example:
        >>> import pathlib, tempfile, numpy as np
        >>> from samplers.store import Variable, read, save
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.h5"
        >>> spins = np.ones((2, 5, 3), np.int8)
        >>> save(path, 2, {"x": Variable("posterior", spins.dtype, (3,), "spin")}, {"x": spins}, {"seed": 1})
        >>> read(path).variables["x"][0, -1]
        array([1, 1, 1], dtype=int8)
    """
    snapshot = Snapshot(os.path.realpath(path))
    description = snapshot.description
    arrays = {name: StoredArray(snapshot, name) for name in description.variables}
    return StoredRun(
        snapshot.path, description.attributes, description.chains, snapshot.draws, snapshot.checkpoint, arrays
    )
