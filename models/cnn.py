"""Convolutional networks: filters that are the same everywhere in an image, so that what moves is seen where it went.

    plain       for each number of channels: a 3 x 3 convolution, an activation, and the maximum over squares of 2 x 2
                (LeCun et al. 1998); then fully connected layers
    residual    a 3 x 3 convolution and the maximum over 2 x 2; for each number of channels, blocks

                    y = f(x' + norm(W_2 * f(norm(W_1 * x)))),      x' = x, or a mean over 2 x 2 and a 1 x 1 convolution

                the first of which halves the image from the second number on (He et al. 2016, with the shortcut of He
                et al. 2019); then the mean over all places, and fully connected layers

Each block begins as f(x'), since the scale of its last norm begins at zero (Goyal et al. 2017): a deep network then
starts as a shallow one. Batch norm and dropout are as in `models.mlp`; layer norm is over channels and places.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ebm.networks import check_sizes
from models.decoders import layers
from models.initialisation import initialise
from models.mlp import fully_connected
from models.streams import seeded
from models.supervised import Supervised, check_settings, outputs_of
from samplers import protocols


class CNN(Supervised):
    """A convolutional network for classification or regression of images.

    Args:
        shape: (height, width) or (channels, height, width) of one image.
        classes: number of classes, or None for a regression of one number.
        channels: of the convolutional layers, or of the stages of a residual network.
        blocks: residual blocks of each stage; 0: a plain network.
        hidden: units of the fully connected layers before the output.
        activation: Sigmoid, Tanh, ReLU, LeakyReLU, ELU, GELU, Softplus or SiLU.
        norm: "batch" or "layer", after each convolution; None: none. Residual blocks need one.
        dropout: probability of a number that enters a fully connected layer to be left out in training.
        initialisation, scale: of the weights, as of `models.MLP`.
        seed: seed of the weights.

    Raises:
        ValueError: an argument is out of range, or the image is too small to be halved so often.

    Example:
        >>> import numpy as np
        >>> images = np.zeros((5, 28, 28))
        >>> CNN((28, 28), classes=10, channels=(8, 16), hidden=(32,), seed=0).predict(images).shape
        (5,)
        >>> CNN((28, 28), classes=10, channels=(8, 16), blocks=1, norm="batch", seed=0).logits(images).shape
        (5, 10)
    """

    def __init__(
        self, shape: Any, *, classes: int | None = None, channels: Sequence[int] = (16, 32), blocks: int = 0,
        hidden: Sequence[int] = (), activation: str = "ReLU", norm: str | None = None, dropout: float = 0.0,
        initialisation: str = "he", scale: float = 1.0, seed: int | None = None,
    ) -> None:  # fmt: skip
        shape = check_settings(shape, activation, norm, dropout)
        channels, hidden = check_sizes(channels, "channels"), layers(hidden, "hidden")
        protocols.check_positive(blocks, "blocks", integer=True, zero=True)
        if blocks and norm is None:
            raise ValueError(f'norm must be "batch" or "layer" in residual blocks, got None with blocks={blocks}')
        _check_image(shape, len(channels))
        depth, height, width = (1, *shape) if len(shape) == 2 else shape
        with seeded(seed):
            parts: list[nn.Module] = [nn.Unflatten(1, (1, height))] if len(shape) == 2 else []
            if blocks:
                parts += residual(depth, channels, blocks, activation, str(norm))
                features = channels[-1]
            else:
                parts += plain(depth, channels, activation, norm)
                features = channels[-1] * (height >> len(channels)) * (width >> len(channels))
            head = fully_connected(features, hidden, outputs_of(classes), activation, None, dropout)
            network = nn.Sequential(*parts, nn.Flatten(), *([nn.Dropout(dropout)] if dropout else []), *head)
            initialise(network, initialisation, scale)
        # The channels of one place side by side in memory: convolutions take two thirds of the time on a CPU.
        super().__init__({
            "shape": shape, "classes": classes, "channels": channels, "blocks": blocks, "hidden": hidden,
            "activation": activation, "norm": norm, "dropout": dropout, "initialisation": initialisation,
            "scale": scale,
        }, network.to(memory_format=torch.channels_last))  # fmt: skip


class Block(nn.Module):
    """A residual block (n, inputs, height, width) -> (n, outputs, height, width), or of half the size."""

    def __init__(self, inputs: int, outputs: int, halve: bool, activation: str, norm: str) -> None:
        super().__init__()
        make = getattr(nn, activation)
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 2 if halve else 1, 1, bias=False), norm_of(outputs, norm), make(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), norm_of(outputs, norm),
        )  # fmt: skip
        nn.init.zeros_(self.branch[-1].weight)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True)) if halve else nn.Sequential()
        if inputs != outputs:
            self.shortcut += nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), norm_of(outputs, norm))
        self.activation = make()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the block of x."""
        return self.activation(self.shortcut(x) + self.branch(x))


def plain(depth: int, channels: Sequence[int], activation: str, norm: str | None) -> list[nn.Module]:
    """Return the layers of a plain network, each of which halves the image (n, depth, height, width)."""
    parts: list[nn.Module] = []
    for c in channels:
        parts += [nn.Conv2d(depth, c, 3, 1, 1, bias=norm is None), *([norm_of(c, norm)] if norm else [])]
        parts += [getattr(nn, activation)(), nn.MaxPool2d(2)]
        depth = c
    return parts


def residual(depth: int, channels: Sequence[int], blocks: int, activation: str, norm: str) -> list[nn.Module]:
    """Return the layers of a residual network from images (n, depth, height, width) to (n, channels[-1], 1, 1)."""
    c = channels[0]
    parts = [nn.Conv2d(depth, c, 3, 1, 1, bias=False), norm_of(c, norm), getattr(nn, activation)(), nn.MaxPool2d(2)]
    for stage, outputs in enumerate(channels):
        for i in range(blocks):
            parts.append(Block(c, outputs, stage > 0 and i == 0, activation, norm))
            c = outputs
    return [*parts, nn.AdaptiveAvgPool2d(1)]


def norm_of(channels: int, norm: str) -> nn.Module:
    """Return batch norm, or layer norm over channels and places."""
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(1, channels)


def _check_image(shape: tuple[int, ...], halvings: int) -> None:
    least = 2**halvings
    if len(shape) not in (2, 3) or min(shape[-2:]) < least:
        raise ValueError(
            f"shape must be (height, width) or (channels, height, width) with sides of at least {least} for "
            f"{halvings} numbers of channels, got {shape}"
        )
