"""Langevin dynamics without acceptance sample their own biased law, known in closed form on a harmonic well."""

import numpy as np
import pytest
from laws import ALPHA, PLANES, ArrayTier, exact_points, mean_p, plane_p

import ebm
import samplers
from ebm import exact

CHAINS = 20_000
CURVATURE = 1.6  # not one, so that a step counted in wrong units shows
COVARIANCE = np.diag([1.0 / CURVATURE, 0.5])
WELL = ebm.Gaussian([0.0, 0.0], COVARIANCE)
BETA = 0.7


def _end(
    sampler: samplers.Sampler, sweeps: int, variance: float, beta: float = BETA, well: object = WELL
) -> np.ndarray:
    """Positions along the first axis after some sweeps of chains that start at N(0, variance) there."""
    rng = np.random.default_rng(1)
    begin = rng.normal(size=(CHAINS, 2)) * np.sqrt([variance, 0.5 / beta])
    chains = samplers.sample(
        well, sampler, chains=CHAINS, draws=1, warmup=0, thin=sweeps, beta=beta, init=begin, seed=2, progress=False
    )
    return chains.x[:, 0, 0]


@pytest.mark.parametrize("beta", [1.0, 0.4])
@pytest.mark.parametrize("step", [0.1, 0.5, 1.0])
def test_ula_variance_is_its_biased_closed_form(step: float, beta: float) -> None:
    biased, unbiased = exact.ula_variance(step, CURVATURE, beta), 1.0 / (beta * CURVATURE)
    x = _end(samplers.Langevin(step), 60, biased, beta)
    assert mean_p(x**2, biased) > ALPHA
    assert mean_p(x, 0.0) > ALPHA
    if step >= 0.5:
        assert mean_p(x**2, unbiased) < ALPHA


def test_ula_bias_is_of_first_order_in_the_step() -> None:
    bias = []
    for step in (0.5, 0.25):
        x = _end(samplers.Langevin(step), 60, exact.ula_variance(step, CURVATURE, BETA))
        bias.append((np.mean(x**2) - 1.0 / (BETA * CURVATURE), np.std(x**2) / np.sqrt(CHAINS)))
    (coarse, error), (fine, fine_error) = bias
    # Closed form: bias(step) = step / (2 beta (1 - k step / 2)), so their ratio is 2 (1 - k/8) / (1 - k/4).
    ratio = 2.0 * (1.0 - CURVATURE / 8.0) / (1.0 - CURVATURE / 4.0)
    assert abs(coarse - ratio * fine) < 5.0 * np.hypot(error, ratio * fine_error)  # 5 sigma: alpha = 6e-7
    assert coarse > 5.0 * error and fine > 5.0 * fine_error


@pytest.mark.parametrize("sampler", [samplers.MALA(0.5, None), samplers.HMC(0.5, 3, None)])
def test_the_adjusted_samplers_have_no_bias_at_that_step(sampler: samplers.Sampler) -> None:
    # In the array tier: their loops around this energy would be compiled for this test alone.
    x = _end(sampler, 20, 1.0 / (BETA * CURVATURE), well=ArrayTier(WELL))
    assert mean_p(x**2, 1.0 / (BETA * CURVATURE)) > ALPHA


@pytest.mark.parametrize("friction", [0.3, 3.0])
def test_baoab_position_variance_is_exact_and_momentum_variance_is_its_own(friction: float) -> None:
    step = 1.1
    position, momentum = exact.baoab_variances(step, CURVATURE, BETA)
    assert position == pytest.approx(1.0 / (BETA * CURVATURE))
    sampler = samplers.UnderdampedLangevin(step, friction)
    state = {
        "x": np.random.default_rng(3).normal(size=(CHAINS, 2)) * np.sqrt([position, 0.5 / BETA]),
        "beta": np.full(CHAINS, BETA),
        "stream": samplers.random.make_streams(9, CHAINS),
    }
    sampler.start(WELL, state)
    sampler.advance(WELL, state, sampler.settings(WELL, 0), 1, 80)
    x, p = state["x"][:, 0], state["momentum"][:, 0]
    assert mean_p(x**2, position) > ALPHA
    assert mean_p(p**2, momentum) > ALPHA
    assert mean_p(p**2, 1.0 / BETA) < ALPHA  # the bias of the momentum is large enough to be seen
    assert mean_p(x * p, 0.0) > ALPHA


def test_baoab_position_is_exact_through_the_public_door() -> None:
    exact_variance = 1.0 / (BETA * CURVATURE)
    x = _end(samplers.UnderdampedLangevin(1.1, 1.0), 50, exact_variance)
    assert mean_p(x**2, exact_variance) > ALPHA


def _double_well_energy(step: float, sampler: type) -> tuple[float, float]:
    """<E> of a double well at a step, and its error."""
    rng = np.random.default_rng(5)
    chains = samplers.sample(
        ebm.DoubleWell(1, barrier=2.0), sampler(step), chains=4000, draws=20, warmup=int(4 / step), thin=int(1 / step),
        init=rng.choice([-1.0, 1.0], (4000, 1)), seed=6, progress=False,
    )  # fmt: skip
    means = np.asarray(chains.energy).mean(1)
    return means.mean(), means.std() / np.sqrt(len(means))


@pytest.mark.parametrize(("sampler", "order"), [(samplers.Langevin, 1)])
def test_bias_in_a_double_well_falls_with_the_step(sampler: type, order: int) -> None:
    grid = np.linspace(-3.0, 3.0, 20_001)[:, None]
    e = ebm.DoubleWell(1, barrier=2.0)(grid)
    true = (e * np.exp(-e)).sum() / np.exp(-e).sum()
    coarse, fine = (_double_well_energy(step, sampler) for step in (0.03, 0.0075))
    assert abs(coarse[0] - true) > 5.0 * coarse[1]
    assert abs(fine[0] - true) < abs(coarse[0] - true) / 2.0**order + 5.0 * np.hypot(fine[1], coarse[1] / 2.0**order)


@pytest.mark.parametrize(
    ("fine", "coarse"),
    [
        (samplers.Langevin(0.005), samplers.Langevin(0.5)),
        (samplers.UnderdampedLangevin(0.1, 1.0), samplers.UnderdampedLangevin(1.4, 1.0)),
    ],
)
def test_angles_stay_wrapped_and_their_bias_needs_a_large_step(
    fine: samplers.Sampler, coarse: samplers.Sampler
) -> None:
    ring, n = PLANES["xy ring"], 6000
    begin = exact_points(ring, 1.0, n, seed=2)
    p = []
    for sampler in (fine, coarse):
        chains = samplers.sample(
            ring.energy, sampler, chains=n, draws=1, warmup=0, thin=100, init=begin, seed=3, progress=False
        )
        assert (np.abs(np.asarray(chains.x)) <= np.pi).all()
        p.append(plane_p(ring, 1.0, chains.x[:, 0]))
    assert p[0] > ALPHA > p[1]
