"""What it costs to keep every draw on disk, and emcee's HDF5 backend."""

import math
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from timing import Check, Line, Side, compare, known

import ebm
import samplers

WALKERS, DIMENSION = 64, 10


def _ising(draws: int, thin: int, store: Path | None) -> samplers.Chains:
    return samplers.sample(
        ebm.Ising((64, 64)), samplers.Metropolis(), chains=4, draws=draws, thin=thin, warmup=0, beta=0.4, seed=1,
        store=store, progress=False,
    )  # fmt: skip


def cost(thin: int, most: float) -> Line:
    """Streamed beside kept in memory; the goal is a share of time, so a ratio of rates of at least 1 / (1 + most).

    What a file costs once, to be made and closed, is measured with two draws and left out: runs last longer than these.
    """

    def stored(n: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            _ising(50 * n, thin, Path(folder) / "run.h5")
        return 200.0 * n

    def kept(n: int) -> float:
        _ising(50 * n, thin, None)
        return 200.0 * n

    def once(work: Callable[[], object]) -> float:
        work()
        began = time.perf_counter()
        for _ in range(5):
            work()
        return (time.perf_counter() - began) / 5

    def shortest() -> None:
        with tempfile.TemporaryDirectory() as folder:
            _ising(2, thin, Path(folder) / "run.h5")

    setups = once(shortest), once(lambda: _ising(2, thin, None))
    with tempfile.TemporaryDirectory() as folder:
        disk, memory = _ising(50, thin, Path(folder) / "run.h5"), _ising(50, thin, None)
        alike = bool(np.array_equal(np.asarray(disk.x), memory.x))
    sides = [Side("ebmlab", stored, setups[0])], [Side("ebmlab in memory", kept, setups[1])]
    line = compare(
        f"every draw of 64x64 Ising to HDF5, thin = {thin}, 4 chains", "draws/s", 1.0 / (1.0 + most), *sides,
        [Check(alike, "the file holds the same bits")],
    )  # fmt: skip
    costs = f"storing costs {100 * (1 / line.ratio - 1):.0f} % of sampling, and {1000 * setups[0]:.0f} ms once"
    return line._replace(note=f"{line.note}; {costs}")


def emcee_draws() -> Line:
    """Every step of walkers on a normal distribution to HDF5, in draws of a walker a second.

    emcee with one vectorised density, a stretch move and its HDFBackend without compression, its fastest; its file
    gains each step, as ours does. Ours: a random walk of as many chains; another kernel, so raw draws are compared.
    """
    import emcee

    rng = np.random.default_rng(0)
    start = rng.normal(size=(WALKERS, DIMENSION))
    energy = ebm.Gaussian(np.zeros(DIMENSION), np.eye(DIMENSION))
    walk = samplers.Metropolis(move="gaussian")

    def ours(n: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            samplers.sample(
                energy, walk, chains=WALKERS, draws=200 * n, warmup=0, seed=1, store=Path(folder) / "run.h5",
                init=start, progress=False,
            )  # fmt: skip
        return 200.0 * n * WALKERS

    def theirs(n: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            backend = emcee.backends.HDFBackend(str(Path(folder) / "run.h5"))
            backend.reset(WALKERS, DIMENSION)
            log_density = lambda x: -0.5 * np.einsum("ni,ni->n", x, x)  # noqa: E731
            sampler = emcee.EnsembleSampler(WALKERS, DIMENSION, log_density, backend=backend, vectorize=True)
            sampler.run_mcmc(start, 20 * n, skip_initial_state_check=True)
        return 20.0 * n * WALKERS

    chains = samplers.sample(energy, walk, chains=1000, draws=1, thin=100, warmup=200, seed=1, progress=False)
    squares = (np.asarray(chains.x)[:, 0] ** 2).sum(1)
    check = known("ours <x^2>", squares, DIMENSION, math.sqrt(2.0 * DIMENSION))
    began = time.perf_counter()
    sampler = emcee.EnsembleSampler(WALKERS, DIMENSION, lambda x: -0.5 * (x**2).sum(1), vectorize=True)
    sampler.run_mcmc(start, 3000)
    mean = float((sampler.get_chain(discard=500) ** 2).sum(2).mean())
    other = Check(abs(mean - DIMENSION) < 1.0, f"emcee <x^2> {mean:.3g} ({time.perf_counter() - began:.1f} s)")
    return compare(
        f"every draw to HDF5, {WALKERS} chains in {DIMENSION}-D", "draws/s", 50.0, [Side("ebmlab", ours)],
        [Side("emcee (HDFBackend, vectorised)", theirs)], [check, other],
    )  # fmt: skip


LINES = {
    "streaming-100": partial(cost, 100, 0.1),
    "streaming-10": partial(cost, 10, 0.5),
    "streaming-emcee": emcee_draws,
}
