"""The HDF5 file of a run: always complete and closed, built beside the old one and put in place by a rename.

HDF5 does not survive a full disk, so it only ever writes into space that was reserved before; and it is asked only
once where the chunks lie, so that a reader keeps a plain descriptor, which stays good when the file is replaced.
"""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from samplers.journal import explained, read_at, write_at
from samplers.layout import Chunk, StoreError, Variable, chunk_grid, decode, encode
from samplers.schema import DRAW_NUMBERS_CHUNK, HDF5_VERSION, Description, image, parse

if TYPE_CHECKING:
    import h5py  # at run time inside the functions: it would double the time of `import samplers`

ZEROS_BYTES = 4 * 1024 * 1024
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_END_PLACE = 28  # where a superblock of version 2 or 3 says where the file ends
_NO_FALLOCATE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
_DRAW_NUMBERS = Variable("posterior", np.dtype(np.int64), (), "gzip")
Encoded = Callable[[str, Chunk], tuple[bytes, int]]


class ChunkTable(NamedTuple):
    """Where the chunks of one variable lie: arrays (blocks of chains, blocks of draws) of byte offset, size, CRC-32."""

    chunk_chains: int
    chunk_draws: int
    offsets: np.ndarray
    sizes: np.ndarray
    checksums: np.ndarray


class ChainFile(NamedTuple):
    """An open chain file; `file` is a descriptor that stays good when another file takes the path."""

    file: int
    path: str
    description: Description
    draws: int
    checkpoint: bytes
    tables: dict[str, ChunkTable]

    def chunk_bytes(self, name: str, block: int, part: int) -> bytes:
        """Read the bytes of one chunk, by its block of chains and its part along the draws."""
        table = self.tables[name]
        return read_at(self.file, int(table.offsets[block, part]), int(table.sizes[block, part]))

    def chunk(self, name: str, block: int, part: int) -> np.ndarray:
        """Read one chunk as stored values (chains, draws, ...); raise StoreError if its checksum is wrong."""
        table = self.tables[name]
        data = self.chunk_bytes(name, block, part)
        if zlib.crc32(data) != table.checksums[block, part]:
            first, chain = part * table.chunk_draws, block * table.chunk_chains
            raise StoreError(
                f"{self.path} is damaged: {name} of draws {first} to {min(first + table.chunk_draws, self.draws) - 1} "
                f"of chains {chain} to {chain + table.chunk_chains - 1} fails its checksum; restore it from a copy, "
                "the other draws can be read"
            )
        return decode(self.description.variables[name], data, table.chunk_chains, table.chunk_draws)


def write_file(path: str, description: Description, draws: int, encoded: Encoded, checkpoint: bytes) -> None:
    """Write a whole chain file to `path` and on to the disk.

    Args:
        path: a name that nobody reads yet; the caller renames it.
        description: chains, variables and attributes.
        draws: number of draws of each chain.
        encoded: gives the bytes and the CRC-32 of any chunk of a variable, (name, chunk) -> (bytes, crc).
        checkpoint: state of the sampler after the last draw.

    Raises:
        OSError: no space or no permission; `path` is left behind incomplete.
    """
    import h5py

    start = image(description, draws, checkpoint)
    grids = {name: partial(chunk_grid, v, description.chains, draws) for name, v in description.variables.items()}
    chunks = sum(sum(1 for _ in grid()) for grid in grids.values()) + 2 * (draws // DRAW_NUMBERS_CHUNK + 1)
    indices = 64 * 1024 + 8 * 1024 * (len(grids) + 2) + 64 * chunks
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        write_at(file, 0, start)
        space = _Space(file, len(start), indices)
        with h5py.File(path, "r+", libver=HDF5_VERSION) as target:
            for group in description.groups:
                _write_draw_numbers(target[group], draws, space)
            for name, grid in grids.items():
                checksums = np.zeros(target["checksums"][name].shape, np.uint32)
                dataset = target[description.variables[name].group][name]
                for chunk in grid():
                    data, crc = encoded(name, chunk)
                    checksums[chunk.chain // chunk.chains, chunk.draw // chunk.draws] = crc
                    space.take(len(data) + 2048)  # HDF5 may leave a gap of a small block before it
                    corner = (chunk.chain, chunk.draw) + (0,) * (dataset.ndim - 2)
                    dataset.id.write_direct_chunk(corner, data)
                target["checksums"][name][...] = checksums
        os.ftruncate(file, int.from_bytes(read_at(file, _END_PLACE, 8), "little"))  # HDF5 may leave reserved space
        os.fsync(file)
    finally:
        os.close(file)


class _Space:
    """Space of a file reserved before HDF5 writes to it, always with room for the indices it writes when it closes."""

    def __init__(self, file: int, used: int, indices: int) -> None:
        self._file, self.reserved = file, used
        self.take(indices)

    def take(self, size: int) -> None:
        """Make sure of `size` more bytes, or raise OSError before HDF5 learns of them."""
        reserve(self._file, self.reserved, size)
        self.reserved += size


def reserve(file: int, offset: int, size: int) -> None:
    """Take disk space for the next bytes of a file, by writing zeros where the system has no call for it."""
    try:
        os.posix_fallocate(file, offset, size)
    except (AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_FALLOCATE:
            raise
        zeros = bytes(min(size, ZEROS_BYTES))
        for start in range(offset, offset + size, len(zeros)):
            write_at(file, start, zeros[: offset + size - start])


def _write_draw_numbers(group: h5py.Group, draws: int, space: _Space) -> None:
    """Fill the coordinate 0, 1, ... of the dimension draw, chunk by chunk."""
    for start in range(0, draws, DRAW_NUMBERS_CHUNK):
        length = min(draws, DRAW_NUMBERS_CHUNK)
        numbers = np.arange(start, min(start + length, draws)).reshape(1, -1)
        data = encode(_DRAW_NUMBERS, numbers, length)
        space.take(len(data) + 2048)
        group["draw"].id.write_direct_chunk((start,), data)


def open_file(path: str) -> ChainFile:
    """Open a chain file for reading and find its chunks.

    Raises:
        StoreError: missing, foreign, truncated or damaged, or of a newer schema.
    """
    import h5py

    with explained(path, "cannot be read", "check the path, and that you may read it"), open(path, "rb") as begin:
        if begin.read(len(_SIGNATURE)) != _SIGNATURE:
            raise StoreError(f"{path} is not an HDF5 file: give the path of a chain file of ebmlab")
    try:
        with h5py.File(path, "r") as source:
            description, draws, checkpoint = parse(source, path)
            groups = [(name, variable.group) for name, variable in description.variables.items()]
            tables = {name: _table(source[group][name], source["checksums"][name][...]) for name, group in groups}
            file = os.dup(source.id.get_vfd_handle())  # this very file, whatever takes its path meanwhile
            return ChainFile(file, path, description, draws, checkpoint, tables)
    except StoreError:
        raise
    except Exception as error:  # damaged names and sizes can make HDF5 and numpy raise anything
        raise StoreError(f"{path} is truncated or damaged ({error}): restore it from a copy") from error


def _table(dataset: h5py.Dataset, checksums: np.ndarray) -> ChunkTable:
    """Ask HDF5 once where each chunk lies."""
    chunk_chains, chunk_draws = dataset.chunks[:2] if dataset.chunks else (dataset.shape[0], 0)
    offsets, sizes = np.zeros(checksums.shape, np.int64), np.zeros(checksums.shape, np.int64)
    for block, part in np.ndindex(*checksums.shape):
        corner = (block * chunk_chains, part * chunk_draws) + (0,) * (dataset.ndim - 2)
        info = dataset.id.get_chunk_info_by_coord(corner)
        offsets[block, part], sizes[block, part] = info.byte_offset, info.size
    return ChunkTable(chunk_chains, chunk_draws, offsets, sizes, checksums)
