"""Exact averages of any small discrete energy, by summing over all its configurations.

    p(x) = exp(-u(x, beta)) / Z,      u = energy.reduced(x, beta), or beta * energy(x) where there is no `reduced`

Only a block of configurations and its energies is in memory at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ebm.exact.arguments import finite
from ebm.exact.configurations import count_states, states

MAX_PROBABILITIES = 2**20


class DiscreteEnergy(Protocol):
    """What is needed of an energy here; one of domain "states" also has `n_states`, and it may have `reduced`."""

    shape: tuple[int, ...]
    domain: str

    def __call__(self, x: Any) -> Any: ...


@dataclass(frozen=True)
class Enumeration:
    """The exact law of a small discrete energy at one inverse temperature, as `enumerate` returns it.

    `mean_energy` and `heat_capacity` belong to E(x) = energy(x) of the whole configuration: <E> in the unit of the
    energy, and beta^2 Var(E) in k_B. Where hidden units are summed out at beta (an RBM), E is the free energy at
    beta = 1 and these are its mean and scaled variance under p, not the derivatives of ln Z.
    """

    energy: DiscreteEnergy
    beta: float
    n_configurations: int
    log_z: float
    mean_energy: float
    heat_capacity: float

    def states(self) -> Iterator[NDArray[np.integer]]:
        """Iterate over all configurations in blocks (m, *shape)."""
        return _states(self.energy)

    def probabilities(self) -> NDArray[np.float64]:
        """Return the probability of every configuration in the order of `states`, as `exact.probabilities` does."""
        return probabilities(self.energy, self.beta)

    def expectation(self, f: Callable[[NDArray[np.integer]], Any]) -> float:
        """Return the mean of f under p, where f maps configurations (m, *shape) to values (m,)."""
        total = 0.0
        for x in self.states():
            weight = np.exp(-reduced_energy(self.energy, x, self.beta) - self.log_z)
            total += float(weight @ _vector(f(x), len(x), "f"))
        return total


def enumerate(energy: DiscreteEnergy, beta: float = 1.0) -> Enumeration:
    """Sum over all configurations of a discrete energy.

        ln Z = ln sum_x exp(-u(x, beta)),      <E> = sum_x p(x) E(x)

    Args:
        energy: an energy of domain "spin", "binary" or "states" with at most 2^24 configurations.
        beta: inverse temperature, in the inverse unit of the energy, not negative.
    Returns:
        an `Enumeration`.
    Raises:
        ValueError: a continuous energy, too many configurations, beta negative, energies not finite or of wrong shape.

    >>> class Pair:
    ...     shape, domain = (2,), "spin"
    ...     def __call__(self, x):
    ...         return -x[:, 0] * x[:, 1]
    >>> round(enumerate(Pair(), beta=0.5).mean_energy, 7)  # -tanh(1/2)
    -0.4621172
    """
    beta = _not_negative(beta)
    log_weights, means, variances = [], [], []
    for x in _states(energy):
        value = _vector(energy(x), len(x), "energy(x)")
        log_weight = -reduced_energy(energy, x, beta, value)
        log_weights.append(float(logsumexp(log_weight)))
        p = np.exp(log_weight - log_weights[-1])
        means.append(p @ value)
        variances.append(p @ (value - means[-1]) ** 2)
    log_z = float(logsumexp(log_weights))
    block = np.exp(np.array(log_weights) - log_z)
    mean = float(block @ np.array(means))
    variance = float(block @ (np.array(variances) + (np.array(means) - mean) ** 2))
    return Enumeration(energy, beta, _count(energy), log_z, mean, beta**2 * variance)


def probabilities(energy: DiscreteEnergy, beta: float = 1.0) -> NDArray[np.float64]:
    """Return the probability of every configuration, in the order of `states`.

    Args:
        energy: an energy of domain "spin", "binary" or "states" with at most 2^20 configurations.
        beta: inverse temperature, in the inverse unit of the energy, not negative.
    Returns:
        probabilities (n_states^sites,), which sum to one; `state_index` finds a configuration among them.
    Raises:
        ValueError: as `enumerate`, and more than 2^20 configurations.

    >>> class Coin:
    ...     shape, domain = (1,), "binary"
    ...     def __call__(self, x):
    ...         return -np.log(3.0) * x[:, 0]
    >>> probabilities(Coin()).round(7).tolist()
    [0.25, 0.75]
    """
    beta = _not_negative(beta)
    _count(energy, MAX_PROBABILITIES)
    log_weight = np.concatenate([-reduced_energy(energy, x, beta) for x in _states(energy)])
    p = np.exp(log_weight - log_weight.max())
    return p / p.sum()


def reduced_energy(
    energy: Any, x: NDArray[Any], beta: float, value: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return u(x, beta) of configurations (m, *shape) as (m,); `value` is energy(x) where it is known already.

    Raises:
        ValueError: values that are not finite, or not one for each configuration.
    """
    own = getattr(energy, "reduced", None)
    if own is not None:
        return _vector(own(x, beta), len(x), "energy.reduced(x, beta)")
    return beta * (_vector(energy(x), len(x), "energy(x)") if value is None else value)


def _vector(value: Any, length: int, name: str) -> NDArray[np.float64]:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != (length,):
        raise ValueError(f"{name} must have one value a configuration, shape ({length},), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def _states(energy: Any) -> Iterator[NDArray[np.integer]]:
    return states(energy.shape, energy.domain, _n_states(energy))


def _count(energy: Any, *most: int) -> int:
    return count_states(energy.shape, energy.domain, _n_states(energy), *most)


def _n_states(energy: Any) -> int:
    return energy.n_states if energy.domain == "states" else 2


def _not_negative(beta: float) -> float:
    beta = finite(beta, "beta")
    if beta < 0:
        raise ValueError(f"beta must not be negative, got {beta}")
    return beta
