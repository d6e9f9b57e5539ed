"""Energies of a few real coordinates that textbooks draw: wells, mixtures, valleys."""

import math
from typing import Any

import numpy as np

from ebm.energy import Energy, finite_array, finite_number
from samplers import protocols
from samplers.compiled import Functions, functions, inline


@inline
def _gaussian_energy(x, p):
    mean, precision = p
    energy = 0.0
    for i in range(x.shape[0]):
        row = 0.0
        for j in range(x.shape[0]):
            row += precision[i, j] * (x[j] - mean[j])
        energy += 0.5 * row * (x[i] - mean[i])
    return energy


@inline
def _gaussian_gradient(x, weight, p, out):
    mean, precision = p
    for i in range(x.shape[0]):
        row = 0.0
        for j in range(x.shape[0]):
            row += precision[i, j] * (x[j] - mean[j])
        out[i] += weight * row


@inline
def _gaussian_change(x, site, value, p):
    mean, precision = p
    step, row = value - x[site], 0.0
    for j in range(x.shape[0]):
        row += precision[site, j] * (x[j] - mean[j])
    return step * (row + 0.5 * precision[site, site] * step)


_GAUSSIAN = functions(_gaussian_energy, _gaussian_gradient, _gaussian_change)


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


@inline
def _double_well_energy(x, p):
    barrier, minimum, stiffness = p
    t = x[0] * x[0] / (minimum * minimum) - 1.0
    energy = barrier * t * t
    for i in range(1, x.shape[0]):
        energy += 0.5 * stiffness * x[i] * x[i]
    return energy


@inline
def _double_well_gradient(x, weight, p, out):
    barrier, minimum, stiffness = p
    square = minimum * minimum
    out[0] += weight * 4.0 * barrier * x[0] * (x[0] * x[0] / square - 1.0) / square
    for i in range(1, x.shape[0]):
        out[i] += weight * stiffness * x[i]


_DOUBLE_WELL = functions(_double_well_energy, _double_well_gradient)


class DoubleWell(Energy):
    """Two wells along the first coordinate, springs along the others: E = b ((x_1/a)^2 - 1)^2 + k (x_2^2 + ...) / 2.

    Args:
        dimension: number of coordinates.
        barrier: b, the height between the wells at x_1 = -a and a; positive.
        minimum: a, positive.
        stiffness: k, positive.

    Example:
        >>> DoubleWell(barrier=2.0)(np.array([[0.0], [1.0]]))
        array([2., 0.])
    """

    def __init__(self, dimension: int = 1, barrier: float = 1.0, minimum: float = 1.0, stiffness: float = 1.0) -> None:
        protocols.check_positive(dimension, "dimension", integer=True)
        for name, value in (("barrier", barrier), ("minimum", minimum), ("stiffness", stiffness)):
            protocols.check_positive(value, name)
        self.barrier, self.minimum, self.stiffness = float(barrier), float(minimum), float(stiffness)
        self.shape = (int(dimension),)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _DOUBLE_WELL._replace(params=(self.barrier, self.minimum, self.stiffness))

    def parameters(self) -> dict[str, Any]:
        """Return dimension, barrier, minimum and stiffness."""
        return {
            "dimension": self.shape[0],
            "barrier": self.barrier,
            "minimum": self.minimum,
            "stiffness": self.stiffness,
        }


# Four exponentials (Muller and Brown 1979, table 1): A, a, b, c, x0, y0.
_MULLER_BROWN_TABLE = np.array(
    [
        [-200.0, -1.0, 0.0, -10.0, 1.0, 0.0],
        [-100.0, -1.0, 0.0, -10.0, 0.0, 0.5],
        [-170.0, -6.5, 11.0, -6.5, -0.5, 1.5],
        [15.0, 0.7, 0.6, 0.7, -1.0, 1.0],
    ]
)


@inline
def _muller_brown_energy(x, p):
    scale, table = p
    energy = 0.0
    for k in range(4):
        dx, dy = x[0] - table[k, 4], x[1] - table[k, 5]
        energy += table[k, 0] * math.exp(table[k, 1] * dx * dx + table[k, 2] * dx * dy + table[k, 3] * dy * dy)
    return scale * energy


@inline
def _muller_brown_gradient(x, weight, p, out):
    scale, table = p
    for k in range(4):
        dx, dy = x[0] - table[k, 4], x[1] - table[k, 5]
        a, b, c = table[k, 1], table[k, 2], table[k, 3]
        term = weight * scale * table[k, 0] * math.exp(a * dx * dx + b * dx * dy + c * dy * dy)
        out[0] += term * (2.0 * a * dx + b * dy)
        out[1] += term * (b * dx + 2.0 * c * dy)


_MULLER_BROWN = functions(_muller_brown_energy, _muller_brown_gradient)


class MullerBrown(Energy):
    """The Muller-Brown surface (1979): three minima and a bent valley in the plane, the touchstone of path methods.

    Minima near (-0.558, 1.442), (0.623, 0.028) and (-0.050, 0.467) with E = -146.7, -108.2 and -80.8 (times scale).

    Args:
        scale: factor of the energy, positive; at 0.1 the barriers are a few units of E.

    Example:
        >>> MullerBrown()(np.array([[-0.558, 1.442]])).round(1)
        array([-146.7])
    """

    shape = (2,)

    def __init__(self, scale: float = 1.0) -> None:
        protocols.check_positive(scale, "scale")
        self.scale = float(scale)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _MULLER_BROWN._replace(params=(self.scale, _MULLER_BROWN_TABLE))

    def parameters(self) -> dict[str, Any]:
        """Return the scale."""
        return {"scale": self.scale}


@inline
def _rosenbrock_energy(x, p):
    a, b = p
    energy = 0.0
    for i in range(x.shape[0] - 1):
        t, r = a - x[i], x[i + 1] - x[i] * x[i]
        energy += t * t + b * r * r
    return energy


@inline
def _rosenbrock_gradient(x, weight, p, out):
    a, b = p
    for i in range(x.shape[0] - 1):
        t, r = a - x[i], x[i + 1] - x[i] * x[i]
        out[i] -= weight * (2.0 * t + 4.0 * b * x[i] * r)
        out[i + 1] += weight * 2.0 * b * r


_ROSENBROCK = functions(_rosenbrock_energy, _rosenbrock_gradient)


class Rosenbrock(Energy):
    """Rosenbrock's curved valley (1960): E = sum_i (a - x_i)^2 + b (x_{i+1} - x_i^2)^2.

    Args:
        dimension: number of coordinates, at least 2.
        a: position of the minimum in two dimensions, x = (a, a^2).
        b: steepness of the valley's walls, positive.

    Example:
        >>> Rosenbrock()(np.array([[1.0, 1.0]]))
        array([0.])
    """

    def __init__(self, dimension: int = 2, a: float = 1.0, b: float = 100.0) -> None:
        protocols.check_positive(dimension, "dimension", integer=True)
        if dimension < 2:
            raise ValueError(f"dimension must be at least 2, got {dimension}")
        protocols.check_positive(b, "b")
        self.a, self.b = finite_number(a, "a"), float(b)
        self.shape = (int(dimension),)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _ROSENBROCK._replace(params=(self.a, self.b))

    def parameters(self) -> dict[str, Any]:
        """Return dimension, a and b."""
        return {"dimension": self.shape[0], "a": self.a, "b": self.b}


def _cholesky(matrix: np.ndarray, name: str) -> np.ndarray:
    if not np.allclose(matrix, matrix.T, rtol=1e-10, atol=1e-12 * np.abs(matrix).max()):
        raise ValueError(f"{name} must be symmetric, got a matrix that differs from its transpose")
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        smallest = np.linalg.eigvalsh(matrix).min()
        raise ValueError(f"{name} must be positive definite, got a smallest eigenvalue of {smallest:.3g}") from None
