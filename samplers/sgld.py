"""Stochastic-gradient Langevin dynamics: Langevin steps whose gradient is estimated from a few rows of the data.

For energies that are a sum over many rows, such as a network's loss as an energy over its weights.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from samplers import protocols, random
from samplers.inner import OPTIONS, copy
from samplers.langevin import check_continuous, langevin_chains
from samplers.sampler import Kernel, Sampler, State


@njit(cache=True, **OPTIONS)
def draw_batches(rows, streams, batches):
    """Fill each chain's batch (chains, m) with m different numbers below `rows`, from its own stream."""
    order = np.arange(rows)
    size = batches.shape[1]
    swapped = np.empty(size, np.int64)
    for chain in range(batches.shape[0]):
        stream = random.load(streams, chain)
        for k in range(size):  # the first steps of a shuffle (Fisher and Yates)
            j, stream = random.below(rows - k, stream)
            swapped[k] = k + j
            order[k], order[k + j] = order[k + j], order[k]
        copy(order[:size], batches[chain])
        for k in range(size - 1, -1, -1):  # and back, so that a chain does not depend on those before it
            order[k], order[swapped[k]] = order[swapped[k]], order[k]
        random.save(streams, chain, stream)


@dataclass(frozen=True)
class SGLD(Sampler):
    """Stochastic-gradient Langevin dynamics (Welling and Teh 2011): x' = x - step g(x) + sqrt(2 step / beta) xi.

    g is the gradient of E estimated from `batch_size` rows, anew at each step and for each chain, drawn from the
    chain's own stream without replacement; xi ~ N(0, 1). The energy needs `n_data`, its number of rows, and
    `grad(x, batch)` (samplers.protocols.Rowwise), such as `models.Posterior`.

    Unadjusted and biased: to the bias of `Langevin` the batches add heat. On a quadratic well of curvature k, where g
    has the variance v, the variance of x is (1 / beta + step v / 2) / (k (1 - k step / 2)), see
    `ebm.exact.sgld_variance`; both biases are of first order in the step (Vollmer, Zygalakis and Teh 2016). The heat
    does not fall with beta, so `ParallelTempering` refuses SGLD. The energies of draws are of all rows: with many,
    choose `thin` so that they cost little.

    Args:
        step_size: step in units of x^2 / E, positive and fixed. E sums over all rows: the more there are, the shorter.
        batch_size: rows of one step, from 1 to n_data.

    Example:
        >>> import numpy as np, samplers
        >>> class Mean:  # of 100 numbers with unit noise
        ...     shape, domain, n_data, rows = (1,), "real", 100, np.linspace(-1.0, 3.0, 100)
        ...     def __call__(self, x):
        ...         return 0.5 * ((x - self.rows) ** 2).sum(1)
        ...     def grad(self, x, batch=None):
        ...         rows = self.rows if batch is None else self.rows[batch]
        ...         return self.n_data * (x - rows.mean(-1, keepdims=True))
        >>> chains = samplers.sample(Mean(), samplers.SGLD(1e-3, batch_size=10), draws=500, seed=1, progress=False)
        >>> abs(float(chains.x.mean()) - 1.0) < 0.1
        True
    """

    step_size: float
    batch_size: int
    needs_energy = False

    def __post_init__(self) -> None:
        protocols.check_positive(self.step_size, "step_size")
        protocols.check_positive(self.batch_size, "batch_size", integer=True)

    def check(self, energy: Any) -> None:
        """Raise unless the energy is continuous and estimates its gradient from at least batch_size rows."""
        check_continuous("SGLD", energy)
        if not isinstance(energy, protocols.Rowwise) or not _takes_batches(energy.grad):
            raise TypeError(
                "SGLD needs an energy with `n_data` and `grad(x, batch)`, an estimate of its gradient from some of its "
                f"rows, got {protocols.name_of(energy)}"
            )
        protocols.check_positive(energy.n_data, f"{protocols.name_of(energy)}.n_data", integer=True)
        if self.batch_size > energy.n_data:
            raise ValueError(f"batch_size must be at most n_data = {energy.n_data}, got {self.batch_size}")

    def compiled_kernel(self, energy: Any) -> Kernel | None:
        """Return None: batches go through the energy's own gradient, all chains in one call."""
        return None

    def settings(self, energy: Any, warmup: int) -> tuple:
        """Return the step size and whether to wrap angles."""
        return float(self.step_size), energy.domain == "angle"

    def sweep_array(self, energy: Any, state: State, settings: tuple, adapting: int) -> np.ndarray:
        """Take one step of every chain, each with rows of its own."""
        x, beta = state["x"], state["beta"]
        batch, acceptance = np.empty((len(x), self.batch_size), np.int64), np.empty(len(x))
        draw_batches(energy.n_data, state["stream"], batch)
        gradient = beta[:, None] * protocols.batch_gradient(energy, x, batch)
        langevin_chains(x, gradient, settings[0], beta, settings[1], state["stream"], acceptance)
        return acceptance


def _takes_batches(grad: Any) -> bool:
    """Whether a gradient can be called with configurations and rows."""
    try:
        inspect.signature(grad).bind(None, None)
    except (TypeError, ValueError):  # of the latter kind for what has no signature
        return False
    return True
