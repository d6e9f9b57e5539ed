"""The infinite square Ising model without a field (Onsager 1944), per site.

    E(s) = -sum_<ij> s_i s_j,      coupling J = 1, so that beta is in 1/J;      T_c = 2 / ln(1 + sqrt 2)

The modulus of the elliptic integrals is k = 2 sinh(2 beta) / cosh^2(2 beta), with k' = 2 tanh^2(2 beta) - 1 beside it,
k^2 + k'^2 = 1: negative above T_c, zero at T_c and positive below. The integrals are computed from k'^2, which stays
accurate where k is close to 1.
"""

import itertools
import math

from scipy.special import ellipe, ellipkm1

from ebm.exact.arguments import positive


def onsager_critical_temperature() -> float:
    """Return T_c = 2 / ln(1 + sqrt 2), in J / k_B (Kramers and Wannier 1941).

    >>> round(onsager_critical_temperature(), 7)
    2.2691853
    """
    return 2.0 / math.log1p(math.sqrt(2.0))


def onsager_log_z(beta: float) -> float:
    """Return ln Z per site.

        ln Z / N = ln(2 cosh 2 beta) + (1/pi) int_0^{pi/2} ln[(1 + sqrt(1 - k^2 sin^2 t)) / 2] dt

    Args:
        beta: inverse temperature, in 1/J, positive.
    Returns:
        ln Z / N in the limit of an infinite lattice; absolute error below 1e-12.
    Raises:
        ValueError: beta not positive.

    >>> round(onsager_log_z(1 / onsager_critical_temperature()), 7)
    0.9296954
    """
    from scipy.integrate import quad  # a third of a second to import, and only this function needs it

    complement = _complement(positive(beta, "beta"))

    def integrand(angle: float) -> float:
        # With the angle counted from pi/2, where the root is smallest and nearly singular close to T_c.
        return math.log1p(math.hypot(math.sin(angle), complement * math.cos(angle)))

    knee = min(abs(complement), 1.0)
    pieces = [0.0, *(point for point in (knee, 32.0 * knee) if 0.0 < point < math.pi / 2), math.pi / 2]
    integral = sum(
        quad(integrand, low, high, epsabs=1e-14, epsrel=1e-13, limit=200)[0] for low, high in itertools.pairwise(pieces)
    )
    # ln(2 cosh 2 beta) without overflow; the 1/2 in the logarithm gives -ln(2)/2.
    return 2.0 * beta + math.log1p(math.exp(-4.0 * beta)) + integral / math.pi - math.log(2.0) / 2.0


def onsager_energy(beta: float) -> float:
    """Return the mean energy per site, in J; arguments and errors as in `onsager_log_z`.

        u = -coth(2 beta) [1 + (2/pi) k' K(k)]

    The absolute error is about 1e-16 (1 + 1/beta).

    >>> round(onsager_energy(1 / 2.5), 7)
    -1.1060792
    """
    beta = positive(beta, "beta")
    complement = _complement(beta)
    # k' K(k) -> 0 at T_c, where K diverges as a logarithm.
    product = complement * float(ellipkm1(complement**2)) if complement else 0.0
    return -(1.0 + 2.0 / math.pi * product) / math.tanh(2.0 * beta)


def onsager_heat_capacity(beta: float) -> float:
    """Return the heat capacity per site, in k_B; infinite at T_c; arguments and errors as in `onsager_log_z`.

        C = (2/pi) (beta coth 2 beta)^2 {2 K(k) - 2 E(k) - (1 - k') [pi/2 + k' K(k)]}

    >>> round(onsager_heat_capacity(1 / 2.5), 7)
    0.8616984
    """
    beta = positive(beta, "beta")
    complement = _complement(beta)
    if complement == 0.0:
        return math.inf
    first, second = float(ellipkm1(complement**2)), float(ellipe(1.0 - complement**2))
    bracket = 2.0 * (first - second) - (1.0 - complement) * (math.pi / 2.0 + complement * first)
    return 2.0 / math.pi * (beta / math.tanh(2.0 * beta)) ** 2 * bracket


def onsager_magnetisation(beta: float) -> float:
    """Return the spontaneous magnetisation per site, (1 - sinh^-4(2 beta))^(1/8) below T_c and 0 above (Yang 1952).

    Args:
        beta: inverse temperature, in 1/J, positive.
    Returns:
        the limit of <s> as the field goes to zero from above, from 0 to 1.
    Raises:
        ValueError: beta not positive.

    >>> round(onsager_magnetisation(0.5), 7)
    0.9113194
    """
    beta = positive(beta, "beta")
    inverse = 2.0 * math.exp(-2.0 * beta) / -math.expm1(-4.0 * beta)  # 1 / sinh(2 beta)
    return max(0.0, 1.0 - inverse**4) ** 0.125 if inverse < 1.0 else 0.0


def _complement(beta: float) -> float:
    """Return k' = 2 tanh^2(2 beta) - 1."""
    return 2.0 * math.tanh(2.0 * beta) ** 2 - 1.0
