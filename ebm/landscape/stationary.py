"""Stationary points: what one is, and Newton's method that pins it down.

grad E(x) = 0,     index = number of negative eigenvalues of the Hessian: 0 a minimum, 1 a first-order saddle
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ebm.landscape import derivatives

ZERO_MODE = 1e-6  # eigenvalues below this share of the largest count as zero: flat directions, such as symmetries
NEWTON_STEPS = 50


@dataclass(frozen=True, eq=False)
class StationaryPoint:
    """A point where the gradient vanishes.

    Attributes:
        x: the configuration, of the energy's shape.
        energy: E(x).
        gradient_norm: |grad E|, what is left of it, in the unit of E over that of x.
        eigenvalues: of the Hessian, rising, (sites,).
        modes: their unit eigenvectors, (sites, *shape): modes[k] belongs to eigenvalues[k].
        error: |H^-1 grad E|, how far x is from the stationary point to first order, in the unit of x.
    """

    x: np.ndarray
    energy: float
    gradient_norm: float
    eigenvalues: np.ndarray
    modes: np.ndarray
    error: float

    @property
    def index(self) -> int:
        """The number of negative eigenvalues, zero modes not counted."""
        return int(np.sum(self.eigenvalues < -ZERO_MODE * np.abs(self.eigenvalues).max()))

    def __repr__(self) -> str:
        x = np.array2string(self.x.ravel()[:6], precision=4, suppress_small=True)
        return (
            f"StationaryPoint(index {self.index}, energy {self.energy:.8g}, x {x}, gradient {self.gradient_norm:.1e})"
        )


def newton(energy: Any, x: np.ndarray) -> StationaryPoint | None:
    """Follow Newton's method from a flat configuration near a stationary point, as long as the gradient falls.

    Returns:
        the point where it stopped, of any index: its `error` says whether that is stationary. None where the energy
        stopped being finite.

    Example:
        >>> import ebm
        >>> point = newton(ebm.MullerBrown(), np.array([-0.82, 0.62]))
        >>> point.index, round(point.energy, 6)
        (1, -40.664844)
    """
    gradient = derivatives.gradients(energy, x[None])[0]
    values, vectors, step = _newton_step(energy, x, gradient)
    for _ in range(NEWTON_STEPS):
        if not np.isfinite(step).all():
            return None
        moved = x + step
        there = derivatives.gradients(energy, moved[None])[0]
        # At the bottom rounding stops the fall; far away Newton may go astray, and the caller sees it by the error.
        if not np.linalg.norm(there) < np.linalg.norm(gradient):
            break
        x, gradient = moved, there
        values, vectors, step = _newton_step(energy, x, gradient)
    value = float(derivatives.energies(energy, x[None])[0])
    shape, norm = tuple(energy.shape), float(np.linalg.norm(gradient))
    if not (np.isfinite(value) and np.isfinite(norm)):
        return None
    modes = vectors.T.reshape(-1, *shape)
    return StationaryPoint(x.reshape(shape), value, norm, values, modes, float(np.linalg.norm(step)))


def _newton_step(energy: Any, x: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors (columns) of the Hessian and -H^-1 grad E without the zero modes."""
    values, vectors = eigen(energy, x)
    along = vectors.T @ gradient
    curved = np.abs(values) > ZERO_MODE * np.abs(values).max()
    return values, vectors, -vectors[:, curved] @ (along[curved] / values[curved])


def eigen(energy: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues, rising, and eigenvectors (columns) of the Hessian; NaN where it is not finite."""
    matrix = derivatives.hessian(energy, x)
    if not np.isfinite(matrix).all():
        return np.full(len(x), np.nan), np.full(matrix.shape, np.nan)
    return np.linalg.eigh(matrix)


def distinct(points: Sequence[StationaryPoint], domain: str, apart: float) -> list[StationaryPoint]:
    """Return the points by rising energy, each once: of those closer than `apart` the first stays."""
    kept: list[StationaryPoint] = []
    for point in sorted(points, key=lambda p: p.energy):
        if all(distance(point.x, other.x, domain) > apart for other in kept):
            kept.append(point)
    return kept


def distance(x: np.ndarray, y: np.ndarray, domain: str) -> float:
    """Return the Euclidean distance of two configurations; angles the short way round."""
    difference = np.asarray(x) - np.asarray(y)
    return float(np.linalg.norm((wrapped(difference) if domain == "angle" else difference).ravel()))


def wrapped(angle: np.ndarray) -> np.ndarray:
    """Return angles wrapped to (-pi, pi]."""
    return angle - 2.0 * np.pi * np.ceil((angle - np.pi) / (2.0 * np.pi))
