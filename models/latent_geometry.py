"""The geometry that a decoder f gives to its codes (Arvanitidis, Hansen and Hauberg 2018).

A step dz of a code moves the mean of x by J dz, J = df/dz. Lengths in the space of x make a metric of the codes,

    |J dz|^2 = dz M(z) dz,      M = J^T J   (the pull-back metric),      volume element sqrt(det M).

The shortest path between two codes minimises the energy of a curve z(t), 1/2 int |d f(z(t)) / dt|^2 dt, and is run
through at constant speed. Units: of x for lengths, of x^2 for M.

Models are any with ``decode(z)``; all is computed in double precision, on a copy.
"""

import copy
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize

from ebm.energy import finite_array
from models.latent import interpolate
from samplers import protocols

GRADIENT = 1e-9  # at which a path has relaxed; its energy is measured in that of the straight line


class Geodesic(NamedTuple):
    """A path of codes (points, latent), its length in the space of x, and the length of the straight line of codes."""

    codes: np.ndarray
    length: float
    straight: float


def pullback_metric(model: Any, z: Any) -> np.ndarray:
    """Return M = J^T J of the decoder at codes z (n, latent): (n, latent, latent), in units of x^2.

    Example:
        >>> import models
        >>> vae = models.VAE((5,), latent=2, hidden=(), likelihood="gaussian", seed=1)  # linear: M is the same anywhere
        >>> M = pullback_metric(vae, [[0.0, 0.0], [3.0, -2.0]])
        >>> W = vae.decoder.network[0].weight.detach().double().numpy()
        >>> bool(np.allclose(M, W.T @ W))
        True
    """
    codes = torch.tensor(finite_array(z, "z", (None, None)))
    decode = _decoder(model)
    columns = []
    for axis in range(codes.shape[1]):
        direction = torch.zeros_like(codes)
        direction[:, axis] = 1.0
        # Rows do not know of each other, so that one derivative along an axis serves all of them.
        _, slope = torch.autograd.functional.jvp(decode, codes, direction)
        columns.append(slope)
    J = torch.stack(columns, 2)  # (n, sites, latent)
    return (J.transpose(1, 2) @ J).numpy()


def log_volume(model: Any, z: Any) -> np.ndarray:
    """Return the logarithm of the volume element, ln det M / 2, at codes z (n, latent): (n,); -inf where M is singular.

    It is large where the decoder changes quickly: between clusters of codes.
    """
    return 0.5 * np.linalg.slogdet(pullback_metric(model, z))[1]


def geodesic(model: Any, a: Any, b: Any, points: int = 32, steps: int = 500) -> Geodesic:
    """Return the shortest path of codes from a to b, by relaxing the straight line (L-BFGS): a local minimum.

    The energy of a curve of codes z_0 = a, ..., z_N = b is N / 2 sum |f(z_{i+1}) - f(z_i)|^2.

    Args:
        model: has `decode(z)`.
        a: a code, (latent,).
        b: another, (latent,).
        points: codes of the path, its ends among them, at least 3.
        steps: of the minimisation, at most; a path that has not relaxed by then is returned with a RuntimeWarning.

    Raises:
        ValueError: an argument is out of range.
    """
    protocols.check_positive(steps, "steps", integer=True)
    protocols.check_positive(points, "points", integer=True)
    if points < 3:
        raise ValueError(f"points must be at least 3, got {points}")
    line = interpolate(a, b, points)
    decode = _decoder(model)
    straight = _squares(decode, torch.as_tensor(line))
    scale = float(straight.sum())
    if scale == 0.0:
        raise ValueError("a and b must be codes of different x: along the line between them x does not change")

    def energy(flat: np.ndarray) -> tuple[float, np.ndarray]:
        inner = torch.as_tensor(flat.reshape(line[1:-1].shape)).requires_grad_()
        path = torch.cat([torch.as_tensor(line[:1]), inner, torch.as_tensor(line[-1:])])
        value = _squares(decode, path).sum() / scale
        (slope,) = torch.autograd.grad(value, inner)
        return value.item(), slope.numpy().ravel()

    found = minimize(
        energy, line[1:-1].ravel(), jac=True, method="L-BFGS-B",
        options={"maxiter": steps, "maxfun": 2 * steps, "ftol": 0.0, "gtol": GRADIENT, "maxcor": 30},
    )  # fmt: skip
    if np.abs(found.jac).max() > 1e3 * GRADIENT:
        message = f"the path has not relaxed in {found.nit} steps (gradient {np.abs(found.jac).max():.1e}): more steps"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    codes = np.concatenate([line[:1], found.x.reshape(-1, line.shape[1]), line[-1:]])
    relaxed = _squares(decode, torch.as_tensor(codes))
    return Geodesic(codes, float(relaxed.sqrt().sum()), float(straight.sqrt().sum()))


def _decoder(model: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return codes -> the mean of x as a row, in double precision."""
    twin = copy.deepcopy(model).double().cpu().requires_grad_(False)
    return lambda z: twin.decode(z).flatten(1)


def _squares(decode: Callable[[torch.Tensor], torch.Tensor], path: torch.Tensor) -> torch.Tensor:
    """Return the squared lengths of the steps of a path, in the space of x, (points - 1,)."""
    return decode(path).diff(dim=0).square().sum(1)
