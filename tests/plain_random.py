"""The generators of compiled code once more, in Python's integers."""

from collections.abc import Iterable

MASK = 2**64 - 1


def _turn(x: int, k: int) -> int:
    return ((x << k) | (x >> (64 - k))) & MASK


class Lane:
    """Xoshiro256++ in Python's integers (Blackman and Vigna 2021)."""

    def __init__(self, words: Iterable[int]) -> None:
        self.s = [int(w) for w in words]

    def next(self) -> int:
        """The next word of 64 bits."""
        s = self.s
        result = (_turn((s[0] + s[3]) & MASK, 23) + s[0]) & MASK
        t = (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = _turn(s[3], 45)
        return result
