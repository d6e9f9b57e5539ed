"""Samples against a density that is known: how improbable they are, and how many are impossible.

    -<ln p(x)>    over the samples x where p > 0, and the share of those where p = 0

Of samples from p itself the first is the entropy, in nats, and the second zero. Samples of a model that has lost a mode
score well: this is one half of a judgement, the density of data under the model is the other.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from models.metrics.samples import Estimate, as_rows, mean_of


class DensityScore(NamedTuple):
    """The mean of -ln p over the samples on the support of p, in nats, and the share of samples off it."""

    surprise: Estimate
    off_support: Estimate


def density_score(x: Any, log_prob: Callable[[np.ndarray], np.ndarray]) -> DensityScore:
    """Return how samples (n, d) fare under a known density.

    Args:
        x: samples.
        log_prob: points (n, d) -> ln p (n,), minus infinity off the support.

    Raises:
        ValueError: x does not fit, a logarithm is NaN or plus infinity, or no sample has p > 0.

    Example:
        >>> from models import datasets
        >>> board = datasets.checkerboard()
        >>> density_score([[0.5, 0.5], [0.5, -0.5], [1.0, 1.0], [-1.0, -1.0]], board.log_prob).off_support.value
        0.25
    """
    log_p = np.asarray(log_prob(as_rows(x, "x")), np.float64)
    if np.isnan(log_p).any() or (log_p == np.inf).any():
        raise ValueError("log_prob must give numbers or minus infinity, got NaN or plus infinity")
    on = np.isfinite(log_p)
    if not on.any():
        raise ValueError(f"x must have a sample on the support, got {len(log_p)} of probability zero")
    share = 1.0 - on.mean()
    return DensityScore(mean_of(-log_p[on]), Estimate(float(share), float(np.sqrt(share * (1.0 - share) / len(on)))))
