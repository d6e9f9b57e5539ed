"""Kaufman's torus against brute force, its own products in 40 digits, and the infinite lattice."""

import math

import mpmath
import numpy as np
import pytest

from ebm.exact import (
    kaufman_energy,
    kaufman_heat_capacity,
    kaufman_log_z,
    onsager_critical_temperature,
    onsager_energy,
    onsager_heat_capacity,
    onsager_log_z,
)

CRITICAL = 1.0 / onsager_critical_temperature()
BETAS = (1e-6, 1e-3, 0.1, 0.3, 0.44, CRITICAL, 0.441, 0.5, 1.0, 3.0, 50.0)


@pytest.fixture(scope="module")
def lattice_energies(spins) -> dict[int, np.ndarray]:
    """Energies of all configurations of the l x l torus, by l."""
    energies = {}
    for l in (2, 3, 4):
        s = spins(l * l).reshape(-1, l, l)
        energies[l] = -(s * (np.roll(s, 1, axis=1) + np.roll(s, 1, axis=2))).sum(axis=(1, 2))
    return energies


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("l", (2, 3, 4))
def test_kaufman_equals_sum_over_all_configurations(l, beta, lattice_energies, sums):
    exact = sums(lattice_energies[l], beta)
    assert kaufman_log_z(l, beta) == pytest.approx(exact.log_z, rel=1e-14)
    assert kaufman_energy(l, beta) == pytest.approx(exact.energy / l**2, abs=1e-14)
    assert kaufman_heat_capacity(l, beta) == pytest.approx(exact.heat_capacity / l**2, abs=1e-14)


def test_side_four_at_the_critical_point_has_the_reference_values(spins, lattice_energies, sums):
    assert kaufman_log_z(4, CRITICAL) == pytest.approx(15.5219155, abs=5e-8)
    assert kaufman_energy(4, CRITICAL) == pytest.approx(-1.5656238, abs=5e-8)
    assert kaufman_heat_capacity(4, CRITICAL) == pytest.approx(0.7832668, abs=5e-8)
    probability = sums(lattice_energies[4], CRITICAL).probability
    assert probability @ np.abs(spins(16).mean(axis=1)) == pytest.approx(0.8438604, abs=5e-8)


def log_z_in_forty_digits(l: int, k: mpmath.mpf) -> mpmath.mpf:
    """The four products as Kaufman wrote them."""
    coupling = mpmath.cosh(2 * k) ** 2 / mpmath.sinh(2 * k)
    g = [mpmath.acosh(coupling - mpmath.cos(mpmath.pi * r / l)) for r in range(1, 2 * l)]
    g.insert(0, 2 * k + mpmath.log(mpmath.tanh(k)))
    total = mpmath.mpf(0)
    for parity in (1, 0):
        for function in (mpmath.cosh, mpmath.sinh):
            total += mpmath.fprod(2 * function(l * g[r] / 2) for r in range(parity, 2 * l, 2))
    return mpmath.log(total / 2) + mpmath.mpf(l * l) / 2 * mpmath.log(2 * mpmath.sinh(2 * k))


@pytest.mark.parametrize("beta", (1e-4, 0.2, 0.44, CRITICAL, 0.4407, 0.5, 0.9, 3.0))
@pytest.mark.parametrize("l", (5, 16, 33))
def test_kaufman_equals_its_products_in_forty_digits(l, beta):
    with mpmath.workdps(40):
        k, step = mpmath.mpf(beta), mpmath.mpf(10) ** -10
        below, here, above = (log_z_in_forty_digits(l, k + shift) for shift in (-step, 0, step))
        first = float((above - below) / (2 * step)) / l**2
        second = float((above - 2 * here + below) / step**2) / l**2
    assert kaufman_log_z(l, beta) == pytest.approx(float(here), rel=1e-14)
    assert kaufman_energy(l, beta) == pytest.approx(-first, abs=2e-14)
    # The accuracy stated in the docstring, and the difference quotient's own 1e-15 or so.
    assert kaufman_heat_capacity(l, beta) == pytest.approx(beta**2 * second, abs=2e-15 * l + 1e-14)


@pytest.mark.parametrize("beta", (0.2, 0.35, 0.55, 0.8))
def test_large_torus_has_the_infinite_lattice_as_its_limit_away_from_the_critical_point(beta):
    # Corrections fall as exp(-l / correlation length); at these temperatures l = 64 leaves less than 1e-8 of them.
    l = 64
    states_at_zero_field = math.log(2.0) / l**2 if beta > CRITICAL else 0.0  # two phases below T_c
    assert kaufman_log_z(l, beta) / l**2 == pytest.approx(onsager_log_z(beta) + states_at_zero_field, abs=1e-8)
    assert kaufman_energy(l, beta) == pytest.approx(onsager_energy(beta), abs=1e-6)
    assert kaufman_heat_capacity(l, beta) == pytest.approx(onsager_heat_capacity(beta), abs=1e-4)


def test_critical_heat_capacity_grows_as_the_logarithm_of_the_side():
    # Ferdinand and Fisher 1969: C = (2/pi) ln^2(1 + sqrt 2) ln l + 0.138149 + O(1/l) on the square torus.
    l = 100_000
    slope = 2.0 / math.pi * math.log(1.0 + math.sqrt(2.0)) ** 2
    assert kaufman_heat_capacity(l, CRITICAL) == pytest.approx(slope * math.log(l) + 0.138149, abs=3e-6)


def test_a_huge_lattice_is_finite_at_the_critical_point_and_deep_in_both_phases():
    l = 20_000
    catalan = float(mpmath.catalan)
    assert kaufman_log_z(l, CRITICAL) / l**2 == pytest.approx(math.log(2) / 2 + 2 * catalan / math.pi, abs=2e-8)
    assert kaufman_energy(l, 1e-3) == pytest.approx(onsager_energy(1e-3), abs=1e-12)
    assert kaufman_energy(l, 900.0) == -2.0
    assert kaufman_log_z(l, 900.0) == pytest.approx(2 * l**2 * 900.0 + math.log(2), rel=1e-15)


def test_bad_arguments_are_named():
    for function in (kaufman_log_z, kaufman_energy, kaufman_heat_capacity):
        with pytest.raises(ValueError, match="l must be at least 2, got 1"):
            function(1, 0.4)
        with pytest.raises(ValueError, match=r"beta must be positive, got -0\.4"):
            function(8, -0.4)
