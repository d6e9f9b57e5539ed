"""Adaptation in warm-up: step sizes by dual averaging, a diagonal mass by Welford's variances.

Each chain adapts for itself, so chains stay independent and bits do not depend on threads. After warm-up the step size
is the averaged one and nothing changes any more: the draws come from a fixed kernel. The compiled functions take the
arrays of chains, or of eight chains in lanes (samplers.lanes).
"""

import math

import numpy as np

from samplers.elementary import exp, log
from samplers.inner import inline
from samplers.lanes import sqrt, where

GAMMA, OFFSET, DECAY = 0.05, 10.0, 0.75  # Hoffman and Gelman (2014), section 3.2.1
LOG_TURN = math.log(2.0 * math.pi)

# What a warm-up sweep does with the mass: nothing, collect variances, or collect and then use them.
WAIT, COLLECT, UPDATE = 0, 1, 2


def start_dual_averaging(step_size: np.ndarray) -> np.ndarray:
    """Return the state of dual averaging, a row a chain: sweeps, mean error, centre, log of the averaged step size."""
    state = np.zeros((len(step_size), 4))
    state[:, 2] = np.log(10.0 * step_size)
    state[:, 3] = np.log(step_size)
    return state


@inline
def dual_average(step_size, averaging, chain, acceptance, target, wrap):
    """Move a chain's step size towards the target acceptance (Nesterov's dual averaging, Hoffman and Gelman 2014).

    On angles (`wrap`) no step is longer than a turn: where more are accepted than aimed at, however long they are, the
    step would grow without end, until no digit of the angle is left.
    """
    row = averaging[chain]
    row[0] += 1.0
    eta = 1.0 / (row[0] + OFFSET)
    row[1] = (1.0 - eta) * row[1] + eta * (target - acceptance)
    log_step = row[2] - sqrt(row[0]) / GAMMA * row[1]
    if wrap:
        log_step = where(log_step > LOG_TURN, LOG_TURN, log_step)
    weight = exp(-DECAY * log(row[0]))
    row[3] = weight * log_step + (1.0 - weight) * row[3]
    step_size[chain] = exp(log_step)


@inline
def restart_dual_averaging(step_size, averaging, chain):
    """Begin dual averaging anew around the present average, after the mass has changed the scale of a step."""
    row = averaging[chain]
    step_size[chain] = exp(row[3])
    row[0] = 0.0
    row[1] = 0.0
    row[2] = math.log(10.0) + row[3]


@inline
def finish_dual_averaging(step_size, averaging, chain):
    """Fix the step size at its average over the warm-up."""
    step_size[chain] = exp(averaging[chain, 3])


def mass_schedule(warmup: int) -> np.ndarray:
    """Return what each warm-up sweep does with the mass: windows of doubling length between two quiet ends.

    As in Stan (Carpenter et al. 2017): a first 15 % for the step size alone, windows that end in an update, and a last
    10 % for the step size again. A warm-up under 20 sweeps has no window: the mass stays one.
    """
    schedule = np.full(warmup, WAIT, np.int64)
    if warmup < 20:
        return schedule
    first, last = int(0.15 * warmup), warmup - int(0.1 * warmup)
    schedule[first:last] = COLLECT
    end, window = first, max(10, int(0.025 * warmup))
    while end < last:
        # A window that would leave too little for the next, twice as long, takes all that is left.
        end = end + window if end + 3 * window <= last else last
        schedule[end - 1] = UPDATE
        window *= 2
    return schedule


@inline
def collect(moments, chain, x):
    """Add x to a chain's running means and sums of squared deviations (Welford 1962); moments (chains, 1 + 2 sites)."""
    row = moments[chain]
    sites = x.shape[0]
    row[0] += 1.0
    for i in range(sites):
        deviation = x[i] - row[1 + i]
        row[1 + i] += deviation / row[0]
        row[1 + sites + i] += deviation * (x[i] - row[1 + i])


@inline
def update_inverse_mass(inverse_mass, moments, chain):
    """Set a chain's inverse mass to its variances, and forget them; a coordinate that has not moved keeps its mass."""
    row = moments[chain]
    sites = inverse_mass.shape[1]
    for i in range(sites):
        variance = row[1 + sites + i] / (row[0] - 1.0)
        inverse_mass[chain, i] = where(variance > 0.0, variance, inverse_mass[chain, i])
    for i in range(row.shape[0]):
        row[i] = 0.0
