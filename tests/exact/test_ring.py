"""The Ising ring against brute force, and at sizes and temperatures where brute force ends."""

import numpy as np
import pytest

from ebm.exact import ring_correlation, ring_energy, ring_heat_capacity, ring_log_z, ring_magnetisation

FIELDS = (0.0, 1e-3, 0.3, -1.2)


def ring_energies(s: np.ndarray, field: float) -> np.ndarray:
    return -(s * np.roll(s, 1, axis=1)).sum(axis=1) - field * s.sum(axis=1)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("beta", (1e-3, 0.1, 0.5, 1.0, 3.0))
@pytest.mark.parametrize("n", (2, 3, 4, 7, 10))
def test_ring_equals_sum_over_all_configurations(n, beta, field, sums, spins):
    s = spins(n)
    exact = sums(ring_energies(s, field), beta)
    # 2e-13 is rounding: sums of up to 1024 terms, amplified by 1 / beta where eigenvalues nearly cancel.
    assert ring_log_z(n, beta, field) == pytest.approx(exact.log_z, rel=1e-13)
    assert ring_energy(n, beta, field) == pytest.approx(exact.energy / n, rel=2e-13, abs=2e-13)
    assert ring_heat_capacity(n, beta, field) == pytest.approx(exact.heat_capacity / n, rel=2e-11, abs=2e-13)
    assert ring_magnetisation(n, beta, field) == pytest.approx(exact.probability @ s.mean(axis=1), rel=2e-13, abs=2e-13)
    for r in range(n + 1):
        pair = exact.probability @ (s[:, 0] * s[:, r % n])
        assert ring_correlation(n, beta, r, field) == pytest.approx(pair, rel=2e-13, abs=2e-13)


def test_ring_of_ten_at_half_has_the_reference_value():
    assert ring_log_z(10, 0.5) == pytest.approx(8.1330609, abs=5e-8)


@pytest.mark.parametrize("field", FIELDS)
def test_heat_capacity_is_the_slope_of_the_energy_for_a_large_ring(field):
    n, beta, step = 100_000, 1.3, 1e-4
    slope = (ring_energy(n, beta + step, field) - ring_energy(n, beta - step, field)) / (2 * step)
    # The central difference is good to step^2 times a third derivative of order one.
    assert ring_heat_capacity(n, beta, field) == pytest.approx(-(beta**2) * slope, abs=1e-6)


def test_long_ring_has_the_energy_of_a_chain():
    assert ring_energy(10**6, 0.7) == pytest.approx(-np.tanh(0.7), rel=1e-14)


@pytest.mark.parametrize("field", (0.0, 2.0, -2.0))
def test_cold_ring_sits_in_its_ground_state(field):
    n, beta = 50, 1000.0
    degeneracy = 2 if field == 0.0 else 1
    assert ring_log_z(n, beta, field) == pytest.approx(n * beta * (1 + abs(field)) + np.log(degeneracy), rel=1e-14)
    assert ring_energy(n, beta, field) == pytest.approx(-1 - abs(field), rel=1e-14)
    assert ring_magnetisation(n, beta, field) == pytest.approx(np.sign(field), abs=1e-14)
    assert ring_heat_capacity(n, beta, field) == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    (
        ((1, 0.5), "n must be at least 2, got 1"),
        ((2.5, 0.5), "n must be an integer, got 2.5"),
        ((4, -0.3), "beta must be positive, got -0.3"),
        ((4, 0.0), "beta must be positive, got 0.0"),
        ((4, float("nan")), "beta must be finite, got nan"),
        ((4, 0.5, float("inf")), "field must be finite, got inf"),
        ((4, "warm"), "beta must be a number, got 'warm'"),
    ),
)
def test_bad_arguments_are_named(arguments, message):
    for function in (ring_log_z, ring_energy, ring_heat_capacity, ring_magnetisation):
        with pytest.raises(ValueError, match=message):
            function(*arguments)


def test_distance_must_be_on_the_ring():
    with pytest.raises(ValueError, match="r must be from 0 to 4, got 5"):
        ring_correlation(4, 0.5, 5)
