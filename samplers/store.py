"""Chains on disk, appended while they are sampled: nothing that was appended is lost, whenever the process dies.

`run.h5` is always a complete HDF5 file and is only ever replaced as a whole; `run.h5.journal` holds the draws since,
and is folded into a new file when it has grown larger than the old one, and at the end. One process writes; any
number may read.
"""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

import numpy as np

from samplers import journal
from samplers.chainfile import Encoded, write_file
from samplers.journal import Journal, explained
from samplers.layout import Chunk, StoreError, Variable, encode, pack
from samplers.schema import Description, describe
from samplers.snapshot import Snapshot
from samplers.stored import StoredArray, StoredRun, read

__all__ = ["Store", "StoreError", "StoredArray", "StoredRun", "Variable", "read", "save"]

FOLD_BYTES = 64 * 1024 * 1024
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Store:
    """A chain file open for writing; made by `Store.create` or `Store.open`, closed by `close` or `with`.

    Example:
        >>> import pathlib, tempfile, numpy as np
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.h5"
        >>> energy = Variable("sample_stats", np.dtype(np.float64), (), "raw")
        >>> with Store.create(path, 2, {"energy": energy}, {"seed": 1}, b"start") as store:
        ...     store.append({"energy": np.zeros((2, 10))}, b"after ten draws")
        >>> read(path).variables["energy"].shape
        (2, 10)
    """

    def __init__(self, path: str, description: Description, log: Journal, draws: int, checkpoint: bytes) -> None:
        self.path = path
        self._description = description
        self._journal = log
        self._progress = draws, checkpoint
        self._has_records = not log.empty
        self._fold_at = max(FOLD_BYTES, os.path.getsize(path))
        self._usable, self._closed = True, False

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        chains: int,
        variables: Mapping[str, Variable],
        attributes: Mapping[str, Any],
        checkpoint: bytes,
    ) -> Self:
        """Start a new chain file without draws.

        Args:
            path: where it is to be; the folder must exist and the file must not.
            chains: number of chains.
            variables: what each draw consists of.
            attributes: the story of the run, anything that JSON can hold.
            checkpoint: state of the sampler before the first draw.

        Raises:
            StoreError: there is such a file or a journal with draws already, or it cannot be written.
            ValueError, TypeError: a variable or an attribute that cannot be stored.
        """
        description = describe(chains, variables, attributes)
        path = os.path.realpath(path)
        log = _write_new(path, description, 0, _nothing, checkpoint)
        try:
            log.start(description, 0)
            return cls(path, description, log, 0, checkpoint)
        except BaseException:
            log.release()
            raise

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open a chain file to go on with it; a torn last record is dropped.

        Raises:
            StoreError: missing, foreign, damaged or of a newer schema, or another process is writing it.
        """
        path = os.path.realpath(path)
        if not os.path.exists(path):
            raise StoreError(f"{path} does not exist: check the path, or start a new run there")
        log = Journal(path)
        try:
            snapshot = Snapshot(path)
            snapshot.verify()
            log.start(snapshot.description, snapshot.records.end)
            return cls(path, snapshot.description, log, snapshot.draws, snapshot.checkpoint)
        except BaseException:
            log.remove_if_empty()
            log.release()
            raise

    @property
    def draws(self) -> int:
        """Number of draws of each chain that are stored."""
        return self._progress[0]

    @property
    def checkpoint(self) -> bytes:
        """State of the sampler after the last draw, as it was given."""
        return self._progress[1]

    @property
    def chains(self) -> int:
        """Number of chains."""
        return self._description.chains

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the run, as JSON gives them back (tuples are lists)."""
        return self._description.attributes

    @property
    def variables(self) -> dict[str, Variable]:
        """The variables of the run."""
        return self._description.variables

    def append(self, arrays: Mapping[str, np.ndarray], checkpoint: bytes) -> None:
        """Store the next draws of all chains and variables, or, on any error, none of them.

        Args:
            arrays: for each variable an array (chains, n, *shape); n may be 0 to store a checkpoint alone.
            checkpoint: state of the sampler after these draws.

        Raises:
            StoreError: it cannot be written; what was there stays.
            ValueError, TypeError: an array that does not fit its variable.
        """
        if not self._usable:
            raise StoreError(f"{self.path} was closed, or interrupted while it was put in order: open it again")
        count = _count(self._description, arrays)
        parts = [pack(name, variable, arrays[name]).tobytes() for name, variable in self.variables.items()]
        advice = f"{self.draws} draws are safe; free some space and go on from there"
        with explained(self.path, "cannot be extended", advice):
            try:
                end = self._journal.append(self.draws, count, parts, checkpoint)
                self._progress, self._journal.end = (self.draws + count, bytes(checkpoint)), end
            except BaseException:
                self._journal.roll_back()
                raise
        self._has_records = True
        if self._journal.end > self._fold_at:
            self._fold_or_postpone()

    def close(self) -> None:
        """Fold the journal into the chain file, remove it and give the lock back.

        Raises:
            StoreError: there is no space for the fold; the draws stay in the file and its journal, which can both be
                read, and opening and closing the store again folds them.
        """
        if self._closed:
            return
        self._closed, self._usable = True, False
        try:
            if self._has_records:
                self._fold()
            with explained(self.path, "is complete but its journal cannot be removed", "remove it by hand"):
                self._journal.remove()
        finally:
            self._journal.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fold(self) -> None:
        """Put a chain file with all draws in place of the old one."""
        advice = f"all {self.draws} draws are safe in it and its journal; free some space and open it again"
        with explained(self.path, "cannot take up its journal", advice):
            snapshot = Snapshot(self.path)
            _replace(self.path, snapshot.description, snapshot.draws, snapshot.encoded, snapshot.checkpoint)

    def _fold_or_postpone(self) -> None:
        """Fold and start a new journal; on a disk too full for that, let the journal grow on."""
        self._usable = False  # until the end: an interrupt may come between the two renames
        try:
            self._fold()
            with explained(self.path, "cannot start a new journal", "open it again to go on"):
                self._journal.renew(self._description)
            self._has_records = False
            self._fold_at = max(FOLD_BYTES, os.path.getsize(self.path))
        except StoreError as error:
            if error.errno not in _NO_SPACE:
                raise
            self._fold_at = 2 * self._journal.end
        self._usable = True


def save(
    path: str | os.PathLike[str],
    chains: int,
    variables: Mapping[str, Variable],
    arrays: Mapping[str, Any],
    attributes: Mapping[str, Any],
    checkpoint: bytes = b"",
) -> None:
    """Write a finished run to a new chain file.

    Args:
        path: where it is to be; the folder must exist and the file must not.
        chains: number of chains.
        variables: what each draw consists of.
        arrays: for each variable an array (chains, draws, *shape), in memory or on disk.
        attributes: the story of the run, anything that JSON can hold.
        checkpoint: state of the sampler after the last draw.

    Raises:
        StoreError: there is such a file already, or it cannot be written.
        ValueError, TypeError: an array or an attribute that cannot be stored.
    """
    description = describe(chains, variables, attributes)
    draws = _count(description, arrays)

    def encoded(name: str, chunk: Chunk) -> tuple[bytes, int]:
        variable = description.variables[name]
        block = arrays[name][chunk.chain : chunk.chain + chunk.chains, chunk.draw : chunk.draw + chunk.draws]
        data = encode(variable, pack(name, variable, block), chunk.draws)
        return data, zlib.crc32(data)

    log = _write_new(os.path.realpath(path), description, draws, encoded, checkpoint)
    log.remove()
    log.release()


def _nothing(name: str, chunk: Chunk) -> tuple[bytes, int]:
    raise AssertionError(f"a file without draws has no chunk {chunk} of {name}")


def _count(description: Description, arrays: Mapping[str, Any]) -> int:
    """Return the number of draws in a block of all variables, or say which array does not fit."""
    if arrays.keys() != description.variables.keys():
        raise ValueError(f"arrays must hold {', '.join(description.variables)}, got {', '.join(arrays)}")
    count = None
    for name, variable in description.variables.items():
        shape, dtype = arrays[name].shape, arrays[name].dtype
        if dtype != variable.dtype:
            raise TypeError(f"dtype of {name} must be {variable.dtype}, got {dtype}")
        count = shape[1] if count is None and len(shape) > 1 else count
        if shape != (description.chains, count, *variable.shape):
            needed = ", ".join(map(str, (description.chains, "n" if count is None else count, *variable.shape)))
            raise ValueError(f"shape of {name} must be ({needed}), the same n for all variables, got {shape}")
    return count or 0


def _write_new(path: str, description: Description, draws: int, encoded: Encoded, checkpoint: bytes) -> Journal:
    """Write a chain file where there is none, and return its locked, empty journal."""
    refusal = StoreError(f"{path} exists already: choose another path, go on with it (resume), or remove it")
    if os.path.lexists(path):
        raise refusal
    log = Journal(path)
    try:
        if os.path.lexists(path):
            raise refusal
        if not log.empty:
            raise StoreError(
                f"{path}{journal.SUFFIX} holds draws but {path} is missing: put the file back, or remove the journal"
            )
        with explained(path, "cannot be written", "check the folder and its free space; nothing was changed"):
            _replace(path, description, draws, encoded, checkpoint)
        return log
    except BaseException:
        log.remove_if_empty()
        log.release()
        raise


def _replace(path: str, description: Description, draws: int, encoded: Encoded, checkpoint: bytes) -> None:
    """Write a chain file beside `path`, and put it there in one step when it is on disk."""
    beside = path + ".new"
    try:
        write_file(beside, description, draws, encoded, checkpoint)
        os.replace(beside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
