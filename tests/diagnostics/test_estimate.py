"""Errors that cover the truth as often as they claim, for means and functions of means, by two independent methods."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from samplers import series as series_module
from samplers.chains import Chains
from samplers.estimate import estimate
from samplers.series import coordinates

ALPHA = 1e-6
REPLICAS = 200
Make = Callable[..., Any]


class OnDisk:
    """Configurations that can only be sliced, and remember how much was read at once."""

    def __init__(self, x: np.ndarray) -> None:
        self._x, self.largest = x, 0
        self.shape, self.dtype, self.ndim = x.shape, x.dtype, x.ndim

    def __getitem__(self, key: Any) -> np.ndarray:
        part = self._x[key]
        self.largest = max(self.largest, part.nbytes)
        return part


@pytest.mark.parametrize("method", ["gamma", "jackknife"])
@pytest.mark.parametrize("r", [-0.5, 0.5, 0.9])
def test_the_error_covers_the_truth(ar1: Make, make_chains: Make, r: float, method: str) -> None:
    """One-sigma coverage of a mean, a variance and a ratio over replicas, within the binomial at alpha = 1e-6."""
    rng = np.random.default_rng(round(10 * r) + 50)
    covered = np.zeros(3)
    for _ in range(REPLICAS):
        x = 3.0 + ar1(r, (4, 1500), rng)
        chains = make_chains(energy=x)
        mean = estimate("energy", chains, method=method)
        variance = estimate(lambda m, m2: m2 - m * m, chains, of=["energy", x**2], method=method)
        ratio = estimate(lambda m, m2: m2 / m**2, chains, of=["energy", x**2], method=method)
        for index, (result, exact) in enumerate([(mean, 3.0), (variance, 1.0), (ratio, 10.0 / 9.0)]):
            covered[index] += abs(result.value - exact) < result.error
    low, high = stats.binom.interval(1.0 - ALPHA, REPLICAS, stats.norm.cdf(1.0) - stats.norm.cdf(-1.0))
    assert np.all((low <= covered) & (covered <= high)), covered


@pytest.mark.parametrize("method", ["gamma", "jackknife"])
@pytest.mark.parametrize("r", [-0.9, 0.0, 0.9])
def test_the_error_of_a_mean_is_that_of_ar1(ar1: Make, make_chains: Make, r: float, method: str) -> None:
    """sigma^2 = tau / N: t-test of the replicas' mean at alpha = 1e-6; finite blocks lower it by up to 5 %."""
    rng = np.random.default_rng(round(10 * r) + 80)
    exact = (1.0 + r) / (1.0 - r) / 40000
    results = [estimate("energy", make_chains(energy=ar1(r, (4, 10000), rng)), method=method) for _ in range(50)]
    variances = np.array([result.error**2 for result in results])
    noise = stats.t.isf(ALPHA / 2, 49) * variances.std(ddof=1) / np.sqrt(50)
    assert abs(variances.mean() - exact) < noise + 0.05 * exact


def test_the_jackknife_of_a_mean_is_the_spread_of_block_means(make_chains: Make) -> None:
    """An identity: 50 blocks of 20 draws in each of 4 independent chains, error = sd of their means / sqrt(200)."""
    energy = np.random.default_rng(2).normal(size=(4, 1000))
    block_means = energy.reshape(200, 20).mean(axis=1)
    result = estimate("energy", make_chains(energy=energy), method="jackknife")
    assert result.error == pytest.approx(block_means.std(ddof=1) / np.sqrt(200), rel=1e-9)


def test_both_methods_agree_on_a_heat_capacity(ar1: Make, make_chains: Make) -> None:
    energy = -100.0 + 5.0 * ar1(0.8, (4, 20000), np.random.default_rng(4))
    chains = make_chains(energy=energy)
    results = [
        estimate(lambda e, e2: chains.beta**2 * (e2 - e * e), chains, of=["energy", energy**2], method=method)
        for method in ("gamma", "jackknife")
    ]
    assert results[0].value == results[1].value
    assert results[0].tau == results[1].tau
    # 200 blocks know the error to 5 per cent, the window to about 2: four times both together
    assert abs(results[1].error / results[0].error - 1.0) < 0.22
    assert abs(results[0].value - 0.25 * 25.0) < 5.0 * results[0].error


def test_a_function_of_one_mean_scales_the_error_by_its_slope(ar1: Make, make_chains: Make) -> None:
    chains = make_chains(energy=ar1(0.5, (2, 3000), np.random.default_rng(6)))
    plain = estimate("energy", chains)
    scaled = estimate(lambda e: 7.0 - 1e-12 * e, chains, of=["energy"])
    assert scaled.value == 7.0 - 1e-12 * plain.value
    scaled = estimate(lambda e: -1e-12 * e, chains, of=["energy"])
    assert scaled.error == pytest.approx(1e-12 * plain.error, rel=1e-9)
    assert scaled.tau == pytest.approx(plain.tau, rel=1e-9)
    assert plain.ess == pytest.approx(6000 / plain.tau)


def test_correlated_means_cancel(ar1: Make, make_chains: Make) -> None:
    """<a + b> - <a> has the error of <b> alone, though <a> is a thousand times noisier."""
    rng = np.random.default_rng(9)
    a, b = 1000.0 * ar1(0.9, (4, 4000), rng), ar1(0.3, (4, 4000), rng)
    difference = estimate(lambda s, t: s - t, make_chains(a=a, b=b), of=[a + b, "a"])
    assert difference.error == pytest.approx(estimate("b", make_chains(b=b)).error, rel=1e-6)


def test_a_huge_offset_does_not_spoil_the_error(ar1: Make, make_chains: Make) -> None:
    x = np.round(ar1(0.5, (4, 3000), np.random.default_rng(8)) * 64) / 64
    near, far = (estimate("energy", make_chains(energy=x + offset)) for offset in (0.0, 1e12))
    assert far.error == pytest.approx(near.error, rel=1e-9)
    assert far.value - 1e12 == pytest.approx(near.value, abs=2e-4)  # the spacing of numbers at 1e12


def test_a_constant_has_no_error(make_chains: Make) -> None:
    for method in ("gamma", "jackknife"):
        result = estimate("energy", make_chains(energy=np.full((4, 100), 2.5)), method=method)
        assert result.value == 2.5 and np.isnan(result.error) and np.isnan(result.ess)


@pytest.mark.parametrize("method", ["gamma", "jackknife"])
def test_chains_that_are_too_short_have_an_infinite_error(ar1: Make, make_chains: Make, method: str) -> None:
    chains = make_chains(energy=ar1(0.999, (4, 200), np.random.default_rng(1)))
    assert estimate("energy", chains, method=method).error == np.inf


def test_a_function_of_configurations_is_evaluated_in_blocks(
    make_chains: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series_module, "BLOCK_BYTES", 24 * 7)
    x = np.random.default_rng(0).normal(size=(3, 50, 3))
    lazy = OnDisk(x)
    norm = x[..., 0] ** 2 + x[..., 2]
    result = estimate(lambda x: x[:, 0] ** 2 + x[:, 2], make_chains(x=lazy))
    assert result == estimate("norm", make_chains(norm=norm))
    assert lazy.largest == 24 * 7


@pytest.mark.parametrize("domain", ["real", "angle"])
def test_coordinates_come_in_groups_that_fit_memory(
    make_chains: Make, monkeypatch: pytest.MonkeyPatch, domain: str
) -> None:
    monkeypatch.setattr(series_module, "BLOCK_BYTES", 100)
    monkeypatch.setattr(series_module, "GROUP_BYTES", 8 * 2 * 20 * 4)  # four coordinates of 2 chains, 20 draws
    x = np.random.default_rng(0).normal(size=(2, 20, 2, 3))
    got = dict(coordinates(make_chains(x=OnDisk(x), domain=domain)))
    if domain == "angle":
        assert len(got) == 12
        np.testing.assert_array_equal(got["sin x[1, 2]"], np.sin(x[:, :, 1, 2]))
        np.testing.assert_array_equal(got["cos x[0, 1]"], np.cos(x[:, :, 0, 1]))
    else:
        assert list(got) == ["x[0, 0]", "x[0, 1]", "x[0, 2]", "x[1, 0]", "x[1, 1]", "x[1, 2]"]
        np.testing.assert_array_equal(got["x[1, 1]"], x[:, :, 1, 1])


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("energie",), ValueError, r"one of \['energy', 'm'\].*got 'energie'"),
        (("energy", {"method": "bootstrap"}), ValueError, 'method must be "gamma" or "jackknife", got \'bootstrap\''),
        (("energy", {"of": ["energy"]}), TypeError, "f must be a function of 1 means.*got str"),
        ((abs, {"of": []}), ValueError, "of must be a list of at least one variable"),
        ((abs, {"of": "energy"}), ValueError, "of must be a list"),
        ((abs, {"of": [np.zeros((3, 3))]}), ValueError, r"\(4, 100\), got \(3, 3\)"),
        ((lambda e: e / 0.0 if e == 0.5 else np.nan, {"of": ["energy"]}), ValueError, "f must be finite"),
        ((lambda e: np.ones(2), {"of": ["energy"]}), ValueError, r"one number, got an array of shape \(2,\)"),
        ((lambda x: x,), ValueError, r"keep_x=True"),
    ],
)
def test_bad_arguments_are_named(make_chains: Make, arguments: tuple, error: type[Exception], words: str) -> None:
    rng = np.random.default_rng(0)
    chains: Chains = make_chains(energy=rng.normal(size=(4, 100)), m=rng.normal(size=(4, 100)))
    keywords = arguments[1] if len(arguments) > 1 else {}
    with pytest.raises(error, match=words):
        estimate(arguments[0], chains, **keywords)


def test_a_function_that_gives_no_number_a_configuration_is_named(make_chains: Make) -> None:
    chains = make_chains(x=np.zeros((2, 10, 3)))
    with pytest.raises(ValueError, match=r"f must give one number a configuration.*got \(10, 3\)"):
        estimate(lambda x: x, chains)


def test_an_energy_that_is_not_finite_is_named(make_chains: Make) -> None:
    with pytest.raises(ValueError, match="finite, got 1 values"):
        estimate("energy", make_chains(energy=np.array([[1.0, np.inf, 2.0, 3.0]])))
