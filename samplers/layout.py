"""How the draws of a run become bytes: variables, bit packing and the grid of chunks.

A variable is an array with axes (chain, draw, ...). On disk it is cut along the draws into chunks of a length that
depends on the variable alone, never on the blocks in which a run appended it. A spin takes one bit.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

CHUNK_BYTES = 512 * 1024
BIT_ORDER = "numpy.packbits over the sites in C order, the first site in the highest bit"
PACKINGS: dict[str, str] = {
    "raw": "values as they are",
    "gzip": "values as they are, compressed by the HDF5 filters shuffle and gzip",
    "spin": f"one bit a site: 1 is +1 and 0 is -1 ({BIT_ORDER})",
    "binary": f"one bit a site: 1 is 1 and 0 is 0 ({BIT_ORDER})",
}


class StoreError(OSError):
    """A chain file cannot be read or written; the message names the path and what to do."""


class Variable(NamedTuple):
    """One recorded quantity: its HDF5 group, and the dtype, shape and packing of one draw of one chain.

    Args:
        group: "posterior" (configurations and observables) or "sample_stats" (energy, acceptance and the like), or
            "tempering" (the rungs of a temperature ladder).
        dtype: bool, integer or real dtype; int8 for the packings "spin" and "binary".
        shape: shape of one draw of one chain, () for a scalar.
        packing: "raw", "gzip" (shuffle and gzip level 1), "spin" (-1, +1 to bits) or "binary" (0, 1 to bits).

    Example:
        >>> Variable("posterior", np.dtype(np.int8), (10, 10), "spin").stored_shape
        (13,)
    """

    group: str
    dtype: np.dtype
    shape: tuple[int, ...]
    packing: str

    @property
    def in_bits(self) -> bool:
        """Whether a site takes one bit."""
        return self.packing in ("spin", "binary")

    @property
    def stored_dtype(self) -> np.dtype:
        """Dtype on disk; bool becomes int8, as xarray and ArviZ keep it in netCDF."""
        if self.in_bits:
            return np.dtype(np.uint8)
        return np.dtype(np.int8) if self.dtype == np.bool_ else self.dtype.newbyteorder("<")

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Shape on disk of one draw of one chain."""
        return (-(-math.prod(self.shape) // 8),) if self.in_bits else self.shape

    @property
    def stored_bytes(self) -> int:
        """Bytes on disk of one draw of one chain, before compression."""
        return math.prod(self.stored_shape) * self.stored_dtype.itemsize


class Chunk(NamedTuple):
    """A block of chains x draws of one variable, with its first chain and first draw."""

    chain: int
    draw: int
    chains: int
    draws: int


def pack(name: str, variable: Variable, values: np.ndarray) -> np.ndarray:
    """Turn values (chains, draws, *shape) into what is stored, (chains, draws, *stored_shape).

    Raises:
        ValueError: a value that one bit cannot hold.
    """
    if not variable.in_bits:
        stored = np.ascontiguousarray(values)
        return stored.view(np.int8) if values.dtype == np.bool_ else stored.astype(variable.stored_dtype, copy=False)
    lowest = -1 if variable.packing == "spin" else 0
    if values.size and (values.min() < lowest or values.max() > 1 or (lowest == -1 and not values.all())):
        needed = "-1 and +1" if lowest == -1 else "0 and 1"
        raise ValueError(f"{name} must hold only {needed}, got {np.setdiff1d(values, (lowest, 1))[0]}")
    sites = values.reshape(*values.shape[:2], math.prod(variable.shape))
    return np.packbits(sites > 0, axis=-1)


def unpack(variable: Variable, stored: np.ndarray) -> np.ndarray:
    """Turn stored (chains, draws, *stored_shape) back into values (chains, draws, *shape)."""
    if not variable.in_bits:
        return stored.view(np.bool_) if variable.dtype == np.bool_ else stored.astype(variable.dtype, copy=False)
    bits = np.unpackbits(stored, axis=-1, count=math.prod(variable.shape)).view(np.int8)
    if variable.packing == "spin":
        bits *= 2
        bits -= 1
    return bits.reshape(*stored.shape[:2], *variable.shape)


def chunk_shape(variable: Variable, chains: int, draws: int) -> tuple[int, int]:
    """Number of chains and draws of one chunk: as near to CHUNK_BYTES as whole draws allow.

    A file shorter than one chunk has a shorter one, since HDF5 stores whole chunks only.
    """
    fitting = (n for n in range(chains, 0, -1) if chains % n == 0 and n * variable.stored_bytes <= CHUNK_BYTES)
    chunk_chains = next(fitting, 1)
    full_length = max(1, CHUNK_BYTES // (chunk_chains * variable.stored_bytes))
    return chunk_chains, min(full_length, draws)


def chunk_grid(variable: Variable, chains: int, draws: int) -> Iterator[Chunk]:
    """Go through the chunks of a variable, draw by draw and within it chain by chain."""
    if draws:
        chunk_chains, chunk_draws = chunk_shape(variable, chains, draws)
        for draw in range(0, draws, chunk_draws):
            for chain in range(0, chains, chunk_chains):
                yield Chunk(chain, draw, chunk_chains, chunk_draws)


def encode(variable: Variable, stored: np.ndarray, chunk_draws: int) -> bytes:
    """Turn stored values of one chunk into its bytes in the file; the end of the last chunk is filled with zeros."""
    missing = chunk_draws - stored.shape[1]
    if missing:
        stored = np.concatenate((stored, np.zeros_like(stored, shape=(len(stored), missing, *stored.shape[2:]))), 1)
    if variable.packing != "gzip":
        return stored.tobytes()
    shuffled = stored.reshape(-1, 1).view(np.uint8).T  # (itemsize, values), as HDF5's shuffle filter does
    return zlib.compress(shuffled.tobytes(), 1)


def decode(variable: Variable, data: bytes, chunk_chains: int, chunk_draws: int) -> np.ndarray:
    """Turn a chunk's bytes in the file back into stored values (chunk_chains, chunk_draws, *stored_shape)."""
    if variable.packing == "gzip":
        shuffled = np.frombuffer(zlib.decompress(data), np.uint8).reshape(variable.stored_dtype.itemsize, -1)
        data = shuffled.T.tobytes()
    values = np.frombuffer(data, variable.stored_dtype)
    return values.reshape(chunk_chains, chunk_draws, *variable.stored_shape)
