"""Latent-variable models that can be solved: probabilistic PCA and factor analysis, fitted in three ways.

    z ~ N(0, 1),      x = W z + mu + e,      e ~ N(0, Psi),      hence      x ~ N(mu, C),      C = W W^T + Psi

Psi is sigma^2 times one for probabilistic PCA (Tipping and Bishop 1999) and diagonal for factor analysis (Rubin and
Thayer 1982). With M = 1 + W^T Psi^-1 W, the code of x is N(M^-1 W^T Psi^-1 (x - mu), M^-1), exactly.

    em    expectation-maximisation: that posterior, then the best W and Psi for it; the likelihood never falls
    vi    variational inference with independent codes, q(z|x) = prod_k N(m_k, 1 / M_kk): the mean is right, the bound

              ln p(x) - 1/2 (sum_k ln M_kk - ln det M)

          is tight where M is diagonal. A rotation of the codes, z -> Q z, W -> W Q^T, changes no likelihood, so that
          others find W up to a rotation; here the bound picks axes, and W is found up to signs and order
    ml    the likelihood itself climbed by its gradient (L-BFGS)

Logarithms are in nats a data point; Psi is in units of x^2.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_solve, cholesky
from scipy.optimize import minimize

import ebm
from ebm.energy import finite_array
from samplers import protocols

NOISES = ("isotropic", "diagonal")
METHODS = ("em", "vi", "ml")
VANISHED = 1e-10  # noise of a number, over its variance


class LinearGaussian:
    """A linear model of Gaussian codes.

    Args:
        W: loadings, (d, latent).
        mean: of x, (d,).
        noise: variance of the noise, (d,), positive.

    Raises:
        ValueError: a shape is wrong, or a variance not positive.

    Example:
        >>> model = LinearGaussian([[1.0], [0.0]], [0.0, 0.0], [1.0, 1.0])
        >>> mean, covariance = model.posterior([[1.0, 0.0]])
        >>> mean.tolist(), covariance.tolist()
        ([[0.5]], [[0.5]])
    """

    def __init__(self, W: Any, mean: Any, noise: Any) -> None:
        self.W = finite_array(W, "W", (None, None))
        self.mean = finite_array(mean, "mean", (len(self.W),))
        self.noise = finite_array(noise, "noise", (len(self.W),))
        if not (self.noise > 0).all():
            raise ValueError(f"noise must be positive, got {self.noise.min()}")

    @property
    def covariance(self) -> np.ndarray:
        """C = W W^T + Psi, (d, d)."""
        return self.W @ self.W.T + np.diag(self.noise)

    def posterior(self, x: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return mean (n, latent) and covariance (latent, latent), the same for all, of the codes of x (n, d)."""
        x = finite_array(x, "x", (None, len(self.W)))
        inverse = np.linalg.inv(_precision(self.W, self.noise))
        return (x - self.mean) / self.noise @ self.W @ inverse, inverse

    def log_prob(self, x: Any) -> np.ndarray:
        """Return ln p(x), (n,), of data points (n, d)."""
        energy = self.as_energy()
        return -energy(finite_array(x, "x", (None, len(self.W)))) - energy.log_z()

    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """Return n data points drawn from the model, (n, d)."""
        protocols.check_positive(n, "n", integer=True)
        rng = np.random.default_rng(seed)
        z, e = rng.standard_normal((n, self.W.shape[1])), rng.standard_normal((n, len(self.W)))
        return self.mean + z @ self.W.T + np.sqrt(self.noise) * e

    def as_energy(self) -> ebm.Gaussian:
        """Return E(x) = (x - mu) C^-1 (x - mu) / 2, whose law at beta = 1 is p(x)."""
        return ebm.Gaussian(self.mean, self.covariance)


class LinearFit(NamedTuple):
    """A fitted model, and its mean log-likelihood ("vi": its bound) after each iteration, in nats a data point."""

    model: LinearGaussian
    bounds: np.ndarray


def fit_linear_gaussian(
    x: Any, latent: int, *, noise: str = "isotropic", method: str = "em", iterations: int = 20_000,
    tolerance: float = 1e-12, seed: int | None = None,
) -> LinearFit:  # fmt: skip
    """Fit a linear model of Gaussian codes to data.

    Args:
        x: data points (n, d), more than d of them.
        latent: numbers of a code, less than d.
        noise: "isotropic" for probabilistic PCA, "diagonal" for factor analysis.
        method: "em", "vi" or "ml".
        iterations: at most; a fit that has not ended by then is returned with a RuntimeWarning.
        tolerance: gain of an iteration, in nats a data point, below which it ends.
        seed: of the first W.

    Raises:
        ValueError: an argument is out of range, or the noise of a number vanishes (a Heywood case: the likelihood is
            largest at the edge; fewer codes, or isotropic noise, are needed).

    Example:
        >>> truth = LinearGaussian([[2.0], [1.0], [0.0]], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
        >>> fit = fit_linear_gaussian(truth.sample(1000, seed=1), 1, seed=1)
        >>> abs(fit.model.W[0, 0]).round(1)
        np.float64(2.0)
    """
    x = finite_array(x, "x", (None, None))
    protocols.check_positive(latent, "latent", integer=True)
    protocols.check_positive(iterations, "iterations", integer=True)
    protocols.check_positive(tolerance, "tolerance")
    if not latent < x.shape[1] < len(x):
        raise ValueError(f"x must be (n, d) with latent < d < n, got {x.shape} and latent={latent}")
    if noise not in NOISES:
        raise ValueError(f'noise must be "isotropic" or "diagonal", got {noise!r}')
    if method not in METHODS:
        raise ValueError(f'method must be "em", "vi" or "ml", got {method!r}')
    S = np.cov(x.T, bias=True)
    if np.diag(S).min() <= 0:
        raise ValueError(f"x must vary in every number, got a constant in column {np.diag(S).argmin()}")
    spread = np.sqrt(np.diag(S) / (2 * latent))
    W = spread[:, None] * np.random.default_rng(seed).standard_normal((x.shape[1], latent))
    start = W, _kept(np.diag(S) / 2, noise)
    if method == "ml":
        W, Psi, bounds = _climb(S, start, noise, iterations, tolerance)
    else:
        W, Psi, bounds = _iterate(S, start, noise, method == "vi", iterations, tolerance)
    return LinearFit(LinearGaussian(W, x.mean(0), Psi), np.array(bounds))


def _precision(W: np.ndarray, Psi: np.ndarray) -> np.ndarray:
    """Return M = 1 + W^T Psi^-1 W."""
    return np.eye(W.shape[1]) + (W.T / Psi) @ W


def _kept(diagonal: np.ndarray, noise: str) -> np.ndarray:
    return diagonal if noise == "diagonal" else np.full_like(diagonal, diagonal.mean())


def _log_likelihood(S: np.ndarray, W: np.ndarray, Psi: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean ln p, -(d ln 2 pi + ln det C + tr C^-1 S) / 2, and its slope by C, (C^-1 S C^-1 - C^-1) / 2."""
    lower = cholesky(W @ W.T + np.diag(Psi), lower=True)
    inverse = cho_solve((lower, True), np.eye(len(S)))
    value = -0.5 * (len(S) * np.log(2 * np.pi) + 2 * np.log(np.diag(lower)).sum() + np.sum(inverse * S))
    return float(value), 0.5 * (inverse @ S @ inverse - inverse)


def _iterate(
    S: np.ndarray,
    start: tuple[np.ndarray, np.ndarray],
    noise: str,
    independent: bool,
    iterations: int,
    tolerance: float,
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Alternate between the codes' law and the parameters; the codes of all data enter by their second moments."""
    W, Psi = start
    bounds = list[float]()
    for _ in range(iterations):
        M = _precision(W, Psi)
        bound = _log_likelihood(S, W, Psi)[0]
        if independent:
            bound -= 0.5 * (np.log(np.diag(M)).sum() - np.linalg.slogdet(M)[1])
        bounds.append(bound)
        if len(bounds) > 1 and bounds[-1] - bounds[-2] < tolerance:
            return W, Psi, bounds
        regression = np.linalg.solve(M, W.T / Psi)  # x - mu -> mean of its code
        width = np.diag(1 / np.diag(M)) if independent else np.linalg.inv(M)
        crossed = regression @ S  # <z (x - mu)^T>
        W = np.linalg.solve(width + crossed @ regression.T, crossed).T
        Psi = _kept(np.diag(S) - (W * crossed.T).sum(1), noise)
        _check_noise(Psi, S)
    _warn(iterations, bounds[-1] - bounds[-2] if len(bounds) > 1 else np.nan)
    return W, Psi, bounds


def _climb(
    S: np.ndarray, start: tuple[np.ndarray, np.ndarray], noise: str, iterations: int, tolerance: float
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Climb the likelihood by L-BFGS, in W and ln Psi."""
    shape, free = start[0].shape, len(S) if noise == "diagonal" else 1
    bounds = list[float]()

    def parts(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return flat[:-free].reshape(shape), np.exp(np.broadcast_to(flat[-free:], len(S)))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        W, Psi = parts(flat)
        value, slope = _log_likelihood(S, W, Psi)
        by_log = np.diag(slope) * Psi
        by_log = by_log if free > 1 else by_log.sum(keepdims=True)
        return -value, -np.concatenate([(2.0 * slope @ W).ravel(), by_log])

    def record(flat: np.ndarray) -> None:
        bounds.append(-loss(flat)[0])
        _check_noise(parts(flat)[1], S)

    first = np.concatenate([start[0].ravel(), np.log(start[1][:free])])
    options = {"maxiter": iterations, "maxfun": 2 * iterations, "ftol": tolerance, "gtol": 1e-9, "maxcor": 20}
    # A trial step may go far, but not to where C can no longer be inverted.
    least = np.log(0.5 * VANISHED * np.diag(S) if free > 1 else 0.5 * VANISHED * np.diag(S).min(keepdims=True))
    limits = [(None, None)] * start[0].size + [(low, None) for low in least]
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=limits, callback=record, options=options)
    if found.nit >= iterations:
        _warn(iterations, bounds[-1] - bounds[-2] if len(bounds) > 1 else np.nan)
    return *parts(found.x), bounds


def _check_noise(Psi: np.ndarray, S: np.ndarray) -> None:
    worst = int(np.argmin(Psi / np.diag(S)))
    if not Psi[worst] > VANISHED * S[worst, worst]:
        raise ValueError(
            f"the noise of number {worst} must stay positive, got {Psi[worst]:.1e} (a Heywood case): fewer codes, or "
            'noise="isotropic"'
        )


def _warn(iterations: int, gain: float) -> None:
    message = f"the fit has not ended in {iterations} iterations (the last gained {gain:.1e} nats): more iterations"
    warnings.warn(message, RuntimeWarning, stacklevel=4)
