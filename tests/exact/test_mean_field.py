"""Curie-Weiss against brute force and its infinite limit; the annealed spin glass against its definition."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from ebm.exact import (
    curie_weiss_distribution,
    curie_weiss_energy,
    curie_weiss_log_z,
    curie_weiss_magnetisation,
    mean_field_magnetisation,
    sk_annealed_free_energy,
)


@pytest.mark.parametrize("field", (0.0, 0.4, -1.1))
@pytest.mark.parametrize("beta", (0.2, 1.0, 2.5))
@pytest.mark.parametrize("n", (1, 2, 5, 12))
def test_curie_weiss_equals_sum_over_all_configurations(n, beta, field, sums, spins):
    s = spins(n)
    total = s.sum(axis=1)
    exact = sums(-(total**2) / (2 * n) - field * total, beta)
    assert curie_weiss_log_z(n, beta, field) == pytest.approx(exact.log_z, rel=1e-13)
    assert curie_weiss_energy(n, beta, field) == pytest.approx(exact.energy / n, rel=1e-12)
    assert curie_weiss_magnetisation(n, beta, field) == pytest.approx(exact.probability @ np.abs(total) / n, rel=1e-12)
    values, probability = curie_weiss_distribution(n, beta, field)
    assert values.tolist() == list(range(-n, n + 1, 2))
    for value, p in zip(values, probability, strict=True):
        assert p == pytest.approx(exact.probability[total == value].sum(), rel=1e-12)


@pytest.mark.parametrize("beta", (1.05, 1.5, 3.0))
def test_magnetisation_tends_to_the_mean_field_solution(beta):
    m = mean_field_magnetisation(beta)
    assert m == pytest.approx(brentq(lambda x: math.tanh(beta * x) - x, 1e-3, 1.0, xtol=1e-15), rel=1e-12)
    # The leading correction is 1/n: ten times the spins leave a tenth of the difference.
    difference = [curie_weiss_magnetisation(n, beta) - m for n in (100_000, 1_000_000)]
    assert difference[0] / difference[1] == pytest.approx(10.0, rel=0.02)


def test_mean_field_magnetisation_at_and_near_its_transition():
    assert mean_field_magnetisation(0.5) == 0.0
    assert mean_field_magnetisation(1.0) == 0.0
    assert mean_field_magnetisation(1e3) == 1.0
    for distance in (1e-4, 1e-8):  # m^2 = 3 (beta - 1) (1 + O(beta - 1))
        assert mean_field_magnetisation(1.0 + distance) ** 2 == pytest.approx(3 * distance, rel=3 * distance + 1e-7)


def test_sk_free_energy_is_that_of_the_mean_partition_function(sums, spins):
    # The mean of Z over couplings is taken exactly up to its sampling error; the annealed formula at finite n is
    # ln E[Z] = n ln 2 + beta^2 (n - 1) / 4, beta^2 / 4 short of n times the limit.
    n, beta, samples = 8, 0.6, 4000
    generator = np.random.default_rng(11)
    s = spins(n)
    upper = np.triu_indices(n, 1)
    pairs = s[:, upper[0]] * s[:, upper[1]]
    couplings = generator.normal(0.0, n**-0.5, (samples, pairs.shape[1]))
    z = np.exp(beta * couplings @ pairs.T).sum(axis=1)
    predicted = math.exp(-beta * n * sk_annealed_free_energy(beta) - beta**2 / 4)
    # 4.9 standard errors: false-alarm rate 1e-6 (4,000 samples of a mildly skewed variable).
    assert abs(z.mean() - predicted) < 4.9 * z.std(ddof=1) / math.sqrt(samples)


def test_bad_arguments_are_named():
    for function in (curie_weiss_log_z, curie_weiss_energy, curie_weiss_magnetisation, curie_weiss_distribution):
        with pytest.raises(ValueError, match="n must be at least 1, got 0"):
            function(0, 1.0)
        with pytest.raises(ValueError, match=r"beta must be positive, got -2\.0"):
            function(4, -2.0)
    for function in (mean_field_magnetisation, sk_annealed_free_energy):
        with pytest.raises(ValueError, match=r"beta must be positive, got 0\.0"):
            function(0.0)
