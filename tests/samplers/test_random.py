"""Random numbers: the words are xoshiro256++'s own, uniform and normal numbers have their laws, streams are apart."""

import math

import numpy as np
import pytest
from laws import ALPHA, chi_square_p, mean_p
from numba import njit
from scipy import stats

from samplers import random
from samplers.inner import OPTIONS
from samplers.lanes import as_lanes, lane_array

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


@njit(**OPTIONS)
def _pairs(u, words, out):
    for i in range(u.shape[0]):
        out[0, i], out[1, i] = random.normal_pair(u[i], words[i])


@njit(**OPTIONS)
def _fill(streams, out):
    """Fill rows (chains, fills, n) with normal numbers."""
    for chain in range(out.shape[0]):
        stream = random.load(streams, chain)
        for k in range(out.shape[1]):
            stream = random.fill_normal(out[chain, k], stream)
        random.save(streams, chain, stream)


@njit(**OPTIONS)
def _fill_wide(streams, out):
    _fill(as_lanes(streams), as_lanes(out))


@njit
def _below(n, streams, out):
    stream = random.load(streams, 0)
    for i in range(out.shape[0]):
        out[i], stream = random.below(n, stream)


@pytest.fixture(scope="module", params=["one by one", "in pairs"])
def normals(request: pytest.FixtureRequest) -> np.ndarray:
    """Normal numbers (2, N) from two streams, by the ziggurat or by Box and Muller."""
    out = np.empty((2, N))
    if request.param == "in pairs":
        _fill(random.make_streams(5, 2), out.reshape(2, 1, N))
    else:
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


def test_pairs_of_normals_are_box_and_mullers_of_their_uniform_numbers_out_to_the_last() -> None:
    least = 2.0**-53
    rng = np.random.default_rng(2)
    u = np.r_[
        0.0, least, 1.0 - least, 1.0 - 2 * least, 0.5, 1.0 - np.exp(-rng.uniform(12.5, 36.0, 5000)), rng.random(5000)
    ]
    u = np.floor(u * 2.0**53) * least
    words = rng.integers(0, 2**64, len(u), np.uint64)
    words[:4] = [0, MASK, MASK - 1, 1]
    out = np.empty((2, len(u)))
    _pairs(u, words, out)
    radius = np.sqrt(-2.0 * np.log1p(-u.astype(np.longdouble)))
    quarter = np.arccos(np.longdouble(0.0))
    angle = ((words >> np.uint64(11)).astype(np.longdouble) * 2.0**-52 - 1.0) * quarter
    angle = np.where(words & np.uint64(1), 2 * quarter - angle, angle)  # the last bit: mirrored, cos -> -cos
    for own, exact in zip(out, (radius * np.cos(angle), radius * np.sin(angle)), strict=True):
        assert (np.abs(own - exact) <= 2e-15 * np.maximum(radius, 1e-300)).all()
    assert np.hypot(*out[:, 2]) == pytest.approx(math.sqrt(2.0 * 53.0 * math.log(2.0)))  # 8.57: the farthest
    assert (out[:, 0] == 0.0).all() and (np.hypot(*out[:, 5:5005]) > 5.0 - 1e-12).all()
    assert {tuple(signs) for signs in np.sign(out[:, 5:]).T} == {(1, 1), (1, -1), (-1, 1), (-1, -1)}


def test_the_two_normals_of_a_pair_are_independent() -> None:
    out = np.empty((1, N // 2, 2))
    _fill(random.make_streams(6, 1), out)
    x, y = out[0].T
    for a, b in ((x, y), (x**2 - 1.0, y**2 - 1.0), (x**3 - 3.0 * x, y), (x, y**3 - 3.0 * y), (x**2 - 1.0, y)):
        assert mean_p(a * b, 0.0) > ALPHA
    cells = [np.digitize(z, stats.norm.ppf(np.linspace(0.0, 1.0, 33)[1:-1])) for z in (x, y)]
    assert chi_square_p(np.bincount(32 * cells[0] + cells[1], minlength=1024), np.full(1024, 1 / 1024)) > ALPHA


@pytest.mark.parametrize("n", [1, 2, 5])
def test_lanes_draw_what_their_chains_draw_alone(n: int) -> None:
    streams = random.make_streams(4, 8)
    wide, words = lane_array((1, 300, n)), lane_array((1, 4), np.uint64)
    words[0] = streams.T
    _fill_wide(words, wide)
    out = np.empty((8, 300, n))
    _fill(streams, out)
    assert np.array_equal(wide[0].transpose(2, 0, 1), out) and np.array_equal(words[0].T, streams)
    assert len(np.unique(out)) == out.size


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


@pytest.mark.parametrize("entropy", [0, 1, 2**32 - 1, 2**32, 3**80, 2**128, 7**90, np.int64(12)])
def test_streams_are_those_of_numpys_children(entropy: int) -> None:
    children = np.random.SeedSequence(int(entropy)).spawn(70_000)
    streams = random.make_streams(entropy, len(children))
    some = [*range(300), 65_535, 65_536, 69_999]
    assert np.array_equal(streams[some], [children[k].generate_state(4, np.uint64) for k in some])


def test_the_same_seed_gives_the_same_streams_and_another_seed_others() -> None:
    assert np.array_equal(random.make_streams(4, 5), random.make_streams(4, 5))
    assert np.array_equal(
        random.make_streams(4, 5), random.make_streams(4, 9)[:5]
    )  # more chains change none of the first
    assert not np.isin(random.make_streams(4, 50), random.make_streams(5, 50)).any()
    assert random.fresh_entropy() != random.fresh_entropy()
