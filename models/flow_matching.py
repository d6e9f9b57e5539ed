"""Conditional flow matching (Lipman et al. 2023): a velocity field learned by regression, without solving its equation.

Noise z ~ N(0, 1) moves to a point of the data x along a straight line:

    y_t = (1 - t) z + t x,        dy_t/dt = x - z,        t in [0, 1]

    loss = < |v(t, y_t) - (x - z)|^2 >,        whose minimum is v(t, y) = <x - z | y_t = y>

This v carries the law of z to that of x. Pairs (z, x) may be independent, or those of optimal transport
within a batch (Tong et al. 2024): their lines hardly cross, so that the field is simpler and quickly solved.
"""

import torch
from scipy.optimize import linear_sum_assignment

from models.ode import Velocity

COUPLINGS = ("independent", "optimal")


def matching_loss(velocity: Velocity, x: torch.Tensor, coupling: str) -> torch.Tensor:
    """Return the loss of flow matching on a batch, with new noise and a new time for each of its points.

    Args:
        velocity: v(t, y) of times (n,) and points (n, d).
        x: points of the data, (n, d).
        coupling: "independent" or "optimal".
    """
    z = torch.randn_like(x)
    if coupling == "optimal":
        x = x[optimal_partners(z, x)]
    t = torch.rand(len(x), dtype=x.dtype, device=x.device)
    return (velocity(t, torch.lerp(z, x, t[:, None])) - (x - z)).square().sum(1).mean()


def optimal_partners(z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return which x (n, d) each z (n, d) is paired with, (n,), for the least sum of |z - x|^2.

    Example:
        >>> optimal_partners(torch.tensor([[0.0], [5.0]]), torch.tensor([[4.0], [1.0]])).tolist()
        [1, 0]
    """
    costs = torch.cdist(z, x).square()
    _, columns = linear_sum_assignment(costs.cpu().numpy())
    return torch.as_tensor(columns, device=x.device)
