"""Elementary functions for loops in vector registers, and sums and products in any order.

`exp`, `log` and `circle` take numbers or lanes (samplers.lanes) and round in the same way for both: each multiply-add
is fused by name. Coefficients interpolate at Chebyshev's nodes, in 50 digits, with relative errors below 1e-16.
"""

import numpy as np
from numba import int64, uint64

from samplers.inner import FLOATING_POINT, inline
from samplers.lanes import as_number, bits_of, fma, from_bits, where

# Only the operation that accumulates may be reordered: elsewhere this would undo the two-part logarithms of 2.
_IN_ANY_ORDER = FLOATING_POINT | {"reassoc"}

# Factors that are multiplied before a logarithm of their product is taken. Blocks are counted in unsigned numbers: an
# index that might be negative keeps a loop out of the vector registers.
BLOCK = np.uint64(512)

_LOG_2, _LOG_2_REST = 6.931471805599453e-1, 2.3190468138462996e-17
_ROUND = 1.5 * 2.0**52  # added to a number, it leaves the nearest whole number in the last bits
_BIAS = np.uint64(1023)  # of the exponent in the bits of a float
_MANTISSA = np.uint64((1 << 52) - 1)
_ROOT_HALF = np.uint64(0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
_ABOVE_ROOT_HALF = np.uint64((1023 << 52) - 0x3FE6A09E667F3BCD)


@inline
def exp(x):
    """Return exp(x) for x up to 709, and 0 below -708; NaN stays NaN."""
    shifted = fma(x, 1.4426950408889634, _ROUND)
    n = shifted - _ROUND
    r = fma(n, -_LOG_2_REST, fma(n, -_LOG_2, x))  # |r| < ln(2) / 2
    p = 2.0914686968086876e-09
    p = fma(p, r, 2.5105217004720745e-08)
    p = fma(p, r, 2.75572736431103e-07)
    p = fma(p, r, 2.7557255400206422e-06)
    p = fma(p, r, 2.4801587325547743e-05)
    p = fma(p, r, 1.9841269874820627e-04)
    p = fma(p, r, 1.3888888888883748e-03)
    p = fma(p, r, 8.333333333326136e-03)
    p = fma(p, r, 4.166666666666667e-02)
    p = fma(p, r, 1.6666666666666670e-01)
    p = fma(p, r, 0.5)
    p = fma(p * r, r, r)
    scale = from_bits((bits_of(shifted) + _BIAS) << uint64(52))  # 2^n
    return where(x < -708.0, 0.0, fma(p, scale, scale))


@inline
def log(x):
    """Return ln(x) of a positive number that is neither infinite nor denormal (below 2.2e-308)."""
    raised = bits_of(x) + _ABOVE_ROOT_HALF
    exponent = as_number(raised >> uint64(52)) - 1023.0
    f = from_bits((raised & _MANTISSA) + _ROOT_HALF) - 1.0  # x = 2^exponent (1 + f), sqrt(1/2) <= 1 + f < sqrt(2)
    s = f / (2.0 + f)  # ln(1 + f) = 2 artanh(s)
    z = s * s
    p = 0.14616449685043406
    p = fma(p, z, 0.15331721600556042)
    p = fma(p, z, 0.18182889125261723)
    p = fma(p, z, 0.2222221113479508)
    p = fma(p, z, 0.28571428625975487)
    p = fma(p, z, 0.39999999999899505)
    p = fma(p, z, 0.666666666666667)
    half = 0.5 * f * f
    rest = fma(s, fma(p, z, half), exponent * _LOG_2_REST)  # 2 artanh(s) = f - half + s (half + z p)
    return fma(exponent, _LOG_2, f - (half - rest))


@inline
def circle(v):
    """Return cos(pi v / 2) and sin(pi v / 2) for -1 <= v <= 1."""
    w = v * v
    p = 5.87297574479995e-12
    p = fma(p, w, -6.684416831856085e-10)
    p = fma(p, w, 5.6921364280986254e-08)
    p = fma(p, w, -3.5988430204672576e-06)
    p = fma(p, w, 1.604411847130916e-04)
    p = fma(p, w, -4.681754135304255e-03)
    p = fma(p, w, 7.969262624616565e-02)
    p = fma(p, w, -0.6459640975062462)
    p = fma(p, w, 1.5707963267948966)
    q = 5.10846968542241e-13
    q = fma(q, w, -6.510529156797684e-11)
    q = fma(q, w, 6.321440904258357e-09)
    q = fma(q, w, -4.647659915952978e-07)
    q = fma(q, w, 2.473727635883673e-05)
    q = fma(q, w, -8.945229984736444e-04)
    q = fma(q, w, 1.9968957764878077e-02)
    q = fma(q, w, -0.23370055013616983)
    q = fma(q, w, 1.0)
    return (1.0 - v) * (1.0 + v) * q, v * p


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


@inline(fastmath=_IN_ANY_ORDER)
def plus(a, b):
    """Return a + b; a sum made of these may be taken in any order, hence in vector registers."""
    return a + b


@inline(fastmath=_IN_ANY_ORDER)
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


@inline(fastmath=False)
def _minus(a, b):
    return a - b


@inline
def change_of(a, w, q):
    """Return a - w ln q with the product rounded: fused or not, it would depend on where this is compiled into."""
    return _minus(a, w * log64(q))
