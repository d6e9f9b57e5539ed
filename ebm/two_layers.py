"""What machines of a visible and a hidden layer share: their arrays, checks of a layer, gradients by the parameters.

The gradients are those of E = -b.y - c.h - y W h with h = P(h = 1 | v), y being v, or v / sigma^2 for Gaussian units.
"""

from typing import Any

import numpy as np

from ebm.centring import Centre
from ebm.layers import weighted_logistic
from ebm.products import over_rows
from samplers import protocols


def create_layers(
    energy: Any, n_visible: int, n_hidden: int, W: Any, b: Any, c: Any, seed: int | None, dtype: str
) -> None:
    """Give a machine of two layers its sizes, shape, weights and biases, once they are checked."""
    protocols.check_positive(n_visible, "n_visible", integer=True)
    protocols.check_positive(n_hidden, "n_hidden", integer=True)
    if dtype not in ("float32", "float64"):
        raise ValueError(f'dtype must be "float32" or "float64", got {dtype!r}')
    if seed is not None:
        protocols.check_positive(seed, "seed", integer=True, zero=True)
    energy.n_visible, energy.n_hidden, energy.shape = int(n_visible), int(n_hidden), (int(n_visible),)
    if W is None:
        W = 0.01 * np.random.default_rng(seed).standard_normal((n_visible, n_hidden))
    kind = type(energy)
    kind.__dict__["W"].create(energy, W, (n_visible, n_hidden), dtype)
    kind.__dict__["b"].create(energy, np.zeros(n_visible) if b is None else b, (n_visible,), dtype)
    kind.__dict__["c"].create(energy, np.zeros(n_hidden) if c is None else c, (n_hidden,), dtype)


def check_layer(x: Any, units: int, name: str, dtype: np.dtype) -> np.ndarray:
    """Return the states or probabilities of a layer as an array (n, units), or raise naming the argument."""
    array = np.asarray(x)
    if array.ndim != 2 or array.shape[1] != units:
        raise ValueError(f"{name} must have shape (n, {units}), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return np.ascontiguousarray(array, dtype)


def layer_gradient(
    y: np.ndarray, W: np.ndarray, c: np.ndarray, weights: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return sum_i weights_i dE(y_i)/dparameter by name, and -weights_i P(h = 1 | y_i), (n, n_hidden).

    Args:
        y: inputs of the hidden layer (n, n_visible).
        W: weights (n_visible, n_hidden).
        c: hidden biases (n_hidden,).
        weights: weight of each row, (n,).
    """
    h, scale = np.empty((len(y), len(c)), W.dtype), -weights.astype(W.dtype)
    gradient_w, gradient_b = np.empty_like(W), np.empty(len(W), W.dtype)

    def probabilities(rows: slice) -> None:
        np.matmul(y[rows], W, out=h[rows])
        weighted_logistic(h[rows], c, scale[rows])

    def products(units: slice) -> None:
        np.matmul(y[:, units].T, h, out=gradient_w[units])
        np.matmul(scale, y[:, units], out=gradient_b[units])

    over_rows(probabilities, len(y))
    over_rows(products, len(W))
    return {"W": gradient_w, "b": gradient_b, "c": h.sum(0)}, h


def centred(
    y: np.ndarray, gradient: dict[str, np.ndarray], h: np.ndarray, weights: np.ndarray, centre: Centre
) -> dict[str, np.ndarray]:
    """Return the centred direction of a gradient, after the centre has followed the rows of negative weight.

    `h` holds the hidden probabilities of the rows times their negative weights, as `layer_gradient` returns them.
    """
    data = np.where(weights < 0, -weights, 0.0).astype(y.dtype)
    total = data.sum()
    centre.update(data @ y / total, (data > 0).astype(y.dtype) @ h / total)
    return centre.direction(gradient)
