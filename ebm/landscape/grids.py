"""An energy on a grid: over a box in one or two dimensions, or on a slice through a space of many.

A slice through the point x_0 along directions v_1 (and v_2) holds E(x_0 + a v_1 + b v_2). Its axes count in lengths of
the directions, which are taken as given: normalise them, or not, to fix the unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ebm.exact.arguments import integer
from ebm.exact.quadrature import check_box
from ebm.landscape import derivatives

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLOCK_POINTS = 2**16  # energies asked for at once
Interval = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Grid:
    """An energy on a grid.

    Attributes:
        axes: one array of coordinates for each of the one or two dimensions, (n_1,) and (n_2,).
        energies: E on the grid, (n_1,) or (n_1, n_2): energies[i, j] is at (axes[0][i], axes[1][j]).
        origin: the point x_0 of the grid's (0, 0), flat (sites,).
        directions: the steps of the axes in the space of configurations, (1 or 2, sites).
        names: what to write at the axes.
    """

    axes: tuple[np.ndarray, ...]
    energies: np.ndarray
    origin: np.ndarray
    directions: np.ndarray
    names: tuple[str, ...]

    @property
    def points(self) -> np.ndarray:
        """The flat configurations of the grid, (n_1 n_2, sites), the last axis fastest."""
        return self.origin + _coordinates(self.axes) @ self.directions

    def plot(self, axes: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the energy as a line or as filled contours; see `ebm.landscape.plane_plots.plot_grid`."""
        from ebm.landscape.plane_plots import plot_grid

        return plot_grid(self, axes, **options)


def grid(energy: Any, box: Sequence[Interval], n: int | Sequence[int] = 101) -> Grid:
    """Evaluate an energy of shape (1,) or (2,) on the points of a box, ends included.

    Args:
        energy: the energy.
        box: one pair (low, high) for each dimension, in the unit of x.
        n: number of points along each axis, at least 2; one number for both or one for each.
    Returns:
        a `Grid`.
    Raises:
        TypeError: not an energy of real numbers or angles.
        ValueError: a box that does not fit the energy, too few points, an energy that is NaN.

    Example:
        >>> import ebm
        >>> surface = grid(ebm.MullerBrown(), [(-1.5, 1.2), (-0.2, 2.0)], n=(28, 23))
        >>> surface.energies.shape, round(float(surface.energies.min()))
        ((28, 23), -146)
    """
    derivatives.check_energy(energy, "grid")
    intervals = check_box(energy, box, dimensions=(1, 2))
    names = ("x",) if len(intervals) == 1 else ("x", "y")
    return _evaluate(energy, _axes(intervals, n), np.zeros(len(intervals)), np.eye(len(intervals)), names)


def slice_through(
    energy: Any, point: Any, directions: Any, reach: Interval | Sequence[Interval] = (-1.0, 1.0),
    n: int | Sequence[int] = 51, names: tuple[str, ...] | None = None,
) -> Grid:  # fmt: skip
    """Evaluate an energy of any shape on a line or plane through a point, E(x_0 + a v_1 + b v_2).

    Args:
        energy: the energy.
        point: x_0, of the energy's shape.
        directions: v_1, or v_1 and v_2: (1 or 2, *shape), independent of each other; in the unit of x.
        reach: the range of a (and b), one pair for both or one for each.
        n: number of points along each axis.
        names: what to write at the axes; by default "a" and "b".
    Returns:
        a `Grid` whose axes are a (and b).
    Raises:
        TypeError: not an energy of real numbers or angles.
        ValueError: an argument of wrong shape, not finite, or directions that are parallel or zero.

    Example:
        >>> import ebm
        >>> slice_through(ebm.Gaussian(np.zeros(50), np.eye(50)), np.zeros(50), np.eye(50)[:1], n=3).energies
        array([0.5, 0. , 0.5])
    """
    derivatives.check_energy(energy, "slice_through")
    origin = derivatives.check_point(energy, point, "point")
    vectors = np.asarray(directions, np.float64)
    if vectors.shape[1:] != tuple(energy.shape) or len(vectors) not in (1, 2):
        raise ValueError(f"directions must have shape (1 or 2, *{tuple(energy.shape)}), got {vectors.shape}")
    vectors = np.stack([derivatives.check_point(energy, v, "directions") for v in vectors])
    singular = np.linalg.svd(vectors, compute_uv=False)
    if not singular[-1] > 1e-12 * singular[0]:
        raise ValueError(f"directions must be independent and not zero, got singular values {singular}")
    pairs = np.asarray(reach, np.float64)
    pairs = np.tile(pairs, (len(vectors), 1)) if pairs.ndim == 1 else pairs
    box = [(float(low), float(high)) for low, high in pairs]
    if len(box) != len(vectors):
        raise ValueError(f"reach must be one pair (low, high), or one for each direction, got {reach!r}")
    axes = _axes(check_box(None, box, dimensions=(len(vectors),)), n)
    return _evaluate(energy, axes, origin, vectors, names or ("a", "b")[: len(vectors)])


def points_in(box: Sequence[Interval], n: int, seed: int) -> np.ndarray:
    """Draw n points uniformly from a box, (n, dimensions): starts of searches.

    Example:
        >>> points_in([(0.0, 1.0), (5.0, 6.0)], 4, seed=1).shape
        (4, 2)
    """
    box = check_box(None, box, dimensions=range(1, len(box) + 1))
    low, high = np.array(box).T
    return np.random.default_rng(seed).uniform(low, high, (integer(n, "n", 1), len(box)))


def _axes(box: Sequence[Interval], n: int | Sequence[int]) -> tuple[np.ndarray, ...]:
    counts = [n] * len(box) if np.ndim(n) == 0 else list(n)  # type: ignore[arg-type]
    if len(counts) != len(box):
        raise ValueError(f"n must be one number, or one for each of {len(box)} axes, got {n!r}")
    return tuple(np.linspace(*pair, integer(count, "n", 2)) for pair, count in zip(box, counts, strict=True))


def _coordinates(axes: tuple[np.ndarray, ...]) -> np.ndarray:
    """The coordinates of all points, (n_1 n_2, dimensions)."""
    return np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)


def _evaluate(
    energy: Any, axes: tuple[np.ndarray, ...], origin: np.ndarray, directions: np.ndarray, names: tuple[str, ...]
) -> Grid:
    coordinates = _coordinates(axes)
    # In blocks: a slice through the weights of a network would else hold a copy of them for every point.
    block = max(1, BLOCK_POINTS // len(origin))
    values = [
        derivatives.energies(energy, origin + coordinates[k : k + block] @ directions)
        for k in range(0, len(coordinates), block)
    ]
    shape = tuple(len(axis) for axis in axes)
    return Grid(axes, np.concatenate(values).reshape(shape), origin, directions, names)
