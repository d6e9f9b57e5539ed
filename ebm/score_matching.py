"""Score matching: learn s(x) = -dE/dx of the data's density without its Z.

    Hyvarinen (2005)    J = <|s|^2 / 2 + tr ds/dx>_data, which is <|s - s_data|^2> / 2 up to a constant
    sliced (Song 2019)  J = <(v.s)^2 / 2 + v.(ds/dx) v>, v ~ N(0, 1)
    denoising           J = <|sigma s(x + sigma z) + z|^2> / 2, z ~ N(0, 1) (Vincent 2011), which learns the score of
                        the smoothed density: for a Gaussian the precision (C + sigma^2)^-1, not C^-1

The sigma^2-scaled denoising loss weighs all noise levels of a ladder alike (Song and Ermon 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ebm.autograd import TorchObjective
from ebm.objectives import State
from samplers import protocols


@dataclass(frozen=True)
class ScoreMatching(TorchObjective):
    """Score matching with the trace of ds/dx (Hyvarinen 2005), exact or by Hutchinson's estimate.

    Args:
        trace: "exact" takes one pass back for each dimension, so it is for a few of them; "hutchinson" takes one for
            each probe, v.(ds/dx) v with v_i = +-1 (Hutchinson 1989).
        probes: probe vectors of each point; of "hutchinson".

    Example:
        >>> ScoreMatching(trace="hutchinson").probes
        1
    """

    trace: str = "exact"
    probes: int = 1

    def check(self, energy: Any) -> None:
        """Raise if a setting is out of range, or this is no torch energy or score."""
        if self.trace not in ("exact", "hutchinson"):
            raise ValueError(f'trace must be "exact" or "hutchinson", got {self.trace!r}')
        protocols.check_positive(self.probes, "probes", integer=True)
        super().check(energy)

    def loss(self, energy: Any, x: Any, state: State, generator: Any) -> Any:
        """Return <|s|^2 / 2 + tr ds/dx>."""
        import torch

        if self.trace == "exact":
            s, x = _score(energy, x)
            columns = s.flatten(1)
            trace = sum(_slope(columns[:, i].sum(), x).flatten(1)[:, i] for i in range(columns.shape[1]))
        else:
            s, x = _score(energy, x.repeat_interleave(self.probes, 0))
            v = 2.0 * torch.randint(0, 2, x.shape, generator=generator).to(x.dtype) - 1.0
            trace = (v * _slope((v * s).sum(), x)).flatten(1).sum(1)
        return (0.5 * s.flatten(1).square().sum(1) + trace).mean()


@dataclass(frozen=True)
class SlicedScoreMatching(TorchObjective):
    """Sliced score matching (Song, Garg, Shi and Ermon 2019): scores compared along random directions.

    Args:
        projections: random directions of each point.

    Example:
        >>> SlicedScoreMatching(projections=2)
        SlicedScoreMatching(projections=2)
    """

    projections: int = 1

    def check(self, energy: Any) -> None:
        """Raise if a setting is out of range, or this is no torch energy or score."""
        protocols.check_positive(self.projections, "projections", integer=True)
        super().check(energy)

    def loss(self, energy: Any, x: Any, state: State, generator: Any) -> Any:
        """Return <(v.s)^2 / 2 + v.(ds/dx) v>."""
        import torch

        s, x = _score(energy, x.repeat_interleave(self.projections, 0))
        v = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        along = (v * s).flatten(1).sum(1)
        curvature = (v * _slope(along.sum(), x)).flatten(1).sum(1)
        return (0.5 * along.square() + curvature).mean()


@dataclass(frozen=True)
class DenoisingScoreMatching(TorchObjective):
    """Denoising score matching (Vincent 2011), at one noise level or over a ladder of them (Song and Ermon 2019).

    Args:
        sigma: noise level, in the unit of x; or a ladder of levels, one drawn for each point, for what is
            noise-conditional (`ScoreModel` with noise_conditional=True).
        noises: draws of noise for each point of a batch.

    Example:
        >>> DenoisingScoreMatching((4.0, 1.0, 0.25), noises=2)
        DenoisingScoreMatching(sigma=(4.0, 1.0, 0.25), noises=2)
    """

    sigma: float | Sequence[float]
    noises: int = 1

    def __post_init__(self) -> None:
        levels = np.atleast_1d(np.asarray(self.sigma, np.float64))
        if levels.ndim != 1 or not len(levels) or not (np.isfinite(levels) & (levels > 0)).all():
            raise ValueError(f"sigma must be a positive number or a sequence of them, got {self.sigma!r}")
        object.__setattr__(self, "sigma", tuple(levels.tolist()) if np.ndim(self.sigma) else float(levels[0]))

    def check(self, energy: Any) -> None:
        """Raise if a setting is out of range, or a ladder meets what is not noise-conditional."""
        protocols.check_positive(self.noises, "noises", integer=True)
        super().check(energy)
        conditional = getattr(energy, "noise_conditional", False)
        if isinstance(self.sigma, tuple) and not conditional:
            raise TypeError(
                "a ladder of sigma needs a ScoreModel with noise_conditional=True, got "
                f"{protocols.name_of(energy)}: give one sigma"
            )

    def loss(self, energy: Any, x: Any, state: State, generator: Any) -> Any:
        """Return <|sigma s(x + sigma z, sigma) + z|^2> / 2."""
        import torch

        x = x.repeat_interleave(self.noises, 0) if self.noises > 1 else x
        levels = torch.tensor(self.sigma, dtype=x.dtype).reshape(-1)
        if len(levels) > 1:
            levels = levels[torch.randint(len(levels), (len(x),), generator=generator)]
        sigma = levels.expand(len(x))
        wide = sigma.reshape(-1, *[1] * (x.ndim - 1))
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        s = energy.score(x + wide * z, sigma if getattr(energy, "noise_conditional", False) else None)
        return 0.5 * (wide * s + z).flatten(1).square().sum(1).mean()


def _score(energy: Any, x: Any) -> tuple[Any, Any]:
    """Return the score at x and x itself, as a leaf from which autograd can go on to ds/dx."""
    x = x.detach().requires_grad_(True)
    return energy.score(x), x


def _slope(value: Any, x: Any) -> Any:
    """Return d(value)/dx with its graph."""
    import torch

    return torch.autograd.grad(value, x, create_graph=True)[0]
