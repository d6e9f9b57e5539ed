"""Samplers of a diffusion model as equations in continuous time, down to the first level of noise.

Both have the densities of the diffusion at all levels (Song et al. 2021). With abar and abar' those of a level and of
one below it, and score and v as the network predicts them,

    stochastic      x' = x + B (x / 2 + score) + sqrt(B) z,      B = ln(abar' / abar),      z ~ N(0, 1)
    ordinary        dx/dlambda = -(sqrt(abar (1 - abar)) / 2) v
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from models.diffusion_walk import check_steps, log_snr, walk
from models.noise_schedules import NoiseSchedule
from models.probability_flow import flow


@dataclass(frozen=True)
class ReverseSDE:
    """The reversed stochastic equation (Anderson 1982; Song et al. 2021) by Euler-Maruyama steps, down to level 1.

    Args:
        steps: Euler-Maruyama steps; default: one for each level above the first.

    Raises:
        ValueError: steps is not a positive integer.

    Example:
        >>> ReverseSDE(steps=200)
        ReverseSDE(steps=200)
    """

    steps: int | None = None

    def __post_init__(self) -> None:
        check_steps(self.steps)

    def path(self, schedule: NoiseSchedule) -> np.ndarray:
        """Return abar of the levels from T to 1."""
        most = len(schedule.beta) - 1
        steps = most if self.steps is None else self.steps
        if steps > most:
            raise ValueError(f"steps must be at most {most}, one for each level above the first, got {steps}")
        return schedule.alpha_bar[np.round(np.linspace(most, 0, steps + 1)).astype(int)]

    def step(self, model: Any, x: torch.Tensor, now: float, then: float) -> torch.Tensor:
        """Return x' at abar' = then, from x at abar = now."""
        time = math.log(then / now)
        drift = 0.5 * x + model.prediction(x, log_snr(now)).score
        return x + time * drift + math.sqrt(time) * torch.randn_like(x)

    def run(self, model: Any, x: torch.Tensor) -> torch.Tensor:
        """Walk from x_T to data with the noise of level 1."""
        return walk(self, model, x)


@dataclass(frozen=True)
class ProbabilityFlow:
    """The ordinary equation of the same densities, by Runge-Kutta steps even in lambda: draws of `DDPM.log_prob`.

    Args:
        steps: Runge-Kutta steps; each asks the network four times.

    Raises:
        ValueError: steps is not a positive integer.

    Example:
        >>> ProbabilityFlow()
        ProbabilityFlow(steps=64)
    """

    steps: int = 64

    def __post_init__(self) -> None:
        check_steps(self.steps)

    def run(self, model: Any, x: torch.Tensor) -> torch.Tensor:
        """Flow from x_T to data with the noise of level 1."""
        last, first = (float(model.levels.log_snr[t]) for t in (-1, 0))
        return flow(model.velocity, x, last, first, self.steps) / math.sqrt(float(model.levels.alpha_bar[0]))
