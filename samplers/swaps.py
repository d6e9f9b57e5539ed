"""Swaps between the rungs of a temperature ladder, and the compiled loop that runs whole ladders.

Neighbours i and j exchange configurations with probability min(1, exp(u_i(x_i) + u_j(x_j) - u_i(x_j) - u_j(x_i))), u
being reduced energies. Swap steps take even and odd pairs by turns, (0 1)(2 3)... and (1 2)(3 4)..., so that a replica
that swaps keeps its direction (Okabe et al. 2001; Syed et al. 2021). A configuration stays in its row of the arrays: it
is what belongs to the temperature that changes places, beta itself first of all.

A ladder has the arrays (a row a chain) betas, replica (which row of the ladder is at a rung), heading (of a replica:
0, 1 since it was at the lowest rung, 2 if it has been at the highest since), sweep (sweeps done), and the totals
proposed and accepted (of a pair; accepted is the sum of probabilities) and trips (round trips of all replicas).
"""

import numpy as np
from numba import njit

from samplers import random
from samplers.borrowed import borrow
from samplers.inner import OPTIONS, inline
from samplers.mala import accept_probability
from samplers.tags import Driver, gradient_of, reduced_of, sweep_of

LADDER = ("betas", "replica", "heading", "sweep", "proposed", "accepted", "trips")


@inline
def swap_parity(sweep, every):
    """Return 0 or 1, the first rung of the pairs that are due after so many sweeps."""
    return (sweep // every - 1) % 2


@inline
def partner_of(rung, parity, rungs):
    """Return the rung with which a rung may swap, or itself if it is left alone this time."""
    partner = rung + 1 - 2 * ((rung + parity) % 2)
    return rung if partner < 0 or partner >= rungs else partner


@inline
def _decide(own, other, chain, parity, ladder, swapped, stream):
    """Decide each pair that is due by a random number of its own; returns whether all were numbers, and the stream.

    own and other hold, for each rung, the reduced energy of its configuration at its own temperature and at that of
    its partner; `swapped` says for each pair whether it has changed places.
    """
    _, replica, _, _, proposed, accepted, _ = ladder
    good = True
    for k in range(swapped.shape[0]):
        swapped[k] = False
    for k in range(parity, swapped.shape[0], 2):
        probability = accept_probability(own[k] + own[k + 1] - other[k] - other[k + 1])
        r, stream = random.uniform(stream)
        good = good and probability == probability
        proposed[chain, k] += 1
        accepted[chain, k] += probability
        if r < probability:
            replica[chain, k], replica[chain, k + 1] = replica[chain, k + 1], replica[chain, k]
            swapped[k] = True
    return good, stream


@inline
def note_ends(chain, ladder):
    """Count the round trips, lowest rung to highest and back, that end with the replicas where they now are."""
    _, replica, heading, _, _, _, trips = ladder
    low, high = replica[chain, 0], replica[chain, replica.shape[1] - 1]
    if heading[chain, low] == 2:
        trips[chain] += 1
    heading[chain, low] = 1
    if heading[chain, high] == 1:
        heading[chain, high] = 2


@njit(cache=True, **OPTIONS)
def note_all_ends(ladder):
    """Note which replicas of all ladders are at an end, where counting begins."""
    for chain in range(ladder[0].shape[0]):
        note_ends(chain, ladder)


@njit(cache=True, **OPTIONS)
def swap_ladders(own, other, ladder, every, streams, swapped, good):
    """Decide the swaps of all ladders; own and other (chains, rungs), swapped (chains, rungs - 1), good (chains,)."""
    for chain in range(own.shape[0]):
        stream = random.load(streams, chain)
        parity = swap_parity(ladder[3][chain], every)
        good[chain], stream = _decide(own[chain], other[chain], chain, parity, ladder, swapped[chain], stream)
        random.save(streams, chain, stream)
        note_ends(chain, ladder)


@njit(cache=True, **OPTIONS)
def partner_betas(ladder, every, out):
    """Set out[chain, rung] to the beta of the rung's partner in the swap step that is due."""
    betas, sweep = ladder[0], ladder[3]
    rungs = betas.shape[1]
    for chain in range(betas.shape[0]):
        for k in range(rungs):
            out[chain, k] = betas[chain, partner_of(k, swap_parity(sweep[chain], every), rungs)]


@inline
def _mend(tag, p, x, beta, u, gradient, row, value, work):
    """Set what a sampler keeps of a configuration to its new temperature; None: it keeps no such thing."""
    if u is not None:
        u[row] = value
    if gradient is not None:
        gradient[row] = 0.0
        gradient_of(tag)(x[row], beta[row], 1.0, p, gradient[row], work)


@inline
def _swap(tag, p, x, beta, u, gradient, tempered, linear, chain, ladder, every, terms, swapped, work, stream):
    """One swap step of one ladder; an energy with u = beta E is asked once a configuration, another one twice."""
    betas, replica = ladder[0], ladder[1]
    rungs = betas.shape[1]
    first = chain * rungs
    parity = swap_parity(ladder[3][chain], every)
    for k in range(rungs):
        partner = partner_of(k, parity, rungs)
        if partner == k:
            continue
        row = first + replica[chain, k]
        for side in range(1 if linear else 2):
            b = 1.0 if linear else betas[chain, k if side == 0 else partner]
            terms[side, k] = reduced_of(tag)(x[row], b, p)
        if linear:
            energy = terms[0, k]
            terms[0, k] = betas[chain, k] * energy
            terms[1, k] = betas[chain, partner] * energy
    good, stream = _decide(terms[0], terms[1], chain, parity, ladder, swapped, stream)
    for k in range(rungs - 1):
        if swapped[k]:
            low, high = first + replica[chain, k], first + replica[chain, k + 1]
            for array in tempered:
                for i in range(array.shape[1]):
                    array[low, i], array[high, i] = array[high, i], array[low, i]
            for side in range(2):  # the configuration now at k came from k + 1, whose other energy is that at k
                row = low if side == 0 else high
                _mend(tag, p, x, beta, u, gradient, row, terms[1, k + 1 - side], work)
    note_ends(chain, ladder)
    return good, stream


@inline
def _record(tag, p, x, chain, ladder, draw, record):
    """Write the ladder as it is into the arrays (chains, draws, ...) of this draw."""
    betas, replica, _, _, proposed, accepted, trips = ladder
    energies, replicas, proposals, acceptances, round_trips, reduced = record
    rungs = betas.shape[1]
    for k in range(rungs):
        replicas[chain, draw, k] = replica[chain, k]
        row = chain * rungs + replica[chain, k]
        for other in range(-1, reduced.shape[2]):  # -1: at beta = 1, the energy
            value = reduced_of(tag)(x[row], 1.0 if other < 0 else betas[chain, other], p)
            if other < 0:
                energies[chain, draw, k] = value
            else:
                reduced[chain, draw, other, k] = value
    for k in range(rungs - 1):
        proposals[chain, draw, k] = proposed[chain, k]
        acceptances[chain, draw, k] = accepted[chain, k]
    round_trips[chain, draw] = trips[chain]


@Driver
def run_ladders(
    tag, p, state, settings, x, beta, streams, u, gradient, tempered, linear, ladder, target, every, swap_streams,
    draws, thin, first, scratch, out, acceptance, record, failed,
):  # fmt: skip
    """Run draws * thin sweeps of every ladder, with their swaps; rows of x are chain * rungs + replica.

    `state` is what the sampler's sweep takes, `tempered` what belongs to a temperature (each (rows, k)), `target` the
    rung whose configurations are the draws; `failed` names the replica whose sweep gave a NaN acceptance.
    """
    p, state, settings, scratch = borrow(p), borrow(state), borrow(settings), borrow(scratch)
    x, beta, streams, tempered, ladder = borrow(x), borrow(beta), borrow(streams), borrow(tempered), borrow(ladder)
    rungs, last = ladder[0].shape[1], scratch.shape[0] - 1
    terms = np.zeros((2, rungs))
    swapped = np.zeros(rungs - 1, np.bool_)
    for chain in range(ladder[0].shape[0]):
        swap_stream = random.load(swap_streams, chain)
        for draw in range(draws):
            total = acceptance[chain, draw]
            for sweep in range(thin):
                adapting = -1 if first < 0 else first + draw * thin + sweep
                wanted = ladder[1][chain, target]
                for replica in range(rungs):
                    row = chain * rungs + replica
                    stream = random.load(streams, row)
                    accepted, stream = sweep_of(tag)(tag, p, state, settings, scratch, row, adapting, stream)
                    random.save(streams, row, stream)
                    if replica == wanted:
                        total += accepted
                    if not np.isfinite(accepted):
                        total = np.nan
                        failed[chain] = replica
                ladder[3][chain] += 1
                if ladder[3][chain] % every == 0:
                    good, swap_stream = _swap(
                        tag, p, x, beta, u, gradient, tempered, linear, chain, ladder, every, terms, swapped,
                        scratch[last], swap_stream,
                    )  # fmt: skip
                    if not good:
                        total = np.nan
                if not np.isfinite(total):
                    break
            acceptance[chain, draw] = total
            if out.shape[1] > 0:
                out[chain, draw] = x[chain * rungs + ladder[1][chain, target]]
            if record[0].shape[1] > 0:
                _record(tag, p, x, chain, ladder, draw, record)
            if not np.isfinite(total):
                break
        random.save(swap_streams, chain, swap_stream)
