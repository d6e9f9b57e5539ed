"""Sweeps of Potts states, and of Ising spins that do not fill words, on periodic lattices of even sides.

The two colours of the chess board lie apart, one byte a site (see samplers.bit_layout, one piece along each axis), so
that each step of an update is a loop over neighbouring bytes in vector registers: draw, propose, count neighbours,
decide. Random bits: xoshiro256++, 64 generators a chain, one word of 64 bits a site.

An Ising model with coupling J is a Potts model of two states with coupling 2 J, but for a constant.
"""

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from numba import float64, int8, int64, njit, uint8, uint32, uint64

from samplers import protocols, random
from samplers.bit_lattice import add_acceptance, seed_lanes
from samplers.bit_layout import WORD, BitLayout, layout, sides
from samplers.bit_sweep import bernoulli, load_lane, save_lane
from samplers.borrowed import borrow
from samplers.inner import OPTIONS, inline, inner
from samplers.sampler import State, over_chains

TILE = 256  # sites updated at once: four words of each generator
MOST_STATES = 256


class StateLattice(NamedTuple):
    """What sweeps of one energy need: the layout, the number of states, the lowest, the coupling, and the rule."""

    layout: BitLayout
    n_states: int
    lowest: int
    coupling: float
    heat_bath: bool
    begin: int = 0  # the colour that is updated first

    def start(self, state: State) -> None:
        """Give every chain its generators, seeded from its stream."""
        state["lanes"] = np.empty((len(state["x"]), 1, 4, WORD), np.uint64)
        seed_lanes(state["lanes"], state["stream"])

    def advance(
        self, state: State, draws: int, thin: int, out: np.ndarray | None, acceptance: np.ndarray | None
    ) -> np.ndarray:
        """Run draws * thin sweeps in place; return the acceptances of each draw added up, as `Sampler.advance` does."""
        x = state["x"]
        out = np.empty((len(x), 0, x.shape[1]), x.dtype) if out is None else out
        moves = np.zeros((len(x), draws))

        def part(rows: slice) -> None:
            work, lanes = _work_space(self), state["lanes"].reshape(len(x), -1)
            rule = (self.n_states, self.lowest, self.heat_bath, self.begin)
            beta = state["beta"][rows]
            edges = rows.start + np.r_[0, np.flatnonzero(np.diff(beta)) + 1, len(beta)]
            for begin, end in itertools.pairwise(edges):  # chains of one beta share its table
                table = _table(self, float(state["beta"][begin]))
                some = slice(begin, end)
                _run(work, x[some], lanes[some], self.layout, *rule, table, draws, thin, out[some], moves[some])

        over_chains(part, len(x))
        return add_acceptance(acceptance, moves, thin, x.shape[1], self.heat_bath)


def fits(energy: Any) -> bool:
    """Whether this energy is a Potts or Ising model in no field with one coupling, on a lattice of even sides."""
    if not isinstance(energy, protocols.Magnet) or not isinstance(energy.coupling, float):
        return False
    shape = sides(energy.shape)
    even = bool(shape) and not any(side % 2 for side in shape)
    return even and np.ndim(energy.field) == 0 and not energy.field and protocols.n_states(energy) <= MOST_STATES


def prepare(energy: Any, heat_bath: bool) -> StateLattice:
    """Lay out an energy that fits, for Metropolis moves or for the heat bath."""
    shape = sides(energy.shape)
    spin = energy.domain == "spin"
    coupling = 2.0 * energy.coupling if spin else energy.coupling
    places = layout(shape, (1,) * len(shape), tile=1)._replace(blocks=1)
    return StateLattice(places, protocols.n_states(energy), -1 if spin else 0, coupling, heat_bath)


def _work_space(lattice: StateLattice) -> tuple[np.ndarray, ...]:
    """Return the memory in which sweeps work: states of both colours with their side rows, and what a tile needs."""
    places = lattice.layout
    return (
        np.empty(4 * places.rows * places.width, np.uint8),
        np.empty(TILE, np.uint64),
        np.empty(TILE, np.uint8),
        np.empty(TILE, np.int8),
        np.zeros(TILE, np.bool_),
        np.empty(places.neighbours.shape[1] + 2, np.uint64),
        np.empty(TILE, np.int64),
        np.empty(TILE * lattice.n_states if lattice.heat_bath else 1),
    )


def _table(lattice: StateLattice, beta: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what decides.

    Metropolis: losses of equal neighbours that are not always accepted (k,), the first 32 bits of their probabilities
    and the rest of them. Heat bath: nothing, nothing, and the weight of a state by its number of equal neighbours.
    """
    directions = lattice.layout.neighbours.shape[1] + 2
    if lattice.heat_bath:
        exponent = beta * lattice.coupling * np.arange(directions + 1)
        return np.zeros(0, np.int64), np.zeros(0, np.uint32), np.exp(exponent - exponent.max())
    losses = [n for n in range(-directions, directions + 1) if lattice.coupling * n > 0]
    scaled = np.array([math.exp(-beta * lattice.coupling * n) * 2.0**32 for n in losses])
    scaled = np.minimum(scaled, np.nextafter(2.0**32, 0.0))  # exp may round to one
    return np.array(losses, np.int64), np.floor(scaled).astype(np.uint32), scaled - np.floor(scaled)


# Places in arrays are uint64, as in samplers.bit_sweep.


@inner
def _draw(lanes, words):
    for w in range(WORD):
        stream = load_lane(lanes, uint64(w))
        for k in range(TILE // WORD):
            words[k * WORD + w], stream = random.bits64(stream)
        save_lane(lanes, uint64(w), stream)


@inner
def _propose(states, own, words, used, new, loss, n, q):
    """Propose for each site one of the other states, by the high half of its word."""
    for w in range(n):
        shift = uint64(1) + (((words[used + w] >> uint64(32)) * (q - uint64(1))) >> uint64(32))
        state = uint64(states[own + w]) + shift
        new[w] = uint8(state if state < q else state - q)
        loss[w] = int8(0)


@inner
def _compare(states, own, there, new, loss, n):
    """Add to the loss of equal neighbours what the neighbours in one direction tell."""
    for w in range(n):
        neighbour = states[there + w]
        loss[w] += int8(neighbour == states[own + w]) - int8(neighbour == new[w])


@inner
def _refuse(words, used, loss, stay, n, level, threshold):
    """Mark the sites of one loss whose random number is not below the threshold; return how many ties there are."""
    ties = 0
    for w in range(n):
        u = uint32(words[used + w])
        stay[w] |= (loss[w] == level) & (u >= threshold)
        ties += (loss[w] == level) & (u == threshold)
    return ties


@inner
def _settle(lanes, words, used, loss, stay, n, level, threshold, rest):
    for w in range(n):
        if (
            loss[w] == level
            and uint32(words[used + w]) == threshold
            and bernoulli(rest, lanes, (used + w) % uint64(WORD))
        ):
            stay[w] = False


@inner
def _move(states, own, new, stay, n):
    moved = 0
    for w in range(n):
        keep = uint8(0) - uint8(stay[w])  # no branch: all bits or none
        states[own + w] = (states[own + w] & keep) | (new[w] & ~keep)
        moved += int64(1) - int64(stay[w])
        stay[w] = False
    return moved


@inner
def _weigh(states, there, directions, n, state, weights, count, cumulated, at):
    """Add the weight of one state at each site to the weights of those before it."""
    for w in range(n):
        count[w] = 0
    for d in range(directions):
        first = there[d]
        for w in range(n):
            count[w] += int64(states[first + w] == state)
    for w in range(n):
        before = cumulated[at - uint64(TILE) + w] if state else 0.0
        cumulated[at + w] = before + weights[count[w]]


@inner
def _choose(states, own, words, used, n, q, cumulated, new):
    """Give each site the state at which a uniform number falls among the added weights."""
    last = (q - uint64(1)) * uint64(TILE)
    for w in range(n):
        new[w] = uint8(0)
    for a in range(q - uint64(1)):
        for w in range(n):
            u = float64(int64(words[used + w] >> uint64(11))) * 2.0**-53 * cumulated[last + w]
            new[w] += uint8(cumulated[a * uint64(TILE) + w] <= u)
    for w in range(n):
        states[own + w] = new[w]


@inline
def _half_sweep(work, lanes, colour, layout, q, heat_bath, table):
    """Update all sites of one colour, and the side rows of that colour; return how many moved."""
    states, words, new, loss, stay, there, count, cumulated = work
    _, row_site, row_parity, neighbours, _, _, _, width, _, _ = layout
    rows, directions = row_site.shape[0], neighbours.shape[1] + 2
    mine, others, moved = colour * 2 * rows, (1 - colour) * 2 * rows, 0
    used = uint64(TILE)  # of the words drawn at once; what is left over at the end of a colour is not used
    for row in range(rows):
        for column in range(0, width, TILE):
            own, n = uint64((mine + row) * width + column), uint64(min(TILE, width - column))
            for d in range(directions - 2):
                there[d] = uint64((others + neighbours[row, d]) * width + column)
            there[directions - 2] = uint64((others + row) * width + column)
            there[directions - 1] = uint64((others + rows + row) * width + column)
            if used + n > uint64(TILE):
                _draw(lanes, words)
                used = uint64(0)
            levels, thresholds, rest = table
            first, used = used, used + n
            if heat_bath:
                for a in range(q):
                    _weigh(states, there, directions, n, a, rest, count, cumulated, a * uint64(TILE))
                _choose(states, own, words, first, n, q, cumulated, new)
                continue
            _propose(states, own, words, first, new, loss, n, q)
            for d in range(directions):
                _compare(states, own, there[d], new, loss, n)
            for k in range(levels.shape[0]):
                if _refuse(words, first, loss, stay, n, levels[k], thresholds[k]):
                    _settle(lanes, words, first, loss, stay, n, levels[k], thresholds[k], rest[k])
            moved += _move(states, own, new, stay, n)
        _copy_aside(states, mine + row, rows, width, (colour + row_parity[row]) & 1)
    return moved


@inner
def _copy_aside(states, row, rows, width, odd):
    """Write the side row of a row: its sites moved by one place, to the right if they sit at odd places."""
    word, side, last = uint64(row * width), uint64((row + rows) * width), uint64(width - 1)
    if odd:
        for j in range(last):
            states[side + uint64(1) + j] = states[word + j]
        states[side] = states[word + last]
    else:
        for j in range(last):
            states[side + j] = states[word + uint64(1) + j]
        states[side + last] = states[word]


@njit(cache=True, **OPTIONS)
def _run(work, x, lanes, layout, n_states, lowest, heat_bath, begin, table, draws, thin, out, moves):
    """Run draws * thin sweeps of each chain x (chains, sites), keeping each draw in out (chains, draws or 0, sites)."""
    work, x, lanes, layout, table = borrow(work), borrow(x), borrow(lanes), borrow(layout), borrow(table)
    states, rows, width, q = work[0], layout[1].shape[0], layout[7], uint64(n_states)
    for chain in range(x.shape[0]):
        _copy(x[chain], layout, lowest, states, True)
        for colour in range(2):
            for row in range(rows):
                _copy_aside(states, colour * 2 * rows + row, rows, width, (colour + layout[2][row]) & 1)
        for draw in range(draws):
            for _ in range(thin):
                for half in range(2):
                    first = (begin + half) & 1
                    moves[chain, draw] += _half_sweep(work, lanes[chain], first, layout, q, heat_bath, table)
            if out.shape[1] > 0:
                _copy(out[chain, draw], layout, lowest, states, False)
        _copy(x[chain], layout, lowest, states, False)


@inner
def _copy(x, layout, lowest, states, inwards):
    """Copy the sites of one chain into the rows of their colours, or back; spins -1, +1 are the states 0, 1."""
    rows, width, step = layout[1].shape[0], layout[7], 1 if lowest == 0 else 2
    for row in range(rows):
        for odd in range(2):
            first = (((odd + layout[2][row]) & 1) * 2 * rows + row) * width
            for j in range(width):
                site, at = uint64(layout[1][row] + 2 * j + odd), uint64(first + j)
                if inwards:
                    states[at] = uint8((int64(x[site]) - lowest) // step)
                else:
                    x[site] = lowest + step * int64(states[at])
