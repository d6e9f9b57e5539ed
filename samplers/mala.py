"""The Metropolis-adjusted Langevin algorithm: Langevin proposals, accepted so that the target is exact."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from samplers import adaptation, protocols, random
from samplers.elementary import exp, plus
from samplers.inner import OPTIONS, inline
from samplers.lanes import every, is_finite, sqrt, where
from samplers.langevin import check_continuous, wrap_angle
from samplers.sampler import Kernel, Sampler, State
from samplers.tags import both_of


@inline
def _propose(x, gradient, drift, y, stream):
    """y = x - drift du/dx + sqrt(2 drift) xi, with drift = step / beta; returns whether y is finite, and the stream.

    A y that is not finite becomes x: it will be rejected, and the energy is never asked about it.
    """
    noise = sqrt(2.0 * drift)
    total = 0.0
    stream = random.fill_normal(y, stream)
    for i in range(x.shape[0]):
        y[i] = x[i] - drift * gradient[i] + noise * y[i]
        total += 0.0 * y[i]
    finite = is_finite(total)
    stay(finite, x, y)
    return finite, stream


@inline
def stay(finite, x, y):
    """y <- x for the chains that are not finite."""
    if not every(finite):
        for i in range(x.shape[0]):
            y[i] = where(finite, y[i], x[i])


@inline
def _hastings(x, y, gradient_x, gradient_y, drift):
    """log of q(x|y) / q(y|x); angles are wrapped only afterwards, so that y - x is the step taken."""
    forward = 0.0
    backward = 0.0
    for i in range(x.shape[0]):
        a = y[i] - x[i] + drift * gradient_x[i]
        b = x[i] - y[i] + drift * gradient_y[i]
        forward = plus(forward, a * a)
        backward = plus(backward, b * b)
    return (forward - backward) / (4.0 * drift)


@inline
def accept_probability(log_ratio):
    """min(1, exp(log_ratio)); a NaN stays a NaN."""
    return where(log_ratio >= 0.0, 1.0, exp(log_ratio))


@inline
def _finish(arrays, chain, y, u_y, gradient_y, finite, hastings, settings, adapting, stream):
    """Accept or reject y; adapt the step. A proposal that is not finite is a rejection, a NaN energy a failure."""
    x, _, u, gradient, step_size, averaging = arrays
    target, warmup, wrap = settings
    # An infinite energy is impossible, whatever the gradient is there.
    probability = where(finite, accept_probability(u[chain] - u_y + hastings), 0.0)
    probability = where(u_y == np.inf, 0.0, probability)
    r, stream = random.uniform(stream)
    accepted = r < probability
    for i in range(y.shape[0]):
        x[chain, i] = where(accepted, wrap_angle(y[i]) if wrap else y[i], x[chain, i])
        gradient[chain, i] = where(accepted, gradient_y[i], gradient[chain, i])
    u[chain] = where(accepted, u_y, u[chain])
    if adapting >= 0 and target > 0.0:
        adaptation.dual_average(step_size, averaging, chain, probability, target, wrap)
        if adapting == warmup - 1:
            adaptation.finish_dual_averaging(step_size, averaging, chain)
    return probability, stream


@inline
def _mala_sweep(tag, p, state, settings, scratch, chain, adapting, stream):
    x, beta, _, gradient, step_size, _ = state
    y, gradient_y = scratch[0], scratch[1]
    drift = step_size[chain] / beta[chain]
    finite, stream = _propose(x[chain], gradient[chain], drift, y, stream)
    gradient_y[:] = 0.0
    u_y = both_of(tag)(y, beta[chain], 1.0, p, gradient_y, scratch[2])
    hastings = _hastings(x[chain], y, gradient[chain], gradient_y, drift)
    return _finish(state, chain, y, u_y, gradient_y, finite, hastings, settings, adapting, stream)


@njit(cache=True, **OPTIONS)
def _propose_chains(x, gradient, step_size, beta, streams, y, finite):
    for c in range(x.shape[0]):
        stream = random.load(streams, c)
        finite[c], stream = _propose(x[c], gradient[c], step_size[c] / beta[c], y[c], stream)
        random.save(streams, c, stream)


@njit(cache=True, **OPTIONS)
def _finish_chains(arrays, y, u_y, gradient_y, finite, settings, adapting, streams, acceptance):
    x, beta, _, gradient, step_size, _ = arrays
    for c in range(x.shape[0]):
        stream = random.load(streams, c)
        hastings = _hastings(x[c], y[c], gradient[c], gradient_y[c], step_size[c] / beta[c])
        acceptance[c], stream = _finish(
            arrays, c, y[c], u_y[c], gradient_y[c], finite[c], hastings, settings, adapting, stream
        )
        random.save(streams, c, stream)


def check_adaptive(step_size: float, target_acceptance: float | None) -> None:
    """Raise unless the step size is positive and the target acceptance, if any, lies between 0 and 1."""
    protocols.check_positive(step_size, "step_size")
    if target_acceptance is not None and not 0.0 < target_acceptance < 1.0:
        raise ValueError(f"target_acceptance must lie between 0 and 1, or be None, got {target_acceptance!r}")


def start_adaptive(step_size: float, state: State) -> None:
    """Give every chain the step size to begin with and the state of its dual averaging."""
    state["step_size"] = np.full(len(state["x"]), float(step_size))
    state["averaging"] = adaptation.start_dual_averaging(state["step_size"])


@dataclass(frozen=True)
class MALA(Sampler):
    """Metropolis-adjusted Langevin algorithm (Roberts and Tweedie 1996): exact at any step size.

    Proposes y = x - step grad E + sqrt(2 step / beta) xi and accepts with min(1, p(y) q(x|y) / p(x) q(y|x)). The step
    size of each chain adapts in warm-up by dual averaging (Hoffman and Gelman 2014), then stays fixed.

    Args:
        step_size: the step to begin with, in units of x^2 / E, positive.
        target_acceptance: aimed at in warm-up; 0.574 is optimal in high dimension (Roberts and Rosenthal 1998).
            None keeps the step size as it is.

    Example:
        >>> import ebm, samplers
        >>> samplers.sample(ebm.DoubleWell(), samplers.MALA(), draws=50, seed=1, progress=False).x.shape
        (4, 50, 1)
    """

    step_size: float = 0.1
    target_acceptance: float | None = 0.574
    kernel = Kernel(_mala_sweep, ("x", "beta", "u", "gradient", "step_size", "averaging"), 3, lanes=True)

    def __post_init__(self) -> None:
        check_adaptive(self.step_size, self.target_acceptance)

    def check(self, energy: Any) -> None:
        """Raise unless the energy is continuous, with a gradient and an energy."""
        check_continuous("MALA", energy)

    def start(self, energy: Any, state: State) -> None:
        """Keep the reduced energy and its gradient at the start, and the adaptation of each chain."""
        state["u"] = protocols.reduced(energy, state["x"], state["beta"])
        state["gradient"] = protocols.reduced_gradient(energy, state["x"], state["beta"])
        start_adaptive(self.step_size, state)

    def settings(self, energy: Any, warmup: int) -> tuple:
        """Return target acceptance (0: do not adapt), length of the warm-up and whether to wrap angles."""
        return float(self.target_acceptance or 0.0), warmup, energy.domain == "angle"

    def sweep_array(self, energy: Any, state: State, settings: tuple, adapting: int) -> np.ndarray:
        """Sweep all chains once: one batched energy and gradient."""
        x, beta = state["x"], state["beta"]
        y, finite, acceptance = np.empty_like(x), np.empty(len(x), np.bool_), np.empty(len(x))
        _propose_chains(x, state["gradient"], state["step_size"], beta, state["stream"], y, finite)
        u_y, gradient_y = protocols.reduced_and_gradient(energy, y, beta)
        arrays = tuple(state[name] for name in self.kernel.arrays)
        _finish_chains(arrays, y, u_y, gradient_y, finite, settings, adapting, state["stream"], acceptance)
        return acceptance
