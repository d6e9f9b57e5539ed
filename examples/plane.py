"""Densities in the plane that are known exactly, and ln Z of a model of them: what the examples in the plane share."""

from typing import Any

import numpy as np
from scipy.special import logsumexp

from models import datasets

SETS = {
    "8 gaussians": datasets.gaussian_mixture(),
    "checkerboard": datasets.checkerboard(),
    "pinwheel": datasets.pinwheel(),
    "2 spirals": datasets.spiral(),
}
HALF = 7.0  # of the side of the box of the quadrature; its edges hold less than e^-20 of any model of these


def grid(points: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the midpoints of a square grid of the box, (points,), its points (points^2, 2), and the area of a cell."""
    axis = HALF * (2.0 * (np.arange(points) + 0.5) / points - 1.0)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    return axis, np.stack([x.ravel(), y.ravel()], 1), (2.0 * HALF / points) ** 2


def log_z(energy: Any, points: int = 500) -> float:
    """Return ln Z by the midpoint rule, good to many digits where the density is smooth and ends within the box."""
    _, x, area = grid(points)
    return float(logsumexp(-energy(x)) + np.log(area))
