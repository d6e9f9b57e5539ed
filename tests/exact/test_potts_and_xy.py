"""Potts at its self-dual point on a finite self-dual graph, where the critical energy is exact; the XY chain."""

import itertools
import math

import numpy as np
import pytest

from ebm.exact import (
    log_z_quadrature,
    onsager_critical_temperature,
    onsager_energy,
    potts_critical_energy,
    potts_critical_temperature,
    xy_chain_energy,
)


@pytest.mark.parametrize(("q", "rim"), ((2, 7), (3, 6), (4, 5), (5, 4), (10, 3)))
def test_potts_critical_energy_is_exact_on_a_self_dual_graph(q, rim, sums):
    # Duality v -> q/v, v = e^beta - 1, fixes the energy of any self-dual planar graph at v = sqrt q:
    # (1 + 1/sqrt q)/2 for each bond. A wheel (a rim and a hub joined to all of it) is self-dual; the square lattice
    # has two bonds for each site.
    s = np.array(list(itertools.product(range(q), repeat=rim + 1)))
    rim_bonds = s[:, :rim] == np.roll(s[:, :rim], 1, axis=1)
    spokes = s[:, :rim] == s[:, rim:]
    energies = -(rim_bonds.sum(axis=1) + spokes.sum(axis=1)).astype(np.float64)
    exact = sums(energies, 1.0 / potts_critical_temperature(q))
    assert exact.energy / (2 * rim) == pytest.approx(potts_critical_energy(q) / 2, rel=1e-12)


def test_two_state_potts_is_ising_with_half_the_coupling():
    assert potts_critical_temperature(2) == pytest.approx(onsager_critical_temperature() / 2, rel=1e-15)
    ising = onsager_energy(1.0 / onsager_critical_temperature())
    assert potts_critical_energy(2) == pytest.approx(-1.0 + ising / 2, rel=1e-14)


@pytest.mark.parametrize("beta", (0.1, 1.0, 5.0))
def test_xy_chain_energy_is_the_slope_of_its_log_z(beta):
    def bond(x: np.ndarray) -> np.ndarray:
        return -np.cos(x[:, 0] - x[:, 1])

    step = 1e-3
    log_z = [
        log_z_quadrature(bond, [(-math.pi, math.pi)] * 2, beta + shift) for shift in (-2 * step, -step, step, 2 * step)
    ]
    # Four points: the error is step^4 times a fifth derivative of order one, and 1e-14 / step from rounding.
    slope = (log_z[0] - 8 * log_z[1] + 8 * log_z[2] - log_z[3]) / (12 * step)
    assert xy_chain_energy(beta) == pytest.approx(-slope, abs=1e-10)


def test_cold_xy_chain_has_half_a_degree_of_freedom_a_bond():
    assert xy_chain_energy(1e6) == pytest.approx(-1 + 0.5e-6, abs=1e-12)


def test_bad_arguments_are_named():
    for function in (potts_critical_temperature, potts_critical_energy):
        with pytest.raises(ValueError, match="q must be at least 2, got 1"):
            function(1)
    with pytest.raises(ValueError, match="beta must be positive"):
        xy_chain_energy(0.0)
