"""A writer that is killed at any instant loses at most the block it was writing, and resumes to the uncut file."""

from collections.abc import Callable
from pathlib import Path


def test_killed_at_random_moments_nothing_promised_is_lost(run_script: Callable[..., str], tmp_path: Path) -> None:
    different_places, with_journal, draws = map(int, run_script("kills.py", "random", tmp_path).split())
    assert different_places > 20  # of 40 kills: they did strike in the middle of the work
    assert with_journal > 20
    assert draws > 1000


def test_killed_at_every_system_call_nothing_promised_is_lost(run_script: Callable[..., str], tmp_path: Path) -> None:
    assert int(run_script("kills.py", "calls", tmp_path)) > 50  # calls, each with a kill before or within it
