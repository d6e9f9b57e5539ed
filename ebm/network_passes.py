"""The passes through a small network, compiled: for one chain, or for eight that go through the layers together.

Forward a = f(W a + b) and backward g = W^T (f' g), as products of blocks (see samplers.small_products) and loops over
the units of all the chains. The units of a layer stand side by side, one chain after the other, and are filled up to
whole vector registers; what fills them up is computed with and never read by another layer.
"""

from typing import Any

import numpy as np

from ebm.layers import exp_minus32
from samplers.compiled import Functions, difference
from samplers.elementary import exp_minus64, plus
from samplers.inner import inline, inner, stand_apart
from samplers.lane_views import entries_of, numbers_of, width_of
from samplers.small_products import add_product

ACTIVATIONS = ("SiLU", "Tanh", "ReLU", "Softplus", "Sigmoid", "ELU")  # their numbers in compiled code are their places
_SILU, _TANH, _RELU, _SOFTPLUS, _SIGMOID, _ELU = range(6)


def _log1p(real: Any, terms: int) -> Any:
    """Make ln(1 + e) for 0 <= e <= 1 by its series in t = e / (2 + e): 2 (t + t^3 / 3 + t^5 / 5 + ...)."""
    one, two = real(1), real(2)

    @inline
    def log1p(e):
        t = e / (two + e)
        square, total = t * t, one / real(2 * terms + 1)
        for k in range(terms - 1, -1, -1):
            total = total * square + one / real(2 * k + 1)
        return two * t * total

    return log1p


def _activation(real: Any, exp_minus: Any, terms: int) -> Any:
    """Make `activate(code, value, slope)`, which puts f(z) in the place of z and f'(z) into slope, in one precision."""
    one, two, twenty = real(1), real(2), real(20)
    log1p = _log1p(real, terms)

    @inline
    def sigmoid(z):
        e = exp_minus(abs(z))
        return (one if z > real(0) else e) / (one + e)

    @inline
    def activate(code, value, slope):
        n = value.shape[0]
        if code == _SILU:
            for i in range(n):
                z, s = value[i], sigmoid(value[i])
                value[i] = z * s
                slope[i] = s * (one + z * (one - s))
        elif code == _TANH:
            for i in range(n):
                e = exp_minus(two * abs(value[i]))
                t = (one - e) / (one + e)
                slope[i] = one - t * t
                value[i] = t if value[i] > real(0) else -t
        elif code == _RELU:
            for i in range(n):
                slope[i] = one if value[i] > real(0) else real(0)
                value[i] = real(0) if value[i] <= real(0) else value[i]  # a NaN stays one
        elif code == _SOFTPLUS:
            for i in range(n):
                z = value[i]
                slope[i] = one if z > twenty else sigmoid(z)  # as torch does
                value[i] = z if z > twenty else max(z, real(0)) + log1p(exp_minus(abs(z)))
        elif code == _SIGMOID:
            for i in range(n):
                s = sigmoid(value[i])
                value[i] = s
                slope[i] = s * (one - s)
        else:
            for i in range(n):
                e = exp_minus(abs(min(value[i], real(0))))
                slope[i] = e
                value[i] = value[i] if value[i] > real(0) else e - one

    return activate


def _forward(activate: Any) -> Any:
    """Make the way through the layers to the output, for chains that go together."""

    @inner
    def forward(x, p, value, slope, chains, output):
        """Fill the values and slopes of all units, inputs first, and the output of each chain."""
        stand_apart()
        units, padded, codes, ahead, back, bias = p
        n, a = units[0], padded[0]
        for i in range(n):
            for c in range(chains):
                value[c * a + i] = x[i * chains + c]
        start, weights = 0, 0
        for layer in range(codes.shape[0]):
            n, a, b = units[layer], padded[layer], padded[layer + 1]
            old, begin = value[start * chains : (start + a) * chains], (start + a) * chains
            new = value[begin : begin + b * chains]
            shift = bias[start + a : start + a + b]
            for c in range(chains):
                row = new[c * b : (c + 1) * b]
                for i in range(b):
                    row[i] = shift[i]
            add_product(ahead[weights:], n, b, old, a, new, chains)
            activate(codes[layer], new, slope[begin : begin + b * chains])
            start, weights = start + a, weights + n * b
        n, a = units[codes.shape[0]], padded[codes.shape[0]]
        last = back[back.shape[0] - a :]
        for c in range(chains):
            row = value[start * chains + c * a : start * chains + c * a + n]
            total = 0.0
            for i in range(n):
                total = plus(total, last[i] * row[i])
            output[c] = total + bias[start + a]

    return forward


def _backward(real: Any) -> Any:
    """Make the way back through the layers in one precision, for chains that go together."""

    @inner
    def backward(p, value, slope, chains):
        """Put dE/d(value) in the place of the values of all units."""
        stand_apart()
        units, padded, codes, _, back, _ = p
        b = padded[codes.shape[0]]
        start, weights = value.shape[0] - b * chains, back.shape[0] - b
        last = back[weights:]
        for c in range(chains):
            row = value[start + c * b : start + (c + 1) * b]
            for i in range(b):
                row[i] = last[i]
        for layer in range(codes.shape[0] - 1, -1, -1):
            m, a, b = units[layer + 1], padded[layer], padded[layer + 1]
            here, above = slope[start : start + b * chains], value[start : start + b * chains]
            for i in range(b * chains):
                here[i] *= above[i]
            old = value[start - a * chains : start]
            for i in range(a * chains):
                old[i] = real(0)
            start, weights = start - a * chains, weights - m * a
            add_product(back[weights:], m, a, here, b, old, chains)

    return backward


def _functions(real: Any, exp_minus: Any, terms: int) -> Functions:
    """Make the functions in one precision.

    p = (units of each layer, the same padded, activations, all W^T, all W, a bias a unit and that of the output).
    """
    forward, backward = _forward(_activation(real, exp_minus, terms)), _backward(real)

    @inline
    def reduced(x, beta, p):
        chains = width_of(x)
        scratch, output = np.empty((2, p[1].sum() * chains), p[5].dtype), np.empty(chains)
        forward(numbers_of(x), p, scratch[0], scratch[1], chains, output)
        return beta * entries_of(output, x)[0]

    @inline
    def both(x, beta, weight, p, out, work):
        chains = width_of(x)
        scratch, output = np.empty((2, p[1].sum() * chains), p[5].dtype), np.empty(chains)
        forward(numbers_of(x), p, scratch[0], scratch[1], chains, output)
        backward(p, scratch[0], scratch[1], chains)
        gradient, a = numbers_of(work), p[1][0]
        for i in range(x.shape[0]):
            for c in range(chains):
                gradient[i * chains + c] = scratch[0, c * a + i]
        for i in range(x.shape[0]):
            out[i] += weight * beta * work[i]
        return beta * entries_of(output, x)[0]

    # The gradient costs the energy too: a function without it would be compiled beside this one to no use.
    return Functions(reduced, both, difference(reduced), (), both=both, lanes=True)


SINGLE = _functions(np.float32, exp_minus32, 8)
DOUBLE = _functions(np.float64, exp_minus64, 16)
