"""Estimates with honest errors: the mean of an observable, or a function of several means, over correlated draws.

Two independent methods. "gamma" (Wolff 2004) linearises the function and sums the autocorrelation of its linear part;
"jackknife" (Quenouille 1956, Tukey 1958) leaves out blocks of draws longer than the correlations and sees how the
function moves. Both are right to leading order in 1/N; the value itself is f of the means, biased by O(1/N).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samplers.autocorrelation import AutocorrelationTime, integrated_autocorrelation_time, rescaled
from samplers.series import Variable, series_of

if TYPE_CHECKING:
    from samplers.chains import Chains

BLOCK_LENGTH = 10  # jackknife blocks, in autocorrelation times: the error is then low by at most about 3 per cent
MOST_BLOCKS = 200  # more do not help: the error of the error is already 5 per cent
FEWEST_BLOCKS = 16


class Estimate(NamedTuple):
    """A value, its standard error, the autocorrelation time (draws) and the effective number of draws behind it.

    `error` is inf if the chains are too short to know it, nan if the variable did not vary.
    """

    value: float
    error: float
    tau: float
    ess: float


def estimate(
    f: Variable,
    chains: "Chains",
    *,
    of: Sequence[Variable] | None = None,
    method: str = "gamma",
) -> Estimate:
    """Estimate the mean of an observable, or a function of several means, with its error.

    Without `of`: <f>, the mean over all draws. With `of = [a, b, ...]`: f(<a>, <b>, ...), with the error
    sigma_F^2 = C_F / N,  C_F = sum_t <a_F(0) a_F(t)>,  a_F = sum_k (df/da_k) (a_k - <a_k>)    (Wolff 2004, eq. 36-38)
    for "gamma", derivatives being central differences over one standard error of each mean; or for "jackknife"
    sigma_F^2 = (B-1)/B sum_b (F_b - Fbar)^2 over B blocks left out in turn, each within one chain.

    Args:
        f: the name of a recorded variable ("energy" or an observable), or a function of configurations,
            (n, *shape) -> (n,), evaluated over `chains.x` block by block. With `of`: a function of as many numbers.
        chains: the chains.
        of: names, functions of configurations, or series (chains, draws), whose means f takes.
        method: "gamma" or "jackknife".
    Returns:
        value and error in the unit of f; tau in draws; ess, the effective number of draws.
    Raises:
        ValueError: for unknown names or methods, wrong shapes, or values that are not finite.
        TypeError: if `of` is given and f is not a function.

    >>> from samplers.chains import Chains
    >>> energy = np.random.default_rng(0).normal(size=(4, 2000))
    >>> chains = Chains(None, energy, {}, acceptance=np.ones((4, 2000)), beta=1.0, domain="real")
    >>> heat_capacity = estimate(lambda e, e2: e2 - e * e, chains, of=["energy", energy**2])
    >>> abs(heat_capacity.value - 1.0) < 5 * heat_capacity.error
    True
    """
    if method not in ("gamma", "jackknife"):
        raise ValueError(f'method must be "gamma" or "jackknife", got {method!r}')
    function, series = _function_and_series(f, of, chains)
    means = [_mean(values) for values in series]
    value = _call(function, means)
    taus = [integrated_autocorrelation_time(values) for values in series]
    linear = _linear_part(function, series, means, taus)
    tau = integrated_autocorrelation_time(linear)
    total = linear.size
    if method == "gamma":
        error = _gamma_error(linear, tau)
    else:
        error = _jackknife_error(function, series, means, max((tau, *taus), key=lambda t: (t.tau == t.tau, t.tau)))
    return Estimate(value, error, tau.tau, total / tau.tau)


def _function_and_series(
    f: Variable, of: Sequence[Variable] | None, chains: "Chains"
) -> tuple[Callable[..., float], list[NDArray[np.float64]]]:
    """The function of means and the series (chains, draws) whose means it takes; one mean is its own function."""
    if of is None:
        return _identity, [series_of(f, chains)]
    if not callable(f):
        raise TypeError(f"f must be a function of {len(of)} means when `of` is given, got {type(f).__name__}")
    if isinstance(of, str) or len(of) == 0:
        raise ValueError(f"of must be a list of at least one variable, got {of!r}")
    return f, [series_of(variable, chains) for variable in of]


def _identity(mean: float) -> float:
    return mean


def _mean(values: NDArray[np.float64]) -> float:
    """The mean, exact in a huge offset."""
    shifted, offset, scale = rescaled(values)
    return offset + float(shifted.mean()) * scale


def _call(function: Callable[..., float], means: Sequence[float]) -> float:
    """Evaluate a function of means and check that it gives a number."""
    value = np.asarray(function(*means), dtype=np.float64)
    if value.ndim != 0:
        raise ValueError(f"f must give one number, got an array of shape {value.shape}")
    if not np.isfinite(value):
        raise ValueError(f"f must be finite within a standard error of the means, got {value} at {tuple(means)}")
    return float(value)


def _linear_part(
    function: Callable[..., float],
    series: Sequence[NDArray[np.float64]],
    means: Sequence[float],
    taus: Sequence[AutocorrelationTime],
) -> NDArray[np.float64]:
    """The fluctuation of f to first order, a_F = sum_k (df/da_k) (a_k - <a_k>), shape (chains, draws)."""
    linear = np.zeros_like(series[0])
    for k, (values, mean, tau) in enumerate(zip(series, means, taus, strict=True)):
        shifted, _, scale = rescaled(values)
        if scale == 0.0:
            continue  # a constant does not fluctuate
        standard_error = scale * float(np.std(shifted)) * np.sqrt((tau.tau if tau.tau > 1.0 else 1.0) / values.size)
        step = max(standard_error, 8.0 * np.spacing(abs(mean)))  # a step below rounding would divide by zero
        above, below = list(means), list(means)
        above[k], below[k] = mean + step, mean - step
        slope = (_call(function, above) - _call(function, below)) / (above[k] - below[k])
        linear += slope * (values - mean)
    return linear


def _gamma_error(linear: NDArray[np.float64], tau: AutocorrelationTime) -> float:
    """sqrt(C_F / N) with the variance corrected for the common mean, sigma^2 = Gamma(0) (1 + tau / N)."""
    if not np.isfinite(tau.error):
        return tau.error
    values, _, scale = rescaled(linear)
    variance = float(np.var(values)) * (1.0 + tau.tau / linear.size)
    return scale * float(np.sqrt(variance * tau.tau / linear.size))


def _jackknife_error(
    function: Callable[..., float],
    series: Sequence[NDArray[np.float64]],
    means: Sequence[float],
    tau: AutocorrelationTime,
) -> float:
    """The spread of f when blocks of at least ten times `tau` draws, each within one chain, are left out in turn."""
    if not np.isfinite(tau.error):
        return tau.error
    chains, draws = series[0].shape
    total = chains * draws
    shortest = max(1.0, BLOCK_LENGTH * tau.tau, total / MOST_BLOCKS)
    per_chain = int(draws / shortest)
    if chains * per_chain < FEWEST_BLOCKS:
        return np.inf
    edges = np.linspace(0, draws, per_chain + 1).astype(np.int64)  # every draw is used: lengths differ by one at most
    lengths = np.tile(np.diff(edges), chains)
    left_out = [
        np.add.reduceat(values - mean, edges[:-1], axis=1).ravel() for values, mean in zip(series, means, strict=True)
    ]
    without = [mean - sums / (total - lengths) for sums, mean in zip(left_out, means, strict=True)]
    replicas = np.array([_call(function, block_means) for block_means in zip(*without, strict=True)])
    blocks = len(replicas)
    return float(np.sqrt((blocks - 1) / blocks * np.sum((replicas - replicas.mean()) ** 2)))
