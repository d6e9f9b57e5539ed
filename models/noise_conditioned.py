"""A network that knows the level of noise: lambda, the logarithm of the signal-to-noise ratio, steers every layer.

Levels and coordinates enter as waves, since what a denoiser knows of fine detail fades as noise grows:

    lambda -> sin w lambda, cos w lambda        w from 1/32 to 2: the slowest tells all levels apart
    x_i -> x_i, sin w x_i, cos w x_i            w = 1, 2, 4, ... in units of the inverse width of the data

(Tancik et al. 2020 show what waves do for coordinates.) In each layer, with scale s and shift t of every unit functions
of the level (Perez et al. 2018),

    h <- h + B activation((1 + s) A norm(h) + t)
"""

from collections.abc import Sequence

import torch
from torch import nn

from ebm.networks import sites

WAVES = 8  # of lambda


class Level(nn.Module):
    """Features of levels lambda: (n,) -> (n, features), from which layers take their scales and shifts."""

    def __init__(self, features: int, activation: str) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2.0 ** torch.linspace(-5.0, 1.0, WAVES), persistent=False)
        self.layers = nn.Sequential(nn.Linear(2 * WAVES, features), getattr(nn, activation)())

    def forward(self, log_snr: torch.Tensor) -> torch.Tensor:
        """Return the features of these levels."""
        phase = log_snr[:, None] * self.frequencies
        return self.layers(torch.cat([phase.sin(), phase.cos()], 1))


class Layer(nn.Module):
    """One residual layer, from (n, units) to (n, units), steered by the features of the level (n, features)."""

    def __init__(self, units: int, inner: int, features: int, activation: str) -> None:
        super().__init__()
        self.norm, self.A, self.steer = nn.LayerNorm(units), nn.Linear(units, inner), nn.Linear(features, 2 * inner)
        self.activation, self.B = getattr(nn, activation)(), nn.Linear(inner, units)

    def forward(self, h: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Return the layer's output."""
        scale, shift = self.steer(level).chunk(2, 1)
        return h + self.B(self.activation((1.0 + scale) * self.A(self.norm(h)) + shift))


class NoiseConditionedMLP(nn.Module):
    """A network of fully connected layers from configurations (n, *shape) and levels (n,) to (n, *shape).

    Args:
        shape: of one configuration.
        hidden: units inside each layer; the first number is also that of the units between layers.
        waves: frequencies of every coordinate, from 0.
        activation: name of torch's activation.
    """

    def __init__(self, shape: tuple[int, ...], hidden: Sequence[int], waves: int, activation: str) -> None:
        super().__init__()
        n, units = sites(shape), hidden[0]
        self.register_buffer("frequencies", 2.0 ** torch.arange(waves), persistent=False)
        self.level = Level(units, activation)
        self.enter = nn.Linear(n * (1 + 2 * waves), units)
        self.layers = nn.ModuleList(Layer(units, inner, units, activation) for inner in hidden)
        self.leave = nn.Sequential(nn.LayerNorm(units), getattr(nn, activation)(), nn.Linear(units, n))

    def forward(self, x: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        """Return the network's output."""
        flat, level = x.flatten(1), self.level(log_snr)
        phase = (flat[:, :, None] * self.frequencies).flatten(1)
        h = self.enter(torch.cat([flat, phase.sin(), phase.cos()], 1))
        for layer in self.layers:
            h = layer(h, level)
        return self.leave(h).reshape(x.shape)
