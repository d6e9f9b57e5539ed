"""What diffusion models do exactly where their best denoiser is known: Gaussians, and mixtures of them.

Noise enters as x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) epsilon, with abar_t falling from about 1 to about 0 for
t = 1 ... T, and the best denoiser is epsilon*(x, t) = <epsilon | x_t = x> = -sqrt(1 - abar_t) d ln p_t(x) / dx. For
data ~ N(0, variance)

    p_t = N(0, v_t),      v_t = abar_t variance + 1 - abar_t,      epsilon* = sqrt(1 - abar_t) x / v_t

is linear, so that each sampler multiplies x by a number, adds noise, and makes of its start N(0, 1) a Gaussian whose
variance follows step by step. A mean of the data leaves all this as it is. The samplers of `models` are those of these
formulas.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ebm.exact.arguments import finite, positive
from ebm.gaussian import Gaussian, GaussianMixture


def diffused(energy: Gaussian | GaussianMixture, alpha_bar: float) -> Gaussian | GaussianMixture:
    """Return the law of sqrt(abar) x_0 + sqrt(1 - abar) epsilon, with x_0 from a Gaussian or a mixture of them.

    Args:
        energy: of x_0, at beta = 1.
        alpha_bar: share of the data in the variance, above 0 and at most 1.
    Raises:
        TypeError: another energy. ValueError: alpha_bar out of range.

    >>> diffused(Gaussian([2.0], [[9.0]]), 0.25).covariance
    array([[3.]])
    """
    abar = _share(alpha_bar, "alpha_bar")
    if isinstance(energy, Gaussian):
        noise = (1.0 - abar) * np.eye(len(energy.mean))
        return Gaussian(math.sqrt(abar) * energy.mean, abar * energy.covariance + noise)
    if isinstance(energy, GaussianMixture):
        noise = (1.0 - abar) * np.eye(energy.means.shape[1])
        return GaussianMixture(math.sqrt(abar) * energy.means, abar * energy.covariances + noise, energy.weights)
    raise TypeError(f"energy must be a Gaussian or a GaussianMixture, got {type(energy).__name__}")


def best_epsilon(energy: Gaussian | GaussianMixture, x: Any, alpha_bar: float) -> NDArray[np.float64]:
    """Return epsilon*(x) = <epsilon | x_t = x> = -sqrt(1 - abar) d ln p_t(x) / dx, (n, d), at points x (n, d).

    Other arguments and errors as in `diffused`.

    >>> best_epsilon(Gaussian([0.0], [[4.0]]), [[2.0]], 0.25).round(4)  # sqrt(3/4) 2 / (4/4 + 3/4)
    array([[0.9897]])
    """
    return math.sqrt(1.0 - _share(alpha_bar, "alpha_bar")) * diffused(energy, alpha_bar).grad(x)


def ddpm_variance(variance: float, alpha_bar: ArrayLike, posterior: Literal["beta", "beta_tilde"] = "beta") -> float:
    """Return the variance of samples of the reversed chain (Ho, Jain and Abbeel 2020), its last step without noise.

        x_{t-1} = A_t x_t + s_t z,    A_t = (1 - beta_t / v_t) / sqrt(1 - beta_t),    beta_t = 1 - abar_t / abar_{t-1}
        s_t^2 = beta_t, or beta~_t = beta_t (1 - abar_{t-1}) / (1 - abar_t)

    Args:
        variance: of the data, positive.
        alpha_bar: abar of the levels visited, (T,), falling, below 1.
        posterior: "beta" or "beta_tilde".
    Raises:
        ValueError: an argument is out of range.

    >>> beta = np.linspace(1e-4, 0.02, 1000)
    >>> round(ddpm_variance(0.25, np.cumprod(1 - beta)), 6)
    0.250752
    """
    if posterior not in ("beta", "beta_tilde"):
        raise ValueError(f'posterior must be "beta" or "beta_tilde", got {posterior!r}')

    def step(now: float, then: float, v: float) -> tuple[float, float]:
        beta = 1.0 - now / then
        noise = beta if posterior == "beta" else beta * (1.0 - then) / (1.0 - now)
        return (1.0 - beta / v) / math.sqrt(1.0 - beta), noise if then < 1.0 else 0.0

    return _follow(variance, [*_levels(alpha_bar)[::-1], 1.0], step)


def ddim_variance(variance: float, alpha_bar: ArrayLike, eta: float = 0.0) -> float:
    """Return the variance of samples of Song, Meng and Ermon (2021), for any levels and noise.

        x' = [sqrt(abar abar') variance + sqrt((1 - abar' - s^2) (1 - abar))] x / v + s z,
        s^2 = eta^2 (1 - abar / abar') (1 - abar') / (1 - abar)

    Args:
        variance: of the data, positive.
        alpha_bar: abar of the levels visited, (S,), falling, below 1.
        eta: from 0 to 1, where it is the reversed chain with beta~.
    Raises:
        ValueError: an argument is out of range.

    >>> beta = np.linspace(1e-4, 0.02, 1000)
    >>> round(ddim_variance(0.25, np.cumprod(1 - beta)), 6)
    0.248498
    """
    if not 0.0 <= finite(eta, "eta") <= 1.0:
        raise ValueError(f"eta must be from 0 to 1, got {eta}")

    def step(now: float, then: float, v: float) -> tuple[float, float]:
        noise = eta**2 * (1.0 - now / then) * (1.0 - then) / (1.0 - now)
        return (math.sqrt(now * then) * variance + math.sqrt((1.0 - then - noise) * (1.0 - now))) / v, noise

    return _follow(variance, [*_levels(alpha_bar)[::-1], 1.0], step)


def sde_variance(variance: float, alpha_bar: ArrayLike) -> float:
    """Return the variance after Euler-Maruyama steps of the reversed stochastic equation, down to level 1.

        x' = (1 + B / 2 - B / v) x + sqrt(B) z,      B = ln(abar' / abar)       (Song et al. 2021)

    Args:
        variance: of the data, positive.
        alpha_bar: abar of the levels visited, (S + 1,) for S steps, falling, below 1.
    Returns:
        the variance of x / sqrt(abar_1), in the unit of the data, which many steps bring to
        variance + (1 - abar_1) / abar_1.
    Raises:
        ValueError: an argument is out of range.

    >>> beta = np.linspace(1e-4, 0.02, 1000)
    >>> round(sde_variance(0.25, np.cumprod(1 - beta)), 6)
    0.251268
    """

    def step(now: float, then: float, v: float) -> tuple[float, float]:
        time = math.log(then / now)
        return 1.0 + time / 2.0 - time / v, time

    return _follow(variance, _levels(alpha_bar)[::-1], step)


def ode_variance(variance: float, start: float, end: float = 1.0) -> float:
    """Return the variance at which the probability flow ends, solved exactly from N(0, 1) at abar = start.

        Var(x_end) / Var(x_start) = v_end / v_start      (Song et al. 2021)

    Args:
        variance: of the data, positive.
        start: abar at the start, above 0.
        end: abar at the end, at least start and at most 1.
    Returns:
        the variance of x / sqrt(end), in the unit of the data: at end = 1 it is variance / v_start, and tends to the
        variance of the data as start goes to 0.
    Raises:
        ValueError: an argument is out of range.

    >>> ode_variance(0.25, 0.5)
    0.4
    """
    variance, start, end = positive(variance, "variance"), _share(start, "start"), _share(end, "end")
    if end < start:
        raise ValueError(f"end must be at least start = {start}, got {end}")
    return _smoothed(variance, end) / (_smoothed(variance, start) * end)


def _follow(variance: float, path: list[float], step: Callable[[float, float, float], tuple[float, float]]) -> float:
    """Return the variance of x / sqrt(abar) at the end of a path of abar, by steps that multiply x and add noise."""
    variance, found = positive(variance, "variance"), 1.0
    for now, then in itertools.pairwise(path):
        factor, noise = step(now, then, _smoothed(variance, now))
        found = factor**2 * found + noise
    return found / path[-1]


def _smoothed(variance: float, abar: float) -> float:
    """Return v = abar variance + 1 - abar."""
    return abar * variance + 1.0 - abar


def _share(value: Any, name: str) -> float:
    number = positive(value, name)
    if number > 1.0:
        raise ValueError(f"{name} must be at most 1, got {number}")
    return number


def _levels(alpha_bar: ArrayLike) -> list[float]:
    levels = np.asarray(alpha_bar, np.float64)
    good = levels.ndim == 1 and len(levels) > 0 and np.isfinite(levels).all()
    if not good or not (np.diff(levels) < 0).all() or not levels[-1] > 0 or not levels[0] < 1:
        raise ValueError(f"alpha_bar must fall strictly, between 1 and 0, got {alpha_bar!r}")
    return levels.tolist()
