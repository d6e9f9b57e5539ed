"""Simulated annealing (Kirkpatrick, Gelatt and Vecchi 1983): cool slowly, and keep the lowest energy that was seen."""

import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from samplers import protocols, random
from samplers.blocks import BLOCK_SECONDS, SamplingError
from samplers.interrupt import InterruptFlag
from samplers.ladder import check_rungs, checked_betas
from samplers.progress import progress_bar
from samplers.run import check_init, check_sampler, start
from samplers.sampler import Sampler, State
from samplers.tempering import ParallelTempering


class Annealed(NamedTuple):
    """What annealing found in each chain: the best configuration and the last one, (chains, *shape), with E (chains,).

    The best is taken over the start and the end of each temperature; `seed` makes the same run again.
    """

    best_x: np.ndarray
    best_energy: np.ndarray
    last_x: np.ndarray
    last_energy: np.ndarray
    seed: int


def simulated_annealing(
    energy: Any,
    sampler: Sampler,
    *,
    betas: Sequence[float],
    sweeps: int = 10,
    chains: int = 4,
    init: np.ndarray | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> Annealed:
    """Look for ground states: `sweeps` sweeps at each of the rising inverse temperatures `betas`, in several chains.

    Step sizes adapt all the way, as in a warm-up: what is asked for is a minimum and not a law.

    Args:
        energy: anything with an energy; see samplers.protocols.
        sampler: what moves the chains, such as Metropolis() or Gibbs() for spins.
        betas: inverse temperatures, rising strictly, such as np.linspace(0.1, 3.0, 100) in units of 1 / E; a discrete
            energy may start at 0.
        sweeps: sweeps at each temperature.
        chains: number of independent chains.
        init: starting configurations (chains, *shape); default as in `sample`.
        seed: non-negative integer; None takes one from the operating system.
        progress: show a progress bar on a terminal.

    Returns:
        Annealed: best and last configurations and energies of each chain.

    Raises:
        ValueError, TypeError: an argument is out of range, or the sampler does not fit the energy.
        SamplingError: a chain diverged, or its energy stopped being a number.
        KeyboardInterrupt: on Ctrl-C, after a line that says what had been found.

    Example:
        >>> import ebm, samplers
        >>> magnet = ebm.Ising((4, 4))
        >>> found = simulated_annealing(
        ...     magnet, samplers.Metropolis(), betas=np.linspace(0.1, 2.0, 20), seed=1, progress=False
        ... )
        >>> float(found.best_energy.min())
        -32.0
    """
    begin, schedule, entropy = _checked(energy, sampler, betas, sweeps, chains, init, seed)
    state = start(energy, sampler, begin, chains, schedule[0], entropy)
    settings = sampler.settings(energy, len(schedule) * sweeps)
    best_x, best_energy = state["x"].copy(), _energies(energy, state)
    done = 0
    with InterruptFlag() as interrupted, progress_bar(progress, len(schedule) * sweeps, "sweep") as bar:
        for beta in schedule:
            state["beta"][:] = beta
            sampler.retemper(energy, state, np.arange(chains))
            for n in _pieces(sweeps):
                if interrupted:
                    break
                _advance(energy, sampler, state, settings, n, done)
                done += n
                bar.update(n)
            now = _energies(energy, state)
            better = now < best_energy
            best_x[better], best_energy[better] = state["x"][better], now[better]
            if interrupted:
                lowest = best_energy.min()
                print(f"Interrupted at beta = {beta:g}; the lowest energy so far is {lowest:.10g}.", file=sys.stderr)
                raise KeyboardInterrupt
    shape = (chains, *energy.shape)
    return Annealed(best_x.reshape(shape), best_energy, state["x"].reshape(shape), now, entropy)


def _checked(
    energy: Any, sampler: Any, betas: Any, sweeps: Any, chains: Any, init: Any, seed: Any
) -> tuple[np.ndarray | None, tuple[float, ...], int]:
    """Return start, temperatures and entropy, or raise an error that names the argument."""
    check_sampler(energy, sampler)
    if isinstance(sampler, ParallelTempering) or not protocols.has_energy(energy):
        raise TypeError(
            "simulated_annealing needs an energy and a sampler of one temperature, got "
            f"{protocols.name_of(energy)} and {type(sampler).__name__}"
        )
    schedule = checked_betas(betas)
    check_rungs(sampler, energy, schedule)
    protocols.check_positive(sweeps, "sweeps", integer=True)
    protocols.check_positive(chains, "chains", integer=True)
    for beta in schedule:
        sampler.check_run(energy, len(schedule) * sweeps, beta)
    if seed is not None:
        protocols.check_positive(seed, "seed", integer=True, zero=True)
    begin = None if init is None else check_init(init, energy, chains)
    return begin, schedule, random.fresh_entropy() if seed is None else int(seed)


def _pieces(sweeps: int) -> Any:
    """Yield numbers of sweeps that take about a block's time each, as the time between two calls tells."""
    done, piece = 0, 1
    while done < sweeps:
        began, n = time.perf_counter(), min(piece, sweeps - done)
        yield n
        done += n
        seconds = max(time.perf_counter() - began, 1e-6)
        piece = int(min(max(1, n * BLOCK_SECONDS / seconds), 8 * piece))


def _advance(energy: Any, sampler: Sampler, state: State, settings: tuple, n: int, done: int) -> None:
    acceptance = sampler.advance(energy, state, settings, 1, n, first=done)
    if not np.isfinite(acceptance).all():
        chain = int(np.argmin(np.isfinite(acceptance[:, 0])))
        raise SamplingError(
            f"{type(sampler).__name__} failed in chain {chain} at beta = {state['beta'][chain]:g}: it diverged, or the "
            f"energy is no number near x = {state['x'][chain][:8]}"
        )


def _energies(energy: Any, state: State) -> np.ndarray:
    """Return E of each chain, (chains,)."""
    return protocols.reduced(energy, state["x"], np.ones(len(state["x"])))
