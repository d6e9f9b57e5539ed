"""The log-likelihood of data under an energy, with its error and the bracket that follows from that of ln Z."""

import math
from typing import Any, NamedTuple

import numpy as np

from ebm.bracket import LogZ
from samplers import protocols


class LogLikelihood(NamedTuple):
    """Mean of ln p over a data set, in nats a configuration.

    Attributes:
        value: the mean.
        error: its standard error, of the mean over the data and of ln Z together.
        lower: what follows from the upper bound of ln Z.
        upper: what follows from its lower bound.
        data_error: the part of the error that more data would make smaller.
    """

    value: float
    error: float
    lower: float
    upper: float
    data_error: float

    def __str__(self) -> str:
        return f"{self.value:.6g} ± {self.error:.2g} nats, between {self.lower:.6g} and {self.upper:.6g}"


def log_likelihood(energy: Any, data: np.ndarray, log_z: LogZ | float, beta: float = 1.0) -> LogLikelihood:
    """Return the mean of ln p(x) = -u(x, beta) - ln Z over data, in nats a configuration.

    Two energies are compared on the same data by the difference of their -u - ln Z there, whose error is smaller than
    the errors of both.

    Args:
        energy: the energy.
        data: configurations (n, *shape).
        log_z: ln Z at beta, as `ebm.log_z` returns it, or a number, which counts as exact.
        beta: inverse temperature, positive.

    Returns:
        LogLikelihood(value, error, lower, upper, data_error).

    Raises:
        ValueError: data that are empty or do not fit the energy.

    Example:
        >>> import ebm
        >>> rbm = ebm.RBM(2, 1, W=np.zeros((2, 1)))
        >>> round(log_likelihood(rbm, np.eye(2), rbm.log_z()).value, 6)  # -2 ln 2
        -1.386294
    """
    protocols.check_positive(beta, "beta")
    x = protocols.check_configurations(data, energy, "data")
    if not len(x):
        raise ValueError("data must hold at least one configuration, got none")
    u = protocols.reduced(energy, x.reshape(len(x), -1), np.full(len(x), float(beta)))
    data_error = float(u.std(ddof=1) / np.sqrt(len(u))) if len(u) > 1 else float("nan")
    value, error, lower, upper = log_z[:4] if isinstance(log_z, LogZ) else (float(log_z), 0.0, *(float(log_z),) * 2)
    mean = float(-u.mean())
    return LogLikelihood(mean - value, math.hypot(data_error, error), mean - upper, mean - lower, data_error)
