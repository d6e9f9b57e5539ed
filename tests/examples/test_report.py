"""What examples print: a value with its error in units of the last digits."""

import math

import pytest
from example_folder import Load


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.234, 0.056, "1.234(56)"),
        (-84.0853, 0.22, "-84.09(22)"),
        (1234.0, 12.0, "1234(12)"),
        (0.00031, 0.000020, "0.000310(20)"),
        (2.5, 0.0, "2.5"),  # the same in every part
        (2.5, math.inf, "2.5 (error unknown)"),
        (2.5, math.nan, "2.5 (error unknown)"),
    ],
)
def test_a_value_is_shown_with_its_error(value: float, error: float, text: str, load: Load) -> None:
    assert load("report").with_error(value, error) == text
