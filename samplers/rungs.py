"""What parallel tempering records: temperatures and energies of all rungs, where the replicas are, and how they travel.

In a chain file it is the group `tempering/`, each variable with axes (chain, draw, ...). Counts are totals since the
end of warm-up, so that the last draw tells the run.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from samplers.layout import Variable

GROUP = "tempering"
Record = dict[str, np.ndarray]  # arrays (chains, draws, ...) by the names below

# name -> dtype, axes beside chain and draw, packing
_RECORDED: dict[str, tuple[type, tuple[str, ...], str]] = {
    "energies": (np.float64, ("rung",), "raw"),  # E of the configuration at each rung
    "replicas": (np.int16, ("rung",), "gzip"),  # which replica is at each rung
    "swaps_proposed": (np.int64, ("pair",), "gzip"),  # swaps of rungs k and k + 1 proposed so far
    "swaps_accepted": (np.float64, ("pair",), "gzip"),  # the sum of their acceptance probabilities
    "round_trips": (np.int64, (), "gzip"),  # from the lowest rung to the highest and back, of all replicas, so far
    "reduced": (np.float64, ("at", "rung"), "raw"),  # u, at the beta of rung `at`, of the configuration at each rung
    "betas": (np.float64, ("rung",), "gzip"),  # the ladder, the same in all draws
}
RECORDED = tuple(name for name in _RECORDED if name != "betas")


def _shape(name: str, rungs: int) -> tuple[int, ...]:
    return tuple(rungs - (axis == "pair") for axis in _RECORDED[name][1])


def variables(rungs: int, linear: bool) -> dict[str, Variable]:
    """Return how each variable lies on disk; only an energy whose u is not beta E needs `reduced` beside energies."""
    return {
        name: Variable(GROUP, np.dtype(dtype), _shape(name, rungs), packing)
        for name, (dtype, _, packing) in _RECORDED.items()
        if not (linear and name == "reduced")
    }


def completed(record: Record, chains: int, draws: int, rungs: int) -> Record:
    """Return the record with an array of the right rank for every name, without space where nothing is recorded."""
    arrays = {}
    for name in RECORDED:
        dtype, axes = _RECORDED[name][:2]
        sides = (0, rungs) if axes == ("at", "rung") else _shape(name, rungs)
        arrays[name] = record.get(name, np.empty((chains, draws if record else 0, *sides), dtype))
    return arrays


class Tempering:
    """What a run of `ParallelTempering` tells of its ladder. Rung k has the temperature betas[k], the lowest first.

    Attributes:
        energies: E of the configuration at each rung, (chains, draws, rungs); from disk lazy, as the next ones.
        replicas: which replica is at each rung, (chains, draws, rungs).
        reduced: u, at the beta of each rung, of the configuration at each rung, (chains, draws, rungs, rungs): for an
            energy whose u is not beta E, such as an RBM's; else None, and u_k is betas[k] * energies.
    """

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.arrays = dict(arrays)
        self.energies, self.replicas, self.reduced = arrays["energies"], arrays["replicas"], arrays.get("reduced")

    def _last(self, name: str) -> np.ndarray:
        """The values of the last draw, (chains, ...): the totals of the run."""
        array = self.arrays[name]
        if not array.shape[1]:
            raise ValueError("tempering must hold at least one draw, got 0: the run is warming up, or was cut in it")
        return np.asarray(array[:, -1])

    @property
    def betas(self) -> np.ndarray:
        """The ladder from which the draws come, (rungs,)."""
        return self._last("betas")[0]

    @property
    def swap_rates_by_chain(self) -> np.ndarray:
        """Share of the swaps of each pair of neighbours that were accepted, (chains, rungs - 1); NaN: none proposed."""
        return _share(self._last("swaps_accepted"), self._last("swaps_proposed"))

    @property
    def swap_rates(self) -> np.ndarray:
        """The same over all chains, (rungs - 1,)."""
        return _share(self._last("swaps_accepted").sum(0), self._last("swaps_proposed").sum(0))

    @property
    def round_trips(self) -> np.ndarray:
        """Trips from the lowest rung to the highest and back, of all replicas of each chain, (chains,)."""
        return self._last("round_trips")

    @property
    def barrier(self) -> float:
        """The communication barrier Lambda, estimated by the sum of the pairs' rejection rates (Syed et al. 2021)."""
        return float(np.sum(1.0 - self.swap_rates))

    def variables(self) -> dict[str, Variable]:
        """Return how each array lies on disk."""
        return variables(self.energies.shape[2], self.reduced is None)

    def report(self, sweeps: int) -> tuple[str, tuple[str, ...]]:
        """Tell of a run of so many sweeps after warm-up in a line, and what is wrong with it."""
        rates, betas, trips = self.swap_rates, self.betas, self.round_trips
        ladder = f"{len(betas)} rungs from beta {betas[0]:.3g} to {betas[-1]:.3g}"
        if np.isnan(rates).any():
            return f"{ladder}, too short for swaps of all pairs", ()
        line = (
            f"{ladder}, swap rates {rates.min():.2f} to {rates.max():.2f}, "
            f"{1000.0 * trips.mean() / sweeps:.3g} round trips a chain in 1,000 sweeps, barrier {self.barrier:.2f}"
        )
        proposed, accepted = (self._last(name).sum(0) for name in ("swaps_proposed", "swaps_accepted"))
        problems = tuple(
            f"rungs {k} and {k + 1} (beta {betas[k]:.4g} and {betas[k + 1]:.4g}) never swapped, in {proposed[k]:,} "
            "attempts: put rungs between them"
            for k in np.flatnonzero(accepted < 1.0)
        )
        if not problems and not trips.any():
            problems = ("no replica went from one end of the ladder to the other and back: run longer",)
        return line, problems


def axes_of(name: str) -> tuple[str, ...]:
    """Return the names of a variable's axes beside chain and draw."""
    return _RECORDED[name][1]


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
