"""Samplers of a diffusion model as a chain of discrete steps: its reversal, and shorter chains of the same ends.

With abar and abar' those of a level and of the next below it, and x_0 and epsilon as the network predicts them,

    x' = sqrt(abar') x_0 + sqrt(1 - abar' - s^2) epsilon + s z,      z ~ N(0, 1),      the last with abar' = 1
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from models.diffusion_walk import check_steps, log_snr, walk
from models.noise_schedules import NoiseSchedule
from samplers import protocols

VARIANCES = ("beta", "beta_tilde")


@dataclass(frozen=True)
class Ancestral:
    """The reversed chain of Ho, Jain and Abbeel (2020), with either of their variances s^2 of a step.

    Where data are one point, "beta_tilde" is right, s^2 = beta (1 - abar') / (1 - abar); where they are N(0, 1), "beta"
    is, s^2 = beta = 1 - abar / abar'; for narrower data the best lies between. Both share the mean, which is that of
    beta_tilde.

    Args:
        variance: "beta" or "beta_tilde".
        steps: levels visited, evenly spaced; default: all.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> Ancestral()
        Ancestral(variance='beta', steps=None)
    """

    variance: str = "beta"
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.variance not in VARIANCES:
            raise ValueError(f'variance must be "beta" or "beta_tilde", got {self.variance!r}')
        check_steps(self.steps)

    def path(self, schedule: NoiseSchedule) -> np.ndarray:
        """Return abar of the levels from T to none."""
        return _to_the_data(schedule, self.steps)

    def step(self, model: Any, x: torch.Tensor, now: float, then: float) -> torch.Tensor:
        """Return x' at abar' = then, from x at abar = now."""
        tilde = _beta_tilde(now, then)
        noise = 1.0 - now / then if self.variance == "beta" and then < 1.0 else tilde
        return _step(model, x, now, then, tilde, noise)

    def run(self, model: Any, x: torch.Tensor) -> torch.Tensor:
        """Walk from x_T to data."""
        return walk(self, model, x)


@dataclass(frozen=True)
class DDIM:
    """Song, Meng and Ermon (2021): few steps, with less noise or none, s^2 = eta^2 beta (1 - abar') / (1 - abar).

    Args:
        steps: levels visited, evenly spaced; default: all.
        eta: from 0, where the sampler is a map of x_T, to 1, where it is Ancestral with "beta_tilde".

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> DDIM(steps=20)
        DDIM(steps=20, eta=0.0)
    """

    steps: int | None = None
    eta: float = 0.0

    def __post_init__(self) -> None:
        check_steps(self.steps)
        protocols.check_positive(self.eta, "eta", zero=True)
        if self.eta > 1.0:
            raise ValueError(f"eta must be at most 1, got {self.eta!r}")

    def path(self, schedule: NoiseSchedule) -> np.ndarray:
        """Return abar of the levels from T to none."""
        return _to_the_data(schedule, self.steps)

    def step(self, model: Any, x: torch.Tensor, now: float, then: float) -> torch.Tensor:
        """Return x' at abar' = then, from x at abar = now."""
        variance = self.eta**2 * _beta_tilde(now, then)
        return _step(model, x, now, then, variance, variance)

    def run(self, model: Any, x: torch.Tensor) -> torch.Tensor:
        """Walk from x_T to data."""
        return walk(self, model, x)


def _step(model: Any, x: torch.Tensor, now: float, then: float, variance: float, noise: float) -> torch.Tensor:
    """Return x' with weights of x_0 and epsilon that leave room for `variance`, and noise of variance `noise`."""
    guess = model.prediction(x, log_snr(now))
    mean = math.sqrt(then) * guess.x0 + math.sqrt(1.0 - then - variance) * guess.epsilon
    return mean + math.sqrt(noise) * torch.randn_like(x) if noise > 0.0 else mean


def _beta_tilde(now: float, then: float) -> float:
    """Return the variance of x' given x and x_0."""
    return (1.0 - then) / (1.0 - now) * (1.0 - now / then)


def _to_the_data(schedule: NoiseSchedule, steps: int | None) -> np.ndarray:
    """Return abar of the levels visited, from T down, and 1."""
    kept = schedule if steps is None else schedule.spaced(steps)
    return np.concatenate([kept.alpha_bar[::-1], [1.0]])
