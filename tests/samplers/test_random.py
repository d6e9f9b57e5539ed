"""Random numbers: the words are xoshiro256++'s own, uniform and normal numbers have their laws, streams are apart."""

import math

import numpy as np
import pytest
from laws import ALPHA, chi_square_p, mean_p
from numba import njit
from scipy import stats

from samplers import random

N = 2_000_000
MASK = (1 << 64) - 1


@njit
def _words(streams, out):
    for chain in range(out.shape[0]):
        stream = random.load(streams, chain)
        for i in range(out.shape[1]):
            out[chain, i], stream = random.bits64(stream)
        random.save(streams, chain, stream)


@njit
def _normals(streams, out):
    for chain in range(out.shape[0]):
        stream = random.load(streams, chain)
        for i in range(out.shape[1]):
            out[chain, i], stream = random.normal(stream)
        random.save(streams, chain, stream)


@njit
def _uniforms(streams, out):
    for chain in range(out.shape[0]):
        stream = random.load(streams, chain)
        for i in range(out.shape[1]):
            out[chain, i], stream = random.uniform(stream)
        random.save(streams, chain, stream)


@njit
def _below(n, streams, out):
    stream = random.load(streams, 0)
    for i in range(out.shape[0]):
        out[i], stream = random.below(n, stream)


@pytest.fixture(scope="module")
def normals() -> np.ndarray:
    """Normal numbers (2, N) from two streams."""
    out = np.empty((2, N))
    _normals(random.make_streams(5, 2), out)
    return out


def _xoshiro(state: list[int], count: int) -> list[int]:
    """The published algorithm (Blackman and Vigna 2021) in plain integers."""

    def rotate(word: int, bits: int) -> int:
        return (word << bits | word >> 64 - bits) & MASK

    words, s = [], list(state)
    for _ in range(count):
        words.append((rotate((s[0] + s[3]) & MASK, 23) + s[0]) & MASK)
        t = s[1] << 17 & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 45)
    return words


def test_words_are_those_of_the_published_generator() -> None:
    # With the state 1, 2, 3, 4 the generator's authors and other libraries give 41943041, 58720359, ...
    out = np.empty((1, 4), np.uint64)
    _words(np.array([[1, 2, 3, 4]], np.uint64), out)
    assert out[0].tolist() == [41943041, 58720359, 3588806011781223, 3591011842654386]
    streams = random.make_streams(3, 2)
    begin, out = streams.copy(), np.empty((2, 100), np.uint64)
    _words(streams, out)
    for chain in range(2):
        assert out[chain].tolist() == _xoshiro(begin[chain].tolist(), 100)
    assert not (streams == begin).all()


def test_every_bit_of_a_word_is_fair() -> None:
    out = np.empty((1, 200_000), np.uint64)
    _words(random.make_streams(1, 1), out)
    for bit in range(64):
        ones = int((out >> np.uint64(bit) & np.uint64(1)).sum())
        assert stats.binomtest(ones, out.size).pvalue > ALPHA / 64


def test_normals_have_the_moments_of_a_normal_law(normals: np.ndarray) -> None:
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0), (5, 0.0), (6, 15.0), (8, 105.0)):
        assert mean_p(normals[0] ** power, moment) > ALPHA


def test_normals_have_the_normal_law_in_the_middle_and_in_the_tails(normals: np.ndarray) -> None:
    edges = stats.norm.ppf(np.linspace(0.0, 1.0, 401))
    assert chi_square_p(np.histogram(normals, edges)[0], np.full(400, 1 / 400)) > ALPHA
    assert stats.kstest(normals[0, ::4], "norm").pvalue > ALPHA
    # Bins around the edges of layers, and beyond the last layer, where another method draws.
    tail = np.array(
        [0.0, 0.2, 1.0, 2.0, 2.8, 3.2, 3.4, 3.55, 3.62, 3.6541528853610088, 3.69, 3.75, 3.85, 4.0, 4.2, 9.0]
    )
    p = np.diff(stats.norm.cdf(tail))
    for sign in (-1.0, 1.0):
        inside = sign * normals.ravel()
        counts = np.histogram(inside, tail)[0]
        assert chi_square_p(np.r_[counts, normals.size - counts.sum()], np.r_[p, 1.0 - p.sum()]) > ALPHA
    beyond = np.abs(normals[np.abs(normals) > tail[9]])
    law = stats.norm.sf(beyond) / stats.norm.sf(tail[9])
    assert len(beyond) > 800 and stats.kstest(law, "uniform").pvalue > ALPHA


def test_layers_of_the_ziggurat_have_equal_areas_and_end_at_the_top() -> None:
    edge = random._SCALE * 2.0**52  # pyright: ignore[reportPrivateUsage]
    density = random._DENSITY  # exp(-x^2/2) at each edge
    assert edge[1] == pytest.approx(3.6541528853610088)
    area = edge[1:] * np.diff(density[1:])
    np.testing.assert_allclose(area, area[0], rtol=1e-9)
    base = edge[1] * density[1] + math.sqrt(math.pi / 2) * math.erfc(edge[1] / math.sqrt(2))
    assert base == pytest.approx(area[0], rel=1e-9)
    assert density[-1] == pytest.approx(1.0)


def test_consecutive_normals_and_their_layers_are_independent(normals: np.ndarray) -> None:
    x = normals[0]
    for lag in (1, 2, 5):
        assert mean_p(x[:-lag] * x[lag:], 0.0) > ALPHA
        assert mean_p((x[:-lag] ** 2 - 1.0) * (x[lag:] ** 2 - 1.0), 0.0) > ALPHA
    signs, sizes = np.sign(x), np.abs(x)
    assert mean_p(signs * (sizes - sizes.mean()), 0.0) > ALPHA


def test_streams_of_chains_are_apart(normals: np.ndarray) -> None:
    assert mean_p(normals[0] * normals[1], 0.0) > ALPHA
    streams = random.make_streams(7, 3000)
    assert len(np.unique(streams, axis=0)) == 3000
    assert not (streams == 0).all(1).any()
    out = np.empty((3000, 1))
    _uniforms(streams, out)
    assert stats.kstest(out.ravel(), "uniform").pvalue > ALPHA
    u = out.ravel()
    assert mean_p((u[:-1] - 0.5) * (u[1:] - 0.5), 0.0) > ALPHA


def test_uniform_numbers_are_uniform_and_below_one() -> None:
    out = np.empty((1, N))
    _uniforms(random.make_streams(2, 1), out)
    assert out.min() >= 0.0 and out.max() < 1.0
    assert chi_square_p(np.histogram(out, 1000, (0, 1))[0], np.full(1000, 1e-3)) > ALPHA
    fine = out[0] * 2.0**20 % 1.0  # bits that a number of 32 bits would not have
    assert chi_square_p(np.histogram(fine, 64, (0, 1))[0], np.full(64, 1 / 64)) > ALPHA
    finest = out[0] * 2.0**48 % 1.0
    assert chi_square_p(np.bincount((finest * 32).astype(int), minlength=32), np.full(32, 1 / 32)) > ALPHA


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 1000])
def test_integers_below_n_are_equally_likely(n: int) -> None:
    out = np.empty(300_000, np.int64)
    _below(n, random.make_streams(n, 1), out)
    assert out.min() >= 0 and out.max() < n
    assert chi_square_p(np.bincount(out, minlength=n), np.full(n, 1 / n)) > ALPHA


def test_the_largest_uniform_number_stays_below_n() -> None:
    largest = 1.0 - 2.0**-53
    for n in (1, 2, 3, 5, 7, 2**20 + 1, 2**31 - 1, 2**31):
        assert int(largest * n) == n - 1


def test_the_same_seed_gives_the_same_streams_and_another_seed_others() -> None:
    assert np.array_equal(random.make_streams(4, 5), random.make_streams(4, 5))
    assert np.array_equal(
        random.make_streams(4, 5), random.make_streams(4, 9)[:5]
    )  # more chains change none of the first
    assert not np.isin(random.make_streams(4, 50), random.make_streams(5, 50)).any()
    assert random.fresh_entropy() != random.fresh_entropy()
