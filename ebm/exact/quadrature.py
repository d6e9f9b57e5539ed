"""ln Z of a continuous energy in one or two dimensions, by numerical integration over a box.

Z = int exp(-u(x, beta)) dx with u = energy.reduced(x, beta), or beta * energy(x) where there is no `reduced`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, roots_legendre

from ebm.exact.arguments import finite, positive
from ebm.exact.enumeration import reduced_energy

ORDER = 16
MAX_POINTS = 2**22
BLOCK_POINTS = 2**16


def log_z_quadrature(
    energy: Callable[[NDArray[np.float64]], Any],
    limits: Sequence[tuple[float, float]],
    beta: float = 1.0,
    accuracy: float = 1e-10,
) -> float:
    """Return ln Z over a box, by Gauss-Legendre panels that are halved until two values agree.

    The box is part of the definition: it must hold all of the mass if the energy is defined beyond it.

    Args:
        energy: an energy of shape (1,) or (2,), or any function from points (n, d) to energies (n,).
        limits: one pair (low, high) for each of the one or two dimensions.
        beta: inverse temperature, in the inverse unit of the energy, positive.
        accuracy: largest change of ln Z at the last halving; the error left is smaller still for a smooth energy.
    Returns:
        ln Z; the volume is in the units of x.
    Raises:
        ValueError: limits that are no box or do not fit the energy, energies not finite, no agreement with 2^22 points.

    >>> round(log_z_quadrature(lambda x: x[:, 0]**2 / 2, [(-12, 12)]), 7)  # ln(2 pi) / 2
    0.9189385
    """
    beta, accuracy = positive(beta, "beta"), positive(accuracy, "accuracy")
    box = check_box(energy, limits, dimensions=(1, 2))
    previous, change = -math.inf, math.inf
    panels = 2
    while (panels * ORDER) ** len(box) <= MAX_POINTS:
        value = _log_z(energy, box, beta, panels)
        change = abs(value - previous)
        if change <= accuracy:
            return value
        previous, panels = value, 2 * panels
    raise ValueError(f"accuracy must be above {change:.1e}, what {MAX_POINTS} points reach in {limits}, got {accuracy}")


def check_box(
    energy: Any, limits: Sequence[tuple[float, float]], dimensions: Sequence[int]
) -> list[tuple[float, float]]:
    """Return the limits as pairs of floats, or raise ValueError unless they are a box of the energy's dimension."""
    box = [(finite(low, "limits"), finite(high, "limits")) for low, high in limits]
    if len(box) not in dimensions:
        raise ValueError(f"limits must be {' or '.join(map(str, dimensions))} pairs (low, high), got {len(box)}")
    for low, high in box:
        if low >= high:
            raise ValueError(f"limits must have low < high, got ({low}, {high})")
    shape = getattr(energy, "shape", (len(box),))
    if tuple(shape) != (len(box),):
        raise ValueError(f"limits must be one pair for each number in a configuration of shape {shape}, got {len(box)}")
    return box


def _log_z(energy: Any, box: list[tuple[float, float]], beta: float, panels: int) -> float:
    """Return ln Z from `panels` Gauss-Legendre panels along each axis."""
    nodes, weights = roots_legendre(ORDER)
    axes, log_weights = [], []
    for low, high in box:
        width = (high - low) / panels
        start = low + width * np.arange(panels)
        axes.append((start[:, None] + width * (nodes + 1.0) / 2.0).ravel())
        log_weights.append(np.log(np.tile(weights * width / 2.0, panels)))
    total = len(axes[0]) ** len(axes)
    blocks = []
    for begin in range(0, total, BLOCK_POINTS):
        # A flat number of a grid point, split into one index for each axis.
        index = np.unravel_index(np.arange(begin, min(begin + BLOCK_POINTS, total)), (len(axes[0]),) * len(axes))
        x = np.stack([axis[i] for axis, i in zip(axes, index, strict=True)], axis=1)
        log_weight = sum(w[i] for w, i in zip(log_weights, index, strict=True))
        blocks.append(logsumexp(log_weight - reduced_energy(energy, x, beta)))
    return float(logsumexp(blocks))
