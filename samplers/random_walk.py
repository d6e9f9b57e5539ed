"""The random walk of Metropolis et al. (1953): all coordinates or angles of a chain make a normal step at once."""

import numpy as np
from numba import njit

from samplers import adaptation, random
from samplers.inner import OPTIONS, inline
from samplers.langevin import wrap_angle
from samplers.mala import accept_probability
from samplers.tags import reduced_of


@inline
def adapt(step_size, averaging, chain, acceptance, target, warmup, adapting, wrap):
    """Let the step of a chain follow its acceptance during warm-up."""
    if adapting >= 0 and target > 0.0 and acceptance == acceptance:
        adaptation.dual_average(step_size, averaging, chain, acceptance, target, wrap)
        if adapting == warmup - 1:
            adaptation.finish_dual_averaging(step_size, averaging, chain)


@inline
def _propose(x, width, y, stream):
    total = 0.0
    for i in range(x.shape[0]):
        xi, stream = random.normal(stream)
        y[i] = x[i] + width * xi
        total += y[i]
    return np.isfinite(total), stream


@inline
def _finish(x, y, u, u_y, step_size, averaging, chain, finite, settings, adapting, stream):
    target, warmup, wrap = settings
    probability = accept_probability(u[chain] - u_y) if finite else 0.0
    r, stream = random.uniform(stream)
    if r < probability:
        for i in range(y.shape[0]):
            x[chain, i] = wrap_angle(y[i]) if wrap else y[i]
        u[chain] = u_y
    adapt(step_size, averaging, chain, probability, target, warmup, adapting, wrap)
    return probability, stream


@inline
def walk_sweep(tag, p, state, settings, scratch, chain, adapting, stream):
    """Move all coordinates of one chain at once."""
    x, beta, u, step_size, averaging = state
    y = scratch[0]
    finite, stream = _propose(x[chain], step_size[chain], y, stream)
    u_y = reduced_of(tag)(y, beta[chain], p) if finite else 0.0
    return _finish(x, y, u, u_y, step_size, averaging, chain, finite, settings, adapting, stream)


@njit(cache=True, **OPTIONS)
def propose_chains(x, step_size, y, finite, streams):
    """Propose a move y of every chain, and say which of them are finite."""
    for c in range(x.shape[0]):
        stream = random.load(streams, c)
        finite[c], stream = _propose(x[c], step_size[c], y[c], stream)
        random.save(streams, c, stream)


@njit(cache=True, **OPTIONS)
def finish_chains(x, y, u, u_y, step_size, averaging, finite, settings, adapting, streams, acceptance):
    """Accept or reject the move of every chain, and adapt its step in warm-up."""
    for c in range(x.shape[0]):
        stream = random.load(streams, c)
        acceptance[c], stream = _finish(
            x, y[c], u, u_y[c], step_size, averaging, c, finite[c], settings, adapting, stream
        )
        random.save(streams, c, stream)


@njit(cache=True, **OPTIONS)
def adapt_chains(step_size, averaging, acceptance, target, warmup, adapting, wrap):
    """Let the step of every chain follow its acceptance."""
    for c in range(step_size.shape[0]):
        adapt(step_size, averaging, c, acceptance[c], target, warmup, adapting, wrap)
