"""Bars and stripes: images whose rows are each of one colour (bars), or whose columns are (stripes).

Two conventions are in use, and their best log-likelihoods differ, so the convention must be named:

    "distinct"       each of the 2^(side+1) - 2 distinct patterns is equally likely; the entropy is ln of their number:
                     ln 6, ln 14, ln 30 for sides 2, 3, 4
    "blank twice"    a fair coin chooses bars or stripes, a fair coin colours each line (MacKay, 2003). Blank and full
                     come up both ways, each with probability 2 / 2^(side+1), the others with 1 / 2^(side+1)
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.datasets.arguments import require_integer

LARGEST_LISTED = 20  # two million patterns


@dataclass(frozen=True)
class BarsAndStripes:
    """Images of ``side`` by ``side`` pixels 0 or 1, flattened, by one of the two conventions of this module.

    Arguments:
        side: of the image in pixels, 2 to 30
        convention: "distinct" or "blank twice"
    Raises: ``ValueError`` or ``TypeError`` for another side or convention.
    """

    side: int
    convention: Literal["distinct", "blank twice"] = "distinct"

    def __post_init__(self) -> None:
        require_integer("side", self.side, 2)
        if self.side > 30:
            raise ValueError(f"side must be at most 30, got {self.side}")
        if self.convention not in ("distinct", "blank twice"):
            raise ValueError(f'convention must be "distinct" or "blank twice", got {self.convention!r}')

    @property
    def patterns(self) -> NDArray[np.int8]:
        """All distinct patterns, (2^(side+1) - 2, side * side) int8, bars first; sides up to 20."""
        if self.side > LARGEST_LISTED:
            raise ValueError(f"patterns are listed for sides up to {LARGEST_LISTED}, got {self.side}")
        return self._draw_pattern(np.arange(2 ** (self.side + 1) - 2))

    def sample(self, n: int, seed: int | np.random.Generator) -> NDArray[np.int8]:
        """Draw ``n`` independent images, (n, side * side) int8."""
        require_integer("n", n, 0)
        rng = np.random.default_rng(seed)
        index = rng.integers(2 ** (self.side + 1) - 2 * (self.convention == "distinct"), size=n)
        # The two numbers beyond the distinct patterns are blank and full for the second time.
        index = np.where(index < 2 ** (self.side + 1) - 2, index, np.where(index % 2, 2**self.side - 1, 0))
        return self._draw_pattern(index)

    def log_prob(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the log probability in nats of images ``x`` (n, side * side), as (n,): -inf for no pattern."""
        x = np.asarray(x)
        if x.ndim != 2 or x.shape[1] != self.side**2:
            raise ValueError(f"x must have shape (n, {self.side**2}), got {x.shape}")
        image = x.reshape(-1, self.side, self.side)
        bits = np.all((x == 0) | (x == 1), axis=1)
        bars = bits & np.all(image == image[:, :, :1], axis=(1, 2))
        stripes = bits & np.all(image == image[:, :1, :], axis=(1, 2))
        if self.convention == "distinct":
            return np.where(bars | stripes, -self.entropy, -np.inf)
        ways = np.array([-np.inf, 0.0, np.log(2)])[bars.astype(int) + stripes]
        return ways - (self.side + 1) * np.log(2)

    @property
    def entropy(self) -> float:
        """The entropy in nats, which is minus the best mean log-likelihood."""
        if self.convention == "distinct":
            return float(np.log(2 ** (self.side + 1) - 2))
        return float((self.side + 1) * np.log(2) - 4 / 2 ** (self.side + 1) * np.log(2))

    def _draw_pattern(self, index: NDArray[np.integer]) -> NDArray[np.int8]:
        """Draw the pattern of each number: bars are 0 to 2^side - 1, then stripes without blank and full."""
        stripes = index >= 2**self.side
        code = np.where(stripes, index - 2**self.side + 1, index)
        lines = ((code[:, None] >> np.arange(self.side)) & 1).astype(np.int8)  # (n, side)
        rows = np.repeat(lines[:, :, None], self.side, axis=2)
        image = np.where(stripes[:, None, None], rows.transpose(0, 2, 1), rows)
        return image.reshape(len(index), self.side**2)


def bars_and_stripes(side: int, convention: Literal["distinct", "blank twice"] = "distinct") -> BarsAndStripes:
    """Bars and stripes of a given side and convention; see `BarsAndStripes`.

    >>> bars_and_stripes(2).patterns
    array([[0, 0, 0, 0],
           [1, 1, 0, 0],
           [0, 0, 1, 1],
           [1, 1, 1, 1],
           [1, 0, 1, 0],
           [0, 1, 0, 1]], dtype=int8)
    >>> round(bars_and_stripes(3, "blank twice").entropy, 6)
    2.599302
    """
    return BarsAndStripes(side, convention)
