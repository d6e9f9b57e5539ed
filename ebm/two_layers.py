"""What machines of a visible and a hidden layer share: their arrays, checks of a layer, gradients by the parameters.

The gradients are those of E = -b.y - c.h - y W h with h = P(h = 1 | v), y being v, or v / sigma^2 for Gaussian units.
"""

from typing import Any

import numpy as np

from ebm.centring import Centre
from ebm.layers import draw_units, softplus_rows, store_units, weighted_logistic
from ebm.products import over_rows
from samplers import protocols
from samplers.blocks import SamplingError


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

    def probabilities(rows: slice) -> None:
        np.matmul(y[rows], W, out=h[rows])
        weighted_logistic(h[rows], c, scale[rows])

    over_rows(probabilities, len(y))
    return _sums(y, h, scale), h


def persistent_sums(
    machine: Any, data: np.ndarray, state: dict[str, np.ndarray], sweeps: int
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Move persistent chains and return the parts of the direction -<dE/dparameter>_data + <dE/dparameter>_chains.

    A sweep draws v ~ p(v | h), h ~ p(h | v), at the weights of this moment. Since a chain keeps its hidden units from
    one batch to the next, the probabilities from which they are drawn last are those of the gradient, and the product
    that gives them is one with the data's: of the six products of a batch (k = 1) five are left.

    Args:
        machine: gives W, c, `inputs(x, out)` (sets y) and `draw_visible(h, y, x, beta, streams)` (v given h).
        data: a batch of visible configurations (n, n_visible).
        state: the chains: x (chains, n_visible), h (chains, n_hidden) int8, beta (chains,) and stream (chains, 4).
        sweeps: sweeps of the chains before the gradient is taken.

    Returns:
        y, the direction by W, b and c, h and the weights of the rows: what `centred` takes. The order of the rows is
        that of the pieces, data and chains mixed.
    """
    n, chains, W, c = len(data), len(state["x"]), machine.W, machine.c
    total = n + chains
    y, h, scale = np.empty((total, len(W)), W.dtype), np.empty((total, len(c)), W.dtype), np.empty(total, W.dtype)

    def part(rows: slice) -> None:
        # Each piece has its share of the data and of the chains, one after the other: one product for both.
        i, k = (slice(rows.start * m // total, rows.stop * m // total) for m in (n, chains))
        all_rows, of_chains = slice(i.start + k.start, i.stop + k.stop), slice(i.stop + k.start, i.stop + k.stop)
        x, beta, streams, v, s = state["x"][k], state["beta"][k], state["stream"][k], y[of_chains], h[of_chains]
        machine.inputs(data[i], y[i.start + k.start : i.stop + k.start])
        s[...] = state["h"][k]
        for sweep in range(sweeps):
            machine.draw_visible(s, v, x, beta, streams)
            if sweep < sweeps - 1:
                np.matmul(v, W, out=s)
                draw_units(s, c, beta, streams)
        np.matmul(y[all_rows], W, out=h[all_rows])
        sample = s.copy()
        draw_units(sample, c, beta, streams)
        check_units(machine, store_units(sample, state["h"][k]), k.start)
        scale[all_rows], scale[of_chains] = 1.0 / n, -1.0 / chains
        weighted_logistic(h[all_rows], c, scale[all_rows])

    over_rows(part, total)
    return y, _sums(y, h, scale), h, -scale


def means_over_hidden(W: np.ndarray, b: np.ndarray, c: np.ndarray) -> dict[str, np.ndarray]:
    """Return <v h^T>, <v> and <h> of an RBM as "W", "b" and "c", by a sum over all states of the hidden layer.

        p(h) = exp(c.h) prod_i (1 + exp((b + W h)_i)) / Z,        <v | h> = sigmoid(b + W h)

    Each piece of the states is weighed beside its own likeliest state: one pass is enough, since Z need not be known.

    Args:
        W: weights (n_visible, n_hidden), float64 like the biases.
        b: visible biases (n_visible,).
        c: hidden biases (n_hidden,).
    """
    from ebm.exact.configurations import states

    total, highest = np.zeros((len(b) + 1, len(c) + 1)), -np.inf  # the last row and column belong to a unit always on
    for block in states(c.shape, "binary"):
        pieces: dict[int, tuple[float, np.ndarray]] = {}

        def part(rows: slice, block: np.ndarray = block, pieces: dict = pieces) -> None:
            h = np.ones((rows.stop - rows.start, len(c) + 1))
            h[:, :-1] = block[rows]
            field, log_p = h[:, :-1] @ W.T, np.empty(len(h))
            field += b
            softplus_rows(field, np.ones(len(h)), log_p)
            log_p += h[:, :-1] @ c
            p = np.exp(log_p - log_p.max())
            weighted_logistic(field, np.zeros(len(b)), p)
            pieces[rows.start] = log_p.max(), np.vstack([field.T @ h, p @ h])

        over_rows(part, len(block))
        before, highest = highest, max(highest, *(top for top, _ in pieces.values()))
        total *= np.exp(before - highest)
        for _, (top, sums) in sorted(pieces.items()):  # in order, so that no bit depends on threads
            total += np.exp(top - highest) * sums
    total /= total[-1, -1]
    return {"W": total[:-1, :-1], "b": total[:-1, -1], "c": total[-1, :-1]}


def check_units(machine: Any, failed: int, start: int) -> None:
    """Raise if a row of a sample has failed (-1: none has), numbered from `start`."""
    if failed >= 0:
        raise SamplingError(
            f"the activations of {machine!r} must be numbers, got NaN in chain {start + failed}: "
            f"its parameters must be finite and small enough for {machine.W.dtype}"
        )


def _sums(y: np.ndarray, h: np.ndarray, scale: np.ndarray) -> dict[str, np.ndarray]:
    """Return y^T h, scale y and the column sums of h: h holds probabilities times the scale of their row."""
    W, b = np.empty((y.shape[1], h.shape[1]), h.dtype), np.empty(y.shape[1], h.dtype)

    def products(units: slice) -> None:
        np.matmul(y[:, units].T, h, out=W[units])
        np.matmul(scale, y[:, units], out=b[units])

    over_rows(products, len(W))
    return {"W": W, "b": b, "c": h.sum(0)}


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
