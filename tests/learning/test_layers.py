"""The passes between matrix products against plain twins, and the limit of BLAS to one thread."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.special import expit

from ebm import products
from ebm.contrastive import PersistentCD
from ebm.layers import draw_units, reweight, softplus_rows, store_units, weighted_logistic
from ebm.rbm import RBM
from samplers import random
from samplers.blocks import SamplingError

MASK = 2**64 - 1
# Where exponentials overflow, where one outcome is rarer than a 32-bit number can say, and all between.
GRID = np.concatenate([np.linspace(-100, 100, 401), np.linspace(-30, 30, 800), [0.0, -0.0, 1e-30, -1e-30]])


def rotate(word: int, bits: int) -> int:
    return ((word << bits) | (word >> (64 - bits))) & MASK


def plain_uniforms(streams: np.ndarray, n: int) -> np.ndarray:
    """The uniform numbers of a layer, written out: one xoshiro256++ word a row, spread by SplitMix64."""
    rows = np.empty((len(streams), n))
    for row, (a, _, _, d) in zip(rows, streams.tolist(), strict=True):
        key = (rotate((a + d) & MASK, 23) + a) & MASK
        for j in range(0, n, 2):
            z = (key + (j // 2 + 1) * 0x9E3779B97F4A7C15) & MASK
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
            z ^= z >> 31
            row[j : j + 2] = [z & 0xFFFFFFFF, z >> 32][: n - j]
    return rows / 2.0**32


def activations(rows: int, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    units = np.stack([rng.permutation(GRID) for _ in range(rows)]).astype(dtype)
    return units, rng.standard_normal(len(GRID)).astype(dtype), rng.uniform(0.2, 2.0, rows)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_units_are_those_of_a_plain_loop(dtype):
    units, bias, scale = activations(200, dtype)
    streams = random.make_streams(4, len(units))
    u, before = plain_uniforms(streams, units.shape[1]), streams.copy()
    a = (scale.astype(np.float32)[:, None] * (units + bias).astype(np.float32)).astype(np.float64)
    rare = expit(-np.abs(a))
    draw_units(units, bias, scale, streams)
    differ = units != ((u < rare) != (a > 0))
    # A uniform may fall on either side of a threshold only within the stated distance of it.
    assert (np.abs(u - rare)[differ] <= 2.0**-32 + 2.0**-20 * rare[differ]).all()
    assert np.count_nonzero(differ) < 10 and set(np.unique(units)) == {0.0, 1.0}
    assert (streams != before).any(1).all()


def test_nan_is_seen_and_infinity_is_certain():
    units = np.array([[0.0, np.nan, 3.0], [np.inf, -np.inf, np.inf]], np.float32)
    draw_units(units, np.zeros(3, np.float32), np.ones(2), random.make_streams(1, 2))
    assert np.isnan(units[0]).tolist() == [False, True, False] and units[1].tolist() == [1, 0, 1]
    x = np.zeros((2, 3), np.int8)
    assert store_units(units[1:], x[1:]) == -1 and x.tolist() == [[0, 0, 0], [1, 0, 1]]
    assert store_units(units[::-1].copy(), x) == 1


def test_persistent_chains_say_that_an_activation_is_nan():
    rbm, objective = RBM(20, 10, seed=0), PersistentCD(chains=100)
    state = objective.start(rbm, None, 50, 1)
    rbm.b[-1] = np.nan
    with pytest.raises(SamplingError, match="got NaN in chain 0"):
        objective.gradient(rbm, np.zeros((50, 20), np.int8), state, None)


@pytest.mark.parametrize("name", ["W", "b", "c"])
def test_block_gibbs_says_that_an_activation_is_nan(name):
    rbm, x = RBM(20, 10, seed=0), np.zeros((300, 20), np.int8)
    getattr(rbm, name)[-1] = np.nan
    with pytest.raises(SamplingError, match="got NaN in chain"):
        rbm.block_gibbs(x, np.ones(300), random.make_streams(1, 300), 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weighted_probabilities_are_logistic(dtype):
    units, bias, _ = activations(20, dtype)
    weight = np.linspace(-1, 1, 20).astype(dtype)
    need = weight[:, None] * expit(units.astype(float) + bias)
    weighted_logistic(units, bias, weight)
    np.testing.assert_allclose(units, need, rtol=1e-14 + 2 * np.finfo(dtype).eps, atol=1e-40)


def test_sums_of_softplus_and_their_differences_are_exact():
    units, bias, scale = activations(20, "float64")
    a, out, gathered = units + bias, np.empty(20), np.full(20, 0.5)
    softplus_rows(a, scale, out)
    np.testing.assert_allclose(out, np.logaddexp(0, scale[:, None] * a).sum(1), rtol=1e-13)
    reweight(units, bias, 0.3, 0.7, gathered)
    need = (np.logaddexp(0, 0.7 * a) - np.logaddexp(0, 0.3 * a)).sum(1)
    np.testing.assert_allclose(gathered, 0.5 + need, rtol=1e-13)


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in products._blas().info() if library["user_api"] == "blas"}


@pytest.fixture
def two_blas_threads() -> Iterator[None]:
    products._take_control()
    with products._blas().limit(limits=2, user_api="blas"):
        yield
        products._take_control()


def test_blas_stays_on_one_thread_until_the_last_has_left(two_blas_threads):
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with products.one_blas_thread():
            inside.set()
            leave.wait()

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with products.one_blas_thread():
        leave.set()
        thread.join()
        assert blas_threads() == {1}
    assert blas_threads() == {2}


def test_every_thread_can_limit_blas(two_blas_threads):
    seen = []

    def look() -> None:
        with products.one_blas_thread():
            seen.append(blas_threads())

    look()  # were a thread kept from it, then one that comes after another which lives on
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [{1}, {1}] and blas_threads() == {2}
