"""Wavefunctions of spins: the Born probabilities |psi(s)|^2 are a law that any sampler of energies can sample.

    E(s) = -2 ln |psi(s)|,        p(s) = exp(-beta E(s)) / Z(beta),        so p = |psi|^2 / <psi|psi> at beta = 1

The real-valued RBM (Carleo and Troyer 2017) has ln psi(s) = a.s + sum_j ln cosh(theta_j), theta_j = b_j + (s W)_j.
Its cache holds y_j = exp(2 theta_j) of each hidden unit and the products of all 1 + y_j. With G = exp(-4 W) and its
inverse H = exp(4 W), the flip of s_i multiplies psi by

    exp(-2 a_i + 2 sum_j W_ij) prod_j (1 + y_j G_ij) / (1 + y_j)   from +1 to -1, then y_j becomes y_j G_ij
    exp(+2 a_i - 2 sum_j W_ij) prod_j (1 + y_j H_ij) / (1 + y_j)   from -1 to +1, then y_j becomes y_j H_ij

A proposal needs one fused multiplication and addition and one multiplication a hidden unit, its acceptance another
multiplication, and no digits are lost however large theta is, as they would be with tanh(theta). All factors are at
least 1, so that a product that has stayed finite is right to its last digits in whatever order it was taken; where it
has not, the quotients are multiplied instead.
"""

import math
from typing import Any

import numpy as np
from numba import uint64

from ebm.energy import Energy, finite_array
from ebm.wavefunction_odds import flip, odds
from samplers.compiled import Cached, Functions, functions
from samplers.elementary import BLOCK, exp_minus64, log64, plus, times
from samplers.inner import inline
from samplers.lanes import LANES, lane_array

UNITS = np.uint64(128)  # hidden units of one product: it is finite as long as theta is below 2.7 on average
LARGEST = 1e300  # product that is trusted

# Bounds beyond which the change is taken from theta itself: those of the product of quotients, and of exp(2 theta).
MOST_CHANGE = 480.0  # of 4 sum_j |W_ij| over the units of one product
MOST_FIELD = 340.0  # of |theta_j|
MOST_BIAS = 700.0  # of what stands before the product, where its exponential is used


@inline
def _fill_fields(x, p, theta):
    """Set theta_j = b_j + sum_i s_i W_ij."""
    weights, b = p[0], p[2]
    for j in range(b.shape[0]):
        theta[j] = b[j]
    for i in range(x.shape[0]):
        for j in range(b.shape[0]):
            theta[j] += x[i] * weights[i, j]


@inline
def _sum_log_cosh(theta, step, row):
    """Return sum_j ln(2 cosh(theta_j + step * row_j))."""
    total, m = 0.0, uint64(theta.shape[0])
    for start in range(uint64(0), m, BLOCK):
        product = 1.0  # of factors between 1 and 2
        for j in range(start, min(start + BLOCK, m)):
            a = abs(theta[j] + step * row[j])
            total = plus(total, a)
            product = times(product, 1.0 + exp_minus64(2.0 * a))
        total += math.log(product)
    return total


@inline
def _energy(x, p):
    theta = np.empty(p[2].shape[0])
    _fill_fields(x, p, theta)
    log_psi = _sum_log_cosh(theta, 0.0, theta) - theta.shape[0] * math.log(2.0)
    for i in range(x.shape[0]):
        log_psi += x[i] * p[1][i]
    return -2.0 * log_psi


@inline
def _field_change(x, site, value, p, theta):
    step, row = float(value) - x[site], p[0][site]
    return -2.0 * (step * p[1][site] + _sum_log_cosh(theta, step, row) - _sum_log_cosh(theta, 0.0, row))


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


# The cache: y (m, filled up with zeros to whole registers), the product of 1 + y_j of each block of units, what these
# products become if a site flips, and which site that is (-1: none). Row 2 i + (s_i < 0) of the table flips s_i.


@inline
def _product(y, table, row, start, stop):
    product = 1.0
    for j in range(start, stop):
        product = times(product, 1.0 + y[j] * table[row, j])
    return product


@inline
def _quotient(y, table, row, start, stop):
    """Return the product of (1 + y_j G_ij) / (1 + y_j), each of which lies between 1 and G_ij."""
    product = 1.0
    for j in range(start, stop):
        product = times(product, (1.0 + y[j] * table[row, j]) / (1.0 + y[j]))
    return product


@inline
def _exponential_start(x, p, cache):
    m, blocks = uint64(p[3].shape[1]), uint64(p[5])
    units = uint64(p[2].shape[0])
    _fill_fields(x, p, cache[:units])
    for j in range(m):
        cache[j] = math.exp(2.0 * cache[j]) if j < units else 0.0
    for block in range(blocks):
        product = 1.0
        for j in range(block * UNITS, min(block * UNITS + UNITS, m)):
            product = times(product, 1.0 + cache[j])
        cache[m + block] = product
    cache[m + blocks :] = 0.0
    cache[m + blocks + blocks] = -1.0


# One way out of each, and no view of a row: else numba counts references to the arrays at every proposal. The first
# block stands before the loop over the others, since most machines have no other.


@inline
def _block_quotient(cache, table, row, block, blocks):
    m = uint64(table.shape[1])
    start, stop = block * UNITS, min(block * UNITS + UNITS, m)
    after, before = _product(cache, table, row, start, stop), cache[m + block]
    cache[m + blocks + block] = after
    if after < LARGEST and before < LARGEST:
        return after / before
    return _quotient(cache, table, row, start, stop)


@inline
def _exponential_quotient(x, site, value, p, cache):
    """E changes by a - 2 ln q."""
    table, blocks = p[3], uint64(p[5])
    row = uint64(2) * uint64(site) + uint64(x[site] < 0)
    a = p[4][0, row]
    q = _block_quotient(cache, table, row, uint64(0), blocks)
    for block in range(uint64(1), blocks):
        if not 1e-80 < q < 1e80:  # rare: the next factor may be as large as e^480
            a -= 2.0 * log64(q)
            q = 1.0
        q *= _block_quotient(cache, table, row, block, blocks)
    cache[uint64(table.shape[1]) + blocks + blocks] = site
    return (a, 2.0, q) if value != x[site] else (0.0, 0.0, 1.0)


@inline
def _exponential_update(x, site, value, p, cache):
    table, m, blocks = p[3], uint64(p[3].shape[1]), uint64(p[5])
    row = uint64(2) * uint64(site) + uint64(x[site] < 0)
    if value != x[site]:
        if cache[m + blocks + blocks] != site:  # a move that was not asked about
            _exponential_quotient(x, site, value, p, cache)
        cache[m] = cache[m + blocks]
        for block in range(uint64(1), blocks):
            cache[m + block] = cache[m + blocks + block]
        cache[m + blocks + blocks] = -1.0
        for j in range(m):
            cache[j] *= table[row, j]


_CACHED = Cached(_exponential_start, None, _exponential_update, quotient=_exponential_quotient)
_BY_EXPONENTIALS = functions(_energy, None, _change, _CACHED)
_SIDE_BY_SIDE = functions(_energy, None, _change, _CACHED._replace(odds=odds, flip=flip))
_BY_FIELDS = functions(_energy, None, _change, Cached(_fill_fields, _field_change, _field_update))


class RBMWaveFunction(Energy):
    """A real, positive RBM wavefunction of spins (Carleo and Troyer 2017): ln psi(s) = a.s + sum_j ln cosh(b + s W)_j.

    As an energy E(s) = -2 ln psi(s), so that at beta = 1 samplers draw from |psi|^2 / <psi|psi>. The convention is that
    of NetKet's RBM with real parameters: W is its `Dense/kernel`, b its `Dense/bias`, a its `visible_bias`.

    Args:
        W: weights (n, m) between n spins and m hidden units.
        a: visible biases (n,); default zero.
        b: hidden biases (m,); default zero.

    Raises:
        ValueError: an array has a wrong shape or is not finite.

    Example:
        >>> psi = RBMWaveFunction([[0.5], [-0.5]])
        >>> psi.log_psi(np.array([[1, 1], [1, -1]])).round(4)  # ln cosh 0 and ln cosh 1
        array([0.    , 0.4338])
    """

    domain = "spin"

    def __init__(self, W: Any, a: Any = None, b: Any = None) -> None:
        self.W = finite_array(W, "W", (None, None))
        n, m = self.W.shape
        self.a = finite_array(np.zeros(n) if a is None else a, "a", (n,))
        self.b = finite_array(np.zeros(m) if b is None else b, "b", (m,))
        self.shape = (n,)
        size, block = np.abs(self.W), int(UNITS)
        field = float((np.abs(self.b) + size.sum(0)).max())
        change = 4.0 * float(np.add.reduceat(size, np.arange(0, m, block), axis=1).max())
        if field <= MOST_FIELD and change <= MOST_CHANGE:
            table = lane_array((2 * n, -(-m // LANES))).reshape(2 * n, -1)  # zeros beyond the units
            table[0::2, :m] = np.exp(-4.0 * self.W)
            table[1::2, :m] = 1.0 / table[0::2, :m]  # so that a flip there and back multiplies by 1 + 1e-16 at most
            bias = 4.0 * (self.a - self.W.sum(1))  # -2 times the logarithm of what stands before the product
            blocks = -(-table.shape[1] // block)
            before = np.stack([bias, -bias], axis=1).reshape(-1)
            at_once = blocks == 1 and bool(np.abs(bias).max() < MOST_BIAS)
            odds_before = np.exp(before) if at_once else before
            params = (self.W, self.a, self.b, table, np.stack([before, odds_before]), blocks)
            size_of_cache = table.shape[1] + 2 * blocks + 1
            kind = _SIDE_BY_SIDE if at_once else _BY_EXPONENTIALS
            self._functions = kind.holding(params, size=-(-size_of_cache // LANES) * LANES)
        else:
            self._functions = _BY_FIELDS.holding((self.W, self.a, self.b), size=m)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return self._functions

    def log_psi(self, x: np.ndarray) -> np.ndarray:
        """Return ln psi(s), (n,), not normalised, of spin configurations x (n, spins)."""
        return -0.5 * self(x)

    def parameters(self) -> dict[str, Any]:
        """Return weights, visible and hidden biases."""
        return {"W": self.W, "a": self.a, "b": self.b}
