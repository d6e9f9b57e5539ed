"""Hamiltonian Monte Carlo: long, guided moves that are accepted so that the target is exact."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from samplers import adaptation, protocols, random
from samplers.elementary import plus
from samplers.inner import OPTIONS, inline
from samplers.lanes import is_finite, sqrt, where
from samplers.langevin import check_continuous, wrap_angle
from samplers.mala import accept_probability, check_adaptive, start_adaptive, stay
from samplers.sampler import Kernel, Sampler, State
from samplers.tags import both_of, gradient_of

JITTER = 0.2  # each trajectory's step is uniform within +-20 %, so that no period of the target is resonant (Neal 2011)


@inline
def _begin(x, inverse_mass, step_size, y, momentum, stream):
    """Draw a momentum from N(0, mass) and this trajectory's step; y starts at x. Returns kinetic energy and step."""
    kinetic = 0.0
    stream = random.fill_normal(momentum, stream)
    for i in range(x.shape[0]):
        kinetic = plus(kinetic, 0.5 * momentum[i] * momentum[i])
        momentum[i] = momentum[i] / sqrt(inverse_mass[i])
        y[i] = x[i]
    r, stream = random.uniform(stream)
    return kinetic, step_size * (1.0 + JITTER * (2.0 * r - 1.0)), stream


@inline
def _kick_and_drift(x, y, momentum, gradient, inverse_mass, kick, step, reach):
    """p -= kick du/dx; y += step p / mass. Returns `reach`, to which the square of y is added.

    A trajectory is in reach while that is finite. Beyond it, energies that are sums of infinities stop being numbers,
    which would look like a fault of theirs: y becomes x, and the trajectory will be rejected.
    """
    for i in range(y.shape[0]):
        momentum[i] -= kick * gradient[i]
        y[i] += step * inverse_mass[i] * momentum[i]
        reach = plus(reach, y[i] * y[i])
    stay(is_finite(reach), x, y)
    return reach


@inline
def _kinetic(momentum, gradient, inverse_mass, kick):
    """The last half kick, and the kinetic energy after it."""
    kinetic = 0.0
    for i in range(momentum.shape[0]):
        last = momentum[i] - kick * gradient[i]
        kinetic = plus(kinetic, 0.5 * inverse_mass[i] * last * last)
    return kinetic


@inline
def _finish(arrays, chain, y, u_y, gradient_y, finite, change, settings, adapting, stream):
    """Accept or reject the end of the trajectory; adapt step and mass. A trajectory that blew up is a rejection.

    `change` is what the kinetic energy has lost.
    """
    x, _, u, gradient, step_size, averaging, inverse_mass, moments = arrays
    _, target, warmup, schedule, wrap = settings
    # An end of infinite energy is impossible, whatever the momentum is there.
    probability = where(finite, accept_probability(u[chain] - u_y + change), 0.0)
    probability = where(u_y == np.inf, 0.0, probability)
    r, stream = random.uniform(stream)
    accepted = r < probability
    for i in range(y.shape[0]):
        x[chain, i] = where(accepted, wrap_angle(y[i]) if wrap else y[i], x[chain, i])
        gradient[chain, i] = where(accepted, gradient_y[i], gradient[chain, i])
    u[chain] = where(accepted, u_y, u[chain])
    if adapting >= 0 and target > 0.0:
        adaptation.dual_average(step_size, averaging, chain, probability, target, wrap)
        if schedule[adapting] != adaptation.WAIT and not wrap:  # an angle has no variance: its mass stays one
            adaptation.collect(moments, chain, x[chain])
            if schedule[adapting] == adaptation.UPDATE:
                adaptation.update_inverse_mass(inverse_mass, moments, chain)
                adaptation.restart_dual_averaging(step_size, averaging, chain)
        if adapting == warmup - 1:
            adaptation.finish_dual_averaging(step_size, averaging, chain)
    return probability, stream


@inline
def _hmc_sweep(tag, p, state, settings, scratch, chain, adapting, stream):
    x, beta, _, gradient, step_size, _, inverse_mass, _ = state
    y, momentum, gradient_y, work = scratch[0], scratch[1], scratch[2], scratch[3]
    mass, b, begin = inverse_mass[chain], beta[chain], gradient[chain]
    kinetic, step, stream = _begin(x[chain], mass, step_size[chain], y, momentum, stream)
    for i in range(y.shape[0]):
        gradient_y[i] = begin[i]
    kick, reach, u_y = 0.5 * step, 0.0, 0.0
    for left in range(settings[0] - 1, -1, -1):
        reach = _kick_and_drift(x[chain], y, momentum, gradient_y, mass, kick, step, reach)
        gradient_y[:] = 0.0
        if left:
            gradient_of(tag)(y, b, 1.0, p, gradient_y, work)
        else:
            u_y = both_of(tag)(y, b, 1.0, p, gradient_y, work)
        kick = step
    change = kinetic - _kinetic(momentum, gradient_y, mass, 0.5 * step)
    return _finish(state, chain, y, u_y, gradient_y, is_finite(reach), change, settings, adapting, stream)


@njit(cache=True, **OPTIONS)
def _begin_chains(x, inverse_mass, step_size, y, momentum, kinetic, step, streams):
    for c in range(x.shape[0]):
        stream = random.load(streams, c)
        kinetic[c], step[c], stream = _begin(x[c], inverse_mass[c], step_size[c], y[c], momentum[c], stream)
        random.save(streams, c, stream)


@njit(cache=True, **OPTIONS)
def _move_chains(x, y, momentum, gradient, inverse_mass, kick, step, reach):
    for c in range(y.shape[0]):
        reach[c] = _kick_and_drift(x[c], y[c], momentum[c], gradient[c], inverse_mass[c], kick[c], step[c], reach[c])


@njit(cache=True, **OPTIONS)
def _finish_chains(arrays, y, momentum, u_y, gradient_y, reach, kinetic, step, settings, adapting, streams, out):
    inverse_mass = arrays[6]
    for c in range(y.shape[0]):
        stream = random.load(streams, c)
        change = kinetic[c] - _kinetic(momentum[c], gradient_y[c], inverse_mass[c], 0.5 * step[c])
        out[c], stream = _finish(
            arrays, c, y[c], u_y[c], gradient_y[c], np.isfinite(reach[c]), change, settings, adapting, stream
        )
        random.save(streams, c, stream)


@dataclass(frozen=True)
class HMC(Sampler):
    """Hamiltonian Monte Carlo (Duane et al. 1987) with a fixed number of leapfrog steps and a diagonal mass.

    H(x, p) = beta E(x) + p M^-1 p / 2; leapfrog, accepted with min(1, exp(-change of H)). In warm-up each chain adapts
    its step by dual averaging and its mass to the variances it has seen (Hoffman and Gelman 2014); then both stay.

    Args:
        step_size: leapfrog step to begin with, positive; each trajectory varies it by up to 20 % either way.
        steps: leapfrog steps a trajectory.
        target_acceptance: aimed at in warm-up; None keeps step size and mass as they are.

    Example:
        >>> import ebm, samplers
        >>> samplers.sample(ebm.DoubleWell(), samplers.HMC(), draws=50, seed=1, progress=False).x.shape
        (4, 50, 1)
    """

    step_size: float = 0.1
    steps: int = 10
    target_acceptance: float | None = 0.8
    kernel = Kernel(
        _hmc_sweep, ("x", "beta", "u", "gradient", "step_size", "averaging", "inverse_mass", "moments"), 4, lanes=True
    )

    def __post_init__(self) -> None:
        check_adaptive(self.step_size, self.target_acceptance)
        protocols.check_positive(self.steps, "steps", integer=True)

    def check(self, energy: Any) -> None:
        """Raise unless the energy is continuous, with a gradient and an energy."""
        check_continuous("HMC", energy)

    def start(self, energy: Any, state: State) -> None:
        """Keep the reduced energy and its gradient at the start, and the adaptation of each chain."""
        chains, sites = state["x"].shape
        state["u"] = protocols.reduced(energy, state["x"], state["beta"])
        state["gradient"] = protocols.reduced_gradient(energy, state["x"], state["beta"])
        start_adaptive(self.step_size, state)
        state["inverse_mass"] = np.ones((chains, sites))
        state["moments"] = np.zeros((chains, 1 + 2 * sites))

    def settings(self, energy: Any, warmup: int) -> tuple:
        """Return leapfrog steps, target acceptance (0: do not adapt), warm-up, its mass schedule, wrap angles."""
        schedule = adaptation.mass_schedule(warmup)
        return int(self.steps), float(self.target_acceptance or 0.0), warmup, schedule, energy.domain == "angle"

    def sweep_array(self, energy: Any, state: State, settings: tuple, adapting: int) -> np.ndarray:
        """Sweep all chains once: a batched gradient a leapfrog step."""
        x, beta, streams, inverse_mass = state["x"], state["beta"], state["stream"], state["inverse_mass"]
        chains = len(x)
        y, momentum = np.empty_like(x), np.empty_like(x)
        kinetic, step, acceptance = np.empty(chains), np.empty(chains), np.empty(chains)
        reach = np.zeros(chains)
        _begin_chains(x, inverse_mass, state["step_size"], y, momentum, kinetic, step, streams)
        gradient_y, kick = state["gradient"], 0.5 * step
        for left in reversed(range(self.steps)):
            _move_chains(x, y, momentum, gradient_y, inverse_mass, kick, step, reach)
            if left:
                gradient_y, kick = protocols.reduced_gradient(energy, y, beta), step
        u_y, gradient_y = protocols.reduced_and_gradient(energy, y, beta)
        arrays = tuple(state[name] for name in self.kernel.arrays)
        _finish_chains(
            arrays, y, momentum, u_y, gradient_y, reach, kinetic, step, settings, adapting, streams, acceptance
        )
        return acceptance
