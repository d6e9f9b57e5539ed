"""`sample`: one call from an energy and a sampler to chains, in memory or streamed to a file that survives anything."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from samplers import checkpoint, protocols, random
from samplers.chains import Chains, load, variables
from samplers.identity import describe, differences
from samplers.initial import initial
from samplers.interrupt import InterruptFlag
from samplers.sampler import Sampler, State
from samplers.store import Store, StoreError

BLOCK_SECONDS = 0.3  # progress, Ctrl-C and appends to the file come at least about this often
BLOCK_BYTES = 32 * 2**20  # configurations of one block

Observables = dict[str, Callable[[np.ndarray], np.ndarray]]


class SamplingError(ArithmeticError):
    """A chain failed: it diverged, or the energy stopped being a number."""


def sample(
    energy: Any,
    sampler: Sampler,
    *,
    chains: int = 4,
    draws: int = 1000,
    warmup: int = 500,
    thin: int = 1,
    beta: float = 1.0,
    init: np.ndarray | None = None,
    seed: int | None = None,
    observables: Observables | None = None,
    keep_x: bool = True,
    store: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Chains:
    """Sample p(x) = exp(-beta E(x)) / Z with several independent chains.

    The same seed gives the same bits with any number of threads, with or without a file, and however often the run was
    cut and resumed.

    Args:
        energy: anything with `shape`, `domain` and a call E(x): (n, *shape) -> (n,); see samplers.protocols.
        sampler: Metropolis, Gibbs, Langevin, MALA, UnderdampedLangevin or HMC.
        chains: number of independent chains.
        draws: configurations kept a chain.
        warmup: sweeps before the first draw; the only ones in which step sizes adapt.
        thin: sweeps a draw.
        beta: inverse temperature 1 / T, positive (k_B = 1).
        init: starting configurations (chains, *shape); default: uniform for discrete sites and angles, N(0, 1) for real.
        seed: non-negative integer; None takes one from the operating system and records it.
        observables: functions (n, *shape) -> (n,) recorded at every draw, by name.
        keep_x: whether configurations are kept; observables and energies are recorded either way.
        store: file to stream to (HDF5); without it the chains stay in memory.
        resume: go on with the file if it exists: finish it, extend it to more draws, or return it if it is complete.
        progress: show a progress bar on a terminal.

    Returns:
        Chains; with `store` their configurations are read lazily from the file.

    Raises:
        ValueError, TypeError: an argument is out of range, or the sampler does not fit the energy.
        SamplingError: a chain diverged, or its energy became NaN or infinite.
        StoreError: the file exists already (without `resume`), holds another run, or cannot be written.

    Example:
        >>> import ebm, samplers
        >>> chains = sample(ebm.DoubleWell(), samplers.MALA(), draws=100, beta=2.0, seed=1, progress=False)
        >>> chains
        Chains(4 chains, 100 draws, x (1,) real, beta 2)
    """
    _check(energy, sampler, chains, draws, warmup, thin, beta, seed, observables, resume, store)
    begin = None if init is None else _check_init(init, energy, chains)
    entropy = random.fresh_entropy() if seed is None else int(seed)
    names = list(observables or {})
    story = describe(energy, sampler, begin, names, chains, warmup, thin, float(beta), entropy, keep_x)

    file: Store | None = None
    if store is not None:
        path = Path(store)
        if resume and (path.exists() or path.with_name(path.name + ".journal").exists()):
            file = Store.open(path)
        elif not resume and path.exists():
            raise StoreError(f"{path} exists already: choose another name, or resume=True to go on with it")
    try:
        if file is not None:
            _check_resume(file, story, draws, seed is None)
            entropy = int(file.attributes["seed"])
            state, warmed = checkpoint.unpack(file.checkpoint)
        else:
            state, warmed = _start(energy, sampler, begin, chains, float(beta), entropy), 0
            if store is not None:
                layout = variables(
                    energy.domain, tuple(energy.shape) if keep_x else None, protocols.dtype_of(energy),
                    protocols.has_energy(energy), names,
                )  # fmt: skip
                attributes = {**story, "beta": float(beta), "domain": energy.domain}
                file = Store.create(store, chains, layout, attributes, checkpoint.pack(state, 0))
        run = _Run(energy, sampler, state, warmed, warmup, draws, thin, observables or {}, keep_x, file)
        with InterruptFlag() as interrupted:
            complete = run.go(interrupted, progress)
    finally:
        if file is not None:
            file.close()
    if not complete:
        _say_how_to_go_on(file)
        raise KeyboardInterrupt
    if store is not None:
        return load(store)
    return Chains(
        run.x, run.energies, run.observed, run.acceptance, float(beta), energy.domain,
        {**story, **checkpoint.adapted(run.state)},
    )  # fmt: skip


class _Run:
    """The loop over blocks: warm-up, then draws, each block recorded before the next one begins."""

    def __init__(
        self, energy: Any, sampler: Sampler, state: State, warmed: int, warmup: int, draws: int, thin: int,
        observables: Observables, keep_x: bool, file: Store | None,
    ) -> None:  # fmt: skip
        self.energy, self.sampler, self.state, self.warmed = energy, sampler, state, warmed
        self.warmup, self.draws, self.thin, self.keep_x, self.file = warmup, draws, thin, keep_x, file
        self.functions = observables
        self.settings = sampler.settings(energy, warmup)
        self.chains, self.sites = state["x"].shape
        self.done = 0 if file is None else file.draws
        self.x = self.energies = self.acceptance = None
        self.observed: dict[str, np.ndarray] = {}
        if file is None:
            shape = (self.chains, draws)
            self.acceptance = np.empty(shape)
            self.energies = np.empty(shape) if protocols.has_energy(energy) else None
            self.observed = {name: np.empty(shape) for name in observables}
            self.x = np.empty((*shape, *energy.shape), state["x"].dtype) if keep_x else None

    def go(self, interrupted: InterruptFlag, progress: bool) -> bool:
        """Run to the end; return False if Ctrl-C came first (all complete blocks are recorded)."""
        from tqdm import tqdm

        total = self.warmup - self.warmed + self.draws - self.done
        bar = tqdm(total=total, disable=None if progress else True, unit="sweep" if self.thin == 1 else "draw")
        most = max(1, BLOCK_BYTES // (self.chains * self.sites * self.state["x"].itemsize))
        size = 1
        with bar:
            while self.warmed < self.warmup or self.done < self.draws:
                warming = self.warmed < self.warmup
                left = self.warmup - self.warmed if warming else self.draws - self.done
                n = min(size, left)
                began = time.perf_counter()
                bar.set_description("warm-up" if warming else "draws", refresh=False)
                finished = self._warm(n) if warming else self._draw(n, interrupted)
                if not finished or (interrupted and not self._ended()):
                    return False
                seconds = max(time.perf_counter() - began, 1e-6)
                # Blocks never change the bits of a run, only how often it shows itself.
                size = int(min(max(1, n * BLOCK_SECONDS / seconds), 8 * size, most))
                bar.update(n)
        return True

    def _ended(self) -> bool:
        return self.warmed == self.warmup and self.done == self.draws

    def _warm(self, n: int) -> bool:
        acceptance = self.sampler.advance(
            self.energy, self.state, self.settings, n, 1, out=None, first=self.warmed
        )
        self._check(acceptance, "warm-up sweep", self.warmed)
        self.warmed += n
        if self.file is not None:
            self.file.append(self._nothing(), checkpoint.pack(self.state, self.warmed))
        return True

    def _draw(self, n: int, interrupted: InterruptFlag) -> bool:
        out = np.empty((self.chains, n, self.sites), self.state["x"].dtype)
        if n > 1 or self.thin == 1:
            acceptance = self.sampler.advance(self.energy, self.state, self.settings, n, self.thin, out)
        else:
            acceptance = self._long_draw(interrupted)
            if acceptance is None:
                return False
            out[:, 0] = self.state["x"]
        self._check(acceptance, "draw", self.done)
        batch = out.reshape(self.chains * n, *self.energy.shape)
        arrays = {"acceptance": acceptance}
        if protocols.has_energy(self.energy):
            energies = np.asarray(self.energy(batch), np.float64).reshape(self.chains, n)
            if not np.isfinite(energies).all():
                chain, draw = np.argwhere(~np.isfinite(energies))[0]
                raise SamplingError(f"the energy is {energies[chain, draw]} in chain {chain} at draw {self.done + draw}")
            arrays["energy"] = energies
        for name, function in self.functions.items():
            arrays[name] = _observe(name, function, batch).reshape(self.chains, n)
        if self.keep_x:
            arrays["x"] = out.reshape(self.chains, n, *self.energy.shape)
        self._record(arrays, n)
        return True

    def _long_draw(self, interrupted: InterruptFlag) -> np.ndarray | None:
        """Run the sweeps of one draw in pieces of about a block; None if Ctrl-C came within it."""
        total, done, piece = np.zeros((self.chains, 1)), 0, 1
        while done < self.thin:
            began = time.perf_counter()
            n = min(piece, self.thin - done)
            total += n * self.sampler.advance(self.energy, self.state, self.settings, 1, n)
            done += n
            seconds = max(time.perf_counter() - began, 1e-6)
            piece = int(min(max(1, n * BLOCK_SECONDS / seconds), 8 * piece))
            if interrupted and done < self.thin:
                return None
        return total / self.thin

    def _record(self, arrays: dict[str, np.ndarray], n: int) -> None:
        rows = slice(self.done, self.done + n)
        if self.file is not None:
            self.file.append(arrays, checkpoint.pack(self.state, self.warmed))
        else:
            self.acceptance[:, rows] = arrays["acceptance"]
            if self.energies is not None:
                self.energies[:, rows] = arrays["energy"]
            for name, series in self.observed.items():
                series[:, rows] = arrays[name]
            if self.x is not None:
                self.x[:, rows] = arrays["x"]
        self.done += n

    def _nothing(self) -> dict[str, np.ndarray]:
        return {
            name: np.empty((self.chains, 0, *variable.shape), variable.dtype)
            for name, variable in self.file.variables.items()
        }

    def _check(self, acceptance: np.ndarray, what: str, first: int) -> None:
        failed = np.argwhere(~np.isfinite(acceptance))
        if not len(failed):
            return
        chain, number = failed[np.argmin(failed[:, 1])]
        name, where = type(self.sampler).__name__, f"chain {chain}, {what} {first + number}"
        if not np.isfinite(self.state["x"][chain]).all():
            raise SamplingError(f"{name} diverged ({where}): x is not finite; a smaller step_size is needed")
        raise SamplingError(
            f"the energy or its gradient became NaN ({where}) near x = {self.state['x'][chain][:8]}: "
            f"{protocols.name_of(self.energy)} must be a number wherever {name} can go"
        )


def _observe(name: str, function: Callable, batch: np.ndarray) -> np.ndarray:
    value = np.asarray(function(batch), dtype=np.float64)
    if value.shape != (len(batch),):
        raise ValueError(
            f"observables[{name!r}] must map (n, *shape) to one number a configuration, shape ({len(batch)},), "
            f"got {value.shape}"
        )
    return value


def _start(
    energy: Any, sampler: Sampler, begin: np.ndarray | None, chains: int, beta: float, entropy: int
) -> State:
    x = initial(energy, chains, entropy) if begin is None else begin.reshape(chains, -1).copy()
    state = {"x": x, "beta": np.full(chains, beta), "stream": random.make_streams(entropy, chains)}
    if protocols.has_energy(energy):
        u = protocols.reduced(energy, x, state["beta"])
        if not np.isfinite(u).all():
            chain = int(np.argmax(~np.isfinite(u)))
            raise ValueError(f"the energy of init must be finite, got {u[chain] / beta} in chain {chain}")
    sampler.start(energy, state)
    return state


def _check(
    energy: Any, sampler: Any, chains: Any, draws: Any, warmup: Any, thin: Any, beta: Any, seed: Any,
    observables: Any, resume: bool, store: Any,
) -> None:  # fmt: skip
    protocols.check_space(energy)
    if not isinstance(sampler, Sampler):
        raise TypeError(f"sampler must be a sampler such as samplers.MALA(), got {sampler!r}")
    if sampler.needs_energy and not protocols.has_energy(energy):
        raise TypeError(
            f"{type(sampler).__name__} needs an energy to accept or reject, got {protocols.name_of(energy)}, "
            "which has a gradient only: use Langevin or UnderdampedLangevin"
        )
    sampler.check(energy)
    protocols.check_positive(chains, "chains", integer=True)
    protocols.check_positive(draws, "draws", integer=True)
    protocols.check_positive(warmup, "warmup", integer=True, zero=True)
    protocols.check_positive(thin, "thin", integer=True)
    protocols.check_positive(beta, "beta")
    if seed is not None:
        protocols.check_positive(seed, "seed", integer=True, zero=True)
    for name, function in (observables or {}).items():
        if not callable(function):
            raise TypeError(f"observables[{name!r}] must be a function (n, *shape) -> (n,), got {function!r}")
        if name in ("x", "energy", "acceptance"):
            raise ValueError(f"observables must not use the name {name!r}: it is recorded anyway")
    if resume and store is None:
        raise ValueError("resume=True needs store, the file to go on with, got store=None")


def _check_init(init: Any, energy: Any, chains: int) -> np.ndarray:
    array = protocols.check_configurations(init, energy, "init")
    if len(array) != chains:
        raise ValueError(f"init must hold one configuration a chain ({chains}), got {len(array)}")
    if not np.isfinite(array).all():
        raise ValueError("init must be finite, got NaN or infinity in it")
    return array


def _check_resume(file: Store, story: dict[str, Any], draws: int, any_seed: bool) -> None:
    other = differences(file.attributes, story, ignore=("seed",) if any_seed else ())
    if other:
        raise StoreError(
            f"{file.path} holds another run, so it cannot be resumed with these settings: "
            + "; ".join(f"{name} was {was}, now {now}" for name, was, now in other)
        )
    if file.draws > draws:
        raise StoreError(f"{file.path} already holds {file.draws} draws a chain, more than draws={draws}")


def _say_how_to_go_on(file: Store | None) -> None:
    if file is None:
        print("Interrupted. Nothing was stored: pass store=... to keep what was drawn.", file=sys.stderr)
    else:
        print(
            f"Interrupted. {file.path} holds {file.draws} draws of each chain; "
            "the same call with resume=True goes on from there.",
            file=sys.stderr,
        )
