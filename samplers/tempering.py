"""Parallel tempering: replicas at a ladder of temperatures that swap them, so that cold ones cross barriers when hot.

Swendsen and Wang (1986), Geyer (1991), Hukushima and Nemoto (1996), in the non-reversible even-odd form of Okabe et al.
(2001). Each chain of the run is a ladder of its own; what its sampler keeps lies in the state under "replica.", with
chains * rungs rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from samplers import protocols
from samplers.ladder import check_rungs, checked_betas, equalised, round_ends, rung_of
from samplers.layout import Variable
from samplers.replicas import Replicas, start_ladders, start_replicas
from samplers.rungs import Record, variables
from samplers.sampler import Kernel, Sampler, State
from samplers.sgld import SGLD


@dataclass(frozen=True)
class ParallelTempering(Sampler):
    """Parallel tempering: any sampler at each of `betas`, neighbours swapping their temperatures.

    Neighbours i and j swap with probability min(1, exp(u_i(x_i) + u_j(x_j) - u_i(x_j) - u_j(x_i))), where u(x, beta) is
    the reduced energy; even and odd pairs take turns, so that replicas travel through the ladder and do not diffuse in
    it (Okabe et al. 2001; Syed, Bouchard-Cote, Deligiannidis and Doucet 2021). `chains.x` is the configuration at
    `beta`, which must be one of `betas`, and `chains.tempering` tells of all rungs. Each chain of the run is a ladder
    of its own, and all replicas of a ladder start where the chain does.

    A ladder can be too dense. Where nearly all swaps succeed, frozen replicas go round it in step, another one is at
    `beta` at each draw, and autocorrelations look shorter than they are: errors of a discrete energy of six rungs and
    swap rates of 0.97 were half of what independent runs showed. Rates of 0.2 to 0.8 are safe.

    Args:
        sampler: what moves each replica. Its step sizes adapt for each rung.
        betas: inverse temperatures, rising strictly. A discrete energy may start at 0.
        swap_every: sweeps between two swap steps.
        adapt: let the first half of warm-up move the inner rungs until all neighbours swap equally often; the ends and
            `beta` stay. On by default, since a ladder guessed beforehand has gaps or crowds nearly always and draws
            come from a fixed ladder either way; False where given betas are wanted for themselves. With a warm-up below
            40 swap steps the ladder stays as it is.

    Example:
        >>> import ebm, samplers
        >>> ladder = samplers.ParallelTempering(samplers.MALA(), betas=(0.2, 0.5, 1.0, 2.0))
        >>> run = {"chains": 2, "draws": 50, "beta": 2.0, "seed": 1, "progress": False}
        >>> chains = samplers.sample(ebm.DoubleWell(barrier=4.0), ladder, **run)
        >>> chains.tempering.energies.shape
        (2, 50, 4)
    """

    sampler: Sampler
    betas: Sequence[float]
    swap_every: int = 1
    adapt: bool = True
    tempered: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.sampler, Sampler) or isinstance(self.sampler, ParallelTempering):
            raise TypeError(f"sampler must be a sampler such as samplers.MALA(), got {self.sampler!r}")
        if isinstance(self.sampler, SGLD):
            raise TypeError(
                "sampler must have the law of each rung's beta, but the noise of SGLD's batches heats all rungs alike: "
                f"use samplers.HMC(), got {self.sampler!r}"
            )
        object.__setattr__(self, "betas", checked_betas(self.betas))
        protocols.check_positive(self.swap_every, "swap_every", integer=True)

    def check(self, energy: Any) -> None:
        """Raise unless the energy fits the sampler, and the ladder's hot end fits both."""
        self.sampler.check(energy)
        check_rungs(self.sampler, energy, self.betas)

    def check_run(self, energy: Any, warmup: int, beta: float) -> None:
        """Raise unless beta is one of betas."""
        rung_of(beta, self.betas)
        for each in self.betas:
            self.sampler.check_run(energy, warmup, each)

    def recorded(self, energy: Any) -> dict[str, Variable]:
        """Return what is recorded of the ladder with each draw."""
        return variables(len(self.betas), protocols.is_linear(energy))

    def start(self, energy: Any, state: State) -> None:
        """Start the replicas of each ladder, with streams that grow from the chain's own."""
        betas = np.array(self.betas)
        betas[rung_of(float(state["beta"][0]), self.betas)] = state["beta"][0]
        start_ladders(state, betas)
        start_replicas(self.sampler, energy, state)

    def settings(self, energy: Any, warmup: int) -> tuple:
        """Return the length of the warm-up, and what the sampler needs."""
        return warmup, self.sampler.settings(energy, warmup)

    def compiled_kernel(self, energy: Any) -> Kernel | None:
        """Return None: a ladder has a loop of its own."""
        return None

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
        record: Record | None = None,
    ) -> np.ndarray:
        """Run draws * thin sweeps of all replicas, with their swaps; see `Sampler.advance`.

        The acceptance is that of the sampler at the rung of the draws. `record` takes what `recorded` promises, of each
        draw. In warm-up nothing is kept.
        """
        chains, sites = state["x"].shape
        acceptance = np.zeros((chains, draws)) if acceptance is None else acceptance
        warmup, inner = settings
        replicas = Replicas(self.sampler, energy, state, inner, self.swap_every)
        if first < 0:
            out = np.empty((chains, 0, sites), state["x"].dtype) if out is None else out
            replicas.run(draws, thin, first, out, acceptance, record)
        else:
            self._warm_up(replicas, warmup, draws, thin, first, acceptance)
        replicas.show(acceptance)
        return acceptance

    def _warm_up(
        self, replicas: Replicas, warmup: int, draws: int, thin: int, first: int, acceptance: np.ndarray
    ) -> None:
        """Run warm-up sweeps, and move the ladder at the end of each round."""
        state, last = replicas.state, first + draws * thin
        each = np.zeros((len(acceptance), draws * thin))
        out = np.empty((len(acceptance), 0, state["x"].shape[1]), state["x"].dtype)
        ends = [end for end in round_ends(warmup, self.swap_every) if self.adapt and first < end <= last]
        for begin, end in pairwise(sorted({first, *ends, last})):
            part = np.zeros((len(acceptance), end - begin))
            replicas.run(end - begin, 1, begin, out, part)
            each[:, begin - first : end - first] = part
            if not np.isfinite(part).all():
                break
            if end in ends:
                proposed, accepted = state["proposed"].sum(0), state["accepted"].sum(0)
                replicas.move(equalised(state["betas"][0], proposed, accepted, replicas.target))
            if end in ends or end == warmup:
                replicas.forget()
        acceptance += each.reshape(len(acceptance), draws, thin).sum(2)
