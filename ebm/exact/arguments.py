"""Checks of the numbers that the closed forms take, so that a wrong one is named and not turned into a nan."""

import math
import operator
from typing import Any


def finite(value: Any, name: str) -> float:
    """Return value as a float, or raise ValueError unless it is one finite real number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {value!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    return number


def positive(value: Any, name: str) -> float:
    """Return value as a float, or raise ValueError unless it is one finite number above zero."""
    number = finite(value, name)
    if number <= 0:
        raise ValueError(f"{name} must be positive, got {number}")
    return number


def integer(value: Any, name: str, least: int, most: int | None = None) -> int:
    """Return value as an int, or raise ValueError unless it is an integer from least to most."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be an integer, got {value!r}") from None
    if number < least or (most is not None and number > most):
        need = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be {need}, got {number}")
    return number
