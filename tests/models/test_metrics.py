"""Metrics against closed forms of Gaussians, and estimates against what theory says of their means and p-values."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from laws import ALPHA, chi_square_p, mean_p
from scipy import linalg, stats
from scipy.spatial.distance import cdist

from models import datasets, metrics


def gaussian(n: int, seed: int, mean: Any = 0.0, d: int = 1, std: float = 1.0) -> np.ndarray:
    return mean + std * np.random.default_rng(seed).normal(size=(n, d))


def test_samples_of_a_density_have_its_entropy_and_stay_on_its_support() -> None:
    board, ring = datasets.checkerboard(), datasets.gaussian_mixture()
    for truth in (board, ring):
        found = [metrics.density_score(truth.sample(200, seed), truth.log_prob) for seed in range(32)]
        assert all(score.off_support == (0.0, 0.0) for score in found)
        if truth is ring:
            assert mean_p(np.array([score.surprise.value for score in found]), truth.entropy) > ALPHA
    assert found[0].surprise.value == pytest.approx(-ring.log_prob(ring.sample(200, 0)).mean())
    x = np.random.default_rng(1).uniform(-4, 4, (4000, 2))
    score = metrics.density_score(x, board.log_prob)
    assert score.surprise.value == pytest.approx(board.entropy)  # uniform where it is not zero
    assert stats.binomtest(round(4000 * score.off_support.value), 4000, 0.5).pvalue > ALPHA
    assert score.off_support.error == pytest.approx(0.5 / math.sqrt(4000), rel=0.01)
    with pytest.raises(ValueError, match="x must have a sample on the support"):
        metrics.density_score([[0.5, -0.5]], board.log_prob)
    with pytest.raises(ValueError, match="log_prob must give numbers"):
        metrics.density_score([[0.5, -0.5]], lambda x: np.array([np.nan]))


def test_a_kernel_density_is_a_mixture_of_gaussians() -> None:
    samples, x = gaussian(7, 1, d=3), gaussian(50, 2, d=3)
    h = 0.4
    parts = [stats.multivariate_normal(centre, h**2 * np.eye(3)).pdf(x) for centre in samples]
    score = metrics.kernel_log_likelihood(samples, x, h)
    logs = np.log(np.mean(parts, axis=0))
    assert score.value == pytest.approx(logs.mean(), abs=1e-12)
    assert score.error == pytest.approx(logs.std(ddof=1) / math.sqrt(50), rel=1e-9)


def test_the_best_width_is_that_of_leave_one_out() -> None:
    samples = gaussian(60, 3, d=2)

    def left_out(h: float) -> float:
        return sum(
            metrics.kernel_log_likelihood(np.delete(samples, i, 0), samples[i : i + 1], h).value for i in range(60)
        )

    best = metrics.best_bandwidth(samples)
    assert left_out(best) > max(left_out(best * 1.02), left_out(best / 1.02))
    assert metrics.best_bandwidth(5.0 * samples) == pytest.approx(5.0 * best, rel=1e-2)
    assert metrics.kernel_log_likelihood(samples, samples).bandwidth == best
    with pytest.raises(ValueError, match="samples must differ"):
        metrics.best_bandwidth(np.ones((5, 2)))


def test_the_overlap_of_gaussians_is_that_of_the_closed_form() -> None:
    # The estimate of one sample is a Gaussian of its width; of two Gaussians, with S = (s^2 + t^2) / 2,
    #   -ln BC = |m|^2 / 8 S + ln(S / s t)    in the plane
    for distance, s, t in ((0.0, 1.0, 1.0), (1.5, 0.7, 0.7), (2.0, 0.5, 1.2)):
        S = (s**2 + t**2) / 2
        expected = distance**2 / (8 * S) + math.log(S / (s * t))
        x, y = [[0.3, -0.2]], [[0.3 + 0.6 * distance, -0.2 - 0.8 * distance]]
        law = stats.multivariate_normal(y[0], t**2 * np.eye(2))
        for found in (metrics.overlap(x, y, (s, t)), metrics.overlap(x, law.logpdf, s)):
            assert found.coefficient == pytest.approx(math.exp(-expected), rel=1e-5)
            assert found.bhattacharyya == pytest.approx(expected, abs=1e-5)
            assert found.hellinger == pytest.approx(math.sqrt(1 - found.coefficient))
    assert metrics.overlap([[0.0, 0.0]], [[100.0, 0.0]], 1.0).hellinger == pytest.approx(1.0)


def test_the_overlap_grows_as_laws_come_nearer() -> None:
    x = gaussian(400, 1, d=2)
    far, near, same = (metrics.overlap(x, gaussian(400, 2, mean, d=2)).coefficient for mean in (2.0, 0.7, 0.0))
    assert far < near < same <= 1.0
    with pytest.raises(ValueError, match="bandwidth must be at least 1/1000 of the range"):
        metrics.overlap(x, x, 1e-4)
    with pytest.raises(ValueError, match="x must be points of the plane"):
        metrics.overlap(gaussian(5, 1), gaussian(5, 2))


def plain_mmd(x: np.ndarray, y: np.ndarray, kernel: Callable[[np.ndarray], np.ndarray]) -> float:
    """Return the unbiased estimate by loops over pairs, that with the pairs (x_i, y_i) left out."""
    n, total = len(x), 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                total += sum(
                    sign * float(kernel(np.linalg.norm(a - b)))
                    for sign, a, b in ((1, x[i], x[j]), (1, y[i], y[j]), (-1, x[i], y[j]), (-1, y[i], x[j]))
                )
    return total / (n * (n - 1))


def test_mmd_is_the_mean_over_pairs_and_its_expectation_that_of_gaussians() -> None:
    x, y = gaussian(12, 1, d=2), gaussian(12, 2, 0.5, d=2)
    assert metrics.mmd(x, y, length=0.8).value == pytest.approx(plain_mmd(x, y, lambda r: np.exp(-(r**2) / 1.28)))
    assert metrics.mmd(x, y, "energy").value == pytest.approx(plain_mmd(x, y, lambda r: -r))
    median = np.median(cdist(np.r_[x, y], np.r_[x, y])[np.triu_indices(24, 1)])
    assert metrics.mmd(x, y) == metrics.mmd(x, y, length=median)
    # <k> of a difference N(m, 2) in one dimension is l / sqrt(l^2 + 2) exp(-m^2 / 2 (l^2 + 2))
    length, m = 0.9, 1.2
    exact = 2 * length / math.sqrt(length**2 + 2) * (1 - math.exp(-(m**2) / (2 * (length**2 + 2))))
    found = [metrics.mmd(gaussian(60, s), gaussian(60, 1000 + s, m), length=length) for s in range(200)]
    assert mean_p(np.array([f.value for f in found]), exact) > ALPHA
    seen, stated = np.var([f.value for f in found], ddof=1), np.mean([f.error**2 for f in found])
    # The variance over runs is chi-square with 199 degrees of freedom; the jackknife's own bias is of order 1/n.
    assert stats.chi2.sf(199 * seen / (1.1 * stated), 199) > ALPHA
    assert stats.chi2.cdf(199 * seen / (stated / 1.1), 199) > ALPHA


@pytest.mark.parametrize("kernel", ["gaussian", "energy"])
def test_p_values_are_uniform_if_both_have_one_law(kernel: str) -> None:
    found = [
        metrics.two_sample_test(gaussian(12, s, d=2), gaussian(17, 5000 + s, d=2), kernel, permutations=19, seed=s)
        for s in range(2000)
    ]
    ranks = np.rint(20 * np.array([f.p_value for f in found])).astype(int)  # 1 to 20
    assert chi_square_p(np.bincount(ranks, minlength=21)[1:], np.full(20, 0.05)) > ALPHA


def test_the_two_sample_test_sees_a_difference_and_its_statistic_is_the_estimate() -> None:
    x, y = gaussian(60, 1, d=2), gaussian(60, 2, d=2, std=2.0)
    for kernel in ("gaussian", "energy"):
        found = metrics.two_sample_test(x, y, kernel, seed=1)
        assert found.p_value == 1e-3 and found == metrics.two_sample_test(x, y, kernel, seed=1)
    n, k = 60, cdist(np.r_[x, y], np.r_[x, y])
    off = k[:n, :n].sum() / (n * (n - 1)) + k[n:, n:].sum() / (n * (n - 1))
    assert found.statistic == pytest.approx(2 * k[:n, n:].mean() - off)
    assert metrics.two_sample_test(x[:5], x[:5].copy(), seed=1).p_value > 0.5  # doubles are as near as can be


def test_sliced_wasserstein_of_a_shift_and_of_gaussians() -> None:
    x, shift = gaussian(300, 1, d=3), np.array([1.0, -2.0, 0.5])
    values = np.array([metrics.sliced_wasserstein(x, x + shift, 20, seed).value for seed in range(64)])
    assert mean_p(values, (shift @ shift) / 3) > ALPHA  # <(u . m)^2> = |m|^2 / d
    u = np.random.default_rng(7).normal(size=(500, 1, 1))
    one_dimension = metrics.sliced_wasserstein(u[:, 0], 3.0 * u[::-1, 0] + 1.0, 5, seed=1)
    assert one_dimension.value == pytest.approx(np.square(2 * u + 1).mean()) and one_dimension.error < 1e-12
    estimate = metrics.sliced_wasserstein(x, x + shift, 2000, seed=1)
    assert abs(estimate.value - (shift @ shift) / 3) < 6 * estimate.error


def test_frechet_distance_of_gaussians() -> None:
    rng = np.random.default_rng(4)
    A, B, m = rng.normal(size=(4, 4)), rng.normal(size=(4, 4)), rng.normal(size=4)
    C_1, C_2 = A @ A.T, B @ B.T
    expected = m @ m + np.trace(C_1 + C_2 - 2 * linalg.sqrtm(C_1 @ C_2).real)
    assert metrics.frechet(m, C_1, np.zeros(4), C_2) == pytest.approx(expected, rel=1e-8)
    assert metrics.frechet(m, C_1, m, C_1) == pytest.approx(0, abs=1e-6)
    a, b = np.array([1.0, 4.0]), np.array([9.0, 4.0])  # of covariances that commute: sum (sqrt a - sqrt b)^2
    assert metrics.frechet([0, 0], np.diag(a), [0, 1], np.diag(b)) == pytest.approx(4 + 1)


def test_frechet_distance_of_features_and_its_bias() -> None:
    layer = torch.nn.Linear(16, 3, dtype=torch.float64)

    def features(images: np.ndarray) -> torch.Tensor:
        return layer(torch.as_tensor(images).flatten(1))

    x, y = gaussian(200, 1, d=16).reshape(-1, 4, 4), gaussian(100, 2, d=16).reshape(-1, 4, 4)
    f, g = (features(images).detach().numpy() for images in (x, y))
    expected = metrics.frechet(f.mean(0), np.cov(f.T), g.mean(0), np.cov(g.T))
    assert metrics.frechet_distance(x, y, features) == pytest.approx(expected)

    def of_one_law(n: int) -> np.ndarray:
        pairs = [(gaussian(n, s, d=5), gaussian(n, 900 + s, d=5)) for s in range(200)]
        return np.array([metrics.frechet_distance(a, b, lambda rows: rows) for a, b in pairs])

    for n in (100, 400):  # the mean is k (k + 5) / 2n to the first order in 1/n
        assert mean_p(of_one_law(n) * 2 * n / (5 * 10), 1.0) > ALPHA
    with pytest.raises(ValueError, match="x must hold more samples than there are features, 3, got 3"):
        metrics.frechet_distance(x[:3], y, features)


PAIRED: list[Callable[[Any, Any], Any]] = [
    metrics.mmd,
    metrics.two_sample_test,
    metrics.sliced_wasserstein,
    metrics.kernel_log_likelihood,
]


@pytest.mark.parametrize("metric", PAIRED)
def test_samples_that_do_not_fit_are_refused(metric: Callable[[Any, Any], Any]) -> None:
    good = gaussian(6, 1, d=2)
    bad = good.copy()
    bad[3, 1] = np.nan
    with pytest.raises(ValueError, match="must be finite, got NaN or infinity in row 3"):
        metric(good, bad)
    with pytest.raises(ValueError, match="of one size, got 2 and 3 numbers a sample"):
        metric(good, gaussian(6, 1, d=3))
    with pytest.raises(ValueError, match=r"must be samples of shape \(n, d\), got \(6,\)"):
        metric(good[:, 0], good)
    with pytest.raises(TypeError, match="must be numbers"):
        metric(good.astype(str), good)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: metrics.mmd(x, x[:5]), "x and y must be equally many, got 6 and 5"),
        (lambda x: metrics.sliced_wasserstein(x, x[:5]), "x and y must be equally many"),
        (lambda x: metrics.sliced_wasserstein(x, x, 0), "directions must be"),
        (lambda x: metrics.mmd(x, x, "cubic"), 'kernel must be "gaussian" or "energy"'),
        (lambda x: metrics.mmd(x, x, "energy", 1.0), 'length is of kernel="gaussian"'),
        (lambda x: metrics.mmd(x, x, length=0.0), "length must be"),
        (lambda x: metrics.mmd(0 * x, 0 * x), "x and y must differ"),
        (lambda x: metrics.mmd(x[:2], x[:2]), "x must hold at least 3 samples"),
        (lambda x: metrics.two_sample_test(x, x, permutations=0), "permutations must be"),
        (lambda x: metrics.kernel_log_likelihood(x, x, -1.0), "bandwidth must be"),
    ],
)
def test_errors_name_the_argument(call: Callable[[np.ndarray], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(gaussian(6, 1, d=2))
