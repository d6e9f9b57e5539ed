"""Metropolis flips of one spin after another in eight chains at once, for energies that know their odds side by side.

The chains of a group visit a site together: the energy gives the odds exp(-dE) of all eight flips in one vector
register, as a quotient new / old that is never divided out, and a flip is accepted if r old < new, r uniform in [0, 1).
Neither a logarithm nor an exponential is left. Odds are those at beta = 1, which is the law of a wavefunction; what is
tempered goes through samplers.single_site, to the same decisions but for rounding.

Every lane has the arithmetic of a chain by itself and a stream of its own, so bits do not depend on who stands beside.
"""

from typing import Any

import numpy as np
from numba import uint64

from samplers import protocols, random
from samplers.borrowed import borrow
from samplers.caches import refresh
from samplers.inner import copy
from samplers.lane_views import lowest_place, places_of
from samplers.lanes import LANES, as_lanes, lane_array, load_lanes, store_lanes
from samplers.sampler import State, over_chains
from samplers.tags import Driver, flip_of, odds_of, tag

FEWEST = 16  # chains: fewer leave lanes empty once they are shared out between threads


@Driver
def run_flips(tag, p, x, caches, age, order, streams, draws, thin, held, out, acceptance):
    """Run draws * thin sweeps of all chains in groups of eight; lanes without a chain follow the last one, unmoved."""
    p, x, caches, age, order = borrow(p), borrow(x), borrow(caches), borrow(age), borrow(order)
    streams, out, acceptance = borrow(streams), borrow(out), borrow(acceptance)
    words, notes, accepted = borrow(held[0]), borrow(held[1]), borrow(held[2])
    notes_in_lanes = as_lanes(notes)
    for begin in range(0, x.shape[0], LANES):
        end = min(begin + LANES, x.shape[0])
        load_lanes(streams, begin, end, words[0])
        stream = random.load(as_lanes(words), 0)
        present = (uint64(1) << uint64(end - begin)) - uint64(1)
        for draw in range(draws):
            for _ in range(thin):
                for c in range(begin, end):
                    refresh(tag, x[c], p, caches[c], age, c)
                accepted[:] = 0.0
                for k in range(order.shape[0]):
                    site = uint64(order[k])
                    new, old, notes_in_lanes[0] = odds_of(tag)(x, site, p, caches, begin, end)
                    r, stream = random.uniform(stream)
                    left = places_of(r * old < new) & present
                    while left != 0:
                        lane = lowest_place(left)
                        left &= left - uint64(1)
                        c = uint64(begin) + lane
                        flip_of(tag)(x[c], site, p, caches[c], notes[0, lane])
                        x[c, site] = -x[c, site]
                        accepted[lane] += 1.0
                for c in range(begin, end):
                    acceptance[c, draw] += accepted[c - begin] / order.shape[0]
            if out.shape[1] > 0:
                for c in range(begin, end):
                    copy(x[c], out[c, draw])
        random.save(as_lanes(words), 0, stream)
        store_lanes(words[0], begin, end, streams)


def fits(energy: Any, state: State) -> bool:
    """Whether the chains of this state go in groups of eight; it depends on all of them, never on threads."""
    return (
        protocols.is_compiled(energy)
        and energy.compiled.cached is not None
        and energy.compiled.cached.odds is not None
        and len(state["x"]) >= FEWEST
        and bool((state["beta"] == 1.0).all())
    )


def advance(
    energy: Any, state: State, order: np.ndarray, draws: int, thin: int, out: np.ndarray | None,
    acceptance: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    """Run draws * thin sweeps of all chains, as `Sampler.advance` does."""
    x, functions = state["x"], energy.compiled
    out = np.empty((len(x), 0, x.shape[1]), x.dtype) if out is None else out
    acceptance = np.zeros((len(x), draws)) if acceptance is None else acceptance
    label = tag(functions)

    def part(rows: slice) -> None:
        held = lane_array((1, 4), np.uint64), lane_array((1,)), np.zeros(LANES)
        run_flips(
            label, functions.params, x[rows], state["cache"][rows], state["age"][rows], order, state["stream"][rows],
            draws, thin, held, out[rows], acceptance[rows],
        )  # fmt: skip

    over_chains(part, len(x))
    return acceptance
