"""Physical limits, measured beside what they limit: random words, matrix products, memory copies; two threads each."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit
from threadpoolctl import threadpool_limits
from timing import Side

from samplers.inner import OPTIONS
from samplers.random import bits64, make_streams
from samplers.small_products import add_product

THREADS = os.cpu_count() or 1
LANES, WORDS = 64, 8


@njit(cache=True, nogil=True, error_model="numpy")
def _random_words(states, out, rounds):
    """Fill `out` (n WORDS, LANES) over and over from xoshiro256++ generators, each in registers for WORDS words.

    The number of generators is taken from the array: a loop of known length would be unrolled and not vectorised.
    """
    for _ in range(rounds):
        for begin in range(0, out.shape[0], WORDS):
            for lane in range(states.shape[1]):
                stream = states[0, lane], states[1, lane], states[2, lane], states[3, lane]
                for k in range(WORDS):
                    out[begin + k, lane], stream = bits64(stream)
                states[0, lane], states[1, lane], states[2, lane], states[3, lane] = stream


def _on_all_threads(part: Callable[[int], None], threads: int = THREADS) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(part, range(threads)))


def random_words(threads: int = THREADS) -> Side:
    """64-bit random words a second, written to a buffer that stays in the first-level cache."""
    states = [np.ascontiguousarray(make_streams(k, LANES).T) for k in range(threads)]
    buffers = [np.empty((4 * WORDS, LANES), np.uint64) for _ in range(threads)]

    def work(n: int) -> float:
        _on_all_threads(lambda k: _random_words(states[k], buffers[k], 1000 * n), threads)
        return 1000.0 * n * buffers[0].size * threads

    return Side("random 64-bit words", work)


def sfc64() -> Side:
    """64-bit words a second of numpy's fastest generator, as uniform float64."""
    generators = [np.random.Generator(np.random.SFC64(k)) for k in range(THREADS)]
    buffers = [np.empty(2048) for _ in range(THREADS)]

    def part(k: int, n: int) -> None:
        for _ in range(1000 * n):
            generators[k].random(out=buffers[k])

    def work(n: int) -> float:
        _on_all_threads(lambda k: part(k, n))
        return 1000.0 * n * 2048 * THREADS

    return Side("numpy SFC64 words", work)


def products(shapes: list[tuple[int, int, int]], units: float) -> list[Side]:
    """The bare float32 products (n, k) @ (k, m); `units` are done by all of them.

    By numpy's BLAS, by torch's, both on all cores, and by numpy with the rows shared among threads that never wait for
    each other: what a machine can do at best, and the only one that a busy machine does not slow out of proportion.
    """
    import torch

    rng = np.random.default_rng(0)
    arrays = [
        [rng.random(shape, np.float32) for shape in ((n, k), (k, m))] + [np.empty((n, m), np.float32)]
        for n, k, m in shapes
    ]
    tensors = [[torch.from_numpy(array) for array in triple] for triple in arrays]

    def by_numpy(repeats: int) -> float:
        for _ in range(repeats):
            for a, b, out in arrays:
                np.matmul(a, b, out=out)
        return repeats * units

    def by_torch(repeats: int) -> float:
        for _ in range(repeats):
            for a, b, out in tensors:
                torch.mm(a, b, out=out)
        return repeats * units

    def rows_apart(repeats: int) -> float:
        def part(thread: int) -> None:
            rows = [slice(len(a) * thread // THREADS, len(a) * (thread + 1) // THREADS) for a, _, _ in arrays]
            for _ in range(repeats):
                for (a, b, out), mine in zip(arrays, rows, strict=True):
                    np.matmul(a[mine], b, out=out[mine])

        with threadpool_limits(1, "blas"):
            _on_all_threads(part)
        return repeats * units

    names = ("numpy", "torch", "numpy, rows apart")
    return [
        Side(f"bare products ({name})", work)
        for name, work in zip(names, (by_numpy, by_torch, rows_apart), strict=True)
    ]


def multiply_adds() -> Side:
    """Multiply-adds a second of one large float32 product, the most that these cores can do: see `products`."""
    side = 1024
    return products([(side, side, side)], float(side) ** 3)[0]


@njit(cache=True, **OPTIONS)
def _small_products(matrix, vectors, out, rounds):
    for _ in range(rounds):
        add_product(matrix, vectors.shape[1], out.shape[1], vectors.reshape(-1), vectors.shape[1], out.reshape(-1), 8)


def small_multiply_adds() -> Side:
    """Multiply-adds a second of a 128 x 128 float32 matrix with eight vectors, which all stay in the caches.

    The BLAS of numpy does half as many where it does not know the widest vector registers of the processor.
    """
    side = 128
    arrays = [
        (np.ones(side**2, np.float32), np.ones((8, side), np.float32), np.zeros((8, side), np.float32))
        for _ in range(THREADS)
    ]

    def work(n: int) -> float:
        _on_all_threads(lambda k: _small_products(*arrays[k], 100 * n))
        return 100.0 * n * 8 * side**2 * THREADS

    return Side("multiply-adds of a 128 x 128 matrix", work)


def memory_copy() -> Side:
    """Bytes a second copied from one large array to another."""
    size = 2**26
    pairs = [(np.ones(size, np.uint8), np.empty(size, np.uint8)) for _ in range(THREADS)]

    def work(n: int) -> float:
        _on_all_threads(lambda k: [np.copyto(pairs[k][1], pairs[k][0]) for _ in range(n)] and None)
        return float(n * size * THREADS)

    return Side("memory copy", work)
