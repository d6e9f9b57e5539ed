"""Minimum-energy paths: the string method, with its highest images moved onto the true saddles.

A minimum-energy path is a curve along which the gradient has no part across the curve. The string method (E, Ren and
Vanden-Eijnden 2007) lets every image of a string follow the gradient down for a short time and then spaces the images
evenly again,

    dx_i/dt = -grad E(x_i),      x_i <- spline through all x, at equal arc length

until no image moves. The flow is followed to fourth order: plain steps of the gradient, as long as stability allows,
would leave the string beside the floor of a bent valley. Where the energy along the string has a maximum, eigenvector
following finds the saddle beside it (and Newton's method the minimum where it has a minimum): barriers are those of
stationary points, whatever the spacing of images.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ebm.exact.arguments import integer, positive
from ebm.landscape import derivatives
from ebm.landscape.searches import climb, relax
from ebm.landscape.stationary import StationaryPoint
from samplers import protocols

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEP_OF_CURVATURE = 0.8  # time of a step times the largest curvature; stable below 2.8
STEPS_BETWEEN = 50  # looks at the largest curvature
POWER_STEPS = 8


@dataclass(frozen=True, eq=False)
class MinimumEnergyPath:
    """A minimum-energy path.

    Attributes:
        images: configurations along it, (m, *shape), from one minimum to the other, saddles among them.
        energies: E of the images, (m,).
        arc: arc length up to each image, (m,), in the unit of x.
        saddles: the first-order saddles passed, in order.
        minima: the minima passed, in order, both ends among them: one more than saddles.
        steps: steps of the string until it stood still.
        across: largest |gradient across the path| of the images, over the largest |gradient| along it.
    """

    images: np.ndarray
    energies: np.ndarray
    arc: np.ndarray
    saddles: list[StationaryPoint]
    minima: list[StationaryPoint]
    steps: int
    across: float

    @property
    def barrier(self) -> float:
        """The height of the highest saddle above the first minimum, in the unit of E; 0 without a saddle."""
        return max([saddle.energy - self.minima[0].energy for saddle in self.saddles], default=0.0)

    @property
    def barrier_back(self) -> float:
        """The height of the highest saddle above the last minimum."""
        return max([saddle.energy - self.minima[-1].energy for saddle in self.saddles], default=0.0)

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draw the energy along the path; see `ebm.landscape.line_plots.plot_path`."""
        from ebm.landscape.line_plots import plot_path

        return plot_path(self, axes)


def minimum_energy_path(
    energy: Any, points: Any, *, images: int = 51, tolerance: float = 1e-6, most_steps: int = 20_000
) -> MinimumEnergyPath:
    """Find a minimum-energy path between the minima below two points.

    Args:
        energy: an energy of real numbers or angles (angles are not wrapped along the path).
        points: configurations (k, *shape), k >= 2: both ends, and between them places the first string should pass.
        images: number of images, at least 5: a dozen for each well and barrier.
        tolerance: the string stands still once no image moves by more than this share of its length in a step.
        most_steps: give up after so many; a RuntimeWarning then says how far it is from standing still.
    Returns:
        a `MinimumEnergyPath`. A RuntimeWarning tells of a maximum beside which no saddle was found.
    Raises:
        TypeError: not an energy of real numbers or angles.
        ValueError: points of a wrong shape, an argument out of range, ends that lead down to no minimum or to the same.

    Example:
        >>> import ebm
        >>> path = minimum_energy_path(ebm.MullerBrown(), np.array([[-0.55, 1.45], [0.6, 0.0]]))
        >>> [round(saddle.energy, 3) for saddle in path.saddles], round(path.barrier, 3)
        ([-40.665, -72.249], 106.035)
    """
    derivatives.check_energy(energy, "minimum_energy_path")
    images = integer(images, "images", 5)
    tolerance, most_steps = positive(tolerance, "tolerance"), integer(most_steps, "most_steps", 1)
    corners = protocols.check_configurations(points, energy, "points")
    if len(corners) < 2:
        raise ValueError(f"points must hold at least 2 configurations, got {len(corners)}")
    corners = corners.reshape(len(corners), -1).copy()
    ends = _ends(energy, corners)
    corners[0], corners[-1] = (end.x.ravel() for end in ends)
    x = _evenly(corners, images, smooth=False)
    x, steps = _relaxed(energy, x, tolerance, most_steps)
    saddles, wells = _stationary_points(energy, x)
    arc = _arc(x)
    return MinimumEnergyPath(
        x.reshape(images, *energy.shape), derivatives.energies(energy, x), arc, saddles,
        [ends[0], *wells, ends[1]], steps, _across(energy, x),
    )  # fmt: skip


def _ends(energy: Any, corners: np.ndarray) -> list[StationaryPoint]:
    ends = []
    for name, corner in (("first", corners[0]), ("last", corners[-1])):
        end = relax(energy, corner)
        if end is None or end.index != 0 or not end.error <= 1e-5 * (1.0 + np.abs(end.x).max()):
            raise ValueError(f"the {name} of points must lead down to a minimum, got {corner} that leads to {end}")
        ends.append(end)
    if np.linalg.norm(ends[0].x - ends[1].x) <= 1e-5 * (1.0 + np.abs(ends[0].x).max()):
        raise ValueError(f"points must lead down to two minima, got both ends at {ends[0].x.ravel()}")
    return ends


def _relaxed(energy: Any, x: np.ndarray, tolerance: float, most_steps: int) -> tuple[np.ndarray, int]:
    """Move the string until it stands still; return it and the number of steps."""
    moved = np.inf
    for step in range(most_steps):
        if step % STEPS_BETWEEN == 0:
            size = STEP_OF_CURVATURE / _largest_curvature(energy, x)
        down = x.copy()
        down[1:-1] = _down(energy, x[1:-1], size)
        if not np.isfinite(down).all():
            raise ValueError(f"energy must have a finite gradient along the path, got nan or inf in step {step}")
        down = _evenly(down, len(x))
        moved = float(np.linalg.norm(down - x, axis=1).max()) / _arc(down)[-1]
        x = down
        if moved < tolerance:
            return x, step + 1
    warnings.warn(
        f"the path is not at rest after {most_steps} steps: an image moves by {moved:.1e} of its length in a step",
        RuntimeWarning,
        stacklevel=3,
    )
    return x, most_steps


def _down(energy: Any, x: np.ndarray, size: float) -> np.ndarray:
    """Follow dx/dt = -grad E for a time `size` by Runge and Kutta's step of fourth order."""
    k1 = derivatives.gradients(energy, x)
    k2 = derivatives.gradients(energy, x - 0.5 * size * k1)
    k3 = derivatives.gradients(energy, x - 0.5 * size * k2)
    k4 = derivatives.gradients(energy, x - size * k3)
    return x - size / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def _largest_curvature(energy: Any, x: np.ndarray) -> float:
    """The largest |eigenvalue| of the Hessians of the images, roughly, by power iterations for all images at once."""
    v = np.tile(np.cos(1.0 + np.arange(x.shape[1])), (len(x), 1))  # any direction that no symmetry singles out
    h = derivatives.HESSIAN_STEP * max(1.0, float(np.abs(x).max()))
    for _ in range(POWER_STEPS):
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        slopes = derivatives.gradients(energy, np.concatenate([x + h * v, x - h * v]))
        v = (slopes[: len(x)] - slopes[len(x) :]) / (2.0 * h)
        v += 1e-300  # a flat image stays flat, without a division by zero
    return max(float(np.linalg.norm(v, axis=1).max()), 1e-12)


def _arc(x: np.ndarray) -> np.ndarray:
    """Arc length up to each image, (m,)."""
    return np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(x, axis=0), axis=1))))


def _evenly(x: np.ndarray, m: int, smooth: bool = True) -> np.ndarray:
    """Return m points at equal arc length on the curve through the points x; a curve with corners if not smooth."""
    arc = _arc(x)
    at = np.linspace(0.0, arc[-1], m)
    if not smooth:
        return np.stack([np.interp(at, arc, column) for column in x.T], axis=1)
    from scipy.interpolate import CubicSpline

    # Linear interpolation would cut the corners of a bent path at every step, and pull it off the valley's floor.
    even = CubicSpline(arc, x)(at)
    even[0], even[-1] = x[0], x[-1]
    return even


def _stationary_points(energy: Any, x: np.ndarray) -> tuple[list[StationaryPoint], list[StationaryPoint]]:
    """Put the images at maxima and minima of E onto saddles and minima, in place, and return these."""
    e, spacing = derivatives.energies(energy, x), _arc(x)[-1] / (len(x) - 1)
    saddles: list[StationaryPoint] = []
    wells: list[StationaryPoint] = []
    for k in range(1, len(x) - 1):
        is_top = e[k] > e[k - 1] and e[k] >= e[k + 1]
        if not (is_top or (e[k] < e[k - 1] and e[k] <= e[k + 1])):
            continue
        point = climb(energy, x[k], 0.2 * spacing) if is_top else relax(energy, x[k])
        if point is None or point.index != int(is_top) or not np.linalg.norm(point.x.ravel() - x[k]) < 2.0 * spacing:
            kind = "saddle" if is_top else "minimum"
            warnings.warn(
                f"no {kind} was found beside image {k} of the path, E = {e[k]:.6g}: take more images, or a smaller "
                "tolerance",
                RuntimeWarning,
                stacklevel=3,
            )
            continue
        (saddles if is_top else wells).append(point)
        x[k] = point.x.ravel()
    return saddles, wells


def _across(energy: Any, x: np.ndarray) -> float:
    """Largest gradient across the path over the largest gradient."""
    across, gradient = _gradients_across(energy, x)
    largest = float(np.linalg.norm(gradient, axis=1).max())
    return float(np.linalg.norm(across, axis=1).max()) / largest if largest > 0.0 else 0.0


def _gradients_across(energy: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of the gradient across the path at each image, and the gradient, both (m, sites)."""
    from scipy.interpolate import CubicSpline

    arc = _arc(x)
    tangent = CubicSpline(arc, x)(arc, 1)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    gradient = derivatives.gradients(energy, x)
    return gradient - tangent * np.sum(gradient * tangent, axis=1, keepdims=True), gradient
