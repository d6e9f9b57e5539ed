"""The torch networks inside energies and scores: fully connected or convolutional, made from sizes and a seed.

Weights are drawn as torch draws them (He 2015, uniform), from a stream of their own: the global generator of torch is
left alone.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ebm.network_passes import ACTIVATIONS
from samplers import protocols


def fully_connected(inputs: int, hidden: Sequence[int], outputs: int, activation: str) -> Any:
    """Return a torch.nn.Sequential: Linear layers of these sizes with the activation between them."""
    from torch import nn

    units = [inputs, *hidden]
    layers: list[Any] = []
    for a, b in itertools.pairwise(units):
        layers += [nn.Linear(a, b), getattr(nn, activation)()]
    return nn.Sequential(*layers, nn.Linear(units[-1], outputs))


def convolutional(shape: tuple[int, ...], channels: Sequence[int], activation: str) -> Any:
    """Return a network from images, (height, width) or (channels, height, width), to one number.

    The first layer of 3 x 3 filters keeps the size of the image, each further one of 4 x 4 filters halves it, and a
    linear layer ends it.
    """
    from torch import nn

    depth, height, width = (1, *shape) if len(shape) == 2 else shape
    layers: list[Any] = [nn.Unflatten(1, (1, height))] if len(shape) == 2 else []
    for i, c in enumerate(channels):
        layers += [nn.Conv2d(depth, c, 3, 1, 1) if i == 0 else nn.Conv2d(depth, c, 4, 2, 1), getattr(nn, activation)()]
        height, width, depth = (height, width, c) if i == 0 else (height // 2, width // 2, c)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(depth * height * width, 1))


def build(make: Any, seed: int | None, dtype: str, device: Any, weights: Any) -> Any:
    """Return make() with its weights drawn from `seed`, or set from one flat array, in a precision, on a device."""
    import torch

    if dtype not in ("float32", "float64"):
        raise ValueError(f'dtype must be "float32" or "float64", got {dtype!r}')
    if seed is not None:
        protocols.check_positive(seed, "seed", integer=True, zero=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(np.random.SeedSequence(seed).generate_state(1, np.uint64).astype(np.int64)[0])
        module = make().to(device=device, dtype=getattr(torch, dtype))
    if weights is not None:
        flat = np.asarray(weights)
        count = sum(p.numel() for p in module.parameters())
        if flat.shape != (count,) or not np.isfinite(flat).all():
            raise ValueError(f"weights must be {count} finite numbers, got shape {flat.shape}")
        with torch.no_grad():
            tensor = torch.as_tensor(flat, dtype=getattr(torch, dtype), device=device)
            torch.nn.utils.vector_to_parameters(tensor, module.parameters())
    return module


def flat_weights(module: Any) -> np.ndarray:
    """Return all weights of a module in one flat array, in the order of its parameters."""
    return np.concatenate([p.detach().cpu().numpy().ravel() for p in module.parameters()])


def check_sizes(sizes: Any, name: str) -> tuple[int, ...]:
    """Return the sizes of layers as a tuple of positive integers, at least one."""
    if not isinstance(sizes, Sequence) or not len(sizes):
        raise ValueError(f"{name} must be a sequence of positive integers, got {sizes!r}")
    for n in sizes:
        protocols.check_positive(n, name, integer=True)
    return tuple(int(n) for n in sizes)


def check_activation(activation: str) -> None:
    """Raise unless torch's activation of this name is one that networks here may have."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")


def check_image(shape: tuple[int, ...], channels: tuple[int, ...]) -> None:
    """Raise unless an image of this shape can be halved as often as there are layers after the first."""
    least = 2 ** (len(channels) - 1)
    if len(shape) not in (2, 3) or min(shape[-2:]) < least:
        raise ValueError(
            f"channels needs a shape (height, width) or (channels, height, width) with sides of at least {least} for "
            f"{len(channels)} layers, got {shape}"
        )


def sites(shape: tuple[int, ...]) -> int:
    """Return how many numbers a configuration has."""
    return math.prod(shape)
