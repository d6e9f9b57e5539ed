"""The infinite square lattice against Onsager's double integral, derivatives, expansions and 30-digit arithmetic."""

import math

import mpmath
import numpy as np
import pytest

from ebm.exact import (
    onsager_critical_temperature,
    onsager_energy,
    onsager_heat_capacity,
    onsager_log_z,
    onsager_magnetisation,
)

CRITICAL = 1.0 / onsager_critical_temperature()


def log_z_by_double_integral(beta: float) -> float:
    """ln 2 + half the mean of ln[cosh^2 2b - sinh 2b (cos a + cos c)], on a grid."""
    # A grid integrates a smooth periodic function with an error that falls exponentially in its number of points.
    cosine = np.cos(2.0 * np.pi * np.arange(1024) / 1024)
    inside = math.cosh(2 * beta) ** 2 - math.sinh(2 * beta) * (cosine[:, None] + cosine)
    return math.log(2.0) + float(np.log(inside).mean()) / 2.0


@pytest.mark.parametrize("beta", (0.01, 0.2, 0.4, 0.48, 0.7, 2.0))
def test_log_z_equals_the_double_integral(beta):
    assert onsager_log_z(beta) == pytest.approx(log_z_by_double_integral(beta), abs=1e-12)


def test_log_z_at_the_critical_point_is_given_by_catalans_constant():
    assert onsager_log_z(CRITICAL) == pytest.approx(math.log(2) / 2 + 2 * float(mpmath.catalan) / math.pi, abs=1e-13)


@pytest.mark.parametrize("distance", (-1e-2, -1e-4, -1e-7, 1e-10, 1e-5, 1e-3))
def test_log_z_energy_and_heat_capacity_close_to_the_critical_point(distance):
    beta = CRITICAL * (1.0 + distance)
    with mpmath.workdps(30):
        b = mpmath.mpf(beta)
        prime = 2 * mpmath.tanh(2 * b) ** 2 - 1
        knee = abs(prime)
        integral = mpmath.quad(
            lambda t: mpmath.log(1 + mpmath.sqrt(mpmath.sin(t) ** 2 + (prime * mpmath.cos(t)) ** 2)),
            [0, knee, 10 * knee, 100 * knee, mpmath.pi / 2] if 100 * knee < 1 else [0, knee, mpmath.pi / 2],
        )
        log_z = mpmath.log(2 * mpmath.cosh(2 * b)) + integral / mpmath.pi - mpmath.log(2) / 2
        first, second = mpmath.ellipk(1 - prime**2), mpmath.ellipe(1 - prime**2)
        energy = -mpmath.coth(2 * b) * (1 + 2 / mpmath.pi * prime * first)
        bracket = 2 * (first - second) - (1 - prime) * (mpmath.pi / 2 + prime * first)
        heat_capacity = 2 / mpmath.pi * (b * mpmath.coth(2 * b)) ** 2 * bracket
    assert onsager_log_z(beta) == pytest.approx(float(log_z), abs=1e-12)
    assert onsager_energy(beta) == pytest.approx(float(energy), abs=1e-13)
    # C ~ ln|k'|, and k' itself carries a rounding error of 1e-16.
    assert onsager_heat_capacity(beta) == pytest.approx(float(heat_capacity), abs=1e-15 / abs(distance) + 1e-13)


@pytest.mark.parametrize("beta", (0.1, 0.3, 0.43, 0.45, 0.6, 1.0))
def test_energy_and_heat_capacity_are_derivatives_of_log_z(beta):
    step = 1e-4
    below, here, above = (log_z_by_double_integral(beta + shift) for shift in (-step, 0.0, step))
    # Central differences: step^2 times a derivative of at most a few thousand this far from T_c, and rounding.
    assert onsager_energy(beta) == pytest.approx(-(above - below) / (2 * step), abs=1e-5)
    assert onsager_heat_capacity(beta) == pytest.approx(beta**2 * (above - 2 * here + below) / step**2, abs=1e-3)


def test_reference_values():
    assert onsager_critical_temperature() == pytest.approx(2.269185314213022, rel=1e-15)
    assert onsager_energy(1 / 2.5) == pytest.approx(-1.1060792, abs=5e-8)
    assert onsager_heat_capacity(1 / 2.5) == pytest.approx(0.8616984, abs=5e-8)
    assert onsager_energy(CRITICAL) == pytest.approx(-math.sqrt(2.0), abs=1e-14)


def test_magnetisation_follows_its_low_temperature_series():
    u = math.exp(-4.0)  # e^{-4 beta} at beta = 1
    series = 1 - 2 * u**2 - 8 * u**3 - 34 * u**4 - 152 * u**5 - 714 * u**6
    # The next coefficient is 3472; the terms fall by a factor of about 5 u = 0.09.
    assert onsager_magnetisation(1.0) == pytest.approx(series, abs=2 * 3472 * u**7)


def test_magnetisation_vanishes_at_the_critical_point_with_exponent_one_eighth():
    assert onsager_magnetisation(CRITICAL * (1 - 1e-12)) == 0.0
    assert onsager_magnetisation(0.1) == 0.0
    assert onsager_magnetisation(500.0) == 1.0
    ratio = onsager_magnetisation(CRITICAL * (1 + 1e-6)) / onsager_magnetisation(CRITICAL * (1 + 1e-8))
    assert math.log(ratio) / math.log(100.0) == pytest.approx(1 / 8, abs=1e-5)


def test_very_hot_and_very_cold():
    assert onsager_energy(1e-5) == pytest.approx(-2e-5, rel=1e-5)
    assert onsager_log_z(1e-5) == pytest.approx(math.log(2.0) + 1e-10, abs=1e-13)
    assert onsager_energy(1000.0) == -2.0
    assert onsager_log_z(1000.0) == pytest.approx(2000.0, rel=1e-14)
    assert onsager_heat_capacity(1000.0) == pytest.approx(0.0, abs=1e-8)


def test_bad_beta_is_named():
    for function in (onsager_log_z, onsager_energy, onsager_heat_capacity, onsager_magnetisation):
        with pytest.raises(ValueError, match=r"beta must be positive, got -1\.0"):
            function(-1.0)
