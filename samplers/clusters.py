"""What the cluster algorithms share: which bonds of a magnet there are, random lanes to open them, and the way to run.

E(x) = -sum over bonds J s s' (spins, Ising) or -sum over bonds J delta(s, s') (states, Potts). A bond is satisfied
where it lowers the energy: J s s' > 0, or s = s'. Given x, each satisfied bond is open with probability
1 - exp(-beta gap), where the gap is what breaking it costs, 2 |J| between spins and J between states; all other bonds
are closed (Fortuin and Kasteleyn 1972; Edwards and Sokal 1988). Sites joined by open bonds form a cluster, and given
the bonds the clusters are free: each may take another value as a whole.

Random numbers: a bond compares a lane, 16 bits of a 64-bit word, with 2^16 times its probability. The lane that equals
the integer part (one in 65,536) is decided by a further uniform number of 53 bits, so nothing is rounded beyond what
double precision does. Words come from the counter generator SplitMix64 (Steele, Lea and Flood 2014), which runs in
vector registers, with keys from the chain's stream.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import float64, int64, uint8, uint16, uint64

from samplers import protocols, random
from samplers.compiled import Functions
from samplers.inner import inline, inner
from samplers.sampler import State, over_chains
from samplers.tags import Driver, sweep_of, tag

LANES = 4  # a word

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_NO_ENERGY = Functions(None, None, None, ())  # type: ignore[arg-type]  # the bonds say all there is


class Bonds(NamedTuple):
    """A cluster algorithm's view of an energy.

    `sweep` is the compiled sweep that reads `parts`, `n_states` the number q of states or 0 for spins, and `gaps`
    holds the different costs of breaking a bond, (kinds,).
    """

    sweep: Any
    n_states: int
    gaps: np.ndarray
    parts: tuple


def check_magnet(energy: Any, name: str) -> None:
    """Raise TypeError unless the energy is an Ising or Potts magnet whose clusters are free."""
    need = f"{name} needs a zero-field Ising or Potts energy, got {protocols.name_of(energy)}"
    if not isinstance(energy, protocols.Magnet) or energy.domain not in ("spin", "states"):
        raise TypeError(need)
    if np.any(energy.field):
        raise TypeError(f"{need} with a field")
    if protocols.n_states(energy) < 2:
        raise TypeError(f"{name} needs at least 2 states a site, got {protocols.n_states(energy)}")
    weights = np.atleast_1d(energy.coupling) if uniform_lattice(energy) else energy.bonds()[2]
    if energy.domain == "states" and (weights < 0.0).any():
        raise TypeError(f"{name} needs Potts couplings that are not negative, got {weights.min():g}")


def n_states(energy: Any) -> int:
    """The number of states of a site; 0 for spins."""
    return protocols.n_states(energy) if energy.domain == "states" else 0


def uniform_lattice(energy: Any) -> bool:
    """Whether the magnet is a periodic hypercubic lattice with one coupling for all bonds."""
    return np.ndim(energy.coupling) == 0


def gap(energy: Any, weights: Any) -> np.ndarray:
    """What it costs to break a satisfied bond, for couplings of any shape."""
    return np.abs(weights) * (2.0 if energy.domain == "spin" else 1.0)


def kinds(energy: Any, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the different gaps, (kinds,), the kind of each bond, and whether it is satisfied between equal values."""
    gaps, kind = np.unique(gap(energy, weights), return_inverse=True)
    return gaps, kind.astype(np.int32), (weights > 0.0).astype(np.uint8)


@inner
def expand(key, first, words):
    """Fill `words` with random bits, the outputs first + 1, first + 2, ... of SplitMix64 started at `key`."""
    for j in range(words.shape[0]):
        z = key + uint64(first + j + 1) * _GAMMA
        z = (z ^ (z >> uint64(30))) * _MIX1
        z = (z ^ (z >> uint64(27))) * _MIX2
        words[j] = z ^ (z >> uint64(31))


@inline
def is_open(lane, limit, rest, stream):
    """Whether a satisfied bond is open, with probability (limit + rest) / 2^16, given its lane."""
    if lane == limit:
        u, stream = random.uniform(stream)
        return uint8(u < rest), stream
    return uint8(lane < limit), stream


@inline
def _set_limits(beta, gaps, limits, rests):
    """Split 2^16 (1 - exp(-beta gap)) into an integer of 16 bits and the rest, at most 1."""
    for k in range(gaps.shape[0]):
        scaled = -math.expm1(-beta * gaps[k]) * 65536.0
        limits[k] = uint16(min(int64(scaled), 65535))
        rests[k] = scaled - float64(limits[k])


@Driver
def _run(tag, parts, n_states, gaps, x, beta, streams, work, draws, thin, out, acceptance):
    """Run draws * thin sweeps of every chain, adding up what each sweep returns."""
    limits, rests = np.empty(gaps.shape[0], np.uint16), np.empty(gaps.shape[0])
    for chain in range(x.shape[0]):
        if chain == 0 or beta[chain] != beta[chain - 1]:
            _set_limits(beta[chain], gaps, limits, rests)
        stream = random.load(streams, chain)
        for draw in range(draws):
            for _ in range(thin):
                share, stream = sweep_of(tag)(tag, parts, x[chain], (n_states, limits, rests), work, chain, -1, stream)
                acceptance[chain, draw] += share
            if out.shape[1] > 0:
                for site in range(x.shape[1]):  # a whole row at once would take another second to compile
                    out[chain, draw, site] = x[chain, site]
        random.save(streams, chain, stream)


def advance(
    bonds: Bonds, work: Any, state: State, draws: int, thin: int, out: np.ndarray | None, acceptance: np.ndarray | None
) -> np.ndarray:
    """Run draws * thin sweeps of all chains in place, as `Sampler.advance`.

    `work(sites)` makes the arrays that one thread works in; they keep nothing from one sweep to the next.
    """
    chains, sites = state["x"].shape
    acceptance = np.zeros((chains, draws)) if acceptance is None else acceptance
    out = np.empty((chains, 0, sites), state["x"].dtype) if out is None else out
    label = tag(_NO_ENERGY, bonds.sweep)
    # Bytes are read as signed ones, as spins are, so that one compiled loop serves both: it is equality that counts.
    dtype = np.dtype(np.int8) if state["x"].itemsize == 1 else state["x"].dtype

    def part(rows: slice) -> None:
        _run(
            label, bonds.parts, bonds.n_states, bonds.gaps, state["x"][rows].view(dtype), state["beta"][rows],
            state["stream"][rows], work(sites), draws, thin, out[rows].view(dtype), acceptance[rows],
        )  # fmt: skip

    over_chains(part, chains)
    return acceptance
