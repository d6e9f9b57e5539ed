"""Spin lattices by Metropolis: peapods (Rust) and dwave-samplers (C++)."""

import math
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import limits
import numpy as np
from timing import Check, Line, Side, compare, known, same

import ebm
import samplers

BETA_C = math.log(1.0 + math.sqrt(2.0)) / 2.0
BETA_CHECK = 0.35  # where a lattice of any size forgets its start within a hundred sweeps
CHECK_SWEEPS = 300
WARM = 100  # sweeps before the clock starts, so that no side works on random spins


def ours(energy: Any, chains: int, beta: float, init: np.ndarray | None = None) -> Side:
    """Metropolis sweeps of our own; units are proposals."""
    sites = math.prod(energy.shape)

    def work(n: int) -> float:
        samplers.sample(
            energy, samplers.Metropolis(), chains=chains, draws=1, thin=n, warmup=0, beta=beta, init=init, seed=1,
            keep_x=False, progress=False,
        )  # fmt: skip
        return float(n * chains * sites)

    return Side("ebmlab", work)


def last(energy: Any, chains: int, beta: float, sweeps: int, seed: int) -> samplers.Chains:
    """Our chains after some sweeps from random spins."""
    return samplers.sample(
        energy, samplers.Metropolis(), chains=chains, draws=1, thin=sweeps, warmup=0, beta=beta, seed=seed,
        progress=False,
    )  # fmt: skip


def peapods_model(shape: tuple[int, ...], coupling: np.ndarray | None, chains: int, beta: float) -> Any:
    """A peapods model: chains are equal temperatures, since replicas of one temperature also cost their overlaps."""
    from peapods import Ising

    couplings = "ferro" if coupling is None else np.ascontiguousarray(np.moveaxis(coupling, 0, -1))
    return Ising(shape, couplings=couplings, temperatures=np.full(chains, 1.0 / beta))


def peapods_sweeps(model: Any, n: int, measured: int = 0, **settings: Any) -> Any:
    """n sweeps of which the last are measured; peapods divides by zero when none is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return model.sample(n, warmup_ratio=(n - measured) / n, **settings)


def peapods(shape: tuple[int, ...], coupling: np.ndarray | None, chains: int, beta: float) -> list[Side]:
    """peapods' Metropolis.

    Its threads (rayon) share the temperatures among them, so two chains or more use both cores; `sequential` turns that
    off, which is faster where synchronisation dominates. Measuring is left out (all sweeps are its warm-up).
    """
    model = peapods_model(shape, coupling, chains, beta)
    peapods_sweeps(model, WARM)

    def work(n: int, sequential: bool) -> float:
        peapods_sweeps(model, n, sequential=sequential)
        return float(n * chains * math.prod(shape))

    return [
        Side("peapods (rayon over chains)", partial(work, sequential=False)),
        Side("peapods (sequential)", partial(work, sequential=True)),
    ]


def peapods_energies(shape: tuple[int, ...], coupling: np.ndarray | None, chains: int, beta: float) -> np.ndarray:
    """Energies a spin of peapods' chains after some sweeps; its own sign is the opposite."""
    model = peapods_model(shape, coupling, chains, beta)
    return -np.asarray(peapods_sweeps(model, CHECK_SWEEPS, measured=1)["energies"])


def dwave_reads(energy: Any, spins: np.ndarray, beta: float, sweeps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sweeps of dwave-samplers at one temperature on both cores, in place; returns energies a spin and spins.

    The function behind its SimulatedAnnealingSampler runs reads one after another but lets go of Python's lock, and its
    generator is thread-local: half of the reads in each of two threads is its fastest use. Its Metropolis rule in
    sequential order, the default, beats its Gibbs rule and random order. It imports with numpy 2.4 only after an empty
    class is put back that numpy removed as a mistake (numpy issue 30164) and that its wheel still looks for.
    """
    import numpy.random.bit_generator as bit_generator

    if not hasattr(bit_generator, "SeedlessSequence"):
        bit_generator.SeedlessSequence = type("SeedlessSequence", (), {"__slots__": ()})  # type: ignore[attr-defined]
    from dwave.samplers.sa.simulated_annealing import simulated_annealing

    sites = spins.shape[1]
    here = np.arange(sites).reshape(energy.shape)
    dimensions = len(energy.shape)
    there = np.concatenate([np.roll(here, -1, axis).ravel() for axis in range(dimensions)])
    weights = np.broadcast_to(np.asarray(energy.coupling, float), (dimensions, *energy.shape)).ravel()

    def part(thread: int) -> Any:
        mine = np.array_split(spins, limits.THREADS)[thread]
        return simulated_annealing(
            len(mine), np.zeros(sites), np.tile(here.ravel(), dimensions), there, -weights, sweeps, [beta],
            seed + thread, mine, False, "Metropolis", None,
        )  # fmt: skip

    with ThreadPoolExecutor(limits.THREADS) as pool:
        results = list(pool.map(part, range(limits.THREADS)))
    return np.concatenate([r[1] for r in results]) / sites, np.concatenate([r[0] for r in results])


def dwave(energy: Any, spins: np.ndarray, beta: float) -> list[Side]:
    """dwave-samplers from given spins; the time of a run of one sweep, in which it builds its lists, is left out."""

    def work(n: int) -> float:
        dwave_reads(energy, spins.copy(), beta, n, 1)
        return float(n * spins.size)

    work(1)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        work(1)
        seconds.append(time.perf_counter() - began)
    return [Side("dwave-samplers (a thread a core)", work, float(np.median(seconds)))]


def square(side: int, chains: int) -> tuple[Any, np.ndarray]:
    """A ferromagnet in two dimensions and chains at T_c that are no longer random."""
    energy = ebm.Ising((side, side))
    return energy, np.asarray(last(energy, chains, BETA_C, WARM, 3).x[:, 0])


def check_square(side: int, chains: int, who: str, energies: np.ndarray) -> Check:
    """Check energies a spin of independent lattices against Kaufman's exact mean and fluctuation."""
    deviation = math.sqrt(ebm.exact.kaufman_heat_capacity(side, BETA_CHECK)) / (BETA_CHECK * side)
    return known(f"{who} e(beta = {BETA_CHECK})", energies, ebm.exact.kaufman_energy(side, BETA_CHECK), deviation)


def check_ours(side: int, chains: int) -> Check:
    """Check our own energies."""
    chain = last(ebm.Ising((side, side)), chains, BETA_CHECK, CHECK_SWEEPS, 7)
    return check_square(side, chains, "ours", np.asarray(chain.energy)[:, 0] / side**2)


def square_peapods(side: int, chains: int, goal: float) -> Line:
    """A square lattice at T_c beside peapods."""
    energy, init = square(side, chains)
    checks = [
        check_ours(side, chains),
        check_square(side, chains, "peapods", peapods_energies((side, side), None, chains, BETA_CHECK)),
    ]
    return compare(
        f"2-D Ising Metropolis, L = {side}, T_c, {chains} chains", "flips/s", goal,
        [ours(energy, chains, BETA_C, init)], peapods((side, side), None, chains, BETA_C), checks,
        (limits.random_words(), 1 / 8), "limit: a random byte a proposal",
    )  # fmt: skip


def square_dwave(side: int, chains: int, goal: float) -> Line:
    """A square lattice at T_c beside dwave-samplers."""
    energy, init = square(side, chains)
    flat = init.reshape(chains, -1)
    energies, _ = dwave_reads(energy, flat.copy(), BETA_CHECK, CHECK_SWEEPS, 5)
    checks = [check_ours(side, chains), check_square(side, chains, "dwave", energies)]
    return compare(
        f"2-D Ising Metropolis, L = {side}, T_c, {chains} chains", "flips/s", goal,
        [ours(energy, chains, BETA_C, init)], dwave(energy, flat, BETA_C), checks,
        (limits.random_words(), 1 / 8), "limit: a random byte a proposal",
    )  # fmt: skip


SIDE, CHAINS, BETA_GLASS, BETA_GLASS_CHECK = 16, 32, 1.0 / 1.2, 0.5


def glass() -> tuple[Any, np.ndarray]:
    """A three-dimensional +-J glass with a bond array, and chains a little above its transition."""
    bonds = np.random.default_rng(0).choice([-1.0, 1.0], (3, SIDE, SIDE, SIDE))
    energy = ebm.Ising((SIDE,) * 3, coupling=bonds)
    return energy, np.asarray(last(energy, CHAINS, BETA_GLASS, WARM, 3).x[:, 0])


def _glass_energies(energy: Any) -> np.ndarray:
    return np.asarray(last(energy, CHAINS, BETA_GLASS_CHECK, CHECK_SWEEPS, 7).energy)[:, 0] / SIDE**3


def _glass_line(energy: Any, init: np.ndarray, peer: list[Side], energies: np.ndarray) -> Line:
    return compare(
        f"3-D +-J spin glass, L = {SIDE}, T = 1.2, {CHAINS} chains", "flips/s", 5.0,
        [ours(energy, CHAINS, BETA_GLASS, init)], peer,
        [same(f"e(beta = {BETA_GLASS_CHECK})", _glass_energies(energy), energies)],
        (limits.random_words(), 1 / 8), "limit: a random byte a proposal",
    )  # fmt: skip


def glass_peapods() -> Line:
    """The glass beside peapods."""
    energy, init = glass()
    energies = peapods_energies(energy.shape, energy.coupling, CHAINS, BETA_GLASS_CHECK)
    return _glass_line(energy, init, peapods(energy.shape, energy.coupling, CHAINS, BETA_GLASS), energies)


def glass_dwave() -> Line:
    """The glass beside dwave-samplers."""
    energy, init = glass()
    flat = init.reshape(CHAINS, -1)
    energies, _ = dwave_reads(energy, flat.copy(), BETA_GLASS_CHECK, CHECK_SWEEPS, 5)
    return _glass_line(energy, init, dwave(energy, flat, BETA_GLASS), energies)


LINES = {
    "ising-1024-peapods": partial(square_peapods, 1024, 2, 45.0),
    "ising-1024-dwave": partial(square_dwave, 1024, 2, 40.0),
    "ising-64-peapods": partial(square_peapods, 64, 32, 25.0),
    "glass-peapods": glass_peapods,
    "glass-dwave": glass_dwave,
}
