"""Closed forms for the q-state Potts model on the square lattice and for the chain of XY spins.

    Potts: E(s) = -sum_<ij> delta(s_i, s_j),   s = 0 .. q-1          XY: E(t) = -sum_<ij> cos(t_i - t_j)

The coupling is the unit of energy: temperatures are in J / k_B and beta in 1/J.
"""

import math

from scipy.special import ive

from ebm.exact.arguments import integer, positive


def potts_critical_temperature(q: int) -> float:
    """Return the transition temperature of the square lattice, T_c = 1 / ln(1 + sqrt q) (Potts 1952; Baxter 1973).

    Args:
        q: number of states, at least 2; the transition is continuous for q <= 4 and of first order beyond.
    Returns:
        T_c in J / k_B; for q = 2 half of Ising's, since delta(s, s') = (1 + s s') / 2.
    Raises:
        ValueError: q below 2.

    >>> round(potts_critical_temperature(3), 7)
    0.9949729
    """
    return 1.0 / math.log1p(math.sqrt(integer(q, "q", 2)))


def potts_critical_energy(q: int) -> float:
    """Return the mean energy per site of the square lattice at T_c, -(1 + 1/sqrt q) (Baxter 1973).

    Args:
        q: number of states, at least 2.
    Returns:
        the energy in J; for q > 4 the midpoint of the two coexisting phases.
    Raises:
        ValueError: q below 2.

    >>> potts_critical_energy(4)
    -1.5
    """
    return -(1.0 + 1.0 / math.sqrt(integer(q, "q", 2)))


def xy_chain_energy(beta: float) -> float:
    """Return the mean energy per bond of an open chain of XY spins, -I_1(beta) / I_0(beta) (Stanley 1969).

    Args:
        beta: inverse temperature, in 1/J, positive.
    Returns:
        the energy in J, the same for every bond and every length of the chain.
    Raises:
        ValueError: beta not positive.

    >>> round(xy_chain_energy(1.0), 7)
    -0.44639
    """
    beta = positive(beta, "beta")
    return float(-ive(1, beta) / ive(0, beta))
