"""ln Z where it is known exactly: closed forms, sums over all states, and quadrature in one or two dimensions."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ebm import exact
from ebm.algebra import Scaled
from ebm.gaussian import GaussianMixture
from ebm.lattice import Ising
from ebm.mean_field import CurieWeiss
from ebm.wells import DoubleWell
from samplers import protocols

GRID = 257  # points an axis of the grid that looks for the mass
NEGLIGIBLE = 45.0  # nats above the lowest u from which on a point counts as empty: exp(-45) = 3e-20
FARTHEST = 2.0**40  # half the side of the largest box that is looked into
ACCURACIES = (1e-10, 1e-7, 1e-4)


class Known(NamedTuple):
    """ln Z, the error of its computation, and how it was found."""

    value: float
    error: float
    how: str


def known_log_z(energy: Any, beta: float) -> Known:
    """Return ln Z(beta) exactly.

    Raises:
        TypeError: there is no closed form, and the energy is no small discrete one and has more than two coordinates.
        ValueError: too many states, or a law that is not confined.

    Example:
        >>> import ebm
        >>> known_log_z(ebm.Gaussian([0.0], [[1.0]]), 2.0).value == 0.5 * math.log(math.pi)
        True
    """
    closed = _closed_form(energy, beta)
    if closed is not None:
        return Known(closed, 0.0, "closed form")
    sites = math.prod(energy.shape)
    if energy.domain in protocols.DISCRETE:
        return Known(exact.enumerate(energy, beta).log_z, 0.0, "enumeration")
    if sites > 2:
        raise TypeError(
            'method "exact" needs a closed form, a discrete energy, or at most two coordinates to integrate over, '
            f"got {protocols.name_of(energy)} of {sites}"
        )
    return _integral(_flattened(energy), energy.domain, sites, beta)


def _closed_form(energy: Any, beta: float) -> float | None:
    if isinstance(energy, Scaled) and protocols.is_linear(energy.energy) and energy.factor > 0:
        return _closed_form(energy.energy, energy.factor * beta)
    if isinstance(energy, CurieWeiss):
        return exact.curie_weiss_log_z(energy.shape[0], beta, energy.field)
    if isinstance(energy, Ising):
        return _ising(energy, beta)
    if isinstance(energy, DoubleWell) and energy.shape[0] > 1:
        springs = (energy.shape[0] - 1) / 2 * math.log(2 * math.pi / (beta * energy.stiffness))
        return known_log_z(DoubleWell(1, energy.barrier, energy.minimum), beta).value + springs
    own = getattr(energy, "log_z", None)
    if callable(own) and not (isinstance(energy, GaussianMixture) and beta != 1.0):
        return float(own(beta))
    return None


def _ising(energy: Ising, beta: float) -> float | None:
    """The ring and the square torus of one ferromagnetic coupling."""
    coupling, field = energy.coupling, energy.field
    if not isinstance(coupling, float) or not isinstance(field, float) or coupling <= 0:
        return None
    sides = energy.shape
    if len(sides) == 1 and sides[0] > 1:
        return exact.ring_log_z(sides[0], beta * coupling, field / coupling)
    if len(sides) == 2 and sides[0] == sides[1] > 1 and field == 0.0:
        return exact.kaufman_log_z(sides[0], beta * coupling)
    return None


def _flattened(energy: Any) -> Callable[[np.ndarray, float], np.ndarray]:
    """The reduced energy as a function of points (n, sites)."""
    return lambda x, beta: protocols.reduced(energy, np.ascontiguousarray(x), np.full(len(x), beta))


class _Plane:
    """A reduced energy at one beta, as the quadrature asks for it."""

    def __init__(self, u: Callable[[np.ndarray, float], np.ndarray], sites: int, beta: float) -> None:
        self.u, self.shape, self.beta = u, (sites,), beta

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.u(x, self.beta)


def _integral(u: Callable[[np.ndarray, float], np.ndarray], domain: str, sites: int, beta: float) -> Known:
    plane = _Plane(u, sites, beta)
    box = [(-math.pi, math.pi)] * sites if domain == "angle" else box_of(plane, sites)
    for accuracy in ACCURACIES:
        try:
            value = exact.log_z_quadrature(plane, box, accuracy=accuracy)
        except ValueError:
            if accuracy == ACCURACIES[-1]:
                raise
        else:
            return Known(value, accuracy, "quadrature")
    raise AssertionError("one of the accuracies is the last")


def box_of(u: Callable[[np.ndarray], np.ndarray], sites: int) -> list[tuple[float, float]]:
    """Return a box (low, high) for each of one or two axes that holds all of the mass of exp(-u).

    A cube around 0 grows until its surface is empty twice in a row, then shrinks to what is not empty. A mode narrower
    than a grid of 257 points an axis can show would be missed.
    """
    half, empty = 1.0, 0
    while empty < 2:
        half *= 2.0
        if half > FARTHEST:
            raise ValueError(f"energy must be confined for its log Z to exist, got mass beyond |x| = {FARTHEST:.0e}")
        values = _on_grid(u, [(-half, half)] * sites)
        surface = min(float(np.delete(values, slice(1, -1), axis).min()) for axis in range(sites))
        empty = empty + 1 if surface > values.min() + NEGLIGIBLE else 0
    box = [(-half, half)] * sites
    for _ in range(60):
        values = _on_grid(u, box)
        full = np.argwhere(values < values.min() + NEGLIGIBLE)
        axes = [np.linspace(*side, GRID) for side in box]
        tight = [
            (float(axis[max(full[:, d].min() - 1, 0)]), float(axis[min(full[:, d].max() + 1, GRID - 1)]))
            for d, axis in enumerate(axes)
        ]
        if all(b[1] - b[0] > 0.9 * (a[1] - a[0]) for a, b in zip(box, tight, strict=True)):
            return tight
        box = tight
    return box


def _on_grid(u: Callable[[np.ndarray], np.ndarray], box: list[tuple[float, float]]) -> np.ndarray:
    axes = [np.linspace(*side, GRID) for side in box]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(box))
    with np.errstate(over="ignore"):
        values = u(points).reshape([GRID] * len(box))
    if np.isnan(values).any():
        raise ValueError(f"energy must be a number everywhere, got NaN in the box {box}")
    return values
