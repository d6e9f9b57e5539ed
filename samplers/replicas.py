"""The replicas of parallel tempering, and the two ways to run them: one compiled loop, or a sampler's own `advance`.

In the state of a run the ladders are arrays with a row a chain (samplers.swaps.LADDER), and what the sampler keeps of
the replicas lies under "replica." with chains * rungs rows; a replica stays in its row and its beta changes.
"""

from typing import Any

import numpy as np

from samplers import protocols, random
from samplers.batches import reduced_batch
from samplers.rungs import RECORDED, Record, completed
from samplers.sampler import Sampler, State, over_chains
from samplers.swaps import LADDER, note_all_ends, partner_betas, run_ladders, swap_ladders
from samplers.tags import tag

PREFIX = "replica."
FUSED_SITES = 2**16  # sites of a ladder: of more Python's overhead does not show, and all threads may share one ladder


def start_ladders(state: State, betas: np.ndarray) -> None:
    """Add to the state a ladder for each chain, each replica at its first rung."""
    chains, rungs = len(state["x"]), len(betas)
    state["betas"] = np.tile(betas, (chains, 1))
    state["replica"] = np.tile(np.arange(rungs), (chains, 1))
    state["heading"] = np.zeros((chains, rungs), np.int64)
    state["sweep"], state["trips"] = np.zeros(chains, np.int64), np.zeros(chains, np.int64)
    state["proposed"] = np.zeros((chains, rungs - 1), np.int64)
    state["accepted"] = np.zeros((chains, rungs - 1))
    note_all_ends(_ladder(state))


def start_replicas(sampler: Sampler, energy: Any, state: State) -> None:
    """Add to the state what a sampler keeps of the replicas; their streams grow from the chain's own, and so does x."""
    rungs = state["betas"].shape[1]
    entropies = [int.from_bytes(words.tobytes(), "little") for words in state["stream"]]
    rows: State = {
        "x": np.repeat(state["x"], rungs, axis=0),
        "beta": state["betas"].reshape(-1).copy(),
        "stream": np.concatenate([random.make_streams(entropy, rungs) for entropy in entropies]),
    }
    sampler.start(energy, rows)
    state.update({PREFIX + name: array for name, array in rows.items()})


def _ladder(state: State) -> tuple[np.ndarray, ...]:
    return tuple(state[name] for name in LADDER)


def _target(state: State) -> int:
    """Return the rung of the draws: the one at the beta of the run."""
    return int(np.flatnonzero(state["betas"][0] == state["beta"][0])[0])


class Replicas:
    """All replicas of a run and its sampler; works in place on the state of the run.

    Args:
        sampler: what moves each replica.
        energy: the energy.
        state: the state of the run.
        settings: of the sampler.
        every: sweeps between two swap steps.
    """

    def __init__(self, sampler: Sampler, energy: Any, state: State, settings: tuple, every: int) -> None:
        self.sampler, self.energy, self.state, self.settings, self.every = sampler, energy, state, settings, every
        self.rows = {name.removeprefix(PREFIX): a for name, a in state.items() if name.startswith(PREFIX)}
        self.chains, self.rungs = state["betas"].shape
        self.target = _target(state)
        self.linear = protocols.is_linear(energy)
        self.failed = np.full(self.chains, -1)  # the replica of each chain that failed
        self._kernel = sampler.compiled_kernel(energy)
        few_sites = state["x"].shape[1] * self.rungs <= FUSED_SITES
        # A sampler that mends its state in a way of its own cannot be asked to from within the compiled loop.
        usual = type(sampler).retemper is Sampler.retemper
        self.fused = self._kernel is not None and usual and few_sites

    def run(
        self, draws: int, thin: int, first: int, out: np.ndarray, acceptance: np.ndarray, record: Record | None = None
    ) -> None:
        """Run draws * thin sweeps of all replicas with their swaps, as `Sampler.advance` does, and record the rungs."""
        full = completed(record or {}, self.chains, draws, self.rungs)
        (self._run_fused if self.fused else self._run_by_advance)(draws, thin, first, out, acceptance, full)
        if record:
            record["betas"][:] = self.state["betas"][:, None]

    def show(self, acceptance: np.ndarray) -> None:
        """Set x of the run to the configurations at the rung of the draws; of a chain that failed to what failed."""
        shown = self.state["replica"][:, self.target].copy()
        lost = ~np.isfinite(acceptance).all(1) & (self.failed >= 0)
        shown[lost] = self.failed[lost]
        self.state["x"][:] = self.rows["x"][np.arange(self.chains) * self.rungs + shown]

    def move(self, betas: np.ndarray) -> None:
        """Move the rungs of all ladders."""
        self.state["betas"][:] = betas
        self.rows["beta"][self._row_of_rung().ravel()] = self.state["betas"].ravel()
        self.sampler.retemper(self.energy, self.rows, np.arange(self.chains * self.rungs))

    def forget(self) -> None:
        """Begin all counts of swaps and round trips anew."""
        for name in ("proposed", "accepted", "trips", "heading"):
            self.state[name][:] = 0
        note_all_ends(_ladder(self.state))

    def _row_of_rung(self) -> np.ndarray:
        """Return the row of the replica at each rung, (chains, rungs)."""
        return np.arange(self.chains)[:, None] * self.rungs + self.state["replica"]

    # --- one compiled loop --------------------------------------------------------------------------------------------

    def _run_fused(
        self, draws: int, thin: int, first: int, out: np.ndarray, acceptance: np.ndarray, record: Record
    ) -> None:
        kernel, functions = self._kernel, self.energy.compiled
        assert kernel is not None
        label = tag(functions, kernel.sweep)
        names = [name for name in self.sampler.tempered if name in self.rows]

        def part(chains: slice) -> None:
            rows = slice(chains.start * self.rungs, chains.stop * self.rungs)
            kept = {name: array[rows] for name, array in self.rows.items()}
            scratch = np.empty((kernel.scratch_rows + 1, kept["x"].shape[1]))  # the last row is for swaps
            run_ladders(
                label, functions.params, tuple(kept[name] for name in kernel.arrays), self.settings, kept["x"],
                kept["beta"], kept["stream"], kept.get("u"), kept.get("gradient"),
                tuple(kept[name].reshape(len(kept[name]), -1) for name in names), self.linear,
                tuple(array[chains] for array in _ladder(self.state)), self.target, self.every,
                self.state["stream"][chains], draws, thin, first, scratch, out[chains], acceptance[chains],
                tuple(record[name][chains] for name in RECORDED), self.failed[chains],
            )  # fmt: skip

        over_chains(part, self.chains)

    # --- a sampler's own advance --------------------------------------------------------------------------------------

    def _run_by_advance(
        self, draws: int, thin: int, first: int, out: np.ndarray, acceptance: np.ndarray, record: Record
    ) -> None:
        for draw in range(draws):
            done = 0
            while done < thin:
                left = self.every - int(self.state["sweep"][0]) % self.every
                n = min(thin - done, left)
                number = -1 if first < 0 else first + draw * thin + done
                acceptance[:, draw] += self._sweep(n, number)
                self.state["sweep"] += n
                if n == left:
                    acceptance[~self._swap(), draw] = np.nan
                if not np.isfinite(acceptance[:, draw]).all():
                    return
                done += n
            if out.shape[1]:
                out[:, draw] = self.rows["x"][self._row_of_rung()[:, self.target]]
            if record["energies"].shape[1]:
                self._record(draw, record)

    def _sweep(self, n: int, number: int) -> np.ndarray:
        """Sweep all replicas; return the acceptance at the rung of the draws, NaN where any replica failed."""
        each = self.sampler.advance(self.energy, self.rows, self.settings, 1, n, first=number)[:, 0]
        good = np.isfinite(each.reshape(self.chains, self.rungs))
        self.failed[:] = np.where(good.all(1), self.failed, np.argmin(good, axis=1))
        return np.where(good.all(1), each[self._row_of_rung()[:, self.target]], np.nan)

    def _swap(self) -> np.ndarray:
        """Make one swap step in all ladders; return which of them met no NaN."""
        ladder, rows = _ladder(self.state), self._row_of_rung()
        before = self.state["replica"].copy()
        own, other = self._reduced_of_pairs(rows)
        swapped, good = np.empty((self.chains, self.rungs - 1), np.bool_), np.empty(self.chains, np.bool_)
        swap_ladders(own, other, ladder, self.every, self.state["stream"], swapped, good)
        moved = before != self.state["replica"]
        new, old = self._row_of_rung()[moved], rows[moved]
        if len(new):
            for name in self.sampler.tempered:
                if name in self.rows:
                    self.rows[name][new] = self.rows[name][old]  # the right side is a copy
            self.sampler.retemper(self.energy, self.rows, new)
        return good

    def _reduced_of_pairs(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return u of the configuration at each rung, at its own beta and at that of its partner, (chains, rungs)."""
        own, other = self.state["betas"], np.empty((self.chains, self.rungs))
        partner_betas(_ladder(self.state), self.every, other)
        if self.linear:
            energy = self._reduced(np.ones(rows.size))[rows]
            return own * energy, other * energy
        both = np.empty((rows.size, 2))
        both[rows, 0], both[rows, 1] = own, other
        u = self._reduced_at(both)
        return u[rows, 0], u[rows, 1]

    def _reduced_at(self, betas: np.ndarray) -> np.ndarray:
        """Return u of every replica at its temperatures betas (rows, k), (rows, k)."""
        x = self.rows["x"]
        if isinstance(self.energy, protocols.ManyTemperatures):
            return self.energy.reduced_at(x.reshape(len(x), *self.energy.shape), betas)
        return np.stack([self._reduced(beta) for beta in np.ascontiguousarray(betas.T)], axis=1)

    def _reduced(self, beta: np.ndarray) -> np.ndarray:
        """Return u of every replica at these temperatures; one compiled call where there would be one a temperature."""
        x = self.rows["x"]
        if not protocols.is_compiled(self.energy) or (beta == beta[0]).all():
            return protocols.reduced(self.energy, x, beta)
        functions, u = self.energy.compiled, np.empty(len(x))
        label, params = tag(functions), functions.params
        over_chains(lambda part: reduced_batch(label, params, x[part], beta[part], u[part]), len(x))
        return u

    def _record(self, draw: int, record: Record) -> None:
        """Write the ladders as they are into the arrays (chains, draws, ...) of this draw."""
        rows = self._row_of_rung()
        record["energies"][:, draw] = self._reduced(np.ones(rows.size))[rows]
        for name, source in (("replicas", "replica"), ("swaps_proposed", "proposed"), ("swaps_accepted", "accepted"),
                             ("round_trips", "trips")):  # fmt: skip
            record[name][:, draw] = self.state[source]
        if record["reduced"].shape[2]:
            u = self._reduced_at(np.tile(self.state["betas"][0], (rows.size, 1)))
            record["reduced"][:, draw] = u[rows].transpose(0, 2, 1)  # (chains, at, rung of x)
