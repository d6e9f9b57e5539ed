"""Energies in which every site sees every other: Curie-Weiss, the Boltzmann machine and the Hopfield network."""

from typing import Any

import numpy as np

from ebm.energy import Energy, finite_array, finite_number
from samplers import protocols
from samplers.compiled import Cached, Functions, functions
from samplers.elementary import plus
from samplers.inner import inline


@inline
def _total(x):
    m = 0.0
    for i in range(x.shape[0]):
        m += x[i]
    return m


@inline
def _curie_weiss_start(x, p, total):
    total[0] = _total(x)


@inline
def _curie_weiss_cached_change(x, site, value, p, total):
    step = float(value) - x[site]
    return -step * ((2.0 * total[0] + step) / (2.0 * x.shape[0]) + p[0])


@inline
def _curie_weiss_update(x, site, value, p, total):
    total[0] += float(value) - x[site]


@inline
def _curie_weiss_energy(x, p):
    m = _total(x)
    return -m * m / (2.0 * x.shape[0]) - p[0] * m


@inline
def _curie_weiss_change(x, site, value, p):
    step = float(value) - x[site]
    return -step * ((2.0 * _total(x) + step) / (2.0 * x.shape[0]) + p[0])


_CURIE_WEISS = functions(
    _curie_weiss_energy,
    None,
    _curie_weiss_change,
    Cached(_curie_weiss_start, _curie_weiss_cached_change, _curie_weiss_update),
)


class CurieWeiss(Energy):
    """The mean-field magnet: E(s) = -M^2 / (2 N) - h M with M = sum_i s_i. Critical at beta = 1.

    Args:
        n: number of spins.
        field: h.

    Example:
        >>> CurieWeiss(10)(np.ones((1, 10)))
        array([-5.])
    """

    domain = "spin"

    def __init__(self, n: int, field: float = 0.0) -> None:
        protocols.check_positive(n, "n", integer=True)
        self.shape, self.field = (int(n),), finite_number(field, "field")

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _CURIE_WEISS.holding((self.field,), size=1)

    def parameters(self) -> dict[str, Any]:
        """Return the number of spins and the field."""
        return {"n": self.shape[0], "field": self.field}


@inline
def _pair_field(x, site, p):
    """Local field sum_j W_ij x_j + b_i."""
    couplings, bias = p
    row = 0.0
    for j in range(x.shape[0]):
        row = plus(row, couplings[site, j] * x[j])
    return row + bias[site]


@inline
def _pair_energy(x, p):
    energy = 0.0
    for i in range(x.shape[0]):
        energy -= 0.5 * x[i] * (_pair_field(x, i, p) + p[1][i])
    return energy


@inline
def _pair_change(x, site, value, p):
    return (float(x[site]) - value) * _pair_field(x, site, p)


@inline
def _pair_start(x, p, fields):
    for i in range(x.shape[0]):
        fields[i] = _pair_field(x, i, p)


@inline
def _pair_cached_change(x, site, value, p, fields):
    return (float(x[site]) - value) * fields[site]


@inline
def _pair_update(x, site, value, p, fields):
    step = float(value) - x[site]
    if step != 0.0:
        for j in range(x.shape[0]):
            fields[j] += step * p[0][site, j]


_PAIR = functions(_pair_energy, None, _pair_change, Cached(_pair_start, _pair_cached_change, _pair_update))


class BoltzmannMachine(Energy):
    """The fully visible Boltzmann machine (Ackley, Hinton, Sejnowski 1985): E(x) = -b.x - x W x / 2.

    Args:
        W: couplings (n, n), symmetric with zero diagonal.
        b: biases (n,); default zero.
        domain: "binary" (0, 1) or "spin" (-1, +1).

    Example:
        >>> BoltzmannMachine([[0.0, 2.0], [2.0, 0.0]], [1.0, 0.0])(np.array([[1, 1]]))
        array([-3.])
    """

    def __init__(self, W: Any, b: Any = None, domain: str = "binary") -> None:
        if domain not in ("binary", "spin"):
            raise ValueError(f'domain must be "binary" or "spin", got {domain!r}')
        self.domain = domain
        self.W = _couplings(W)
        n = len(self.W)
        self.b = finite_array(np.zeros(n) if b is None else b, "b", (n,))
        self.shape = (n,)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _PAIR.holding((self.W, self.b), size=len(self.b))

    def parameters(self) -> dict[str, Any]:
        """Return couplings, biases and domain."""
        return {"W": self.W, "b": self.b, "domain": self.domain}

    def learnable(self) -> dict[str, np.ndarray]:
        """Return the arrays that learning changes in place: W, b."""
        self.W.flags.writeable = self.b.flags.writeable = True
        return {"W": self.W, "b": self.b}

    def parameter_gradient(self, x: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return sum_k weights_k dE(x_k)/dparameter by name: dE/dW_ij = -x_i x_j for the bond i < j, dE/db = -x.

        Args:
            x: configurations (n, sites).
            weights: weight of each configuration, (n,).
        """
        return {"W": _coupling_gradient(x, weights), "b": -weights @ x.astype(np.float64)}


def _couplings(W: Any) -> np.ndarray:
    """Return couplings as an array (n, n), symmetric with zero diagonal, or raise saying what they are not."""
    couplings = finite_array(W, "W", (None, None))
    n = len(couplings)
    if couplings.shape != (n, n) or not np.allclose(couplings, couplings.T, rtol=1e-12, atol=1e-14):
        raise ValueError(f"W must be square and symmetric, got shape {couplings.shape} or unequal halves")
    if np.diag(couplings).any():
        raise ValueError(f"W must have a zero diagonal, got {np.diag(couplings)[np.diag(couplings) != 0][0]} on it")
    return couplings


def _coupling_gradient(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return sum_k weights_k dE(x_k)/dW_ij for each bond, in both halves of the matrix."""
    x = x.astype(np.float64)
    product = -(x.T * weights) @ x
    product = (product + product.T) / 2  # exactly symmetric, as W must stay
    np.fill_diagonal(product, 0.0)
    return product


class Hopfield(Energy):
    """The Hopfield network (1982): E(s) = -s W s / 2 with Hebb's W = sum_p p p^T / n, W_ii = 0.

    Retrieves patterns up to a load of about 0.138 n of them (Amit, Gutfreund, Sompolinsky 1985); more if Hebb's rule is
    only where learning starts (`ebm.fit`), a rise of the likelihood being Hebb's rule for the data and against the
    network's own states (Hinton, Sejnowski 1986).

    Args:
        patterns: (number, n) of -1 and +1.
        W: couplings that have been learned since, (n, n), symmetric with zero diagonal; default: Hebb's.

    Example:
        >>> Hopfield([[1, -1, 1, -1]])(np.array([[1, -1, 1, -1]]))
        array([-1.5])
    """

    domain = "spin"

    def __init__(self, patterns: Any, W: Any = None) -> None:
        self.patterns = finite_array(patterns, "patterns", (None, None))
        if self.patterns.size == 0 or not (np.abs(self.patterns) == 1).all():
            raise ValueError("patterns must hold -1 and +1 only, and at least one pattern")
        n = self.patterns.shape[1]
        if W is None:
            W = self.patterns.T @ self.patterns / n
            np.fill_diagonal(W, 0.0)
        self.W = _couplings(W)
        if len(self.W) != n:
            raise ValueError(f"W must couple the {n} spins of patterns, got shape {self.W.shape}")
        # Read-only until they are learned, as those of a Boltzmann machine, so that both compile to the same loop.
        self._b = finite_array(np.zeros(n), "b", (n,))
        self.shape = (n,)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _PAIR.holding((self.W, self._b), size=len(self._b))

    def parameters(self) -> dict[str, Any]:
        """Return the patterns and the couplings."""
        return {"patterns": self.patterns, "W": self.W}

    def learnable(self) -> dict[str, np.ndarray]:
        """Return the array that learning changes in place: W."""
        self.W.flags.writeable = self._b.flags.writeable = True
        return {"W": self.W}

    def parameter_gradient(self, x: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return sum_k weights_k dE(x_k)/dW by name: dE/dW_ij = -s_i s_j for the bond i < j.

        Args:
            x: configurations (n, sites).
            weights: weight of each configuration, (n,).
        """
        return {"W": _coupling_gradient(x, weights)}
