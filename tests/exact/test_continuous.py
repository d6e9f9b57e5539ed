"""Quadrature, barrier crossing and integrators against closed forms and other discretisations."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import eigh, solve_discrete_lyapunov
from scipy.special import ive

from ebm.exact import (
    baoab_variances,
    fokker_planck_rate,
    kramers_rate_asymptotic,
    log_z_quadrature,
    ula_autocorrelation,
    ula_autocorrelation_time,
    ula_variance,
)


def double_well(x: np.ndarray) -> np.ndarray:
    return (x[:, 0] ** 2 - 1) ** 2


# --- ln Z -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", (0.5, 1.0, 4.0, 50.0))
def test_double_well_log_z_is_given_by_bessel_functions(beta):
    # int exp(-beta (x^2 - 1)^2) dx = (pi/2) e^{-beta/2} [I_{1/4}(beta/2) + I_{-1/4}(beta/2)]
    exact = math.log(math.pi / 2 * (ive(0.25, beta / 2) + ive(-0.25, beta / 2)))
    assert log_z_quadrature(double_well, [(-4, 4)], beta) == pytest.approx(exact, abs=1e-11)


@pytest.mark.parametrize("beta", (0.4, 2.0))
def test_gaussian_log_z_in_two_dimensions(beta):
    precision = np.array([[2.0, 0.9], [0.9, 1.0]])
    exact = math.log(2 * math.pi / beta) - math.log(np.linalg.det(precision)) / 2
    value = log_z_quadrature(lambda x: ((x @ precision) * x).sum(axis=1) / 2, [(-25, 25), (-30, 30)], beta)
    assert value == pytest.approx(exact, abs=1e-11)


def test_log_z_of_a_box_that_cuts_the_law_equals_adaptive_integration():
    exact = math.log(quad(lambda x: math.exp(-0.7 * (x**2 - 1) ** 2), -0.3, 1.1, epsabs=0, epsrel=1e-13)[0])
    assert log_z_quadrature(double_well, [(-0.3, 1.1)], 0.7) == pytest.approx(exact, abs=1e-11)


def test_quadrature_says_when_it_cannot_reach_the_accuracy():
    with pytest.raises(ValueError, match="accuracy must be above"):
        log_z_quadrature(lambda x: np.where(x.sum(axis=1) > 1 / 3, 0.0, 5.0), [(0, 1), (0, 1)])


@pytest.mark.parametrize(
    ("limits", "message"),
    (
        ([(1, 1)], r"limits must have low < high, got \(1\.0, 1\.0\)"),
        ([(0, 1)] * 3, r"limits must be 1 or 2 pairs \(low, high\), got 3"),
        ([(0, math.inf)], "limits must be finite, got inf"),
    ),
)
def test_limits_that_are_no_box_are_named(limits, message):
    with pytest.raises(ValueError, match=message):
        log_z_quadrature(double_well, limits)


def test_limits_must_fit_the_energy():
    class Plane:
        shape = (2,)

        def __call__(self, x: np.ndarray) -> np.ndarray:
            return (x**2).sum(axis=1)

    with pytest.raises(ValueError, match=r"configuration of shape \(2,\), got 1"):
        log_z_quadrature(Plane(), [(-1, 1)])


# --- barrier crossing -------------------------------------------------------------------------------------------------


def rate_by_sinc_functions(beta: float) -> float:
    """lambda_1 / 2 of -(1/beta) d^2/dx^2 + beta U'^2/4 - U''/2 by sinc functions (Colbert and Miller 1992)."""
    n, h = 400, 6.0 / 400
    x = h * (np.arange(n) - (n - 1) / 2)
    distance = np.subtract.outer(np.arange(n), np.arange(n))
    off = distance + np.eye(n)  # the diagonal is replaced below
    kinetic = np.where(distance == 0, math.pi**2 / 3, 2.0 * (-1.0) ** distance / off**2) / (beta * h**2)
    potential = beta * (4 * x * (x**2 - 1)) ** 2 / 4 - (12 * x**2 - 4) / 2
    return float(eigh(kinetic + np.diag(potential), eigvals_only=True, subset_by_index=[1, 1])[0]) / 2


@pytest.mark.parametrize("temperature", (0.15, 0.25, 0.5, 1.0))
def test_fokker_planck_rate_equals_another_discretisation(temperature):
    rate = fokker_planck_rate(double_well, (-3, 3), 1 / temperature)
    assert rate == pytest.approx(rate_by_sinc_functions(1 / temperature), rel=1e-7)


def test_fokker_planck_rate_has_the_reference_value():
    assert fokker_planck_rate(double_well, (-3, 3), beta=4.0) == pytest.approx(0.01488980, abs=5e-9)


@pytest.mark.parametrize("beta", (0.5, 1.0, 3.0))
@pytest.mark.parametrize("curvature", (0.5, 2.0))
def test_harmonic_well_relaxes_at_its_curvature(curvature, beta):
    width = 10 / math.sqrt(beta * curvature)
    rate = fokker_planck_rate(lambda x: curvature * x[:, 0] ** 2 / 2 + 7.0, (-width, width), beta)
    assert rate == pytest.approx(curvature / 2, rel=1e-8)


def test_reduced_energy_sets_the_equilibrium_and_beta_the_noise():
    class Hidden:
        """A well whose curvature at beta is not beta times that at one: u = beta^2 x^2 / 2."""

        shape = (1,)

        def __call__(self, x: np.ndarray) -> np.ndarray:
            return x[:, 0] ** 2 / 2

        def reduced(self, x: np.ndarray, beta: float) -> np.ndarray:
            return beta**2 * x[:, 0] ** 2 / 2

    assert fokker_planck_rate(Hidden(), (-6, 6), beta=2.0) == pytest.approx(1.0, rel=1e-8)
    assert log_z_quadrature(Hidden(), [(-6, 6)], beta=2.0) == pytest.approx(math.log(2 * math.pi) / 2 - math.log(2))


@pytest.mark.parametrize("temperature", (0.15, 0.2, 0.25))
def test_kramers_asymptotic_rate_is_a_tenth_too_high(temperature):
    beta = 1 / temperature
    ratio = kramers_rate_asymptotic(8, 4, 1, beta) / fokker_planck_rate(double_well, (-3, 3), beta)
    assert 1.065 < ratio < 1.115


def test_kramers_asymptotic_rate_is_right_in_the_limit_of_a_high_barrier():
    excess = [
        kramers_rate_asymptotic(8, 4, 1, beta) / fokker_planck_rate(double_well, (-3, 3), beta) - 1 for beta in (8, 16)
    ]
    assert excess[0] / excess[1] == pytest.approx(2.0, rel=0.15)  # the correction is of first order in 1 / beta


def test_too_coarse_a_grid_is_refused():
    with pytest.raises(ValueError, match="n_points must be larger to resolve the energy"):
        fokker_planck_rate(double_well, (-3, 3), beta=30.0, n_points=64)
    with pytest.raises(ValueError, match=r"barrier must be positive, got -1\.0"):
        kramers_rate_asymptotic(8, 4, -1)


# --- integrators on a harmonic well -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", (0.01, 0.3, 0.8))
@pytest.mark.parametrize(("curvature", "beta"), ((1.0, 1.0), (2.0, 0.5)))
def test_ula_variance_is_the_fixed_point_of_its_recursion(step, curvature, beta):
    variance = ula_variance(step, curvature, beta)
    assert (1 - step * curvature) ** 2 * variance + 2 * step / beta == pytest.approx(variance, rel=1e-13)
    assert ula_autocorrelation(1, step, curvature) == pytest.approx(1 - step * curvature)
    correlations = [ula_autocorrelation(lag, step, curvature) for lag in range(1, 4000)]
    assert ula_autocorrelation_time(step, curvature) == pytest.approx(1 + 2 * sum(correlations), rel=1e-12)


@pytest.mark.parametrize("friction", (0.1, 1.0, 20.0))
@pytest.mark.parametrize("step", (0.1, 1.0, 1.3))
@pytest.mark.parametrize(("curvature", "beta"), ((1.0, 1.0), (2.0, 0.5)))
def test_baoab_variances_solve_its_covariance_equation(curvature, beta, step, friction):
    kick = np.array([[1.0, 0.0], [-step * curvature / 2, 1.0]])
    drift = np.array([[1.0, step / 2], [0.0, 1.0]])
    decay = math.exp(-friction * step)
    after = kick @ drift
    transition = after @ np.diag([1.0, decay]) @ drift @ kick
    covariance = solve_discrete_lyapunov(transition, after @ np.diag([0.0, (1 - decay**2) / beta]) @ after.T)
    # 1e-9: the solver inverts a matrix that is nearly singular where friction times step is small.
    assert np.diag(covariance) == pytest.approx(baoab_variances(step, curvature, beta), rel=1e-9)
    assert covariance[0, 1] == pytest.approx(0.0, abs=1e-9)


def test_unstable_steps_are_refused():
    with pytest.raises(ValueError, match=r"step must be below 2 / curvature = 1\.0, got 1\.0"):
        ula_variance(1.0, curvature=2.0)
    with pytest.raises(ValueError, match=r"step must be below 2 / sqrt\(curvature\) = 1\.0, got 1\.0"):
        baoab_variances(1.0, curvature=4.0)
    with pytest.raises(ValueError, match=r"step must be positive, got 0\.0"):
        ula_autocorrelation_time(0.0)
