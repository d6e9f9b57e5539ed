"""What a planted bug is."""

from typing import NamedTuple


class Bug(NamedTuple):
    """A change of one source file (`old` occurs in it exactly once) and the tests that are to fail with it.

    Those marked slow are planted by `make test-all` only; the quick tests plant a few of the bugs of each part.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    slow: bool = False
