"""Parallel-tempering contrastive divergence: the model's term from persistent chains that cross barriers when hot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ebm.centring import Centre
from ebm.contrastive import check_moved, contrast
from ebm.history import Record
from ebm.objectives import Gradient, State, check_learnable_energy
from samplers import protocols, random
from samplers.gibbs import Gibbs
from samplers.initial import initial
from samplers.ladder import checked_betas, rung_of
from samplers.replicas import PREFIX
from samplers.sampler import Sampler
from samplers.swaps import LADDER
from samplers.tempering import ParallelTempering

OF_A_CHAIN = ("x", "beta", "stream")  # what a replica keeps between batches; the rest depends on the parameters


@dataclass(frozen=True)
class ParallelTemperingCD:
    """Persistent chains, each a ladder of temperatures whose neighbours swap (Desjardins, Courville, Bengio 2010).

    The model's term of the gradient is the mean over the configurations at beta = 1. Plain persistent chains get stuck
    in the modes of an energy; here they leave them when hot (also Cho, Raiko, Ilin 2010). A batch moves
    chains * len(betas) replicas. The history has "swap_rate", the lowest share of swaps accepted between two neighbours
    in the epoch (near 0 the ladder has a gap: more betas), and "round_trips", from the hottest rung to the coldest and
    back, of all replicas in the epoch.

    Args:
        k: sweeps of every replica between two batches, each with a swap step.
        chains: number of ladders, hence of configurations at beta = 1.
        betas: inverse temperatures, rising strictly, 1 among them; a discrete energy may start at 0.
        sampler: what moves the replicas, without adapting; default Gibbs(), which fits discrete energies and RBMs.

    Raises:
        ValueError: betas do not rise strictly, or 1 is not among them.

    Example:
        >>> ParallelTemperingCD(chains=10, betas=(0.5, 0.8, 1)).betas
        (0.5, 0.8, 1.0)
    """

    k: int = 1
    chains: int = 20
    betas: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    sampler: Sampler | None = None
    learned: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        betas = checked_betas(self.betas)
        try:
            rung_of(1.0, betas)
        except ValueError:
            raise ValueError(f"betas must hold 1, at which the energy is learned, got {betas}") from None
        object.__setattr__(self, "betas", betas)

    def _ladder(self) -> ParallelTempering:
        return ParallelTempering(Gibbs() if self.sampler is None else self.sampler, self.betas, adapt=False)

    def check(self, energy: Any) -> None:
        """Raise if a setting is out of range or the energy does not fit the sampler."""
        protocols.check_positive(self.k, "k", integer=True)
        protocols.check_positive(self.chains, "chains", integer=True)
        check_learnable_energy("ParallelTemperingCD", energy)
        self._ladder().check(energy)

    def start(self, energy: Any, data: np.ndarray, batch_size: int, entropy: int) -> State:
        """Return the ladders and their replicas, all of a ladder at one random configuration."""
        state = {"x": initial(energy, self.chains, entropy), "beta": np.ones(self.chains)}
        state["stream"] = random.make_streams(entropy, self.chains)
        self._ladder().start(energy, state)
        return {name: state[name] for name in (*OF_A_CHAIN, *LADDER, *(PREFIX + name for name in OF_A_CHAIN))}

    def gradient(self, energy: Any, batch: np.ndarray, state: State, centre: Centre | None) -> Gradient:
        """Return the direction of ascent for a batch (n, *shape), and advance the ladders."""
        ladder, rows = self._ladder(), {name: state[PREFIX + name] for name in OF_A_CHAIN}
        ladder.sampler.start(energy, rows)  # what replicas keep of the energy, which has changed since, is made anew
        moved = state | {PREFIX + name: array for name, array in rows.items()}
        check_moved(ladder, moved, ladder.advance(energy, moved, ladder.settings(energy, 0), 1, self.k))
        return contrast(energy, batch, state["x"].reshape(-1, *energy.shape), centre)

    def report(self, state: State) -> Record:
        """Return the swap rate and the round trips since the last report, and begin to count anew."""
        proposed, accepted = state["proposed"].sum(0), state["accepted"].sum(0)
        rates = accepted[proposed > 0] / proposed[proposed > 0]  # one batch proposes every other pair
        told = {"swap_rate": float(rates.min()) if len(rates) else np.nan, "round_trips": float(state["trips"].sum())}
        for name in ("proposed", "accepted", "trips"):
            state[name][:] = 0
        return told
