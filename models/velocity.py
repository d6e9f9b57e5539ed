"""The velocity field of a flow: a fully connected network of time and place, smooth in both."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from ebm.networks import fully_connected

OF_TIME = 3  # the highest frequency of time; a field that can follow time more closely learns the noise of its data


class VelocityField(nn.Module):
    """v(t, y), (n, d), from t, y and their cosines and sines: of j y_i for j up to k, of pi j t for j up to 3 and k.

    Args:
        sites: d, numbers of a point.
        hidden: units of the hidden layers.
        frequencies: k.
    """

    def __init__(self, sites: int, hidden: Sequence[int], frequencies: int) -> None:
        super().__init__()
        of_time = min(frequencies, OF_TIME)
        self.register_buffer("of_time", math.pi * torch.arange(1.0, of_time + 1.0), persistent=False)
        self.register_buffer("of_place", torch.arange(1.0, frequencies + 1.0), persistent=False)
        inputs = 1 + 2 * of_time + sites * (1 + 2 * frequencies)
        self.network = fully_connected(inputs, hidden, sites, "SiLU")

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return v at times (n,), or one time, and points (n, d)."""
        t = t.to(y.dtype).expand(len(y))[:, None]
        phases = torch.cat((t * self.of_time, (y[:, :, None] * self.of_place).flatten(1)), 1)
        return self.network(torch.cat((t, y, phases.cos(), phases.sin()), 1))
