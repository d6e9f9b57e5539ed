"""Unadjusted Langevin dynamics: fast, with a bias that vanishes with the step size, and never adapted.

The steps are the user's and fixed. Adjusted (exact) relatives: MALA and HMC.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from samplers import protocols, random
from samplers.inner import OPTIONS, inline
from samplers.lanes import ceil, is_finite, sqrt, where
from samplers.sampler import Kernel, Sampler, State
from samplers.tags import gradient_of


@inline
def wrap_angle(x):
    """Return the angle equal to x modulo 2 pi that lies in (-pi, pi]."""
    return x - 2.0 * math.pi * ceil((x - math.pi) / (2.0 * math.pi))


def check_continuous(sampler: str, energy: Any) -> None:
    """Raise unless the energy lives on a continuous space and gives a gradient."""
    if energy.domain not in protocols.CONTINUOUS or not protocols.has_gradient(energy):
        raise TypeError(
            f"{sampler} needs a real or angle energy with a gradient, got {protocols.name_of(energy)} "
            f"(domain {energy.domain!r}{'' if protocols.has_gradient(energy) else ', no gradient'})"
        )


@inline
def _langevin_move(x, gradient, xi, step_size, beta, wrap, stream):
    """x <- x - (step/beta) du/dx + sqrt(2 step/beta) xi; returns 1, or NaN if x is not finite, and the stream."""
    drift = step_size / beta
    noise = sqrt(2.0 * drift)
    total = 0.0
    stream = random.fill_normal(xi, stream)
    for i in range(x.shape[0]):
        x[i] += noise * xi[i] - drift * gradient[i]
        total += 0.0 * x[i]  # not a number if x is infinite; a plain sum may overflow by itself
        if wrap:
            x[i] = wrap_angle(x[i])
    return where(is_finite(total), 1.0, np.nan), stream


@inline
def _langevin_sweep(tag, p, state, settings, scratch, chain, adapting, stream):
    x, beta = state
    step_size, wrap = settings
    gradient = scratch[0]
    gradient[:] = 0.0
    gradient_of(tag)(x[chain], beta[chain], 1.0, p, gradient, scratch[1])
    return _langevin_move(x[chain], gradient, scratch[1], step_size, beta[chain], wrap, stream)


@njit(cache=True, **OPTIONS)
def langevin_chains(x, gradient, step_size, beta, wrap, streams, acceptance):
    """Take one step of every chain x (chains, sites), given du/dx there; NaN in acceptance marks one that diverged."""
    xi = np.empty(x.shape[1])
    for c in range(x.shape[0]):
        stream = random.load(streams, c)
        acceptance[c], stream = _langevin_move(x[c], gradient[c], xi, step_size, beta[c], wrap, stream)
        random.save(streams, c, stream)


@dataclass(frozen=True)
class Langevin(Sampler):
    """Unadjusted Langevin algorithm: x' = x - step grad E(x) + sqrt(2 step / beta) xi, with xi ~ N(0, 1).

    On a quadratic well of curvature k its variance is 1 / (beta k (1 - k step / 2)), above the exact 1 / (beta k):
    the bias is of first order in the step (Roberts and Tweedie 1996). Works on scores without an energy.

    Args:
        step_size: step in units of x^2 / E, positive; stable on a quadratic well below 2 / k.

    Example:
        >>> import ebm, samplers
        >>> chains = samplers.sample(ebm.DoubleWell(), samplers.Langevin(0.01), draws=50, seed=1, progress=False)
        >>> chains.x.shape
        (4, 50, 1)
    """

    step_size: float
    kernel = Kernel(_langevin_sweep, ("x", "beta"), 2, lanes=True)
    needs_energy = False

    def __post_init__(self) -> None:
        protocols.check_positive(self.step_size, "step_size")

    def check(self, energy: Any) -> None:
        """Raise unless the energy is continuous and has a gradient."""
        check_continuous("Langevin", energy)

    def settings(self, energy: Any, warmup: int) -> tuple:
        """Return the step size and whether to wrap angles."""
        return float(self.step_size), energy.domain == "angle"

    def sweep_array(self, energy: Any, state: State, settings: tuple, adapting: int) -> np.ndarray:
        """Sweep all chains once through the energy's own gradient."""
        x, beta = state["x"], state["beta"]
        acceptance = np.empty(len(x))
        gradient = protocols.reduced_gradient(energy, x, beta)
        langevin_chains(x, gradient, settings[0], beta, settings[1], state["stream"], acceptance)
        return acceptance


@inline
def _baoab_before(x, momentum, gradient, xi, step_size, friction, beta, wrap, stream):
    """B A O A of BAOAB: half a kick, half a drift, an exact Ornstein-Uhlenbeck step of the momentum, half a drift."""
    kick = 0.5 * step_size / beta
    keep = math.exp(-friction * step_size)
    noise = sqrt((1.0 - keep * keep) / beta)
    total = 0.0
    stream = random.fill_normal(xi, stream)
    for i in range(x.shape[0]):
        half = momentum[i] - kick * gradient[i]
        position = x[i] + 0.5 * step_size * half
        half = keep * half + noise * xi[i]
        x[i] = position + 0.5 * step_size * half
        momentum[i] = half
        total += 0.0 * x[i]  # not a number if x is infinite; a plain sum may overflow by itself
        if wrap:
            x[i] = wrap_angle(x[i])
    return where(is_finite(total), 1.0, np.nan), stream


@inline
def _baoab_after(momentum, gradient, step_size, beta):
    """The last B of BAOAB: half a kick with the gradient at the new position."""
    kick = 0.5 * step_size / beta
    for i in range(momentum.shape[0]):
        momentum[i] -= kick * gradient[i]


@inline
def _baoab_sweep(tag, p, state, settings, scratch, chain, adapting, stream):
    x, beta, momentum, gradient = state
    step_size, friction, wrap = settings
    b, force = beta[chain], gradient[chain]
    finite, stream = _baoab_before(x[chain], momentum[chain], force, scratch[0], step_size, friction, b, wrap, stream)
    force[:] = 0.0
    gradient_of(tag)(x[chain], b, 1.0, p, force, scratch[0])
    _baoab_after(momentum[chain], force, step_size, b)
    return finite, stream


@njit(cache=True, **OPTIONS)
def _baoab_before_chains(x, momentum, gradient, step_size, friction, beta, wrap, streams, acceptance):
    xi = np.empty(x.shape[1])
    for c in range(x.shape[0]):
        stream = random.load(streams, c)
        acceptance[c], stream = _baoab_before(
            x[c], momentum[c], gradient[c], xi, step_size, friction, beta[c], wrap, stream
        )
        random.save(streams, c, stream)


@njit(cache=True, **OPTIONS)
def _baoab_after_chains(momentum, gradient, step_size, beta):
    for c in range(momentum.shape[0]):
        _baoab_after(momentum[c], gradient[c], step_size, beta[c])


@njit(cache=True, **OPTIONS)
def draw_momenta(momentum, beta, streams):
    """Fill the momenta (chains, sites) with draws from N(0, 1/beta), each chain from its own stream."""
    for chain in range(momentum.shape[0]):
        stream = random.fill_normal(momentum[chain], random.load(streams, chain))
        for i in range(momentum.shape[1]):
            momentum[chain, i] /= math.sqrt(beta[chain])
        random.save(streams, chain, stream)


@dataclass(frozen=True)
class UnderdampedLangevin(Sampler):
    """Underdamped Langevin dynamics by the BAOAB splitting (Leimkuhler and Matthews 2013), unit mass.

    dx = p dt, dp = -grad E dt - friction p dt + sqrt(2 friction / beta) dW. On a quadratic well the position variance
    is exact at any stable step (step^2 k < 4); elsewhere the bias is of second order in the step.

    Args:
        step_size: time step, positive.
        friction: rate at which momentum is forgotten, per unit time, positive.

    Example:
        >>> import ebm, samplers
        >>> sampler = samplers.UnderdampedLangevin(0.2, friction=1.0)
        >>> samplers.sample(ebm.DoubleWell(), sampler, draws=50, seed=1, progress=False).x.shape
        (4, 50, 1)
    """

    step_size: float
    friction: float = 1.0
    kernel = Kernel(_baoab_sweep, ("x", "beta", "momentum", "gradient"), 1, lanes=True)
    needs_energy = False

    def __post_init__(self) -> None:
        protocols.check_positive(self.step_size, "step_size")
        protocols.check_positive(self.friction, "friction")

    def check(self, energy: Any) -> None:
        """Raise unless the energy is continuous and has a gradient."""
        check_continuous("UnderdampedLangevin", energy)

    def start(self, energy: Any, state: State) -> None:
        """Draw the momenta from their equilibrium and keep the gradient at the start."""
        state["momentum"] = np.empty_like(state["x"])
        draw_momenta(state["momentum"], state["beta"], state["stream"])
        state["gradient"] = protocols.reduced_gradient(energy, state["x"], state["beta"])

    def settings(self, energy: Any, warmup: int) -> tuple:
        """Return step size, friction and whether to wrap angles."""
        return float(self.step_size), float(self.friction), energy.domain == "angle"

    def sweep_array(self, energy: Any, state: State, settings: tuple, adapting: int) -> np.ndarray:
        """Sweep all chains once through the energy's own gradient."""
        x, beta, momentum = state["x"], state["beta"], state["momentum"]
        step_size, friction, wrap = settings
        acceptance = np.empty(len(x))
        _baoab_before_chains(
            x, momentum, state["gradient"], step_size, friction, beta, wrap, state["stream"], acceptance
        )
        state["gradient"][:] = protocols.reduced_gradient(energy, x, beta)
        _baoab_after_chains(momentum, state["gradient"], step_size, beta)
        return acceptance
