"""The toy densities: what is sampled, what log_prob says and the entropy agree, and agree with outsiders."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from models.datasets import (
    Checkerboard,
    GaussianRing,
    Pinwheel,
    TwoSpirals,
    checkerboard,
    gaussian_mixture,
    pinwheel,
    spiral,
)

ALPHA = 1e-6  # the false-alarm rate of every statistical test here
PUBLISHED = [gaussian_mixture(), checkerboard(), pinwheel(), spiral()]
OTHERS = [
    GaussianRing(components=3, radius=1.0, sigma=0.4),
    Checkerboard(squares=6, side=0.8),
    Pinwheel(arms=3, radial_std=0.25, tangential_std=0.2, rate=0.4, scale=1.5),  # its arms fold over themselves
    TwoSpirals(turns=1.0, jitter=0.9, scale=0.5, noise=0.15),
]
every_set = pytest.mark.parametrize("data", PUBLISHED + OTHERS, ids=repr)


def _midpoints(data: Any, reach: float, cells: int) -> tuple[np.ndarray, float]:
    """Log density at the middles of cells by cells squares of [-reach, reach]^2, and the area of one."""
    middle = reach * ((np.arange(cells) + 0.5) * 2 / cells - 1)
    grid = np.stack(np.meshgrid(middle, middle, indexing="ij"), axis=-1).reshape(-1, 2)
    return data.log_prob(grid).reshape(cells, cells), (2 * reach / cells) ** 2


@pytest.mark.parametrize("data", PUBLISHED, ids=repr)
def test_density_integrates_to_one(data: Any) -> None:
    log_p, area = _midpoints(data, reach=6.0, cells=240)  # 0.05 apart: the midpoint rule is exact to 1e-7 here
    assert abs(np.exp(log_p).sum() * area - 1) < 1e-7


@every_set
def test_samples_follow_the_density(data: Any) -> None:
    """Chi-square of a histogram of 200,000 points against the density integrated over each bin."""
    reach, bins, within, n = 4.2, 42, 5, 200_000  # cells of 0.04 fit the boards' squares
    log_p, area = _midpoints(data, reach, bins * within)
    expected = n * area * np.exp(log_p).reshape(bins, within, bins, within).sum(axis=(1, 3)).ravel()
    x = data.sample(n, seed=20260)
    edges = np.linspace(-reach, reach, bins + 1)
    observed = np.histogram2d(x[:, 0], x[:, 1], bins=[edges, edges])[0].ravel()
    kept = expected > 20
    expected = np.append(expected[kept], n - expected[kept].sum())
    observed = np.append(observed[kept], n - observed[kept].sum())
    # The rest, outside and in sparse bins, joins only where it is large enough to be counted.
    expected, observed = (expected, observed) if expected[-1] > 20 else (expected[:-1], observed[:-1])
    chi_square = np.sum((observed - expected) ** 2 / expected)
    assert stats.chi2.sf(chi_square, len(expected) - 1) > ALPHA


@every_set
def test_entropy_is_the_mean_of_minus_log_prob(data: Any) -> None:
    n = 50_000
    surprise = -data.log_prob(data.sample(n, seed=7))
    error = surprise.std(ddof=1) / math.sqrt(n)
    assert abs(surprise.mean() - data.entropy) <= stats.norm.isf(ALPHA / 2) * error + 1e-9  # no error on a uniform one


@pytest.mark.parametrize(
    ("data", "published", "error"),
    [
        (checkerboard(), math.log(32), 1e-12),
        (gaussian_mixture(), 2.8319, 1e-4),
        (spiral(), 2.6454, 1e-4),
        (pinwheel(), 2.3175, 1e-3),
    ],
    ids=["checkerboard", "gaussian_mixture", "spiral", "pinwheel"],
)
def test_entropy_matches_the_published_value(data: Any, published: float, error: float) -> None:
    assert abs(data.entropy - published) < error


def test_entropy_matches_closed_forms() -> None:
    one = math.log(2 * math.pi * math.e)  # of a standard Gaussian in the plane
    assert GaussianRing(components=1, sigma=0.3).entropy == pytest.approx(one + 2 * math.log(0.3), abs=1e-9)
    apart = GaussianRing(components=5, radius=20.0)  # far apart, each adds its choice
    assert apart.entropy == pytest.approx(one + 2 * math.log(apart.sigma) + math.log(5), abs=1e-9)
    straight = Pinwheel(arms=1, radial_std=0.2, tangential_std=0.1, rate=1e-9, scale=3.0)
    assert straight.entropy == pytest.approx(one + math.log(0.2 * 0.1 * 9), abs=1e-6)


def test_spiral_log_prob_matches_adaptive_quadrature() -> None:
    data = spiral()

    def blurred(z: float) -> float:
        return (special.ndtr(z / 0.1) - special.ndtr((z - 1 / 6) / 0.1)) * 6

    def along(n: float, x: np.ndarray) -> float:
        c = np.array([-n * math.cos(n), n * math.sin(n)]) / 3
        return 2 * n / (3 * math.pi) ** 2 * blurred(x[0] - c[0]) * blurred(x[1] - c[1])

    points = np.vstack((data.sample(6, seed=1), [[0.0, 0.0], [3.3, 0.2], [-1.0, 2.5]]))
    turns = np.linspace(0, 3 * math.pi, 20)
    for x, log_p in zip(points, data.log_prob(points), strict=True):
        p = sum(
            integrate.quad(along, a, b, args=(sign * x,), epsabs=1e-14, epsrel=1e-11)[0] / 2
            for sign in (1, -1)
            for a, b in pairwise(turns)
        )
        assert log_p == pytest.approx(math.log(p), abs=1e-8)


def test_pinwheel_log_prob_matches_a_scan_for_every_root() -> None:
    data = pinwheel()
    fine = np.linspace(-math.pi, math.pi, 20_001) + 1e-5
    points = np.vstack((data.sample(6, seed=1), [[0.1, 0.0], [4.2, 3.1], [-5.0, -3.0], [7.0, 3.0]]))
    for x, log_p in zip(points, data.log_prob(points), strict=True):
        r, theta = np.hypot(*x) / 2, math.atan2(x[1], x[0])
        p = 0.0
        for arm in range(5):

            def gap(phi: Any, r: float = r, offset: float = theta + 2 * math.pi * arm / 5) -> Any:
                return np.sin((phi - 0.25 * np.exp(r * np.cos(phi)) - offset) / 2)

            value = gap(fine)
            for i in np.flatnonzero(value[1:] * value[:-1] < 0):
                phi = optimize.brentq(gap, fine[i], fine[i + 1], xtol=1e-15)
                f1, f2 = r * math.cos(phi), r * math.sin(phi)
                p += stats.norm.pdf(f1, 1, 0.3) * stats.norm.pdf(f2, 0, 0.1) / abs(1 + 0.25 * math.exp(f1) * f2)
        assert log_p == pytest.approx(math.log(p / (5 * 4)), abs=1e-8)


def test_pinwheel_far_value_joins_the_sum_over_roots() -> None:
    """Over a turn, the mean of the density within the limit of the sum tends to the formula beyond it."""
    limit = 2 * math.log(300 / 0.25)
    angle = 2 * math.pi * (np.arange(4000) + 0.5) / 4000
    circle = np.column_stack((np.cos(angle), np.sin(angle)))
    inside, outside = (pinwheel().log_prob(limit * (1 + side * 1e-9) * circle) for side in (-1, 1))
    assert np.ptp(outside) < 1e-9
    peak = inside.max()
    mean = peak + math.log(np.mean(np.exp(inside - peak)))
    # Laplace's formula is right to 1 / (8 curvature), and the caustics make the mean over a grid rough.
    assert mean == pytest.approx(outside[0], abs=0.1)


def test_checkerboard_has_density_zero_off_its_support() -> None:
    data = checkerboard()
    assert np.isfinite(data.log_prob(data.sample(50_000, seed=3))).all()
    on = [[0.5, 0.5], [-3.9, -3.9], [-0.1, 2.1 - 4.0], [3.9, 3.9]]
    off = [[0.5, -0.5], [-4.1, -3.9], [0.5, 4.5], [4.0, 4.0], [np.inf, 0.5]]
    assert np.array_equal(data.log_prob(on), np.full(4, -math.log(32)))
    assert np.array_equal(data.log_prob(off), np.full(5, -np.inf))


@every_set
def test_log_prob_stays_a_number_far_outside(data: Any) -> None:
    log_p = data.log_prob([[30.0, -40.0], [1e6, 0.0], [np.inf, 0.0], [-np.inf, np.inf], [1e200, 1e200]])
    assert not np.isnan(log_p).any()
    assert (np.diff(log_p[:3]) <= 0).all() if np.isfinite(log_p[1]) else True
    assert (log_p[2:] == -np.inf).all()


@every_set
def test_same_seed_same_points(data: Any) -> None:
    first = data.sample(100, seed=5)
    assert first.shape == (100, 2)
    assert first.dtype == np.float64
    assert np.array_equal(first, data.sample(100, seed=np.random.default_rng(5)))
    assert not np.array_equal(first, data.sample(100, seed=6))
    assert data.sample(0, seed=5).shape == (0, 2)
    assert data.log_prob(np.empty((0, 2))).shape == (0,)


@pytest.mark.parametrize("data", PUBLISHED, ids=repr)
def test_bad_points_and_counts_are_named(data: Any) -> None:
    with pytest.raises(ValueError, match=r"x must have shape \(n, 2\), got \(2,\)"):
        data.log_prob([0.0, 1.0])
    with pytest.raises(ValueError, match="x must not contain NaN"):
        data.log_prob([[0.0, np.nan]])
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        data.sample(-1, seed=0)
    with pytest.raises(TypeError, match=r"n must be an integer, got 2\.5"):
        data.sample(2.5, seed=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gaussian_mixture(components=0), "components must be at least 1, got 0"),
        (lambda: gaussian_mixture(sigma=-0.5), "sigma must be positive and finite, got -0.5"),
        (lambda: checkerboard(squares=3), "squares must be even, .* got 3"),
        (lambda: checkerboard(side=math.nan), "side must be positive and finite, got nan"),
        (lambda: pinwheel(tangential_std=0.4), "tangential_std must be at most radial_std .* got 0.4"),
        (lambda: pinwheel(rate=0.0), "rate must be positive and finite, got 0.0"),
        (lambda: spiral(noise=0.0), "noise must be positive and finite, got 0.0"),
    ],
)
def test_bad_parameters_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
