"""Bennett's acceptance ratio: ln(Z_1 / Z_0) from the differences of two reduced energies in draws of both laws.

With y = u_1(x) - u_0(x) and dF = -ln(Z_1 / Z_0), the best of all estimates that weigh y alone solves (Bennett 1976)

    sum over draws of p_0 of 1 / (1 + exp(y - dF + ln(n_0 / n_1)))
        = sum over draws of p_1 of 1 / (1 + exp(-(y - dF + ln(n_0 / n_1)))).

The same holds for works y of forward and reverse runs that obey Crooks' relation (Shirts et al. 2003).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit

STEPS = 200


class Ratio(NamedTuple):
    """ln(Z_1 / Z_0), and how much each draw of p_0 and of p_1 moves it: influences of mean 0, one a draw.

    The error follows from them: the estimate is the truth plus the means of both, to first order.
    """

    value: float
    first: np.ndarray
    second: np.ndarray
    overlap: float  # 1 where the two laws are one, 0 where no draw of one could be of the other


def bar(first: np.ndarray, second: np.ndarray) -> Ratio:
    """Return ln(Z_1 / Z_0).

    Args:
        first: y in draws of p_0, (n_0,).
        second: y, with the same sign, in draws of p_1, (n_1,).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(2, 5000)) + [[0.0], [1.0]]  # N(0, 1) and N(1, 1); u_1 = (x - 1)^2 / 2 - 2
        >>> ratio = bar(*((x - 1) ** 2 / 2 - 2 - x**2 / 2))
        >>> error = np.sqrt(ratio.first.var() / 5000 + ratio.second.var() / 5000)
        >>> bool(abs(ratio.value - 2) < 5 * error)
        True
    """
    n0, n1 = len(first), len(second)
    y0, y1 = first + np.log(n0 / n1), second + np.log(n0 / n1)
    finite = np.concatenate([y[np.isfinite(y)] for y in (y0, y1)])  # a draw may be impossible in the other law
    low, high = finite.min() - 40.0, finite.max() + 40.0
    shift = 0.5 * (np.median(y0) + np.median(y1))
    for _ in range(STEPS):
        p, q = expit(shift - y0), expit(y1 - shift)
        excess, slope = p.sum() - q.sum(), (p * (1 - p)).sum() + (q * (1 - q)).sum()
        low, high = (low, shift) if excess > 0 else (shift, high)
        # Newton's step, unless it leaves what the signs leave: the excess rises with the shift.
        new = shift - excess / slope if slope > 0 else np.inf
        new = new if low < new < high else 0.5 * (low + high)
        if abs(new - shift) <= 1e-13 * max(1.0, abs(shift)):
            break
        shift = new
    with np.errstate(divide="ignore", invalid="ignore"):
        return Ratio(-float(shift), n0 * (p - p.mean()) / slope, -n1 * (q - q.mean()) / slope, _overlap(slope, n0, n1))


def _overlap(slope: float, n0: int, n1: int) -> float:
    # The slope of two laws that are one: all draws share p = n_1 / (n_0 + n_1).
    return float(slope * (n0 + n1) / (n0 * n1))
