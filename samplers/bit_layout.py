"""How the spins of a periodic lattice are laid out in 64-bit words, so that one instruction treats hundreds of them.

An axis of side L is cut into m pieces of w = L / m sites, i = b w + r: the digit b says which bit of a word holds the
site, r which word. Spins of one word lie far apart; their neighbours share one word too, but for those at the end of a
piece, which are found in the first word of the next piece: the same bits, rotated. Every w is even, so all spins of a
word have one colour of the chess board, and the two colours are kept apart:

    words[colour, row, j]       row = (r_0 .. r_{d-2}) in C order, r_{d-1} = 2 j or 2 j + 1, whichever has the colour

Chains of small lattices lie side by side in the rows, chain c in the places c * width + j.

Behind the rows of a colour lie copies of them in which a neighbour is found at the same place j: each row moved by one
j ("side rows", the second neighbour along the last axis), and rotated rows ("ghost rows") for the ends of pieces.

Rows too short to fill a tile of vector registers are updated several together. Then the neighbours in every direction
are copied to ghost rows in the order of the rows, so that those of a tile lie as close together as its own words do.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit, uint64

from samplers.borrowed import borrow
from samplers.inner import OPTIONS, inline

WORD = 64
MOST_DIMENSIONS = 7  # the number of unlike neighbours has four binary digits
LEAST_BITS = 16  # of a word in use: with fewer the words are too empty to be worth while
LEAST_SITES_OF_BLOCKS = 2**16  # smaller lattices are one block: threads would wait for each other more than they work
MOST_BLOCKS = 16
IN_PLACE = (1, 0, 1)  # the rotation that turns nothing


class BitLayout(NamedTuple):
    """The places of all spins and their neighbours; arrays and numbers that the kernels understand.

    Attributes:
        bit_site: offset of the sites of each bit in use, (bits,).
        row_site: offset of the first site of each row, (rows,).
        row_parity: parity of r_0 + ... + r_{d-2}, (rows,).
        neighbours: row that holds the neighbours in each direction, (rows, 2 (d - 1)): + and - along each axis.
        source: row of which each ghost row is a copy, (ghosts + 2,); two more for the ends of the side rows, -1.
        turns: rotation of each copy: step of a digit, its stride and the size of its group of bits, (ghosts + 2, 3).
        masks: the bits that come from within a group, (ghosts + 2,); the others come around its end.
        width: words of a row of one colour.
        blocks: pieces of rows, each with random numbers of its own.
        together: rows that are updated at once.
    """

    bit_site: np.ndarray
    row_site: np.ndarray
    row_parity: np.ndarray
    neighbours: np.ndarray
    source: np.ndarray
    turns: np.ndarray
    masks: np.ndarray
    width: int
    blocks: int
    together: int

    @property
    def rows(self) -> int:
        """Rows of one colour."""
        return len(self.row_site)

    @property
    def pool(self) -> int:
        """Rows of one colour with their side rows and ghost rows."""
        return 2 * self.rows + len(self.source) - 2

    @property
    def lanes(self) -> int:
        """Random generators of one block of a chain: one for each of the words that are drawn at once."""
        return min(self.together * self.width, WORD)


def sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape without axes of side 1, which have no bonds."""
    return tuple(side for side in shape if side > 1)


def pieces(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the number of pieces m of each axis, or None if the lattice does not fill words well enough.

    Sides must be even, since only then the lattice has two colours; at most MOST_DIMENSIONS of them.
    """
    if not 0 < len(shape) <= MOST_DIMENSIONS or any(side % 2 for side in shape):
        return None
    left, m = WORD, []
    for side in shape:
        k = 1
        while left > k and side % (4 * k) == 0:
            k *= 2
        left //= k
        m.append(k)
    return tuple(m) if WORD // left >= LEAST_BITS else None


def layout(shape: tuple[int, ...], m: tuple[int, ...] | None = None, tile: int = WORD) -> BitLayout:
    """Lay out a lattice of even sides in m pieces along each axis, by default those of `pieces`, for tiles of words."""
    m = pieces(shape) if m is None else m
    assert m is not None, f"no layout for shape {shape}"
    w = tuple(side // k for side, k in zip(shape, m, strict=True))
    bits, d = math.prod(m), len(shape)
    stride = [math.prod(m[a + 1 :]) for a in range(d)]  # the digit of axis a: bit // stride[a] % m[a]
    site = np.array([math.prod(shape[a + 1 :]) for a in range(d)])
    digits = np.stack(np.unravel_index(np.arange(bits), m))
    r = np.stack(np.unravel_index(np.arange(math.prod(w[:-1])), w[:-1])) if d > 1 else np.zeros((0, 1), np.int64)
    rows = r.shape[1]
    number = np.arange(rows).reshape(w[:-1])
    blocks = 1
    if math.prod(shape) >= LEAST_SITES_OF_BLOCKS:
        blocks = max(k for k in range(1, MOST_BLOCKS + 1) if rows % k == 0)
    width = w[-1] // 2
    together = max(k for k in range(1, max(tile // width, 1) + 1) if rows // blocks % k == 0)
    neighbours = np.zeros((rows, 2 * (d - 1)), np.int64)
    source: list[int] = []
    turn: list[tuple[int, int, int]] = []
    for a in range(d - 1):
        for k, step in enumerate((1, -1)):
            there = np.roll(number, -step, a).ravel()
            neighbours[:, 2 * a + k] = there
            last = r[a] == (w[a] - 1 if step == 1 else 0)  # of a piece: the neighbours are the first of the next one
            for row in np.flatnonzero((last & (m[a] > 1)) | (together > 1)):
                neighbours[row, 2 * a + k] = 2 * rows + len(source)
                source.append(there[row])
                turn.append((step, stride[a], m[a] * stride[a]) if last[row] else IN_PLACE)
    turn += [(step, stride[-1], m[-1] * stride[-1]) for step in (1, -1)]
    return BitLayout(
        bit_site=(np.array(w) * site) @ digits,
        row_site=site[:-1] @ r,
        row_parity=r.sum(0) % 2,
        neighbours=neighbours,
        source=np.array([*source, -1, -1]),
        turns=np.array(turn),
        masks=np.array([_inner_bits(*rotation) for rotation in turn], np.uint64),
        width=width,
        blocks=blocks,
        together=together,
    )


@cache
def _inner_bits(step: int, stride: int, group: int) -> int:
    """Return a word of the bits p for which p + step stride lies in the same group."""
    return sum(1 << p for p in range(WORD) if 0 <= p % group + step * stride < group)


@inline
def used_bits(layout):
    """Return a word in which the bits in use are set."""
    bits = layout[0].shape[0]
    return ~uint64(0) if bits == WORD else (uint64(1) << uint64(bits)) - uint64(1)


@njit(cache=True, **OPTIONS)
def pack(x, chain, place, first, last, layout, words):
    """Set the main rows first .. last - 1 of words (2, pool, places * width) from the spins of x[chain]: 1 is +1."""
    bit_site, row_site, row_parity, _, _, _, _, width, _, _ = layout
    for row in range(first, last):
        even, odd = words[row_parity[row], row], words[1 - row_parity[row], row]
        for j in range(place * width, (place + 1) * width):
            even[j] = uint64(0)
            odd[j] = uint64(0)
        for bit in range(bit_site.shape[0]):
            start = row_site[row] + bit_site[bit]
            for j in range(width):
                at = uint64(start + 2 * j)
                even[place * width + j] |= (uint64(x[chain, at] > 0)) << uint64(bit)
                odd[place * width + j] |= (uint64(x[chain, at + uint64(1)] > 0)) << uint64(bit)


@njit(cache=True, **OPTIONS)
def unpack(words, place, first, last, layout, x):
    """Set the spins x (sites,) of one chain, -1 and +1, from the main rows first .. last - 1 of words."""
    bit_site, row_site, row_parity, _, _, _, _, width, _, _ = layout
    pairs = x.view(np.uint16)
    for row in range(first, last):
        even, odd = words[row_parity[row], row], words[1 - row_parity[row], row]
        for bit in range(bit_site.shape[0]):
            start = uint64((row_site[row] + bit_site[bit]) >> 1)
            for j in range(width):  # 0x01 is +1, 0xff is -1
                k = uint64(place * width + j)
                first = uint64(0xFF) - uint64(0xFE) * ((even[k] >> uint64(bit)) & uint64(1))
                second = uint64(0xFF) - uint64(0xFE) * ((odd[k] >> uint64(bit)) & uint64(1))
                pairs[start + uint64(j)] = np.uint16(first | (second << uint64(8)))


@inline
def _turn(word, step, stride, group, mask):
    """Rotate a digit of the bits of a word: digit b of the result is digit b + step of the word."""
    if step == 1:
        return ((word >> uint64(stride)) & mask) | ((word << uint64(group - stride)) & ~mask)
    return ((word << uint64(stride)) & mask) | ((word >> uint64(group - stride)) & ~mask)


@njit(cache=True, **OPTIONS)
def copy_rows(rows, colour, first, last, layout):
    """Bring the copies of main rows first .. last - 1 of a colour in line with them; rows (pool, chains * width)."""
    rows, layout = borrow(rows), borrow(layout)
    _, row_site, row_parity, _, source, turns, masks, width, _, _ = layout
    n, ghosts, columns = row_site.shape[0], source.shape[0] - 2, rows.shape[1]
    for row in range(first, last):
        word, side = rows[row], rows[n + row]
        if (colour + row_parity[row]) & 1:  # its spins sit at odd places: the second neighbour of the others is left
            k = ghosts + 1
            for j in range(1, columns):
                side[j] = word[j - 1]
            for j in range(0, columns, width):
                side[j] = _turn(word[j + width - 1], turns[k, 0], turns[k, 1], turns[k, 2], masks[k])
        else:
            k = ghosts
            for j in range(columns - 1):
                side[j] = word[j + 1]
            for j in range(0, columns, width):
                side[j + width - 1] = _turn(word[j], turns[k, 0], turns[k, 1], turns[k, 2], masks[k])
    for k in range(ghosts):
        if first <= source[k] < last:
            word, ghost = rows[source[k]], rows[2 * n + k]
            step, stride, group, mask = turns[k, 0], turns[k, 1], turns[k, 2], masks[k]
            for j in range(columns):
                ghost[j] = _turn(word[j], step, stride, group, mask)
