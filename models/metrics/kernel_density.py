"""Gaussian kernel density estimates (Rosenblatt 1956; Parzen 1962) of samples, and the likelihood of data under them.

    p_h(x) = 1/n sum_i N(x; y_i, h^2 1)

The width h is stated, or that of the greatest likelihood of each sample under all the others (Habbema, Hermans and van
den Broek 1974; Duin 1976). In many dimensions such a likelihood says more of h than of the samples (Theis, van den Oord
and Bethge 2016): it is meant for the plane.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.spatial import KDTree
from scipy.spatial.distance import pdist, squareform
from scipy.special import logsumexp
from sklearn.neighbors import KernelDensity

from models.metrics.samples import as_pair, as_rows, mean_of
from samplers import protocols

MOST = 3000  # samples whose pairs are all looked at


class KernelScore(NamedTuple):
    """Mean ln p_h of points, its standard error over the points, in nats, and the width h that was used."""

    value: float
    error: float
    bandwidth: float


def kernel_log_likelihood(samples: Any, x: Any, bandwidth: float | None = None) -> KernelScore:
    """Return the mean of ln p_h over points x (m, d), of the kernel density estimate of samples (n, d).

    Args:
        samples: of the model.
        x: of the data, which had no part in the choice of the width.
        bandwidth: h, in the unit of x; None: `best_bandwidth(samples)`.

    Raises:
        ValueError: samples or x do not fit, or bandwidth is not positive.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> score = kernel_log_likelihood(rng.normal(size=(500, 1)), rng.normal(size=(500, 1)))
        >>> abs(score.value + 1.42) < 0.1  # a standard Gaussian has -1/2 ln 2 pi e
        True
    """
    samples, x = as_pair(samples, x)
    h = best_bandwidth(samples) if bandwidth is None else bandwidth
    protocols.check_positive(h, "bandwidth")
    return KernelScore(*mean_of(KernelDensity(bandwidth=h).fit(samples).score_samples(x)), float(h))


def best_bandwidth(samples: Any) -> float:
    """Return the width of greatest likelihood of each sample (n, d) under the others.

    Of more than 3,000 samples the first 3,000 are taken.

    Raises:
        ValueError: fewer than two samples, or every one has an equal, so that the best width is zero.
    """
    rows = as_rows(samples, "samples", least=2)[:MOST]
    nearest = KDTree(rows).query(rows, 2)[0][:, 1]
    if (nearest == 0).all():
        raise ValueError(f"samples must differ for a width to be chosen, got {len(rows)} that all have an equal")
    squares = squareform(pdist(rows, "sqeuclidean"))
    np.fill_diagonal(squares, np.inf)  # none counts for itself

    def loss(log_h: float) -> float:
        log_kernels = logsumexp(-0.5 * squares * np.exp(-2.0 * log_h), axis=1)
        return float(rows.shape[1] * log_h - log_kernels.mean())

    low, high = np.log(np.median(nearest[nearest > 0]) / 10.0), np.log(2.0 * rows.std(0).max() + nearest.max())
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-3}).x))
