"""Brute force for the exact results: every configuration at once, in plain numpy, independent of the library."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest


class Sums(NamedTuple):
    """ln Z, <E> and beta^2 Var(E) of a list of energies."""

    log_z: float
    energy: float
    heat_capacity: float
    probability: np.ndarray


def _sums(energies: np.ndarray, beta: float) -> Sums:
    weight = np.exp(-beta * (energies - energies.min()))
    z = math.fsum(weight)  # rounded once: a plain sum of 65,536 terms would be less exact than what it tests
    p = weight / z
    mean = math.fsum(p * energies)
    return Sums(math.log(z) - beta * energies.min(), mean, beta**2 * math.fsum(p * (energies - mean) ** 2), p)


def _spins(n: int) -> np.ndarray:
    bits = np.arange(2**n)[:, None] >> np.arange(n) & 1
    return (2 * bits - 1).astype(np.float64)


@pytest.fixture(scope="session")
def sums() -> Callable[[np.ndarray, float], Sums]:
    """Exact sums over a list of energies."""
    return _sums


@pytest.fixture(scope="session")
def spins() -> Callable[[int], np.ndarray]:
    """All configurations of n spins, (2^n, n)."""
    return _spins
