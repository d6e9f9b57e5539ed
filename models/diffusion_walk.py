"""From noise to data with a diffusion model: what its samplers have in common is a walk down the levels of noise.

A sampler starts from x_T ~ N(0, 1) and ends with data in units of their width. `DDPM.sample` takes any object that can
`run`; one that goes level by level tells its `path` and takes one `step`, and then a corrector can come in between.

    diffusion_chains.py       Ancestral, DDIM                     end without noise
    diffusion_equations.py    ReverseSDE, ProbabilityFlow         end at the first level, as `DDPM.log_prob` sees it
    predictor_corrector.py    PredictorCorrector                  ends as its predictor does

What each makes of Gaussian data is known: `ebm.exact.ddpm_variance`, `ddim_variance`, `sde_variance`, `ode_variance`.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from models.noise_schedules import NoiseSchedule
from samplers import protocols


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


def walk(
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


def log_snr(abar: float) -> float:
    """Return lambda of a level abar."""
    return math.log(abar) - math.log1p(-abar)


def check_steps(steps: int | None) -> None:
    """Raise unless steps is a positive integer, or None for all there are."""
    if steps is not None:
        protocols.check_positive(steps, "steps", integer=True)
