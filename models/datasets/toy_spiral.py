"""Two spiral arms, blurred: the "2 spirals" of the plane.

    x = +-scale (-n cos n + jitter u', n sin n + jitter u'') + noise (g, g'),    n = 2 pi turns sqrt(u)

with u, u', u'' uniform on (0, 1), g, g' standard normal and both signs equally likely; turns = 3/2, jitter = 1/2,
scale = 1/3, noise = 0.1 in the published set (Grathwohl et al., 2019).

The density of one arm is an integral along it. With h the density of (scale jitter) u' + noise g, which is a difference
of error functions, and c(n) = scale (-n cos n, n sin n),

    q(x) = integral_0^1 du  h(x_1 - c_1(n)) h(x_2 - c_2(n)),        p(x) = (q(x) + q(-x)) / 2

Gauss-Legendre panels a few noise widths long give it to rounding, since the integrand is analytic in n.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from models.datasets.arguments import as_points, plane_entropy, require_integer, require_positive


@dataclass(frozen=True)
class TwoSpirals:
    """Two spiral arms that start at the origin, one the point reflection of the other.

    Arguments:
        turns: of each arm around the origin
        jitter: side of the square over which points spread uniformly, before scaling
        scale: from the parameter n to the plane of x
        noise: standard deviation of the Gaussian blur
    Raises: ``ValueError`` where one of them is not positive.
    """

    turns: float = 1.5
    jitter: float = 0.5
    scale: float = 1 / 3
    noise: float = 0.1

    def __post_init__(self) -> None:
        require_positive(turns=self.turns, jitter=self.jitter, scale=self.scale, noise=self.noise)

    def sample(self, n: int, seed: int | np.random.Generator) -> NDArray[np.float64]:
        """Draw ``n`` independent points, (n, 2)."""
        require_integer("n", n, 0)
        rng = np.random.default_rng(seed)
        angle = 2 * np.pi * self.turns * np.sqrt(rng.random(n))
        curve = np.column_stack((-angle * np.cos(angle), angle * np.sin(angle)))
        sign = rng.choice([-1.0, 1.0], size=(n, 1))
        return sign * self.scale * (curve + self.jitter * rng.random((n, 2))) + self.noise * rng.standard_normal((n, 2))

    def log_prob(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the log density in nats at points ``x`` (n, 2), as (n,).

        Right to 1e-10 where it is above -100, and to a relative 1e-4 in the tails beyond.
        """
        return _log_density(as_points(x), *self._nodes, self.scale * self.jitter, self.noise)

    @cached_property
    def entropy(self) -> float:
        """The entropy in nats, by quadrature over the plane, right to 1e-8."""
        reach = self.scale * (2 * np.pi * self.turns + self.jitter) + 9 * self.noise
        return plane_entropy(self.log_prob, reach, self.noise / 2)

    @cached_property
    def _nodes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Quadrature nodes along an arm: their points c (m, 2) and weights (m,), which sum to one."""
        end = 2 * np.pi * self.turns
        n = np.linspace(0, end, 4097)
        length = self.scale * (n * np.hypot(1, n) + np.arcsinh(n)) / 2  # along the curve, from its start
        panels = int(np.ceil(length[-1] / (2.5 * self.noise)))
        edges = np.interp(np.linspace(0, length[-1], panels + 1), length, n)
        node, weight = np.polynomial.legendre.leggauss(16)
        half = np.diff(edges)[:, None] / 2
        angle = (edges[:-1, None] + half * (1 + node)).ravel()
        weight = (half * weight).ravel() * 2 * angle / end**2  # du = 2 n dn / end^2
        return self.scale * np.column_stack((-angle * np.cos(angle), angle * np.sin(angle))), weight


def spiral(turns: float = 1.5, jitter: float = 0.5, scale: float = 1 / 3, noise: float = 0.1) -> TwoSpirals:
    """Two spiral arms; see `TwoSpirals`.

    >>> data = spiral()
    >>> data.log_prob(data.sample(3, seed=0)).shape
    (3,)
    >>> round(data.entropy, 4)
    2.6455
    """
    return TwoSpirals(turns, jitter, scale, noise)


@njit(cache=True, error_model="numpy")
def _log_erfc(t: float) -> float:
    """ln erfc(t), by its asymptotic series where erfc would underflow."""
    if t < 25:
        return math.log(math.erfc(t))
    v = 1 / (2 * t * t)
    return -t * t - math.log(t * math.sqrt(math.pi)) + math.log1p(-v * (1 - 3 * v * (1 - 5 * v)))


@njit(cache=True, error_model="numpy")
def _log_blurred(z: float, width: float, noise: float) -> float:
    """ln h(z), h the density of a uniform number on (0, width) plus noise times a standard normal."""
    z = abs(z - width / 2)  # h is even about its middle, and one tail of erfc is exact
    near = (z - width / 2) / (noise * math.sqrt(2.0))
    beyond = (z + width / 2) / (noise * math.sqrt(2.0))
    if near < 25:
        return math.log((math.erfc(near) - math.erfc(beyond)) / (2 * width))
    log_near = _log_erfc(near)
    return log_near + math.log1p(-math.exp(_log_erfc(beyond) - log_near)) - math.log(2 * width)


@njit(cache=True, error_model="numpy")
def _log_density(
    x: NDArray[np.float64], c: NDArray[np.float64], weight: NDArray[np.float64], width: float, noise: float
) -> NDArray[np.float64]:
    """Log density at x (n, 2), from nodes c (m, 2) along an arm and their weights (m,)."""
    result = np.empty(len(x))
    exponent = np.empty((2, len(c)))
    for i in range(len(x)):
        smallest = np.inf
        for arm in range(2):
            for k in range(len(c)):  # squared distance to the node's square, in units of 2 noise^2
                d1 = max(0.0, abs((1 - 2 * arm) * x[i, 0] - c[k, 0] - width / 2) - width / 2)
                d2 = max(0.0, abs((1 - 2 * arm) * x[i, 1] - c[k, 1] - width / 2) - width / 2)
                exponent[arm, k] = (d1 * d1 + d2 * d2) / (2 * noise * noise)
                smallest = min(smallest, exponent[arm, k])
        if smallest == np.inf:
            result[i] = -np.inf
            continue
        total = 0.0
        for arm in range(2):
            for k in range(len(c)):
                if exponent[arm, k] < smallest + 45:  # the others are below rounding
                    log_h1 = _log_blurred((1 - 2 * arm) * x[i, 0] - c[k, 0], width, noise)
                    log_h2 = _log_blurred((1 - 2 * arm) * x[i, 1] - c[k, 1], width, noise)
                    total += weight[k] * math.exp(log_h1 + log_h2 + smallest)
        result[i] = math.log(total / 2) - smallest
    return result
