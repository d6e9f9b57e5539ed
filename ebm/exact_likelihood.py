"""Exact likelihood: the model's term of the gradient of ln p by a sum over all states, or an integral over a box."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ebm.centring import Centre
from ebm.objectives import Gradient, HiddenSum, State, check_learnable_energy, gradient_of
from samplers import protocols

MOST_SITES = 20  # of the sums over all configurations


@dataclass(frozen=True)
class ExactLikelihood:
    """The exact log-likelihood: its model's term is a sum over all states of a small machine, or an integral.

    At most 2^20 configurations, 2^20 states of the hidden layer of an RBM, or one or two real dimensions.

    Args:
        box: for real energies, a pair (low, high) for each dimension: p is that of the box, whose edges must lie where
            the data and the model hardly ever are.
        points: points of the grid along each dimension of the box.

    Example:
        >>> ExactLikelihood(box=((-4, 4), (-4, 4))).points
        200
    """

    box: Sequence[tuple[float, float]] | None = None
    points: int = 200
    learned: ClassVar[tuple[str, ...]] = ()

    def check(self, energy: Any) -> None:
        """Raise if there are too many states to sum over, or no box to integrate over."""
        check_learnable_energy("ExactLikelihood", energy)
        if _sums_hidden(energy):
            return
        if energy.domain in protocols.CONTINUOUS:
            self._check_box(energy)
        elif _sites(energy) > MOST_SITES:
            raise ValueError(
                f"ExactLikelihood needs at most {MOST_SITES} units to sum over (visible of a discrete energy, or "
                f"hidden of an RBM), got {protocols.name_of(energy)} of shape {tuple(energy.shape)}"
            )

    def _check_box(self, energy: Any) -> None:
        from ebm.exact.quadrature import check_box

        protocols.check_positive(self.points, "points", integer=True)
        d = int(np.prod(energy.shape))
        if d > 2 or self.box is None:
            raise ValueError(
                f"ExactLikelihood needs one or two real dimensions and box=((low, high), ...), got "
                f"{protocols.name_of(energy)} of shape {tuple(energy.shape)} and box={self.box}"
            )
        check_box(energy, self.box, dimensions=(d,))

    def start(self, energy: Any, data: np.ndarray, batch_size: int, entropy: int) -> State:
        """Return nothing: there is no chance in it."""
        return {}

    def gradient(self, energy: Any, batch: np.ndarray, state: State, centre: Centre | None) -> Gradient:
        """Return the gradient of mean ln p over a batch (n, *shape)."""
        gradient = gradient_of(energy, batch, np.full(len(batch), -1.0 / len(batch)), None)
        if _sums_hidden(energy):
            parts: Iterator[Gradient] = iter([energy.model_gradient()])
        elif energy.domain in protocols.CONTINUOUS:
            parts = self._integrated(energy)
        else:
            parts = _enumerated(energy)
        for part in parts:
            for name, value in part.items():
                gradient[name] += value
        if centre is None:
            return gradient
        energy.centred_gradient(batch, np.full(len(batch), -1.0 / len(batch)), centre)  # moves the centre
        return centre.direction(gradient)

    def _integrated(self, energy: Any) -> Iterator[Gradient]:
        """Yield <dE/dtheta>_model from the midpoints of a grid, whose error falls faster than any power of its width
        where p vanishes at the edges."""
        assert self.box is not None
        axes = [low + (high - low) * (np.arange(self.points) + 0.5) / self.points for low, high in self.box]
        x = np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")], axis=1)
        u = energy(x)
        p = np.exp(u.min() - u)
        yield energy.parameter_gradient(x, p / p.sum())


def _sites(energy: Any) -> float:
    """Number of binary units whose states are as many as the energy's configurations; infinite if continuous."""
    if energy.domain not in protocols.DISCRETE:
        return np.inf
    return int(np.prod(energy.shape)) * np.log2(protocols.n_states(energy))


def _sums_hidden(energy: Any) -> bool:
    return isinstance(energy, HiddenSum) and energy.n_hidden <= min(_sites(energy), MOST_SITES)


def _enumerated(energy: Any) -> Iterator[Gradient]:
    """Iterate over the parts of <dE/dtheta>_model from blocks of all configurations."""
    from ebm import exact

    p, start = exact.probabilities(energy), 0
    for x in exact.states(energy.shape, energy.domain, protocols.n_states(energy)):
        yield energy.parameter_gradient(x, p[start : start + len(x)])
        start += len(x)
