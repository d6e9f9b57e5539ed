"""Basins of attraction: to which minimum steepest descent leads from each point, dx/dt = -grad E(x).

Descent is by steps of the gradient, x' = x - t grad E, with a size t of its own for each point: halved until the energy
falls by at least t |grad E|^2 / 2 (Armijo 1966), which holds t to the inverse of the curvature met, and grown after. A
point has arrived where the sphere around a minimum begins in which the Hessian's harmonic energy holds.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ebm.exact.arguments import integer, positive
from ebm.landscape import derivatives
from ebm.landscape.grids import Grid, Interval, grid
from ebm.landscape.stationary import StationaryPoint, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GROW, SHRINK = 1.3, 0.5
ARRIVED = 1e-2  # of the distance between the two closest minima (or 1e-2 in x, for one minimum): there E is harmonic
HARMONIC = 0.2  # largest part of E - E_min in which a point that has arrived may differ from the Hessian's
NOWHERE = -1


@dataclass(frozen=True, eq=False)
class Basins:
    """The basins of attraction of the minima on a grid.

    Attributes:
        surface: the energy on the grid.
        labels: which of the minima each point of the grid leads to, (n_1, n_2); -1: to none of them.
        minima: the minima.
    """

    surface: Grid
    labels: np.ndarray
    minima: list[StationaryPoint]

    def plot(self, axes: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the basins in colours over lines of equal energy; see `ebm.landscape.plane_plots.plot_basins`."""
        from ebm.landscape.plane_plots import plot_basins

        return plot_basins(self, axes, **options)


def basins(
    energy: Any, box: Sequence[Interval], minima: Sequence[StationaryPoint], n: int | Sequence[int] = 101
) -> Basins:
    """Follow steepest descent from every point of a grid in the plane, and label it by the minimum it reaches.

    Args:
        energy: an energy of shape (2,).
        box: two pairs (low, high), in the unit of x.
        minima: the minima, of `ebm.landscape.minima`.
        n: number of points along each axis.
    Returns:
        the `Basins`. A RuntimeWarning tells of points that lead to none of the minima: the list may not be complete.
    Raises:
        TypeError: not an energy of real numbers or angles.
        ValueError: a box that is not in the plane, no minima, energies that are NaN.

    Example:
        >>> import ebm
        >>> from ebm.landscape import minima
        >>> well = ebm.DoubleWell(dimension=2)
        >>> basins(well, [(-1.5, 1.5), (-1, 1)], minima(well, np.array([[-0.9, 0], [0.9, 0]])), n=(4, 2)).labels
        array([[0, 0],
               [0, 0],
               [1, 1],
               [1, 1]])
    """
    surface = grid(energy, box, n)
    if len(surface.axes) != 2:
        raise ValueError(f"box must be two pairs (low, high), got {len(surface.axes)}")
    longest = min(float(axis[1] - axis[0]) for axis in surface.axes)
    labels = descend(energy, surface.points, minima, longest)
    lost = int(np.sum(labels == NOWHERE))
    if lost:
        warnings.warn(
            f"{lost} of {len(labels)} points lead to none of the {len(minima)} minima: some may be missing",
            RuntimeWarning,
            stacklevel=2,
        )
    return Basins(surface, labels.reshape(surface.energies.shape), list(minima))


def descend(
    energy: Any, points: np.ndarray, minima: Sequence[StationaryPoint], longest: float, most_steps: int = 20_000
) -> np.ndarray:
    """Follow steepest descent from flat configurations (n, sites) to one of the minima.

    Args:
        energy: an energy of real numbers or angles.
        points: the starts.
        minima: the minima.
        longest: longest step, in the unit of x.
        most_steps: points that have not arrived by then lead nowhere.
    Returns:
        the number of the minimum each point leads to, (n,); -1: none.
    Raises:
        ValueError: no minima, an argument not positive.

    Example:
        >>> import ebm
        >>> from ebm.landscape import minima
        >>> well = ebm.DoubleWell()
        >>> descend(well, np.array([[0.1], [-2.0]]), minima(well, np.array([[-0.9], [0.9]])), longest=0.1)
        array([1, 0])
    """
    derivatives.check_energy(energy, "descend")
    longest, most_steps = positive(longest, "longest"), integer(most_steps, "most_steps", 1)
    if not len(minima):
        raise ValueError("minima must hold at least one minimum, got 0")
    labels, waiting, x = np.full(len(points), NOWHERE), np.arange(len(points)), np.array(points, np.float64)
    size, target = np.full(len(x), np.inf), _Targets(energy, minima)
    e, g = derivatives.energies(energy, x), derivatives.gradients(energy, x)
    for _ in range(most_steps):
        reached = target.reached(x, e)
        labels[waiting] = reached
        norm = np.linalg.norm(g, axis=1)
        going = (reached == NOWHERE) & (norm > 0.0) & np.isfinite(norm)
        if not going.any():
            break
        x, e, g, size, norm, waiting = (array[going] for array in (x, e, g, size, norm, waiting))
        size = np.minimum(size, longest / norm)
        trial = x - size[:, None] * g
        e_trial = derivatives.energies(energy, trial)
        # Near the bottom the fall of E drowns in its rounding.
        fell = e_trial <= e - 0.5 * size * norm**2 + 1e-14 * np.abs(e)
        x[fell], e[fell] = trial[fell], e_trial[fell]
        if fell.any():
            g[fell] = derivatives.gradients(energy, x[fell])
        size = np.where(fell, GROW * size, SHRINK * size)
    return labels


class _Targets:
    """The minima and, around each, the region from which nothing but its bottom can be reached."""

    def __init__(self, energy: Any, minima: Sequence[StationaryPoint]) -> None:
        self.angles = energy.domain == "angle"
        self.x = np.stack([minimum.x.ravel() for minimum in minima])  # (k, sites)
        self.energies = np.array([minimum.energy for minimum in minima])
        modes = [minimum.modes.reshape(len(minimum.modes), -1) for minimum in minima]
        self.hessians = [(m.T * minimum.eigenvalues) @ m for m, minimum in zip(modes, minima, strict=True)]
        gaps = [np.linalg.norm(self._from(self.x, k), axis=1) for k in range(len(minima))]
        between = [gap[gap > 0.0].min() for gap in gaps if (gap > 0.0).any()]
        self.radius = ARRIVED * min(between, default=1.0)

    def _from(self, x: np.ndarray, k: int) -> np.ndarray:
        difference = x - self.x[k]
        return wrapped(difference) if self.angles else difference

    def reached(self, x: np.ndarray, e: np.ndarray) -> np.ndarray:
        """The minimum that each of x (n, sites), with energies e (n,), has arrived at; -1: none."""
        label = np.full(len(x), NOWHERE)
        for k, hessian in enumerate(self.hessians):
            difference = self._from(x, k)
            near = np.linalg.norm(difference, axis=1) < self.radius
            harmonic = 0.5 * np.einsum("ni,ij,nj->n", difference, hessian, difference)
            rounding = 1e-12 * (1.0 + abs(self.energies[k]))
            label[near & (np.abs(e - self.energies[k] - harmonic) <= HARMONIC * harmonic + rounding)] = k
        return label
