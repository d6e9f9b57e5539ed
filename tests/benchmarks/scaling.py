"""How our own speed goes with the size of a lattice and with threads; ratios of ourselves."""

from functools import partial
from typing import Any

import numpy as np
from lattices import BETA_C
from limits import random_words
from timing import PAIRS, SECONDS, Line, Side, pieces, run

import ebm
import samplers
from samplers.random import make_streams

SIDES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)


def sweeps(energy: Any, chains: int) -> Side:
    """Metropolis sweeps of ordered lattices, without the set-up of `sample`, which takes seconds for the largest."""
    sampler, sites = samplers.Metropolis(), int(np.prod(energy.shape))
    state = {
        "x": np.ones((chains, sites), np.int8), "beta": np.full(chains, BETA_C), "stream": make_streams(1, chains),
    }  # fmt: skip
    sampler.start(energy, state)
    settings = sampler.settings(energy, 0)

    def work(n: int) -> float:
        sampler.advance(energy, state, settings, 1, n)
        return float(n * chains * sites)

    return Side("ebmlab", work)


def sizes() -> Line:
    """The slowest size over the fastest: two chains each, all sizes in turn."""
    sides = [sweeps(ebm.Ising((side, side)), 2) for side in SIDES]
    counts = [pieces(side, SECONDS) for side in sides]
    rates = np.array([[run(side, n).rate for side, n in zip(sides, counts, strict=True)] for _ in range(PAIRS)])
    middle = np.median(rates, axis=0)
    ratios = rates.min(axis=1) / rates.max(axis=1)
    shown = "sweeps, the spins packed and unpacked once a run; flips/s by L: " + ", ".join(
        f"{side}: {rate:.3g}" for side, rate in zip(SIDES, middle, strict=True)
    )
    return Line(
        work="2-D Ising Metropolis, T_c, 2 chains, L = 64 to 8192: slowest", unit="flips/s", goal=0.5,
        ours=float(middle.min()), peer="the fastest size", theirs=float(middle.max()), ratio=float(np.median(ratios)),
        spread=(float(ratios.min()), float(ratios.max())), note=shown,
    )  # fmt: skip


def _with_threads(threads: int, side: Side) -> Side:
    def work(n: int) -> float:
        samplers.set_threads(threads)
        return side.work(n)

    return Side(f"{threads} thread{'s' if threads > 1 else ''}", work)


def threads(work: str, energy: Any, chains: int) -> Line:
    """Two threads over one, and the same of loops that share nothing: what the machine can give, in the same pairs."""
    ours, bare = sweeps(energy, chains), [random_words(2), random_words(1)]
    sides = [_with_threads(2, ours), _with_threads(1, ours), *bare]
    counts = [pieces(side, SECONDS) for side in sides]
    runs = [[run(side, n) for side, n in zip(sides, counts, strict=True)] for _ in range(PAIRS)]
    rates = np.array([[r.rate for r in pair] for pair in runs])
    cores = np.median([[r.cores for r in pair[:2]] for pair in runs], axis=0)
    middle, ratios, limits = np.median(rates, axis=0), rates[:, 0] / rates[:, 1], rates[:, 2] / rates[:, 3]
    return Line(
        work=work, unit="flips/s", goal=1.8, ours=float(middle[0]), peer="1 thread", theirs=float(middle[1]),
        ratio=float(np.median(ratios)), share=float(np.median(ratios / limits)), limit="1 -> 2 threads of bare loops",
        cores=(float(cores[0]), float(cores[1])), spread=(float(ratios.min()), float(ratios.max())),
        note=f"limit: a loop of random words, which shares nothing, gains {np.median(limits):.2f} in the same pairs",
    )  # fmt: skip


LINES = {
    "scaling-sizes": sizes,
    "threads-chains": partial(threads, "1 -> 2 threads, 32 chains of 64x64 Ising", ebm.Ising((64, 64)), 32),
    "threads-lattice": partial(threads, "1 -> 2 threads, one 4096x4096 Ising", ebm.Ising((4096, 4096)), 1),
}
