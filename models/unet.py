"""A small U-Net (Ronneberger, Fischer and Brox 2015; Ho, Jain and Abbeel 2020): from images at a noise to images.

At each resolution a residual block of two 3 x 3 convolutions on the way down and one on the way up, which also sees
what was there on the way down; the level of noise scales and shifts the channels within each block.
"""

from collections.abc import Sequence

import torch
from torch import nn

from models.noise_conditioned import Level

GROUPS = 4  # of channels that are normalised together


class Block(nn.Module):
    """A residual block: x + convolution(normalised, scaled and shifted by the level, convolution(normalised x))."""

    def __init__(self, inputs: int, outputs: int, features: int, activation: str) -> None:
        super().__init__()
        make = getattr(nn, activation)
        self.first = nn.Sequential(nn.GroupNorm(GROUPS, inputs), make(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.steer = nn.Linear(features, 2 * outputs)
        self.norm = nn.GroupNorm(GROUPS, outputs)
        self.second = nn.Sequential(make(), nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Return the block of x (n, inputs, height, width) at the level's features (n, features)."""
        scale, shift = self.steer(level)[:, :, None, None].chunk(2, 1)
        return self.skip(x) + self.second(self.norm(self.first(x)) * (1.0 + scale) + shift)


class UNet(nn.Module):
    """A U-Net from images (n, *shape) and levels (n,) to (n, *shape).

    Args:
        shape: (height, width) or (channels, height, width).
        channels: at each resolution, from the full one, each half of the one before: multiples of 4.
        activation: name of torch's activation.

    Raises:
        ValueError: the sides cannot be halved so often, or channels are no multiples of 4.
    """

    def __init__(self, shape: tuple[int, ...], channels: Sequence[int], activation: str) -> None:
        super().__init__()
        halvings = 2 ** (len(channels) - 1)
        if len(shape) not in (2, 3) or shape[-2] % halvings or shape[-1] % halvings:
            raise ValueError(
                f"channels needs a shape (height, width) or (channels, height, width) with sides that are multiples "
                f"of {halvings} for {len(channels)} resolutions, got {shape}"
            )
        if any(c % GROUPS for c in channels):
            raise ValueError(f"channels must be multiples of {GROUPS}, got {tuple(channels)}")
        self.depth, features = 1 if len(shape) == 2 else shape[0], 4 * channels[0]
        self.level = Level(features, activation)
        self.enter = nn.Conv2d(self.depth, channels[0], 3, padding=1)
        self.down, self.up, self.shrink, self.grow = (nn.ModuleList() for _ in range(4))
        for i, c in enumerate(channels):
            self.down.append(Block(c, c, features, activation))
            self.up.append(Block(2 * c, c, features, activation))
            if i + 1 < len(channels):
                self.shrink.append(nn.Conv2d(c, channels[i + 1], 3, stride=2, padding=1))
                self.grow.append(
                    nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(channels[i + 1], c, 3, padding=1))
                )
        self.middle = Block(channels[-1], channels[-1], features, activation)
        self.leave = nn.Sequential(
            nn.GroupNorm(GROUPS, channels[0]),
            getattr(nn, activation)(),
            nn.Conv2d(channels[0], self.depth, 3, padding=1),
        )

    def forward(self, x: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        """Return the network's output."""
        level = self.level(log_snr)
        h = self.enter(x.reshape(len(x), self.depth, *x.shape[-2:]))
        seen = []
        for i, block in enumerate(self.down):
            h = block(h, level)
            seen.append(h)
            h = self.shrink[i](h) if i < len(self.shrink) else h
        h = self.middle(h, level)
        for i in reversed(range(len(self.up))):
            h = self.up[i](torch.cat([h, seen[i]], 1), level)
            h = self.grow[i - 1](h) if i else h
        return self.leave(h).reshape(x.shape)
