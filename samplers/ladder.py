"""The temperature ladder: its rungs, and how warm-up moves them until all neighbours swap equally often.

The rejection rate of a swap between close temperatures is lambda(beta) d beta; its integral, the communication barrier
Lambda, does not depend on the ladder, and a ladder is best where each step takes an equal part of it (Syed,
Bouchard-Cote, Deligiannidis and Doucet 2021). So after each round of warm-up the cumulative rejection rate is
interpolated and cut into equal parts.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from samplers import protocols

SHORTEST_ROUND = 20  # swap steps: each pair is then proposed ten times


def checked_betas(betas: Any) -> tuple[float, ...]:
    """Return betas as a tuple of rising, finite, non-negative floats, at least two, or raise naming what is wrong."""
    array = np.asarray(betas)
    if array.ndim != 1 or len(array) < 2 or array.dtype.kind not in "iuf":
        raise ValueError(f"betas must be a sequence of at least 2 numbers, got {betas!r}")
    values = array.astype(np.float64)
    if not np.isfinite(values).all() or values[0] < 0.0 or not (np.diff(values) > 0.0).all():
        raise ValueError(f"betas must be finite, non-negative and rise strictly, got {values.tolist()}")
    return tuple(values.tolist())


def rung_of(beta: float, betas: Sequence[float]) -> int:
    """Return the rung of a ladder that has this beta, or raise ValueError naming both."""
    rung = int(np.argmin(np.abs(np.asarray(betas) - beta)))
    if not np.isclose(betas[rung], beta, rtol=1e-9, atol=0.0):  # geomspace may miss its end by a rounding
        raise ValueError(f"beta must be one of betas ({', '.join(f'{b:g}' for b in betas)}), got {beta:g}")
    return rung


def check_rungs(sampler: Any, energy: Any, betas: Sequence[float]) -> None:
    """Raise ValueError if the ladder starts at beta = 0 where that has no law, or the sampler would not mix there."""
    if betas[0] > 0.0:
        return
    if energy.domain in protocols.CONTINUOUS:
        raise ValueError(f"betas must be positive for a continuous energy (domain {energy.domain!r}), got 0")
    if getattr(sampler, "move", None) == "single" and protocols.n_states(energy) == 2:
        raise ValueError(
            "betas must be positive for Metropolis with two values a site, which at 0 flips all of them every sweep "
            "and never mixes: use Gibbs, or a small beta; got 0"
        )


def round_ends(warmup: int, every: int) -> list[int]:
    """Return after how many warm-up sweeps the ladder moves: rounds of doubling length, the last change half-way.

    The second half of warm-up runs on the final ladder, so that step sizes and configurations settle on it.
    """
    ends, end = [], warmup // 2
    while end >= SHORTEST_ROUND * every:
        ends.append(end)
        end //= 2
    return ends[::-1]


def equalised(betas: np.ndarray, proposed: np.ndarray, accepted: np.ndarray, target: int) -> np.ndarray:
    """Return the ladder on which, by these rates, all neighbours are rejected equally often.

    Both ends and the target keep their place, so this holds below the target and above it. Rates are shrunk a little
    towards 1/2: no pair counts as certain.

    Args:
        betas: the ladder (rungs,).
        proposed: swaps proposed for each pair (rungs - 1,).
        accepted: sum of their acceptance probabilities (rungs - 1,).
        target: rung that stays.

    Example:
        >>> equalised(np.array([0.0, 1.0, 2.0]), np.array([1e9, 1e9]), np.array([4e8, 8e8]), 2).round(3)
        array([0.   , 0.667, 2.   ])
    """
    rejection = (proposed - accepted + 0.5) / (proposed + 1.0)
    barrier = np.concatenate(([0.0], np.cumsum(rejection)))
    moved = betas.copy()
    for first, last in ((0, target), (target, len(betas) - 1)):
        levels = np.linspace(barrier[first], barrier[last], last - first + 1)
        moved[first + 1 : last] = np.interp(levels[1:-1], barrier[first : last + 1], betas[first : last + 1])
    return moved
