"""What every metric asks of its samples, and how a number with an error is given back."""

from typing import Any, NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A number and its standard error."""

    value: float
    error: float


def as_rows(x: Any, name: str, least: int = 1) -> np.ndarray:
    """Return samples (n, *shape) as float64 rows (n, d).

    Raises:
        ValueError: fewer than `least` rows, no rows at all, or a number that is not finite.
        TypeError: not numbers.
    """
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be numbers, got an array of {array.dtype}")
    if array.ndim < 2:
        raise ValueError(f"{name} must be samples of shape (n, d), got {array.shape}")
    if len(array) < least:
        raise ValueError(f"{name} must hold at least {least} samples, got {len(array)}")
    rows = array.reshape(len(array), -1).astype(np.float64)
    bad = ~np.isfinite(rows).all(1)
    if bad.any():
        raise ValueError(f"{name} must be finite, got NaN or infinity in row {int(np.argmax(bad))}")
    return rows


def as_pair(x: Any, y: Any, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return two sets of samples as rows of the same width, or raise as `as_rows` does."""
    x, y = as_rows(x, "x", least), as_rows(y, "y", least)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"x and y must be samples of one size, got {x.shape[1]} and {y.shape[1]} numbers a sample")
    return x, y


def mean_of(values: np.ndarray) -> Estimate:
    """Return the mean of independent values (n,) and its standard error, which one value has not."""
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return Estimate(float(values.mean()), float(error))
