"""The verdict on chains in plain language: what is wrong, and what to do about it.

Limits: R-hat at most 1.01 and 400 effective draws (Vehtari et al. 2021), each chain at least 10 autocorrelation times
long. No diagnostic can see a mode that no chain has visited: a good verdict is the absence of bad signs, not a proof.
"""

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from samplers.diagnosis import FEWEST_DRAWS, Row

if TYPE_CHECKING:
    from samplers.chains import Chains

LARGEST_R_HAT = 1.01
SMALLEST_ESS = 400
SHORTEST_CHAIN = 10  # autocorrelation times
WITH_REJECTION = ("Metropolis", "MALA", "HMC")

Rows: TypeAlias = dict[str, Row]


def judge(
    recorded: Rows, every: Rows, chains: "Chains", acceptance: NDArray[np.float64]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Say what is wrong with chains and what is merely worth knowing.

    Args:
        recorded: the rows of energy and observables.
        every: the rows of all coordinates.
        chains: the chains they come from.
        acceptance: (chains,) mean acceptance.
    Returns:
        problems and notes, each a sentence or two.
    """
    count, draws = chains.shape
    rows = {**recorded, **every}
    if draws < FEWEST_DRAWS:
        return (f"too short to say anything: {draws} draws a chain; run at least 1,000",), ()
    discrete = chains.domain in ("spin", "binary", "states")
    frozen_sites = [name for name, row in every.items() if row.sd == 0.0]
    tolerated = set(frozen_sites) if discrete and len(frozen_sites) < len(every) else set()
    judged = {name: row for name, row in rows.items() if name not in tolerated}
    moving = {name: row for name, row in judged.items() if row.sd > 0.0}
    # A spin may stay put in one chain by chance, which R-hat weighs; an energy or a real coordinate may not.
    stuck = [name for name, row in moving.items() if row.frozen_chains and not (discrete and name in every)]
    problems = [
        *_not_finite(judged),
        *_frozen(judged, stuck, count, draws),
        *_too_short(moving, count, draws),
        *_disagreeing(moving),
        *_single(count),
        *_refused(acceptance),
    ]
    notes = []
    if tolerated:
        notes.append(f"{len(tolerated):,} of {len(every):,} coordinates never changed: their means have no error bar")
    sampler = str(chains.attributes.get("sampler", ""))
    if np.all(acceptance == 1.0) and any(name in sampler for name in WITH_REJECTION):
        notes.append("every proposal was accepted: the steps are probably far too small")
    return tuple(problems), tuple(notes)


def _named(names: list[str]) -> str:
    """One name, or the first and how many more."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"


def _not_finite(rows: Rows) -> list[str]:
    names = [name for name, row in rows.items() if math.isnan(row.mean)]
    return [f"{_named(names)}: some values are nan or infinite; look at the energy and the step size"] if names else []


def _frozen(rows: Rows, stuck: list[str], count: int, draws: int) -> list[str]:
    problems = []
    names = [name for name, row in rows.items() if row.sd == 0.0]
    if names:
        problems.append(
            f"{_named(names)} never changed in {count * draws:,} draws (frozen, or conserved by the sampler): "
            "take larger or other moves, or a higher temperature"
        )
    if stuck:
        chains = max(rows[name].frozen_chains for name in stuck)
        problems.append(
            f"{_named(stuck)} never changed in {chains} of {count} chains: "
            "they are stuck; take other moves or starting points"
        )
    return problems


def _too_short(moving: Rows, count: int, draws: int) -> list[str]:
    """The variable that needs the longest chains, if any needs longer ones than these."""
    needs = {name: _needed_draws(row, count, draws) for name, row in moving.items()}
    name = max(needs, key=lambda name: needs[name], default="")
    if not name or needs[name] <= draws:
        return []
    row, needed = moving[name], _rounded_up(needs[name])
    if math.isnan(row.tau) and draws >= 100:
        return [f"{name} oscillates and does not settle, so tau cannot be measured: mix in another kind of move"]
    if not math.isfinite(row.tau_error):
        return [
            f"too short to trust, and even to measure the autocorrelation time of {name}: {draws:,} draws a chain; "
            f"run at least {needed:,} and look again"
        ]
    slow = max(row.tau, count * draws / row.ess)
    lengths = f"{draws / slow:.{1 if draws < 10 * slow else 0}f}"
    return [
        f"too short to trust: {draws:,} draws are only {lengths} autocorrelation times of {name} "
        f"({count * draws / slow:,.0f} effective draws in all, {SMALLEST_ESS} are needed); "
        f"run at least {needed:,} draws a chain"
    ]


def _needed_draws(row: Row, count: int, draws: int) -> float:
    """How many draws a chain this variable needs; where tau cannot be measured, at least four times these."""
    known = [tau for tau in (row.tau, count * draws / row.ess) if math.isfinite(tau)]
    needed = max(known, default=float(draws)) * max(SHORTEST_CHAIN, SMALLEST_ESS / count)
    return needed if math.isfinite(row.tau_error) else max(needed, 4.0 * draws)


def _rounded_up(number: float) -> int:
    """Round up to two significant digits."""
    unit = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return math.ceil(number / unit) * unit


def _disagreeing(moving: Rows) -> list[str]:
    bad = sorted((name for name in moving if moving[name].r_hat > LARGEST_R_HAT), key=lambda name: -moving[name].r_hat)
    if not bad:
        return []
    return [
        f"the chains disagree about {_named(bad)} (R-hat {moving[bad[0]].r_hat:.3g}, above {LARGEST_R_HAT}): run "
        "longer, warm up longer, or use moves that cross the barriers (tempering)"
    ]


def _single(count: int) -> list[str]:
    return ["one chain only, so R-hat is not defined and nothing can disagree: run at least 4"] if count == 1 else []


def _refused(acceptance: NDArray[np.float64]) -> list[str]:
    refused = int(np.sum(acceptance == 0.0))
    return [f"{refused} of {len(acceptance)} chains accepted no proposal: take smaller steps"] if refused else []


def worst_coordinates(every: Rows) -> tuple[Rows, str]:
    """Pick the coordinates that tell most, and count those in trouble.

    Args:
        every: the rows of all coordinates.
    Returns:
        The rows of lowest ESS and of largest R-hat (often the same), and a sentence about all coordinates.
    """
    moving = {name: row for name, row in every.items() if row.sd > 0.0}
    invalid = [name for name, row in every.items() if math.isnan(row.mean)]
    if invalid or not moving:
        name = (invalid or list(every))[0]
        return {name: every[name]}, f"{name} stands for {len(invalid) or len(every):,} of {len(every):,} coordinates"
    slowest = min(moving, key=lambda name: (not math.isnan(moving[name].ess), moving[name].ess))
    split = max(moving, key=lambda name: (not math.isnan(moving[name].r_hat), moving[name].r_hat))
    counts = [
        (len(every) - len(moving), "never changed"),
        (sum(row.r_hat > LARGEST_R_HAT for row in moving.values()), f"with R-hat above {LARGEST_R_HAT}"),
        (sum(not row.ess >= SMALLEST_ESS for row in moving.values()), f"with ESS below {SMALLEST_ESS}"),
    ]
    remark = f"of {len(every):,} coordinates {slowest} has the lowest ESS, {split} the largest R-hat; " + ", ".join(
        f"{number:,} {what}" for number, what in counts
    )
    return {name: every[name] for name in (slowest, split)}, remark
