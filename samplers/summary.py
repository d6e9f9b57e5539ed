"""The summary of chains: every variable diagnosed, and a verdict in plain language."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from samplers.diagnosis import Row, diagnose
from samplers.series import coordinate_names, coordinates, recorded_names, series_of
from samplers.table import table
from samplers.verdict import judge, worst_coordinates

if TYPE_CHECKING:
    from samplers.chains import Chains

MOST_COORDINATES = 12  # with more, the table shows only the worst


@dataclass(frozen=True)
class Summary:
    """The diagnosis of chains: `rows` by variable, and the `verdict`; `str()` gives the table.

    With more than 12 coordinates `rows` holds the one with the lowest ESS and the one with the largest R-hat, and
    `coordinates` says how many of them all are in trouble. `acceptance` is the mean of each chain, `tempering` a line
    about swaps and round trips if there is a ladder.
    """

    rows: dict[str, Row]
    chains: int
    draws: int
    acceptance: NDArray[np.float64]
    coordinates: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    tempering: str = ""

    @property
    def trustworthy(self) -> bool:
        """Whether nothing is wrong that we can see."""
        return not self.problems

    @property
    def verdict(self) -> str:
        """The diagnosis in plain language: good, or what is wrong and what to do about it."""
        if self.trustworthy:
            lines = [f"good: {self._evidence()}"]
        else:
            lines = ["do not trust these chains yet", *(f"  - {problem}" for problem in self.problems)]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def _evidence(self) -> str:
        moving = [row for row in self.rows.values() if row.sd > 0]
        return (
            f"R-hat at most {max(row.r_hat for row in moving):.3f}, at least {min(row.ess for row in moving):,.0f} "
            f"effective draws, tau at most {max(row.tau for row in moving):.3g} draws"
        )

    def __str__(self) -> str:
        return table(self)


def summary(chains: "Chains") -> Summary:
    """Diagnose every recorded variable and every coordinate of chains.

    Args:
        chains: the chains; configurations or energies may be missing.
    Returns:
        A `Summary`: print it, or use its `rows`, `verdict` and `trustworthy`.
    Raises:
        ValueError: if there are no draws yet.

    >>> from samplers.chains import Chains
    >>> rng = np.random.default_rng(0)
    >>> energy = rng.normal(size=(4, 1000))
    >>> chains = Chains(rng.normal(size=(4, 1000, 2)), energy, {}, np.ones((4, 1000)), beta=1.0, domain="real")
    >>> summary(chains).trustworthy
    True
    """
    count, draws = chains.shape
    if draws == 0:
        raise ValueError("chains must hold at least one draw, got 0: the run is warming up, or was cut short in it")
    recorded = {name: diagnose(series_of(name, chains)) for name in recorded_names(chains)}
    every = {name: diagnose(series) for name, series in coordinates(chains)}
    few = len(coordinate_names(chains)) <= MOST_COORDINATES
    worst, remark = (every, "") if few else worst_coordinates(every)
    acceptance = np.asarray(chains.acceptance, dtype=np.float64).mean(axis=1)
    problems, notes = judge(recorded, every, chains, acceptance)
    ladder, gaps = ("", ()) if chains.tempering is None else chains.tempering.report(_sweeps(chains))
    return Summary({**recorded, **worst}, count, draws, acceptance, remark, (*problems, *gaps), notes, ladder)


def _sweeps(chains: "Chains") -> int:
    """The sweeps of each chain after warm-up."""
    return chains.shape[1] * int(chains.attributes.get("thin", 1))
