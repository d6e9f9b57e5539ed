"""How far two laws in the plane overlap, from kernel density estimates on a grid.

    BC = integral sqrt(p q) dx,        Bhattacharyya distance -ln BC,        Hellinger distance sqrt(1 - BC)

(Bhattacharyya 1943). An estimate blurs its law by its width h, and its noise makes equal laws differ: what two sets of
data give, as many as are compared, is the number to compare with.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import norm

from models.metrics.kernel_density import best_bandwidth
from models.metrics.samples import as_rows
from samplers import protocols

CELLS_A_WIDTH = 3.0  # cells of the grid in one h
REACH = 8.0  # widths h beyond the last samples
MOST = 3000  # cells along a side


class Overlap(NamedTuple):
    """The coefficient BC, from 0 to 1; Bhattacharyya's distance in nats; Hellinger's, from 0 to 1."""

    coefficient: float
    bhattacharyya: float
    hellinger: float


def overlap(
    x: Any, y: Any | Callable[[np.ndarray], np.ndarray], bandwidth: float | tuple[float, float] | None = None
) -> Overlap:
    """Return the overlap of the laws of two sets of points in the plane, or of one set and a known density.

    Args:
        x: samples (n, 2).
        y: samples (m, 2), or a function of points (k, 2) that gives ln p, (k,), and changes little over h / 3.
        bandwidth: h of both estimates, or of each, in the unit of x; None: `best_bandwidth` of each.

    Raises:
        ValueError: x or y do not fit, a width is not positive or so small that the grid would be too fine.

    Example:
        >>> from scipy import stats
        >>> unit = stats.multivariate_normal([0.0, 0.0])
        >>> round(overlap([[1.0, 0.0]], unit.logpdf, bandwidth=1.0).bhattacharyya, 6)  # unit Gaussians, 1 apart
        0.125
    """
    known = callable(y)
    sets = [as_rows(x, "x")] if known else [as_rows(x, "x"), as_rows(y, "y")]
    for rows, name in zip(sets, "xy", strict=False):
        if rows.shape[1] != 2:
            raise ValueError(f"{name} must be points of the plane, (n, 2), got {rows.shape[1]} numbers a sample")
    given = bandwidth if isinstance(bandwidth, tuple) else (bandwidth,) * len(sets)
    widths = [best_bandwidth(rows) if h is None else h for rows, h in zip(sets, given, strict=True)]
    for h in widths:
        protocols.check_positive(h, "bandwidth")
    axes = [_axis(np.concatenate([rows[:, i] for rows in sets]), widths) for i in (0, 1)]
    densities = [_density(rows, h, axes) for rows, h in zip(sets, widths, strict=True)]
    if known:
        points = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], 1)
        densities.append(np.exp(y(points)).reshape(densities[0].shape))
    cell = (axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0])
    coefficient = min(float(np.sqrt(densities[0] * densities[1]).sum() * cell), 1.0)  # rounding may lead above
    with np.errstate(divide="ignore"):
        return Overlap(coefficient, float(-np.log(coefficient)), float(np.sqrt(1.0 - coefficient)))


def _axis(values: np.ndarray, widths: list[float]) -> np.ndarray:
    """Return the middles of cells along one axis that hold all kernels."""
    low, high = values.min() - REACH * max(widths), values.max() + REACH * max(widths)
    cells = int(np.ceil((high - low) * CELLS_A_WIDTH / min(widths)))
    if cells > MOST:
        raise ValueError(
            f"bandwidth must be at least 1/{MOST / CELLS_A_WIDTH:g} of the range of the samples, {high - low:g}, "
            f"got {min(widths):g}"
        )
    return low + (high - low) * (np.arange(cells) + 0.5) / cells


def _density(rows: np.ndarray, h: float, axes: list[np.ndarray]) -> np.ndarray:
    """Return p_h on the grid: kernels are products, so that the sum over samples is a product of matrices."""
    first, second = (norm.pdf(axis, rows[:, i, None], h) for i, axis in enumerate(axes))
    return first.T @ second / len(rows)
