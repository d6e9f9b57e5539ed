"""Contrastive divergence: the model's term of the gradient of ln p from chains that only run for a while.

    d/dtheta mean ln p(x) = -<dE/dtheta>_data + <dE/dtheta>_model        (beta = 1)

Any sampler of the house moves the chains; where it is unadjusted its bias becomes one of the learned energy. Two
penalties, of Du and Mordatch (2019) and of Gulrajani et al. (2017), keep networks smooth; both move the optimum:

    energy_penalty  (<E^2>_data + <E^2>_model)            gradient_penalty  <|dE/dx|^2>_data
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit

from ebm.centring import Centre
from ebm.objectives import Gradient, Persistent, State, check_learnable_energy, gradient_of
from samplers import protocols, random
from samplers.blocks import SamplingError
from samplers.gibbs import Gibbs
from samplers.initial import initial
from samplers.inner import OPTIONS
from samplers.sampler import Sampler


@dataclass(frozen=True)
class ContrastiveDivergence:
    """Contrastive divergence, CD-k (Hinton 2002): the model's term from k sweeps started at the data.

    Biased towards the data; the bias falls with k.

    Args:
        k: sweeps.
        sampler: what moves the chains, without adapting; default Gibbs(), which fits discrete energies and RBMs.
        energy_penalty: weight of the mean squared energies, in 1 / E, from 0.
        gradient_penalty: weight of the mean squared slope at the data, in x^2 / E, from 0; of torch energies.

    Example:
        >>> ContrastiveDivergence(k=5).k
        5
    """

    k: int = 1
    sampler: Sampler | None = None
    energy_penalty: float = 0.0
    gradient_penalty: float = 0.0
    learned: ClassVar[tuple[str, ...]] = ()

    def check(self, energy: Any) -> None:
        """Raise if a setting is out of range or the energy does not fit the sampler and the penalties."""
        _check(self, energy)

    def start(self, energy: Any, data: np.ndarray, batch_size: int, entropy: int) -> State:
        """Return a random stream for each row of a batch."""
        return {"stream": random.make_streams(entropy, batch_size)}

    def gradient(self, energy: Any, batch: np.ndarray, state: State, centre: Centre | None) -> Gradient:
        """Return the direction of ascent for a batch (n, *shape)."""
        x = batch.reshape(len(batch), -1).copy()
        move(energy, self.sampler, {"x": x, "beta": np.ones(len(x)), "stream": state["stream"][: len(x)]}, self.k)
        return contrast(energy, batch, x.reshape(batch.shape), centre, self.energy_penalty, self.gradient_penalty)


@dataclass(frozen=True)
class PersistentCD:
    """Persistent contrastive divergence (Tieleman 2008): the model's term from chains that go on between batches.

    Args:
        k: sweeps between two batches.
        chains: number of persistent chains, started at random: the replay buffer.
        sampler: what moves the chains, without adapting; default Gibbs(), which fits discrete energies and RBMs.
        reinitialise: chance of a chain to start anew at random before each batch (Du and Mordatch 2019), from 0 to
            below 1. Chains that do no more than 1 / reinitialise batches of sweeps bias what is learned.
        energy_penalty: weight of the mean squared energies, in 1 / E, from 0.
        gradient_penalty: weight of the mean squared slope at the data, in x^2 / E, from 0; of torch energies.

    Example:
        >>> PersistentCD(chains=50).chains
        50
    """

    k: int = 1
    chains: int = 100
    sampler: Sampler | None = None
    reinitialise: float = 0.0
    energy_penalty: float = 0.0
    gradient_penalty: float = 0.0
    learned: ClassVar[tuple[str, ...]] = ()

    def check(self, energy: Any) -> None:
        """Raise if a setting is out of range or the energy does not fit the sampler and the penalties."""
        protocols.check_positive(self.chains, "chains", integer=True)
        protocols.check_positive(self.reinitialise, "reinitialise", zero=True)
        if self.reinitialise >= 1:
            raise ValueError(f"reinitialise must be below 1, got {self.reinitialise!r}")
        _check(self, energy)

    def start(self, energy: Any, data: np.ndarray, batch_size: int, entropy: int) -> State:
        """Return the chains and their random streams; those of a machine of two layers begin from the hidden one."""
        x = initial(energy, self.chains, entropy)
        state = {"x": x, "beta": np.ones(self.chains), "stream": random.make_streams(entropy, self.chains)}
        if self._keeps_layers(energy):
            # The first thing a chain draws is x given h. A spawn key of four words is nobody else's.
            rng = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(0, 0, 0, 0)))
            state["h"] = rng.integers(0, 2, (self.chains, energy.n_hidden), np.int8)
        return state

    def _keeps_layers(self, energy: Any) -> bool:
        plain = self.sampler is None and not self.energy_penalty and not self.gradient_penalty
        return plain and isinstance(energy, Persistent)

    def gradient(self, energy: Any, batch: np.ndarray, state: State, centre: Centre | None) -> Gradient:
        """Return the direction of ascent for a batch (n, *shape), and advance the chains."""
        if self.reinitialise:
            restart(energy, state, self.reinitialise)
        if "h" in state:  # to ask for a protocol at every batch takes long
            return energy.persistent_gradient(batch, state, self.k, centre)
        move(energy, self.sampler, state, self.k)
        model = state["x"].reshape(-1, *energy.shape)
        return contrast(energy, batch, model, centre, self.energy_penalty, self.gradient_penalty)


def move(energy: Any, sampler: Sampler | None, state: State, sweeps: int) -> None:
    """Run `sweeps` sweeps of the chains of `state` in place: x (chains, sites), beta (chains,) and stream (chains, 4).

    Raises:
        SamplingError: a chain diverged.
    """
    sampler, state = Gibbs() if sampler is None else sampler, dict(state)
    sampler.start(energy, state)  # the parameters have changed since: what is kept of chains, but x, is made anew
    check_moved(sampler, state, sampler.advance(energy, state, sampler.settings(energy, 0), 1, sweeps))


def check_moved(sampler: Sampler, state: State, acceptance: np.ndarray) -> None:
    """Raise SamplingError if a chain diverged: its acceptance is NaN, (chains, draws)."""
    if not np.isfinite(acceptance).all():
        chain = int(np.argmin(np.isfinite(acceptance).all(1)))
        raise SamplingError(
            f"the model's chain {chain} left the numbers under {sampler!r} near x = {state['x'][chain][:8]}: a smaller "
            "step_size or learning_rate is needed"
        )


def contrast(
    energy: Any,
    data: np.ndarray,
    model: np.ndarray,
    centre: Centre | None,
    energy_penalty: float = 0.0,
    gradient_penalty: float = 0.0,
) -> Gradient:
    """Return -<dE/dtheta>_data + <dE/dtheta>_model of two samples, less the gradient of the penalties."""
    x = np.concatenate([data, model])
    weights = np.repeat([-1.0 / len(data), 1.0 / len(model)], [len(data), len(model)])
    if energy_penalty:
        weights -= 2.0 * energy_penalty * np.abs(weights) * energy(x)
    direction = gradient_of(energy, x, weights, centre)
    if gradient_penalty:
        for name, slope in energy.slope_gradient(data).items():
            direction[name] -= gradient_penalty * slope
    return direction


@njit(cache=True, **OPTIONS)
def _chosen(chance, streams, chosen):
    for chain in range(chosen.shape[0]):
        u, stream = random.uniform(random.load(streams, chain))
        chosen[chain] = u < chance
        random.save(streams, chain, stream)


def restart(energy: Any, state: State, chance: float) -> None:
    """Start each chain anew with the given chance, where chains start at random, from its own stream."""
    chosen = np.empty(len(state["x"]), np.bool_)
    _chosen(chance, state["stream"], chosen)
    for chain in np.flatnonzero(chosen):
        rng = np.random.default_rng(state["stream"][chain])
        state["x"][chain] = initial(energy, 1, int(rng.integers(2**63)))[0]
        if "h" in state:
            state["h"][chain] = rng.integers(0, 2, state["h"].shape[1], np.int8)


def _check(objective: ContrastiveDivergence | PersistentCD, energy: Any) -> None:
    name = type(objective).__name__
    protocols.check_positive(objective.k, "k", integer=True)
    protocols.check_positive(objective.energy_penalty, "energy_penalty", zero=True)
    protocols.check_positive(objective.gradient_penalty, "gradient_penalty", zero=True)
    check_learnable_energy(name, energy)
    if objective.gradient_penalty and not callable(getattr(energy, "slope_gradient", None)):
        raise TypeError(f"gradient_penalty needs a torch energy, got {protocols.name_of(energy)}")
    sampler = objective.sampler
    if sampler is None and energy.domain in protocols.CONTINUOUS and not isinstance(energy, protocols.Layered):
        raise TypeError(
            f"{name} needs sampler=..., such as samplers.MALA(0.01), for {protocols.name_of(energy)} "
            f"(domain {energy.domain!r})"
        )
    (Gibbs() if sampler is None else sampler).check(energy)
