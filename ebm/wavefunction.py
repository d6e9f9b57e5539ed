"""Wavefunctions of spins: the Born probabilities |psi(s)|^2 are a law that any sampler of energies can sample.

    E(s) = -2 ln |psi(s)|,        p(s) = exp(-beta E(s)) / Z(beta),        so p = |psi|^2 / <psi|psi> at beta = 1

The real-valued RBM (Carleo and Troyer 2017) has ln psi(s) = a.s + sum_j ln cosh(theta_j), theta_j = b_j + (s W)_j.
Its cache holds for each hidden unit two positive numbers, A_j ~ exp(theta_j) and B_j ~ exp(-theta_j), both times the
same power of two such that 3/4 <= A_j + B_j < 3/2. With G = exp(-4 W) the flip of s_i multiplies psi by

    exp(2 sum_j W_ij) prod_j (A_j G_ij + B_j) / (A_j + B_j) exp(-2 a_i)   from +1 to -1, then A_j becomes A_j G_ij
    exp(2 sum_j W_ij) prod_j (A_j + B_j G_ij) / (A_j + B_j) exp(+2 a_i)   from -1 to +1, then B_j becomes B_j G_ij

A proposal needs no exponential, its acceptance no division, and no digits are lost however large theta is, as they
would be with tanh(theta).
"""

import math
from typing import Any

import numpy as np
from numba import int64, uint64

from ebm.energy import Energy, finite_array
from samplers.compiled import Cached, Functions, functions, inline
from samplers.elementary import BLOCK, exp_minus64, plus, times

# Bounds under which no product of a block of 512 can leave the range of float64, (3/4)^512 being e^-147 and (3/2)^512
# e^208, nor any exp(-2 |theta|); beyond them the change is taken from theta itself.
MOST_CHANGE = 480.0  # of 4 sum_j |W_ij| over a block
MOST_FIELD = 340.0  # of |theta_j|


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


@inline
def _scale(total):
    """Return the power of two that brings a positive number into [3/4, 3/2)."""
    exponent = np.float64(total * (4.0 / 3.0)).view(np.int64) >> int64(52)
    return np.int64((int64(2046) - exponent) << int64(52)).view(np.float64)


@inline
def _halves(x, site, value, m):
    """Return where in the cache those of A and B begin that a flip multiplies by G, and where the others."""
    return (uint64(0), m) if value < x[site] else (m, uint64(0))


# The cache: A (m), B (m), and the product of all A_j + B_j of each block.


@inline
def _exponential_start(x, p, cache):
    m = uint64(p[2].shape[0])
    _fill_fields(x, p, cache[:m])
    for start in range(uint64(0), m, BLOCK):
        product = 1.0
        for j in range(start, min(start + BLOCK, m)):
            small = math.exp(-2.0 * abs(cache[j]))
            large = 1.0 / (1.0 + small)
            small *= large
            cache[j], cache[m + j] = (large, small) if cache[j] > 0.0 else (small, large)
            product *= cache[j] + cache[m + j]
        cache[m + m + start // BLOCK] = product


# One way out of each, and no view of a row: else numba counts references to the arrays at every proposal.


@inline
def _exponential_change(x, site, value, p, cache):
    i, m = uint64(site), uint64(p[2].shape[0])
    moved, still = _halves(x, site, value, m)
    log_ratio = (float(value) - x[site]) * p[1][i] + p[4][i]
    for start in range(uint64(0), m, BLOCK):
        product = 1.0
        for j in range(start, min(start + BLOCK, m)):
            product = times(product, cache[moved + j] * p[3][i, j] + cache[still + j])
        log_ratio += math.log(product / cache[m + m + start // BLOCK])
    return -2.0 * log_ratio if value != x[site] else 0.0


@inline
def _exponential_update(x, site, value, p, cache):
    i, m = uint64(site), uint64(p[2].shape[0])
    moved, still = _halves(x, site, value, m)
    if value != x[site]:
        for start in range(uint64(0), m, BLOCK):
            product = 1.0
            for j in range(start, min(start + BLOCK, m)):
                a, b = cache[moved + j] * p[3][i, j], cache[still + j]
                scale = _scale(a + b)
                cache[moved + j], cache[still + j] = scale * a, scale * b
                product = times(product, scale * a + scale * b)
            cache[m + m + start // BLOCK] = product


_BY_EXPONENTIALS = functions(
    _energy, None, _change, Cached(_exponential_start, _exponential_change, _exponential_update)
)
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
        size = np.abs(self.W)
        field = float((np.abs(self.b) + size.sum(0)).max())
        change = 4.0 * float(np.add.reduceat(size, np.arange(0, m, int(BLOCK)), axis=1).max())
        if field <= MOST_FIELD and change <= MOST_CHANGE:
            params = (self.W, self.a, self.b, np.exp(-4.0 * self.W), 2.0 * self.W.sum(1))
            self._functions = _BY_EXPONENTIALS.holding(params, size=2 * m + -(-m // int(BLOCK)))
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
