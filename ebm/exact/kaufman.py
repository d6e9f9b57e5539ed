"""The square Ising model on an l x l torus, exactly at any size (Kaufman 1949; Ferdinand and Fisher 1969).

    E(s) = -sum_<ij> s_i s_j over the 2 l^2 bonds (side 2 has double bonds), no field, coupling J = 1; K = beta

    Z = (1/2) (2 sinh 2K)^{l^2/2} [ prod_r 2 cosh(l g_{2r+1}/2) + prod_r 2 sinh(l g_{2r+1}/2)
                                  + prod_r 2 cosh(l g_{2r}/2)   + prod_r 2 sinh(l g_{2r}/2) ],      r = 0 .. l-1
    cosh g_r = cosh^2(2K) / sinh(2K) - cos(pi r / l),      g_0 = 2K + ln tanh K

g_0 is negative above T_c, zero at T_c and positive below, and with it the fourth product; all others g_r are positive.

How it stays accurate for every l and K. With S = sinh 2K the formula knows only S + 1/S beside g_0 (duality), so let
s = min(S, 1/S) and g = e(s) - ln s, where e is smooth down to s = 0. The factors of g_0 are written out,

    S^{l/2} 2 cosh or sinh (l g_0/2) = p +- m,      p = ((e^{2K} - 1)/sqrt 2)^l,   m = ((1 + e^{-2K})/sqrt 2)^l,

which leaves six terms +-exp(A_i(K)) with smooth A_i. Then ln Z is a signed log-sum-exp, and with the signed weights
w_i = +-exp(A_i)/Z its derivatives by K are <A'> and <A''> + <(A' - <A'>)^2>.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ebm.exact.arguments import integer, positive

SIGNS = np.array([1.0, 1.0, 1.0, 1.0, 1.0, -1.0])


def kaufman_log_z(l: int, beta: float) -> float:
    """Total ln Z of the l x l torus.

    Args:
        l: side of the lattice, at least 2; time and memory grow as l.
        beta: inverse temperature, in 1/J, positive.
    Returns:
        ln Z of all l^2 spins; relative error about 1e-15.
    Raises:
        ValueError: l below 2 or beta not positive.

    >>> round(kaufman_log_z(4, beta=math.log(1 + math.sqrt(2)) / 2), 7)
    15.5219155
    """
    return _derivatives(l, beta)[0]


def kaufman_energy(l: int, beta: float) -> float:
    """Mean energy per site, -(d ln Z / d beta) / l^2, in J; absolute error below 1e-14.

    Arguments and errors as in `kaufman_log_z`.

    >>> round(kaufman_energy(4, beta=math.log(1 + math.sqrt(2)) / 2), 7)
    -1.5656238
    """
    return -_derivatives(l, beta)[1] / l**2


def kaufman_heat_capacity(l: int, beta: float) -> float:
    """Heat capacity per site, beta^2 (d^2 ln Z / d beta^2) / l^2 = beta^2 Var(E) / l^2, in k_B.

    Arguments and errors as in `kaufman_log_z`; the absolute error grows to about 1e-15 l at T_c.

    >>> round(kaufman_heat_capacity(4, beta=math.log(1 + math.sqrt(2)) / 2), 7)
    0.7832668
    """
    return _derivatives(l, beta)[2] * beta**2 / l**2


class _Jet(NamedTuple):
    """A function of K: its value and its first two derivatives."""

    value: NDArray[np.float64]
    first: NDArray[np.float64]
    second: NDArray[np.float64]

    def total(self, l: int) -> NDArray[np.float64]:
        """Return l/2 times the sum of a function over r, with its derivatives: (3,)."""
        return l / 2 * np.array([self.value.sum(), self.first.sum(), self.second.sum()])


def _derivatives(l: int, beta: float) -> tuple[float, float, float]:
    """Return ln Z and its first two derivatives by K."""
    l, beta = integer(l, "l", 2), positive(beta, "beta")
    value, first, second = _terms(l, beta).T
    largest = value.max()
    weight = SIGNS * np.exp(value - largest)
    z = weight.sum()
    weight /= z
    reference = first[value.argmax()]  # shifted before it is averaged: the A' are large and nearly equal
    shift = weight @ (first - reference)
    variance = weight @ (second + (first - reference - shift) ** 2)
    return float(largest + math.log(z)), float(reference + shift), float(variance)


def _terms(l: int, beta: float) -> NDArray[np.float64]:
    """Return A, A', A'' of the six terms, (6, 3), in the order of SIGNS."""
    prefactor = (l**2 / 2 - 1) * math.log(2.0)
    odd, decay_odd = _mode(np.pi * (2 * np.arange(l) + 1) / l, beta, l)
    even, decay_even = _mode(np.pi * (2 * np.arange(1, l)) / l, beta, l)
    rows = []
    for sign in (1.0, -1.0):
        rows.append(odd.total(l) + _log_one_plus(sign, decay_odd))
    q, rest = math.exp(-2.0 * beta), -math.expm1(-2.0 * beta)
    log_p = l * np.array([2.0 * beta + math.log(rest / math.sqrt(2.0)), 2.0 / rest, -4.0 * q / rest**2])
    log_m = l * np.array([math.log1p(q) - math.log(2.0) / 2, -2.0 * q / (1.0 + q), 4.0 * q / (1.0 + q) ** 2])
    for sign in (1.0, -1.0):
        for g_0 in (log_p, log_m):
            rows.append(g_0 + even.total(l) + _log_one_plus(sign, decay_even))
    terms = np.array(rows)
    terms[:, 0] += prefactor
    return terms


def _mode(angle: NDArray[np.float64], beta: float, l: int) -> tuple[_Jet, _Jet]:
    """Return g + ln S and l g of the modes with the given angles, which must not be zero."""
    s, s_1, s_2, log_s = _reduced_coupling(beta)
    x, one_minus_x = np.cos(angle), 2.0 * np.sin(angle / 2) ** 2
    w = 1.0 + s**2 - s * x  # s cosh g
    low = (1.0 - s) ** 2 + s * one_minus_x  # w - s, without cancellation near T_c
    root = np.sqrt(low * (w + s))  # s sinh g
    # e = ln(w + root) and its derivatives by s
    e = np.log(w + root)
    w_s = 2.0 * s - x
    root_s = (w * w_s - s) / root
    e_s = (3.0 * s + s * x**2 - 2.0 * x - 2.0 * s**2 * x) / (root * (root + 1.0 - s**2))
    e_ss = (2.0 + (w_s**2 + 2.0 * w - 1.0 - root_s**2) / root) / (w + root) - e_s**2
    first, second = e_s * s_1, e_ss * s_1**2 + e_s * s_2
    gap = _Jet(l * (e - log_s[0]), l * (first - log_s[1]), l * (second - log_s[2]))
    # g + ln S = e + ln S - ln s, and ln S is ln s above T_c and -ln s below.
    dual = np.zeros(3) if _is_disordered(beta) else -2.0 * log_s
    return _Jet(e + dual[0], first + dual[1], second + dual[2]), gap


def _is_disordered(beta: float) -> bool:
    """Whether S = sinh 2K is at most 1, which is T_c and above; K may be too large for the sinh itself."""
    return beta < 1.0 and math.sinh(2.0 * beta) <= 1.0


def _reduced_coupling(beta: float) -> tuple[float, float, float, NDArray[np.float64]]:
    """Return s = min(S, 1/S), ds/dK, d^2s/dK^2, and ln s with its two derivatives, for S = sinh 2K."""
    rest = -math.expm1(-4.0 * beta)
    coth = (2.0 - rest) / rest
    if _is_disordered(beta):
        s = math.sinh(2.0 * beta)
        return s, 2.0 * math.cosh(2.0 * beta), 4.0 * s, np.array([math.log(s), 2.0 * coth, -4.0 / s**2])
    s = 2.0 * math.exp(-2.0 * beta) / rest
    log_s = np.array([-2.0 * beta - math.log(rest / 2.0), -2.0 * coth, 4.0 * s**2])
    return s, -2.0 * coth * s, 4.0 * s * (1.0 + 2.0 * s**2), log_s


def _log_one_plus(sign: float, gap: _Jet) -> NDArray[np.float64]:
    """Return the sum over r of ln(1 + sign e^-y), y = l g_r, with its derivatives: (3,)."""
    y, y_1, y_2 = gap
    decay = np.exp(-y)
    whole = 1.0 + decay if sign > 0 else -np.expm1(-y)
    ratio = sign * decay / whole
    second = -ratio * y_2 + ratio / whole * y_1**2
    return np.array([np.log(whole).sum(), (-ratio * y_1).sum(), second.sum()])
