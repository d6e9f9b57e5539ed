"""The ordinary differential equation whose solutions have the densities of a diffusion at every level of noise.

In lambda, the logarithm of the signal-to-noise ratio, with v = alpha epsilon - sigma x_0 as a network predicts it, the
probability flow of Song et al. (2021) is

    dx/dlambda = f(x, lambda) = -(alpha sigma / 2) v(x, lambda),      d ln p / dlambda = -div f        along a solution

and knows no schedule. It is solved by the Runge-Kutta method of fourth order in even steps of lambda, so that the map
is smooth, and of each configuration alone: an adaptive step would depend on who shares the batch.
"""

from collections.abc import Callable

import torch

Field = Callable[[torch.Tensor, float], torch.Tensor]  # f: x (n, *shape) and lambda -> (n, *shape)
Divergence = Callable[[Field, torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]  # f and div f (..., n)


def flow(field: Field, x: torch.Tensor, start: float, end: float, steps: int) -> torch.Tensor:
    """Return where x (n, *shape) goes as lambda goes from start to end."""
    return _runge_kutta(lambda x, now: (field(x, now), torch.zeros(())), x, start, end, steps)[0]


def flow_and_gain(
    field: Field, x: torch.Tensor, start: float, end: float, steps: int, divergence: Divergence
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where x goes, and the integral of div f along the way: ln p at the start is ln p at the end plus it."""
    return _runge_kutta(lambda x, now: divergence(field, x, now), x, start, end, steps)


def exact_divergence(field: Field, x: torch.Tensor, now: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return f and div f, (n,): one derivative along every number of a configuration."""
    value, pull = _derivatives(field, x, now)
    numbers = x[0].numel()
    units = torch.eye(numbers, dtype=x.dtype, device=x.device).reshape(numbers, 1, *x.shape[1:]).expand(-1, *x.shape)
    return value, torch.stack([pull(unit).flatten(1)[:, i] for i, unit in enumerate(units)]).sum(0)


def probed_divergence(probes: torch.Tensor) -> Divergence:
    """Return the estimate e . (df/dx) e of the divergence by fixed signs e (k, n, *shape): (k, n) (Hutchinson 1990)."""

    def divergence(field: Field, x: torch.Tensor, now: float) -> tuple[torch.Tensor, torch.Tensor]:
        value, pull = _derivatives(field, x, now)
        return value, torch.stack([(pull(e) * e).flatten(1).sum(1) for e in probes])

    return divergence


def _derivatives(
    field: Field, x: torch.Tensor, now: float
) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
    """Return f(x), and the function e -> e . df/dx; with a graph of their own only where gradients are on."""
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        leaf = x if graph and x.requires_grad else x.detach().requires_grad_(True)
        value = field(leaf, now)

    def pull(e: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(value, leaf, e, retain_graph=True, create_graph=graph)[0]

    return value if graph else value.detach(), pull


def _runge_kutta(
    rates: Callable[[torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]], x: torch.Tensor, start: float,
    end: float, steps: int,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    h, total = (end - start) / steps, torch.zeros((), dtype=x.dtype, device=x.device)
    for step in range(steps):
        now = start + h * step
        k1, g1 = rates(x, now)
        k2, g2 = rates(x + 0.5 * h * k1, now + 0.5 * h)
        k3, g3 = rates(x + 0.5 * h * k2, now + 0.5 * h)
        k4, g4 = rates(x + h * k3, now + h)
        x = x + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        total = total + h / 6.0 * (g1 + 2.0 * g2 + 2.0 * g3 + g4)
    return x, total
