"""A sampler of a diffusion model with Langevin dynamics at every level it visits."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import samplers
from models.diffusion_equations import ReverseSDE
from models.diffusion_walk import Predictor, log_snr, walk
from samplers import protocols


@dataclass(frozen=True)
class PredictorCorrector:
    """Steps of another sampler, each followed by Langevin dynamics at the level it reached (Song et al. 2021).

    The corrector is `samplers.Langevin` on the score of the level, seen from the data, of step `rate` sigma^2.

    Args:
        predictor: Ancestral, DDIM or ReverseSDE.
        corrections: Langevin steps at each level.
        rate: step in units of sigma^2, positive; stable below 2, the variance is up to 1 / (1 - rate / 2) times too
            large.

    Raises:
        TypeError, ValueError: an argument is out of range.

    Example:
        >>> PredictorCorrector(ReverseSDE(steps=20)).corrections
        1
    """

    predictor: Any = field(default_factory=ReverseSDE)
    corrections: int = 1
    rate: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.predictor, Predictor):
            raise TypeError(f"predictor must be Ancestral, DDIM or ReverseSDE, got {self.predictor!r}")
        protocols.check_positive(self.corrections, "corrections", integer=True)
        protocols.check_positive(self.rate, "rate")

    def run(self, model: Any, x: torch.Tensor) -> torch.Tensor:
        """Walk from x_T to data."""
        return walk(self.predictor, model, x, self._correct)

    def _correct(self, model: Any, x: torch.Tensor, abar: float) -> torch.Tensor:
        """Return x after Langevin steps at the level abar."""
        sigma = model.data_width * math.sqrt((1.0 - abar) / abar)
        seen = (model.data_mean + model.data_width / math.sqrt(abar) * x).double().cpu().numpy()
        run = samplers.sample(
            model.at_noise(sigma), samplers.Langevin(self.rate * sigma**2), chains=len(x), draws=1, init=seen,
            warmup=self.corrections - 1, seed=int(torch.randint(2**62, ())), progress=False,
        )  # fmt: skip
        moved = torch.as_tensor(np.asarray(run.x)[:, -1]).to(x)
        return model.seen(moved, log_snr(abar))
