"""The diagnosis of one variable: mean, spread, Monte Carlo error, autocorrelation, effective sample sizes, R-hat.

Rank-normalised split R-hat, bulk and tail effective sample size and the Monte Carlo standard error (MCSE) are those of
arviz-stats (Vehtari et al. 2021); tau is the Gamma method's. Every variable is first brought to a range of order one,
since ArviZ calls any range below 1e-15 a constant and a constant perfect; here a constant has nan, and says so.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samplers.autocorrelation import integrated_autocorrelation_time, rescaled

FEWEST_DRAWS = 4  # below, nothing can be said
TAIL = (0.05, 0.95)


class Row(NamedTuple):
    """What is known of one variable; mean, sd and mcse in its unit, tau in draws, ESS in draws of all chains.

    `r_hat` is nan for one chain and inf where every chain sits at its own constant; `sd` is 0 for a constant, with
    mcse, tau, ESS and R-hat nan; everything is nan if a value is nan or infinite.
    """

    mean: float
    sd: float
    mcse: float
    tau: float
    tau_error: float
    ess_bulk: float
    ess_tail: float
    r_hat: float
    frozen_chains: int

    @property
    def ess(self) -> float:
        """The smaller effective sample size of bulk and tail (nan if both are)."""
        return float(np.fmin(self.ess_bulk, self.ess_tail))


UNKNOWN = Row(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, 0)


def diagnose(series: ArrayLike) -> Row:
    """Diagnose one variable, whatever its scale.

    Args:
        series: (chains, draws).
    Returns:
        A `Row`.

    >>> diagnose(np.zeros((4, 100))).r_hat
    nan
    """
    x = np.asarray(series, dtype=np.float64)
    if not np.isfinite(x).all():
        return UNKNOWN
    values, offset, scale = rescaled(x)
    still = np.ptp(values, axis=1) == 0.0
    mean = offset + float(values.mean()) * scale
    sd = float(np.std(values, ddof=1)) * scale if x.size > 1 else np.nan
    if scale == 0.0 or x.shape[1] < FEWEST_DRAWS:
        return UNKNOWN._replace(mean=mean, sd=sd, frozen_chains=int(still.sum()))
    tau = integrated_autocorrelation_time(values)
    return Row(
        mean=mean,
        sd=sd,
        mcse=scale * _arviz("mcse", values, method="mean"),
        tau=tau.tau,
        tau_error=tau.error,
        ess_bulk=_arviz("ess", values, method="bulk"),
        ess_tail=_tail_ess(values),
        r_hat=np.inf if still.all() else _arviz("rhat", values, method="rank"),
        frozen_chains=int(still.sum()),
    )


def _arviz(function: str, values: NDArray[np.float64], method: str) -> float:
    """Call the array functions of arviz-stats, where 0/0 is their way to nan."""
    from arviz_stats.base import array_stats

    with np.errstate(all="ignore"):
        return float(getattr(array_stats, function)(values, method=method))


def _tail_ess(values: NDArray[np.float64]) -> float:
    """The smaller ESS of the two events x <= q, q the 5 and 95 per cent quantiles.

    A discrete variable may have most of its draws at q itself, and the event, always true, would count as perfect: it
    then is x < q instead.
    """
    sizes = []
    for quantile in np.quantile(values, TAIL):
        event = values <= quantile
        if event.all():
            event = values < quantile
        if event.any():
            sizes.append(_arviz("ess", event, method="mean"))
    return min(sizes, default=np.nan)
