"""ln Z from a parallel-tempering ladder: what its rungs say of each other, and the ways to add it up.

All ways take the reduced energies of the draws of every rung at the others. Their errors come from influences: to first
order an estimate is the truth plus the mean over draws of a series, in which all rungs of one draw are added up before
its autocorrelation is measured. So neither the memory of the chains nor that rungs share replicas is forgotten.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

import samplers
from ebm.bar import Ratio, bar
from ebm.bridge import Bridge, base_of, check_kernel, default_sampler
from ebm.mbar import influences, mbar
from ebm.thermodynamic_integration import Integral, integrate
from samplers import protocols
from samplers.identity import fingerprint_energy
from samplers.ladder import rung_of
from samplers.rungs import Tempering

BLOCKS = 20  # stretches of a run, each of which gives a bound


class Rungs(NamedTuple):
    """A run of ParallelTempering, the ln Z of its first rung, the rung asked about, and of which energy and beta."""

    run: samplers.Chains
    log_z_start: float
    target: int
    asked: tuple[str, float]

    @property
    def tempering(self) -> Tempering:
        """What the run tells of its ladder."""
        assert self.run.tempering is not None
        return self.run.tempering

    @property
    def u(self) -> np.ndarray:
        """Reduced energies u[at, of] at rung `at` of the configurations of rung `of`, (rungs, rungs, chains, draws)."""
        tempering = self.tempering
        if tempering.reduced is not None:
            return np.ascontiguousarray(np.asarray(tempering.reduced).transpose(2, 3, 0, 1))
        return tempering.betas[:, None, None, None] * np.asarray(tempering.energies).transpose(2, 0, 1)


class Estimate(NamedTuple):
    """ln Z of the target less that of the first rung, its series of influences (chains, draws), and more to tell."""

    value: float
    series: np.ndarray
    details: dict[str, Any]


def run_ladder(
    energy: Any, beta: float, rungs: np.ndarray, base: Any, sampler: samplers.Sampler | None, chains: int, draws: int,
    warmup: int, thin: int, entropy: int, progress: bool,
) -> Rungs:  # fmt: skip
    """Run parallel tempering from where ln Z is known to the energy at beta.

    Discrete energies start at beta = 0, where all states are alike; continuous ones at a base, along a straight path.
    """
    sampler = default_sampler(energy) if sampler is None else sampler
    check_kernel(sampler, energy)
    seeds = [int(child.generate_state(1, np.uint64)[0]) for child in np.random.SeedSequence(entropy).spawn(2)]
    settings: dict[str, Any] = {
        "chains": chains,
        "draws": draws,
        "warmup": warmup,
        "thin": thin,
        "keep_x": False,
        "seed": seeds[0],
    }
    if energy.domain in protocols.DISCRETE:
        if base is not None:
            raise ValueError(f"base is for continuous energies; a discrete one starts at beta = 0, got {base!r}")
        ladder = samplers.ParallelTempering(sampler, tuple(beta * rungs))
        run = samplers.sample(energy, ladder, beta=beta, progress=progress, **settings)
        return rungs_of(run, energy, beta)
    bridge = Bridge(base_of(energy, beta, base, sampler, seeds[1]), energy, beta)
    ladder = samplers.ParallelTempering(sampler, tuple(1.0 + rungs))
    run = samplers.sample(bridge, ladder, beta=2.0, progress=progress, **settings)
    return Rungs(run, float(bridge.base.log_z(1.0)), len(rungs) - 1, (fingerprint_energy(energy), beta))


def rungs_of(run: Any, energy: Any, beta: float) -> Rungs:
    """Return the rungs of a run of the user's on a discrete energy, or of an earlier result, if it is of this energy.

    Raises:
        ValueError: the run is another one, its ladder does not start at 0, or beta is not on it.
    """
    fingerprint = fingerprint_energy(energy)
    if isinstance(run, Rungs):
        if run.asked != (fingerprint, beta):
            raise ValueError(f"run must be of this energy at beta = {beta:g}, got one of another, at {run.asked[1]:g}")
        return run
    tempering = getattr(run, "tempering", None)
    if tempering is None or energy.domain not in protocols.DISCRETE or tempering.betas[0] != 0.0:
        raise ValueError("run must be chains of ParallelTempering of a discrete energy, with a ladder that starts at 0")
    if run.attributes.get("energy_fingerprint", fingerprint) != fingerprint:
        raise ValueError(f"run must be of this energy, got one of {run.attributes['energy']}")
    return Rungs(run, log_z_at_zero(energy), rung_of(beta, tuple(tempering.betas)), (fingerprint, beta))


def log_z_at_zero(energy: Any) -> float:
    """Return ln Z at beta = 0: that of the number of states, and of hidden units, which are counted too."""
    sites = int(np.prod(energy.shape))
    x = np.random.default_rng(0).choice(protocols.values(energy), (16, sites))
    u = protocols.reduced(energy, x, np.zeros(len(x)))
    if np.ptp(u) > 1e-9 * max(1.0, np.abs(u).max()):
        raise ValueError(f"energy must not tell states apart at beta = 0, got u from {u.min():.6g} to {u.max():.6g}")
    return float(sites * np.log(len(protocols.values(energy))) - u[0])


def estimate(rungs: Rungs, method: str) -> Estimate:
    """Return ln Z of the target less that of the first rung by "ti", "bar" or "mbar"."""
    u, target = rungs.u, rungs.target
    if method == "mbar":
        # All rungs speak for the target, those beyond it as well.
        counts, flat = np.full(len(u), u[0, 0].size), u.reshape(len(u), -1)
        g = mbar(flat, counts, _guess(u))
        series = influences(flat, counts, g)[target].reshape(len(u), *u.shape[2:]).mean(0)
        return Estimate(float(g[target]), series, {})
    value, integration_error, series = 0.0, 0.0, np.zeros(u[0, 0].size)
    for k in range(target):
        y = (u[k + 1] - u[k]).reshape(len(u), -1)
        pair: Ratio | Integral
        if method == "bar":
            pair = bar(y[k], y[k + 1])
        else:
            pair = integrate(y[k], y[k + 1])
            integration_error += pair.error
        value += pair.value
        series += pair.first + pair.second
    details = {} if method == "bar" else {"integration_error": integration_error}
    return Estimate(value, series.reshape(u.shape[2:]), details)


def _guess(u: np.ndarray) -> np.ndarray:
    """Return ln Z of all rungs by the acceptance ratios of neighbours."""
    steps = [bar(*(u[k + 1] - u[k]).reshape(len(u), -1)[k : k + 2]).value for k in range(len(u) - 1)]
    return np.concatenate(([0.0], np.cumsum(steps)))


def overlaps(rungs: Rungs) -> np.ndarray:
    """Return how far neighbours overlap, (target,): 1 for one law, 0 for two that share nothing."""
    u = rungs.u
    return np.array([bar(*(u[k + 1] - u[k]).reshape(len(u), -1)[k : k + 2]).overlap for k in range(rungs.target)])


def bounds(rungs: Rungs) -> tuple[np.ndarray, np.ndarray]:
    """Return stochastic bounds of ln Z from below and above, one a stretch of the run, (blocks,) each.

    Between neighbours ln mean exp(-y) over draws of the lower rung is low and -ln mean exp(y) over draws of the upper
    one is high, by Jensen's inequality: in equilibrium and whatever the correlations are.
    """
    u, shape = rungs.u, rungs.u.shape[2:]
    stretches = -(-BLOCKS // shape[0])
    edges = np.linspace(0, shape[1], min(stretches, shape[1]) + 1).astype(np.int64)
    lower, upper = [], []
    for begin, end in pairwise(edges):
        low, high = np.zeros(shape[0]), np.zeros(shape[0])
        for k in range(rungs.target):
            y = (u[k + 1] - u[k])[..., begin:end]
            low += logsumexp(-y[k], axis=1) - np.log(end - begin)
            high -= logsumexp(y[k + 1], axis=1) - np.log(end - begin)
        lower.append(low)
        upper.append(high)
    return rungs.log_z_start + np.concatenate(lower), rungs.log_z_start + np.concatenate(upper)


def error_of(series: np.ndarray, run: samplers.Chains) -> tuple[float, float]:
    """Return the standard error of an estimate from its influences (chains, draws), and their tau in draws.

    inf where the chains are too short to know it; 0 and 1 where all draws agree.
    """
    if np.ptp(series) <= 1e-12:
        return 0.0, 1.0
    found = samplers.estimate(lambda mean: mean, run, of=[series])
    return found.error, found.tau
