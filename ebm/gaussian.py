"""The normal distribution and mixtures of it, as energies: what can be sampled and integrated exactly."""

import math
from typing import Any

import numpy as np

from ebm.energy import Energy, finite_array
from samplers.compiled import Functions, functions
from samplers.elementary import plus
from samplers.inner import inline

_FEW = 8  # coordinates, below which loops over columns cost more than they save


@inline
def _row(x, mean, precision, i):
    """(P (x - mean))_i."""
    row = 0.0
    for j in range(x.shape[0]):
        row = plus(row, precision[i, j] * (x[j] - mean[j]))
    return row


@inline
def _gaussian_energy(x, p):
    mean, precision = p
    energy = 0.0
    for i in range(x.shape[0]):
        energy += 0.5 * _row(x, mean, precision, i) * (x[i] - mean[i])
    return energy


@inline
def _gaussian_gradient(x, weight, p, out):
    mean, precision = p
    if x.shape[0] < _FEW:
        for i in range(x.shape[0]):
            out[i] += weight * _row(x, mean, precision, i)
    else:
        _add_product(x, weight, p, out)


@inline
def _add_product(x, weight, p, out):
    """out += weight P (x - mean), as a sum of the columns of the symmetric P, which are its rows: four at a time.

    Each entry of `out` is a sum of its own, so the inner loops run in vector registers.
    """
    mean, precision = p
    n = x.shape[0]
    for j in range(0, n - 3, 4):
        a, b = weight * (x[j] - mean[j]), weight * (x[j + 1] - mean[j + 1])
        c, d = weight * (x[j + 2] - mean[j + 2]), weight * (x[j + 3] - mean[j + 3])
        p0, p1, p2, p3 = precision[j], precision[j + 1], precision[j + 2], precision[j + 3]
        for i in range(n):
            out[i] += a * p0[i] + b * p1[i] + c * p2[i] + d * p3[i]
    for j in range(n - n % 4, n):
        a, p0 = weight * (x[j] - mean[j]), precision[j]
        for i in range(n):
            out[i] += a * p0[i]


@inline
def _gaussian_both(x, beta, weight, p, out, work):
    """The gradient, and u = (x - mean) . du/dx / 2 from it: one pass over the matrix for both."""
    mean, precision = p
    n = x.shape[0]
    u = 0.0
    if n < _FEW:
        for i in range(n):
            row = beta * _row(x, mean, precision, i)
            u += 0.5 * row * (x[i] - mean[i])
            out[i] += weight * row
        return u
    for i in range(n):
        work[i] = 0.0
    _add_product(x, beta, p, work)
    for i in range(n):
        u = plus(u, 0.5 * work[i] * (x[i] - mean[i]))
        out[i] += weight * work[i]
    return u


@inline
def _gaussian_change(x, site, value, p):
    mean, precision = p
    step = value - x[site]
    return step * (_row(x, mean, precision, site) + 0.5 * precision[site, site] * step)


_GAUSSIAN = functions(_gaussian_energy, _gaussian_gradient, _gaussian_change)._replace(both=_gaussian_both, lanes=True)


class Gaussian(Energy):
    """A normal distribution: E(x) = (x - mean) P (x - mean) / 2 with the precision P = covariance^-1.

    Args:
        mean: centre, (d,).
        covariance: symmetric and positive definite, (d, d), in units of x^2.

    Raises:
        ValueError: a shape is wrong, or the covariance is not symmetric and positive definite.

    Example:
        >>> Gaussian([0.0, 0.0], [[1.0, 0.5], [0.5, 1.0]])(np.array([[1.0, 1.0]])).round(6)
        array([0.666667])
    """

    def __init__(self, mean: Any, covariance: Any) -> None:
        self.mean = finite_array(mean, "mean", (None,))
        self.covariance = finite_array(covariance, "covariance", (len(self.mean),) * 2)
        self._cholesky = _cholesky(self.covariance, "covariance")
        self.precision = np.linalg.inv(self.covariance)
        self.precision = (self.precision + self.precision.T) / 2
        self.shape = self.mean.shape

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _GAUSSIAN._replace(params=(self.mean, self.precision))

    def parameters(self) -> dict[str, Any]:
        """Return mean and covariance."""
        return {"mean": self.mean, "covariance": self.covariance}

    def log_z(self, beta: float = 1.0) -> float:
        """Return ln Z(beta) = (d/2) ln(2 pi / beta) + ln det(covariance) / 2."""
        d = len(self.mean)
        return 0.5 * d * math.log(2 * math.pi / beta) + float(np.log(np.diag(self._cholesky)).sum())

    def sample(self, n: int, seed: int | None = None, beta: float = 1.0) -> np.ndarray:
        """Return n independent draws (n, d) at inverse temperature beta."""
        noise = np.random.default_rng(seed).standard_normal((n, len(self.mean)))
        return self.mean + noise @ self._cholesky.T / math.sqrt(beta)


@inline
def _mixture_energy(x, p):
    means, whiten, log_weights = p
    highest, total = -np.inf, 0.0
    for k in range(means.shape[0]):
        term = log_weights[k] - 0.5 * _mahalanobis(x, means, whiten, k)
        if term > highest:
            total = total * math.exp(highest - term) + 1.0
            highest = term
        else:
            total += math.exp(term - highest)
    if highest == -np.inf:  # so far away that even the exponents overflow
        return np.inf
    return -highest - math.log(total)


@inline
def _mahalanobis(x, means, whiten, k):
    square = 0.0
    for i in range(x.shape[0]):
        z = 0.0
        for j in range(i + 1):
            z += whiten[k, i, j] * (x[j] - means[k, j])
        square += z * z
    return square


@inline
def _mixture_gradient(x, weight, p, out):
    means, whiten, log_weights = p
    energy = _mixture_energy(x, p)
    for k in range(means.shape[0]):
        share = weight * math.exp(log_weights[k] - 0.5 * _mahalanobis(x, means, whiten, k) + energy)
        for i in range(x.shape[0]):
            z = 0.0
            for j in range(i + 1):
                z += whiten[k, i, j] * (x[j] - means[k, j])
            for j in range(i + 1):
                out[j] += share * z * whiten[k, i, j]


_MIXTURE = functions(_mixture_energy, _mixture_gradient)


class GaussianMixture(Energy):
    """A mixture of normal distributions: E(x) = -ln sum_k w_k N(x; mean_k, covariance_k), so that ln Z(1) = 0.

    Args:
        means: centres, (k, d).
        covariances: (k, d, d), or one (d, d) for all, in units of x^2.
        weights: (k,) positive, normalised here; default: equal.

    Example:
        >>> GaussianMixture([[-2.0], [2.0]], [[1.0]])(np.array([[0.0]])).round(6)
        array([2.918939])
    """

    def __init__(self, means: Any, covariances: Any, weights: Any = None) -> None:
        self.means = finite_array(means, "means", (None, None))
        k, d = self.means.shape
        given = np.asarray(covariances, np.float64)
        self.covariances = finite_array(
            np.broadcast_to(given, (k, d, d)) if given.shape == (d, d) else given, "covariances", (k, d, d)
        )
        raw = finite_array(np.ones(k) if weights is None else weights, "weights", (k,))
        if not (raw > 0).all():
            raise ValueError(f"weights must be positive, got {raw[raw <= 0][0]}")
        self.weights = raw / raw.sum()
        self._cholesky = np.stack([_cholesky(c, "covariances") for c in self.covariances])
        self._whiten = np.stack([np.linalg.inv(lower) for lower in self._cholesky])
        log_norm = 0.5 * d * math.log(2 * math.pi) + np.log(np.diagonal(self._cholesky, axis1=1, axis2=2)).sum(1)
        self._log_weights = np.log(self.weights) - log_norm
        self.shape = (d,)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _MIXTURE._replace(params=(self.means, self._whiten, self._log_weights))

    def parameters(self) -> dict[str, Any]:
        """Return means, covariances and weights."""
        return {"means": self.means, "covariances": self.covariances, "weights": self.weights}

    def log_z(self, beta: float = 1.0) -> float:
        """Return ln Z, which is 0 at beta = 1; at other temperatures there is no closed form."""
        if beta != 1.0:
            raise ValueError(f"beta must be 1 for the exact log Z of a mixture, got {beta}")
        return 0.0

    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """Return n independent draws (n, d) at beta = 1."""
        rng = np.random.default_rng(seed)
        k = rng.choice(len(self.weights), size=n, p=self.weights)
        noise = rng.standard_normal((n, self.shape[0]))
        return self.means[k] + np.einsum("nij,nj->ni", self._cholesky[k], noise)


def _cholesky(matrix: np.ndarray, name: str) -> np.ndarray:
    if not np.allclose(matrix, matrix.T, rtol=1e-10, atol=1e-12 * np.abs(matrix).max()):
        raise ValueError(f"{name} must be symmetric, got a matrix that differs from its transpose")
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        smallest = np.linalg.eigvalsh(matrix).min()
        raise ValueError(f"{name} must be positive definite, got a smallest eigenvalue of {smallest:.3g}") from None
