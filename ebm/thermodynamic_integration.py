"""Thermodynamic integration over the rungs of a ladder (Kirkwood 1935).

Between neighbours the path is straight in the reduced energy, u_l = u_0 + l y with y = u_1 - u_0 and 0 <= l <= 1. So its
derivative is y itself, whatever way u depends on beta (an RBM's is not linear in it), and

    ln(Z_1 / Z_0) = -int_0^1 <y>_l dl,    d<y>_l/dl = -Var_l(y),    d^2<y>_l/dl^2 = third cumulant of y at l.

Value and two derivatives at both ends fix the polynomial of degree 5 that is integrated:

    int = (f_0 + f_1) / 2 + (f_0' - f_1') / 10 + (f_0'' + f_1'') / 120,

which is the trapezoid with corrections. What the last term changes (the cubic through values and first derivatives has
only 1/12 in place of 1/10 and none of the last) is taken for the error of integration.
"""

from typing import NamedTuple

import numpy as np


class Integral(NamedTuple):
    """ln(Z_1 / Z_0), the influence of each draw at both ends, and the change by the terms of highest order."""

    value: float
    first: np.ndarray
    second: np.ndarray
    last_terms: float


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
    value, cubic, influences = 0.0, 0.0, []
    for y, sign in ((first, 1.0), (second, -1.0)):
        mean = y.mean()
        z = y - mean
        variance, third = (z**2).mean(), (z**3).mean()
        value -= mean / 2 - sign * variance / 10 + third / 120
        cubic -= mean / 2 - sign * variance / 12
        influences.append(-(z / 2 - sign * (z**2 - variance) / 10 + (z**3 - third - 3 * variance * z) / 120))
    return Integral(float(value), influences[0], influences[1], float(value - cubic))
