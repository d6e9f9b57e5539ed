"""A small torch network compiled whole: its energy and gradient inside the compiled loops of the samplers.

In the array tier a step through a network of a hundred units is mostly overhead, and more so the fewer chains there
are. Here eight chains go through the layers together (see ebm.network_passes), and each such group through all its
steps by itself. Networks so wide that a layer does not fit into the caches belong into the array tier.
"""

import math
from typing import Any

import numpy as np

from ebm.energy import Energy, check_shape
from ebm.network_passes import ACTIVATIONS, DOUBLE, SINGLE
from samplers import protocols
from samplers.compiled import Functions
from samplers.small_products import BYTES


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
        padded = [-(-n * dtype.itemsize // BYTES) * BYTES // dtype.itemsize for n in self.units]
        params = (
            np.array(self.units, np.int64),
            np.array(padded, np.int64),
            np.array([ACTIVATIONS.index(name) for name in self.activations], np.int64),
            _rows([w.T for w in self.weights[:-1]], padded[1:], dtype),
            _rows(self.weights, padded, dtype),
            _rows([np.zeros((1, 1)), *(b[None] for b in self.biases)], [*padded, 1], dtype),  # in the place of a unit
        )
        self._functions = (SINGLE if dtype == np.float32 else DOUBLE)._replace(params=params)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return self._functions

    def shows(self, module: Any) -> bool:
        """Whether a network of this make has the same weights still."""
        now = [p.detach().numpy() for p in module.parameters()]
        mine = [array for pair in zip(self.weights, self.biases, strict=True) for array in pair]
        return all(np.array_equal(a, b) for a, b in zip(now, mine, strict=True))

    def parameters(self) -> dict[str, Any]:
        """Return shape, domain, activations, weights and biases."""
        layers = {f"weights[{i}]": w for i, w in enumerate(self.weights)}
        biases = {f"biases[{i}]": b for i, b in enumerate(self.biases)}
        return {"shape": self.shape, "domain": self.domain, "activations": self.activations, **layers, **biases}

    def __repr__(self) -> str:
        units = "-".join(str(n) for n in (*self.units, 1))
        names = ", ".join(dict.fromkeys(self.activations)) or "linear"
        return f"CompiledNetwork({units}, {names}, shape={self.shape}, domain={self.domain!r})"


def _rows(matrices: list[np.ndarray], widths: list[int], dtype: np.dtype) -> np.ndarray:
    """Return the matrices one after the other, flat, their rows filled up with zeros, on a boundary of BYTES."""
    filled = [np.pad(m, ((0, 0), (0, width - m.shape[1]))) for m, width in zip(matrices, widths, strict=True)]
    flat = np.concatenate([np.zeros(0), *(m.ravel() for m in filled)])
    raw = np.zeros(len(flat) * dtype.itemsize + BYTES, np.uint8)
    begin = -raw.ctypes.data % BYTES
    aligned = raw[begin : begin + len(flat) * dtype.itemsize].view(dtype)
    aligned[:] = flat
    return aligned


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
