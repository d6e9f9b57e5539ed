"""Walks among codes: lines and arcs between two of them, traversals of one, and images made again from their codes.

Arrays in, arrays out, for every model with ``infer(x)`` (codes of configurations) and ``decode(z)`` (their means).
"""

from typing import Any, NamedTuple

import numpy as np
import torch

from ebm.energy import finite_array
from samplers import protocols


class Codes(NamedTuple):
    """Mean and standard deviation of the Gaussian of each code, (n, latent) each."""

    mean: np.ndarray
    sigma: np.ndarray


def as_codes(mean: torch.Tensor, sigma: torch.Tensor) -> Codes:
    """Return codes in double precision from tensors (n, latent), as copies."""
    return Codes(mean.double().cpu().numpy().copy(), sigma.double().cpu().numpy().copy())


def interpolate(a: Any, b: Any, steps: int, kind: str = "linear") -> np.ndarray:
    """Return codes on the way from a to b, both included, (steps, latent).

        linear       z(t) = (1 - t) a + t b
        spherical    z(t) = [sin((1 - t) w) a + sin(t w) b] / sin w,    w the angle between a and b (Shoemake 1985)

    In many dimensions Gaussian codes lie near a sphere, of radius sqrt(latent), which a line leaves and an arc does
    not (White 2016).

    Args:
        a: a code, (latent,).
        b: another, (latent,).
        steps: codes, at least 2.
        kind: "linear" or "spherical"; an arc needs codes that are neither zero nor opposite.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> interpolate([1.0, 0.0], [0.0, 1.0], 3, "spherical").round(4)
        array([[1.    , 0.    ],
               [0.7071, 0.7071],
               [0.    , 1.    ]])
    """
    a = finite_array(a, "a", (None,))
    b = finite_array(b, "b", a.shape)
    protocols.check_positive(steps, "steps", integer=True)
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}")
    if kind not in ("linear", "spherical"):
        raise ValueError(f'kind must be "linear" or "spherical", got {kind!r}')
    t = np.linspace(0.0, 1.0, steps)[:, None]
    if kind == "linear":
        return (1.0 - t) * a + t * b
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    if lengths == 0.0:
        raise ValueError("a and b must not be zero for a spherical interpolation")
    # The angle by its half: an arc cosine would lose half of the digits of a small one.
    first, second = a / np.linalg.norm(a), b / np.linalg.norm(b)
    angle = 2.0 * np.arctan2(np.linalg.norm(first - second), np.linalg.norm(first + second))
    if np.pi - angle < 1e-6:
        raise ValueError("a and b must not be opposite for a spherical interpolation: every arc would do")
    if angle < 1e-8:  # an arc so short is a line
        return (1.0 - t) * a + t * b
    return (np.sin((1.0 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)


def traverse(z: Any, axis: int, values: Any) -> np.ndarray:
    """Return copies of a code z (latent,) with these values along one axis, (len(values), latent).

    Raises:
        ValueError: there is no such axis.

    Example:
        >>> traverse([0.5, 0.5], 1, [-1, 1])
        array([[ 0.5, -1. ],
               [ 0.5,  1. ]])
    """
    z, values = finite_array(z, "z", (None,)), finite_array(values, "values", (None,))
    if not 0 <= axis < len(z):
        raise ValueError(f"axis must be 0 to {len(z) - 1}, got {axis}")
    codes = np.tile(z, (len(values), 1))
    codes[:, axis] = values
    return codes


@torch.no_grad()
def decoded(model: Any, z: Any) -> np.ndarray:
    """Return the mean of x at codes z (n, latent), (n, *shape)."""
    codes = finite_array(z, "z", (None, model.latent))
    return model.decode(torch.tensor(codes, dtype=model.dtype, device=model.device)).cpu().numpy()


def reconstructed(model: Any, x: Any, **options: Any) -> np.ndarray:
    """Return configurations x (n, *shape) made again from the means of their codes; options are those of `infer`."""
    return decoded(model, model.infer(x, **options).mean)
