"""The complex RBM wavefunction (Carleo and Troyer 2017) and its Born probabilities, by local moves from a cache.

    ln psi(s) = a.s + sum_j ln cosh(theta_j),   theta_j = b_j + (s W)_j,      E(s) = -2 Re ln psi(s)

Only |cosh theta|^2 matters to a sampler. The cache holds y_j = exp(2 theta_j), real parts and imaginary ones, and for
each block of units the product of |1 + y_j|^2. With G = exp(-4 W), the flip of s_i from +1 to -1 multiplies |psi|^2 by

    exp(-4 Re a_i + 4 sum_j Re W_ij) prod_j |1 + y_j G_ij|^2 / |1 + y_j|^2,      then y_j becomes y_j G_ij

and the flip back by its counterpart: no transcendental function a proposal. Where a y_j is near -1 psi almost vanishes,
so unlike those of a real wavefunction these products may vanish as well as overflow. A block whose product does either
is summed in logarithms, and weights whose exponentials could overflow take theta itself for their cache.
"""

import math
from typing import Any

import numpy as np
from numba import uint64

from ebm.energy import Energy, finite_array
from samplers.compiled import Cached, Functions, functions
from samplers.elementary import log64, plus, times
from samplers.inner import inline

UNITS = np.uint64(32)  # hidden units of one product
SMALLEST, LARGEST = 1e-140, 1e140  # products that are trusted: also their quotient is a number
MOST_FIELD = 80.0  # of |Re theta_j|: |1 + y|^2 is then below 1e140


@inline
def _fill_fields(x, p, theta):
    """Set theta to the real parts of all fields, then the imaginary ones."""
    weights, b = p[0], p[2]
    for j in range(b.shape[0]):
        theta[j] = b[j]
    for i in range(x.shape[0]):
        for j in range(b.shape[0]):
            theta[j] += x[i] * weights[i, j]


@inline
def _sum_log_cosh(theta, step, row):
    """Return 2 sum_j ln |2 cosh(theta_j + step * row_j)|, by |cosh(u + iv)|^2 = (cosh 2u + cos 2v) / 2."""
    m = theta.shape[0] // 2
    total = 0.0
    for j in range(m):
        u, v = abs(theta[j] + step * row[j]), theta[m + j] + step * row[m + j]
        decay = math.exp(-2.0 * u)
        # 1 + 2 decay cos 2v + decay^2, as a sum of squares: nothing cancels where psi almost vanishes
        total += 2.0 * u + math.log((1.0 - decay) ** 2 + 4.0 * decay * math.cos(v) ** 2)
    return total


@inline
def _energy(x, p):
    theta = np.empty(p[2].shape[0])
    _fill_fields(x, p, theta)
    total = _sum_log_cosh(theta, 0.0, theta) - theta.shape[0] * math.log(2.0)
    for i in range(x.shape[0]):
        total += 2.0 * x[i] * p[1][i]
    return -total


@inline
def _field_change(x, site, value, p, theta):
    step, row = float(value) - x[site], p[0][site]
    return -2.0 * step * p[1][site] - _sum_log_cosh(theta, step, row) + _sum_log_cosh(theta, 0.0, row)


@inline
def _field_update(x, site, value, p, theta):
    step, row = float(value) - x[site], p[0][site]
    for j in range(theta.shape[0]):
        theta[j] += step * row[j]


@inline
def _change(x, site, value, p):
    theta = np.empty(p[2].shape[0])
    _fill_fields(x, p, theta)
    return _field_change(x, site, value, p, theta)


# The cache: Re y (m), Im y (m), and the product of |1 + y_j|^2 of each block of units. Row 2 i + (s_i < 0) of the table
# flips s_i: the real parts of the factors, then the imaginary ones.


@inline
def _square(cache, j, m, re, im):
    """Return |1 + y_j (re + i im)|^2."""
    a = 1.0 + (cache[j] * re - cache[m + j] * im)
    b = cache[j] * im + cache[m + j] * re
    return a * a + b * b


@inline
def _product(cache, table, row, start, stop, m):
    product = 1.0
    for j in range(start, stop):
        product = times(product, _square(cache, j, m, table[row, j], table[row, m + j]))
    return product


@inline
def _log_quotient(cache, table, row, start, stop, m):
    """Return the sum of ln |1 + y_j G_ij|^2 / |1 + y_j|^2, one unit after another."""
    total = 0.0
    for j in range(start, stop):
        total = plus(total, math.log(_square(cache, j, m, table[row, j], table[row, m + j])))
        total = plus(total, -math.log(_square(cache, j, m, 1.0, 0.0)))
    return total


@inline
def _exponential_start(x, p, cache):
    m, blocks = uint64(p[3].shape[1] // 2), uint64(p[5])
    _fill_fields(x, p, cache[: m + m])
    for j in range(m):
        size, angle = math.exp(2.0 * cache[j]), 2.0 * cache[m + j]
        cache[j], cache[m + j] = size * math.cos(angle), size * math.sin(angle)
    for block in range(blocks):
        product = 1.0
        for j in range(block * UNITS, min(block * UNITS + UNITS, m)):
            product = times(product, _square(cache, j, m, 1.0, 0.0))
        cache[m + m + block] = product


@inline
def _exponential_quotient(x, site, value, p, cache):
    """E changes by a - ln q."""
    table, blocks = p[3], uint64(p[5])
    m = uint64(table.shape[1] // 2)
    row = uint64(2) * uint64(site) + uint64(x[site] < 0)
    a, q = p[4][row], 1.0
    for block in range(blocks):
        start, stop = block * UNITS, min(block * UNITS + UNITS, m)
        after, before = _product(cache, table, row, start, stop, m), cache[m + m + block]
        if SMALLEST < after < LARGEST and SMALLEST < before < LARGEST:
            if not SMALLEST < q < LARGEST:
                a -= log64(q)
                q = 1.0
            q *= after / before
        else:
            a -= _log_quotient(cache, table, row, start, stop, m)
    if not SMALLEST < q < LARGEST:
        a -= log64(q)
        q = 1.0
    return (a, 1.0, q) if value != x[site] else (0.0, 0.0, 1.0)


@inline
def _exponential_update(x, site, value, p, cache):
    table, blocks = p[3], uint64(p[5])
    m = uint64(table.shape[1] // 2)
    row = uint64(2) * uint64(site) + uint64(x[site] < 0)
    if value != x[site]:
        for j in range(m):
            y, re, im = cache[j], table[row, j], table[row, m + j]
            cache[j] = y * re - cache[m + j] * im
            cache[m + j] = y * im + cache[m + j] * re
        for block in range(blocks):
            product = 1.0
            for j in range(block * UNITS, min(block * UNITS + UNITS, m)):
                product = times(product, _square(cache, j, m, 1.0, 0.0))
            cache[m + m + block] = product


_BY_EXPONENTIALS = functions(
    _energy, None, _change, Cached(_exponential_start, None, _exponential_update, quotient=_exponential_quotient)
)
_BY_FIELDS = functions(_energy, None, _change, Cached(_fill_fields, _field_change, _field_update))


class ComplexRBMWaveFunction(Energy):
    """A complex RBM wavefunction of spins: ln psi(s) = a.s + sum_j ln cosh(b + s W)_j with complex a, b and W.

    As an energy E(s) = -2 Re ln psi(s), so that at beta = 1 samplers draw from |psi|^2 / <psi|psi>. The convention is
    that of NetKet's RBM with complex parameters: W is its `Dense/kernel`, b its `Dense/bias`, a its `visible_bias`.

    Args:
        W: weights (n, m) between n spins and m hidden units.
        a: visible biases (n,); default zero.
        b: hidden biases (m,); default zero.

    Raises:
        ValueError: an array has a wrong shape or is not finite.

    Example:
        >>> psi = ComplexRBMWaveFunction([[0.5j], [0.5j]])
        >>> psi.log_psi(np.array([[1, 1], [1, -1]])).round(4)  # ln cos 1 and ln cos 0
        array([-0.6156+0.j,  0.    +0.j])
    """

    domain = "spin"

    def __init__(self, W: Any, a: Any = None, b: Any = None) -> None:
        self.W = finite_array(W, "W", (None, None), np.complex128)
        n, m = self.W.shape
        self.a = finite_array(np.zeros(n) if a is None else a, "a", (n,), np.complex128)
        self.b = finite_array(np.zeros(m) if b is None else b, "b", (m,), np.complex128)
        self.shape = (n,)
        parts = (np.concatenate([self.W.real, self.W.imag], axis=1), self.a.real.copy(), _parts(self.b))
        field = float((np.abs(self.b.real) + np.abs(self.W.real).sum(0)).max())
        if field <= MOST_FIELD:
            factors = np.stack([np.exp(-4.0 * self.W), np.exp(4.0 * self.W)], axis=1).reshape(2 * n, m)
            table = np.concatenate([factors.real, factors.imag], axis=1)
            bias = 4.0 * (self.a.real - self.W.real.sum(1))  # minus the logarithm of what stands before the product
            blocks = -(-m // int(UNITS))
            params = (*parts, table, np.stack([bias, -bias], axis=1).reshape(-1), blocks)
            self._functions = _BY_EXPONENTIALS.holding(params, size=-(-(2 * m + blocks) // 8) * 8)
        else:
            self._functions = _BY_FIELDS.holding(parts, size=2 * m)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return self._functions

    def log_psi(self, x: np.ndarray) -> np.ndarray:
        """Return ln psi(s), (n,) complex, not normalised, of spin configurations x (n, spins)."""
        theta = self.b + x @ self.W
        theta = np.where(theta.real < 0.0, -theta, theta)  # cosh is even
        return x @ self.a + (theta + np.log1p(np.exp(-2.0 * theta)) - np.log(2.0)).sum(1)

    def parameters(self) -> dict[str, Any]:
        """Return weights, visible and hidden biases."""
        return {"W": self.W, "a": self.a, "b": self.b}


def _parts(z: np.ndarray) -> np.ndarray:
    return np.concatenate([z.real, z.imag])
