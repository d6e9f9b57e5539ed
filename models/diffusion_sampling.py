"""From noise to data with a diffusion model: each sampler walks down the levels t = T ... 1 in its own way.

With abar and abar' those of a level and the next below it, and x_0 and epsilon as the network predicts them,

    Ancestral, DDIM     x' = sqrt(abar') x_0 + sqrt(1 - abar' - s^2) epsilon + s z,     z ~ N(0, 1)
    ReverseSDE          x' = x + B (x / 2 + score) + sqrt(B) z,                         B = ln(abar' / abar)
    ProbabilityFlow     dx/dlambda = -(sqrt(abar (1 - abar)) / 2) v

Ancestral and DDIM end at abar' = 1, without noise; the other two solve equations in continuous time and end at the first
level, whose density is that of `DDPM.log_prob`. What each makes of Gaussian data is known: `ebm.exact.ddpm_variance`,
`ddim_variance`, `sde_variance`, `ode_variance`.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

import samplers
from models.noise_schedules import NoiseSchedule
from models.probability_flow import flow
from samplers import protocols

VARIANCES = ("beta", "beta_tilde")


class Sampler(Protocol):
    """What `DDPM.sample` needs: the way from x_T ~ N(0, 1), (n, *shape), to data in units of their width."""

    def run(self, model: Any, x: torch.Tensor) -> torch.Tensor: ...


@runtime_checkable
class Predictor(Protocol):
    """A sampler that goes level by level."""

    def path(self, schedule: NoiseSchedule) -> np.ndarray:
        """Return abar of the levels from T down to where the sampler ends."""

    def step(self, model: Any, x: torch.Tensor, now: float, then: float) -> torch.Tensor:
        """Return x' at abar' = then, from x at abar = now."""

def _check_steps(steps: int | None) -> None:
    if steps is not None:
        protocols.check_positive(steps, "steps", integer=True)


@dataclass(frozen=True)
class Ancestral:
    """The reversed chain of Ho, Jain and Abbeel (2020), with either of their variances s^2 of a step.

    Where data are one point, "beta_tilde" is right, s^2 = beta (1 - abar') / (1 - abar); where they are N(0, 1), "beta"
    is, s^2 = beta = 1 - abar / abar'. Between them the best lies; x_0 and epsilon are weighed by beta_tilde for both.

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
        _check_steps(self.steps)

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
        return _walk(self, model, x)


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
        _check_steps(self.steps)
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
        return _walk(self, model, x)


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
        _check_steps(self.steps)

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
        drift = 0.5 * x + model.prediction(x, _log_snr(now)).score
        return x + time * drift + math.sqrt(time) * torch.randn_like(x)

    def run(self, model: Any, x: torch.Tensor) -> torch.Tensor:
        """Walk from x_T to data with the noise of level 1."""
        return _walk(self, model, x)


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
        _check_steps(self.steps)

    def run(self, model: Any, x: torch.Tensor) -> torch.Tensor:
        """Flow from x_T to data with the noise of level 1."""
        last, first = (float(model.levels.log_snr[t]) for t in (-1, 0))
        return flow(model.velocity, x, last, first, self.steps) / math.sqrt(float(model.levels.alpha_bar[0]))


@dataclass(frozen=True)
class PredictorCorrector:
    """Steps of another sampler, each followed by Langevin dynamics at the level it reached (Song et al. 2021).

    The corrector is `samplers.Langevin` on the score of the level, seen from the data, of step `rate` sigma^2.

    Args:
        predictor: Ancestral, DDIM or ReverseSDE.
        corrections: Langevin steps at each level.
        rate: step in units of sigma^2, positive; stable below 2, with a bias of up to 1 + rate / 2 in the variance.

    Raises:
        TypeError, ValueError: an argument is out of range.

    Example:
        >>> PredictorCorrector(DDIM(steps=20)).rate
        0.1
    """

    predictor: Any = ReverseSDE()
    corrections: int = 1
    rate: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.predictor, Predictor):
            raise TypeError(f"predictor must be Ancestral, DDIM or ReverseSDE, got {self.predictor!r}")
        protocols.check_positive(self.corrections, "corrections", integer=True)
        protocols.check_positive(self.rate, "rate")

    def run(self, model: Any, x: torch.Tensor) -> torch.Tensor:
        """Walk from x_T to data."""
        return _walk(self.predictor, model, x, self._correct)

    def _correct(self, model: Any, x: torch.Tensor, abar: float) -> torch.Tensor:
        """Return x after Langevin steps at the level abar."""
        sigma = model.data_width * math.sqrt((1.0 - abar) / abar)
        seen = (model.data_mean + model.data_width / math.sqrt(abar) * x).double().cpu().numpy()
        run = samplers.sample(
            model.at_noise(sigma), samplers.Langevin(self.rate * sigma**2), chains=len(x), draws=1, init=seen,
            warmup=self.corrections - 1, seed=int(torch.randint(2**62, ())), progress=False,
        )  # fmt: skip
        moved = torch.as_tensor(np.asarray(run.x)[:, -1]).to(x)
        return math.sqrt(abar) * model.standardised(moved)


def _walk(
    predictor: Predictor, model: Any, x: torch.Tensor,
    correct: Callable[[Any, torch.Tensor, float], torch.Tensor] | None = None,
) -> torch.Tensor:  # fmt: skip
    """Return data, from x_T by the steps of a predictor, each corrected where noise is left."""
    path = [float(abar) for abar in predictor.path(model.levels)]
    for now, then in itertools.pairwise(path):
        x = predictor.step(model, x, now, then)
        if correct is not None and then < 1.0:
            x = correct(model, x, then)
    return x / math.sqrt(path[-1])


def _step(model: Any, x: torch.Tensor, now: float, then: float, variance: float, noise: float) -> torch.Tensor:
    """Return x' with weights of x_0 and epsilon that leave room for `variance`, and noise of variance `noise`."""
    guess = model.prediction(x, _log_snr(now))
    mean = math.sqrt(then) * guess.x0 + math.sqrt(max(0.0, 1.0 - then - variance)) * guess.epsilon
    return mean + math.sqrt(noise) * torch.randn_like(x) if noise > 0.0 else mean


def _beta_tilde(now: float, then: float) -> float:
    """Return the variance of x' given x and x_0."""
    return (1.0 - then) / (1.0 - now) * (1.0 - now / then)


def _to_the_data(schedule: NoiseSchedule, steps: int | None) -> np.ndarray:
    """Return abar of the levels visited, from T down, and 1."""
    kept = schedule if steps is None else schedule.spaced(steps)
    return np.concatenate([kept.alpha_bar[::-1], [1.0]])


def _log_snr(abar: float) -> float:
    return math.log(abar) - math.log1p(-abar)
