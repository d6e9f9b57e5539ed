"""Thermodynamic integration over the rungs of a ladder (Kirkwood 1935).

Between neighbours the path is straight in the reduced energy, u_l = u_0 + l y with y = u_1 - u_0 and 0 <= l <= 1. So
its derivative is y itself, whatever way u depends on beta (an RBM's is not linear in it), and

    ln(Z_1 / Z_0) = -int_0^1 <y>_l dl,    d<y>_l/dl = -Var_l(y),    d^2<y>_l/dl^2 = third cumulant of y at l.

Value and two derivatives at both ends fix the polynomial of degree 5 that is integrated:

    int = (f_0 + f_1) / 2 + (f_0' - f_1') / 10 + (f_0'' + f_1'') / 120,

which is the trapezoid with corrections; the cubic through values and first derivatives alone has 1/12 in place of 1/10.
What the last order changes is taken for the error of integration.
"""

from typing import NamedTuple

import numpy as np


class Integral(NamedTuple):
    """ln(Z_1 / Z_0), the influence of each draw at both ends (as in ebm.bar), and the error of integration."""

    value: float
    first: np.ndarray
    second: np.ndarray
    error: float


def integrate(first: np.ndarray, second: np.ndarray) -> Integral:
    """Return ln(Z_1 / Z_0) from y = u_1 - u_0 in draws of p_0, (n_0,), and of p_1, (n_1,).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(2, 5000)) + [[0.0], [1.0]]  # N(0, 1) and N(1, 1); u_1 = (x - 1)^2 / 2 - 2
        >>> result = integrate(*((x - 1) ** 2 / 2 - 2 - x**2 / 2))
        >>> error = np.sqrt(result.first.var() / 5000 + result.second.var() / 5000)
        >>> bool(abs(result.value - 2) < 5 * error)
        True
    """
    ends = [_cumulants(y) for y in (first, second)]
    (f0, v0, k0), (f1, v1, k1) = ends
    second_order, third_order = (v0 - v1) / 12, (v0 - v1) / 60 - (k0 + k1) / 120
    half = abs(f0 - f1) / 2
    # An asymptotic series, cut before terms that grow: f falls from f_0 to f_1, which bounds what there is to correct.
    if abs(third_order) <= abs(second_order):
        orders, left = (1 / 10, 1 / 120), abs(third_order)
    elif abs(second_order) <= half:
        orders, left = (1 / 12, 0.0), abs(second_order)
    else:
        orders, left = (0.0, 0.0), half
    value, influences = 0.0, []
    for y, (mean, variance, third), sign in zip((first, second), ends, (1.0, -1.0), strict=True):
        z, (a, b) = y - mean, orders
        value -= mean / 2 - sign * a * variance + b * third
        influences.append(-(z / 2 - sign * a * (z**2 - variance) + b * (z**3 - third - 3 * variance * z)))
    return Integral(float(value), influences[0], influences[1], float(left))


def _cumulants(y: np.ndarray) -> tuple[float, float, float]:
    z = y - y.mean()
    return float(y.mean()), float((z**2).mean()), float((z**3).mean())
