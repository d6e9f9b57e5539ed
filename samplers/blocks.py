"""The loop over blocks: warm-up, then draws, each block recorded before the next one begins.

How long a block is depends on the clock; the bits of a run do not depend on how it was cut into blocks.
"""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from samplers import checkpoint, protocols
from samplers.interrupt import InterruptFlag
from samplers.progress import progress_bar
from samplers.sampler import Sampler, State
from samplers.store import Store, Variable

BLOCK_SECONDS = 0.3  # progress, Ctrl-C and appends to the file come at least about this often
BLOCK_BYTES = 8 * 2**20  # configurations of one block

Observables = dict[str, Callable[[np.ndarray], np.ndarray]]


class SamplingError(ArithmeticError):
    """A chain failed: it diverged, or the energy stopped being a number."""


class Memory:
    """Arrays in memory that are filled block by block, as a `Store` is."""

    def __init__(self, chains: int, draws: int, variables: Mapping[str, Variable]) -> None:
        self.variables, self.draws = dict(variables), 0
        self.arrays = {name: np.empty((chains, draws, *v.shape), v.dtype) for name, v in variables.items()}

    def append(self, arrays: Mapping[str, np.ndarray], checkpoint: bytes) -> None:
        """Keep the next draws; nothing is to be resumed, so the checkpoint is dropped."""
        count = arrays["acceptance"].shape[1]
        for name, array in arrays.items():
            self.arrays[name][:, self.draws : self.draws + count] = array
        self.draws += count


class Blocks:
    """A run in progress: how far it is, and the next block of it."""

    def __init__(
        self,
        energy: Any,
        sampler: Sampler,
        state: State,
        warmed: int,
        warmup: int,
        draws: int,
        thin: int,
        observables: Observables,
        record: Store | Memory,
    ) -> None:
        self.energy, self.sampler, self.state, self.record = energy, sampler, state, record
        self.warmed, self.warmup, self.draws, self.thin = warmed, warmup, draws, thin
        self.observables = observables
        self.settings = sampler.settings(energy, warmup)
        self.recorded = sampler.recorded(energy)
        self.chains, self.sites = state["x"].shape

    def run(self, interrupted: InterruptFlag, progress: bool) -> bool:
        """Run to the end; return False if Ctrl-C came meanwhile (all complete blocks are recorded)."""
        total = self.warmup - self.warmed + self.draws - self.record.draws
        recorded = sum(variable.stored_bytes for variable in self.recorded.values())
        most = max(1, BLOCK_BYTES // (self.chains * (self.sites * self.state["x"].itemsize + recorded)))
        size = 1
        with progress_bar(progress, total, "draw") as bar:
            while not self._ended():
                if interrupted:
                    return False
                began = time.perf_counter()
                warming = self.warmed < self.warmup
                bar.set_description("warm-up" if warming else "draws", refresh=False)
                n = min(size, self.warmup - self.warmed if warming else self.draws - self.record.draws)
                if warming:
                    self._warm(n)
                elif not self._draw(n, interrupted):
                    return False
                seconds = max(time.perf_counter() - began, 1e-6)
                size = int(min(max(1, n * BLOCK_SECONDS / seconds), 8 * size, most))
                bar.update(n)
        return not interrupted  # or a loop over many short runs could not be stopped

    def _ended(self) -> bool:
        return self.warmed == self.warmup and self.record.draws == self.draws

    def _warm(self, n: int) -> None:
        self._check(
            self.sampler.advance(self.energy, self.state, self.settings, n, 1, first=self.warmed), "warm-up sweep"
        )
        self.warmed += n
        nothing = {k: np.empty((self.chains, 0, *v.shape), v.dtype) for k, v in self.record.variables.items()}
        self.record.append(nothing, self._checkpoint())

    def _draw(self, n: int, interrupted: InterruptFlag) -> bool:
        """Draw n configurations of each chain and record them; False if Ctrl-C came within a long draw."""
        out = np.empty((self.chains, n, self.sites), self.state["x"].dtype)
        acceptance = np.zeros((self.chains, n))
        record = {k: np.empty((self.chains, n, *v.shape), v.dtype) for k, v in self.recorded.items()}
        extra: dict[str, Any] = {"record": record} if record else {}
        advance: Callable = functools.partial(self.sampler.advance, **extra)
        if n > 1 or self.thin == 1:
            advance(self.energy, self.state, self.settings, n, self.thin, out, acceptance=acceptance)
        elif self._long_draw(advance, acceptance, interrupted):
            out[:, 0] = self.state["x"]
        else:
            return False
        self._check(acceptance, "draw")
        batch = out.reshape(self.chains * n, *self.energy.shape)
        arrays = {"acceptance": acceptance / self.thin, **record}
        if protocols.has_energy(self.energy):
            arrays["energy"] = self._energies(batch)
        for name, function in self.observables.items():
            arrays[name] = observe(name, function, batch).reshape(self.chains, n)
        if "x" in self.record.variables:
            arrays["x"] = out.reshape(self.chains, n, *self.energy.shape)
        self.record.append(arrays, self._checkpoint())
        return True

    def _long_draw(self, advance: Callable, acceptance: np.ndarray, interrupted: InterruptFlag) -> bool:
        """Run the sweeps of one draw in pieces of about a block; False if Ctrl-C came between them."""
        done, piece = 0, 1
        while done < self.thin:
            if interrupted:
                return False
            began = time.perf_counter()
            n = min(piece, self.thin - done)
            advance(self.energy, self.state, self.settings, 1, n, acceptance=acceptance)
            done += n
            seconds = max(time.perf_counter() - began, 1e-6)
            piece = int(min(max(1, n * BLOCK_SECONDS / seconds), 8 * piece))
        return True

    def _energies(self, batch: np.ndarray) -> np.ndarray:
        energies = np.asarray(self.energy(batch), np.float64).reshape(self.chains, -1)
        if not np.isfinite(energies).all():
            chain, draw = np.argwhere(~np.isfinite(energies))[0]
            raise SamplingError(
                f"the energy became {energies[chain, draw]} (chain {chain}, draw {self.record.draws + draw}): "
                f"{protocols.name_of(self.energy)} must be finite wherever {type(self.sampler).__name__} can go"
            )
        return energies

    def _checkpoint(self) -> bytes:
        return b"" if isinstance(self.record, Memory) else checkpoint.pack(self.state, self.warmed, self.draws)

    def _check(self, acceptance: np.ndarray, what: str) -> None:
        """Raise if a chain failed in this block: NaN is a kernel's word for that."""
        failed = np.argwhere(~np.isfinite(acceptance))
        if not len(failed):
            return
        chain, number = failed[np.argmin(failed[:, 1])]
        number += self.warmed if what == "warm-up sweep" else self.record.draws
        name, where = type(self.sampler).__name__, f"chain {chain}, {what} {number}"
        if not np.isfinite(self.state["x"][chain]).all():
            raise SamplingError(f"{name} diverged ({where}): x is not finite; a smaller step_size is needed")
        raise SamplingError(
            f"the energy or its gradient became NaN ({where}) near x = {self.state['x'][chain][:8]}: "
            f"{protocols.name_of(self.energy)} must be a number wherever {name} can go"
        )


def observe(name: str, function: Callable, batch: np.ndarray) -> np.ndarray:
    """Return an observable of each configuration of a batch, or raise saying what is wrong with it."""
    value = np.asarray(function(batch), dtype=np.float64)
    if value.shape != (len(batch),):
        raise ValueError(
            f"observables[{name!r}] must map (n, *shape) to one number a configuration, shape ({len(batch)},), "
            f"got {value.shape}"
        )
    return value
