"""Energies, gradients and Hessians at points, asked of any energy in one way and checked.

The gradient is the energy's own where it has one; else central differences of E with a relative error of about 1e-9.
The Hessian is exact (autograd) for torch energies; else it comes from differences of the gradient of fourth order,

    H v = [8 (g(x + h v) - g(x - h v)) - (g(x + 2 h v) - g(x - 2 h v))] / 12 h + O(h^4),     h = 1e-3 max(1, |x|)

with a relative error of about 1e-9 where E is smooth on the scale of h; energies that vary on scales below 0.01 in
their unit of x should be given in another unit. Units: those of E over those of x.
"""

from typing import Any

import numpy as np

from samplers import protocols

GRADIENT_STEP = 6e-6  # cube root of the rounding error: balances truncation and rounding of a central difference
HESSIAN_STEP = 1e-3  # about the fifth root, for differences of fourth order
FOURTH_ORDER = np.array([8.0, -8.0, -1.0, 1.0]) / 12.0  # of g at x + h v, x - h v, x + 2 h v, x - 2 h v
PLACES = np.array([1.0, -1.0, 2.0, -2.0])


def check_energy(energy: Any, who: str, continuous: bool = True) -> None:
    """Raise TypeError unless this is an energy, and one of real numbers or angles where that is needed."""
    protocols.check_space(energy)
    if not protocols.has_energy(energy):
        raise TypeError(f"{who} needs an energy, got {protocols.name_of(energy)}, which has only a gradient")
    if continuous and energy.domain not in protocols.CONTINUOUS:
        raise TypeError(
            f'{who} needs an energy of domain "real" or "angle", got {protocols.name_of(energy)} '
            f"of domain {energy.domain!r}"
        )


def check_point(energy: Any, x: Any, name: str) -> np.ndarray:
    """Return one finite configuration as a flat float64 array (sites,), or raise naming the argument."""
    point = np.asarray(x, dtype=np.float64)
    if point.shape != tuple(energy.shape):
        raise ValueError(f"{name} must be one configuration of shape {tuple(energy.shape)}, got {point.shape}")
    if not np.isfinite(point).all():
        raise ValueError(f"{name} must be finite, got {point[~np.isfinite(point)][0]}")
    return point.ravel()


def energies(energy: Any, flat: np.ndarray) -> np.ndarray:
    """Return E, (n,), of flat configurations (n, sites).

    Raises:
        ValueError: an energy that is NaN, or not one a configuration. (inf is allowed: a wall.)

    Example:
        >>> import ebm
        >>> energies(ebm.DoubleWell(), np.array([[0.0], [1.0]]))
        array([1., 0.])
    """
    value = np.asarray(energy(flat.reshape(len(flat), *energy.shape)), np.float64)
    if value.shape != (len(flat),):
        raise ValueError(f"energy must return one number a configuration, shape ({len(flat)},), got {value.shape}")
    if np.isnan(value).any():
        raise ValueError(f"energy must be a number everywhere, got nan at x = {flat[np.isnan(value)][0]}")
    return value


def gradients(energy: Any, flat: np.ndarray) -> np.ndarray:
    """Return dE/dx, (n, sites), of flat configurations (n, sites); by central differences if the energy has none.

    Example:
        >>> import ebm
        >>> gradients(ebm.DoubleWell(), np.array([[0.0], [2.0]]))
        array([[ 0.],
               [24.]])
    """
    if protocols.has_gradient(energy):
        return np.asarray(energy.grad(flat.reshape(len(flat), *energy.shape)), np.float64).reshape(flat.shape)
    n, sites = flat.shape
    step = GRADIENT_STEP * np.maximum(1.0, np.abs(flat))[:, :, None] * np.eye(sites)  # (n, sites, sites)
    above, below = flat[:, None] + step, flat[:, None] - step
    width = np.einsum("nii->ni", above - below)  # what rounding left of 2 h
    both = energies(energy, np.concatenate([above, below]).reshape(-1, sites)).reshape(2, n, sites)
    return (both[0] - both[1]) / width


def hessian_vector(energy: Any, x: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return H v, (sites,), at the flat configuration x along the flat direction v.

    An energy with a method `hessian_vector(x, v)` is asked; autograd for torch energies; else differences of gradients.
    """
    own = getattr(energy, "hessian_vector", None)
    if own is not None:
        return np.asarray(own(x, v), np.float64)
    length = float(np.linalg.norm(v))
    if length == 0.0:
        return np.zeros_like(v)
    if _is_torch(energy):
        import torch

        point = _tensor(energy, x).requires_grad_(True)
        (slope,) = torch.autograd.grad(_one(energy, point), point, create_graph=True)
        if not slope.requires_grad:  # an energy linear in x
            return np.zeros_like(v)
        (product,) = torch.autograd.grad(slope @ _tensor(energy, v), point)
        return product.to(torch.float64).cpu().numpy()
    return length * _differences(energy, x, v[None] / length)[0]


def hessian(energy: Any, x: np.ndarray) -> np.ndarray:
    """Return the symmetric Hessian, (sites, sites), at the flat configuration x (sites,).

    Example:
        >>> import ebm
        >>> hessian(ebm.DoubleWell(), np.array([0.0])).round(6) + 0.0
        array([[-4.]])
    """
    if getattr(energy, "hessian_vector", None) is not None:
        matrix = np.stack([hessian_vector(energy, x, unit) for unit in np.eye(len(x))])
    elif _is_torch(energy):
        import torch

        matrix = torch.autograd.functional.hessian(lambda point: _one(energy, point), _tensor(energy, x))
        matrix = matrix.to(torch.float64).cpu().numpy()
    else:
        matrix = _differences(energy, x, np.eye(len(x)))
    return 0.5 * (matrix + matrix.T)


def _differences(energy: Any, x: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """H v for unit vectors v (k, sites), by differences of the gradient; all in one batch."""
    h = HESSIAN_STEP * max(1.0, float(np.abs(x).max()))
    points = x + h * PLACES[:, None, None] * directions  # (4, k, sites)
    slopes = gradients(energy, points.reshape(-1, len(x))).reshape(points.shape)
    return np.tensordot(FOURTH_ORDER, slopes, 1) / h


def _is_torch(energy: Any) -> bool:
    """Whether the energy is a function of tensors, so that autograd can differentiate it twice."""
    from ebm.own import TorchEnergy

    return isinstance(energy, TorchEnergy)


def _tensor(energy: Any, flat: np.ndarray) -> Any:
    return energy.tensor(flat)


def _one(energy: Any, flat: Any) -> Any:
    """The energy of one flat configuration as a tensor with its graph."""
    return energy(flat.reshape(1, *energy.shape)).reshape(())
