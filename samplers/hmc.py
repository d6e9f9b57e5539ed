"""Hamiltonian Monte Carlo: long, guided moves that are accepted so that the target is exact."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from samplers import adaptation, protocols, random
from samplers.compiled import OPTIONS, call_gradient, call_reduced, inline
from samplers.elementary import plus
from samplers.lanes import as_lanes
from samplers.langevin import check_continuous, wrap_angle
from samplers.mala import accept_probability, check_adaptive, start_adaptive
from samplers.sampler import Kernel, Sampler, State

JITTER = 0.2  # each trajectory's step is uniform within +-20 %, so that no period of the target is resonant (Neal 2011)


@inline
def _begin(x, inverse_mass, step_size, y, momentum, stream):
    """Draw a momentum from N(0, mass) and this trajectory's step; y starts at x. Returns kinetic energy and step."""
    kinetic = 0.0
    for i in range(x.shape[0]):
        xi, stream = random.normal(stream)
        kinetic += 0.5 * xi * xi
        momentum[i] = xi / math.sqrt(inverse_mass[i])
        y[i] = x[i]
    r, stream = random.uniform(stream)
    return kinetic, step_size * (1.0 + JITTER * (2.0 * r - 1.0)), stream


@inline
def _kick_and_drift(y, momentum, gradient, inverse_mass, kick, step):
    """p -= kick du/dx; y += step p / mass. Returns the square of y: y is in reach while that is finite.

    Beyond that energies that are sums of infinities stop being numbers, which would look like a fault of theirs.
    """
    total = 0.0
    for i in range(y.shape[0]):
        momentum[i] -= kick * gradient[i]
        y[i] += step * inverse_mass[i] * momentum[i]
        total = plus(total, y[i] * y[i])
    return total


@inline
def _kinetic(momentum, gradient, inverse_mass, kick):
    """The last half kick, and the kinetic energy after it."""
    kinetic = 0.0
    for i in range(momentum.shape[0]):
        last = momentum[i] - kick * gradient[i]
        kinetic = plus(kinetic, 0.5 * inverse_mass[i] * last * last)
    return kinetic


@inline
def _log_ratio(u, u_y, kinetic, kinetic_y):
    """log of exp(-H) at the end over exp(-H) at the start; an end of infinite energy is impossible, whatever p is."""
    if u_y == np.inf:
        return -np.inf
    return u - u_y + kinetic - kinetic_y


@inline
def _finish(arrays, chain, y, u_y, gradient_y, finite, log_ratio, settings, adapting, stream):
    """Accept or reject the end of the trajectory; adapt step and mass. A trajectory that blew up is a rejection."""
    x, _, u, gradient, step_size, averaging, inverse_mass, moments = arrays
    _, target, warmup, schedule, wrap = settings
    probability = accept_probability(log_ratio) if finite else 0.0
    r, stream = random.uniform(stream)
    if r < probability:
        for i in range(y.shape[0]):
            x[chain, i] = wrap_angle(y[i]) if wrap else y[i]
            gradient[chain, i] = gradient_y[i]
        u[chain] = u_y
    if adapting >= 0 and target > 0.0 and probability == probability:
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
    x, beta, u, gradient, step_size, _, inverse_mass, _ = state
    steps = settings[0]
    y, momentum, gradient_y, work = scratch[0], scratch[1], scratch[2], scratch[3]
    kinetic, step, stream = _begin(x[chain], inverse_mass[chain], step_size[chain], y, momentum, stream)
    gradient_y[:] = gradient[chain]
    kick = 0.5 * step
    finite = True
    for _ in range(steps):
        finite = np.isfinite(_kick_and_drift(y, momentum, gradient_y, inverse_mass[chain], kick, step))
        if not finite:
            break
        gradient_y[:] = 0.0
        call_gradient(tag, y, beta[chain], 1.0, p, gradient_y, work)
        kick = step
    u_y = 0.0
    log_ratio = 0.0
    if finite:
        u_y = call_reduced(tag, y, beta[chain], p)
        end = _kinetic(momentum, gradient_y, inverse_mass[chain], 0.5 * step)
        log_ratio = _log_ratio(u[chain], u_y, kinetic, end)
    return _finish(state, chain, y, u_y, gradient_y, finite, log_ratio, settings, adapting, stream)


@inline
def _hmc_wide(tag, p, state, settings, scratch, rows, adapting, streams, accepted):
    x, beta, u, gradient, step_size, _, inverse_mass, _ = state
    vectors, numbers = scratch
    y, momentum, gradient_y, inverse = vectors[0], vectors[1], vectors[2], vectors[3]
    for chain in range(rows[0], rows[1]):
        lane, stream = chain - rows[0], random.load(streams, chain)
        numbers[0, lane], numbers[1, lane], stream = _begin(
            x[chain], inverse_mass[chain], step_size[chain], y[:, lane], momentum[:, lane], stream
        )
        random.save(streams, chain, stream)
        numbers[2, lane] = beta[chain]
        for i in range(x.shape[1]):
            gradient_y[i, lane] = gradient[chain, i]
            inverse[i, lane] = inverse_mass[chain, i]
    _leapfrog_wide(tag, p, vectors, as_lanes(numbers), settings[0])
    for chain in range(rows[0], rows[1]):
        lane, stream = chain - rows[0], random.load(streams, chain)
        u_y, finite = numbers[3, lane], np.isfinite(numbers[5, lane])
        log_ratio = _log_ratio(u[chain], u_y, numbers[0, lane], numbers[4, lane])
        probability, stream = _finish(
            state, chain, y[:, lane], u_y, gradient_y[:, lane], finite, log_ratio, settings, adapting, stream
        )
        random.save(streams, chain, stream)
        accepted[chain] += probability


@inline
def _leapfrog_wide(tag, p, vectors, numbers, steps):
    """The trajectories of eight chains. Numbers: kinetic energy, step, beta; then u, kinetic energy, largest reach."""
    y, momentum, gradient = as_lanes(vectors[0]), as_lanes(vectors[1]), as_lanes(vectors[2])
    inverse_mass, work = as_lanes(vectors[3]), as_lanes(vectors[4])
    step, beta = numbers[1], numbers[2]
    kick, reach = 0.5 * step, 0.0 * step
    for _ in range(steps):
        reach = plus(reach, _kick_and_drift(y, momentum, gradient, inverse_mass, kick, step))
        for i in range(y.shape[0]):
            gradient[i] = 0.0
        call_gradient(tag, y, beta, 1.0, p, gradient, work)
        kick = step
    numbers[3] = call_reduced(tag, y, beta, p)
    numbers[4] = _kinetic(momentum, gradient, inverse_mass, 0.5 * step)
    numbers[5] = reach


@njit(cache=True, **OPTIONS)
def _begin_chains(x, inverse_mass, step_size, y, momentum, kinetic, step, streams):
    for c in range(x.shape[0]):
        stream = random.load(streams, c)
        kinetic[c], step[c], stream = _begin(x[c], inverse_mass[c], step_size[c], y[c], momentum[c], stream)
        random.save(streams, c, stream)


@njit(cache=True, **OPTIONS)
def _move_chains(y, momentum, gradient, inverse_mass, kick, step, finite):
    for c in range(y.shape[0]):
        if finite[c]:
            square = _kick_and_drift(y[c], momentum[c], gradient[c], inverse_mass[c], kick[c], step[c])
            finite[c] = np.isfinite(square)


@njit(cache=True, **OPTIONS)
def _finish_chains(arrays, y, momentum, u_y, gradient_y, finite, kinetic, step, settings, adapting, streams, out):
    u, inverse_mass = arrays[2], arrays[6]
    for c in range(y.shape[0]):
        stream = random.load(streams, c)
        end = _kinetic(momentum[c], gradient_y[c], inverse_mass[c], 0.5 * step[c])
        log_ratio = _log_ratio(u[c], u_y[c], kinetic[c], end)
        out[c], stream = _finish(
            arrays, c, y[c], u_y[c], gradient_y[c], finite[c], log_ratio, settings, adapting, stream
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
        _hmc_sweep, ("x", "beta", "u", "gradient", "step_size", "averaging", "inverse_mass", "moments"), 5, _hmc_wide
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
        finite = np.ones(chains, np.bool_)
        _begin_chains(x, inverse_mass, state["step_size"], y, momentum, kinetic, step, streams)
        gradient_y, kick = state["gradient"], 0.5 * step
        for left in reversed(range(self.steps)):
            _move_chains(y, momentum, gradient_y, inverse_mass, kick, step, finite)
            y = np.where(finite[:, None], y, x)  # the energy is never asked about a trajectory that blew up
            if left:
                gradient_y, kick = protocols.reduced_gradient(energy, y, beta), step
        u_y, gradient_y = protocols.reduced_and_gradient(energy, y, beta)
        arrays = tuple(state[name] for name in self.kernel.arrays)
        _finish_chains(
            arrays, y, momentum, u_y, gradient_y, finite, kinetic, step, settings, adapting, streams, acceptance
        )
        return acceptance
