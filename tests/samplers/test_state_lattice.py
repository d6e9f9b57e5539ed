"""Potts lattices in vector registers: the trajectories of a plain twin that treats site by site, and the exact law."""

import math
from fractions import Fraction

import numpy as np
import pytest
from plain_random import Lane

import ebm
import samplers
from samplers import fast_lattice, state_lattice
from samplers.bit_layout import sides

TILE = state_lattice.TILE
CASES = {
    "three states": (ebm.Potts((6, 4), 3), 1.0),
    "wide": (ebm.Potts((2, 1100), 5, 0.7), 1.1),
    "cube": (ebm.Potts((4, 6, 8), 4), 0.8),
    "antiferromagnet": (ebm.Potts((10, 10), 3, -1.0), 1.2),
    "two states": (ebm.Potts((12, 6), 2), 0.9),
    "many states": (ebm.Potts((8, 8), 256), 3.0),
    "ring": (ebm.Potts((14,), 3), 1.5),
    "side of one": (ebm.Potts((6, 1, 4), 3), 1.0),
    "hot": (ebm.Potts((6, 4), 3), 1e-12),
    "ising": (ebm.Ising((10, 10)), 0.4),
    "ising antiferromagnet": (ebm.Ising((6, 6, 2), -0.5), 0.7),
}


class _Twin:
    """The sweeps of one chain, site by site, in the order in which its random words are dealt out."""

    def __init__(self, energy: object, x: np.ndarray, lanes: np.ndarray, beta: float, heat_bath: bool) -> None:
        self.shape = sides(energy.shape)
        self.spin = energy.domain == "spin"
        self.x = ((x.astype(int) + 1) // 2 if self.spin else x.astype(int)).reshape(self.shape)
        self.q, self.beta, self.heat_bath = 2 if self.spin else energy.n_states, beta, heat_bath
        self.coupling = 2.0 * energy.coupling if self.spin else energy.coupling
        self.lanes, self.moves, self.ties = [Lane(lanes[:, lane]) for lane in range(64)], 0, 0

    def neighbours(self, site: tuple[int, ...]) -> list[int]:
        found = []
        for axis, side in enumerate(self.shape):
            for step in (1, -1):
                there = list(site)
                there[axis] = (site[axis] + step) % side
                found.append(int(self.x[tuple(there)]))
        return found

    def sweep(self) -> None:
        width = self.shape[-1] // 2
        for colour in range(2):
            words: list[int] = []
            used = TILE
            for row in np.ndindex(*self.shape[:-1]):
                odd = (colour + sum(row)) % 2
                for column in range(0, width, TILE):
                    n = min(TILE, width - column)
                    if used + n > TILE:
                        drawn = [[lane.next() for _ in range(TILE // 64)] for lane in self.lanes]
                        words, used = [drawn[w][k] for k in range(TILE // 64) for w in range(64)], 0
                    sites = [(*row, 2 * (column + j) + odd) for j in range(n)]
                    self._tile(sites, words[used : used + n], used)
                    used += n

    def _tile(self, sites: list, words: list[int], first: int) -> None:
        undecided = []
        for j, (site, word) in enumerate(zip(sites, words, strict=True)):
            near = self.neighbours(site)
            if self.heat_bath:
                exponent = self.beta * self.coupling * np.arange(len(near) + 1)
                weights = np.exp(exponent - exponent.max())
                sums = np.cumsum([weights[near.count(a)] for a in range(self.q)])
                self.x[site] = (sums[:-1] <= (word >> 11) * 2.0**-53 * sums[-1]).sum()
                continue
            new = (int(self.x[site]) + 1 + ((word >> 32) * (self.q - 1) >> 32)) % self.q
            loss = near.count(self.x[site]) - near.count(new)
            if self.coupling * loss <= 0:
                self._move(site, new)
                continue
            scaled = min(math.exp(-self.beta * self.coupling * loss) * 2.0**32, np.nextafter(2.0**32, 0.0))
            u = word & 0xFFFFFFFF
            if u < math.floor(scaled):
                self._move(site, new)
            elif u == math.floor(scaled):
                undecided.append((loss, j, site, new, Fraction(scaled) - u))
        self.ties += len(undecided)
        for _, j, site, new, rest in sorted(undecided):
            lane = self.lanes[(first + j) % 64]
            while rest > 0:
                rest *= 2**32
                more = lane.next() >> 32
                if more != math.floor(rest):
                    if more < rest:
                        self._move(site, new)
                    break
                rest -= more

    def _move(self, site: tuple[int, ...], new: int) -> None:
        self.x[site] = new
        self.moves += 1


@pytest.mark.parametrize("by", ["metropolis", "gibbs"])
@pytest.mark.parametrize("name", CASES)
def test_states_move_as_their_plain_twin(name: str, by: str) -> None:
    energy, beta = CASES[name]
    assert isinstance(fast_lattice.prepare(energy, False), state_lattice.StateLattice)
    sampler = samplers.Gibbs() if by == "gibbs" else samplers.Metropolis()
    x = samplers.initial.initial(energy, 2, 4)
    state = {"x": x.copy(), "beta": np.array([beta, 1.4 * beta]), "stream": samplers.random.make_streams(3, 2)}
    sampler.start(energy, state)
    lanes = state["lanes"].copy()
    acceptance = sampler.advance(energy, state, sampler.settings(energy, 0), 1, 2)
    for chain in range(2):
        twin = _Twin(energy, x[chain], lanes[chain, 0], state["beta"][chain], by == "gibbs")
        twin.sweep()
        twin.sweep()
        end = state["x"][chain].astype(int)
        assert np.array_equal((end + 1) // 2 if twin.spin else end, twin.x.ravel())
        assert state["lanes"][chain, 0].T.tolist() == [lane.s for lane in twin.lanes]
        if by == "metropolis":
            assert acceptance[chain, 0] == pytest.approx(twin.moves / twin.x.size, abs=1e-12)


def test_ties_are_settled_to_the_last_bit_of_the_probability() -> None:
    # Generators whose first word has just the 32 bits of a threshold: a = 0 and d make it rotate(d, 23).
    energy, beta = ebm.Potts((8, 8), 3), 0.3
    rng, ties = np.random.default_rng(4), 0
    for loss in (1, 2, 3, 4) * 5:
        x = rng.integers(0, 3, (1, 64)).astype(np.uint8)
        state = {"x": x.copy(), "beta": np.array([beta]), "stream": samplers.random.make_streams(3, 1)}
        sampler = samplers.Metropolis()
        sampler.start(energy, state)
        for lane in range(64):
            word = (int(rng.integers(2**32)) << 32) | math.floor(math.exp(-beta * loss) * 2.0**32)
            state["lanes"][0, 0, 0, lane] = 0
            state["lanes"][0, 0, 3, lane] = ((word >> 23) | (word << 41)) & (2**64 - 1)
        twin = _Twin(energy, x[0], state["lanes"][0, 0].copy(), beta, heat_bath=False)
        sampler.advance(energy, state, sampler.settings(energy, 0), 1, 1)
        twin.sweep()
        assert np.array_equal(state["x"][0], twin.x.ravel())
        ties += twin.ties
    assert ties > 40


def test_bits_do_not_depend_on_threads_or_pieces() -> None:
    energy, run = ebm.Potts((20, 20), 3), {"chains": 5, "draws": 4, "warmup": 3, "beta": 0.9, "seed": 8}
    threads, found = samplers.get_threads(), []
    try:
        for n in (1, 2, 3):
            samplers.set_threads(n)
            found.append(samplers.sample(energy, samplers.Metropolis(), thin=4, progress=False, **run))
    finally:
        samplers.set_threads(threads)
    every = samplers.sample(energy, samplers.Metropolis(), **{**run, "draws": 16}, progress=False)
    for chains in found:
        assert np.array_equal(chains.x, found[0].x)
        assert np.array_equal(chains.x, every.x[:, 3::4])
        np.testing.assert_allclose(chains.acceptance, np.asarray(every.acceptance).reshape(5, 4, 4).mean(2), atol=1e-15)
