"""tau on AR(1) against the closed form (1 + r) / (1 - r), its claimed error, and series that must not look perfect."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal, stats

from samplers.autocorrelation import (
    autocorrelation,
    autocovariance,
    effective_sample_size,
    integrated_autocorrelation_time,
    rescaled,
)

ALPHA = 1e-6
REPLICAS = 250
Ar1 = Callable[..., np.ndarray]


@pytest.mark.parametrize(
    ("r", "draws"), [(-0.9, 8000), (-0.5, 4000), (0.0, 4000), (0.5, 4000), (0.9, 8000), (0.98, 10000)]
)
def test_tau_and_its_error_match_ar1(ar1: Ar1, r: float, draws: int) -> None:
    """Mean over replicas: t-test, allowing twice the relative variance as bias; one-sigma coverage: binomial."""
    rng = np.random.default_rng(round(100 * r) + 1000)
    exact = (1.0 + r) / (1.0 - r)
    taus = [integrated_autocorrelation_time(ar1(r, (4, draws), rng)) for _ in range(REPLICAS)]
    tau, error = np.array([t.tau for t in taus]), np.array([t.error for t in taus])
    assert np.isfinite(error).all()
    standard_error = tau.std(ddof=1) / np.sqrt(REPLICAS)
    bias = 2.0 * exact * np.mean((error / tau) ** 2)  # the O(1/N) of the estimate
    assert abs(tau.mean() - exact) < stats.t.isf(ALPHA / 2, REPLICAS - 1) * standard_error + bias
    low, high = stats.binom.interval(1.0 - ALPHA, REPLICAS, stats.norm.cdf(1.0) - stats.norm.cdf(-1.0))
    assert low <= np.sum(np.abs(tau - exact) < error) <= high


def test_the_bias_of_the_common_mean_is_corrected(ar1: Ar1) -> None:
    """A t-test over replicas at alpha = 1e-6 without allowance; uncorrected it is low by ten times the noise."""
    rng = np.random.default_rng(11)
    tau = np.array([integrated_autocorrelation_time(ar1(0.9, (1, 1000), rng)).tau for _ in range(3000)])
    assert abs(tau.mean() - 19.0) < stats.t.isf(ALPHA / 2, 2999) * tau.std(ddof=1) / np.sqrt(3000)


@pytest.mark.parametrize("r", [-0.5, 0.5, 0.9])
def test_tau_agrees_with_arviz(ar1: Ar1, r: float) -> None:
    """ArviZ cuts the sum by Geyer's rule, so the two differ by the noise of a few more or fewer lags."""
    array_stats = pytest.importorskip("arviz_stats.base").array_stats
    x = ar1(r, (4, 20000), np.random.default_rng(7))
    tau, error, _ = integrated_autocorrelation_time(x)
    assert abs(x.size / array_stats.ess(x, method="mean") - tau) < 4.0 * error


def test_autocovariance_matches_scipy() -> None:
    x = np.random.default_rng(0).normal(size=(3, 257)).cumsum(axis=1)
    centred = x - x.mean()
    products = sum(signal.correlate(chain, chain, method="direct")[256:] for chain in centred)
    direct = products / (3 * (257 - np.arange(257)))
    np.testing.assert_allclose(autocovariance(x, 257), direct, rtol=0, atol=1e-12 * direct[0] * 257)


def test_autocorrelation_starts_at_one_and_decays_as_the_power(ar1: Ar1) -> None:
    """Each lag within 5.5 standard errors (alpha = 1e-6 for 20); Bartlett's variance is at most (1+r^2)/(1-r^2)/N."""
    x = ar1(0.7, (4, 50000), np.random.default_rng(5))
    rho = autocorrelation(x, lags=20)
    assert rho[0] == 1.0
    assert np.all(np.abs(rho - 0.7 ** np.arange(20)) < 5.5 * np.sqrt((1 + 0.49) / (1 - 0.49) / x.size))


@pytest.mark.parametrize("scale", [1e-300, 1e-20, 1.0, 1e20, 1e300])
def test_tau_does_not_depend_on_the_unit(ar1: Ar1, scale: float) -> None:
    x = ar1(0.5, (2, 1000), np.random.default_rng(1))
    assert integrated_autocorrelation_time(scale * x) == pytest.approx(integrated_autocorrelation_time(x), rel=1e-9)


def test_tau_does_not_depend_on_a_huge_offset(ar1: Ar1) -> None:
    x = np.round(ar1(0.5, (2, 1000), np.random.default_rng(1)) * 1024) / 1024  # exact after the offset too
    assert integrated_autocorrelation_time(1e12 + x) == pytest.approx(integrated_autocorrelation_time(x), rel=1e-9)


@pytest.mark.parametrize(
    "series",
    [
        np.zeros((4, 100)),
        np.full((4, 100), 3e-20),
        np.full(50, 1e300),
        np.ones((2, 3)),
        1.0 + np.spacing(1.0) * np.eye(50),
    ],
)
def test_a_constant_has_no_tau(series: np.ndarray) -> None:
    tau = integrated_autocorrelation_time(series)
    assert np.isnan(tau.tau) and np.isnan(tau.error) and tau.window == 0
    assert np.isnan(effective_sample_size(series))
    assert np.isnan(autocorrelation(series)).all()


def test_an_oscillation_that_never_decays_has_no_tau() -> None:
    """The trap of sequential flips on a flat landscape: up, down, up, down is not an infinite sample."""
    tau = integrated_autocorrelation_time(np.tile([1.0, -1.0], (4, 500)))
    assert np.isnan(tau.tau) and np.isnan(tau.error)


def test_chains_stuck_at_different_values_have_no_error() -> None:
    tau = integrated_autocorrelation_time(np.repeat([[0.0], [1.0]], 100, axis=1))
    assert tau.tau >= 50 and tau.error == np.inf and tau.window == 50


@pytest.mark.parametrize("chains", [1, 4])
@pytest.mark.parametrize("draws", [100, 300, 1000])
def test_chains_shorter_than_tau_never_claim_many_effective_draws(ar1: Ar1, chains: int, draws: int) -> None:
    """tau = 1999: the error is inf, mostly; where luck hides the drift, few effective draws are claimed."""
    rng = np.random.default_rng(draws)
    taus = [integrated_autocorrelation_time(ar1(0.999, (chains, draws), rng)) for _ in range(100)]
    assert np.mean([t.error == np.inf for t in taus]) > 0.8
    assert all(chains * draws / t.tau < 40 for t in taus)


def test_effective_sample_size_exceeds_the_draws_of_an_antithetic_chain(ar1: Ar1) -> None:
    x = ar1(-0.5, (4, 20000), np.random.default_rng(2))
    tau = integrated_autocorrelation_time(x)
    assert effective_sample_size(x) == x.size / tau.tau
    assert abs(tau.tau - 1.0 / 3.0) < 5.0 * tau.error


@pytest.mark.parametrize("series", [[-1.7e308, 1.7e308], [1e300, 1e300 * (1 + 1e-10)], [0.0, 3e-20], [-7.25, 1e-9]])
def test_rescaling_loses_no_more_than_one_rounding(series: list[float]) -> None:
    values, offset, scale = rescaled(series)
    halves = np.array([series]) / 2  # of numbers that would overflow otherwise
    assert 2.0 <= np.ptp(values) < 4.0 and offset == series[0]
    np.testing.assert_allclose(values / 2 * scale, halves - offset / 2, rtol=0, atol=2e-16 * np.ptp(halves))


def test_the_smallest_numbers_are_no_constant() -> None:
    values, offset, scale = rescaled([5e-324, 0.0, 1e-323])
    np.testing.assert_array_equal(values * scale + offset, [[5e-324, 0.0, 1e-323]])


def test_an_antithetic_chain_that_is_too_short_has_tau_but_no_error(ar1: Ar1) -> None:
    taus = [integrated_autocorrelation_time(ar1(-0.9, (1, 300), np.random.default_rng(seed))) for seed in range(20)]
    unmeasured = [t for t in taus if not np.isfinite(t.error)]
    assert len(unmeasured) > 10
    assert any(0.0 < t.tau < 1.0 and t.error == np.inf for t in unmeasured)


def test_spins_are_taken_as_they_are_stored() -> None:
    spins = np.random.default_rng(3).choice(np.array([-1, 1], dtype=np.int8), size=(4, 3000))
    tau = integrated_autocorrelation_time(spins)
    assert abs(tau.tau - 1.0) < 5.5 * tau.error


@pytest.mark.parametrize(
    ("series", "words"),
    [
        (np.zeros((2, 3, 4)), r"series must have shape \(chains, draws\).*got \(2, 3, 4\)"),
        (np.zeros((2, 0)), r"got \(2, 0\)"),
        ([[1.0, np.nan, np.inf]], "series must be finite, got 2 values"),
    ],
)
def test_bad_series_are_refused(series: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        integrated_autocorrelation_time(series)


def test_bad_lags_are_refused() -> None:
    with pytest.raises(ValueError, match="lags must lie between 1 and the 10 draws, got 11"):
        autocorrelation(np.arange(10.0), lags=11)
