"""From a code to an image by convolutions, as in the DCGAN (Radford, Metz and Chintala 2016) but without batch norm.

Batch norm would tie a sample to the others of its batch, and its running means would not follow averaged parameters.
"""

import itertools
from collections.abc import Sequence

from torch import nn


def image_generator(latent: int, channels: Sequence[int], shape: tuple[int, ...], activation: str) -> nn.Sequential:
    """Return a network (n, latent) -> (n, *shape), the mirror image of `ebm.networks.convolutional`.

    A linear layer makes a small image of many channels; each transposed layer of 4 x 4 filters doubles it, and adds a
    row or a column where the size it comes to is odd; a layer of 3 x 3 filters ends it.

    Args:
        latent: numbers of a code.
        channels: of the layers, from the smallest image on; each but the last is followed by a doubling.
        shape: (height, width) or (channels, height, width), sides of at least 2^(layers - 1).
        activation: torch's name of it.

    Example:
        >>> import torch
        >>> image_generator(5, (8, 4), (7, 6), "ELU")(torch.zeros(2, 5)).shape
        torch.Size([2, 7, 6])
    """
    depth, height, width = (1, *shape) if len(shape) == 2 else shape
    halvings = len(channels) - 1
    small = (channels[0], height >> halvings, width >> halvings)
    layers: list[nn.Module] = [nn.Linear(latent, small[0] * small[1] * small[2]), nn.Unflatten(1, small)]
    for i, (a, b) in enumerate(itertools.pairwise(channels), 1):
        odd = tuple((side >> halvings - i) % 2 for side in (height, width))
        layers += [getattr(nn, activation)(), nn.ConvTranspose2d(a, b, 4, 2, 1, output_padding=odd)]
    layers += [getattr(nn, activation)(), nn.Conv2d(channels[-1], depth, 3, 1, 1)]
    return nn.Sequential(*layers, *([nn.Flatten(1, 2)] if len(shape) == 2 else []))
