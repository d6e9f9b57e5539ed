"""Metropolis moves of one site after another: a sweep of one chain, and the same of a tile of chains side by side.

A proposal is a row of operations that wait for each other, and then a branch that no processor can foresee. So a tile
of chains, which all visit the sites in the same order, goes through each site in three loops: all changes of energy;
all acceptances, in vector registers; all moves. What the energy keeps of the site, such as its couplings, is read once
for the tile. Each chain has its own stream and the arithmetic of a chain by itself: its bits do not depend on the tile.
"""

from typing import Any

import numpy as np

from samplers import random
from samplers.borrowed import borrow
from samplers.caches import refresh
from samplers.elementary import change_of, exp_minus64
from samplers.inner import copy, inline
from samplers.langevin import wrap_angle
from samplers.random_walk import adapt
from samplers.sampler import State, over_chains, run
from samplers.tags import Driver, cached_change_of, quotient_of, tag, update_cache_of

SPIN, BINARY, STATES, ANGLE, REAL = range(5)
KIND = {"spin": SPIN, "binary": BINARY, "states": STATES, "angle": ANGLE, "real": REAL}
ARRAYS = ("x", "beta", "step_size", "averaging", "cache", "age")

# Chains of a tile: enough to share what is read of the site, but no more than the second cache of a processor holds.
# Fewer than four a thread are faster one by one, in `sweep_chain`.
MOST, LEAST, MEMORY = 32, 4, 130_000
PAIR = 16  # numbers of two registers, which a compiled loop takes at a time


@inline
def propose(old, kind, q, width, stream):
    """Propose another value of one site: the flip, a uniform other state, or a normal step of the given width."""
    if kind <= BINARY:
        return _flip(old, kind), stream
    if kind == STATES:
        shift, stream = random.below(q - 1, stream)
        return float((old + 1 + shift) % q), stream
    xi, stream = random.normal(stream)
    new = old + width * xi
    return (wrap_angle(new) if kind == ANGLE else new), stream


@inline
def _flip(old, kind):
    return -1.0 * old if kind == SPIN else 1.0 - old


@inline
def in_dtype(x, site, value):
    """Return the value as a number of x's own dtype, so that an energy may use it as an index."""
    old = x[site]
    x[site] = value
    value = x[site]
    x[site] = old
    return value


@inline
def acceptance_of(change):
    """min(1, exp(-change)) to a relative error below 1e-14, without a call: loops of it run in vector registers."""
    size = abs(change)
    rare = exp_minus64(size)
    rare = 0.0 if size > 708.0 else rare
    return 1.0 if change <= 0.0 else rare  # a NaN stays a NaN


@inline
def sweep_chain(tag, p, state, settings, scratch, chain, adapting, stream):
    """Propose once a site of one chain."""
    x, beta, step_size, averaging, caches, age = state
    kind, q, order, target, warmup = settings
    row, b, cache = x[chain], beta[chain], caches[chain]
    refresh(tag, row, p, cache, age, chain)
    accepted = 0.0
    for k in range(order.shape[0]):
        site = order[k]
        new, stream = propose(row[site], kind, q, step_size[chain], stream)
        value = in_dtype(row, site, new)
        probability = acceptance_of(cached_change_of(tag)(row, site, value, b, p, cache))
        r, stream = random.uniform(stream)
        if r < probability:
            update_cache_of(tag)(row, site, value, p, cache)
            row[site] = value
            accepted += 1.0
        elif not probability == probability:
            accepted = np.nan
    accepted /= order.shape[0]
    adapt(step_size, averaging, chain, accepted, target, warmup, adapting, kind == ANGLE)
    return accepted, stream


@inline
def _decide(terms, words, chosen, accepted, n):
    """Draw which of n proposals are accepted: list them in `chosen` and return how many there are."""
    for c in range((n + PAIR - 1) // PAIR * PAIR):  # no single numbers are left over: the last lanes are of no chain
        r, stream = random.uniform((words[0, c], words[1, c], words[2, c], words[3, c]))
        words[0, c], words[1, c], words[2, c], words[3, c] = stream
        probability = acceptance_of(change_of(terms[0, c], terms[1, c], terms[2, c]))
        terms[0, c] = 1.0 if r < probability else probability - probability  # 0, and for a NaN a NaN
        accepted[c] += terms[0, c]
    count = 0
    for c in range(n):
        chosen[count] = c
        count += terms[0, c] == 1.0
    return count


@inline
def _sweep_tile(tag, p, state, settings, work, begin, end, adapting):
    x, beta, step_size, averaging, caches, age = state
    kind, q, order, target, warmup = settings
    terms, words, chosen, values, accepted = work
    n = end - begin
    for c in range(n):
        refresh(tag, x[begin + c], p, caches[begin + c], age, begin + c)
        accepted[c] = 0.0
    for k in range(order.shape[0]):
        site = order[k]
        for c in range(n):
            if kind <= BINARY:  # nothing is drawn
                values[c] = _flip(x[begin + c, site], kind)
            else:
                stream = words[0, c], words[1, c], words[2, c], words[3, c]
                values[c], stream = propose(x[begin + c, site], kind, q, step_size[begin + c], stream)
                words[0, c], words[1, c], words[2, c], words[3, c] = stream
        for c in range(n):
            row, b = x[begin + c], beta[begin + c]
            terms[0, c], terms[1, c], terms[2, c] = quotient_of(tag)(row, site, values[c], b, p, caches[begin + c])
        for place in range(_decide(terms, words, chosen, accepted, n)):
            c = chosen[place]
            row = x[begin + c]
            update_cache_of(tag)(row, site, values[c], p, caches[begin + c])
            row[site] = values[c]
    for c in range(n):
        accepted[c] /= order.shape[0]
        adapt(step_size, averaging, begin + c, accepted[c], target, warmup, adapting, kind == ANGLE)


@Driver
def run_tiles(tag, p, state, settings, streams, draws, thin, first, size, work, out, acceptance):
    """What samplers.sampler.run does, with `size` chains side by side."""
    p, state, settings, work = borrow(p), borrow(state), borrow(settings), borrow(work)
    streams, out, acceptance = borrow(streams), borrow(out), borrow(acceptance)
    x, words, accepted = state[0], work[1], work[4]
    for begin in range(0, x.shape[0], size):
        end = min(begin + size, x.shape[0])
        for c in range(end - begin):
            words[0, c], words[1, c], words[2, c], words[3, c] = random.load(streams, begin + c)
        for draw in range(draws):
            for sweep in range(thin):
                adapting = -1 if first < 0 else first + draw * thin + sweep
                _sweep_tile(tag, p, state, settings, work, begin, end, adapting)
                for c in range(end - begin):
                    acceptance[begin + c, draw] += accepted[c]
            total = 0.0
            for c in range(begin, end):
                total += acceptance[c, draw]
                if out.shape[1] > 0:
                    copy(x[c], out[c, draw])
            if not np.isfinite(total):
                break
        for c in range(end - begin):
            random.save(streams, begin + c, (words[0, c], words[1, c], words[2, c], words[3, c]))


def tile_size(bytes_of_a_chain: int) -> int:
    """Return how many chains go side by side, given what each of them holds; 1: one by one."""
    size = min(MOST, max(LEAST, MEMORY // max(bytes_of_a_chain, 1)))
    return size if size * bytes_of_a_chain <= 4 * MEMORY else 1


def advance(
    energy: Any, state: State, settings: tuple, draws: int, thin: int, out: np.ndarray | None, first: int,
    acceptance: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    """Run draws * thin sweeps of all chains of a compiled energy, as `Sampler.advance` does."""
    x, functions = state["x"], energy.compiled
    out = np.empty((len(x), 0, x.shape[1]), x.dtype) if out is None else out
    acceptance = np.zeros((len(x), draws)) if acceptance is None else acceptance
    size = tile_size(x[0].nbytes + state["cache"][0].nbytes)

    def part(rows: slice) -> None:
        arrays = tuple(state[name][rows] for name in ARRAYS)
        front = functions.params, arrays, settings
        back = out[rows], acceptance[rows]
        if min(size, rows.stop - rows.start) < LEAST:
            scratch = np.empty((0, x.shape[1]))
            label = tag(functions, sweep_chain)
            run(label, *front, x[rows], state["stream"][rows], draws, thin, first, scratch, *back)
        else:
            work = (
                np.ones((3, MOST)), np.zeros((4, MOST), np.uint64), np.empty(MOST, np.int64), np.empty(MOST, x.dtype),
                np.zeros(MOST),
            )  # fmt: skip
            run_tiles(tag(functions), *front, state["stream"][rows], draws, thin, first, size, work, *back)

    over_chains(part, len(x))
    return acceptance
