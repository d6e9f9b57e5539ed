"""A neural network as an energy, confined by a quadratic well, since a network of ReLUs alone is unbounded below.

E(x) = f(x) + sum_i (x_i - m_i)^2 / 2 s^2
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from ebm.algebra import sum_functions
from ebm.compiled_network import CompiledNetwork
from ebm.energy import check_shape, finite_array
from ebm.network_passes import DOUBLE, SINGLE
from ebm.networks import (
    build,
    check_activation,
    check_image,
    check_sizes,
    convolutional,
    flat_weights,
    fully_connected,
    sites,
)
from ebm.own import TorchEnergy
from samplers import protocols
from samplers.compiled import Functions, functions
from samplers.inner import inline

MOST_WEIGHTS = 2**18  # of a network that is compiled: a megabyte in single precision


@inline
def _well(x, p):
    square = x[0] * 0.0
    for i in range(x.shape[0]):
        square += (x[i] - p[0][i]) * (x[i] - p[0][i])
    return square * p[1]


@inline
def _well_gradient(x, weight, p, out):
    for i in range(x.shape[0]):
        out[i] += weight * (2.0 * p[1]) * (x[i] - p[0][i])


_WELL = functions(_well, _well_gradient)._replace(lanes=True)


@cache
def _confined(dtype: str) -> Functions:
    """Return the functions of a network in a quadratic well."""
    return sum_functions(SINGLE if dtype == "float32" else DOUBLE, _WELL)


class NeuralEnergy(TorchEnergy):
    """A network with one output as an energy over real configurations, E(x) = f(x) + |x - mean|^2 / 2 width^2.

    Without the network it is a Gaussian of that mean and width, which is also where chains should begin: choose them
    as those of the data, or wider.

    Args:
        shape: shape of one configuration; (height, width) or (channels, height, width) with `channels`.
        hidden: units of the hidden layers of a fully connected network.
        channels: channels of the layers of a convolutional network, which it then is.
        network: a torch module (n, *shape) -> (n,) or (n, 1) of your own, instead; such an energy cannot be saved.
        activation: SiLU, Tanh, ReLU, Softplus, Sigmoid or ELU. Score matching needs a smooth one.
        mean: centre of the quadratic, a number or an array of the shape, in the unit of x.
        width: its width, positive, in the unit of x.
        seed: seed of the weights.
        dtype: "float32" or "float64", of the network.
        device: where torch keeps it.
        weights: all weights in one flat array, in the order of the module's parameters.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> energy = NeuralEnergy((2,), hidden=(16,), width=2.0, seed=0)
        >>> energy(np.zeros((3, 2))).shape
        (3,)
    """

    def __init__(
        self,
        shape: Any,
        *,
        hidden: Sequence[int] = (128, 128),
        channels: Sequence[int] | None = None,
        network: Any = None,
        activation: str = "SiLU",
        mean: Any = 0.0,
        width: float = 1.0,
        seed: int | None = None,
        dtype: str = "float32",
        device: Any = "cpu",
        weights: Any = None,
    ) -> None:
        shape = check_shape(shape)
        check_activation(activation)
        protocols.check_positive(width, "width")
        self.hidden, self.channels = check_sizes(hidden, "hidden"), None
        self.activation, self.width, self.dtype = activation, float(width), dtype
        self.mean = finite_array(np.broadcast_to(np.asarray(mean, np.float64), shape), "mean", shape).copy()
        self.saved = network is None  # a module of code does not fit into a file of numbers
        if network is None and channels is not None:
            self.channels = check_sizes(channels, "channels")
            check_image(shape, self.channels)
            network = build(lambda: convolutional(shape, self.channels, activation), seed, dtype, device, weights)
        elif network is None:
            n = sites(shape)
            network = build(lambda: _flattened(shape, n, self.hidden, activation), seed, dtype, device, weights)
        super().__init__(network, shape=shape, device=device)
        count = sum(p.numel() for p in network.parameters()) if self.saved else 0
        self._small = self.saved and self.channels is None and str(device) == "cpu" and count <= MOST_WEIGHTS
        self._layers = network if len(shape) == 1 or not self._small else network[1:]  # without the one that flattens
        self._snapshot: CompiledNetwork | None = None

    @property
    def compiled(self) -> Functions | None:  # type: ignore[override]
        """The numba functions at the present weights, of a small fully connected network on the CPU; else None."""
        if not self._small:
            return None
        if self._snapshot is None or not self._snapshot.shows(self.module):
            self._snapshot = CompiledNetwork(self._layers, shape=self.shape)
        well = self.mean.ravel(), 0.5 / self.width**2
        return _confined(self.dtype)._replace(params=(self._snapshot.compiled.params, well, 0))

    def _value(self, x: Any) -> Any:
        import torch

        mean = torch.as_tensor(self.mean, dtype=x.dtype, device=x.device)
        return super()._value(x) + (x - mean).flatten(1).square().sum(1) / (2.0 * self.width**2)

    def parameters(self) -> dict[str, Any]:
        """Return the arguments that make this energy anew."""
        own = {"shape": self.shape, "activation": self.activation, "mean": self.mean, "width": self.width}
        layers = {"hidden": self.hidden} if self.channels is None else {"channels": self.channels}
        return {**own, **layers, "dtype": self.dtype, "weights": flat_weights(self.module)}

    def __repr__(self) -> str:
        layers = f"hidden={self.hidden}" if self.channels is None else f"channels={self.channels}"
        layers = layers if self.saved else f"network={type(self.module).__name__}"
        return f"NeuralEnergy({self.shape}, {layers}, width={self.width:g})"


def _flattened(shape: tuple[int, ...], n: int, hidden: Sequence[int], activation: str) -> Any:
    from torch import nn

    layers = fully_connected(n, hidden, 1, activation)
    return layers if len(shape) == 1 else nn.Sequential(nn.Flatten(), *layers)
