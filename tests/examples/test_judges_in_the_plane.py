"""What the examples in the plane are judged by, given the truth itself: no gap, the entropy, no loss."""

import math

import numpy as np
import pytest
from example_folder import Load
from laws import ALPHA, ArrayTier, mean_p
from scipy import stats

import ebm

LARGEST_Z = 5.0


def test_the_cells_of_the_grid_fill_the_box(load: Load) -> None:
    plane = load("plane")
    axis, x, area = plane.grid(40)
    assert x.shape == (1600, 2) and area * len(x) == pytest.approx((2 * plane.HALF) ** 2)
    np.testing.assert_allclose(np.diff(axis), math.sqrt(area))
    np.testing.assert_allclose((axis[0], axis[-1]), (-plane.HALF + np.sqrt(area) / 2, plane.HALF - np.sqrt(area) / 2))
    np.testing.assert_array_equal(x.reshape(40, 40, 2)[3, 5], axis[[3, 5]])


@pytest.mark.parametrize("name", ["8 gaussians", "pinwheel", "2 spirals"])
def test_the_gap_of_the_truth_is_zero(name: str, load: Load) -> None:
    example = load("ebm_2d")
    truth = example.SETS[name]
    gap, error = example.gap(lambda x: -truth.log_prob(x), truth, 500, seed=1)
    assert abs(gap) < 1e-8 and error < 1e-8


def test_log_z_is_that_of_the_truth(load: Load) -> None:
    example = load("ebm_2d")
    truth = example.SETS["8 gaussians"]
    assert example.log_z(lambda x: -truth.log_prob(x)) == pytest.approx(0.0, abs=1e-12)
    assert example.log_z(lambda x: 3.0 - truth.log_prob(x)) == pytest.approx(-3.0, abs=1e-12)


def test_the_gap_of_a_gaussian_is_its_divergence(load: Load) -> None:
    example = load("ebm_2d")
    truth, variance = example.SETS["8 gaussians"], 1.2
    second_moment = (truth.centres**2).sum(1).mean() + 2.0 * truth.sigma**2
    expected = -truth.entropy + math.log(2.0 * math.pi * variance) + second_moment / (2.0 * variance)
    gap, error = example.gap(lambda x: (x**2).sum(1) / (2.0 * variance), truth, 20_000, seed=2)
    assert abs(gap - expected) < LARGEST_Z * error < 0.05


def test_the_exact_energy_beside_long_chains_is_that_of_equipartition(load: Load) -> None:
    gaussian = ebm.Gaussian([0.5, -0.5], [[1.0, 0.3], [0.3, 0.6]])
    run, exact = load("ebm_2d").long_run(ArrayTier(gaussian), gaussian.sample(4, seed=1), 4, 200, 3)
    assert run.shape == (4, 100) and exact == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize("name", ["8 gaussians", "pinwheel", "2 spirals"])
def test_true_samples_have_the_entropy_and_others_have_not(name: str, load: Load) -> None:
    example = load("score_2d")
    truth = example.SETS[name]
    x = truth.sample(4000, 3)
    value, error = example.by_density(truth, x)
    assert abs(value - truth.entropy) < LARGEST_Z * error
    value, error = example.by_density(truth, 1.1 * x)
    assert value - truth.entropy > LARGEST_Z * error


def test_the_share_off_the_squares_is_counted(load: Load) -> None:
    example = load("score_2d")
    board = example.SETS["checkerboard"]
    x = board.sample(2000, 3)
    assert example.by_density(board, x) == (0.0, 0.0)
    x[:500] += 100.0
    assert example.by_density(board, x)[0] == 0.25


@pytest.mark.parametrize("name", ["8 gaussians", "checkerboard"])
def test_kernels_lose_nothing_by_true_samples(name: str, load: Load) -> None:
    example = load("score_2d")
    truth = example.SETS[name]
    for scale, right in ((1.0, True), (1.3, False)):
        losses = [example.by_kernels(truth, scale * truth.sample(300, 900 + k), 10 * k)[0] for k in range(12)]
        assert (mean_p(np.array(losses), 0.0) > ALPHA) == right


def test_the_error_of_the_loss_by_kernels_is_its_spread(load: Load) -> None:
    example = load("score_2d")
    truth = example.SETS["8 gaussians"]
    values, errors = np.transpose([example.by_kernels(truth, truth.sample(400, 900 + k), 10 * k) for k in range(40)])
    square = ((values - values.mean()) ** 2 / errors**2).sum()
    assert ALPHA / 2 < stats.chi2.sf(square, len(values) - 1) < 1 - ALPHA / 2
