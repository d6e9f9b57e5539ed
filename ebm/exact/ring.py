"""The Ising ring: n spins s = -1, +1 on a circle, by its transfer matrix (Ising 1925; Kramers and Wannier 1941).

    E(s) = -sum_i s_i s_{i+1} - field sum_i s_i,      s_{n+1} = s_1,      p(s) = exp(-beta E(s)) / Z

The coupling is the unit of energy, so beta is in 1/J and field in J: for another J pass beta * J and field / J.
The transfer matrix exp(beta s s' + beta field (s + s')/2) is symmetric with eigenvalues

    lambda_+- = e^beta cosh(beta field) +- sqrt(e^{2 beta} sinh^2(beta field) + e^{-2 beta}),

and eigenvectors (cos, sin) of half the angle pi/2 - phi, where tan(phi) = e^{2 beta} sinh(beta field). Everything below
is a trace of its powers. A ring of two spins has a double bond, as the sum over i says.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ebm.exact.arguments import finite, integer, positive


def ring_log_z(n: int, beta: float, field: float = 0.0) -> float:
    """Total ln Z of the ring.

        Z = lambda_+^n + lambda_-^n

    Args:
        n: number of spins, at least 2.
        beta: inverse temperature, in 1/J, positive.
        field: magnetic field, in J.
    Returns:
        ln Z of the whole ring.
    Raises:
        ValueError: n below 2, beta not positive, field not finite.

    >>> round(ring_log_z(10, beta=0.5), 7)
    8.1330609
    """
    n, beta, field = _checked(n, beta, field)
    log_plus = _log_eigenvalues(beta, field)[0, 0]
    return float(n * log_plus + math.log1p(_eigenvalue_ratio(beta, field) ** n))


def ring_energy(n: int, beta: float, field: float = 0.0) -> float:
    """Mean energy per spin, -(<s_0 s_1> + field <s>), in J; arguments and errors as in `ring_log_z`.

    >>> round(ring_energy(10, beta=0.5), 7)
    -0.4628727
    """
    return -(ring_correlation(n, beta, 1, field) + field * ring_magnetisation(n, beta, field))


def ring_heat_capacity(n: int, beta: float, field: float = 0.0) -> float:
    """Heat capacity per spin at constant field, in k_B; arguments and errors as in `ring_log_z`.

        C = (beta^2 / n) d^2 ln Z / d beta^2 = beta^2 Var(E) / n

    With l_+- = ln lambda_+- and weights w_+- = lambda_+-^n / Z the derivative is n (<l''> + n Var(l')) under w.

    >>> round(ring_heat_capacity(10, beta=0.5), 7)
    0.1993289
    """
    n, beta, field = _checked(n, beta, field)
    _, first, second = _log_eigenvalues(beta, field)
    power = _eigenvalue_ratio(beta, field) ** n
    weight = np.array([1.0, power]) / (1.0 + power)
    mean = weight @ first
    return float(beta**2 * (weight @ second + n * (weight @ (first - mean) ** 2)))


def ring_magnetisation(n: int, beta: float, field: float = 0.0) -> float:
    """Mean of a spin, <s>; arguments and errors as in `ring_log_z`.

        <s> = sin(phi) (lambda_+^n - lambda_-^n) / Z

    >>> round(ring_magnetisation(10, beta=0.5, field=0.1), 7)
    0.1346192
    """
    n, beta, field = _checked(n, beta, field)
    power = _eigenvalue_ratio(beta, field) ** n
    return math.sin(_mixing_angle(beta, field)) * (1.0 - power) / (1.0 + power)


def ring_correlation(n: int, beta: float, r: int, field: float = 0.0) -> float:
    """Correlation <s_0 s_r> of two spins at distance r, the means not subtracted.

        <s_0 s_r> = sin^2(phi) + cos^2(phi) (t^r + t^{n-r}) / (1 + t^n),      t = lambda_- / lambda_+

    Args:
        n: number of spins, at least 2.
        beta: inverse temperature, in 1/J, positive.
        r: distance along the ring, from 0 to n.
        field: magnetic field, in J.
    Returns:
        the correlation, between -1 and 1.
    Raises:
        ValueError: n below 2, r outside 0..n, beta not positive, field not finite.

    >>> round(ring_correlation(10, beta=0.5, r=5), 7)
    0.0421306
    """
    n, beta, field = _checked(n, beta, field)
    r = integer(r, "r", 0, n)
    t = _eigenvalue_ratio(beta, field)
    phi = _mixing_angle(beta, field)
    return math.sin(phi) ** 2 + math.cos(phi) ** 2 * (t**r + t ** (n - r)) / (1.0 + t**n)


def _checked(n: int, beta: float, field: float) -> tuple[int, float, float]:
    return integer(n, "n", 2), positive(beta, "beta"), finite(field, "field")


def _scaled(beta: float, field: float) -> tuple[float, float, float]:
    """Return cosh(x), sinh(x) and e^{-2 beta}, each divided by e^|x|, x = beta field: nothing can overflow."""
    x = beta * field
    decay = math.exp(-2.0 * abs(x))
    return (1.0 + decay) / 2.0, math.copysign(-math.expm1(-2.0 * abs(x)) / 2.0, x), math.exp(-2.0 * beta - abs(x))


def _mixing_angle(beta: float, field: float) -> float:
    """Return phi, zero without a field and +-pi/2 in a strong one."""
    _, sinh, q = _scaled(beta, field)
    return math.atan2(sinh, q) if field else 0.0


def _eigenvalue_ratio(beta: float, field: float) -> float:
    """Return lambda_- / lambda_+ = 2 sinh(2 beta) / lambda_+^2, free of the cancellation in lambda_-."""
    if field == 0.0:
        return math.tanh(beta)
    cosh, sinh, q = _scaled(beta, field)
    # lambda_+^2 = e^{2 beta + 2|x|} (...)^2, and 2 sinh(2 beta) = e^{2 beta} (1 - e^{-4 beta})
    return -math.expm1(-4.0 * beta) * math.exp(-2.0 * abs(beta * field)) / (cosh + math.hypot(sinh, q)) ** 2


def _log_eigenvalues(beta: float, field: float) -> NDArray[np.float64]:
    """Return ln lambda_+- and its first two derivatives by beta: (derivative 0..2, sign + -)."""
    if field == 0.0:  # lambda_+ = 2 cosh(beta), lambda_- = 2 sinh(beta)
        tail = math.exp(-2.0 * beta)
        tanh, shrink = math.tanh(beta), -math.expm1(-2.0 * beta)
        curvature = [4.0 * tail / (1.0 + tail) ** 2, -4.0 * tail / shrink**2]  # 1/cosh^2 and -1/sinh^2
        return np.array([[beta + math.log1p(tail), beta + math.log(shrink)], [tanh, 1.0 / tanh], curvature])
    cosh, sinh, q = _scaled(beta, field)
    root = math.hypot(sinh, q)
    sin, cos = sinh / root, q / root
    # Derivatives by beta at fixed field of e^beta cosh(x), e^beta sinh(x) and q = e^{-beta}, all over e^{beta + |x|}.
    cosh_1, cosh_2 = cosh + field * sinh, (1.0 + field**2) * cosh + 2.0 * field * sinh
    sinh_1, sinh_2 = sinh + field * cosh, (1.0 + field**2) * sinh + 2.0 * field * cosh
    root_1 = sin * sinh_1 - cos * q
    root_2 = (cos * sinh_1 + sin * q) ** 2 / root + sin * sinh_2 + cos * q
    first = (cosh_1 + root_1) / (cosh + root)
    second = (cosh_2 + root_2) / (cosh + root) - first**2
    log_plus = beta + abs(beta * field) + math.log(cosh + root)
    # lambda_- follows from lambda_+ lambda_- = 2 sinh(2 beta).
    shrink = -math.expm1(-4.0 * beta)
    log_product = 2.0 * beta + math.log(shrink)
    product_1, product_2 = 2.0 * (2.0 - shrink) / shrink, -16.0 * math.exp(-4.0 * beta) / shrink**2
    return np.array([[log_plus, log_product - log_plus], [first, product_1 - first], [second, product_2 - second]])
