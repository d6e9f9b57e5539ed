"""Spins in words of bits: the same trajectories as a plain twin that treats them one by one, and the exact laws."""

import math
from fractions import Fraction

import numpy as np
import pytest
from laws import ALPHA, chi_square_p, count_states, exact_states
from plain_random import Lane

import ebm
import samplers
from ebm import exact
from samplers import bit_lattice, bit_layout
from samplers.bit_sweep import BITS

RNG = np.random.default_rng(5)


def _glass(shape: tuple[int, ...], strength: float = 1.0) -> ebm.Ising:
    signs = np.random.default_rng(7).choice([-strength, strength], (len(shape), *shape))
    return ebm.Ising(shape, signs)


class _Twin:
    """The sweeps of one chain, spin by spin: only where a spin's random bits come from is taken from the layout."""

    def __init__(self, energy: ebm.Ising, x: np.ndarray, lanes: np.ndarray, beta: float, heat_bath: bool) -> None:
        self.energy, self.x, self.beta, self.heat_bath = energy, x.reshape(energy.shape).astype(int), beta, heat_bath
        self.layout = bit_layout.layout(bit_layout.sides(energy.shape))
        self.lanes = [[Lane(block[:, lane]) for lane in range(block.shape[1])] for block in lanes]
        self.flips = 0

    def probability(self, site: tuple[int, ...]) -> float:
        e, x, field = self.energy, self.x, 0.0
        for axis, side in enumerate(e.shape):
            if side == 1:
                continue
            for step in (1, -1):
                there = list(site)
                there[axis] = (site[axis] + step) % side
                bond = e.coupling
                if not isinstance(bond, float):
                    bond = bond[axis][site if step == 1 else tuple(there)]
                field += bond * x[tuple(there)]
        change = 2.0 * self.beta * x[site] * (field + e.field)
        return bit_lattice.flip_probability(change, self.heat_bath)

    def classes(self) -> list[float]:
        """The probabilities below 1 in the order of classes: by unlike neighbours, then by spin."""
        strength = abs(np.asarray(self.energy.coupling).flat[0])
        strength = self.energy.coupling if isinstance(self.energy.coupling, float) else strength
        d = len(bit_layout.sides(self.energy.shape))
        found = []
        for unlike in range(2 * d + 1):
            for spin in (-1, 1) if self.energy.field else (1,):
                change = self.beta * (4.0 * strength * (d - unlike) + 2.0 * self.energy.field * spin)
                found.append(bit_lattice.flip_probability(change, self.heat_bath))
        return [p for p in found if p < 1.0]

    def sweep(self) -> None:
        lay = self.layout
        rows_of_block = lay.rows // lay.blocks
        for colour in range(2):
            for row in range(lay.rows):
                for word in range(lay.width):
                    lane = self.lanes[row // rows_of_block][(row % lay.together * lay.width + word) % 64]
                    self._word(colour, row, word, lane)

    def _word(self, colour: int, row: int, word: int, lane: Lane) -> None:
        lay = self.layout
        odd = (colour + lay.row_parity[row]) % 2
        drawn = [lane.next() for _ in range(BITS)]
        undecided = []
        for bit, offset in enumerate(lay.bit_site):
            site = tuple(int(i) for i in np.unravel_index(lay.row_site[row] + offset + 2 * word + odd, self.x.shape))
            p, u = self.probability(site), sum(((drawn[k] >> bit) & 1) << k for k in range(BITS))
            first = math.floor(p * 2**BITS)
            if p >= 1.0 or u < first:
                self._flip(site)
            elif u == first:
                number = int(np.argmin(np.abs(np.log(np.maximum(self.classes(), 1e-300)) - math.log(max(p, 1e-300)))))
                undecided.append((number, bit, site, Fraction(p) * 2**BITS - first))
        for _, _, site, rest in sorted(undecided, key=lambda entry: entry[:2]):
            while rest > 0:  # compare further digits of u with those of p
                rest *= 2**32
                digit = math.floor(rest)
                more = lane.next() >> 32
                if more != digit:
                    if more < digit:
                        self._flip(site)
                    break
                rest -= digit

    def _flip(self, site: tuple[int, ...]) -> None:
        self.x[site] *= -1
        self.flips += 1


CASES = {
    "square": (ebm.Ising((16, 16)), 0.44),
    "oblong": (ebm.Ising((8, 40), 0.7), 0.5),
    "antiferromagnet": (ebm.Ising((16, 16), -1.0), 0.3),
    "in a field": (ebm.Ising((16, 16), 0.8, 0.3), 0.4),
    "in a field against it": (ebm.Ising((8, 8), 0.5, -0.7), 0.6),
    "cold": (ebm.Ising((16, 16)), 3.0),
    "cube": (ebm.Ising((8, 8, 8)), 0.22),
    "glass": (_glass((8, 8, 8)), 0.8),
    "flat glass": (_glass((16, 16), 0.5), 1.0),
    "glass with a side of two": (_glass((2, 16, 8)), 0.6),
    "four dimensions": (_glass((4, 4, 4, 8)), 0.3),
    "ring": (ebm.Ising((128,)), 0.7),
    "sides of one": (ebm.Ising((1, 16, 1, 16, 1)), 0.4),
    "side of two": (ebm.Ising((32, 2, 8)), 0.3),
}


def _run(energy: ebm.Ising, sampler: samplers.Sampler, x: np.ndarray, beta: np.ndarray, thin: int) -> tuple:
    state = {"x": x.reshape(len(x), -1).copy(), "beta": beta, "stream": samplers.random.make_streams(3, len(x))}
    sampler.start(energy, state)
    lanes = state["lanes"].copy()
    acceptance = sampler.advance(energy, state, sampler.settings(energy, 0), 1, thin)
    return state, lanes, acceptance


@pytest.mark.parametrize("by", ["metropolis", "gibbs"])
@pytest.mark.parametrize("name", CASES)
def test_words_move_as_their_plain_twin(name: str, by: str) -> None:
    energy, beta = CASES[name]
    assert bit_lattice.fits(energy)
    _compare_with_twin(energy, beta, by)


@pytest.mark.parametrize("energy", [ebm.Ising((256, 8)), _glass((256, 8))], ids=repr)
def test_rows_are_updated_together_within_their_blocks(energy: ebm.Ising, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bit_layout, "LEAST_SITES_OF_BLOCKS", 1)
    monkeypatch.setattr(bit_layout, "MOST_BLOCKS", 2)
    places = bit_layout.layout(energy.shape)
    assert places.blocks == places.together == 2
    _compare_with_twin(energy, 0.5, "metropolis")


def _compare_with_twin(energy: ebm.Ising, beta: float, by: str) -> None:
    sampler = samplers.Gibbs() if by == "gibbs" else samplers.Metropolis()
    x = RNG.choice(np.array([-1, 1], np.int8), (2, *energy.shape))
    betas = np.array([beta, 1.3 * beta])
    state, lanes, acceptance = _run(energy, sampler, x, betas, 2)
    for chain in range(2):
        twin = _Twin(energy, x[chain], lanes[chain], betas[chain], by == "gibbs")
        twin.sweep()
        twin.sweep()
        assert np.array_equal(state["x"][chain].reshape(energy.shape), twin.x)
        if by == "metropolis":
            assert acceptance[chain, 0] == pytest.approx(twin.flips / twin.x.size, abs=1e-12)
        for block, own in zip(state["lanes"][chain], twin.lanes, strict=True):
            assert [lane.s for lane in own] == block.T.tolist()


def test_ties_are_settled_to_the_last_bit_of_the_probability() -> None:
    # So cold that no drawn bit is below the threshold: all that flips was settled by further digits.
    energy = ebm.Ising((16, 16))
    x = np.ones((400, 16, 16), np.int8)
    beta = np.full(400, 10.0 * math.log(2.0) / 8.0 + math.log(64.0) / 8.0)  # exp(-8 beta) = 2^-16
    _, _, acceptance = _run(energy, samplers.Metropolis(), x, beta, 40)
    assert 2.0**BITS * math.exp(-8.0 * beta[0]) < 1.0
    flips = acceptance.sum() * 256
    expected = 400 * 40 * 256 * 2.0**-16  # and nearly as many flips back, after a neighbour or in the next sweep
    assert expected * 1.5 < flips < expected * 2.5


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lattices of few spins be laid out in words, though they hardly fill them."""
    monkeypatch.setattr(bit_layout, "LEAST_BITS", 1)


SMALL = {
    "2x4": ebm.Ising((2, 4), 0.7),
    "2x4 in a field": ebm.Ising((2, 4), -0.6, 0.4),
    "2x4 glass": _glass((2, 4), 0.8),
    "2x2x2": ebm.Ising((2, 2, 2), 0.3),
    "ring of 8": ebm.Ising((8,), 0.9),
}


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("by", ["metropolis", "gibbs"])
@pytest.mark.parametrize("name", SMALL)
def test_the_law_stays(name: str, by: str) -> None:
    energy, beta, n = SMALL[name], 0.8, 12_000
    sampler = samplers.Gibbs() if by == "gibbs" else samplers.Metropolis()
    assert sampler.compiled_kernel(energy) is None
    begin = exact_states(energy, beta, n, seed=2)
    chains = samplers.sample(
        energy, sampler, chains=n, draws=1, warmup=0, thin=5, beta=beta, init=begin, seed=6, progress=False
    )
    end = chains.x[:, 0]
    assert chi_square_p(count_states(end, energy), exact.probabilities(energy, beta)) > ALPHA
    assert (end != begin).reshape(n, -1).any(1).mean() > 0.1


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", SMALL)
def test_one_sweep_has_the_exact_transition_probabilities(name: str) -> None:
    energy, beta, n = SMALL[name], 0.8, 40_000
    start = np.random.default_rng(3).choice(np.array([-1, 1], np.int8), energy.shape)
    begin = np.repeat(start[None], n, axis=0)
    chains = samplers.sample(
        energy, samplers.Metropolis(), chains=n, draws=1, warmup=0, beta=beta, init=begin, seed=1, progress=False
    )
    states, p = start[None].copy(), np.ones(1)
    parity = np.indices(energy.shape).sum(0) % 2
    for colour in (0, 1):
        for site in zip(*np.nonzero(parity == colour), strict=True):
            flipped = states.copy()
            flipped[(slice(None), *site)] *= -1
            accept = np.minimum(1.0, np.exp(-beta * (energy(flipped) - energy(states))))
            states, p = np.concatenate([states, flipped]), np.concatenate([p * (1 - accept), p * accept])
    law = np.bincount(exact.state_index(states, "spin"), p, minlength=2**start.size)
    assert law.sum() == pytest.approx(1.0)
    assert chi_square_p(count_states(chains.x[:, 0], energy), law) > ALPHA


def test_every_word_and_chain_has_random_bits_of_its_own() -> None:
    energy = ebm.Ising((256, 256))
    state = {"x": np.ones((3, 256 * 256), np.int8), "stream": samplers.random.make_streams(1, 3)}
    samplers.Metropolis().start(energy, state)
    assert state["lanes"].shape[1] > 1  # blocks
    assert len(np.unique(state["lanes"])) == state["lanes"].size
    hot = samplers.sample(energy, samplers.Gibbs(), chains=2, draws=2, warmup=1, beta=1e-9, seed=1, progress=False)
    spins = hot.x.reshape(4, 16, 4096).astype(float)  # blocks of rows, draws and chains alike would be one and the same
    overlap = spins.reshape(64, 4096) @ spins.reshape(64, 4096).T / 4096
    assert np.abs(overlap - np.eye(64)).max() < 6 / 64


@pytest.mark.parametrize("shape", [(256, 256), (64, 64, 32), (16, 16)])
def test_bits_do_not_depend_on_threads_or_on_how_chains_share_words(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers.sampler, "SHARED", 0)  # small lattices too
    energy, run = ebm.Ising(shape), {"draws": 3, "warmup": 2, "thin": 2, "beta": 0.4, "seed": 8, "progress": False}
    threads = samplers.get_threads()
    found = []
    try:
        for n in (1, 2, 3):
            samplers.set_threads(n)
            found += [samplers.sample(energy, samplers.Metropolis(), chains=chains, **run) for chains in (1, 5)]
    finally:
        samplers.set_threads(threads)
    for chains in found[1:]:
        assert np.array_equal(chains.x[:1], found[0].x)
        assert np.array_equal(chains.acceptance[:1], found[0].acceptance)
        assert np.array_equal(chains.energy[:1], found[0].energy)


def test_a_sweep_in_pieces_is_the_same() -> None:
    energy, sampler = ebm.Ising((24, 24)), samplers.Metropolis()
    x = np.ones((3, 24, 24), np.int8)
    whole, _, acceptance = _run(energy, sampler, x, np.full(3, 0.4), 9)
    state = {"x": x.reshape(3, -1).copy(), "beta": np.full(3, 0.4), "stream": samplers.random.make_streams(3, 3)}
    sampler.start(energy, state)
    pieces = np.zeros((3, 1))
    for thin in (4, 1, 3, 1):
        sampler.advance(energy, state, sampler.settings(energy, 0), 1, thin, acceptance=pieces)
    assert all(np.array_equal(state[name], whole[name]) for name in whole)
    assert np.array_equal(pieces, acceptance)


@pytest.mark.parametrize(
    "energy",
    [
        ebm.Ising((15, 16)),
        ebm.Ising((4, 4), 0.5, 0.1),
        ebm.Ising((4,) * 8, 0.5, 0.1),
        ebm.Ising((16, 16), field=np.ones((16, 16))),
        ebm.Ising((16, 16), RNG.normal(size=(2, 16, 16))),
        ebm.Potts((15, 16), 2),
        ebm.Potts((4,), 300),
        0.5 * ebm.Ising((16, 16)),
        ebm.XY((16, 16)),
    ],
    ids=repr,
)
def test_what_does_not_fit_runs_site_by_site(energy: object) -> None:
    assert not bit_lattice.fits(energy)
    assert samplers.Metropolis().compiled_kernel(energy) is not None
