"""What a store holds at one moment: the chain file and the good records of its journal, seen as one run.

The files are held open by descriptor, and good bytes are never written again, so a snapshot keeps its draws while a
writer goes on, folds the journal into a new file, or removes it.
"""

from __future__ import annotations

import functools
import os
import weakref
import zlib
from typing import NoReturn

import numpy as np

from samplers import journal
from samplers.chainfile import ChainFile, open_file
from samplers.journal import NO_RECORDS, Records, explained, read_at, scan
from samplers.layout import Chunk, StoreError, encode
from samplers.schema import Description


class Snapshot:
    """The draws of a store as they are now, read piece by piece.

    Args:
        path: path of the chain file.

    Raises:
        StoreError: a file is missing, foreign, damaged or of a newer schema.
    """

    def __init__(self, path: str) -> None:
        # The journal first: a fold in between gives draws twice, the other order could miss some.
        self.path = path
        self._journal = self._open_journal()
        self._file: ChainFile = open_file(path)
        weakref.finalize(self, os.close, self._file.file)
        self._chunk = functools.lru_cache(maxsize=2)(self._file.chunk)  # draws are often read one after the other
        self.description: Description = self._file.description
        self.records = NO_RECORDS
        self.draws, self.checkpoint = self._file.draws, self._file.checkpoint
        self._places = self._places_in_a_record()
        if self._journal is not None:
            self._add_records(scan(self._journal, path, self.description))

    @property
    def file_draws(self) -> int:
        """Number of draws in the chain file, without the journal."""
        return self._file.draws

    def verify(self) -> None:
        """Read everything in the chain file and raise StoreError at the first chunk that fails its checksum."""
        for name, table in self._file.tables.items():
            for block, part in np.ndindex(*table.checksums.shape):
                self._file.chunk(name, block, part)

    def stored(self, name: str, chains: slice, draws: slice) -> np.ndarray:
        """Read stored values (chains, draws, *stored_shape) of one variable; the slices have a start and a stop."""
        variable = self.description.variables[name]
        shape = (chains.stop - chains.start, draws.stop - draws.start, *variable.stored_shape)
        values = np.empty(shape, variable.stored_dtype)
        in_file = min(draws.stop, self._file.draws) - draws.start
        if in_file > 0:
            self._read_chunks(name, chains, slice(draws.start, draws.start + in_file), values)
        if in_file < shape[1]:
            self._read_records(name, chains, slice(draws.start + max(0, in_file), draws.stop), values)
        return values

    def encoded(self, name: str, chunk: Chunk) -> tuple[bytes, int]:
        """Return bytes and CRC-32 of a chunk of the next chain file; whole chunks of this file are copied as they are.

        A damaged chunk is copied with its old checksum, so that the damage stays visible and the run can go on.
        """
        table = self._file.tables[name]
        if (table.chunk_chains, table.chunk_draws) == chunk[2:] and chunk.draw + chunk.draws <= self._file.draws:
            block, part = chunk.chain // chunk.chains, chunk.draw // chunk.draws
            return self._file.chunk_bytes(name, block, part), int(table.checksums[block, part])
        draws = slice(chunk.draw, min(chunk.draw + chunk.draws, self.draws))
        stored = self.stored(name, slice(chunk.chain, chunk.chain + chunk.chains), draws)
        data = encode(self.description.variables[name], stored, chunk.draws)
        return data, zlib.crc32(data)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"stored arrays hold open files and cannot be pickled: read {self.path} in the other process")

    def _open_journal(self) -> int | None:
        try:
            with explained(self.path, "cannot be read with its journal", "check that you may read both"):
                file = os.open(self.path + journal.SUFFIX, os.O_RDONLY)
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        weakref.finalize(self, os.close, file)
        return file

    def _places_in_a_record(self) -> dict[str, tuple[int, int]]:
        """Return for each variable the bytes before it in a record and its own, both for one draw of one chain."""
        places, before = {}, 0
        for name, variable in self.description.variables.items():
            places[name] = before, variable.stored_bytes
            before += variable.stored_bytes
        return places

    def _add_records(self, records: Records) -> None:
        if len(records.starts) and records.starts[0] > self._file.draws:
            raise StoreError(
                f"{self.path} holds {self._file.draws} draws and its journal starts at draw {records.starts[0]}: "
                "put back the chain file that belongs to this journal"
            )
        self.records = records
        if records.checkpoint is not None and records.draws >= self._file.draws:
            self.draws, self.checkpoint = records.draws, records.checkpoint

    def _read_chunks(self, name: str, chains: slice, draws: slice, values: np.ndarray) -> None:
        """Fill the first draws of `values` from the chain file."""
        table = self._file.tables[name]
        for part in range(draws.start // table.chunk_draws, (draws.stop - 1) // table.chunk_draws + 1):
            for block in range(chains.start // table.chunk_chains, (chains.stop - 1) // table.chunk_chains + 1):
                chunk = self._chunk(name, block, part)
                rows, chunk_rows = _overlap(chains, block * table.chunk_chains, table.chunk_chains)
                columns, chunk_columns = _overlap(draws, part * table.chunk_draws, table.chunk_draws)
                values[rows, columns] = chunk[chunk_rows, chunk_columns]

    def _read_records(self, name: str, chains: slice, draws: slice, values: np.ndarray) -> None:
        """Fill the last draws of `values` from the journal."""
        records, file = self.records, self._journal
        assert file is not None  # there are no such draws without it
        before, size = self._places[name]
        first_column = values.shape[1] - (draws.stop - draws.start)
        record = np.searchsorted(records.starts + records.counts, draws.start, side="right").item()
        while record < len(records.starts) and records.starts[record] < draws.stop:
            start, count, offset = (int(column[record]) for column in records[:3])
            columns, own = _overlap(draws, start, count)
            columns = slice(columns.start + first_column, columns.stop + first_column)
            for row, chain in enumerate(range(chains.start, chains.stop)):
                place = offset + self.description.chains * count * before + (chain * count + own.start) * size
                data = read_at(file, place, (own.stop - own.start) * size)
                values[row, columns] = np.frombuffer(data, values.dtype).reshape(values[row, columns].shape)
            record += 1


def _overlap(wanted: slice, start: int, length: int) -> tuple[slice, slice]:
    """Return the common part of `wanted` and start ... start + length, counted from the start of each."""
    first, last = max(wanted.start, start), min(wanted.stop, start + length)
    return slice(first - wanted.start, last - wanted.start), slice(first - start, last - start)
