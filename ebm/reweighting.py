"""Weights that turn draws at several temperatures into draws at one (Shirts and Chodera 2008).

    w_n ~ exp(-u(x_n, beta)) / sum_k n_k exp(-u(x_n, beta_k) - ln Z_k),      sum_n w_n = 1

An average at beta is sum_n w_n f(x_n), a free energy along a coordinate the logarithm of its weighted histogram.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

from ebm.mbar import influences, log_denominators, mbar, shares
from samplers import Chains, protocols


def mbar_weights(chains: Chains | Sequence[Chains], beta: float, energy: Any = None) -> Any:
    """Return normalised weights of all stored draws at an inverse temperature.

    Args:
        chains: a run of ParallelTempering, whose draws at all rungs are weighed by their recorded energies; or runs at
            temperatures of their own, whose kept configurations are weighed.
        beta: inverse temperature to which the draws are weighed, positive; of a run of ParallelTempering whose reduced
            energy is not beta E, such as an RBM's, one of its rungs.
        energy: of several runs: the energy, needed unless u = beta E.

    Returns:
        (chains, draws, rungs) of a run of ParallelTempering; for several runs a list of (chains, draws), one a run. All
        of them sum to one.

    Raises:
        ValueError: nothing was recorded that tells u at beta.

    Example:
        >>> import ebm, samplers
        >>> ring, runs = ebm.Ising(8), []
        >>> for beta in (0.3, 0.6):
        ...     runs.append(samplers.sample(ring, samplers.Gibbs(), beta=beta, seed=1, progress=False))
        >>> weights = mbar_weights(runs, 0.45)
        >>> mean = sum((w * run.energy).sum() for w, run in zip(weights, runs)) / 8
        >>> bool(abs(mean - ebm.exact.ring_energy(8, 0.45)) < 0.05)
        True
    """
    protocols.check_positive(beta, "beta")
    if isinstance(chains, Chains):
        if chains.tempering is None:
            raise ValueError("chains must be a run of ParallelTempering, or a list of runs: put the one run in a list")
        return _of_ladder(chains, float(beta))
    runs = list(chains)
    if not runs:
        raise ValueError("chains must hold at least one run, got none")
    u, counts = _pooled(runs, float(beta), energy)
    weights = np.split(_weights(u[:-1], counts, u[-1]), np.cumsum(counts)[:-1])
    return [w.reshape(run.shape) for w, run in zip(weights, runs, strict=True)]


class Response(NamedTuple):
    """How weights follow the estimated ln Z of their states, g_k, and how every draw moves g; draws run by run.

    Attributes:
        slopes: d ln w_n / d g_k, (states, draws).
        influences: to first order g - <g> is the mean over all draws of these, (states, draws).
    """

    slopes: np.ndarray
    influences: np.ndarray

    def of_mean(self, influence: np.ndarray) -> np.ndarray:
        """Add to the influences w_n f_n of draws (draws,) on a weighted mean what they do to it by way of g."""
        return influence + (self.slopes @ influence / len(influence)) @ self.influences


def response(runs: Sequence[Chains], beta: float, energy: Any = None) -> tuple[list[np.ndarray], Response]:
    """Return ln w of all draws, (chains, draws) for each run as of `mbar_weights`, and what their errors need."""
    u, counts = _pooled(runs, beta, energy)
    g = mbar(u[:-1], counts)
    log_w = np.split(-u[-1] - log_denominators(u[:-1], counts, g), np.cumsum(counts)[:-1])
    found = Response(shares(u[:-1], counts, g), influences(u[:-1], counts, g))
    return [w.reshape(run.shape) for w, run in zip(log_w, runs, strict=True)], found


def _pooled(runs: Sequence[Chains], beta: float, energy: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return u of all draws at the temperature of each run and, last, at beta, and the number of draws of each run."""
    at = np.array([*(run.beta for run in runs), beta])
    u = np.concatenate([_reduced_at(run, at, energy) for run in runs], axis=1)
    return u, np.array([run.shape[0] * run.shape[1] for run in runs])


def _of_ladder(chains: Chains, beta: float) -> np.ndarray:
    tempering = chains.tempering
    assert tempering is not None
    betas, n = tempering.betas, chains.shape[0] * chains.shape[1]
    counts = np.full(len(betas), n)
    if tempering.reduced is None:
        energies = np.asarray(tempering.energies).transpose(2, 0, 1).ravel()  # the draws of one rung after the other
        u, target = betas[:, None] * energies, beta * energies
    else:
        from samplers.ladder import rung_of

        u = np.asarray(tempering.reduced).transpose(2, 3, 0, 1).reshape(len(betas), -1)
        target = u[rung_of(beta, tuple(betas))]
    return _weights(u, counts, target).reshape(len(betas), *chains.shape).transpose(1, 2, 0)


def _weights(u: np.ndarray, counts: np.ndarray, target: np.ndarray) -> np.ndarray:
    log_weight = -target - log_denominators(u, counts, mbar(u, counts))
    return np.exp(log_weight - logsumexp(log_weight))


def _reduced_at(run: Chains, betas: np.ndarray, energy: Any) -> np.ndarray:
    """Return u of all draws of a run at some temperatures, (betas, draws)."""
    if energy is not None and not protocols.is_linear(energy):
        if run.x is None:
            raise ValueError("chains must keep x for an energy whose u is not beta E, got a run with keep_x=False")
        x = np.asarray(run.x).reshape(run.shape[0] * run.shape[1], -1)
        return np.stack([protocols.reduced(energy, x, np.full(len(x), b)) for b in betas])
    if run.energy is None:
        raise ValueError("chains must have energies, got a run of a score without them")
    return betas[:, None] * np.asarray(run.energy).ravel()
