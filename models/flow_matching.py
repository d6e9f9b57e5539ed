"""Conditional flow matching (Lipman et al. 2023): a velocity field learned by regression, without solving its equation.

Noise z ~ N(0, 1) moves to a point of the data x along a straight line, which ends in a Gaussian of width s about it:

    y_t = (1 - (1 - s) t) z + t x,        dy_t/dt = x - (1 - s) z,        t in [0, 1]

    loss = < |v(t, y_t) - (x - (1 - s) z)|^2 >,      whose minimum is v(t, y) = <dy_t/dt | y_t = y>

This v carries the law of z to that of x, blurred by s. Pairs (z, x) may be independent, or those of optimal transport
within a batch (Tong et al. 2024): their lines hardly cross, so that the field is simpler and quickly solved.
"""

import torch
from scipy.optimize import linear_sum_assignment

from models.ode import Velocity

COUPLINGS = ("independent", "optimal")


def matching_loss(velocity: Velocity, x: torch.Tensor, width: float, coupling: str) -> torch.Tensor:
    """Return the loss of flow matching on a batch, with new noise and a new time for each of its points.

    Args:
        velocity: v(t, y) of times (n,) and points (n, d).
        x: points of the data, (n, d).
        width: s, from 0 to below 1, in the unit of the noise.
        coupling: "independent" or "optimal".
    """
    z = torch.randn_like(x)
    if coupling == "optimal":
        x = x[optimal_partners(z, x)]
    t = torch.rand(len(x), dtype=x.dtype, device=x.device)
    y = (1.0 - (1.0 - width) * t[:, None]) * z + t[:, None] * x
    return (velocity(t, y) - (x - (1.0 - width) * z)).square().sum(1).mean()


def optimal_partners(z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return which x (n, d) each z (n, d) is paired with, (n,), for the least sum of |z - x|^2.

    Example:
        >>> optimal_partners(torch.tensor([[0.0], [5.0]]), torch.tensor([[4.0], [1.0]])).tolist()
        [1, 0]
    """
    costs = torch.cdist(z, x).square()
    _, columns = linear_sum_assignment(costs.cpu().numpy())
    return torch.as_tensor(columns, device=x.device)
