"""Convolutional networks to and from a flat row of numbers: the two halves of an image's way through a code.

Each layer of 4 x 4 filters with a stride of 2 halves the image, rounding down; on the way back a transposed one doubles
it and adds a row or a column where the size was odd, so that every size comes back. Layers of 4 x 4 overlap evenly
(Odena, Dumoulin and Olah 2016): they leave no checkerboard.
"""

from collections.abc import Sequence

from torch import nn

from ebm.networks import fully_connected


def encoder(
    shape: tuple[int, ...], channels: Sequence[int], hidden: Sequence[int], outputs: int, activation: str
) -> nn.Sequential:
    """Return a network (n, sites) -> (n, outputs): convolutions of these channels, then fully connected layers.

    Example:
        >>> import torch
        >>> encoder((7, 9), (4, 8), (16,), 6, "SiLU")(torch.zeros(2, 63)).shape
        torch.Size([2, 6])
    """
    sizes = _sizes(shape, channels)
    layers: list[nn.Module] = [nn.Unflatten(1, sizes[0])]
    for (depth, *_), c in zip(sizes, channels, strict=False):
        layers += [nn.Conv2d(depth, c, 4, 2, 1), getattr(nn, activation)()]
    depth, height, width = sizes[-1]
    return nn.Sequential(*layers, nn.Flatten(), *fully_connected(depth * height * width, hidden, outputs, activation))


def decoder(
    inputs: int, hidden: Sequence[int], channels: Sequence[int], shape: tuple[int, ...], activation: str
) -> nn.Sequential:
    """Return a network (n, inputs) -> (n, sites), the mirror image of an encoder of these `hidden` and `channels`."""
    sizes = _sizes(shape, channels)
    depth, height, width = sizes[-1]
    layers = [*fully_connected(inputs, hidden[::-1], depth * height * width, activation), nn.Unflatten(1, sizes[-1])]
    for small, large in zip(sizes[:0:-1], sizes[-2::-1], strict=True):
        odd = tuple(b - 2 * a for a, b in zip(small[1:], large[1:], strict=True))
        layers += [
            getattr(nn, activation)(),
            nn.ConvTranspose2d(small[0], large[0], 4, 2, 1, output_padding=odd),
        ]
    return nn.Sequential(*layers, nn.Flatten())


def _sizes(shape: tuple[int, ...], channels: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (channels, height, width) of the image and after each layer."""
    least = 2 ** len(channels)
    if len(shape) not in (2, 3) or min(shape[-2:]) < least:
        raise ValueError(
            f"channels needs a shape (height, width) or (channels, height, width) with sides of at least {least} for "
            f"{len(channels)} layers, got {shape}"
        )
    depth, height, width = (1, *shape) if len(shape) == 2 else shape
    sizes = [(depth, height, width)]
    for i, c in enumerate(channels, 1):
        sizes.append((c, height >> i, width >> i))
    return sizes
