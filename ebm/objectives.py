"""What energies and objectives must have for `ebm.fit`: small structural protocols.

The log-likelihood of the data rises along

    d/dtheta mean ln p(x) = -<dE/dtheta>_data + <dE/dtheta>_model        (beta = 1)

whose second term an objective estimates in one way or another; others climb something else with the same summit. An
objective keeps what it must remember between batches (chains, random streams) in a dictionary of arrays, which is all
that a checkpoint needs.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from ebm.centring import Centre
from ebm.history import Record
from samplers import protocols
from samplers.protocols import Space

State = dict[str, np.ndarray]
Gradient = dict[str, np.ndarray]


@runtime_checkable
class Learnable(Space, Protocol):
    """An energy or score with parameters that can be learned."""

    def learnable(self) -> dict[str, np.ndarray]:
        """Return the writable arrays that are learned, by name."""


@runtime_checkable
class LearnableEnergy(Learnable, Protocol):
    """An energy whose derivative by its parameters is known."""

    def parameter_gradient(self, x: np.ndarray, weights: np.ndarray) -> Gradient:
        """Return sum_i weights_i dE(x_i)/dparameter by name, x (n, *shape), weights (n,)."""


@runtime_checkable
class Centrable(LearnableEnergy, Protocol):
    """A machine of two layers, whose gradients can be centred."""

    n_visible: int
    n_hidden: int

    def centred_gradient(self, x: np.ndarray, weights: np.ndarray, centre: Centre) -> Gradient:
        """Return the centred direction; the centre follows the rows of negative weight, the data."""


@runtime_checkable
class HiddenSum(LearnableEnergy, Protocol):
    """A machine whose model expectation can be had by a sum over the states of a small hidden layer."""

    n_hidden: int

    def model_gradient(self) -> Gradient:
        """Return <dE/dparameter>_model exactly, by name."""


@runtime_checkable
class Persistent(LearnableEnergy, Protocol):
    """A machine of two layers, whose persistent chains keep both and share products with the gradient."""

    n_hidden: int

    def persistent_gradient(self, data: np.ndarray, state: State, sweeps: int, centre: Centre | None) -> Gradient:
        """Move the chains and return the direction of ascent for a batch of data."""


class Objective(Protocol):
    """What `fit` needs of an objective. `learned` names arrays of its state that are learned with the parameters."""

    learned: tuple[str, ...]

    def check(self, energy: Any) -> None:
        """Raise if the objective does not fit the energy."""

    def start(self, energy: Any, data: np.ndarray, batch_size: int, entropy: int) -> State:
        """Return what must be remembered between batches."""

    def gradient(self, energy: Any, batch: np.ndarray, state: State, centre: Centre | None) -> Gradient:
        """Return the direction of ascent for a batch, and advance the state; one that is a loss puts it in "loss"."""


@runtime_checkable
class Reporting(Protocol):
    """An objective with numbers of its own, which join the record of each epoch."""

    def report(self, state: State) -> Record:
        """Return the numbers of the epoch that ends, by name; may reset what it counts in the state."""


def gradient_of(energy: Any, x: np.ndarray, weights: np.ndarray, centre: Centre | None) -> Gradient:
    """Return the weighted gradient sum_i weights_i dE(x_i)/dparameter, centred if there is a centre."""
    if centre is None:
        return energy.parameter_gradient(x, weights)
    return energy.centred_gradient(x, weights, centre)


def check_learnable_energy(objective: str, energy: Any) -> None:
    """Raise unless the derivative of this energy by its parameters is known."""
    if not protocols.has_energy(energy) or not isinstance(energy, LearnableEnergy):
        raise TypeError(
            f"{objective} needs an energy with `parameter_gradient`, got {protocols.name_of(energy)}"
            f"{'' if protocols.has_energy(energy) else ', which is a score'}"
        )
