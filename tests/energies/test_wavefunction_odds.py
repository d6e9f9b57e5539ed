"""Flips of eight chains of a wavefunction at once: the decisions of the chains one by one, and the exact step law."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from laws import ALPHA, chi_square_p

import ebm
import samplers
from samplers import flips, random
from samplers.initial import initial

RNG = np.random.default_rng(17)


def _psi(n: int, m: int, scale: float, shift: float = 0.0) -> ebm.RBMWaveFunction:
    W, a, b = (scale * RNG.normal(size=shape) for shape in ((n, m), n, m))
    return ebm.RBMWaveFunction(W, a, b + shift)


def _run(psi: ebm.RBMWaveFunction, x: np.ndarray, draws: int, move: str = "single", beta: float = 1.0) -> tuple:
    """Draws, acceptances and the state after them, of chains that begin at x."""
    sampler, chains = samplers.Metropolis(move), len(x)
    state = {"x": x.copy(), "beta": np.full(chains, beta), "stream": random.make_streams(2, chains)}
    sampler.start(psi, state)
    out = np.empty((chains, draws, x.shape[1]), np.int8)
    acceptance = sampler.advance(psi, state, sampler.settings(psi, 0), draws, 3, out)
    return out, acceptance, state


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A switch: `setattr(flips, "FEWEST", ...)` of this decides whether chains go in groups of eight."""
    return monkeypatch


@pytest.fixture
def threads() -> Iterator[None]:
    before = samplers.get_threads()
    yield
    samplers.set_threads(before)


WEAK, BEYOND = _psi(7, 40, 0.3), _psi(9, 100, 0.05, shift=3.0)  # products up to 1e9, and some above 1e150
PSI = {"weak": WEAK, "three units": _psi(6, 3, 1.0), "large products": BEYOND, "strong": _psi(6, 9, 8.0)}


@pytest.mark.parametrize("chains", [16, 21])
@pytest.mark.parametrize("name", PSI)
def test_eight_at_once_decide_as_one_by_one(name: str, chains: int, one_by_one: pytest.MonkeyPatch) -> None:
    psi = PSI[name]
    x = initial(psi, chains, 1)
    together, rates, state = _run(psi, x, 70)  # 210 sweeps: caches are filled anew in between
    assert flips.fits(psi, state)
    one_by_one.setattr(flips, "FEWEST", 1000)
    assert not flips.fits(psi, state)
    alone, need, same = _run(psi, x, 70)
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(rates, need, rtol=1e-14)
    np.testing.assert_array_equal(state["stream"], same["stream"])
    samplers.Metropolis().start(psi, same)
    m = psi.W.shape[1]
    np.testing.assert_allclose(state["cache"][:, :m], same["cache"][:, :m], rtol=1e-11)  # exp(2 theta)


def test_large_products_are_large_and_flips_still_happen() -> None:
    _, acceptance, state = _run(BEYOND, initial(BEYOND, 16, 1), 20)
    product = np.log1p(np.exp(2.0 * (state["x"] @ BEYOND.W + BEYOND.b))).sum(1)
    assert (product > np.log(1e150)).all() and 0.1 < acceptance.mean() / 3.0 < 0.9


def test_bits_do_not_depend_on_threads(threads: None) -> None:
    x = initial(WEAK, 21, 1)
    samplers.set_threads(1)
    one, rates, state = _run(WEAK, x, 40)
    samplers.set_threads(3)
    three, same_rates, same = _run(WEAK, x, 40)
    np.testing.assert_array_equal(one, three)
    np.testing.assert_array_equal(rates, same_rates)
    for name, array in state.items():
        np.testing.assert_array_equal(array, same[name])


def _exact_step(psi: ebm.RBMWaveFunction, states: np.ndarray) -> np.ndarray:
    """The matrix of one sweep: at site after site a flip is accepted with min(1, |psi(s')|^2 / |psi(s)|^2)."""
    p = np.exp(2.0 * psi.log_psi(states))
    matrix = np.eye(len(states))
    for site in range(states.shape[1]):
        step = np.zeros_like(matrix)
        for i, s in enumerate(states):
            flipped = s.copy()
            flipped[site] *= -1
            j = int(np.flatnonzero((states == flipped).all(1))[0])
            step[i, j] = min(1.0, p[j] / p[i])
            step[i, i] = 1.0 - step[i, j]
        assert np.allclose(p[:, None] * step, (p[:, None] * step).T, rtol=1e-12)  # detailed balance at each site
        matrix = matrix @ step
    return matrix


@pytest.mark.parametrize("psi", [_psi(3, 5, 0.4), _psi(3, 120, 0.04, shift=2.5)], ids=["weak", "large products"])
def test_one_sweep_is_its_exact_matrix(psi: ebm.RBMWaveFunction) -> None:
    states = np.array(list(itertools.product((-1, 1), repeat=3)), np.int8)
    matrix, chains = _exact_step(psi, states), 20_003
    for begin in (0, 3, 6):
        sampler = samplers.Metropolis()
        x = np.repeat(states[begin : begin + 1], chains, axis=0)
        state = {"x": x, "beta": np.ones(chains), "stream": random.make_streams(begin, chains)}
        sampler.start(psi, state)
        assert flips.fits(psi, state)
        sampler.advance(psi, state, sampler.settings(psi, 0), 1, 1)
        found = np.bincount((state["x"] > 0) @ (4, 2, 1), minlength=8)
        assert chi_square_p(found, matrix[begin]) > ALPHA


@pytest.mark.parametrize(
    ("psi", "move", "beta"),
    [
        (WEAK, "exchange", 1.0),
        (WEAK, "single", 0.7),
        (_psi(4, 130, 0.1), "single", 1.0),  # two products
        (ebm.RBMWaveFunction([[0.1], [0.2]], a=[200.0, 0.0]), "single", 1.0),  # exp(4 a) is no number
        (ebm.RBMWaveFunction([[90.0], [0.2]]), "single", 1.0),
    ],
)
def test_what_lanes_cannot_move_goes_one_by_one(
    psi: ebm.RBMWaveFunction, move: str, beta: float, one_by_one: pytest.MonkeyPatch
) -> None:
    x = initial(psi, 24, 3)
    found, _, _ = _run(psi, x, 20, move, beta)
    one_by_one.setattr(flips, "FEWEST", 1000)
    alone, _, _ = _run(psi, x, 20, move, beta)
    np.testing.assert_array_equal(found, alone)
    if move == "exchange":
        assert (found.sum(2) == x.sum(1)[:, None]).all() and (found[:, -1] != x).any()
