"""The velocity field of a flow: a fully connected network of time and place, smooth in both."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from ebm.networks import fully_connected


class VelocityField(nn.Module):
    """v(t, y), (n, d), from y, t and their cosines and sines at frequencies 1 to k: cos j y_i, sin j y_i, cos pi j t.

    Args:
        sites: d, numbers of a point.
        hidden: units of the hidden layers.
        frequencies: k.
    """

    def __init__(self, sites: int, hidden: Sequence[int], frequencies: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.arange(1.0, frequencies + 1.0), persistent=False)
        self.network = fully_connected((sites + 1) * (1 + 2 * frequencies), hidden, sites, "SiLU")

    def forward(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return v at times (n,), or one time, and points (n, d)."""
        t = math.pi * t.to(y.dtype).expand(len(y))[:, None]
        place = torch.cat((t, y), 1)  # (n, 1 + d)
        phases = (place[:, :, None] * self.frequencies).flatten(1)
        return self.network(torch.cat((place, phases.cos(), phases.sin()), 1))
