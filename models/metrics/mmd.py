"""The maximum mean discrepancy of two sets of samples, and a test of whether they have one law (Gretton et al. 2012).

    MMD^2 = <k(x, x')> + <k(y, y')> - 2 <k(x, y)>,      x, x' ~ p and y, y' ~ q independent

    "gaussian"    k = exp(-|x - y|^2 / 2 length^2), with values from 0 to 2
    "energy"      k = -|x - y|, of the unit of x: the energy distance (Szekely and Rizzo 2013; no length to choose)

Both vanish only for p = q. The estimates are unbiased, and so may be negative.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from models.metrics.samples import Estimate, as_pair
from samplers import protocols

KERNELS = ("gaussian", "energy")


class TwoSampleTest(NamedTuple):
    """The estimate of MMD^2 and the probability of one as large if both sets have one law."""

    statistic: float
    p_value: float


def mmd(x: Any, y: Any, kernel: str = "gaussian", length: float | None = None) -> Estimate:
    """Return the unbiased estimate of MMD^2 from as many x as y, (n, d), and its error by the jackknife.

    Where p = q the estimate is degenerate, and the error about 1.4 times too large.

    Args:
        x, y: samples, at least three of each.
        kernel: "gaussian" or "energy".
        length: of the Gaussian kernel, in the unit of x; None: the median distance of all pairs. The same length is
            needed for numbers that are to be compared.

    Raises:
        ValueError: an argument is out of range, or there are not as many x as y.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> far = mmd(rng.normal(0.0, 1.0, (200, 1)), rng.normal(2.0, 1.0, (200, 1)), length=1.0)
        >>> far.value > 5 * far.error
        True
    """
    x, y = as_pair(x, y, least=3)
    n = len(x)
    if len(y) != n:
        raise ValueError(f"x and y must be equally many, got {n} and {len(y)}")
    k = _kernels(np.concatenate((x, y)), kernel, length)
    h = k[:n, :n] + k[n:, n:] - k[:n, n:] - k[n:, :n]
    np.fill_diagonal(h, 0.0)
    of_each = h.sum(1)
    total = of_each.sum()
    without = (total - 2.0 * of_each) / ((n - 1) * (n - 2))
    return Estimate(float(total / (n * (n - 1))), float(np.sqrt((n - 1) * without.var())))


def two_sample_test(
    x: Any, y: Any, kernel: str = "gaussian", length: float | None = None, permutations: int = 999,
    seed: int | None = None,
) -> TwoSampleTest:  # fmt: skip
    """Return MMD^2 of samples x (n, d) and y (m, d) and its p-value among permutations of which is which.

    The p-value is exact for independent draws: if both have one law, it is at most a with probability at most a,
    whatever the law and n.

    Args:
        x, y: samples, at least two of each.
        kernel: "gaussian" or "energy".
        length: of the Gaussian kernel, in the unit of x; None: the median distance of all pairs.
        permutations: the p-value is a multiple of 1 / (permutations + 1).
        seed: of the permutations.

    Raises:
        ValueError: an argument is out of range.
    """
    x, y = as_pair(x, y, least=2)
    protocols.check_positive(permutations, "permutations", integer=True)
    n, m = len(x), len(y)
    k = _kernels(np.concatenate((x, y)), kernel, length)
    np.fill_diagonal(k, 0.0)
    rng, first = np.random.default_rng(seed), np.zeros((n + m, permutations + 1))
    first[:n, 0] = 1.0
    for column in range(1, permutations + 1):
        first[rng.permutation(n + m)[:n], column] = 1.0
    within_x, to_x = (first * (k @ first)).sum(0), k.sum(1) @ first
    across = to_x - within_x
    within_y = k.sum() - within_x - 2.0 * across
    values = within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2.0 * across / (n * m)
    slack = 1e-12 * np.abs(k).mean()  # equal values may differ by rounding
    return TwoSampleTest(float(values[0]), float((values >= values[0] - slack).mean()))


def _kernels(rows: np.ndarray, kernel: str, length: float | None) -> np.ndarray:
    """Return k of every pair."""
    if kernel not in KERNELS:
        raise ValueError(f'kernel must be "gaussian" or "energy", got {kernel!r}')
    distances = cdist(rows, rows)
    if kernel == "energy":
        if length is not None:
            raise ValueError(f'length is of kernel="gaussian", got length={length} with "energy"')
        return -distances
    if length is None:
        length = float(np.median(distances[np.triu_indices(len(rows), 1)]))
        if length == 0:
            raise ValueError("x and y must differ for a length to be chosen, got a median distance of 0")
    protocols.check_positive(length, "length")
    return np.exp(-0.5 * (distances / length) ** 2)
