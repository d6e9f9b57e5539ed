"""Schedules of the learning rate: factors as functions of the time in epochs, for `models.fit`."""

import math
from collections.abc import Callable

from samplers import protocols


def one_cycle(epochs: int, rise: float = 0.3) -> Callable[[float], float]:
    """Return a factor that rises linearly from 0 to 1 and falls along a cosine to 0 (Smith 2018).

        t / r                                      t <= r = rise epochs
        (1 + cos(pi (t - r) / (epochs - r))) / 2   after

    Without a rise it is the cosine alone (Loshchilov and Hutter 2017). Where parameters are averaged, the first steps
    are small ones that way.

    Args:
        epochs: of the whole run.
        rise: share of it in which the rate rises, from 0 to below 1.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> factor = one_cycle(10, rise=0.2)
        >>> factor(0.0), factor(1.0), factor(2.0), round(factor(6.0), 9), factor(10.0)
        (0.0, 0.5, 1.0, 0.5, 0.0)
    """
    protocols.check_positive(epochs, "epochs", integer=True)
    if not 0.0 <= rise < 1.0:
        raise ValueError(f"rise must lie between 0 and below 1, got {rise}")
    top = rise * epochs

    def factor(time: float) -> float:
        if time < top:
            return time / top
        return 0.5 * (1.0 + math.cos(math.pi * (time - top) / (epochs - top)))

    return factor
