"""Landscapes that textbooks draw: the double well, the Muller-Brown surface, Rosenbrock's valley."""

import math
from typing import Any

import numpy as np

from ebm.energy import Energy, finite_number
from samplers import protocols
from samplers.compiled import Functions, functions
from samplers.inner import inline


@inline
def _double_well_energy(x, p):
    barrier, minimum, stiffness = p
    t = x[0] * x[0] / (minimum * minimum) - 1.0
    energy = barrier * t * t
    for i in range(1, x.shape[0]):
        energy += 0.5 * stiffness * x[i] * x[i]
    return energy


@inline
def _double_well_gradient(x, weight, p, out):
    barrier, minimum, stiffness = p
    square = minimum * minimum
    out[0] += weight * 4.0 * barrier * x[0] * (x[0] * x[0] / square - 1.0) / square
    for i in range(1, x.shape[0]):
        out[i] += weight * stiffness * x[i]


_DOUBLE_WELL = functions(_double_well_energy, _double_well_gradient)._replace(lanes=True)


class DoubleWell(Energy):
    """Two wells along the first coordinate, springs along the others: E = b ((x_1/a)^2 - 1)^2 + k (x_2^2 + ...) / 2.

    Args:
        dimension: number of coordinates.
        barrier: b, the height between the wells at x_1 = -a and a; positive.
        minimum: a, positive.
        stiffness: k, positive.

    Example:
        >>> DoubleWell(barrier=2.0)(np.array([[0.0], [1.0]]))
        array([2., 0.])
    """

    def __init__(self, dimension: int = 1, barrier: float = 1.0, minimum: float = 1.0, stiffness: float = 1.0) -> None:
        protocols.check_positive(dimension, "dimension", integer=True)
        for name, value in (("barrier", barrier), ("minimum", minimum), ("stiffness", stiffness)):
            protocols.check_positive(value, name)
        self.barrier, self.minimum, self.stiffness = float(barrier), float(minimum), float(stiffness)
        self.shape = (int(dimension),)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _DOUBLE_WELL._replace(params=(self.barrier, self.minimum, self.stiffness))

    def parameters(self) -> dict[str, Any]:
        """Return dimension, barrier, minimum and stiffness."""
        return {
            "dimension": self.shape[0],
            "barrier": self.barrier,
            "minimum": self.minimum,
            "stiffness": self.stiffness,
        }


# Four exponentials (Muller and Brown 1979, table 1): A, a, b, c, x0, y0.
_MULLER_BROWN_TABLE = np.array(
    [
        [-200.0, -1.0, 0.0, -10.0, 1.0, 0.0],
        [-100.0, -1.0, 0.0, -10.0, 0.0, 0.5],
        [-170.0, -6.5, 11.0, -6.5, -0.5, 1.5],
        [15.0, 0.7, 0.6, 0.7, -1.0, 1.0],
    ]
)


def _squares(table: np.ndarray) -> np.ndarray:
    """Rows A, a, r, d, x0, y0 with a dx^2 + b dx dy + c dy^2 = a (dx + r dy)^2 + d dy^2.

    Of all four rows a and d have one sign, so that no exponent far out is a difference of infinities. The first three
    are negative and their terms vanish there; the last is positive, as is its A, so that E goes to +infinity.
    """
    A, a, b, c, x0, y0 = table.T
    return np.stack([A, a, b / (2.0 * a), c - b * b / (4.0 * a), x0, y0], axis=1)


_SQUARES = _squares(_MULLER_BROWN_TABLE)


@inline
def _muller_brown_energy(x, p):
    scale, table = p
    energy = 0.0
    for k in range(4):
        dy = x[1] - table[k, 5]
        t = x[0] - table[k, 4] + table[k, 2] * dy
        energy += table[k, 0] * math.exp(table[k, 1] * t * t + table[k, 3] * dy * dy)
    return scale * energy


@inline
def _product(term, slope):
    """Their product, and nothing where one is zero: an exponential is zero or infinite far out."""
    return 0.0 if term == 0.0 or slope == 0.0 else term * slope


@inline
def _muller_brown_gradient(x, weight, p, out):
    scale, table = p
    for k in range(4):
        dy = x[1] - table[k, 5]
        t = x[0] - table[k, 4] + table[k, 2] * dy
        term = 2.0 * weight * scale * table[k, 0] * math.exp(table[k, 1] * t * t + table[k, 3] * dy * dy)
        slope = table[k, 1] * t
        out[0] += _product(term, slope)
        out[1] += _product(term, table[k, 2] * slope + table[k, 3] * dy)


_MULLER_BROWN = functions(_muller_brown_energy, _muller_brown_gradient)


class MullerBrown(Energy):
    """The Muller-Brown surface (1979): three minima and a bent valley in the plane, the touchstone of path methods.

    Minima near (-0.558, 1.442), (0.623, 0.028) and (-0.050, 0.467) with E = -146.7, -108.2 and -80.8 (times scale).
    Far out the energy grows in all directions, and is +inf where the last exponential is beyond floating point.

    Args:
        scale: factor of the energy, positive; at 0.1 the barriers are a few units of E.

    Example:
        >>> MullerBrown()(np.array([[-0.558, 1.442]])).round(1)
        array([-146.7])
    """

    shape = (2,)

    def __init__(self, scale: float = 1.0) -> None:
        protocols.check_positive(scale, "scale")
        self.scale = float(scale)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _MULLER_BROWN._replace(params=(self.scale, _SQUARES))

    def parameters(self) -> dict[str, Any]:
        """Return the scale."""
        return {"scale": self.scale}


@inline
def _rosenbrock_energy(x, p):
    a, b = p
    energy = 0.0
    for i in range(x.shape[0] - 1):
        t, r = a - x[i], x[i + 1] - x[i] * x[i]
        energy += t * t + b * r * r
    return energy


@inline
def _rosenbrock_gradient(x, weight, p, out):
    a, b = p
    for i in range(x.shape[0] - 1):
        t, r = a - x[i], x[i + 1] - x[i] * x[i]
        out[i] -= weight * (2.0 * t + 4.0 * b * x[i] * r)
        out[i + 1] += weight * 2.0 * b * r


_ROSENBROCK = functions(_rosenbrock_energy, _rosenbrock_gradient)._replace(lanes=True)


class Rosenbrock(Energy):
    """Rosenbrock's curved valley (1960): E = sum_i (a - x_i)^2 + b (x_{i+1} - x_i^2)^2.

    Args:
        dimension: number of coordinates, at least 2.
        a: position of the minimum in two dimensions, x = (a, a^2).
        b: steepness of the valley's walls, positive.

    Example:
        >>> Rosenbrock()(np.array([[1.0, 1.0]]))
        array([0.])
    """

    def __init__(self, dimension: int = 2, a: float = 1.0, b: float = 100.0) -> None:
        protocols.check_positive(dimension, "dimension", integer=True)
        if dimension < 2:
            raise ValueError(f"dimension must be at least 2, got {dimension}")
        protocols.check_positive(b, "b")
        self.a, self.b = finite_number(a, "a"), float(b)
        self.shape = (int(dimension),)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _ROSENBROCK._replace(params=(self.a, self.b))

    def parameters(self) -> dict[str, Any]:
        """Return dimension, a and b."""
        return {"dimension": self.shape[0], "a": self.a, "b": self.b}
