"""What the toy data sets ask of their arguments, and how they integrate over the plane."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def require_positive(**named: float) -> None:
    """Raise ``ValueError`` for a named parameter that is not a finite number above zero."""
    for name, value in named.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive and finite, got {value}")


def require_integer(name: str, value: object, least: int) -> None:
    """Raise ``TypeError`` or ``ValueError`` unless ``value`` is an integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def as_points(x: ArrayLike) -> NDArray[np.float64]:
    """Return ``x`` as points of the plane, ``(n, 2)`` float64, or raise ``ValueError`` for another shape or a NaN."""
    points: NDArray[Any] = np.asarray(x)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"x must have shape (n, 2), got {points.shape}")
    points = np.ascontiguousarray(points, dtype=np.float64)
    if np.isnan(points).any():
        raise ValueError(f"x must not contain NaN, got {int(np.isnan(points).any(axis=1).sum())} such points")
    return points


def plane_entropy(
    log_prob: Callable[[NDArray[np.float64]], NDArray[np.float64]], reach: float, spacing: float
) -> float:
    """Integrate ``-p log p`` over the square ``[-reach, reach]^2`` by the trapezoidal rule.

    The rule converges faster than any power of the spacing for a smooth density that vanishes at the border
    (Trefethen and Weideman, 2014).

    Arguments:
        log_prob: points (n, 2) to log density (n,)
        reach: half the side of the square
        spacing: of the grid; half the finest length scale of the density is enough for eight digits
    Returns: the entropy in nats.
    """
    axis = np.linspace(-reach, reach, 2 * int(np.ceil(reach / spacing)) + 1)
    total = 0.0
    for x1 in axis:  # a row at a time keeps memory small
        log_p = log_prob(np.column_stack((np.full_like(axis, x1), axis)))
        total -= float(np.sum(np.exp(log_p) * np.where(np.isfinite(log_p), log_p, 0.0)))
    return float(total * (axis[1] - axis[0]) ** 2)
