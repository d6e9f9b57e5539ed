"""Integrated autocorrelation time: how many draws of a Markov chain are worth one independent draw.

Convention: tau = 1 + 2 sum_{t >= 1} rho(t), in draws, so that the variance of a mean over N draws is
sigma^2 tau / N and the effective sample size is N / tau. Independent draws have tau = 1, antithetic ones tau < 1.
(Wolff's tau_int is tau / 2.) All chains are pooled around their common mean, so chains that disagree raise tau.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

WINDOW_FACTOR = 1.5  # Wolff's S: the assumed ratio of the exponential to the integrated autocorrelation time
LARGEST_TRUNCATION = float(np.exp(-2.0))  # a window shorter than twice S tau_exp is no window, however noisy the sum
LARGEST_RELATIVE_ERROR = 0.5  # beyond it tau is biased low, since a short chain hides its slow drift in its own mean


class AutocorrelationTime(NamedTuple):
    """An integrated autocorrelation time, its standard error, and the lag at which the sum was cut (all in draws).

    `error` is inf if the chains are too short to measure `tau`, which then is rough and mostly too low; both are nan
    where tau is not defined (a constant series, fewer than 4 draws, an oscillation that does not decay).
    """

    tau: float
    error: float
    window: int


class Rescaled(NamedTuple):
    """A series as `values * scale + offset`, with values of order one; scale and values are 0 if it is constant."""

    values: NDArray[np.float64]
    offset: float
    scale: float


def rescaled(series: ArrayLike) -> Rescaled:
    """Shift a series by its first value and scale it by a power of two to a range of 2 to 4: one rounding, no more.

    Diagnostics then cannot depend on the unit of the variable, however tiny or huge its values or its offset are.
    A range of at most four units in the last place is rounding noise of a constant.

    Args:
        series: (chains, draws), or (draws,) for one chain.
    Returns:
        values (chains, draws), offset and scale.
    Raises:
        ValueError: if the series is not of that shape, empty, or not finite.

    >>> values, offset, scale = rescaled([[3e-20, 5e-20, 3e-20]])
    >>> bool(2 <= np.ptp(values) < 4)
    True
    """
    x = np.atleast_2d(np.asarray(series, dtype=np.float64))
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"series must have shape (chains, draws) and at least one draw, got {np.shape(series)}")
    if not np.isfinite(x).all():
        raise ValueError(f"series must be finite, got {np.count_nonzero(~np.isfinite(x))} values that are nan or inf")
    largest = float(np.abs(x).max())
    smallest = float(np.finfo(np.float64).smallest_subnormal)
    first = max(2.0 ** (int(np.frexp(largest)[1]) - 2), smallest)  # |x / first| < 4: no difference can overflow
    offset = float(x[0, 0])
    values = x / first - offset / first
    spread = float(np.ptp(values))
    if spread <= 4.0 * np.spacing(largest / first):
        return Rescaled(np.zeros_like(values), offset, 0.0)
    second = max(2.0 ** (int(np.frexp(spread)[1]) - 2), smallest / first)  # neither overflow nor zero in the scale
    return Rescaled(values / second, offset, first * second)


def autocovariance(values: NDArray[np.float64], lags: int) -> NDArray[np.float64]:
    """Average the autocovariance of all chains around their common mean.

    Gamma(t) = sum_{chains, i} (a_i - abar)(a_{i+t} - abar) / (chains (draws - t))      (Wolff 2004, eq. 31)

    Args:
        values: (chains, draws).
        lags: the number of lags, at most draws.
    Returns:
        (lags,), starting at lag 0.
    """
    chains, draws = values.shape
    length = 1 << int(draws + lags - 1).bit_length()  # zero padding keeps the ends of a chain from meeting
    mean = values.mean()
    power = np.zeros(length // 2 + 1)
    for chain in values:  # one chain at a time keeps memory flat
        transform = np.fft.rfft(chain - mean, length)
        power += transform.real**2 + transform.imag**2
    return np.fft.irfft(power, length)[:lags] / (chains * (draws - np.arange(lags)))


def autocorrelation(series: ArrayLike, lags: int | None = None) -> NDArray[np.float64]:
    """The autocorrelation function rho(t) = Gamma(t) / Gamma(0), pooled over chains around their common mean.

    Args:
        series: (chains, draws), or (draws,) for one chain.
        lags: the number of lags; by default half the draws.
    Returns:
        (lags,) from lag 0, where it is 1; nan for a constant series.
    Raises:
        ValueError: for a bad shape, values that are not finite, or lags outside 1 .. draws.

    >>> autocorrelation([[1, -1, 1, -1, 1, -1]], lags=2).round(6).tolist()
    [1.0, -1.0]
    """
    values, _, scale = rescaled(series)
    draws = values.shape[1]
    lags = max(1, draws // 2) if lags is None else lags
    if not 1 <= lags <= draws:
        raise ValueError(f"lags must lie between 1 and the {draws} draws, got {lags}")
    if scale == 0.0:
        return np.full(lags, np.nan)
    gamma = autocovariance(values, lags)
    return gamma / gamma[0]


def integrated_autocorrelation_time(series: ArrayLike) -> AutocorrelationTime:
    """Estimate tau = 1 + 2 sum rho(t) by the Gamma method with an automatic window.

    tau(W) = sum_{t=0}^{W-1} (rho(t) + rho(t+1)): the last lag counts half, so that for rho(t) = r^t the sum cut at W
    misses the fraction r^W of tau for either sign of r. W is the first with exp(-W/s) < s / sqrt(N W) (truncation
    and noise balance) and W > 2 s, where s = S / ln((tau+1)/|tau-1|) and S = 1.5. The common mean lowers every Gamma(t)
    by C/N, with C = tau Gamma(0): corrected. The variance of tau, in place of Wolff's (4W + 2 - 2 tau)/N tau^2, is
    (4W - 1 - 4 tau + 2 sum_{|t| <= W} rho^2)/N tau^2
    with the covariance of C and Gamma(0) in full, so that it holds below tau = 1 too. What bias is left is O(1/N), of
    the order of the relative variance.
    Reference: Wolff 2004 (Monte Carlo errors with less errors); for the sign of r, Geyer 1992.

    Args:
        series: (chains, draws), or (draws,) for one chain.
    Returns:
        tau, its standard error and the window W, in draws (see `AutocorrelationTime` for inf and nan).
    Raises:
        ValueError: for a bad shape or values that are not finite.

    >>> independent = np.random.default_rng(0).normal(size=(4, 5000))
    >>> tau = integrated_autocorrelation_time(independent)
    >>> abs(tau.tau - 1) < 5 * tau.error
    True
    """
    values, _, scale = rescaled(series)
    chains, draws = values.shape
    if scale == 0.0 or draws < 4:
        return AutocorrelationTime(np.nan, np.nan, 0)
    total = chains * draws
    longest = draws // 2
    gamma = autocovariance(values, longest + 1)
    rho = gamma / gamma[0]
    window, closed = _window(np.cumsum(rho[:-1] + rho[1:]), total)
    covariance = gamma[0] + 2.0 * gamma[1:window].sum() + gamma[window]  # C(W), the variance of a mean times N
    variance = gamma[0] + covariance / total
    tau = (covariance + 2.0 * window * covariance / total) / variance
    squares = 1.0 + 2.0 * float(np.sum(rho[1 : window + 1] ** 2))
    relative_variance = (4.0 * window - 1.0 - 4.0 * tau + 2.0 * squares) / total
    tau, relative_error = float(tau), float(np.sqrt(max(relative_variance, 0.0)))
    if (tau < 1.0 and not closed) or tau <= 0.0:  # an oscillation that never dies out, or is not seen to
        return AutocorrelationTime(np.nan, np.nan, window)
    measured = closed and relative_error < LARGEST_RELATIVE_ERROR
    return AutocorrelationTime(tau, tau * relative_error if measured else np.inf, window)


def _window(tau: NDArray[np.float64], total: int) -> tuple[int, bool]:
    """The first window where truncation error falls below noise, and whether there is one (else the last)."""
    windows = np.arange(1, len(tau) + 1)
    ratio = np.full(len(tau), np.inf)  # tau <= 0 is noise: go on
    positive = (tau > 0.0) & (tau != 1.0)
    ratio[positive] = WINDOW_FACTOR / np.log((tau[positive] + 1.0) / np.abs(tau[positive] - 1.0))
    ratio[tau == 1.0] = 0.0
    with np.errstate(divide="ignore"):  # ratio 0 gives exp(-inf) = 0
        truncation = np.exp(-windows / ratio)
    noise = ratio / np.sqrt(total * windows)
    closed = np.flatnonzero(truncation <= np.minimum(noise, LARGEST_TRUNCATION))
    return (int(windows[closed[0]]), True) if closed.size else (len(tau), False)


def effective_sample_size(series: ArrayLike) -> float:
    """The number of independent draws that determine the mean as well: ESS = N / tau.

    Args:
        series: (chains, draws), or (draws,) for one chain.
    Returns:
        N / tau, above N for antithetic chains; nan where tau is not defined.
    Raises:
        ValueError: for a bad shape or values that are not finite.

    >>> effective_sample_size([[1.0, 1.0, 1.0, 1.0]])
    nan
    """
    return np.size(series) / integrated_autocorrelation_time(series).tau
