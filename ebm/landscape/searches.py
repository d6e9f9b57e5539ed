"""Minima and first-order saddles of an energy, from many starts.

Minima: L-BFGS (Liu and Nocedal 1989) down from each start, then Newton's method to rounding. Saddles: eigenvector
following (Cerjan and Miller 1981; Wales 1994), up along the softest mode of the Hessian and down along all others,

    step_k = -+ (v_k . grad E) / |lambda_k|     (+ for k = 1, the lowest; no step longer than `longest`)

then Newton's method. Each point found is checked: its distance from the exact one, and its index by the Hessian. The
Hessian is dense: up to some thousand coordinates.
"""

import warnings
from typing import Any

import numpy as np

from ebm.exact.arguments import positive
from ebm.landscape import derivatives
from ebm.landscape.stationary import StationaryPoint, distinct, eigen, newton, wrapped
from samplers import protocols

CLIMB_STEPS = 500
SOFTEST = 1e-3  # of the largest |eigenvalue|: softer modes are stepped along as if they had this one


def minima(energy: Any, starts: Any, *, apart: float = 1e-4, accuracy: float = 1e-6) -> list[StationaryPoint]:
    """Find the minima below many starts, by rising energy and each once.

    Args:
        energy: an energy of real numbers or angles.
        starts: configurations (n, *shape), such as `points_in(box, n, seed)` or draws of a chain.
        apart: minima closer than this are one, in the unit of x. A flat valley has one minimum for each start.
        accuracy: largest distance from the exact minimum, in the unit of x.
    Returns:
        the minima. A RuntimeWarning tells of starts that found none, since E may be unbounded there.
    Raises:
        TypeError: not an energy of real numbers or angles.
        ValueError: starts of a wrong shape or not finite, an argument not positive.

    Example:
        >>> import ebm
        >>> from ebm.landscape import points_in
        >>> starts = points_in([(-1.5, 1.0), (-0.2, 1.8)], 20, seed=1)
        >>> [round(point.energy, 3) for point in minima(ebm.MullerBrown(), starts)]
        [-146.7, -108.167, -80.768]
    """
    flat = _starts(energy, starts, "minima")
    apart, accuracy = positive(apart, "apart"), positive(accuracy, "accuracy")
    found = [relax(energy, start) for start in flat]
    good = [p for p in found if p is not None and p.index == 0 and p.error <= accuracy]
    if len(good) < len(flat):
        warnings.warn(
            f"{len(flat) - len(good)} of {len(flat)} starts found no minimum to an accuracy of {accuracy:g}",
            RuntimeWarning,
            stacklevel=2,
        )
    return _named_once(energy, good, apart)


def saddles(
    energy: Any, starts: Any, *, longest: float = 0.1, apart: float = 1e-4, accuracy: float = 1e-6
) -> list[StationaryPoint]:
    """Find first-order saddles from many starts, by rising energy and each once.

    Args:
        energy: an energy of real numbers or angles.
        starts: configurations (n, *shape); the highest points of a path, or points drawn at random.
        longest: longest step, in the unit of x: a fraction of the size of a well.
        apart: saddles closer than this are one.
        accuracy: largest distance from the exact saddle, in the unit of x.
    Returns:
        the saddles. Starts that run away, or end at a point of another index, give none: from random starts many do.
    Raises:
        TypeError: not an energy of real numbers or angles.
        ValueError: starts of a wrong shape or not finite, an argument not positive.

    Example:
        >>> import ebm
        >>> found = saddles(ebm.MullerBrown(), np.array([[-0.8, 0.6], [0.2, 0.3]]))
        >>> [(round(point.energy, 3), point.index) for point in found]
        [(-72.249, 1), (-40.665, 1)]
    """
    flat = _starts(energy, starts, "saddles")
    longest, apart = positive(longest, "longest"), positive(apart, "apart")
    accuracy = positive(accuracy, "accuracy")
    with np.errstate(over="ignore", invalid="ignore"):  # of starts that run away to where E is huge
        found = [climb(energy, start, longest) for start in flat]
    return _named_once(energy, [p for p in found if p is not None and p.index == 1 and p.error <= accuracy], apart)


def relax(energy: Any, x: np.ndarray) -> StationaryPoint | None:
    """Go down from a flat configuration by L-BFGS and Newton; None if the energy stopped being finite on the way."""
    from scipy.optimize import minimize

    def value_and_slope(point: np.ndarray) -> tuple[float, np.ndarray]:
        rows = point[None]
        return float(derivatives.energies(energy, rows)[0]), derivatives.gradients(energy, rows)[0]

    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 20_000, "maxfun": 100_000}
    end = minimize(value_and_slope, x, jac=True, method="L-BFGS-B", options=options)
    return newton(energy, end.x) if np.isfinite(end.x).all() and np.isfinite(end.fun) else None


def climb(energy: Any, x: np.ndarray, longest: float) -> StationaryPoint | None:
    """Follow the softest mode up and all others down from a flat configuration; None if E is flat or not finite."""
    for _ in range(CLIMB_STEPS):
        values, vectors = eigen(energy, x)
        gradient = derivatives.gradients(energy, x[None])[0]
        if not (np.isfinite(values).all() and np.isfinite(gradient).all() and values.any()):
            return None
        curvature = np.maximum(np.abs(values), SOFTEST * np.abs(values).max())
        along = vectors.T @ gradient / curvature
        along[1:] *= -1.0  # up along the lowest eigenvalue's mode only
        length = float(np.linalg.norm(along))
        x = x + vectors @ (along * min(1.0, longest / length) if length > 0.0 else along)
        if length < 1e-6 * longest:
            break
    return newton(energy, x)


def _starts(energy: Any, starts: Any, who: str) -> np.ndarray:
    derivatives.check_energy(energy, who)
    array = protocols.check_configurations(starts, energy, "starts")
    if not len(array):
        raise ValueError("starts must hold at least one configuration, got 0")
    if not np.isfinite(array).all():
        raise ValueError(f"starts must be finite, got {array[~np.isfinite(array)][0]}")
    return array.reshape(len(array), -1)


def _named_once(energy: Any, points: list[StationaryPoint], apart: float) -> list[StationaryPoint]:
    if energy.domain == "angle":
        points = [StationaryPoint(**{**vars(p), "x": wrapped(p.x)}) for p in points]
    return distinct(points, energy.domain, apart)
