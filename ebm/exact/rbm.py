"""Normalisers of restricted Boltzmann machines, by a sum over all states of one layer (Salakhutdinov and Murray 2008).

    binary visible:    E(v, h) = -b.v - c.h - v W h,                                       v and h in {0, 1}
    Gaussian visible:  E(v, h) = sum_i (v_i - b_i)^2 / 2 sigma_i^2 - c.h - sum_i (v_i / sigma_i^2) (W h)_i,    v real

The law at beta is p(v, h) = exp(-beta E(v, h)) / Z, and p(v) sums the hidden units out at that beta:
p(v) = exp(-reduced(v, beta)) / Z. This is not the law of the free energy at beta = 1 taken to the power beta.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from ebm.exact.arguments import positive
from ebm.exact.configurations import MAX_STATES, states

MOST_UNITS = MAX_STATES.bit_length() - 1
BLOCK_UNITS = 2**17  # inputs of units held at a time: a megabyte, which stays in the cache


class Machine(Protocol):
    """An RBM object: weights W (visible, hidden), visible biases b, hidden biases c; with `sigma` if Gaussian."""

    W: Any
    b: Any
    c: Any


def rbm_log_z(
    W: ArrayLike | Machine, b: ArrayLike | None = None, c: ArrayLike | None = None, beta: float = 1.0
) -> float:
    """Return ln Z of a binary RBM, by summing the smaller layer over all its states and the other in closed form.

        Z = sum_h exp(beta c.h) prod_i (1 + exp(beta (b_i + (W h)_i)))        and the same with v and h exchanged

    Args:
        W: weights (visible, hidden), or an object with attributes W, b and c.
        b: visible biases (visible,); left out with an object.
        c: hidden biases (hidden,); left out with an object.
        beta: inverse temperature, positive.
    Returns:
        ln Z at beta.
    Raises:
        ValueError: parameters that do not fit together or are not finite, more than 24 units in the smaller layer.

    >>> round(rbm_log_z(np.zeros((784, 3)), np.zeros(784), np.zeros(3)), 4)  # 787 ln 2
    545.5068
    """
    W, b, c = _parameters(W, b, c)
    beta = positive(beta, "beta")
    if W.shape[0] < W.shape[1]:
        W, b, c = W.T, c, b
    visible, hidden = W.shape
    _check_units(hidden, f"the smaller layer of {visible} and {hidden} units")
    blocks = []
    for h in states((hidden,), "binary", rows=max(1, BLOCK_UNITS // visible)):
        h = h.astype(np.float64)
        blocks.append(logsumexp(beta * (h @ c) + _sum_softplus(beta * (b + h @ W.T))))
    return float(logsumexp(blocks))


def rbm_log_likelihood(
    v: ArrayLike,
    W: ArrayLike | Machine,
    b: ArrayLike | None = None,
    c: ArrayLike | None = None,
    beta: float = 1.0,
) -> NDArray[np.float64]:
    """Return ln p(v) of each of many visible configurations under a binary RBM.

        ln p(v) = beta b.v + sum_j softplus(beta (c_j + (v W)_j)) - ln Z

    Args:
        v: configurations (n, visible) of 0 and 1.
        W: weights (visible, hidden), or an object with attributes W, b and c.
        b: visible biases (visible,); left out with an object.
        c: hidden biases (hidden,); left out with an object.
        beta: inverse temperature, positive.
    Returns:
        ln p(v) in nats, (n,); their mean is the log-likelihood of a data set.
    Raises:
        ValueError: as `rbm_log_z`, and v of another shape or with other values.

    >>> rbm_log_likelihood([[0, 1]], np.zeros((2, 3)), np.zeros(2), np.zeros(3)).round(7).tolist()  # -ln 4
    [-1.3862944]
    """
    W, b, c = _parameters(W, b, c)
    x = np.asarray(v)
    if x.ndim != 2 or x.shape[1] != len(b):
        raise ValueError(f"v must have shape (n, {len(b)}), got {x.shape}")
    if not np.isin(x, (0, 1)).all():
        raise ValueError(f"v must hold 0 and 1, got {x[~np.isin(x, (0, 1))][0]}")
    log_z = rbm_log_z(W, b, c, beta)
    rows = max(1, BLOCK_UNITS // len(c))
    out = np.empty(len(x))
    for start in range(0, len(x), rows):
        part = x[start : start + rows].astype(np.float64)
        out[start : start + rows] = beta * (part @ b) + _sum_softplus(beta * (c + part @ W)) - log_z
    return out


def gaussian_rbm_log_z(
    W: ArrayLike | Machine,
    b: ArrayLike | None = None,
    c: ArrayLike | None = None,
    sigma: ArrayLike | None = None,
    beta: float = 1.0,
) -> float:
    """Return ln Z of an RBM with Gaussian visible and binary hidden units, a mixture of 2^hidden Gaussians.

        ln Z = 1/2 sum_i ln(2 pi sigma_i^2 / beta) + ln sum_h exp(beta [c.h + sum_i (m_i^2 - b_i^2) / 2 sigma_i^2])

    The square completed in v: given h each v_i is normal with mean m_i = (b + W h)_i and variance sigma_i^2 / beta.

    Args:
        W: weights (visible, hidden), or an object with attributes W, b, c and sigma.
        b: visible biases (visible,); left out with an object.
        c: hidden biases (hidden,); left out with an object.
        sigma: widths of the visible units at beta = 1, (visible,) or one number; left out with an object.
        beta: inverse temperature, positive.
    Returns:
        ln Z at beta, for the measure dv sum_h.
    Raises:
        ValueError: parameters that do not fit together or are not finite, more than 24 hidden units.

    >>> round(gaussian_rbm_log_z([[0.0]], [0.0], [0.0], 1.0), 7)  # ln 2 + ln(2 pi) / 2
    1.6120857
    """
    if sigma is None:
        sigma = getattr(W, "sigma", None)
    W, b, c = _parameters(W, b, c)
    beta = positive(beta, "beta")
    width = _finite(sigma, "sigma")
    if width.shape not in ((), b.shape) or (width <= 0).any():
        raise ValueError(f"sigma must be positive, one number or one for each of {len(b)} visible units, got {sigma}")
    precision = np.broadcast_to(width**-2, b.shape)
    _check_units(len(c), f"a hidden layer of {len(c)} units")
    # In h the exponent is a quadratic form, so that no sum over the visible units is left in the loop.
    linear, gram = c + W.T @ (precision * b), W.T @ (precision[:, None] * W)
    blocks = []
    for h in states((len(c),), "binary"):
        h = h.astype(np.float64)
        blocks.append(logsumexp(beta * (h @ linear + ((h @ gram) * h).sum(axis=1) / 2.0)))
    return float(logsumexp(blocks) + np.log(2.0 * np.pi / (beta * precision)).sum() / 2.0)


def _parameters(
    W: Any, b: ArrayLike | None, c: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return W, b and c as float64 arrays, from three arrays or from one object, once they fit together."""
    if b is None and c is None and hasattr(W, "W"):
        W, b, c = W.W, W.b, W.c
    if b is None or c is None:
        raise ValueError("b and c must be given with W, or W must be an object with attributes W, b and c")
    weights, visible, hidden = _finite(W, "W"), _finite(b, "b"), _finite(c, "c")
    if weights.ndim != 2 or weights.size == 0:
        raise ValueError(f"W must have shape (visible, hidden), both at least 1, got {weights.shape}")
    for name, bias, length in (("b", visible, weights.shape[0]), ("c", hidden, weights.shape[1])):
        if bias.shape != (length,):
            raise ValueError(f"{name} must have shape ({length},) to fit W of shape {weights.shape}, got {bias.shape}")
    return weights, visible, hidden


def _finite(value: Any, name: str) -> NDArray[np.float64]:
    array = np.asarray(value, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)].flat[0]}")
    return array


def _check_units(units: int, layer: str) -> None:
    if units > MOST_UNITS:
        raise ValueError(f"at most 2^{MOST_UNITS} states can be summed exactly, got 2^{units} of {layer}")


def _sum_softplus(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum over the last axis of ln(1 + e^x): (rows, units) -> (rows,), one logarithm for 512 units."""
    total = np.maximum(x, 0.0).sum(axis=1)
    np.exp(-np.abs(x), out=x)
    x += 1.0
    # Each factor is at most 2, so that a product of 512 cannot overflow.
    for start in range(0, x.shape[1], 512):
        total += np.log(x[:, start : start + 512].prod(axis=1))
    return total
