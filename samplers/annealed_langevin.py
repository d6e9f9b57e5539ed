"""Annealed Langevin dynamics (Song and Ermon 2019): from much noise to little, so that modes get their weights."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samplers import protocols
from samplers.langevin import Langevin
from samplers.sampler import Sampler, State


@dataclass(frozen=True)
class AnnealedLangevin(Sampler):
    """Langevin dynamics through falling noise levels: x' = x - step_i grad E(x, sigma_i) + sqrt(2 step_i) xi.

    The step follows the level, step_i = step_size sigma_i^2 / sigma_L^2, and each level takes `steps` of them. Song and
    Ermon (2019, algorithm 1) write x + (alpha_i / 2) s(x, sigma_i) + sqrt(alpha_i) xi with the score s = -grad E and
    alpha_i = epsilon sigma_i^2 / sigma_L^2: so step_i = alpha_i / 2 and step_size = epsilon / 2.

    Annealing is the warm-up, which needs at least len(sigmas) * steps sweeps and stays at the last level for what is
    left of it; all draws are at the last level, with the bias of Langevin at step_size. Start it broad, such as
    init ~ N(0, sigmas[0]^2). It takes what has `at_noise` (`samplers.protocols.NoiseConditional`), at beta = 1: a power
    of a smoothed density is no smoothed density.

    Args:
        sigmas: noise levels, falling strictly, positive, in units of x.
        step_size: step at the last level, in units of x^2 / E, positive. Stable below 2 sigma_L^2 where the data are
            narrower than the noise.
        steps: sweeps at each level.

    Example:
        >>> import numpy as np, samplers
        >>> class Score:  # of N(0, 1) smoothed by noise
        ...     shape, domain = (2,), "real"
        ...     def at_noise(self, sigma):
        ...         level = Score()
        ...         level.grad = lambda x: x / (1.0 + sigma**2)
        ...         return level
        >>> sampler = samplers.AnnealedLangevin(np.geomspace(5.0, 0.1, 10), step_size=0.002, steps=20)
        >>> samplers.sample(Score(), sampler, draws=5, warmup=200, seed=1, progress=False).x.shape
        (4, 5, 2)
    """

    sigmas: Sequence[float]
    step_size: float
    steps: int = 100
    needs_energy = False

    def __post_init__(self) -> None:
        sigmas = np.asarray(self.sigmas)
        good = sigmas.ndim == 1 and len(sigmas) > 0 and sigmas.dtype.kind in "iuf" and np.isfinite(sigmas).all()
        if not good or not sigmas[-1] > 0.0 or not (np.diff(sigmas) < 0.0).all():
            raise ValueError(f"sigmas must be a sequence of positive numbers that fall strictly, got {self.sigmas!r}")
        object.__setattr__(self, "sigmas", tuple(sigmas.astype(np.float64).tolist()))
        protocols.check_positive(self.step_size, "step_size")
        protocols.check_positive(self.steps, "steps", integer=True)

    def check(self, energy: Any) -> None:
        """Raise unless the energy or score is known at every noise level."""
        if energy.domain != "real" or not isinstance(energy, protocols.NoiseConditional):
            raise TypeError(
                "AnnealedLangevin needs a real energy or score with a method `at_noise(sigma)`, got "
                f"{protocols.name_of(energy)} (domain {energy.domain!r})"
            )
        for sigma in (self.sigmas[0], self.sigmas[-1]):
            level = energy.at_noise(sigma)
            if not isinstance(level, protocols.Differentiable) or tuple(level.shape) != tuple(energy.shape):
                raise TypeError(
                    f"{protocols.name_of(energy)}.at_noise must return something with shape {tuple(energy.shape)}, "
                    f"domain 'real' and `grad`, got {protocols.name_of(level)}"
                )

    def check_run(self, energy: Any, warmup: int, beta: float) -> None:
        """Raise unless warm-up has room for the annealing and beta is 1."""
        if beta != 1.0:
            raise ValueError(
                f"beta must be 1 for AnnealedLangevin, got {beta:g}: its levels smooth p itself and no power of it"
            )
        need = len(self.sigmas) * self.steps
        if warmup < need:
            raise ValueError(
                f"warmup must be at least {need} for AnnealedLangevin ({len(self.sigmas)} levels of {self.steps} "
                f"steps), got {warmup}"
            )

    def advance(
        self,
        energy: Any,
        state: State,
        settings: tuple,
        draws: int,
        thin: int,
        out: np.ndarray | None = None,
        first: int = -1,
        acceptance: np.ndarray | None = None,
    ) -> np.ndarray:
        """Run draws * thin steps, those of warm-up level by level and keeping nothing; see `Sampler.advance`."""
        if first < 0:
            last = len(self.sigmas) - 1
            return self._at_level(energy, state, last, draws, thin, out, acceptance)
        end = first + draws * thin
        changes = [level * self.steps for level in range(1, len(self.sigmas)) if first < level * self.steps < end]
        each = np.empty((len(state["x"]), draws * thin))
        for begin, stop in itertools.pairwise((first, *changes, end)):
            level = min(begin // self.steps, len(self.sigmas) - 1)
            each[:, begin - first : stop - first] = self._at_level(energy, state, level, stop - begin, 1)
        total = each.reshape(len(each), draws, thin).sum(2)
        return total if acceptance is None else np.add(acceptance, total, out=acceptance)

    def _at_level(
        self,
        energy: Any,
        state: State,
        level: int,
        draws: int,
        thin: int,
        out: np.ndarray | None = None,
        acceptance: np.ndarray | None = None,
    ) -> np.ndarray:
        """Run Langevin steps at one noise level, in whichever tier what is found there allows."""
        sigma = self.sigmas[level]
        mover, there = Langevin(self.step_size * (sigma / self.sigmas[-1]) ** 2), energy.at_noise(sigma)
        return mover.advance(there, state, mover.settings(there, 0), draws, thin, out, acceptance=acceptance)
