"""Networks that know the level of noise: waves of lambda, the logarithm of the signal-to-noise ratio, join the input.

    waves(lambda) = (sin w_k lambda, cos w_k lambda),      w_k from 1/32 to 2 in equal ratios

The slowest tells all levels from each other, the fastest resolves half a unit of lambda.
"""

from collections.abc import Sequence

import torch
from torch import nn

from ebm.networks import fully_connected, sites

WAVES = 8


class Waves(nn.Module):
    """Levels (n,) -> (n, 2 * WAVES)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2.0 ** torch.linspace(-5.0, 1.0, WAVES), persistent=False)

    def forward(self, log_snr: torch.Tensor) -> torch.Tensor:
        """Return the waves at these levels."""
        phase = log_snr[:, None] * self.frequencies
        return torch.cat([phase.sin(), phase.cos()], 1)


class NoiseConditionedMLP(nn.Module):
    """A fully connected network from configurations (n, *shape) and levels (n,) to (n, *shape).

    Args:
        shape: of one configuration.
        hidden: units of the hidden layers.
        activation: name of torch's activation.
    """

    def __init__(self, shape: tuple[int, ...], hidden: Sequence[int], activation: str) -> None:
        super().__init__()
        n = sites(shape)
        self.waves, self.layers = Waves(), fully_connected(n + 2 * WAVES, hidden, n, activation)

    def forward(self, x: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        """Return the network's output."""
        return self.layers(torch.cat([x.flatten(1), self.waves(log_snr)], 1)).reshape(x.shape)
