"""The uniform density on every other square of a board.

    p(x) = 1 / (area of the dark squares) where floor(x1/side) + floor(x2/side) is even on the board, else 0

A model is known by what it puts off the support, where the density is exactly zero and the log density minus infinity.
The published board spans (-4, 4)^2 in squares of side 2 (Grathwohl et al., 2019).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.datasets.arguments import as_points, require_integer, require_positive


@dataclass(frozen=True)
class Checkerboard:
    """A board of ``squares`` by ``squares`` squares centred on the origin, uniform on the dark ones.

    Arguments:
        squares: along one side of the board, an even number
        side: of one square
    Raises: ``ValueError`` or ``TypeError`` where ``squares`` is not even and positive, or ``side`` not positive.

    >>> Checkerboard().log_prob([[0.5, 0.5], [0.5, -0.5]]).round(4)
    array([-3.4657,    -inf])
    """

    squares: int = 4
    side: float = 2.0

    def __post_init__(self) -> None:
        require_integer("squares", self.squares, 2)
        if self.squares % 2:
            raise ValueError(f"squares must be even, so that the board is centred on a corner, got {self.squares}")
        require_positive(side=self.side)

    def sample(self, n: int, seed: int | np.random.Generator) -> NDArray[np.float64]:
        """Draw ``n`` independent points, (n, 2)."""
        require_integer("n", n, 0)
        rng = np.random.default_rng(seed)
        half = self.squares // 2
        column = rng.integers(-half, half, size=n)
        row = 2 * rng.integers(self.squares // 2, size=n) - half
        row += (row + column) % 2  # the dark squares of a column are those with an even sum
        return self.side * (np.column_stack((column, row)) + rng.random((n, 2)))

    def log_prob(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the log density in nats at points ``x`` (n, 2), as (n,): minus infinity off the support."""
        squares = np.floor(as_points(x) / self.side)  # (n, 2)
        half = self.squares // 2
        on_board = np.all((squares >= -half) & (squares < half), axis=1)
        dark = on_board & (np.where(on_board[:, None], squares, 0).sum(axis=1) % 2 == 0)
        return np.where(dark, -self.entropy, -np.inf)

    @property
    def entropy(self) -> float:
        """The entropy in nats, the logarithm of the area of the support: ln 32 for the published board."""
        return float(np.log(self.squares**2 / 2 * self.side**2))


def checkerboard(squares: int = 4, side: float = 2.0) -> Checkerboard:
    """The four by four board of side 8, or another; see `Checkerboard`.

    >>> data = checkerboard()
    >>> data.sample(3, seed=0).shape
    (3, 2)
    >>> round(data.entropy, 4)
    3.4657
    """
    return Checkerboard(squares, side)
