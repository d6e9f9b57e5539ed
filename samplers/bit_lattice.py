"""Ising models whose sweeps run on words of bits: which energies these are, and how chains and threads share the work.

They are periodic lattices of even sides with bonds of one strength, +J or -J each (`Ising(shape, J)`, the +-J spin
glass), in a uniform field or none, which fill 64-bit words well enough: for example squares of a multiple of 8, cubes
of a multiple of 4 from 8 on. All others run site by site.
"""

import math
import threading
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from scipy.special import expit

from samplers import protocols, random
from samplers.bit_layout import BitLayout, layout, pack, pieces, sides
from samplers.bit_sweep import BITS, run
from samplers.inner import OPTIONS
from samplers.sampler import State, get_threads, over_chains

COLUMNS = 512  # words of a row that small lattices of several chains fill together: more leave the fast memory

_together = threading.Lock()  # two groups whose threads wait for each other could take all threads and none get on


class BitLattice(NamedTuple):
    """What sweeps of one energy need: the layout, the words of its negative bonds, coupling, field, and the rule."""

    layout: BitLayout
    bonds: np.ndarray
    coupling: float
    field: float
    heat_bath: bool
    begin: int = 0  # the colour that is updated first

    def start(self, state: State) -> None:
        """Give every chain its generators, seeded from its stream."""
        state["lanes"] = np.empty((len(state["x"]), self.layout.blocks, 4, self.layout.lanes), np.uint64)
        seed_lanes(state["lanes"], state["stream"])

    def advance(
        self, state: State, draws: int, thin: int, out: np.ndarray | None, acceptance: np.ndarray | None
    ) -> np.ndarray:
        """Run draws * thin sweeps in place; return the acceptances of each draw added up, as `Sampler.advance` does."""
        x = state["x"]
        out = np.empty((len(x), 0, x.shape[1]), np.int8) if out is None else out
        moves, threads = np.zeros((len(x), draws)), min(get_threads(), self.layout.blocks)
        job = (self, state, draws, thin, out, moves)
        if len(x) < threads:
            for chain in range(len(x)):
                _run_together(*job, chain, threads)
        else:
            numbers = x.size * draws * thin
            over_chains(lambda rows: _run_groups(*job, np.arange(rows.start, rows.stop)), len(x), numbers)
        return add_acceptance(acceptance, moves, thin, x.shape[1], self.heat_bath)


def add_acceptance(
    acceptance: np.ndarray | None, moves: np.ndarray, thin: int, sites: int, heat_bath: bool
) -> np.ndarray:
    """Add to the acceptances of each draw (chains, draws) those of `thin` sweeps, from the moves of sites in them.

    The sum is a multiple of 1 / sites, rounded once: the same however a draw is cut into pieces.
    """
    acceptance = np.zeros(moves.shape) if acceptance is None else acceptance
    if heat_bath:
        acceptance += thin  # every new value is accepted
    else:
        acceptance[:] = (np.rint(acceptance * sites) + moves) / sites
    return acceptance


def fits(energy: Any) -> bool:
    """Whether the spins of this energy can be laid out in words."""
    if not isinstance(energy, protocols.Magnet) or energy.domain != "spin":
        return False
    coupling, field = energy.coupling, energy.field
    if np.ndim(field) or not isinstance(coupling, float | np.ndarray) or pieces(sides(energy.shape)) is None:
        return False
    return isinstance(coupling, float) or bool((np.abs(coupling) == abs(coupling.flat[0])).all())


def prepare(energy: Any, heat_bath: bool) -> BitLattice:
    """Lay out an energy that fits, for Metropolis flips or for the heat bath."""
    places = layout(sides(energy.shape))
    directions = 2 * len(sides(energy.shape))
    if isinstance(energy.coupling, float):
        strength, bonds = energy.coupling, np.zeros((2, directions, places.together, places.width), np.uint64)
    else:
        strength, bonds = abs(float(energy.coupling.flat[0])), _negative(energy, places)
    return BitLattice(places, bonds, strength, float(energy.field), heat_bath)


def _negative(energy: Any, places: BitLayout) -> np.ndarray:
    """Return the words of the negative bonds of each spin, (2, directions, rows, width)."""
    shape = sides(energy.shape)
    along = [axis for axis, side in enumerate(energy.shape) if side > 1]
    forward = energy.coupling[along].reshape(len(shape), *shape)
    signs = [sign for a, ahead in enumerate(forward) for sign in (ahead, np.roll(ahead, 1, a))]
    even = np.arange(shape[-1]) % 2 == 0  # the neighbour at the same place of a row is ahead of even spins
    signs[-2:] = np.where(even, *signs[-2:]), np.where(even, *signs[:-3:-1])
    words = np.empty((2, len(signs), places.rows, places.width), np.uint64)
    for k, sign in enumerate(signs):
        spins = np.where(sign < 0, 1, -1).astype(np.int8).reshape(1, -1)
        pack(spins, 0, 0, 0, places.rows, places, words[:, k])
    return words


@njit(cache=True, **OPTIONS)
def seed_lanes(lanes, streams):
    """Fill the generators (chains, blocks, 4, n) with words of each chain's stream."""
    for chain in range(lanes.shape[0]):
        stream = random.load(streams, chain)
        for block in range(lanes.shape[1]):
            for lane in range(lanes.shape[3]):
                for k in range(4):
                    lanes[chain, block, k, lane], stream = random.bits64(stream)
        random.save(streams, chain, stream)


def table(lattice: BitLattice, beta: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the classes of spins that may stay: D and spin (k, 2), first bits of the probability, the rest of it."""
    dimensions = lattice.bonds.shape[1] // 2
    rows = []
    for unlike in range(2 * dimensions + 1):
        for spin in (-1, 1) if lattice.field else (0,):
            change = beta * (4.0 * lattice.coupling * (dimensions - unlike) + 2.0 * lattice.field * spin)
            probability = flip_probability(change, lattice.heat_bath)
            if probability < 1.0:
                rows.append((unlike, spin, probability * 2.0**BITS))
    scaled = np.array([row[2] for row in rows])
    first = np.floor(scaled)
    return np.array([row[:2] for row in rows], np.int64).reshape(-1, 2), first.astype(np.uint64), scaled - first


def flip_probability(change: float, heat_bath: bool) -> float:
    """Return the probability of a flip that changes the reduced energy by `change`."""
    if heat_bath:
        return float(expit(-change))
    return math.exp(-change) if change > 0 else 1.0


def _run_groups(
    lattice: BitLattice, state: State, draws: int, thin: int, out: np.ndarray, moves: np.ndarray, chains: np.ndarray
) -> None:
    """Run chains of equal temperature side by side in the same words."""
    width = lattice.layout.width
    most = 1 if width >= 64 else COLUMNS // width
    for beta in dict.fromkeys(state["beta"][chains]):
        same = chains[state["beta"][chains] == beta]
        for group in np.split(same, range(most, len(same), most)):
            arguments, counted = _arguments(lattice, state, draws, thin, out, group, 1)
            run(*arguments, counted, 0, 1, np.zeros(1, np.int64))
            moves[group] += counted[0]


def _run_together(
    lattice: BitLattice, state: State, draws: int, thin: int, out: np.ndarray, moves: np.ndarray, chain: int,
    threads: int,
) -> None:  # fmt: skip
    """Run one chain with several threads, each with some blocks of rows."""
    arguments, counted = _arguments(lattice, state, draws, thin, out, np.array([chain]), threads)
    counter = np.zeros(1, np.int64)
    with _together:
        over_chains(lambda part: run(*arguments, counted, part.start, threads, counter), threads)
    moves[chain] += counted.sum(0)[0]


def _arguments(
    lattice: BitLattice, state: State, draws: int, thin: int, out: np.ndarray, group: np.ndarray, threads: int
) -> tuple[tuple, np.ndarray]:
    """Return what `run` takes for a group of chains, up to the flips, and an array to count the flips in."""
    places, n = lattice.layout, len(group)
    columns = places.width * n
    words = np.empty((2, places.pool, columns), np.uint64)
    lanes = np.empty((places.blocks, -(-places.lanes * n // 64), 4, 64), np.uint64)
    bonds = lattice.bonds if n == 1 else np.tile(lattice.bonds, n)
    probabilities = table(lattice, float(state["beta"][group[0]]))
    arguments = (state["x"], group, (words, lanes), bonds, state["lanes"], probabilities, places)
    return (*arguments, lattice.begin, draws, thin, out), np.zeros((threads, n, draws), np.int64)
