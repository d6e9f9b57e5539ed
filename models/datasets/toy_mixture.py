"""Round Gaussians of equal weight on a circle, the "8 gaussians" of the plane.

    p(x) = 1/K sum_k N(x; m_k, sigma^2 I),    m_k = R (cos 2 pi k/K, sin 2 pi k/K)

The published set has a circle of radius 4 and standard deviation 0.5, both divided by 1.414 (Grathwohl et al., 2019).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from models.datasets.arguments import as_points, plane_entropy, require_integer, require_positive


@dataclass(frozen=True)
class GaussianRing:
    """``components`` round Gaussians of standard deviation ``sigma``, their centres on a circle of radius ``radius``.

    Arguments:
        components: how many, K
        radius: of the circle of centres, R
        sigma: standard deviation of each component along each axis
    Raises: ``ValueError`` or ``TypeError`` where one of them is not positive.

    >>> data = GaussianRing(components=1, radius=2.0, sigma=1.0)
    >>> round(data.entropy, 8)  # ln 2 pi e, that of a standard Gaussian
    2.83787707
    """

    components: int = 8
    radius: float = 4.0 / 1.414
    sigma: float = 0.5 / 1.414

    def __post_init__(self) -> None:
        require_integer("components", self.components, 1)
        require_positive(radius=self.radius, sigma=self.sigma)

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """The centres ``m_k``, (K, 2)."""
        angle = 2 * np.pi * np.arange(self.components) / self.components
        return self.radius * np.column_stack((np.cos(angle), np.sin(angle)))

    def sample(self, n: int, seed: int | np.random.Generator) -> NDArray[np.float64]:
        """Draw ``n`` independent points, (n, 2)."""
        require_integer("n", n, 0)
        rng = np.random.default_rng(seed)
        k = rng.integers(self.components, size=n)
        return self.centres[k] + self.sigma * rng.standard_normal((n, 2))

    def log_prob(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return the log density in nats at points ``x`` (n, 2), as (n,)."""
        x = as_points(x)
        with np.errstate(over="ignore"):  # so far outside that the density is zero
            squares = np.stack([np.sum((x - m) ** 2, axis=1) for m in self.centres])  # (K, n)
        log_sum = logsumexp(-squares / (2 * self.sigma**2), axis=0)
        return log_sum - np.log(self.components * 2 * np.pi * self.sigma**2)

    @cached_property
    def entropy(self) -> float:
        """The entropy in nats, by quadrature, right to 1e-9."""
        return plane_entropy(self.log_prob, self.radius + 9 * self.sigma, self.sigma / 4)


def gaussian_mixture(components: int = 8, radius: float = 4.0 / 1.414, sigma: float = 0.5 / 1.414) -> GaussianRing:
    """Eight Gaussians on a circle, or as many as asked for; see `GaussianRing`.

    >>> data = gaussian_mixture()
    >>> data.sample(3, seed=0).shape
    (3, 2)
    >>> round(data.entropy, 4)
    2.8319
    """
    return GaussianRing(components, radius, sigma)
