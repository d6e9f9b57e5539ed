"""Progress of long work: a bar on a terminal, and nothing at all anywhere else."""

import sys
from typing import Any


class Silent:
    """A bar that nobody sees."""

    def __enter__(self) -> "Silent":
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def update(self, n: int = 1) -> None:
        """Count nothing."""

    def set_description(self, text: str, refresh: bool = True) -> None:
        """Say nothing."""

    def set_postfix(self, values: dict[str, Any], refresh: bool = True) -> None:
        """Show nothing."""


def progress_bar(show: bool, total: int, unit: str, initial: int = 0) -> Any:
    """Return a tqdm bar if it is wanted and there is a terminal to draw it on, else one that does nothing.

    A disabled tqdm would not do: it takes a lock that all forks of a process share, and a fork that is killed while it
    holds that lock leaves the others waiting for ever.
    """
    if not show or not sys.stderr.isatty():
        return Silent()
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, initial=initial)
