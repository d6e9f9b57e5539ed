"""Products of a matrix with the vectors of a few chains: those of numpy, and of every vector by itself."""

import numpy as np
import pytest
from numba import njit

from samplers.inner import OPTIONS
from samplers.small_products import BYTES, add_product


@njit(**OPTIONS)
def _add(matrix, rows, width, vectors, length, out, chains):
    add_product(matrix, rows, width, vectors, length, out, chains)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_in_blocks_are_those_of_numpy_and_of_each_chain_alone(dtype: type) -> None:
    rng, register = np.random.default_rng(4), BYTES // np.dtype(dtype).itemsize
    for rows, registers, length in [(1, 1, 1), (5, 2, 9), (31, 3, 31), (16, 11, 40)]:
        width = registers * register
        matrix = rng.normal(size=(rows, width)).astype(dtype)
        for chains in (8, 16):
            vectors = rng.normal(size=(chains, length)).astype(dtype)
            vectors[:, rows:] = np.nan  # of what lies beyond the rows nothing is read
            begin = rng.normal(size=(chains, width)).astype(dtype)
            out, alone = begin.copy(), begin.copy()
            _add(matrix.ravel(), rows, width, vectors.ravel(), length, out.reshape(-1), chains)
            exact = begin + vectors[:, :rows].astype(float) @ matrix.astype(float)
            np.testing.assert_allclose(out, exact, rtol=0, atol=8 * rows * np.finfo(dtype).eps)
            for c in range(chains):
                _add(matrix.ravel(), rows, width, vectors[c], length, alone[c], 1)
            assert np.array_equal(out, alone)
