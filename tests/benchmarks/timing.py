"""Pairs of runs: ours and the other side's in turn, so that a busy machine slows both; what counts is the ratio.

A side is a function that does n pieces of work and returns how many units it did. Settings that depend on the machine
(threads, batching, generator) are tried first, and the fastest of each side enters the comparison.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

PAIRS = 5
SECONDS = 0.5  # of one run
TRIAL = 0.15  # seconds given to each setting when the fastest is looked for
ALPHA = 1e-6  # probability that a check of a right sampler fails


class Missing(Exception):
    """Something of ours that a line needs is not there."""


class Side(NamedTuple):
    """One side of a comparison.

    Attributes:
        name: the library and its setting.
        work: does n pieces of work, returns the units done.
        setup: seconds of each call that are not work; subtracted, and runs are made several times as long.
    """

    name: str
    work: Callable[[int], float]
    setup: float = 0.0


class Check(NamedTuple):
    """Whether the results are sane, and the evidence."""

    right: bool
    evidence: str


class Line(NamedTuple):
    """One comparison: medians over pairs of the rates, of their ratio, and of our share of a physical limit.

    `ratio` is at least `goal` where the goal is reached; nan: not measured, and `note` says why.
    """

    work: str
    unit: str
    goal: float
    ours: float = math.nan
    peer: str = "-"
    theirs: float = math.nan
    ratio: float = math.nan
    share: float = math.nan
    limit: str = ""
    cores: tuple[float, float] = (math.nan, math.nan)  # busy on average, of ours and of theirs
    spread: tuple[float, float] = (math.nan, math.nan)  # lowest and highest ratio of a pair
    right: bool = True
    note: str = ""


class Run(NamedTuple):
    """Units a second, and processor seconds a second."""

    rate: float
    cores: float


def run(side: Side, n: int) -> Run:
    """Time n pieces of work."""
    began, busy = time.perf_counter(), time.process_time()
    units = side.work(n)
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    net = max(seconds - side.setup, 0.5 * seconds)  # on a busy machine the set-up may have been measured too long
    return Run(units / net, busy / seconds)


def pieces(side: Side, seconds: float) -> int:
    """Find how many pieces of work take about so long; the first call, which compiles, does not count."""
    n, seconds = 1, max(seconds, 5.0 * side.setup)
    side.work(1)
    while True:
        began = time.perf_counter()
        side.work(n)
        took = time.perf_counter() - began - side.setup
        if took > 0.5 * seconds:
            return max(1, round(n * seconds / took))
        n = min(16 * n, math.ceil(1.2 * n * seconds / max(took, 1e-6)))


def fastest(sides: Sequence[Side]) -> Side:
    """Return the side of the highest rate in a short trial (the better of two runs each)."""
    if len(sides) == 1:
        return sides[0]
    counts = [pieces(side, TRIAL) for side in sides]
    rates = [max(run(side, n).rate for _ in range(2)) for side, n in zip(sides, counts, strict=True)]
    return sides[int(np.argmax(rates))]


def compare(
    work: str, unit: str, goal: float, ours: Sequence[Side], theirs: Sequence[Side], checks: Sequence[Check] = (),
    limit: tuple[Side, float] | None = None, note: str = "",
) -> Line:  # fmt: skip
    """Time the fastest settings of both and the limit in turn; the limit comes with its units per unit of ours."""
    other = fastest(theirs)
    sides = [fastest(ours), other, limit[0] if limit else other]
    if sides[2] is other:
        sides.pop()
    counts = [pieces(side, SECONDS) for side in sides]
    runs = [[run(side, n) for side, n in zip(sides, counts, strict=True)] for _ in range(PAIRS)]
    rates = np.array([[r.rate for r in pair] for pair in runs])
    ratios = rates[:, 0] / rates[:, 1]
    cores = np.median([[r.cores for r in pair[:2]] for pair in runs], axis=0)
    middle = np.median(rates, axis=0)
    return Line(
        work=work, unit=unit, goal=goal, ours=float(middle[0]), peer=other.name, theirs=float(middle[1]),
        ratio=float(np.median(ratios)),
        share=float(np.median(rates[:, 0] * limit[1] / rates[:, -1])) if limit else math.nan,
        limit=limit[0].name if limit else "",
        cores=(float(cores[0]), float(cores[1])), spread=(float(ratios.min()), float(ratios.max())),
        right=all(check.right for check in checks), note="; ".join([c.evidence for c in checks] + [note] * bool(note)),
    )  # fmt: skip


def known(what: str, values: np.ndarray, exact: float, deviation: float) -> Check:
    """Check the mean of independent values of known mean and standard deviation."""
    error = deviation / math.sqrt(np.size(values))
    z = (float(np.mean(values)) - exact) / error
    right = bool(2.0 * stats.norm.sf(abs(z)) > ALPHA)  # false for a NaN
    return Check(right, f"{what} {np.mean(values):.5g}, exact {exact:.5g} ({z:+.1f} sigma{'' if right else ', WRONG'})")


def same(what: str, ours: np.ndarray, theirs: np.ndarray) -> Check:
    """Check that two sets of independent values have the same mean."""
    probability = float(stats.ttest_ind(ours, theirs, equal_var=False).pvalue)
    right = probability > ALPHA  # false for a NaN
    return Check(
        right,
        f"{what} ours {np.mean(ours):.5g}, theirs {np.mean(theirs):.5g} (p = {probability:.2g}"
        f"{'' if right else ', DIFFERENT'})",
    )
