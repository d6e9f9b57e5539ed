"""Elementary functions for loops in vector registers: exponential and logarithm, sums and products in any order."""

import numpy as np
from numba import int64, njit

from samplers.compiled import FLOATING_POINT, OPTIONS, inline

# Only the operation that accumulates may be reordered: elsewhere this would undo the two-part logarithms of 2.
_REORDERED = {**OPTIONS, "fastmath": FLOATING_POINT | {"reassoc"}}

# Factors that are multiplied before a logarithm of their product is taken. Blocks are counted in unsigned numbers: an
# index that might be negative keeps a loop out of the vector registers.
BLOCK = np.uint64(512)


@inline
def exp_minus64(x):
    """Return exp(-x) in double precision for x >= 0 (zero beyond 708), to a relative error below 1e-14."""
    x = min(x, 708.0)
    n = np.floor(x * 1.4426950408889634 + 0.5)
    r = n * 6.93145751953125e-1 - x
    r = r + n * 1.42860682030941723212e-6
    p = 2.505210838544172e-8
    p = p * r + 2.755731922398589e-7
    p = p * r + 2.755731922398589e-6
    p = p * r + 2.48015873015873e-5
    p = p * r + 1.984126984126984e-4
    p = p * r + 1.388888888888889e-3
    p = p * r + 8.333333333333333e-3
    p = p * r + 4.1666666666666664e-2
    p = p * r + 1.6666666666666666e-1
    p = p * r * r * r + 0.5 * r * r + r + 1.0
    return p * np.int64((int64(1023) - int64(n)) << int64(52)).view(np.float64)


@njit(forceinline=True, **_REORDERED)
def plus(a, b):
    """Return a + b; a sum made of these may be taken in any order, hence in vector registers."""
    return a + b


@njit(forceinline=True, **_REORDERED)
def times(a, b):
    """Return a * b; a product made of these may be taken in any order."""
    return a * b


@inline
def log64(x):
    """Return ln x in double precision for 2^-1022 <= x <= 2^1022, to an error below 1e-15 max(1, |ln x|).

    x = 2^k m with m between sqrt(1/2) and sqrt(2), and ln m = 2 artanh z with z = (m - 1) / (m + 1), |z| < 0.172.
    """
    k = (np.float64(x).view(np.int64) - int64(0x3FE6A09E667F3BCD)) >> int64(52)
    m = x * np.int64((int64(1023) - k) << int64(52)).view(np.float64)
    z = (m - 1.0) / (m + 1.0)
    w = z * z
    p = 1.0 / 19.0
    p = p * w + 1.0 / 17.0
    p = p * w + 1.0 / 15.0
    p = p * w + 1.0 / 13.0
    p = p * w + 1.0 / 11.0
    p = p * w + 1.0 / 9.0
    p = p * w + 1.0 / 7.0
    p = p * w + 1.0 / 5.0
    p = p * w + 1.0 / 3.0
    z += z
    return k * 0.6931471805599453 + (z * w * p + z)


@njit(forceinline=True, **{**OPTIONS, "fastmath": False})
def _minus(a, b):
    return a - b


@inline
def change_of(a, w, q):
    """Return a - w ln q with the product rounded: fused or not, it would depend on where this is compiled into."""
    return _minus(a, w * log64(q))
