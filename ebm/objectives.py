"""What learning climbs: the log-likelihood of the data, its second term estimated in one way or another.

    d/dtheta mean ln p(x) = -<dE/dtheta>_data + <dE/dtheta>_model        (beta = 1)

An objective gives this direction for a batch. It keeps what it must remember between batches (chains, random streams)
in a dictionary of arrays, which is all that a checkpoint needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ebm.centring import Centre
from samplers import protocols, random
from samplers.gibbs import Gibbs
from samplers.initial import initial
from samplers.protocols import Space

State = dict[str, np.ndarray]
Gradient = dict[str, np.ndarray]

MOST_SITES = 20  # of the sums over all configurations


@runtime_checkable
class Learnable(Space, Protocol):
    """An energy with parameters that can be learned."""

    def learnable(self) -> dict[str, np.ndarray]:
        """Return the writable arrays that are learned, by name."""

    def parameter_gradient(self, x: np.ndarray, weights: np.ndarray) -> Gradient:
        """Return sum_i weights_i dE(x_i)/dparameter by name, x (n, *shape), weights (n,)."""


@runtime_checkable
class Centrable(Learnable, Protocol):
    """A machine of two layers, whose gradients can be centred."""

    n_visible: int
    n_hidden: int

    def centred_gradient(self, x: np.ndarray, weights: np.ndarray, centre: Centre) -> Gradient:
        """Return the centred direction; the centre follows the rows of negative weight, the data."""


@runtime_checkable
class HiddenSum(Learnable, Protocol):
    """A machine whose model expectation can be had by a sum over the states of a small hidden layer."""

    n_hidden: int

    def model_gradient(self) -> Gradient:
        """Return <dE/dparameter>_model exactly, by name."""


@runtime_checkable
class Persistent(Learnable, Protocol):
    """A machine of two layers, whose persistent chains keep both and share products with the gradient."""

    n_hidden: int

    def persistent_gradient(self, data: np.ndarray, state: State, sweeps: int, centre: Centre | None) -> Gradient:
        """Move the chains and return the direction of ascent for a batch of data."""


class Objective(Protocol):
    """What `fit` needs of an objective."""

    def check(self, energy: Any) -> None:
        """Raise if the objective does not fit the energy."""

    def start(self, energy: Any, batch_size: int, entropy: int) -> State:
        """Return what must be remembered between batches."""

    def gradient(self, energy: Any, batch: np.ndarray, state: State, centre: Centre | None) -> Gradient:
        """Return the direction of ascent for a batch, and advance the state."""


def contrast(energy: Any, data: np.ndarray, model: np.ndarray, centre: Centre | None) -> Gradient:
    """Return -<dE/dtheta>_data + <dE/dtheta>_model of two samples, in one stacked call."""
    x = np.concatenate([data, model])
    weights = np.repeat([-1.0 / len(data), 1.0 / len(model)], [len(data), len(model)])
    return gradient_of(energy, x, weights, centre)


def gradient_of(energy: Any, x: np.ndarray, weights: np.ndarray, centre: Centre | None) -> Gradient:
    """Return the weighted gradient, centred if there is a centre."""
    if centre is None:
        return energy.parameter_gradient(x, weights)
    return energy.centred_gradient(x, weights, centre)


def _gibbs(energy: Any, state: State, sweeps: int) -> None:
    sampler, state = Gibbs(), dict(state)
    sampler.start(energy, state)  # the parameters have changed since: what is kept of chains, but x, is made anew
    sampler.advance(energy, state, sampler.settings(energy, 0), 1, sweeps)


@dataclass(frozen=True)
class ContrastiveDivergence:
    """Contrastive divergence, CD-k (Hinton 2002): the model's term from k Gibbs sweeps started at the data.

    Biased towards the data; the bias falls with k.

    Example:
        >>> ContrastiveDivergence(k=5)
        ContrastiveDivergence(k=5)
    """

    k: int = 1

    def check(self, energy: Any) -> None:
        """Raise if k is not positive or the energy cannot be sampled by Gibbs sweeps."""
        protocols.check_positive(self.k, "k", integer=True)
        Gibbs().check(energy)

    def start(self, energy: Any, batch_size: int, entropy: int) -> State:
        """Return a random stream for each row of a batch."""
        return {"stream": random.make_streams(entropy, batch_size)}

    def gradient(self, energy: Any, batch: np.ndarray, state: State, centre: Centre | None) -> Gradient:
        """Return the direction of ascent for a batch (n, *shape)."""
        x = batch.reshape(len(batch), -1).copy()
        _gibbs(energy, {"x": x, "beta": np.ones(len(x)), "stream": state["stream"][: len(x)]}, self.k)
        return contrast(energy, batch, x.reshape(batch.shape), centre)


@dataclass(frozen=True)
class PersistentCD:
    """Persistent contrastive divergence (Tieleman 2008): the model's term from chains that go on between batches.

    Args:
        k: Gibbs sweeps between two batches.
        chains: number of persistent chains, started at random.

    Example:
        >>> PersistentCD(chains=50)
        PersistentCD(k=1, chains=50)
    """

    k: int = 1
    chains: int = 100

    def check(self, energy: Any) -> None:
        """Raise if k or chains is not positive or the energy cannot be sampled by Gibbs sweeps."""
        protocols.check_positive(self.k, "k", integer=True)
        protocols.check_positive(self.chains, "chains", integer=True)
        Gibbs().check(energy)

    def start(self, energy: Any, batch_size: int, entropy: int) -> State:
        """Return the chains and their random streams; those of a machine of two layers begin from the hidden one."""
        x = initial(energy, self.chains, entropy)
        state = {"x": x, "beta": np.ones(self.chains), "stream": random.make_streams(entropy, self.chains)}
        if isinstance(energy, Persistent):
            # The first thing a chain draws is x given h. A spawn key of four words is nobody else's.
            rng = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(0, 0, 0, 0)))
            state["h"] = rng.integers(0, 2, (self.chains, energy.n_hidden), np.int8)
        return state

    def gradient(self, energy: Any, batch: np.ndarray, state: State, centre: Centre | None) -> Gradient:
        """Return the direction of ascent for a batch (n, *shape), and advance the chains."""
        if "h" in state:  # only machines of two layers have it, and to ask for a protocol takes long
            return energy.persistent_gradient(batch, state, self.k, centre)
        _gibbs(energy, state, self.k)
        return contrast(energy, batch, state["x"].reshape(-1, *energy.shape), centre)


@dataclass(frozen=True)
class ExactLikelihood:
    """The exact log-likelihood: the model's term by a sum over all states of a small machine.

    At most 2^20 configurations, or 2^20 states of the hidden layer of an RBM.

    Example:
        >>> ExactLikelihood()
        ExactLikelihood()
    """

    def check(self, energy: Any) -> None:
        """Raise if there are too many states to sum over."""
        if _sites(energy) > MOST_SITES and not _sums_hidden(energy):
            raise ValueError(
                f"ExactLikelihood needs at most {MOST_SITES} units to sum over (visible of a discrete energy, or "
                f"hidden of an RBM), got {protocols.name_of(energy)} of shape {tuple(energy.shape)}"
            )

    def start(self, energy: Any, batch_size: int, entropy: int) -> State:
        """Return nothing: there is no chance in it."""
        return {}

    def gradient(self, energy: Any, batch: np.ndarray, state: State, centre: Centre | None) -> Gradient:
        """Return the gradient of mean ln p over a batch (n, *shape)."""
        gradient = gradient_of(energy, batch, np.full(len(batch), -1.0 / len(batch)), None)
        if _sums_hidden(energy):
            parts: Iterator[Gradient] = iter([energy.model_gradient()])
        else:
            parts = _enumerated(energy)
        for part in parts:
            for name, value in part.items():
                gradient[name] += value
        if centre is None:
            return gradient
        energy.centred_gradient(batch, np.full(len(batch), -1.0 / len(batch)), centre)  # moves the centre
        return centre.direction(gradient)


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
