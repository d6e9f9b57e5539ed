"""Probabilistic principal component analysis (Tipping and Bishop 1999), in closed form.

    z ~ N(0, 1),      x = W z + mu + sigma e,      e ~ N(0, 1),      hence      x ~ N(mu, C),      C = W W^T + sigma^2

With the covariance of n data points (divided by n), of eigenvalues l_1 >= ... >= l_d, the likelihood is largest for

    W = U (L - sigma^2)^(1/2),      sigma^2 = mean of the d - q eigenvalues that are left out

up to a rotation of the codes. Given x the code is N(M^-1 W^T (x - mu), sigma^2 M^-1) with M = W^T W + sigma^2.
Logarithms are natural; variances are in units of x^2.
"""

from typing import Any, NamedTuple

import numpy as np

from ebm.energy import finite_array
from ebm.exact.arguments import integer, positive


class PPCA(NamedTuple):
    """W (d, q), mean (d,) and the variance sigma^2 of the noise."""

    W: np.ndarray
    mean: np.ndarray
    variance: float


def ppca_fit(x: Any, latent: int) -> PPCA:
    """Return the parameters of largest likelihood for data x (n, d), whose columns of W are orthogonal, longest first.

    The sign of each column is that of its entry of largest size. A component beyond the noise has a column of zeros.

    Raises:
        ValueError: latent is not an integer from 1 to d - 1, or no variance is left to be noise.

    >>> ppca = ppca_fit([[2.0, 1.0], [-2.0, 1.0], [0.0, 2.0], [0.0, 0.0]], 1)
    >>> ppca.W.round(4).tolist(), round(ppca.variance, 4)
    ([[1.2247], [0.0]], 0.5)
    """
    x = finite_array(x, "x", (None, None))
    d = x.shape[1]
    if integer(latent, "latent", least=1) >= d:
        raise ValueError(f"latent must be less than the {d} numbers of a data point, got {latent}")
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    values, vectors = values[::-1], vectors[:, ::-1][:, :latent]
    variance = float(values[latent:].mean())
    if variance <= 1e-14 * values[0]:
        raise ValueError(f"x must vary beyond {latent} components, got {variance:.3g} as the variance of the noise")
    W = vectors * np.sqrt(values[:latent] - variance)
    return PPCA(W * np.sign(W[np.abs(W).argmax(0), np.arange(latent)]), x.mean(0), variance)


def ppca_log_likelihood(x: Any, W: Any, mean: Any, variance: float) -> np.ndarray:
    """Return ln p(x), (n,), of data points (n, d), by the matrix of the codes alone (Woodbury).

    Raises:
        ValueError: a shape is wrong, or the variance is not positive.

    >>> ppca_log_likelihood([[0.0, 0.0]], [[1.0], [0.0]], [0.0, 0.0], 1.0).round(6)
    array([-2.184451])
    """
    x, W, mean, variance = _checked(x, W, mean, variance)
    d, q = W.shape
    M = W.T @ W + variance * np.eye(q)
    centred = x - mean
    codes = centred @ W
    square = ((centred**2).sum(1) - (codes * np.linalg.solve(M, codes.T).T).sum(1)) / variance
    log_determinant = (d - q) * np.log(variance) + np.linalg.slogdet(M)[1]
    return -0.5 * (d * np.log(2.0 * np.pi) + log_determinant + square)


def ppca_posterior(x: Any, W: Any, mean: Any, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (n, q) and covariance (q, q), the same for all, of the codes of data points (n, d).

    Raises:
        ValueError: a shape is wrong, or the variance is not positive.

    >>> mean, covariance = ppca_posterior([[1.0, 0.0]], [[1.0], [0.0]], [0.0, 0.0], 1.0)
    >>> mean.tolist(), covariance.tolist()
    ([[0.5]], [[0.5]])
    """
    x, W, mean, variance = _checked(x, W, mean, variance)
    M = np.linalg.inv(W.T @ W + variance * np.eye(W.shape[1]))
    return (x - mean) @ W @ M, variance * M


def _checked(x: Any, W: Any, mean: Any, variance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    W = finite_array(W, "W", (None, None))
    mean, x = finite_array(mean, "mean", (len(W),)), finite_array(x, "x", (None, len(W)))
    return x, W, mean, positive(variance, "variance")
