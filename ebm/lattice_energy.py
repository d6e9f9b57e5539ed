"""Energies of periodic lattices with one coupling: sums over neighbours along each axis, without a table of bonds."""

from collections.abc import Callable

import numpy as np
from numba import int32, njit

from samplers.inner import OPTIONS
from samplers.sampler import over_chains


def sum_of_bonds(x: np.ndarray, products: bool = True) -> np.ndarray:
    """Return the sum over bonds of s s', or of delta(s, s') if not of products, (n,), for sites x (n, *shape).

    Each site is bound to the next one along each axis, once; an axis of side 1 has no bonds.
    """
    total = np.zeros(len(x), np.int64)
    add = _add_products if products else _add_equal
    for axis in range(1, x.ndim):
        side, inner = x.shape[axis], int(np.prod(x.shape[axis + 1 :]))
        if side > 1:
            _over_chains(add, x.reshape(len(x), int(np.prod(x.shape[1:axis])), side * inner), inner, total)
    return total


def _over_chains(add: Callable, blocks: np.ndarray, inner: int, total: np.ndarray) -> None:
    over_chains(lambda rows: add(blocks[rows], inner, total[rows]), len(total), blocks.size)


@njit(cache=True, **OPTIONS)
def _add_products(blocks, inner, total):
    for n in range(blocks.shape[0]):
        for block in range(blocks.shape[1]):
            row, length, part = blocks[n, block], blocks.shape[2] - inner, int32(0)
            for k in range(length):
                part += int32(row[k]) * int32(row[k + inner])
            for k in range(inner):  # around the end
                part += int32(row[length + k]) * int32(row[k])
            total[n] += part


@njit(cache=True, **OPTIONS)
def _add_equal(blocks, inner, total):
    for n in range(blocks.shape[0]):
        for block in range(blocks.shape[1]):
            row, length, part = blocks[n, block], blocks.shape[2] - inner, int32(0)
            for k in range(length):
                part += int32(row[k] == row[k + inner])
            for k in range(inner):
                part += int32(row[length + k] == row[k])
            total[n] += part
