"""What a sampler is: a sweep of one chain, compiled, and the same sweep of all chains for energies that are not.

A new sampler is one file: a dataclass of its settings, `check` (does it fit this energy?), `start` (which arrays does
it keep for each chain?), the compiled `sweep` of one chain, and `sweep_array`, the same for all chains of any callable.
"""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, ClassVar, NamedTuple

import numba
import numpy as np

from samplers import protocols, random
from samplers.borrowed import borrow
from samplers.inner import copy
from samplers.lanes import LANES, as_lanes, every, is_finite, lane_array, load_lanes, store_lanes
from samplers.layout import Variable
from samplers.tags import Driver, sweep_of, tag

State = dict[str, np.ndarray]  # arrays with one row a chain: always x (chains, sites), stream and beta


@Driver
def run(tag, p, state, settings, x, streams, draws, thin, first, scratch, out, acceptance):
    """Run draws * thin sweeps of every chain, adding up `acceptance`; `first` numbers warm-up sweeps, -1: none."""
    p, state, settings, scratch = borrow(p), borrow(state), borrow(settings), borrow(scratch)
    x, streams, out, acceptance = borrow(x), borrow(streams), borrow(out), borrow(acceptance)
    for chain in range(x.shape[0]):
        stream = random.load(streams, chain)
        for draw in range(draws):
            total = acceptance[chain, draw]
            for sweep in range(thin):
                adapting = -1 if first < 0 else first + draw * thin + sweep
                accepted, stream = sweep_of(tag)(tag, p, state, settings, scratch, chain, adapting, stream)
                total += accepted
            acceptance[chain, draw] = total
            if out.shape[1] > 0:
                copy(x[chain], out[chain, draw])
            if not np.isfinite(total):
                break
        random.save(streams, chain, stream)


@Driver
def run_wide(tag, p, held, settings, streams, draws, thin, first, out, acceptance):
    """What `run` does, eight chains at once: each group stands in lanes from its first sweep to its last.

    Lanes without a chain follow the last one and are not stored. `held` is from `_room_for_lanes`.
    """
    p, settings, streams, out, acceptance = (
        borrow(p),
        borrow(settings),
        borrow(streams),
        borrow(out),
        borrow(acceptance),
    )
    rows, flat, lanes, scratch, words, total = held
    rows, flat, words, total = borrow(rows), borrow(flat), borrow(words), borrow(total)
    state, scratch, sums = as_lanes(lanes), as_lanes(scratch), as_lanes(total)
    for begin in range(0, streams.shape[0], LANES):
        end = min(begin + LANES, streams.shape[0])
        for k in range(len(rows)):
            load_lanes(rows[k], begin, end, flat[k])
        load_lanes(streams, begin, end, words[0])
        stream = random.load(as_lanes(words), 0)
        for draw in range(draws):
            load_lanes(acceptance[:, draw : draw + 1], begin, end, total)
            for sweep in range(thin):
                adapting = -1 if first < 0 else first + draw * thin + sweep
                accepted, stream = sweep_of(tag)(tag, p, state, settings, scratch, 0, adapting, stream)
                sums[0] += accepted
            store_lanes(total, begin, end, acceptance[:, draw : draw + 1])
            if out.shape[1] > 0:
                store_lanes(flat[0], begin, end, out[:, draw])
            if not every(is_finite(sums[0])):
                break
        random.save(as_lanes(words), 0, stream)
        for k in range(len(rows)):
            store_lanes(flat[k], begin, end, rows[k])
        store_lanes(words[0], begin, end, streams)


def _room_for_lanes(arrays: tuple[np.ndarray, ...], scratch_rows: int, sites: int) -> tuple:
    """Return the arrays of a state as (chains, k), room for eight chains of each as (k, 8), and the same (1, ..., 8).

    Also scratch (scratch_rows, sites, 8), the words of eight streams (1, 4, 8) and eight sums (1, 8).
    """
    lanes = tuple(lane_array((1, *array.shape[1:])) for array in arrays)
    flat = tuple(array.reshape(-1, LANES) for array in lanes)
    rows = tuple(array.reshape(len(array), -1) for array in arrays)
    return rows, flat, lanes, lane_array((scratch_rows, sites)), lane_array((1, 4), np.uint64), lane_array((1,))


class Kernel(NamedTuple):
    """The compiled part of a sampler.

    `sweep(tag, p, state, settings, scratch, chain, adapting, stream) -> (acceptance, stream)` moves one chain: `state`
    is the tuple of the named arrays, `scratch` has `scratch_rows` rows of the size of x, `adapting` is the number of
    the warm-up sweep or -1. A NaN acceptance says that the chain failed.

    `lanes`: the sweep does not branch on what it computes, so that with arrays and a stream of lanes (samplers.lanes)
    it moves eight chains of an energy that takes them; x is then the first of its arrays.
    """

    sweep: Any
    arrays: tuple[str, ...]
    scratch_rows: int = 0
    lanes: bool = False


class Sampler:
    """Base of all samplers: how a block of draws is run in either tier."""

    kernel: ClassVar[Kernel]
    needs_energy: ClassVar[bool] = True
    # What of the state belongs to a temperature and not to a configuration: it changes rows when two temperatures do.
    tempered: ClassVar[tuple[str, ...]] = ("beta", "step_size", "averaging", "inverse_mass", "moments", "momentum")

    def check(self, energy: Any) -> None:
        """Raise TypeError if this sampler does not fit the energy, saying what it needs."""
        raise NotImplementedError

    def check_run(self, energy: Any, warmup: int, beta: float) -> None:
        """Raise ValueError if this sampler cannot run with so long a warm-up, or at this beta."""

    def recorded(self, energy: Any) -> dict[str, Variable]:
        """Return what this sampler records with each draw beside x and its acceptance.

        Its `advance` then takes a keyword `record`, the arrays (chains, draws, ...) of these names, and fills them.
        """
        return {}

    def start(self, energy: Any, state: State) -> None:
        """Add to the state what this sampler keeps for each chain."""

    def retemper(self, energy: Any, state: State, rows: np.ndarray) -> None:
        """Bring what the state keeps of these chains in line with their beta, after beta has been changed."""
        x, beta = state["x"][rows], state["beta"][rows]
        if "u" in state:
            state["u"][rows] = protocols.reduced(energy, x, beta)
        if "gradient" in state:
            state["gradient"][rows] = protocols.reduced_gradient(energy, x, beta)

    def compiled_kernel(self, energy: Any) -> Kernel | None:
        """Return the compiled sweep that moves this energy chain by chain; None: the sampler has another way."""
        return self.kernel if protocols.is_compiled(energy) else None

    def settings(self, energy: Any, warmup: int) -> tuple:
        """Return what the kernel needs besides the state: numbers and arrays that do not change during a run."""
        return ()

    def backwards(self, settings: tuple) -> tuple:
        """Return settings of the time-reversed sweep: the same, unless a sweep visits sites in an order."""
        return settings

    def sweep_array(self, energy: Any, state: State, settings: tuple, adapting: int) -> np.ndarray:
        """Sweep all chains once through the energy's own methods; return the acceptance of each chain."""
        raise NotImplementedError

    def advance(
        self,
        energy: Any,
        state: State,
        settings: tuple,
        draws: int,
        thin: int,
        out: np.ndarray | None = None,
        first: int = -1,
        acceptance: np.ndarray | None = None,
    ) -> np.ndarray:
        """Run draws * thin sweeps in place, keeping x of each draw in `out` (chains, draws, sites) if it is given.

        `first` is the number of the first of these sweeps within warm-up, or -1 after it. Returns the acceptances of
        the sweeps of each draw summed up, (chains, draws), added to `acceptance` if that is given: so a draw may be
        run in pieces to the same bits. NaN marks a chain that failed.
        """
        chains, sites = state["x"].shape
        acceptance = np.zeros((chains, draws)) if acceptance is None else acceptance
        kernel = self.compiled_kernel(energy)
        if kernel is not None:
            if out is None:
                out = np.empty((chains, 0, sites), state["x"].dtype)
            functions = energy.compiled
            label = tag(functions, kernel.sweep)

            def part(rows: slice) -> None:
                arrays = tuple(state[name][rows] for name in kernel.arrays)
                streams, results = state["stream"][rows], (out[rows], acceptance[rows])
                if kernel.lanes and functions.lanes:
                    held = _room_for_lanes(arrays, kernel.scratch_rows, sites)
                    run_wide(label, functions.params, held, settings, streams, draws, thin, first, *results)
                else:
                    scratch = np.empty((kernel.scratch_rows, sites))
                    x = state["x"][rows]
                    run(label, functions.params, arrays, settings, x, streams, draws, thin, first, scratch, *results)

            over_chains(part, chains)
            return acceptance
        for draw in range(draws):
            total = acceptance[:, draw]
            for sweep in range(thin):
                adapting = -1 if first < 0 else first + draw * thin + sweep
                total += self.sweep_array(energy, state, settings, adapting)
            if out is not None:
                out[:, draw] = state["x"]
            if not np.isfinite(total).all():
                break
        return acceptance


SHARED = 1 << 17  # numbers to go through: fewer are done sooner than another thread has begun
_threads = int(numba.config.NUMBA_NUM_THREADS)
_pool: tuple[int, int, ThreadPoolExecutor] | None = None  # process, threads, pool: a fork needs its own


def set_threads(threads: int) -> None:
    """Set how many threads run chains side by side; the results do not depend on it. Default: NUMBA_NUM_THREADS.

    Example:
        >>> set_threads(1)
        >>> get_threads()
        1
    """
    global _threads
    protocols.check_positive(threads, "threads", integer=True)
    _threads = int(threads)


def get_threads() -> int:
    """Return how many threads run chains side by side."""
    return _threads


def over_chains(part: Callable[[slice], None], chains: int, numbers: int = SHARED) -> None:
    """Call part(rows) for slices that together cover all chains, one slice a thread, the first on the caller's own.

    If they go through so few numbers that they are done before another thread has begun, it is one slice.
    """
    global _pool
    threads = min(_threads, chains) if numbers >= SHARED else 1
    if threads <= 1:
        part(slice(0, chains))
        return
    if _pool is None or _pool[:2] != (os.getpid(), _threads):
        _pool = (os.getpid(), _threads, ThreadPoolExecutor(_threads - 1, thread_name_prefix="ebmlab"))
    edges = [chains * k // threads for k in range(threads + 1)]
    jobs = [_pool[2].submit(part, slice(a, b)) for a, b in itertools.pairwise(edges[1:])]
    try:
        part(slice(0, edges[1]))
    finally:
        wait(jobs)  # also after an error: they write into arrays of the caller
    for job in jobs:
        job.result()
