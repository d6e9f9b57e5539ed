"""The transverse-field Ising chain in its ground state, by free fermions (Lieb, Schultz, Mattis 1961; Pfeuty 1970).

    H = -sum_i z_i z_{i+1} - h sum_i x_i,      z_{n+1} = z_1,      x and z Pauli matrices of n spins on a ring

The coupling is the unit of energy. The ground state has even fermion parity, so momenta are half-odd:

    E = -sum_k e(k),      e(k) = sqrt(1 + h^2 - 2 h cos k),      k = pi (2 m + 1) / n,      m = 0 .. n - 1

At h = 1 this is -2 / sin(pi / 2n). A rotation about z turns h and <x> around. A ring of two has a double bond.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ebm.exact.arguments import finite, integer


def tfim_energy(n: int, h: float) -> float:
    """Ground-state energy of the whole ring, in units of the coupling.

    Args:
        n: number of spins, at least 2.
        h: transverse field, in units of the coupling.
    Returns:
        E of all spins together.
    Raises:
        ValueError: n below 2, h not finite.

    >>> round(tfim_energy(10, 1.0), 8)
    -12.78490644
    """
    n, h = integer(n, "n", 2), abs(finite(h, "h"))
    return -math.fsum(_gaps(_momenta(n), h))


def tfim_magnetisation(n: int, h: float) -> float:
    """Transverse magnetisation <x> per spin, -(1/n) dE/dh; arguments and errors as in `tfim_energy`.

        <x> = (1/n) sum_k (h - cos k) / e(k)

    >>> round(tfim_magnetisation(10, 1.0), 7)
    0.6392453
    """
    n, h = integer(n, "n", 2), finite(h, "h")
    k = _momenta(n)
    return math.copysign(1.0, h) * float(np.mean((abs(h) - np.cos(k)) / _gaps(k, abs(h)))) if h else 0.0


def tfim_correlation(n: int, h: float, r: int) -> float:
    """Correlation <z_0 z_r> of two spins at distance r along the ring.

    The determinant of the r x r Toeplitz matrix D(i - j), with

        D(l) = (1/n) sum_k e^{ikl} (1 - h e^{ik}) / e(k)

    Args:
        n: number of spins, at least 2.
        h: transverse field, in units of the coupling.
        r: distance, from 0 to n.
    Returns:
        the correlation, between 0 and 1.
    Raises:
        ValueError: n below 2, r outside 0..n, h not finite.

    >>> round(tfim_correlation(10, 1.0, 1), 7)  # at the critical point <z z> = <x>
    0.6392453
    """
    n, h, r = integer(n, "n", 2), abs(finite(h, "h")), integer(r, "r", 0, n)
    k = _momenta(n)
    distance = np.arange(r)[:, None] - np.arange(r)
    lags = np.arange(1 - r, r)
    phase = np.exp(1j * k)
    series = (np.exp(1j * np.outer(lags, k)) @ ((1.0 - h * phase) / _gaps(k, h))).real / n
    return float(np.linalg.det(series[distance + r - 1])) if r else 1.0


def _momenta(n: int) -> NDArray[np.float64]:
    return np.pi * (2 * np.arange(n) + 1) / n


def _gaps(k: NDArray[np.float64], h: float) -> NDArray[np.float64]:
    """Return e(k), written so that nothing cancels near the critical point."""
    return np.hypot(1.0 - h, 2.0 * math.sqrt(h) * np.sin(k / 2.0))
