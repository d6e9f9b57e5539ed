"""A small torch network compiled whole: its energy and gradient inside the compiled loops of the samplers.

In the array tier a step of ten chains through a network of a hundred units is mostly overhead. Here each chain goes
through the layers by itself: a = f(W a + b) forward, g = W^T (f' g) backward, as sums of columns, so that the inner
loops run in vector registers. Wide layers and many chains belong into the array tier, whose batched matrix products use
each weight for all chains at once.
"""

import math
from typing import Any

import numpy as np

from ebm.energy import Energy, check_shape
from ebm.layers import exp_minus32
from samplers import protocols
from samplers.compiled import Functions, difference, inline
from samplers.elementary import exp_minus64, plus

ACTIVATIONS = ("SiLU", "Tanh", "ReLU", "Softplus", "Sigmoid", "ELU")  # their numbers in compiled code are their places
_SILU, _TANH, _RELU, _SOFTPLUS, _SIGMOID, _ELU = range(6)


@inline
def _add_rows(matrix, vector, out):
    """out += sum_j vector_j (row j of the flat matrix), four rows at a time."""
    n, m = vector.shape[0], out.shape[0]
    for j in range(0, n - 3, 4):
        a, b, c, d = vector[j], vector[j + 1], vector[j + 2], vector[j + 3]
        first = matrix[j * m : (j + 1) * m]
        second = matrix[(j + 1) * m : (j + 2) * m]
        third = matrix[(j + 2) * m : (j + 3) * m]
        fourth = matrix[(j + 3) * m : (j + 4) * m]
        for i in range(m):
            out[i] += a * first[i] + b * second[i] + c * third[i] + d * fourth[i]
    for j in range(n - n % 4, n):
        a = vector[j]
        first = matrix[j * m : (j + 1) * m]
        for i in range(m):
            out[i] += a * first[i]


def _activation(real: Any, exp_minus: Any) -> Any:
    """Make `activate(code, value, slope)`, which puts f(z) in the place of z and f'(z) into slope, in one precision."""
    one, two, twenty = real(1), real(2), real(20)

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
                value[i] = z if z > twenty else max(z, real(0)) + real(math.log1p(exp_minus(abs(z))))
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


def _functions(real: Any, exp_minus: Any) -> Functions:
    """Make the functions in one precision; p = (units of each layer, activations, all W^T, all W, a bias a unit)."""
    activate = _activation(real, exp_minus)

    @inline
    def forward(x, p, value, slope):
        """Fill the values and slopes of all units, inputs first; return the output."""
        units, codes, ahead, back, bias = p
        for i in range(x.shape[0]):
            value[i] = x[i]
        start, weights = 0, 0
        for layer in range(codes.shape[0]):
            n, m = units[layer], units[layer + 1]
            new = value[start + n : start + n + m]
            for i in range(m):
                new[i] = bias[start + n + i]
            _add_rows(ahead[weights : weights + n * m], value[start : start + n], new)
            activate(codes[layer], new, slope[start + n : start + n + m])
            start, weights = start + n, weights + n * m
        last = value[start:]
        output = 0.0
        for i in range(last.shape[0]):
            output = plus(output, back[weights + i] * last[i])
        return output + bias[start + last.shape[0]]

    @inline
    def backward(p, value, slope):
        """Put dE/d(value) in the place of the values of all units."""
        units, codes, _, back, _ = p
        start, weights = value.shape[0] - units[codes.shape[0]], back.shape[0] - units[codes.shape[0]]
        for i in range(units[codes.shape[0]]):
            value[start + i] = back[weights + i]
        for layer in range(codes.shape[0] - 1, -1, -1):
            n, m = units[layer], units[layer + 1]
            for i in range(start, start + m):
                slope[i] *= value[i]
            old = value[start - n : start]
            for i in range(n):
                old[i] = real(0)
            _add_rows(back[weights - n * m : weights], slope[start : start + m], old)
            start, weights = start - n, weights - n * m

    @inline
    def reduced(x, beta, p):
        scratch = np.empty((2, p[0].sum()), p[4].dtype)
        return beta * forward(x, p, scratch[0], scratch[1])

    @inline
    def both(x, beta, weight, p, out, work):
        scratch = np.empty((2, p[0].sum()), p[4].dtype)
        output = forward(x, p, scratch[0], scratch[1])
        backward(p, scratch[0], scratch[1])
        for i in range(x.shape[0]):
            out[i] += weight * beta * scratch[0, i]
        return beta * output

    @inline
    def gradient(x, beta, weight, p, out, work):
        both(x, beta, weight, p, out, work)

    return Functions(reduced, gradient, difference(reduced), (), both=both)


_SINGLE = _functions(np.float32, exp_minus32)
_DOUBLE = _functions(np.float64, exp_minus64)


class CompiledNetwork(Energy):
    """A snapshot of a fully connected torch network as a compiled energy: E(x) is its one output.

    It agrees with the network to the rounding of its precision. It does not follow the network: weights that change
    afterwards need a new snapshot, where `TorchEnergy` would see them.

    Args:
        module: torch.nn.Sequential of Linear layers, each but the last followed by SiLU, Tanh, ReLU, Softplus, Sigmoid
            or ELU with torch's default settings; the last has one output. float32 or float64.
        shape: shape of one configuration; default: (inputs,).
        domain: "real" or "angle".

    Raises:
        TypeError: a layer is of another kind, or in another place; the message says which.
        ValueError: the shape does not hold as many numbers as the network has inputs, or a weight is not finite.

    Example:
        >>> from torch import nn
        >>> network = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 1))
        >>> CompiledNetwork(network)
        CompiledNetwork(2-8-1, SiLU, shape=(2,), domain='real')
    """

    def __init__(self, module: Any, *, shape: Any = None, domain: str = "real") -> None:
        if domain not in protocols.CONTINUOUS:
            raise ValueError(f"domain must be real or angle, got {domain!r}")
        self.domain = domain
        linear, self.activations = _layers(module)
        self.weights = [layer.weight.detach().cpu().numpy().copy() for layer in linear]
        self.biases = [
            np.zeros(layer.out_features, w.dtype) if layer.bias is None else layer.bias.detach().cpu().numpy().copy()
            for layer, w in zip(linear, self.weights, strict=True)
        ]
        dtype = self.weights[0].dtype
        if not all(np.isfinite(array).all() for array in (*self.weights, *self.biases)):
            raise ValueError("the weights and biases of module must be finite, got NaN or infinity in them")
        self.units = [w.shape[1] for w in self.weights]
        self.shape = check_shape((self.units[0],) if shape is None else shape)
        if math.prod(self.shape) != self.units[0]:
            raise ValueError(f"shape must hold the network's {self.units[0]} inputs, got {self.shape}")
        params = (
            np.array(self.units, np.int64),
            np.array([ACTIVATIONS.index(name) for name in self.activations], np.int64),
            np.concatenate([w.T.ravel() for w in self.weights]),
            np.concatenate([w.ravel() for w in self.weights]),
            np.concatenate([np.zeros(self.units[0], dtype), *self.biases]),  # in the place of each unit, inputs too
        )
        self._functions = (_SINGLE if dtype == np.float32 else _DOUBLE)._replace(params=params)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return self._functions

    def parameters(self) -> dict[str, Any]:
        """Return shape, domain, activations, weights and biases."""
        layers = {f"weights[{i}]": w for i, w in enumerate(self.weights)}
        biases = {f"biases[{i}]": b for i, b in enumerate(self.biases)}
        return {"shape": self.shape, "domain": self.domain, "activations": self.activations, **layers, **biases}

    def __repr__(self) -> str:
        units = "-".join(str(n) for n in (*self.units, 1))
        names = ", ".join(dict.fromkeys(self.activations)) or "linear"
        return f"CompiledNetwork({units}, {names}, shape={self.shape}, domain={self.domain!r})"


def _layers(module: Any) -> tuple[list[Any], list[str]]:
    """Return the linear layers and the names of the activations between them, or raise saying what does not fit."""
    from torch import float32, float64, nn

    if not isinstance(module, nn.Sequential):
        raise TypeError(f"module must be a torch.nn.Sequential, got {type(module).__name__}: use TorchEnergy")
    linear, between = list(module[::2]), list(module[1::2])
    for place, layer in enumerate(module):
        name, fits = type(layer).__name__, isinstance(layer, nn.Linear)
        if place % 2 == 1:
            fits = name in ACTIVATIONS and _settings(layer) == _settings(getattr(nn, name)())
        if not fits:
            need = "Linear" if place % 2 == 0 else "one of " + ", ".join(ACTIVATIONS) + " with its default settings"
            raise TypeError(f"module[{place}] must be {need}, got {layer}: use TorchEnergy")
    if len(linear) != len(between) + 1 or linear[-1].out_features != 1:
        raise TypeError(
            f"module must end in a Linear layer with one output, got {module[-1] if len(module) else 'none'}"
        )
    kinds = {p.dtype for p in module.parameters()}
    if kinds not in ({float32}, {float64}):
        raise TypeError(f"module must be all float32 or all float64, got {', '.join(map(str, kinds))}")
    return linear, [type(layer).__name__ for layer in between]


def _settings(activation: Any) -> dict[str, Any]:
    """Return what an activation's values depend on."""
    return {k: v for k, v in vars(activation).items() if k[0] != "_" and k not in ("training", "inplace")}
