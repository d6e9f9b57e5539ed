"""What the integrators of Langevin dynamics sample on a harmonic well, E(x) = curvature x^2 / 2, at a finite step.

The exact variance of x is 1 / (beta curvature). For E = x A x / 2 in d dimensions the formulas hold along each
eigenvector of A with its eigenvalue as the curvature. Mobility (overdamped) and mass (underdamped) are one.

    unadjusted Langevin (ULA, Euler-Maruyama):    x' = x - step grad E(x) + sqrt(2 step / beta) xi
    SGLD (Welling and Teh 2011):                  the same with a gradient from a batch of rows
    BAOAB (Leimkuhler and Matthews 2013):         half kick, half drift, exact friction and noise, half drift, half kick
"""

import math

import numpy as np

from ebm.exact.arguments import finite, integer, positive


def ula_variance(step: float, curvature: float = 1.0, beta: float = 1.0) -> float:
    """Return the stationary variance of x under ULA, 1 / (beta curvature (1 - step curvature / 2)).

    Args:
        step: step size, positive and below 2 / curvature, where ULA is stable.
        curvature: second derivative of the energy, positive.
        beta: inverse temperature, positive.
    Returns:
        the variance of the biased stationary law, which is Gaussian.
    Raises:
        ValueError: an argument not positive, or the step not stable.

    >>> ula_variance(step=0.5)
    1.3333333333333333
    """
    decay = _ula_decay(step, curvature)
    return 1.0 / (positive(beta, "beta") * curvature * (1.0 - decay / 2.0))


def sgld_variance(step: float, gradient_variance: float, curvature: float = 1.0, beta: float = 1.0) -> float:
    """Return the stationary variance of x under SGLD, the law of ULA and what the noise of the batches adds.

        Var(x) = (1 / beta + step gradient_variance / 2) / (curvature (1 - step curvature / 2))

    as if the temperature were higher by step gradient_variance / 2 (Mandt, Hoffman and Blei 2017; Vollmer, Zygalakis
    and Teh 2016). It holds where all rows have one curvature, so that the noise of the gradient does not depend on x.

    Args:
        step: step size, positive and below 2 / curvature.
        gradient_variance: of the gradient's estimate from one batch at a fixed x, from 0; see `batch_variance`.
        curvature: second derivative of the energy, positive.
        beta: inverse temperature, positive.
    Returns:
        the variance of the biased stationary law; its mean is the exact one.
    Raises:
        ValueError: an argument out of range, or the step not stable.

    >>> sgld_variance(step=0.5, gradient_variance=1.0)
    1.6666666666666667
    """
    noise = finite(gradient_variance, "gradient_variance")
    if noise < 0.0:
        raise ValueError(f"gradient_variance must be at least 0, got {noise}")
    decay = _ula_decay(step, curvature)
    return (1.0 / positive(beta, "beta") + 0.5 * step * noise) / (curvature * (1.0 - decay / 2.0))


def batch_variance(terms: np.ndarray, batch_size: int) -> float:
    """Return the variance of (n / m) sum over a batch of m of n terms, drawn without replacement.

        n (n - m) / m S^2,      S^2 the variance of the terms with n - 1 in the denominator

    zero where the batch is all of them (Cochran 1977).

    Args:
        terms: one number a row (n,), such as the derivative of its term of the energy; at least two.
        batch_size: m, from 1 to n.
    Raises:
        ValueError: terms are not so many finite numbers, or batch_size is out of range.

    >>> batch_variance(np.array([0.0, 1.0, 2.0]), 1)
    6.0
    """
    terms = np.asarray(terms, np.float64)
    if terms.ndim != 1 or len(terms) < 2 or not np.isfinite(terms).all():
        raise ValueError(f"terms must be at least two finite numbers, shape (n,), got shape {terms.shape}")
    n, m = len(terms), integer(batch_size, "batch_size", 1, len(terms))
    return float(n * (n - m) / m * terms.var(ddof=1))


def ula_autocorrelation(lag: int, step: float, curvature: float = 1.0) -> float:
    """Return the stationary autocorrelation of x under ULA after `lag` steps, (1 - step curvature)^lag.

    Other arguments and errors as in `ula_variance`; lag is an integer, at least 0.

    >>> ula_autocorrelation(lag=2, step=0.5)
    0.25
    """
    return (1.0 - _ula_decay(step, curvature)) ** integer(lag, "lag", 0)


def ula_autocorrelation_time(step: float, curvature: float = 1.0) -> float:
    """Return tau = 1 + 2 sum_lag rho(lag) of x under ULA, 2 / (step curvature) - 1, in steps.

    Arguments and errors as in `ula_variance`. Below one for step curvature > 1, where x changes its side at every step.

    >>> ula_autocorrelation_time(step=0.1)
    19.0
    """
    return 2.0 / _ula_decay(step, curvature) - 1.0


def baoab_variances(step: float, curvature: float = 1.0, beta: float = 1.0) -> tuple[float, float]:
    """Return the stationary variances of position and momentum under BAOAB, for any friction.

        Var(x) = 1 / (beta curvature) exactly,      Var(p) = (1 - step^2 curvature / 4) / beta

    Position and momentum are uncorrelated at the end of a step.

    Args:
        step: step size, positive and below 2 / sqrt(curvature), where BAOAB is stable.
        curvature: second derivative of the energy, positive.
        beta: inverse temperature, positive.
    Returns:
        (Var(x), Var(p)) at the end of a step, for unit mass.
    Raises:
        ValueError: an argument not positive, or the step not stable.

    >>> baoab_variances(step=1.0)
    (1.0, 0.75)
    """
    step, curvature, beta = positive(step, "step"), positive(curvature, "curvature"), positive(beta, "beta")
    if step**2 * curvature >= 4.0:
        raise ValueError(f"step must be below 2 / sqrt(curvature) = {2.0 / math.sqrt(curvature)}, got {step}")
    return 1.0 / (beta * curvature), (1.0 - step**2 * curvature / 4.0) / beta


def _ula_decay(step: float, curvature: float) -> float:
    """Return step * curvature, by which the mean of x shrinks in a step."""
    step, curvature = positive(step, "step"), positive(curvature, "curvature")
    if step * curvature >= 2.0:
        raise ValueError(f"step must be below 2 / curvature = {2.0 / curvature}, got {step}")
    return step * curvature
