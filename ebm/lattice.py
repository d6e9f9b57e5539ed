"""Magnets: Ising, Potts and XY models on periodic lattices and on any graph. Units: energies in J, k_B = 1.

Sign convention: a positive coupling is ferromagnetic, E = -sum over bonds J (alignment) - sum over sites h s.
"""

import math
from typing import Any

import numpy as np

from ebm.energy import Energy, check_shape, finite_array, finite_number
from ebm.graph import Graph, bond_array, lattice, sparse
from ebm.lattice_energy import sum_of_bonds
from samplers import protocols
from samplers.compiled import Cached, Functions, functions
from samplers.inner import inline


@inline
def _ising_field(x, site, p):
    """Local field sum_j J_ij x_j + h_i."""
    indptr, indices, weights, field = p
    total = 0.0
    for k in range(indptr[site], indptr[site + 1]):
        total += weights[k] * x[indices[k]]
    return total + field[site]


@inline
def _ising_energy(x, p):
    energy = 0.0
    for i in range(x.shape[0]):
        energy -= 0.5 * x[i] * (_ising_field(x, i, p) + p[3][i])
    return energy


@inline
def _ising_change(x, site, value, p):
    return (x[site] - value) * _ising_field(x, site, p)


@inline
def _ising_start(x, p, fields):
    for i in range(x.shape[0]):
        fields[i] = _ising_field(x, i, p)


@inline
def _ising_cached_change(x, site, value, p, fields):
    return (x[site] - value) * fields[site]


@inline
def _ising_update(x, site, value, p, fields):
    indptr, indices, weights, _ = p
    step = float(value) - x[site]
    for k in range(indptr[site], indptr[site + 1]):
        fields[indices[k]] += step * weights[k]


_ISING = functions(_ising_energy, None, _ising_change, Cached(_ising_start, _ising_cached_change, _ising_update))


class Magnet(Energy):
    """Base of the magnets: their couplings, and the table of bonds, which is made when it is first asked for."""

    coupling: Any
    _bonds: Graph | None

    def _set_couplings(self, shape: Any, coupling: Any) -> None:
        """Keep an own copy of the couplings: a number, an array per bond or a symmetric matrix, once it is checked."""
        self.shape, self._bonds = check_shape(shape), None
        if hasattr(coupling, "tocoo"):
            self.coupling, self._bonds = coupling.copy(), sparse(coupling, int(np.prod(self.shape)))
        elif np.ndim(coupling) == 0:
            self.coupling = finite_number(coupling, "coupling")
        else:
            self.coupling = bond_array(self.shape, coupling)

    def bonds(self) -> Graph:
        """Return all couplings as a symmetric sparse matrix: indptr, indices and weights of its rows."""
        if self._bonds is None:
            self._bonds = lattice(self.shape, self.coupling)
        return self._bonds

    @property
    def neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        """Which sites share a bond: row i of a CSR matrix has indices[indptr[i]:indptr[i + 1]]."""
        return self.bonds()[:2]

    def _has_one_coupling(self) -> bool:
        return isinstance(self.coupling, float)


class Ising(Magnet):
    """The Ising model: E(s) = -sum_bonds J s s' - sum_i h s_i with s = -1 or +1.

    Args:
        shape: sides of a periodic hypercubic lattice, each bond once (a side of 2 has double bonds).
        coupling: J, one number, an array per bond (d, *shape), where coupling[a][s] is the bond from s forward along
            axis a, or a symmetric scipy sparse matrix of all sites: E = -s J s / 2.
        field: h, one number or an array of the shape.

    Raises:
        ValueError: a shape is wrong, a matrix is not symmetric, a number is not finite.

    Example:
        >>> Ising((4, 4))(np.ones((1, 4, 4)))
        array([-32.])
    """

    domain = "spin"

    def __init__(self, shape: Any, coupling: Any = 1.0, field: Any = 0.0) -> None:
        self._set_couplings(shape, coupling)
        self.field = finite_number(field, "field") if np.ndim(field) == 0 else finite_array(field, "field", self.shape)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _ISING.holding((*self.bonds(), self._fields()), size=math.prod(self.shape))

    def _fields(self) -> np.ndarray:
        return np.broadcast_to(np.asarray(self.field), self.shape).ravel()

    def reduced(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return beta E, (n,); a lattice with one coupling needs no table of its bonds."""
        if not self._has_one_coupling():
            return super().reduced(x, beta)
        x = protocols.check_configurations(x, self)
        energy = -self.coupling * sum_of_bonds(x)
        flat = x.reshape(len(x), math.prod(self.shape))
        if isinstance(self.field, float):
            energy -= self.field * flat.sum(1, dtype=np.int64)
        else:
            energy -= (flat * self.field.ravel()).sum(1)
        return beta * energy

    def parameters(self) -> dict[str, Any]:
        """Return shape, coupling and field."""
        return {"shape": self.shape, "coupling": self.coupling, "field": self.field}


@inline
def _potts_energy(x, p):
    indptr, indices, weights = p
    energy = 0.0
    for i in range(x.shape[0]):
        for k in range(indptr[i], indptr[i + 1]):
            if x[indices[k]] == x[i]:
                energy -= 0.5 * weights[k]
    return energy


@inline
def _potts_change(x, site, value, p):
    indptr, indices, weights = p
    change = 0.0
    for k in range(indptr[site], indptr[site + 1]):
        neighbour = x[indices[k]]
        if neighbour == x[site]:
            change += weights[k]
        if neighbour == value:
            change -= weights[k]
    return change


_POTTS = functions(_potts_energy, None, _potts_change)


class Potts(Magnet):
    """The q-state Potts model: E(s) = -sum_bonds J delta(s, s') with s = 0 .. q - 1.

    Args:
        shape: sides of a periodic hypercubic lattice.
        n_states: q, at least 2.
        coupling: J, as for `Ising`.

    Example:
        >>> Potts((4, 4), 3)(np.zeros((1, 4, 4)))
        array([-32.])
    """

    domain = "states"
    field = 0.0  # what clusters ask about: all states are alike

    def __init__(self, shape: Any, n_states: int, coupling: Any = 1.0) -> None:
        protocols.check_positive(n_states, "n_states", integer=True)
        if not 2 <= n_states <= 32767:
            raise ValueError(f"n_states must lie between 2 and 32767, got {n_states}")
        self.n_states = int(n_states)
        self._set_couplings(shape, coupling)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _POTTS._replace(params=tuple(self.bonds()))

    def reduced(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return beta E, (n,); a lattice with one coupling needs no table of its bonds."""
        if not self._has_one_coupling():
            return super().reduced(x, beta)
        return beta * (-self.coupling * sum_of_bonds(protocols.check_configurations(x, self), products=False))

    def parameters(self) -> dict[str, Any]:
        """Return shape, number of states and coupling."""
        return {"shape": self.shape, "n_states": self.n_states, "coupling": self.coupling}


@inline
def _xy_energy(x, p):
    indptr, indices, weights = p
    energy = 0.0
    for i in range(x.shape[0]):
        for k in range(indptr[i], indptr[i + 1]):
            energy -= 0.5 * weights[k] * math.cos(x[i] - x[indices[k]])
    return energy


@inline
def _xy_gradient(x, weight, p, out):
    indptr, indices, weights = p
    for i in range(x.shape[0]):
        for k in range(indptr[i], indptr[i + 1]):
            out[i] += weight * weights[k] * math.sin(x[i] - x[indices[k]])


@inline
def _xy_change(x, site, value, p):
    indptr, indices, weights = p
    change = 0.0
    for k in range(indptr[site], indptr[site + 1]):
        neighbour = x[indices[k]]
        change += weights[k] * (math.cos(x[site] - neighbour) - math.cos(value - neighbour))
    return change


_XY = functions(_xy_energy, _xy_gradient, _xy_change)


class XY(Magnet):
    """The XY model of planar rotors: E(theta) = -sum_bonds J cos(theta - theta'), angles in (-pi, pi].

    Args:
        shape: sides of a periodic hypercubic lattice.
        coupling: J, as for `Ising`.

    Example:
        >>> XY((4, 4))(np.zeros((1, 4, 4)))
        array([-32.])
    """

    domain = "angle"

    def __init__(self, shape: Any, coupling: Any = 1.0) -> None:
        self._set_couplings(shape, coupling)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _XY._replace(params=tuple(self.bonds()))

    def parameters(self) -> dict[str, Any]:
        """Return shape and coupling."""
        return {"shape": self.shape, "coupling": self.coupling}


def magnetisation(x: np.ndarray) -> np.ndarray:
    """Return the magnetisation per spin, (n,), of spin configurations x (n, *shape).

    Example:
        >>> magnetisation(np.array([[1, 1, -1, 1]], dtype=np.int8))
        array([0.5])
    """
    flat = np.ascontiguousarray(x).reshape(len(x), -1)
    return flat.sum(1, dtype=np.int64) / flat.shape[1]


def absolute_magnetisation(x: np.ndarray) -> np.ndarray:
    """Return |m|, the absolute magnetisation per spin, (n,), of spin configurations x (n, *shape).

    Example:
        >>> absolute_magnetisation(-np.ones((1, 4), dtype=np.int8))
        array([1.])
    """
    return np.abs(magnetisation(x))
