"""All configurations of a small discrete system, numbered.

Configuration number k has the base-q digits of k at its sites, the first site (in C order) most significant. A digit is
the state itself for the domains "binary" and "states"; for "spin" the digit 0 is the spin -1 and 1 is +1.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ebm.exact.arguments import integer

MAX_STATES = 2**24
BLOCK_ROWS = 2**14
BLOCK_VALUES = 2**20


def states(
    shape: Sequence[int], domain: str, n_states: int = 2, rows: int = BLOCK_ROWS
) -> Iterator[NDArray[np.integer]]:
    """Iterate over all configurations in blocks, in the order of their numbers.

    Args:
        shape: shape of one configuration.
        domain: "spin", "binary" or "states".
        n_states: number q of states of a site; only "states" may have more than two.
        rows: the most configurations in a block.
    Returns:
        an iterator over fresh arrays (m, *shape) of int8 ("spin", "binary"), or uint8 ("states"; int16 for q > 256).
    Raises:
        ValueError: an unknown or continuous domain, or more than 2^24 configurations.

    >>> [x.tolist() for x in states((2,), "spin")]
    [[[-1, -1], [-1, 1], [1, -1], [1, 1]]]
    """
    count = count_states(shape, domain, n_states)
    return _blocks(count, tuple(shape), domain, n_states, integer(rows, "rows", 1))


def count_states(shape: Sequence[int], domain: str, n_states: int = 2, most: int = MAX_STATES) -> int:
    """Return the number of configurations, n_states^sites; arguments as in `states`.

    Raises:
        ValueError: an unknown or continuous domain, or more than `most` configurations.

    >>> count_states((2, 2), "states", n_states=3)
    81
    """
    _check_domain(domain, n_states)
    sites = math.prod(integer(n, "every side of shape", 1) for n in shape)
    # Compared as logarithms first: n_states^sites of a whole image would be a number of hundreds of digits.
    if sites * math.log(n_states) > math.log(most) + 1.0 or n_states**sites > most:
        raise ValueError(
            f"at most {most} configurations can be enumerated, got {n_states}^{sites} of shape {tuple(shape)}"
        )
    return int(n_states**sites)


def state_index(x: ArrayLike, domain: str, n_states: int = 2) -> NDArray[np.int64]:
    """Return the numbers of given configurations, as in `states`.

    Args:
        x: configurations (n, *shape).
        domain: "spin", "binary" or "states".
        n_states: number of states of a site; only "states" may have more than two.
    Returns:
        the numbers (n,), each from 0 to n_states^sites - 1.
    Raises:
        ValueError: an unknown domain, values outside it, or numbers that do not fit into 63 bits.

    >>> state_index([[-1, -1, 1], [1, 1, 1]], "spin")
    array([1, 7])
    """
    _check_domain(domain, n_states)
    rows = np.asarray(x)
    if rows.ndim == 0:
        raise ValueError("x must have shape (n, *shape), got one number")
    rows = rows.reshape(len(rows), math.prod(rows.shape[1:]))
    if rows.shape[1] * math.log2(n_states) >= 63:
        raise ValueError(f"x must have numbers below 2^63, got {n_states}^{rows.shape[1]} possible configurations")
    digits = (rows.astype(np.float64) + 1.0) / 2.0 if domain == "spin" else rows
    bad = (digits < 0) | (digits >= n_states) | (digits != np.floor(digits))
    if bad.any():
        raise ValueError(f"x must hold values of the domain {domain!r} with {n_states} states, got {rows[bad][0]}")
    powers = n_states ** np.arange(rows.shape[1] - 1, -1, -1, dtype=np.int64)
    return digits.astype(np.int64) @ powers


def state_at(index: ArrayLike, shape: Sequence[int], domain: str, n_states: int = 2) -> NDArray[np.integer]:
    """Return the configurations with given numbers, the inverse of `state_index`.

    Args:
        index: numbers (n,), each from 0 to n_states^sites - 1.
        shape: shape of one configuration.
        domain: "spin", "binary" or "states".
        n_states: number of states of a site; only "states" may have more than two.
    Returns:
        configurations (n, *shape) in the dtype of `states`.
    Raises:
        ValueError: an unknown domain, or a number out of range.

    >>> state_at([1, 7], (3,), "spin").tolist()
    [[-1, -1, 1], [1, 1, 1]]
    """
    count = count_states(shape, domain, n_states, most=2**62)
    number = np.asarray(index)
    if number.ndim != 1 or number.dtype.kind not in "iu":
        raise ValueError(f"index must be a vector of integers, got shape {number.shape} and dtype {number.dtype}")
    outside = (number < 0) | (number >= count)
    if outside.any():
        raise ValueError(f"index must be from 0 to {count - 1}, got {number[outside][0]}")
    return _decode(number.astype(np.int64), tuple(shape), domain, n_states)


def _blocks(count: int, shape: tuple[int, ...], domain: str, n_states: int, rows: int) -> Iterator[NDArray[np.integer]]:
    rows = max(1, min(rows, BLOCK_VALUES // math.prod(shape)))
    for start in range(0, count, rows):
        yield _decode(np.arange(start, min(start + rows, count)), shape, domain, n_states)


def _decode(number: NDArray[np.int64], shape: tuple[int, ...], domain: str, n_states: int) -> NDArray[np.integer]:
    sites = math.prod(shape)
    dtype: type[np.integer] = np.int8
    if domain == "states":
        dtype = np.uint8 if n_states <= 256 else np.int16
    digits = np.empty((len(number), sites), dtype=dtype)
    for site in range(sites - 1, -1, -1):
        # A shift is several times faster than a division, and q = 2 is the common case.
        digits[:, site] = number & 1 if n_states == 2 else number % n_states
        number = number >> 1 if n_states == 2 else number // n_states
    if domain == "spin":
        digits *= 2
        digits -= 1
    return digits.reshape(len(digits), *shape)


def _check_domain(domain: str, n_states: int) -> None:
    if domain not in ("spin", "binary", "states"):
        raise ValueError(f"domain must be 'spin', 'binary' or 'states', got {domain!r}")
    if domain == "states":
        integer(n_states, "n_states", 2, 2**15)
    elif n_states != 2:
        raise ValueError(f"n_states must be 2 for the domain {domain!r}, got {n_states}")
