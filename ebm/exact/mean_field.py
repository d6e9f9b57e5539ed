"""Models in which every spin sees every other: Curie-Weiss, its infinite limit, annealed Sherrington-Kirkpatrick.

Curie-Weiss, n spins s = -1, +1 with M = sum s:      E(s) = -M^2 / (2 n) - field M

The coupling is the unit of energy: beta in 1/J, T_c = 1. The sum over i, j includes i = j, a constant -1/2 in E.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from ebm.exact.arguments import finite, integer, positive


def curie_weiss_log_z(n: int, beta: float, field: float = 0.0) -> float:
    """Return the total ln Z of n spins by the sum over the n + 1 values of M.

        Z = sum_M binomial(n, (n + M)/2) exp(beta M^2 / 2n + beta field M)

    Args:
        n: number of spins, at least 1; time and memory grow as n.
        beta: inverse temperature, in 1/J, positive.
        field: magnetic field, in J.
    Returns:
        ln Z of the whole system.
    Raises:
        ValueError: n below 1, beta not positive, field not finite.

    >>> round(curie_weiss_log_z(1, beta=0.5), 7)  # ln 2 + 1/4
    0.9431472
    """
    return float(logsumexp(_log_weights(n, beta, field)[1]))


def curie_weiss_distribution(n: int, beta: float, field: float = 0.0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the values of M, -n, -n + 2, ..., n, and their probabilities: two arrays (n + 1,).

    Arguments and errors as in `curie_weiss_log_z`.

    >>> curie_weiss_distribution(2, beta=1e-9)[1].round(7).tolist()
    [0.25, 0.5, 0.25]
    """
    magnetisation, log_weight = _log_weights(n, beta, field)
    return magnetisation, np.exp(log_weight - logsumexp(log_weight))


def curie_weiss_energy(n: int, beta: float, field: float = 0.0) -> float:
    """Return the mean energy per spin, in J; arguments and errors as in `curie_weiss_log_z`.

    >>> round(curie_weiss_energy(1000, beta=0.5), 4)  # above T_c only the fluctuations: -1 / (2 n (1 - beta))
    -0.001
    """
    magnetisation, probability = curie_weiss_distribution(n, beta, field)
    m = magnetisation / n
    return float(-probability @ (m**2 / 2.0 + field * m))


def curie_weiss_magnetisation(n: int, beta: float, field: float = 0.0) -> float:
    """Return the mean of |M| / n; arguments and errors as in `curie_weiss_log_z`.

    >>> round(curie_weiss_magnetisation(10_000, beta=2.0), 3)
    0.957
    """
    magnetisation, probability = curie_weiss_distribution(n, beta, field)
    return float(probability @ np.abs(magnetisation) / n)


def mean_field_magnetisation(beta: float) -> float:
    """Return the non-negative stable solution of m = tanh(beta m), the spontaneous magnetisation of an infinite system.

    Args:
        beta: inverse temperature, in 1/J, positive.
    Returns:
        m, zero for beta <= 1 and between 0 and 1 beyond.
    Raises:
        ValueError: beta not positive.

    >>> round(mean_field_magnetisation(2.0), 7)
    0.957504
    """
    beta = positive(beta, "beta")
    if beta <= 1.0:
        return 0.0
    # tanh(beta m) - m is concave for m > 0, so Newton's method from m = 1 comes down to the root and never jumps it.
    m, previous = 1.0, math.inf
    while m < previous:
        previous = m
        tanh = math.tanh(beta * m)
        m -= (tanh - m) / (beta * (1.0 - tanh**2) - 1.0)
    return previous


def sk_annealed_free_energy(beta: float) -> float:
    """Return the annealed free energy per spin of the Sherrington-Kirkpatrick spin glass without a field, in J.

        f = -T ln 2 - 1 / (4 T),      E(s) = -sum_{i<j} J_ij s_i s_j,      J_ij ~ N(0, 1/n),   n -> infinity

    It is the true (quenched) free energy for T >= 1 and a lower bound for T < 1 (Aizenman, Lebowitz, Ruelle 1987).

    Args:
        beta: inverse temperature, in 1/J, positive.
    Returns:
        f = -lim ln E[Z] / (n beta).
    Raises:
        ValueError: beta not positive.

    >>> round(sk_annealed_free_energy(1.0), 7)
    -0.9431472
    """
    beta = positive(beta, "beta")
    return -math.log(2.0) / beta - beta / 4.0


def _log_weights(n: int, beta: float, field: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the values of M and the logarithm of their Boltzmann weights."""
    n, beta, field = integer(n, "n", 1), positive(beta, "beta"), finite(field, "field")
    up = np.arange(n + 1)
    magnetisation = 2 * up - n
    log_count = gammaln(n + 1) - gammaln(up + 1) - gammaln(n - up + 1)
    return magnetisation, log_count + beta * magnetisation * (magnetisation / (2.0 * n) + field)
