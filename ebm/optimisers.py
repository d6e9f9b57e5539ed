"""Optimisers: how far a parameter moves along a direction of ascent. Each is one compiled pass over the arrays.

    SGD     velocity <- momentum velocity + rate (g - decay W),               theta <- theta + velocity
    Adam    m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2,
            theta <- (1 - rate decay) theta + rate m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)

The decay acts on matrices only, never on biases. A direction g is one of ascent on the log-likelihood, or minus the
gradient of a loss.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numba import njit

from samplers import protocols
from samplers.elementary import plus
from samplers.inner import OPTIONS
from samplers.sampler import over_chains

PIECE = 1 << 16  # numbers of a parameter that are moved and summed at a time, with any number of threads


class Optimiser(Protocol):
    """What `fit` needs of an optimiser: the names of the arrays it keeps beside each parameter, and one step."""

    moments: ClassVar[tuple[str, ...]]

    def step(
        self, parameter: np.ndarray, moments: tuple[np.ndarray, ...], direction: np.ndarray, rate: float, count: int
    ) -> tuple[float, bool]:
        """Move `parameter` in place, the count-th time (from 1); return the squared norm of the direction and whether
        all parameters are finite."""


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient ascent, with momentum (Polyak 1964) and weight decay.

    Args:
        momentum: share of the last step that is kept, from 0 to below 1.
        weight_decay: pull of matrices towards zero, in the unit of the gradient.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> SGD(momentum=0.9)
        SGD(momentum=0.9, weight_decay=0.0)
    """

    momentum: float = 0.0
    weight_decay: float = 0.0
    moments: ClassVar[tuple[str, ...]] = ("velocity",)

    def __post_init__(self) -> None:
        check_share(self.momentum, "momentum")
        protocols.check_positive(self.weight_decay, "weight_decay", zero=True)

    def step(
        self, parameter: np.ndarray, moments: tuple[np.ndarray, ...], direction: np.ndarray, rate: float, count: int
    ) -> tuple[float, bool]:
        """Take one step in place."""
        number = parameter.dtype.type
        decay = self.weight_decay if parameter.ndim > 1 else 0.0
        settings = (number(rate), number(self.momentum), number(decay))
        return _in_pieces(_ascend, (parameter, *moments, direction), settings)


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015), with decoupled weight decay (Loshchilov and Hutter 2019).

    Args:
        beta1: share of the mean direction that is kept, from 0 to below 1.
        beta2: share of the mean squared direction that is kept, from 0 to below 1.
        weight_decay: pull of matrices towards zero; a step shrinks them by rate * weight_decay of themselves.
        epsilon: added to the root of the mean square, positive.

    Raises:
        ValueError: a setting is out of range.

    Example:
        >>> Adam().beta2
        0.999
    """

    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0
    epsilon: float = 1e-8
    moments: ClassVar[tuple[str, ...]] = ("mean", "square")

    def __post_init__(self) -> None:
        check_share(self.beta1, "beta1")
        check_share(self.beta2, "beta2")
        protocols.check_positive(self.weight_decay, "weight_decay", zero=True)
        protocols.check_positive(self.epsilon, "epsilon")

    def step(
        self, parameter: np.ndarray, moments: tuple[np.ndarray, ...], direction: np.ndarray, rate: float, count: int
    ) -> tuple[float, bool]:
        """Take one step in place."""
        number = parameter.dtype.type
        decay = self.weight_decay if parameter.ndim > 1 else 0.0
        root = math.sqrt(1.0 - self.beta2**count)
        settings = (
            1.0 - self.beta1, 1.0 - self.beta2, rate * root / (1.0 - self.beta1**count), self.epsilon * root,
            rate * decay,
        )  # fmt: skip
        return _in_pieces(_adapt, (parameter, *moments, direction), tuple(map(number, settings)))


def _in_pieces(loop: Any, arrays: tuple[np.ndarray, ...], settings: tuple) -> tuple[float, bool]:
    """Run a loop over arrays in fixed pieces, on all threads: the bits of the norm do not depend on their number."""
    *kept, direction = arrays
    flat = (*(a.reshape(-1) for a in kept), np.ascontiguousarray(direction).reshape(-1))
    squares = np.empty(-(-direction.size // PIECE))
    over_chains(lambda pieces: loop(*flat, *settings, PIECE, pieces.start, pieces.stop, squares), len(squares))
    return float(squares.sum()), not np.isnan(squares).any()


# Of each piece the loops note the squared norm of the direction, or NaN if a parameter became NaN or infinite.


@njit(cache=True, **OPTIONS)
def _ascend(parameter, velocity, direction, rate, momentum, decay, size, first, last, squares):
    for piece in range(first, last):
        square, finite = direction[0] - direction[0], True
        for i in range(piece * size, min(piece * size + size, parameter.shape[0])):
            g = direction[i]
            square = plus(square, g * g)
            velocity[i] = momentum * velocity[i] + rate * (g - decay * parameter[i])
            parameter[i] += velocity[i]
            finite &= np.isfinite(parameter[i])
        squares[piece] = square if finite else np.nan


@njit(cache=True, **OPTIONS)
def _adapt(parameter, mean, mean_square, direction, new1, new2, rate, epsilon, decay, size, first, last, squares):
    for piece in range(first, last):
        square, finite = direction[0] - direction[0], True
        for i in range(piece * size, min(piece * size + size, parameter.shape[0])):
            g = direction[i]
            square = plus(square, g * g)
            mean[i] += new1 * (g - mean[i])
            mean_square[i] += new2 * (g * g - mean_square[i])
            parameter[i] += rate * mean[i] / (np.sqrt(mean_square[i]) + epsilon) - decay * parameter[i]
            finite &= np.isfinite(parameter[i])
        squares[piece] = square if finite else np.nan


def check_share(value: float, name: str) -> None:
    """Raise unless the value lies between 0 and 1, 1 excluded."""
    protocols.check_positive(value, name, zero=True)
    if value >= 1:
        raise ValueError(f"{name} must be below 1, got {value!r}")
