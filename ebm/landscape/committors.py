"""The committor in the plane: the probability to reach B before A by overdamped dynamics.

    dx = -grad U dt + sqrt(2 T) dW  (mobility one),      T lap q - grad U . grad q = 0,      q = 0 in A, 1 in B

the backward Kolmogorov equation (E and Vanden-Eijnden 2006), with reflecting walls. As div(e^{-U/T} grad q) = 0 it
is a network of resistors between neighbouring points of a grid of spacings h_x and h_y, of conductance

    c_ij = e^{-U((x_i + x_j) / 2) / T} h_y / h_x   (for neighbours along x),      sum_j c_ij (q_j - q_i) = 0

with an error of second order in the spacing, beside that of the edges of A and B, of first order. The current from A to
B is the number of transitions in a unit of time, nu = T sum c_ij (q_j - q_i)^2 / Z over all pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ebm.exact.arguments import positive
from ebm.landscape import derivatives
from ebm.landscape.grids import Grid, Interval, grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROUNDING = 1e-6  # how far outside of 0 to 1 the solution may be

Region = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Committor:
    """The probability to reach B before A.

    Attributes:
        surface: the energy on the grid.
        q: the committor on the grid, (n_1, n_2), within 1e-6 of 0 to 1: not clipped.
        inside: 0 in A, 1 in B, -1 between, (n_1, n_2).
        rate: nu, transitions from A to B in a unit of time in equilibrium (as many go back).
        temperature: T.
    """

    surface: Grid
    q: np.ndarray
    inside: np.ndarray
    rate: float
    temperature: float

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draw the committor; see `ebm.landscape.plane_plots.plot_committor`."""
        from ebm.landscape.plane_plots import plot_committor

        return plot_committor(self, axes)


def disc(centre: Any, radius: float) -> Region:
    """Return the region within `radius` of a point of the plane, for `committor`.

    Example:
        >>> disc([0.0, 0.0], 1.0)(np.array([[0.5, 0.5], [1.0, 1.0]]))
        array([ True, False])
    """
    middle, radius = np.asarray(centre, np.float64), positive(radius, "radius")
    return lambda x: np.linalg.norm(x - middle, axis=1) <= radius


def committor(
    energy: Any, box: Sequence[Interval], a: Region, b: Region, *, beta: float = 1.0, n: int | Sequence[int] = 201
) -> Committor:
    """Solve for the committor of an energy in the plane on a grid.

    Args:
        energy: an energy of shape (2,).
        box: two pairs (low, high); its walls reflect: it should hold all that matters at this temperature.
        a: where q = 0: a function from points (m, 2) to booleans (m,), such as `disc(minimum.x, 0.1)`.
        b: where q = 1.
        beta: inverse temperature, in the inverse unit of E.
        n: number of points along each axis.
    Returns:
        a `Committor`.
    Raises:
        ValueError: a box that is not in the plane, regions that hold no point of the grid or share one, energies that
            are not finite, or a temperature so low that rounding spoils the solution.

    Example:
        >>> import ebm
        >>> well, n = ebm.DoubleWell(dimension=2), (61, 5)
        >>> found = committor(well, [(-1.5, 1.5), (-1, 1)], lambda x: x[:, 0] <= -1, lambda x: x[:, 0] >= 1, n=n)
        >>> round(float(found.q[30, 2]), 6)  # on the barrier
        0.5
    """
    beta = positive(beta, "beta")
    surface = grid(energy, box, n)
    if len(surface.axes) != 2:
        raise ValueError(f"box must be two pairs (low, high), got {len(surface.axes)}")
    inside = _regions(surface, a, b)
    first, second, energies, spacing_ratio = _edges(energy, surface)
    if not (np.isfinite(surface.energies).all() and np.isfinite(energies).all()):
        raise ValueError("energy must be finite in the box, got inf: make the box smaller")
    # Reduced energy of each resistor, its shape included: c = exp(-height).
    height = beta * (energies - surface.energies.min()) - np.log(spacing_ratio)
    q = _solve(first, second, height, inside.ravel())
    if not (q.min() > -ROUNDING and q.max() < 1.0 + ROUNDING):
        raise ValueError(
            f"beta must be smaller: rounding spoils the committor, which got {q.min():.2g} to {q.max():.2g}"
        )
    cell = np.prod([axis[1] - axis[0] for axis in surface.axes])
    z = _trapezoid_sum(np.exp(-beta * (surface.energies - surface.energies.min()))) * cell
    rate = float(np.sum(np.exp(-height) * (q[first] - q[second]) ** 2)) / (beta * z)
    return Committor(surface, q.reshape(inside.shape), inside, rate, 1.0 / beta)


def _regions(surface: Grid, a: Region, b: Region) -> np.ndarray:
    inside, points = np.full(surface.energies.size, -1), surface.points
    masks = [np.asarray(region(points), bool) for region in (a, b)]
    for name, mask in zip("ab", masks, strict=True):
        if mask.shape != inside.shape:
            raise ValueError(f"{name} must return one boolean a point, shape {inside.shape}, got {mask.shape}")
        if not mask.any():
            raise ValueError(f"{name} must hold at least one point of the grid, got none: enlarge it, or n")
    if (masks[0] & masks[1]).any():
        raise ValueError(f"a and b must be apart, got the point {points[masks[0] & masks[1]][0]} in both")
    inside[masks[0]], inside[masks[1]] = 0, 1
    return inside.reshape(surface.energies.shape)


def _edges(energy: Any, surface: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of neighbours, E in the middle of each, and width over length of what connects them."""
    shape, points = surface.energies.shape, surface.points
    number = np.arange(points.shape[0]).reshape(shape)
    spacing = [float(axis[1] - axis[0]) for axis in surface.axes]
    first, second, ratio = [], [], []
    for axis in (0, 1):
        low = np.take(number, range(shape[axis] - 1), axis)
        width = np.full(low.shape, spacing[1 - axis] / spacing[axis])
        # Along a wall half of the tube is outside.
        width[(slice(None), [0, -1]) if axis == 0 else ([0, -1], slice(None))] *= 0.5
        first.append(low.ravel())
        second.append(np.take(number, range(1, shape[axis]), axis).ravel())
        ratio.append(width.ravel())
    i, j = np.concatenate(first), np.concatenate(second)
    middle = derivatives.energies(energy, 0.5 * (points[i] + points[j]))
    return i, j, middle, np.concatenate(ratio)


def _solve(first: np.ndarray, second: np.ndarray, height: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Solve sum_j c_ij (q_j - q_i) = 0 outside the regions, every row over its sum so that none underflows."""
    from scipy.sparse import coo_array, identity
    from scipy.sparse.linalg import spsolve

    n = len(inside)
    rows, columns = np.concatenate([first, second]), np.concatenate([second, first])
    heights = np.concatenate([height, height])
    lowest = np.full(n, np.inf)
    np.minimum.at(lowest, rows, heights)
    weight = np.exp(-(heights - lowest[rows]))
    total = np.bincount(rows, weight, n)
    jump = coo_array((weight / total[rows], (rows, columns)), shape=(n, n)).tocsr()  # to each neighbour, probability
    free = np.flatnonzero(inside == -1)
    q = (inside == 1).astype(np.float64)
    if free.size:
        matrix = (identity(free.size, format="csr") - jump[free][:, free]).tocsc()
        q[free] = spsolve(matrix, jump[free] @ q)
    if not np.isfinite(q).all():
        raise ValueError("beta must be smaller: rounding spoils the committor, which is not finite")
    return q


def _trapezoid_sum(values: np.ndarray) -> float:
    """The sum over a grid with half weights on its walls."""
    weighted = values.copy()
    weighted[[0, -1]] *= 0.5
    weighted[:, [0, -1]] *= 0.5
    return float(weighted.sum())
