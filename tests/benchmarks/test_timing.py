"""The arithmetic of the benchmarks: pairs, the fastest setting, checks that can fail, lines not measured."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest


class Clock:
    """A clock that only work moves, in place of the module time."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now

    process_time = perf_counter


@pytest.fixture
def timing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, imported as `run.py` imports it, with a clock of its own."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import timing

    monkeypatch.setattr(timing, "time", Clock())
    return timing


def _side(timing: Any, name: str, seconds: float, setup: float = 0.0) -> Any:
    def work(n: int) -> float:
        timing.time.now += setup + n * seconds
        return float(n)

    return timing.Side(name, work, setup)


def test_the_ratio_is_that_of_the_rates_against_the_fastest_setting(timing: Any) -> None:
    ours = _side(timing, "ours", 0.002)
    peers = [_side(timing, "slow", 0.02), _side(timing, "fast", 0.008, setup=0.1)]
    line = timing.compare("work", "units/s", 2.0, [ours], peers, limit=(_side(timing, "limit", 0.001), 1.0))
    assert line.peer == "fast"
    assert line.ratio == pytest.approx(4.0)
    assert line.share == pytest.approx(0.5)
    assert line.spread == pytest.approx((4.0, 4.0))


def test_a_peer_that_is_the_limit_is_timed_once(timing: Any) -> None:
    limit = _side(timing, "limit", 0.001)
    line = timing.compare("work", "units/s", 0.85, [_side(timing, "ours", 0.002)], [limit], limit=(limit, 1.0))
    assert line.ratio == pytest.approx(0.5)
    assert line.share == pytest.approx(0.5)


def test_checks_reject_a_wrong_mean_and_nan(timing: Any) -> None:
    values = np.random.default_rng(0).normal(size=1000)
    assert timing.known("mean", values, 0.0, 1.0).right
    assert not timing.known("mean", values + 0.3, 0.0, 1.0).right
    assert not timing.known("mean", values * np.nan, 0.0, 1.0).right
    assert timing.same("mean", values[:500], values[500:]).right
    assert not timing.same("mean", values[:500], values[500:] + 0.5).right
    assert not timing.same("mean", values[:500], values[500:] * np.nan).right


def test_a_line_that_could_not_be_measured_says_why(timing: Any) -> None:
    import tables

    line = timing.Line("wolff", "", math.nan, note="not there: samplers.Wolff")
    assert "not there: samplers.Wolff" in tables.row(line)
    wrong = timing.Line("work", "units/s", 2.0, ours=9.0, peer="peer", theirs=1.0, ratio=9.0, right=False)
    assert "WRONG" in tables.row(wrong) and "yes" not in tables.row(wrong)
