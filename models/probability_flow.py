"""The ordinary differential equation whose solutions have the densities of a diffusion at every level of noise.

In lambda, the logarithm of the signal-to-noise ratio, with v = alpha epsilon - sigma x_0 as a network predicts it, the
probability flow of Song et al. (2021) is

    dx/dlambda = f(x, lambda) = -(alpha sigma / 2) v(x, lambda),      d ln p / dlambda = -div f        along a solution

and knows no schedule. It is solved by the Runge-Kutta method of fourth order in even steps of lambda, so that the map
is smooth, and of each configuration alone: an adaptive step would depend on who shares the batch.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from models.decoders import standard_normal
from models.importance import LogProbability

NUMBERS = 200_000  # of derivatives of a batch, that are computed at once
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


def log_density(model: Any, x: torch.Tensor, log_snr: float, steps: int, divergence: Divergence) -> torch.Tensor:
    """Return ln p, (..., n), of a tensor x (n, *shape) through the noise of a level, with its graph.

    The density is N(0, 1) at the last level and flows to this one; there it is that of x, scaled.

    Args:
        model: a `DDPM`.
        x: data with noise, in their unit.
        log_snr: lambda of the noise.
    """
    start, last = model.seen(x, log_snr), float(model.levels.log_snr[-1])
    end, gain = flow_and_gain(model.velocity, start, log_snr, last, steps, divergence)
    shrinkage = -0.5 * math.log1p(math.exp(-log_snr)) - math.log(model.data_width)  # ln of alpha / width
    return standard_normal(end.flatten(1)) + gain + math.prod(model.shape) * shrinkage


@torch.no_grad()
def log_prob(model: Any, x: torch.Tensor, log_snr: float, steps: int) -> np.ndarray:
    """Return ln p, (n,), with the exact divergence."""
    parts = x.split(max(1, NUMBERS // math.prod(model.shape) ** 2))
    found = [log_density(model, part, log_snr, steps, exact_divergence) for part in parts]
    return torch.cat(found).double().cpu().numpy()


@torch.no_grad()
def estimate_log_prob(model: Any, x: torch.Tensor, log_snr: float, steps: int, probes: int) -> LogProbability:
    """Return ln p, (n,), with the divergence along random signs, and its error."""
    found = []
    for part in x.split(max(1, NUMBERS // (probes * math.prod(model.shape)))):
        signs = torch.randint(0, 2, (probes, *part.shape)).to(part) * 2.0 - 1.0
        found.append(log_density(model, part, log_snr, steps, probed_divergence(signs)).double())
    logs = torch.cat(found, 1).cpu().numpy()
    return LogProbability(logs.mean(0), logs.std(0, ddof=1) / math.sqrt(probes))


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
