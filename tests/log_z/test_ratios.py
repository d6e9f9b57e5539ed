"""Acceptance ratios and thermodynamic integration on draws made by hand: closed forms, pymbar, and honest errors."""

import logging

import numpy as np
import pytest
from scipy import signal, stats

import samplers
from ebm import tempered
from ebm.bar import bar
from ebm.mbar import influences, log_denominators, mbar
from ebm.thermodynamic_integration import integrate

ALPHA = 1e-6
CENTRES, WIDTHS = np.array([0.0, 0.7, 1.5, 2.0]), np.array([1.0, 0.8, 0.7, 1.2])
OFFSETS = np.array([0.0, 3.0, -2.0, 1.0])
TRUTH = np.log(WIDTHS / WIDTHS[0]) - OFFSETS  # ln Z_k - ln Z_0


def harmonic(x):
    """Reduced energies of normal laws, (states, *x.shape)."""
    shape = (-1, *[1] * x.ndim)
    c, w, o = (a.reshape(shape) for a in (CENTRES, WIDTHS, OFFSETS))
    return (x - c) ** 2 / (2 * w**2) + o


def draws(counts, seed):
    rng = np.random.default_rng(seed)
    return np.concatenate([c + w * rng.normal(size=n) for c, w, n in zip(CENTRES, WIDTHS, counts, strict=True)])


def pymbar():
    logging.disable(logging.WARNING)  # it announces its accelerator
    try:
        return pytest.importorskip("pymbar")
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("counts", [(500, 500, 500, 500), (1500, 40, 700, 100)])
def test_mbar_is_that_of_pymbar(counts):
    u = harmonic(draws(counts, 1))
    g = mbar(u, np.array(counts))
    reference = pymbar().MBAR(u, np.array(counts), solver_protocol="robust").compute_free_energy_differences()
    assert -g == pytest.approx(reference["Delta_f"][0], abs=1e-6)
    a = influences(u, np.array(counts), g)
    error = np.sqrt((a**2).sum(1)) / u.shape[1]
    # Both are right to leading order in the number of draws; of the rarest state there are 40.
    assert error[1:] == pytest.approx(reference["dDelta_f"][0][1:], rel=0.05 if min(counts) == 500 else 0.2)


@pytest.mark.filterwarnings("ignore")
def test_bar_is_that_of_pymbar():
    x = draws((300, 900, 1, 1), 2)
    u = harmonic(x)
    first, second = (u[1] - u[0])[:300], (u[1] - u[0])[300:1200]
    ratio = bar(first, second)
    reference = pymbar().bar(first, -second, method="self-consistent-iteration", relative_tolerance=1e-12)
    assert -ratio.value == pytest.approx(reference["Delta_f"], abs=1e-6)
    error = np.sqrt(ratio.first.var() / 300 + ratio.second.var() / 900)
    assert error == pytest.approx(reference["dDelta_f"], rel=0.02)


def test_mbar_of_two_states_is_bar():
    u = harmonic(draws((300, 900, 1, 1), 3))[:2, :1200]
    assert mbar(u, np.array([300, 900]))[1] == pytest.approx(bar((u[1] - u[0])[:300], (u[1] - u[0])[300:]).value)


def test_mbar_solves_its_equation_where_states_lie_far_apart():
    rng = np.random.default_rng(4)
    centres = np.linspace(0.0, 60.0, 31)
    x = (centres[:, None] + rng.normal(size=(31, 100))).ravel()
    u = (x - centres[:, None]) ** 2 / 2 + 100.0 * np.arange(31)[:, None]
    g, counts = mbar(u, np.full(31, 100)), np.full(31, 100)
    p = np.exp((np.log(counts) - g)[:, None] - u - log_denominators(u, counts, g))
    assert p.sum(1) == pytest.approx(counts, rel=1e-9)
    assert abs(g[-1] + 3000.0) < 5.0


def test_influences_are_what_leaving_out_a_draw_does():
    counts = np.full(4, 4000)
    u = harmonic(draws(counts, 5))
    g = mbar(u, counts)
    a = influences(u, counts, g)
    for n in (3, 7000, 15000):
        fewer = counts - np.eye(4, dtype=int)[n // 4000]
        change = mbar(np.delete(u, n, 1), fewer) - g
        # What is left is smaller by the square root of the number of draws of a state.
        assert change == pytest.approx(-a[:, n] / u.shape[1], abs=0.08 * np.abs(a[:, n]).max() / u.shape[1])


@pytest.mark.parametrize("width", [0.3, 1.5])
def test_integration_is_exact_for_normal_differences(width):
    """y of two normal laws of one width is normal, its mean linear along the way: all terms but the first vanish."""
    rng, n = np.random.default_rng(6), 200_000
    first, second = rng.normal(1.0, width, n), rng.normal(1.0 - width**2, width, n)
    result = integrate(first, second)
    error = np.sqrt(result.first.var() / n + result.second.var() / n)
    assert abs(result.value + 1.0 - width**2 / 2) < stats.norm.isf(ALPHA) * error


def test_integration_follows_the_terms_of_higher_order():
    """u = x^2 / 2 to 2 x^2: ln Z = -ln 2, where the trapezoid alone is off by a fifth and the corrections are not."""
    rng, n = np.random.default_rng(7), 400_000
    x = rng.normal(size=(2, n)) * [[1.0], [0.5]]
    y = 1.5 * x**2
    result = integrate(y[0], y[1])
    error = np.sqrt(result.first.var() / n + result.second.var() / n)
    assert abs(-y.mean(1).sum() / 2 + np.log(2)) > 0.2
    assert abs(result.value + np.log(2)) < 0.05  # 0.02 of it from terms that are left out
    assert abs(result.value + np.log(2)) < result.error + stats.norm.isf(ALPHA) * error


def ladder_of(seed: int, rho: float) -> tempered.Rungs:
    """Four chains of 400 correlated draws of every rung; the noise of a rung and the next one is shared in part."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(4, 5, 400 + 100))
    noise = (noise[:, :4] + 0.6 * noise[:, 1:]) / np.hypot(1.0, 0.6)
    z = signal.lfilter([np.sqrt(1 - rho**2)], [1.0, -rho], noise, axis=2)[..., 100:]
    x = (CENTRES[:, None] + WIDTHS[:, None] * z).transpose(0, 2, 1)  # (chains, draws, rungs)
    arrays = {
        "energies": x, "replicas": x, "reduced": harmonic(x).transpose(1, 2, 0, 3),
        "betas": np.broadcast_to(np.arange(4.0), x.shape),
    }  # fmt: skip
    run = samplers.Chains(None, x[..., 0], {}, np.ones(x.shape[:2]), 1.0, "real")
    run.tempering = samplers.rungs.Tempering(arrays)
    return tempered.Rungs(run, 0.0, 3, ("", 1.0))


@pytest.mark.parametrize(("method", "rho"), [("ti", 0.8), ("bar", 0.8), ("mbar", 0.8), ("bar", 0.0)])
def test_errors_know_autocorrelation_and_shared_noise(method, rho):
    """Pulls of honest errors are normal: of 60 runs as many lie within two sigma as a binomial law says."""
    pulls = []
    for seed in range(60):
        ladder = ladder_of(seed, rho)
        found = tempered.estimate(ladder, method)
        error, _ = tempered.error_of(found.series, ladder.run)
        pulls.append((found.value - TRUTH[3]) / np.hypot(error, found.details.get("integration_error", 0.0)))
    inside = int((np.abs(pulls) < 2).sum())
    assert stats.binomtest(inside, 60, stats.chi2.cdf(4, 1)).pvalue > ALPHA
    # Errors are known to a tenth: the sum of squares may be off by a quarter.
    assert stats.chi2.sf(np.square(pulls).sum() / 1.25, 60) > ALPHA
    if method != "ti":  # its error of integration is meant to be on the safe side
        assert stats.chi2.cdf(np.square(pulls).sum() * 1.25, 60) > ALPHA


def test_bounds_hold_in_the_mean():
    low, high = zip(*(tempered.bounds(ladder_of(seed, 0.5)) for seed in range(30)), strict=True)
    low, high = np.mean(low, 1), np.mean(high, 1)
    assert stats.ttest_1samp(low, TRUTH[3], alternative="greater").pvalue > ALPHA
    assert stats.ttest_1samp(high, TRUTH[3], alternative="less").pvalue > ALPHA
    assert low.mean() < TRUTH[3] < high.mean()
