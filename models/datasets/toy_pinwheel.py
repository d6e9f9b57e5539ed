"""Arms twisted around the origin, each a Gaussian bent by an angle that grows with the distance: the "pinwheel".

    f = (1 + s g, t g'),   a = 2 pi k / K + rate exp(f_1),   x = scale (f_1 cos a + f_2 sin a, -f_1 sin a + f_2 cos a)

with g, g' standard normal and the arm k uniform; K = 5, s = 0.3, t = 0.1, rate = 1/4, scale = 2 in the published set
(Johnson et al., 2016; Grathwohl et al., 2019).

The density is a change of variables. The map keeps the radius r = |f| = |x| / scale and turns the polar angle phi of f
into that of x, theta = phi - rate exp(r cos phi) - 2 pi k / K. Hence, with u(phi) = phi - rate exp(r cos phi),

    p(x) = 1 / (K scale^2)  sum over all phi with u(phi) = theta mod 2 pi / K  of  N(f(r, phi)) / |u'(phi)|

Far out u turns back between two angles, where one arm overlaps itself; then there are more roots than K.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from models.datasets.arguments import as_points, require_integer, require_positive


@dataclass(frozen=True)
class Pinwheel:
    """``arms`` Gaussians on the unit circle, bent and scaled as the module's formula says.

    Arguments:
        arms: how many, K
        radial_std: standard deviation s along an arm, before scaling
        tangential_std: standard deviation t across an arm, at most s
        rate: the angle in radians by which an arm turns per unit of exp(f_1)
        scale: from the unit circle to the plane of x
    Raises: ``ValueError`` or ``TypeError`` where one is not positive or t exceeds s.
    """

    arms: int = 5
    radial_std: float = 0.3
    tangential_std: float = 0.1
    rate: float = 0.25
    scale: float = 2.0

    def __post_init__(self) -> None:
        require_integer("arms", self.arms, 1)
        require_positive(radial_std=self.radial_std, tangential_std=self.tangential_std)
        require_positive(rate=self.rate, scale=self.scale)
        if self.tangential_std > self.radial_std:
            raise ValueError(
                f"tangential_std must be at most radial_std ({self.radial_std}), got {self.tangential_std}"
            )

    def sample(self, n: int, seed: int | np.random.Generator) -> NDArray[np.float64]:
        """Draw ``n`` independent points, (n, 2)."""
        require_integer("n", n, 0)
        rng = np.random.default_rng(seed)
        g = rng.standard_normal((n, 2))
        return self._bend(g, rng.integers(self.arms, size=n))

    def log_prob(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the log density in nats at points ``x`` (n, 2), as (n,).

        Right to 1e-10 out to ln(300 / rate) from the origin before scaling (14.2 in x, where the density is exp(-200)).
        Beyond, an arm winds too fast for any picture, and the mean over the angle is given.
        """
        far = max(math.log(300 / self.rate), 1 + 15 * self.radial_std)
        y = as_points(x) / self.scale
        log_p = _log_density(y, self.arms, self.radial_std, self.tangential_std, self.rate, far)
        return log_p - 2 * math.log(self.scale)

    @cached_property
    def entropy(self) -> float:
        """The entropy in nats, by quadrature over g and g', right to 1e-6; one arm stands for all."""
        axis, spacing = np.linspace(-7.5, 7.5, 301, retstep=True)
        g = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        g = g[np.sum(g**2, axis=1) < 7.5**2]
        weight = np.exp(-0.5 * np.sum(g**2, axis=1)) * spacing**2 / (2 * np.pi)
        return float(-weight @ self.log_prob(self._bend(g, np.zeros(len(g), dtype=int))))

    def _bend(self, g: NDArray[np.float64], arm: NDArray[np.integer]) -> NDArray[np.float64]:
        """Map standard normals ``g`` (n, 2) and arms (n,) to points of the plane (n, 2)."""
        f1, f2 = 1 + self.radial_std * g[:, 0], self.tangential_std * g[:, 1]
        a = 2 * np.pi * arm / self.arms + self.rate * np.exp(f1)
        return self.scale * np.column_stack((f1 * np.cos(a) + f2 * np.sin(a), -f1 * np.sin(a) + f2 * np.cos(a)))


def pinwheel(
    arms: int = 5, radial_std: float = 0.3, tangential_std: float = 0.1, rate: float = 0.25, scale: float = 2.0
) -> Pinwheel:
    """Five twisted arms, or as many as asked for; see `Pinwheel`.

    >>> data = pinwheel()
    >>> data.log_prob(data.sample(3, seed=0)).shape
    (3,)
    >>> round(data.entropy, 3)
    2.318
    """
    return Pinwheel(arms, radial_std, tangential_std, rate, scale)


@njit(cache=True, error_model="numpy")
def _turned(phi: float, r: float, rate: float) -> float:
    """u(phi), the angle of x on arm 0."""
    return phi - rate * math.exp(r * math.cos(phi))


@njit(cache=True, error_model="numpy")
def _slope(phi: float, r: float, rate: float) -> float:
    """u'(phi), which is also the Jacobian determinant of the map."""
    return 1 + rate * r * math.sin(phi) * math.exp(r * math.cos(phi))


@njit(cache=True, error_model="numpy")
def _slope_root(positive: float, negative: float, r: float, rate: float) -> float:
    """Bisect for the angle between two angles where u' is positive and negative."""
    for _ in range(60):
        middle = 0.5 * (positive + negative)
        if _slope(middle, r, rate) > 0:
            positive = middle
        else:
            negative = middle
    return 0.5 * (positive + negative)


@njit(cache=True, error_model="numpy")
def _root(level: float, low: float, high: float, sign: float, r: float, rate: float) -> float:
    """Solve u(phi) = level on [low, high], where sign * u rises, by Newton's method kept inside the bracket."""
    phi = 0.5 * (low + high)
    for _ in range(200):
        excess = _turned(phi, r, rate) - level
        if sign * excess > 0:
            high = phi
        else:
            low = phi
        previous = phi
        slope = _slope(phi, r, rate)
        phi = phi - excess / slope if slope != 0 else low
        if not low < phi < high:
            phi = 0.5 * (low + high)
        if abs(phi - previous) < 1e-15:
            break
    return phi


@njit(cache=True, error_model="numpy")
def _log_density(y: NDArray[np.float64], arms: int, s: float, t: float, rate: float, far: float) -> NDArray[np.float64]:
    """Log density of the pinwheel at scale 1, for y (n, 2)."""
    result = np.empty(len(y))
    ends = np.empty(4)  # u is monotone between these angles,
    passed = np.empty(4, np.int64)  # and at each has passed so many levels theta + m spacing
    spacing, norm = 2 * math.pi / arms, math.log(2 * math.pi * s * t)
    for i in range(len(y)):
        r = math.hypot(y[i, 0], y[i, 1])
        theta = math.atan2(y[i, 1], y[i, 0])
        if r > far:  # Laplace's value of the integral of N over the angle, which peaks at phi = 0
            curvature = r * (r * (1 / t**2 - 1 / s**2) + 1 / s**2)
            result[i] = -0.5 * ((r - 1) / s) ** 2 - 0.5 * math.log(2 * math.pi * curvature) - norm
            continue
        ends[0], ends[1:] = -math.pi, math.pi
        passed[0] = math.floor((_turned(-math.pi, r, rate) - theta) / spacing)
        passed[1:] = passed[0] + arms  # exact, so that no root is lost where the circle closes
        steepest = -math.acos(2 * r / (1 + math.sqrt(1 + 4 * r**2)))  # where u' is least
        if _slope(steepest, r, rate) < 0:
            ends[1] = _slope_root(-math.pi, steepest, r, rate)
            ends[2] = _slope_root(0.0, steepest, r, rate)
            for k in range(1, 3):
                passed[k] = math.floor((_turned(ends[k], r, rate) - theta) / spacing)
        largest, total = -np.inf, 0.0
        for segment in range(3):
            fewer, more = min(passed[segment : segment + 2]), max(passed[segment : segment + 2])
            sign = -1.0 if segment == 1 else 1.0
            for m in range(fewer + 1, more + 1):
                phi = _root(theta + m * spacing, ends[segment], ends[segment + 1], sign, r, rate)
                f1, f2 = r * math.cos(phi), r * math.sin(phi)
                term = -0.5 * ((f1 - 1) / s) ** 2 - 0.5 * (f2 / t) ** 2 - math.log(abs(_slope(phi, r, rate)))
                if term > largest:
                    total = total * math.exp(largest - term) + 1
                    largest = term
                else:
                    total += math.exp(term - largest)
        result[i] = largest + math.log(total / arms) - norm
    return result
