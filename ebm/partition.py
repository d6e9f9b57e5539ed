"""ln Z of an energy, exactly or bracketed from both sides, and the log-likelihood that follows from it."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from ebm.ais import anneal, effective_sample_size, log_mean_exp
from ebm.annealing_paths import Path, path_of
from samplers import protocols, random

WIDE = 2.0  # nats between the bounds from which on a bracket is called wide
FEW = 0.02  # effective sample size, as a share of the chains, below which weights have collapsed
SIGMAS = 5.0  # standard errors by which two estimates must differ to disagree
GROUP = 10  # chains whose weights are averaged into one stochastic bound


class LogZ(NamedTuple):
    """An estimate of ln Z in nats.

    Attributes:
        value: the estimate; exact, or the logarithm of the mean forward weight.
        error: its standard error.
        lower: stochastic lower bound, the mean over groups of ten forward chains of ln mean w.
        upper: stochastic upper bound, the mean over groups of ten reverse chains of -ln mean 1 / w.
        method: "exact" or "ais".
        details: standard errors of the bounds, effective sample size, the reverse run's own estimate, settings.
    """

    value: float
    error: float
    lower: float
    upper: float
    method: str
    details: dict[str, Any]


class LogLikelihood(NamedTuple):
    """Mean of ln p over a data set in nats a configuration: value, its standard error over the data, and bounds."""

    value: float
    error: float
    lower: float
    upper: float


def log_z(
    energy: Any,
    method: str = "exact",
    beta: float = 1.0,
    *,
    chains: int = 1000,
    steps: int | np.ndarray = 1000,
    data: np.ndarray | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> LogZ:
    """Estimate ln Z(beta) = ln sum_x exp(-u(x, beta)).

    "exact" sums over all states of a small machine. "ais" is annealed importance sampling (Neal 2001) forward and in
    reverse; it warns when its weights have collapsed or its two sides disagree, and then should not be believed. Both
    sides start from the forward run: a mode that no forward chain has found is missed by both.

    Args:
        energy: any energy for "exact" that is discrete or knows its own `log_z`; a discrete one or a GaussianRBM for
            "ais".
        method: "exact" or "ais".
        beta: inverse temperature, positive.
        chains: of each of the two runs of "ais".
        steps: number of temperatures (evenly spaced; for RBMs denser towards beta), or all of them: rising from 0 to 1,
            as shares of beta.
        data: configurations (n, n_visible) like those an RBM has learned; "ais" then starts from their means.
        seed: of "ais"; None takes one from the operating system and records it.
        progress: show a progress bar on a terminal.

    Returns:
        LogZ(value, error, lower, upper, method, details).

    Raises:
        ValueError, TypeError: an argument is out of range, or the energy too large for "exact" or unfit for "ais".

    Example:
        >>> import ebm
        >>> ring = ebm.Ising(8)
        >>> result = log_z(ring, "ais", steps=200, chains=200, seed=1)
        >>> bool(abs(result.value - ebm.exact.ring_log_z(8, 1.0)) < 5 * result.error)
        True
    """
    protocols.check_space(energy)
    protocols.check_positive(beta, "beta")
    if method == "exact":
        value = _exact(energy, float(beta))
        return LogZ(value, 0.0, value, value, "exact", {})
    if method != "ais":
        raise ValueError(f'method must be "exact" or "ais", got {method!r}')
    protocols.check_positive(chains, "chains", integer=True)
    if chains < 2:
        raise ValueError(f"chains must be at least 2 for an error to be known, got {chains}")
    if seed is not None:
        protocols.check_positive(seed, "seed", integer=True, zero=True)
    entropy = random.fresh_entropy() if seed is None else int(seed)
    path = path_of(energy, float(beta), data)
    times = _times(steps, path)
    runs = anneal(path, times, int(chains), entropy, progress)
    result = _summary(runs.forward, runs.reverse, {"chains": int(chains), "steps": len(times) - 1, "seed": entropy})
    for complaint in _complaints(result):
        warnings.warn(complaint, RuntimeWarning, stacklevel=2)
    return result


def log_likelihood(energy: Any, data: np.ndarray, log_z: LogZ | float, beta: float = 1.0) -> LogLikelihood:
    """Return the mean of ln p(x) = -u(x, beta) - ln Z over data, in nats a configuration.

    Args:
        energy: the energy.
        data: configurations (n, *shape).
        log_z: ln Z at beta, as `log_z` returns it, or a number.
        beta: inverse temperature, positive.

    Returns:
        LogLikelihood(value, error, lower, upper): the error is that of the mean over the data; the bounds follow from
        those of ln Z.

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
    error = float(u.std(ddof=1) / np.sqrt(len(u))) if len(u) > 1 else float("nan")
    value, lower, upper = (log_z.value, log_z.lower, log_z.upper) if isinstance(log_z, LogZ) else (float(log_z),) * 3
    mean = float(-u.mean())
    return LogLikelihood(mean - value, error, mean - upper, mean - lower)


def _exact(energy: Any, beta: float) -> float:
    from ebm import exact

    own = getattr(energy, "log_z", None)
    if callable(own):
        return float(own(beta))
    if energy.domain not in protocols.DISCRETE:
        raise TypeError(f'method "exact" needs a discrete energy or one with `log_z`, got {protocols.name_of(energy)}')
    return exact.enumerate(energy, beta).log_z


def _times(steps: int | np.ndarray, path: Path) -> np.ndarray:
    if np.ndim(steps) == 0:
        protocols.check_positive(steps, "steps", integer=True)
        return path.times(int(steps))
    times = np.asarray(steps, np.float64)
    if times.ndim != 1 or len(times) < 2 or times[0] != 0 or times[-1] != 1 or not (np.diff(times) > 0).all():
        raise ValueError(f"steps must be a positive integer or rise from 0 to 1, got {steps!r}")
    return times


def _summary(forward: np.ndarray, reverse: np.ndarray, settings: dict[str, Any]) -> LogZ:
    value, error = log_mean_exp(forward)
    reverse_value, reverse_error = log_mean_exp(-reverse)
    lower, lower_error = _bound(forward)
    upper, upper_error = _bound(-reverse)
    ess = effective_sample_size(forward)
    # Resampled starts are worth no more than the effective sample size of the weights that chose them.
    copies = float(np.sqrt(max(1.0, len(reverse) / ess)))
    details = {
        **settings,
        "lower_error": lower_error,
        "upper_error": upper_error * copies,
        "effective_sample_size": ess,
        "reverse_value": -reverse_value,
        "reverse_error": reverse_error * copies,
        "reverse_effective_sample_size": effective_sample_size(-reverse),
    }
    return LogZ(value, error, lower, -upper, "ais", details)


def _bound(log_weight: np.ndarray) -> tuple[float, float]:
    """Return the mean over groups of chains of ln mean w, a lower bound by Jensen's inequality, and its error.

    Averages of a few weights bound ln Z far closer than single weights do (Grosse, Ancha, Roy 2016), and several groups
    show the error.
    """
    groups = max(2, len(log_weight) // GROUP)
    # Neighbours may be copies of one start, hence every group takes chains from all over.
    logs = np.array([log_mean_exp(log_weight[g::groups])[0] for g in range(groups)])
    return float(logs.mean()), float(logs.std(ddof=1) / np.sqrt(groups))


def _complaints(result: LogZ) -> list[str]:
    d, out = result.details, []
    least = max(2.0, FEW * d["chains"])
    if min(d["effective_sample_size"], d["reverse_effective_sample_size"]) < least:
        out.append(
            f"the weights have collapsed: effectively {d['effective_sample_size']:.1f} forward and "
            f"{d['reverse_effective_sample_size']:.1f} reverse of {d['chains']}; ln Z is not to be trusted, more steps "
            "are needed"
        )
    gap, error = abs(result.value - d["reverse_value"]), float(np.hypot(result.error, d["reverse_error"]))
    crossing = result.lower - result.upper
    if gap > SIGMAS * error or crossing > SIGMAS * float(np.hypot(d["lower_error"], d["upper_error"])):
        out.append(
            f"forward and reverse disagree: ln Z = {result.value:.3f} +- {result.error:.3f} and "
            f"{d['reverse_value']:.3f} +- {d['reverse_error']:.3f}; more steps or chains are needed"
        )
    if result.upper - result.lower > WIDE:
        width = result.upper - result.lower
        out.append(
            f"the bracket is {width:.2f} nats wide, from {result.lower:.2f} to {result.upper:.2f}: more steps make it "
            "narrower"
        )
    return out
