"""Every exact sampler leaves every energy's law as it is: chains that start at p are still at p after a few sweeps."""

import numpy as np
import pytest
from laws import (
    ALPHA,
    DISCRETE,
    DISCRETE_SAMPLERS,
    PLANES,
    QUICK_COMPILED,
    ArrayTier,
    chi_square_p,
    count_states,
    exact_points,
    exact_states,
    fits,
    plane_p,
    plane_samplers,
)

import samplers
from ebm import exact

N = 12_000
BETAS = (1.0, 0.6)
PAIRS = [(e, s) for e in DISCRETE for s in DISCRETE_SAMPLERS if fits(DISCRETE_SAMPLERS[s], DISCRETE[e])]
PLANE_PAIRS = [(e, s) for e, plane in PLANES.items() for s in plane_samplers(plane)]


def _moved(energy: object, sampler: samplers.Sampler, beta: float, begin: np.ndarray, sweeps: int) -> np.ndarray:
    """End states (n, *shape) of one chain from each row of `begin`."""
    chains = samplers.sample(
        energy,
        sampler,
        chains=len(begin),
        draws=1,
        warmup=0,
        thin=sweeps,
        beta=beta,
        init=begin,
        seed=5,
        progress=False,
    )
    assert np.isfinite(chains.acceptance).all()
    return chains.x[:, 0]


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("name", "by"), PAIRS)
def test_discrete_law_stays(name: str, by: str, beta: float) -> None:
    energy = DISCRETE[name]
    begin = exact_states(energy, beta, N, seed=3)
    end = _moved(energy, DISCRETE_SAMPLERS[by], beta, begin, 5)
    assert chi_square_p(count_states(end, energy), exact.probabilities(energy, beta)) > ALPHA
    flat, was = end.reshape(N, -1), begin.reshape(N, -1)
    assert (flat != was).any(1).mean() > 0.02  # it does move
    if by == "exchange":
        assert np.array_equal(np.sort(flat, axis=1), np.sort(was, axis=1))


def test_an_exact_start_is_exact() -> None:
    for beta in BETAS:
        energy, plane = DISCRETE["potts 3"], PLANES["muller-brown"]
        states = count_states(exact_states(energy, beta, N, seed=1), energy)
        assert chi_square_p(states, exact.probabilities(energy, beta)) > ALPHA
        assert plane_p(plane, beta, exact_points(plane, beta, N, seed=1)) > ALPHA


def test_the_chi_square_has_its_rate_and_its_power() -> None:
    p = np.r_[np.full(50, 0.018), np.full(1000, 1e-4)]
    rng = np.random.default_rng(8)
    values = np.array([chi_square_p(rng.multinomial(N, p), p) for _ in range(2000)])
    assert _uniform(values)
    wrong = p * np.where(np.arange(len(p)) % 2, 1.15, 0.85)
    assert chi_square_p(rng.multinomial(N, wrong / wrong.sum()), p) < ALPHA


def _uniform(p: np.ndarray) -> bool:
    """Whether p-values are uniform, in ten bins."""
    return chi_square_p(np.histogram(p, 10, (0, 1))[0], np.full(10, 0.1)) > ALPHA


def _test_plane(name: str, by: str, beta: float, compiled: bool) -> None:
    plane = PLANES[name]
    begin = exact_points(plane, beta, N, seed=3)
    energy = plane.energy if compiled or by == "gibbs" else ArrayTier(plane.energy)
    end = _moved(energy, plane_samplers(plane)[by], beta, begin, 10)
    assert plane_p(plane, beta, end) > ALPHA
    assert (end != begin).any() and np.abs(end - begin).max() > 0.1
    if plane.energy.domain == "angle":
        assert (np.abs(end) <= np.pi).all()
        turn = end.reshape(N, -1)[:, -1]
        assert chi_square_p(np.histogram(turn, 20, (-np.pi, np.pi))[0], np.full(20, 0.05)) > ALPHA


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("name", "by"), PLANE_PAIRS)
def test_continuous_law_stays(name: str, by: str, beta: float) -> None:
    _test_plane(name, by, beta, compiled=name in QUICK_COMPILED)


@pytest.mark.slow
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("name", "by"), [pair for pair in PLANE_PAIRS if pair[0] not in QUICK_COMPILED])
def test_continuous_law_stays_in_the_compiled_tier(name: str, by: str, beta: float) -> None:
    _test_plane(name, by, beta, compiled=True)


@pytest.mark.parametrize(("name", "by"), [pair for pair in PLANE_PAIRS if pair[1] != "gibbs"])
def test_steps_of_these_tests_are_neither_always_accepted_nor_never(name: str, by: str) -> None:
    plane = PLANES[name]
    energy = plane.energy if name in QUICK_COMPILED else ArrayTier(plane.energy)
    begin = exact_points(plane, 1.0, 2000, seed=3)
    chains = samplers.sample(
        energy, plane_samplers(plane)[by], chains=2000, draws=1, warmup=0, init=begin, seed=1, progress=False
    )
    assert 0.25 < chains.acceptance.mean() < 0.93
