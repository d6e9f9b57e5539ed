"""Annealing: noise levels that give modes their weights, and cooling that finds ground states."""

import os
import signal
from typing import Any

import numpy as np
import pytest
from laws import ALPHA, ArrayTier, mean_p
from scipy import stats

import ebm
import samplers
from ebm import exact
from samplers import protocols

QUIET = {"progress": False}


class Score:
    """The score of a mixture of normals of one width on a line: at every noise level it is such a mixture again."""

    shape, domain = (1,), "real"
    means, weights = np.array([[-4.0], [4.0]]), np.array([0.8, 0.2])

    def __init__(self, variance: float = 0.25) -> None:
        self.variance = variance

    def at_noise(self, sigma: float) -> "Score":
        return Score(0.25 + sigma**2)

    def grad(self, x: np.ndarray) -> np.ndarray:
        away = x[:, None] - self.means
        log_weight = np.log(self.weights) - 0.5 * (away**2).sum(2) / self.variance
        share = np.exp(log_weight - log_weight.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        return (share[..., None] * away).sum(1) / self.variance


class Normal:
    """N(0, variance) in d dimensions, at every noise level, compiled or not."""

    domain = "real"

    def __init__(self, d: int, variance: float, compiled: bool) -> None:
        self.shape, self.variance, self.compiled_levels = (d,), variance, compiled

    def at_noise(self, sigma: float) -> Any:
        d = self.shape[0]
        level = ebm.Gaussian(np.zeros(d), (self.variance + sigma**2) * np.eye(d))
        return level if self.compiled_levels else ArrayTier(level)


def _share_above_zero(sigmas: np.ndarray, step_size: float, steps: int) -> float:
    """P(x > 0) after annealing from N(0, sigma_1^2), by moving the density itself from step to step on a grid."""
    x = np.linspace(-45.0, 45.0, 801)
    density = stats.norm.pdf(x, scale=sigmas[0])
    for sigma in sigmas:
        h = step_size * (sigma / sigmas[-1]) ** 2
        mean = x - h * Score().at_noise(sigma).grad(x[:, None])[:, 0]
        step = stats.norm.pdf(x[None, :], mean[:, None], np.sqrt(2.0 * h))
        step /= step.sum(1, keepdims=True)
        for _ in range(steps):
            density = density @ step
    density /= density.sum()
    return float(density[x > 0.0].sum())


def test_annealing_gives_modes_their_weights() -> None:
    # Langevin alone stays in the mode in which it starts.
    chains, sigmas = 4000, np.geomspace(12.0, 0.4, 12)
    begin = 12.0 * np.random.default_rng(1).normal(size=(chains, 1))
    run = {"chains": chains, "draws": 1, "init": begin, "seed": 2, **QUIET}
    sampler = samplers.AnnealedLangevin(sigmas, step_size=0.02, steps=40)
    found = samplers.sample(Score(), sampler, warmup=480, **run).x[:, 0, 0] > 0.0
    exactly = _share_above_zero(sigmas, 0.02, 40)
    assert stats.binomtest(int(found.sum()), chains, exactly).pvalue > ALPHA
    assert abs(exactly - 0.2) < 0.02  # the weights, but for few steps at few levels
    alone = samplers.sample(Score().at_noise(0.4), samplers.Langevin(0.02), warmup=480, **run).x[:, 0, 0] > 0.0
    assert stats.binomtest(int(alone.sum()), chains, 0.2).pvalue < ALPHA


@pytest.mark.parametrize("compiled", [True, False])
def test_the_last_level_has_its_own_discretised_law(compiled: bool) -> None:
    # At a level of curvature k = 1 / (v + sigma^2) a step h maps the variance s to (1 - h k)^2 s + 2 h.
    energy, sigmas, steps, chains = Normal(3, 0.5, compiled), (3.0, 1.0, 0.4), 3, 5000
    sampler = samplers.AnnealedLangevin(sigmas, step_size=0.05, steps=steps)
    begin = 3.0 * np.random.default_rng(4).normal(size=(chains, 3))
    run = {"chains": chains, "draws": 2, "warmup": 3 * steps + 1, "init": begin, "seed": 3, **QUIET}
    drawn = np.asarray(samplers.sample(energy, sampler, **run).x)
    variance = 9.0
    for sweep in range(3 * steps + 1 + 2):
        sigma = sigmas[min(sweep // steps, 2)]
        h, k = 0.05 * sigma**2 / sigmas[-1] ** 2, 1.0 / (0.5 + sigma**2)
        variance = (1.0 - h * k) ** 2 * variance + 2.0 * h
    square = (drawn[:, -1] ** 2).sum(1)
    assert mean_p(square, 3.0 * variance) > ALPHA
    assert stats.kstest(drawn[:, -1].ravel() / np.sqrt(variance), "norm").pvalue > ALPHA


def test_both_tiers_of_a_level_give_one_trajectory() -> None:
    sampler = samplers.AnnealedLangevin((3.0, 1.0, 0.4), step_size=0.05, steps=4)
    run = {"chains": 3, "draws": 5, "warmup": 12, "seed": 1, **QUIET}
    a, b = (samplers.sample(Normal(3, 0.5, compiled), sampler, **run) for compiled in (True, False))
    np.testing.assert_allclose(a.x, b.x, rtol=0, atol=1e-10)
    assert a.energy is None


# --- ground states ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", [samplers.Metropolis(), samplers.Gibbs()], ids=["metropolis", "gibbs"])
def test_ground_states_of_spin_glasses_are_found(sampler: samplers.Sampler) -> None:
    rng = np.random.default_rng(4)
    for seed in range(3):
        glass = ebm.Ising((4, 4), rng.choice([-1.0, 1.0], (2, 4, 4)))
        lowest = min(float(glass(block).min()) for block in exact.states(glass.shape, "spin"))
        betas = np.linspace(0.1, 3.0, 40)
        found = samplers.simulated_annealing(glass, sampler, betas=betas, sweeps=5, chains=16, seed=seed, **QUIET)
        assert found.best_energy.min() == lowest
        np.testing.assert_allclose(glass(found.best_x), found.best_energy, rtol=0, atol=1e-12)
        np.testing.assert_allclose(glass(found.last_x), found.last_energy, rtol=0, atol=1e-12)
        assert (found.best_energy <= found.last_energy).all()


class _Watched(samplers.MALA):
    """MALA that looks whether what it keeps belongs to the temperature at which it is."""

    def sweep_array(self, energy: Any, state: Any, settings: tuple, adapting: int) -> np.ndarray:
        x, beta = state["x"], state["beta"]
        np.testing.assert_allclose(state["u"], protocols.reduced(energy, x, beta), rtol=1e-12)
        np.testing.assert_allclose(state["gradient"], protocols.reduced_gradient(energy, x, beta), rtol=1e-12)
        return super().sweep_array(energy, state, settings, adapting)


@pytest.mark.parametrize("sampler", [_Watched(), samplers.UnderdampedLangevin(0.1)], ids=["mala", "baoab"])
def test_the_minimum_of_a_landscape_is_found(sampler: samplers.Sampler) -> None:
    energy = ArrayTier(ebm.DoubleWell(2, barrier=3.0))
    betas = np.geomspace(0.2, 2000.0, 40)
    found = samplers.simulated_annealing(energy, sampler, betas=betas, sweeps=20, chains=8, seed=1, **QUIET)
    np.testing.assert_allclose(np.abs(found.last_x), np.tile([1.0, 0.0], (8, 1)), atol=0.2)
    assert (found.last_energy < 0.02).all()


def test_the_best_is_kept_where_the_last_is_worse() -> None:
    # Warm to the end: the best of 30 temperatures is lower than the last.
    magnet = ebm.Ising((4, 4))
    run = {"betas": np.linspace(0.3, 0.31, 30), "sweeps": 3, "chains": 20, **QUIET}
    found = samplers.simulated_annealing(magnet, samplers.Gibbs(), seed=7, **run)
    assert (found.best_energy < found.last_energy).mean() > 0.8
    np.testing.assert_allclose(magnet(found.best_x), found.best_energy)
    again = samplers.simulated_annealing(magnet, samplers.Gibbs(), seed=found.seed, **run)
    assert np.array_equal(again.best_x, found.best_x) and np.array_equal(again.last_x, found.last_x)
    begin = np.ones((20, 4, 4))
    kept = samplers.simulated_annealing(magnet, samplers.Gibbs(), init=begin, **run)
    assert (kept.best_energy == -32.0).all()  # the start counts


def test_ctrl_c_says_what_was_found(capfd: pytest.CaptureFixture[str]) -> None:
    class Pressing(ArrayTier):
        asked = 0

        def reduced(self, x: np.ndarray, beta: float) -> np.ndarray:
            Pressing.asked += 1
            if Pressing.asked == 500:
                os.kill(os.getpid(), signal.SIGINT)
            return super().reduced(x, beta)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        samplers.simulated_annealing(
            Pressing(ebm.Ising((2, 3))), samplers.Gibbs(), betas=[0.1, 1.0], sweeps=10**7, chains=2, **QUIET
        )
    assert "Interrupted at beta = 0.1; the lowest energy so far is " in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


# --- bad input --------------------------------------------------------------------------------------------------------

WELL, MAGNET = ebm.DoubleWell(2), ebm.Ising((2, 3))


class _Bad(Score):
    def at_noise(self, sigma: float) -> Any:
        return 3.0


def _anneal(energy: Any = MAGNET, sampler: Any = None, **changes: Any) -> samplers.Annealed:
    run = {"betas": [0.1, 1.0], **QUIET, **changes}
    return samplers.simulated_annealing(energy, sampler or samplers.Gibbs(), **run)


def _noisy(energy: Any = None, **changes: Any) -> samplers.Chains:
    sampler = samplers.AnnealedLangevin((2.0, 1.0), 0.01, steps=5)
    return samplers.sample(energy or Score(), sampler, **{"draws": 1, "warmup": 10, "seed": 1, **QUIET, **changes})


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: samplers.AnnealedLangevin((1.0, 2.0), 0.1), ValueError, "sigmas must be .* fall strictly, got"),
        (lambda: samplers.AnnealedLangevin((), 0.1), ValueError, "sigmas must be a sequence of positive numbers"),
        (lambda: samplers.AnnealedLangevin((1.0, 0.0), 0.1), ValueError, "sigmas must be a sequence of positive"),
        (lambda: samplers.AnnealedLangevin((1.0,), -0.1), ValueError, "step_size must be a positive .*got -0.1"),
        (lambda: samplers.AnnealedLangevin((1.0,), 0.1, steps=0), ValueError, "steps must be a positive integer"),
        (lambda: _noisy(WELL), TypeError, r"needs a real energy or score with a method `at_noise\(sigma\)`, got Doub"),
        (lambda: _noisy(_Bad()), TypeError, "_Bad.at_noise must return something with .*`grad`, got float"),
        (lambda: _noisy(warmup=9), ValueError, r"warmup must be at least 10 .*2 levels of 5 steps.*got 9"),
        (lambda: _noisy(beta=0.5), ValueError, "beta must be 1 for AnnealedLangevin, got 0.5"),
        (lambda: _anneal(betas=[1.0, 0.1]), ValueError, "betas must be .*rise strictly"),
        (lambda: _anneal(sweeps=0), ValueError, "sweeps must be a positive integer, got 0"),
        (lambda: _anneal(chains=-1), ValueError, "chains must be a positive integer, got -1"),
        (lambda: _anneal(seed=-1), ValueError, "seed must be a non-negative integer, got -1"),
        (lambda: _anneal(WELL), TypeError, "Gibbs needs a discrete energy"),
        (lambda: _anneal(WELL, samplers.MALA(), betas=[0.0, 1.0]), ValueError, "betas must be positive for a cont"),
        (lambda: _anneal(Score(), samplers.Langevin(0.1)), TypeError, "simulated_annealing needs an .*got Score"),
        (lambda: _anneal(sampler=samplers.ParallelTempering(samplers.Gibbs(), [0.1, 1.0])), TypeError,
         "a sampler of one temperature, got Ising and ParallelTempering"),
        (lambda: _anneal(WELL, samplers.Langevin(100.0)), samplers.SamplingError, "Langevin failed in chain 0"),
    ],
)  # fmt: skip
def test_an_error_names_argument_value_and_need(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()
