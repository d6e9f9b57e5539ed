"""Data as tensors: an array, or a tuple of arrays with equally many rows."""

from typing import Any

import numpy as np
import torch


def as_tensors(data: Any, dtype: torch.dtype, name: str = "data") -> tuple[torch.Tensor, ...]:
    """Return data as a tuple of tensors with equally many rows.

    Raises:
        ValueError: no rows, unequal numbers of rows, or a number that is not finite.
        TypeError: not numbers.
    """
    parts = tuple(_tensor(part, dtype, name) for part in (data if isinstance(data, tuple) else (data,)))
    rows = {len(part) for part in parts}
    if not parts or rows == {0}:
        raise ValueError(f"{name} must hold at least one row, got none")
    if len(rows) > 1:
        shapes = ", ".join(str(tuple(part.shape)) for part in parts)
        raise ValueError(f"{name} must hold equally many rows in each array, got shapes {shapes}")
    return parts


def _tensor(part: Any, dtype: torch.dtype, name: str) -> torch.Tensor:
    if not isinstance(part, torch.Tensor):
        array = np.asarray(part)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} must be numbers, got an array of {array.dtype}")
        part = torch.as_tensor(array)
    if not part.ndim:
        raise ValueError(f"{name} must hold rows, got one number")
    if not part.is_floating_point():
        return part
    finite = torch.isfinite(part)
    if not finite.all():
        row = int((~finite).nonzero()[0, 0])
        raise ValueError(f"{name} must be finite, got NaN or infinity in row {row}")
    return part.to(dtype)


def packed(parts: tuple[torch.Tensor, ...]) -> Any:
    """Return a tensor if there is one, else the tuple: what a loss is given."""
    return parts if len(parts) > 1 else parts[0]


def check_shape_of(data: Any, shape: tuple[int, ...], name: str = "data") -> None:
    """Raise unless data are one tensor of configurations of this shape, (n, *shape)."""
    got = tuple(data.shape[1:]) if isinstance(data, torch.Tensor) else "several arrays"
    if got != shape:
        raise ValueError(f"{name} must be configurations of shape (n, {', '.join(map(str, shape))}), got {got}")


def check_unit(data: torch.Tensor, what: str) -> None:
    """Raise unless all numbers lie in [0, 1], as `what` needs."""
    if not ((data >= 0) & (data <= 1)).all():
        raise ValueError(f"data must lie in [0, 1] for {what}, got {data.min().item():g} to {data.max().item():g}")
