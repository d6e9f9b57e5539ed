"""Sweeps of spins on a periodic lattice, 64 of one colour in a word: Metropolis and heat bath at any temperature.

A spin flips with a probability that depends on D, the number of its neighbours that are not aligned with it, and in a
field on the spin itself: a class of spins. One uniform number u decides, drawn bit by bit for all spins of a word: u is
less than the probability p if the first bit in which they differ is 0 in u. After 14 bits hardly a spin is undecided;
for those few the comparison goes on, 32 bits at a time, to the last bit of p. So each flip has exactly the probability
p, a number in double precision, at any temperature; and every spin of every chain has random bits of its own.

Random bits: xoshiro256++ (Blackman and Vigna 2021), one generator for each word of a tile of up to 64 words.
"""

import numpy as np
from numba import float64, int64, njit, uint64

from samplers import random
from samplers.barrier import wait
from samplers.bit_layout import MOST_DIMENSIONS, WORD, copy_rows, pack, unpack, used_bits
from samplers.borrowed import borrow
from samplers.inner import OPTIONS, inline, inner
from samplers.popcount import popcount

DRAWN, DRAWS = 7, 2
BITS = DRAWN * DRAWS  # of u for all spins; the rest, one in some thousands, are settled one by one
PLANES = 4  # binary digits of D
MOST_CLASSES = 2 * (2 * MOST_DIMENSIONS + 1)


@inline
def work_space():
    """Return the working memory of a tile: random bits, planes of D, flips and union of classes, ties."""
    return (
        np.zeros(BITS * WORD, np.uint64),
        np.zeros(PLANES * WORD, np.uint64),
        np.zeros(2 * WORD, np.uint64),
        np.zeros(MOST_CLASSES * WORD, np.uint64),
    )


@inline
def load_lane(lanes, at):
    """Take the stream of a generator from lanes (tiles, 4, 64), flat."""
    return lanes[at], lanes[uint64(WORD) + at], lanes[uint64(2 * WORD) + at], lanes[uint64(3 * WORD) + at]


@inline
def save_lane(lanes, at, stream):
    """Put the stream of a generator back."""
    lanes[at], lanes[uint64(WORD) + at] = stream[0], stream[1]
    lanes[uint64(2 * WORD) + at], lanes[uint64(3 * WORD) + at] = stream[2], stream[3]


# Places in arrays are uint64: an index that might be negative, or a view of an array for each call, costs more than the
# work on a tile.


@inner
def _draw(lanes, at, bits, first, n):
    """Draw DRAWN random words in each of n lanes; more at once would not be unrolled, and hence not vectorised."""
    for w in range(n):
        stream = load_lane(lanes, at + w)
        for k in range(DRAWN):
            bits[first + uint64(k * WORD) + w], stream = random.bits64(stream)
        save_lane(lanes, at + w, stream)


@inner
def _begin_count(planes, words, own, first, second, bonds, first_bond, second_bond, n):
    """Set the planes of D to the number of unlike spins among two neighbours."""
    for w in range(n):
        t = words[own + w]
        a = t ^ words[first + w] ^ bonds[first_bond + w]
        b = t ^ words[second + w] ^ bonds[second_bond + w]
        planes[w] = a ^ b
        planes[uint64(WORD) + w] = a & b
        planes[uint64(2 * WORD) + w] = uint64(0)
        planes[uint64(3 * WORD) + w] = uint64(0)


@inner
def _count(planes, words, own, first, second, bonds, first_bond, second_bond, n):
    """Add the number of unlike spins among two more neighbours to the planes of D."""
    for w in range(n):
        t = words[own + w]
        a = t ^ words[first + w] ^ bonds[first_bond + w]
        b = t ^ words[second + w] ^ bonds[second_bond + w]
        one, two, four = planes[w], planes[uint64(WORD) + w], planes[uint64(2 * WORD) + w]
        unlike, carry = a ^ b, (a & b) | (one & (a ^ b))  # a + b + one = (one ^ a ^ b) + 2 carry
        carry_four = two & carry
        planes[w] = one ^ unlike
        planes[uint64(WORD) + w] = two ^ carry
        planes[uint64(2 * WORD) + w] = four ^ carry_four
        planes[uint64(3 * WORD) + w] |= four & carry_four


@inline
def _all_if(condition):
    """Return a word of ones if the condition holds, else of zeros."""
    return ~uint64(0) if condition else uint64(0)


@inner
def _decide(bits, planes, flips, ties, at, words, own, n, unlike, spin, threshold):
    """Mark for flipping the spins of a class for which the drawn bits of u are below the threshold; return if any ties.

    `spin` is 1 or -1 where the class has only such spins, else 0.
    """
    one, two = _all_if((unlike & 1) == 0), _all_if((unlike & 2) == 0)
    four, eight = _all_if((unlike & 4) == 0), _all_if((unlike & 8) == 0)
    either, down = _all_if(spin == 0), _all_if(spin == -1)
    any_tie = uint64(0)
    for w in range(n):
        less, equal = uint64(0), ~uint64(0)
        for k in range(BITS):  # from the lowest bit to the highest
            r = bits[uint64(k * WORD) + w]
            p = uint64(0) - ((threshold >> uint64(k)) & uint64(1))
            less = (less & ~r) | (p & (less | ~r))
            equal &= ~(r ^ p)
        in_class = (planes[w] ^ one) & (planes[uint64(WORD) + w] ^ two)
        in_class &= (planes[uint64(2 * WORD) + w] ^ four) & (planes[uint64(3 * WORD) + w] ^ eight)
        in_class &= either | (words[own + w] ^ down)
        flips[w] |= in_class & less
        flips[uint64(WORD) + w] |= in_class
        tie = in_class & equal
        ties[at + w] = tie
        any_tie |= tie
    return any_tie != uint64(0)


@inner
def _flip(flips, words, own, n, used, flipped, place):
    """Flip the marked spins and all that are in no class, and count them at each place."""
    for w in range(n):
        flip = (flips[w] | ~flips[uint64(WORD) + w]) & used
        words[own + w] ^= flip
        flipped[place + w] += popcount(flip)


@inline
def bernoulli(p, lanes, at):
    """Return whether a uniform number is less than p, 0 <= p < 1, to the last bit of p."""
    stream, less = load_lane(lanes, at), False
    while p > 0.0:
        p *= 4294967296.0
        digit = int64(p)
        word, stream = random.bits64(stream)
        drawn = int64(word >> uint64(32))
        if drawn != digit:
            less = drawn < digit
            break
        p -= float64(digit)
    save_lane(lanes, at, stream)
    return less


@inner
def _settle(lanes, lane, ties, at, words, own, n, rest, used, flipped, place):
    """Flip each undecided spin of a class with the probability that is left."""
    for w in range(n):
        undecided = ties[at + w] & used
        while undecided != uint64(0):
            bit = undecided & (~undecided + uint64(1))
            undecided ^= bit
            if bernoulli(rest, lanes, lane + w):
                words[own + w] ^= bit
                flipped[place + w] += uint64(1)


@inline
def _count_tile(planes, words, bonds, sizes, colour, row, place, n, layout):
    """Count the unlike neighbours of all spins of a tile."""
    pool, columns, bond_rows = sizes
    n_rows, neighbours = layout[1].shape[0], layout[3]
    directions, others = neighbours.shape[1] + 2, (1 - colour) * pool
    own = uint64((colour * pool + row) * columns + place)
    first = uint64((others + row) * columns + place)
    second = uint64((others + n_rows + row) * columns + place)
    bond = uint64((colour * directions * bond_rows + min(row, bond_rows - layout[9])) * columns + place)
    step = uint64(bond_rows * columns)
    last = bond + uint64(directions - 2) * step
    _begin_count(planes, words, own, first, second, bonds, last, last + step, n)
    for k in range(0, neighbours.shape[1], 2):
        first = uint64((others + neighbours[row, k]) * columns + place)
        second = uint64((others + neighbours[row, k + 1]) * columns + place)
        _count(planes, words, own, first, second, bonds, bond, bond + step, n)
        bond += step + step


@inline
def _sweep_tile(work, words, bonds, sizes, lanes, lane, colour, row, place, n, table, layout, flipped):
    """Update a tile: n words, at most 64, from a place of a row on, with the generators from place `lane` on."""
    bits, planes, flips, ties = work
    own = uint64((colour * sizes[0] + row) * sizes[1] + place)
    for k in range(DRAWS):
        _draw(lanes, lane, bits, uint64(k * DRAWN * WORD), n)
    _count_tile(planes, words, bonds, sizes, colour, row, place, n, layout)
    for w in range(2 * WORD):
        flips[w] = uint64(0)
    classes, threshold, rest = table
    undecided, used = uint64(0), used_bits(layout)
    for c in range(classes.shape[0]):
        at = uint64(c * WORD)
        if _decide(bits, planes, flips, ties, at, words, own, n, classes[c, 0], classes[c, 1], threshold[c]):
            undecided |= uint64(1) << uint64(c)
    _flip(flips, words, own, n, used, flipped, uint64(place))
    if undecided != uint64(0):
        for c in range(classes.shape[0]):
            if (undecided >> uint64(c)) & uint64(1):
                _settle(lanes, lane, ties, uint64(c * WORD), words, own, n, rest[c], used, flipped, uint64(place))


@njit(cache=True, **OPTIONS)
def half_sweep(work, words, flat, bonds, sizes, lanes, tiles, colour, block, table, layout, flipped):
    """Update the spins of one colour in one block of rows, and the copies of these rows.

    Args:
        work: working memory, see `work_space`.
        words: spins (2, pool, columns), and once more flat.
        bonds: words of the bonds that are negative (2, directions, rows or together, columns), flat.
        sizes: rows of the pool, columns, rows of the bonds.
        lanes: generators (blocks, tiles, 4, 64), flat.
        colour, block: which spins.
        table: classes (k, 2) of D and spin, thresholds (k,) of the drawn bits, probabilities (k,) that are left.
        layout: a BitLayout.
        flipped: number of flips at each place of the rows that are updated together, added to, (together * columns,).
    """
    work, words, flat, bonds, lanes = borrow(work), borrow(words), borrow(flat), borrow(bonds), borrow(lanes)
    table, layout, flipped = borrow(table), borrow(layout), borrow(flipped)
    rows, together = layout[1].shape[0] // layout[8], layout[9]
    places = together * sizes[1]
    for row in range(block * rows, (block + 1) * rows, together):
        for place in range(0, places, WORD):
            lane = uint64((block * tiles + (place // WORD) % tiles) * 4 * WORD)
            n = uint64(min(WORD, places - place))
            _sweep_tile(work, flat, bonds, sizes, lanes, lane, colour, row, place, n, table, layout, flipped)
    copy_rows(words[colour], colour, block * rows, (block + 1) * rows, layout)


@inline
def _place_of_lane(w, c, chains, width):
    """Return where, in rows updated together, the words of chain c lie that its generator w serves."""
    return (w // width * chains + c) * width + w % width


@inline
def _gather_lanes(state, chains, width, lanes):
    """Put some chains' generators, state (all chains, blocks, 4, n), in the order of tiles (blocks, tiles, 4, 64)."""
    for c in range(chains.shape[0]):
        for block in range(state.shape[1]):
            for w in range(state.shape[3]):
                at = _place_of_lane(w, c, chains.shape[0], width)
                for k in range(4):
                    lanes[block, at // WORD, k, at % WORD] = state[chains[c], block, k, w]


@inline
def _scatter_lanes(lanes, chains, width, state):
    for c in range(chains.shape[0]):
        for block in range(state.shape[1]):
            for w in range(state.shape[3]):
                at = _place_of_lane(w, c, chains.shape[0], width)
                for k in range(4):
                    state[chains[c], block, k, w] = lanes[block, at // WORD, k, at % WORD]


@njit(cache=True, **OPTIONS)
def run(x, chains, shared, bonds, state, table, layout, begin, draws, thin, out, flips, thread, threads, counter):
    """Run draws * thin sweeps of a few chains of one temperature in the words they share, or one thread's part of it.

    Threads that work together on one chain each have some of its blocks of rows and meet after every half sweep.

    Args:
        x: spins (all chains, sites), updated.
        chains: which of them, (group,).
        shared: words (2, pool, group * width) and generators (blocks, tiles, 4, 64), of all threads.
        bonds: words of the negative bonds, (2, directions, rows or together, group * width).
        state: generators of all chains (all chains, blocks, 4, n), updated.
        table: classes, thresholds and rests, see `half_sweep`.
        layout: a BitLayout.
        begin: colour that is updated first in a sweep.
        draws, thin: how many sweeps.
        out: spins of each draw (all chains, draws or 0, sites).
        flips: number of flips (threads, group, draws), added to.
        thread, threads, counter: which of the threads this is, and their meeting point.
    """
    words, lanes = shared
    width, blocks, together, columns = layout[7], layout[8], layout[9], words.shape[2]
    first, last = blocks * thread // threads, blocks * (thread + 1) // threads
    rows = layout[1].shape[0] // blocks
    for c in range(chains.shape[0]):
        pack(x, chains[c], c, first * rows, last * rows, layout, words)
    for colour in range(2):
        copy_rows(words[colour], colour, first * rows, last * rows, layout)
    if thread == 0:
        _gather_lanes(state, chains, width, lanes)
    wait(counter, threads)
    work, flipped = work_space(), np.zeros(together * columns, np.uint64)
    sizes = (words.shape[1], columns, bonds.shape[2])
    flat, flat_bonds, flat_lanes = words.reshape(-1), bonds.reshape(-1), lanes.reshape(-1)
    for draw in range(draws):
        flipped[:] = uint64(0)
        for _ in range(thin):
            for half in range(2):
                colour = (begin + half) & 1
                for block in range(first, last):
                    half_sweep(
                        work, words, flat, flat_bonds, sizes, flat_lanes, lanes.shape[1], colour, block, table, layout,
                        flipped,
                    )  # fmt: skip
                wait(counter, threads)
        for c in range(chains.shape[0]):
            if out.shape[1] > 0:
                unpack(words, c, first * rows, last * rows, layout, out[chains[c], draw])
            for row in range(together):
                for j in range(width):
                    flips[thread, c, draw] += int64(flipped[row * columns + c * width + j])
    for c in range(chains.shape[0]):
        unpack(words, c, first * rows, last * rows, layout, x[chains[c]])
    if thread == 0:
        _scatter_lanes(lanes, chains, width, state)
