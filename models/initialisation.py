"""How the weights of a network begin. Biases begin at zero.

    zeros          W = 0: all units of a layer are alike, and stay so
    constant       W = scale, alike too
    normal         W ~ N(0, scale^2), whatever the size of the layer
    xavier         W ~ N(0, scale^2 2 / (fan_in + fan_out)): keeps the variance of activations and of gradients of units
                   that are linear near zero, such as tanh (Glorot and Bengio 2010)
    he             W ~ N(0, scale^2 2 / fan_in): keeps the mean square of activations, half of which a ReLU takes away
                   (He et al. 2015)
    orthogonal     W = scale Q with rows or columns that are orthonormal (Saxe, McClelland and Ganguli 2014): keeps the
                   length of every vector, in linear networks of any depth

fan_in and fan_out are the numbers that enter a unit and the units that a number enters, times the area of a filter.
"""

import math

import torch
from torch import nn

from samplers import protocols

INITIALISATIONS = ("zeros", "constant", "normal", "xavier", "he", "orthogonal")


@torch.no_grad()
def initialise(network: nn.Module, scheme: str, scale: float = 1.0) -> None:
    """Draw the weights of all linear and convolutional layers, in place, by torch's generator; biases become zero.

    Args:
        network: any module.
        scheme: one of `INITIALISATIONS`, as in this module's equations.
        scale: factor of the weights, of either sign for "constant", else positive; of no use to "zeros".

    Raises:
        ValueError: there is no such scheme, or the scale is out of range.

    Example:
        >>> layer = nn.Linear(3, 2)
        >>> initialise(layer, "constant", 0.5)
        >>> layer.weight.tolist(), layer.bias.tolist()
        ([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], [0.0, 0.0])
    """
    check_initialisation(scheme, scale)
    for module in network.modules():
        if not isinstance(module, nn.Linear | nn.Conv2d):
            continue
        if module.bias is not None:
            module.bias.zero_()
        w = module.weight
        fan_in, fan_out = w[0].numel(), w.shape[0] * w[0, 0].numel()
        if scheme == "zeros":
            w.zero_()
        elif scheme == "constant":
            w.fill_(scale)
        elif scheme == "orthogonal":
            nn.init.orthogonal_(w, scale)
        else:
            variance = {"normal": 1.0, "xavier": 2.0 / (fan_in + fan_out), "he": 2.0 / fan_in}[scheme]
            w.normal_(0.0, scale * math.sqrt(variance))


def check_initialisation(scheme: str, scale: float) -> None:
    """Raise unless there is such a scheme and the scale fits it."""
    if scheme not in INITIALISATIONS:
        raise ValueError(f"initialisation must be one of {', '.join(INITIALISATIONS)}, got {scheme!r}")
    if scheme == "constant":
        if not math.isfinite(scale):
            raise ValueError(f"scale must be finite, got {scale}")
    else:
        protocols.check_positive(scale, "scale")
