"""The spectrum of the Hessian from its products with vectors, by the Lanczos method.

From a unit vector v_1, `steps` products H v build an orthonormal basis in which H is a tridiagonal matrix T with
eigenvalues theta_k and eigenvectors s_k (Golub and Meurant 1994). Its extreme eigenvalues are those of H, with
residuals |H y - theta y| = beta_m |s_mk|. And for any polynomial f of degree below 2 m

    v_1 . f(H) v_1 = sum_k s_1k^2 f(theta_k)

so that the mean over random v_1 is tr f(H) / sites: the density of eigenvalues (stochastic Lanczos quadrature, Ubaru,
Chen and Saad 2017; of networks, Ghorbani, Krishnan and Xiao 2019). Eigenvalues in the unit of E over that of x squared.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ebm.exact.arguments import integer, positive
from ebm.landscape import derivatives

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Product = Callable[[np.ndarray], np.ndarray]
BREAKDOWN = 1e-12  # of the largest |coefficient|: below it the basis spans all that v_1 can reach


class Lanczos(NamedTuple):
    """Eigenvalues theta (m,) of T, their vectors in the space of x (m, sites), residuals and first components (m,)."""

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    first: np.ndarray


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The density of eigenvalues of a Hessian.

    Attributes:
        nodes: theta of each probe, (probes, steps); NaN where a probe ended early.
        weights: their weights, (probes, steps), which sum to one over the steps.
        sites: number of eigenvalues.
    """

    nodes: np.ndarray
    weights: np.ndarray
    sites: int

    def moment(self, power: int) -> tuple[float, float]:
        """Return tr H^power / sites and its standard error over the probes.

        Raises:
            ValueError: a power beyond 2 steps - 1, up to which the quadrature is exact.
        """
        power = integer(power, "power", 0, 2 * self.nodes.shape[1] - 1)
        per_probe = np.nansum(self.weights * self.nodes**power, axis=1)
        probes = len(per_probe)
        error = float(per_probe.std(ddof=1) / np.sqrt(probes)) if probes > 1 else np.inf
        return float(per_probe.mean()), error

    def density(self, values: np.ndarray, width: float) -> np.ndarray:
        """Return the density at `values` (k,), smoothed by a Gaussian of standard deviation `width`."""
        width = positive(width, "width")
        z = (np.asarray(values, np.float64)[:, None] - self.nodes.ravel()) / width
        kernel = np.exp(-0.5 * z * z) / (width * np.sqrt(2.0 * np.pi))
        return np.nansum(kernel * self.weights.ravel(), axis=1) / len(self.nodes)

    def plot(self, axes: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the density; see `ebm.landscape.line_plots.plot_spectrum`."""
        from ebm.landscape.line_plots import plot_spectrum

        return plot_spectrum(self, axes, **options)


def lanczos(product: Product, start: np.ndarray, steps: int) -> Lanczos:
    """Run the Lanczos method with full reorthogonalisation.

    Args:
        product: H v for v (sites,).
        start: v_1 (sites,), not zero.
        steps: at most the number of sites.
    Returns:
        a `Lanczos`, of fewer steps if v_1 lies in a smaller invariant space.

    Example:
        >>> lanczos(lambda v: np.array([1.0, 2.0, 5.0]) * v, np.ones(3), 3).values.round(10)
        array([1., 2., 5.])
    """
    from scipy.linalg import eigh_tridiagonal

    basis, diagonal, beside = [start / np.linalg.norm(start)], [], []
    for _ in range(steps):
        v = basis[-1]
        new = product(v)
        if not np.isfinite(new).all():
            raise ValueError("the product H v must be finite, got nan or inf")
        diagonal.append(float(v @ new))
        span = np.array(basis)
        for _ in range(2):  # rounding would let converged eigenvectors come back; twice is enough (Parlett 1998)
            new = new - span.T @ (span @ new)
        beside.append(float(np.linalg.norm(new)))
        if beside[-1] <= BREAKDOWN * max(np.abs(diagonal).max(), max(beside)):
            break
        basis.append(new / beside[-1])
    m = len(diagonal)
    values, s = eigh_tridiagonal(np.array(diagonal), np.array(beside[: m - 1]))
    return Lanczos(values, s.T @ np.array(basis[:m]), beside[-1] * np.abs(s[-1]), s[0])


def hessian_spectrum(energy: Any, x: Any, *, probes: int = 10, steps: int = 60, seed: int) -> Spectrum:
    """Estimate the density of eigenvalues of the Hessian by stochastic Lanczos quadrature.

    Args:
        energy: an energy of real numbers or angles; for a network, `NetworkLoss`.
        x: the configuration, of the energy's shape.
        probes: random vectors of signs (Rademacher); the errors fall as their square root.
        steps: products H v of each probe: the resolution. More than the number of sites are as good as that number.
        seed: of the probes.
    Returns:
        a `Spectrum`.
    Raises:
        TypeError: not an energy of real numbers or angles.
        ValueError: x of a wrong shape, an argument out of range, products that are not finite.

    Example:
        >>> import ebm
        >>> valley = ebm.Gaussian(np.zeros(3), np.diag([1.0, 1 / 2, 1 / 6]))
        >>> mean, error = hessian_spectrum(valley, np.zeros(3), probes=4, seed=1).moment(1)
        >>> round(mean, 6), bool(error < 1e-9)
        (3.0, True)
    """
    point, product = _product(energy, x, "hessian_spectrum")
    probes, steps = integer(probes, "probes", 1), min(integer(steps, "steps", 1), len(point))
    rng = np.random.default_rng(seed)
    nodes, weights = np.full((probes, steps), np.nan), np.zeros((probes, steps))
    for k in range(probes):
        found = lanczos(product, rng.choice([-1.0, 1.0], len(point)), steps)
        m = len(found.values)
        nodes[k, :m], weights[k, :m] = found.values, found.first**2
    return Spectrum(nodes, weights, len(point))


def extreme_eigenvalues(energy: Any, x: Any, count: int = 1, *, steps: int = 100, seed: int) -> tuple[Lanczos, Lanczos]:
    """Find the lowest and the highest eigenvalues of the Hessian with their eigenvectors.

    An eigenvalue that occurs more than once is found once: Lanczos sees one direction of its space.

    Args:
        energy: an energy of real numbers or angles; for a network, `NetworkLoss`.
        x: the configuration, of the energy's shape.
        count: how many at each end.
        steps: products H v; residuals say whether they were enough.
        seed: of the first vector.
    Returns:
        (lowest, highest), each with `count` values (fewer if not so many differ) from the end inwards, unit
        `vectors` (count, sites) and `residuals`
        |H v - theta v|, which bound the distance to an eigenvalue of H.
    Raises:
        TypeError: not an energy of real numbers or angles.
        ValueError: x of a wrong shape, or count above the number of sites or steps.

    Example:
        >>> import ebm
        >>> valley = ebm.Gaussian(np.zeros(3), np.diag([1.0, 1 / 2, 1 / 6]))
        >>> low, high = extreme_eigenvalues(valley, np.zeros(3), seed=1)
        >>> low.values.round(6), high.values.round(6)
        (array([1.]), array([6.]))
    """
    point, product = _product(energy, x, "extreme_eigenvalues")
    steps = min(integer(steps, "steps", 1), len(point))
    count = integer(count, "count", 1, steps)
    found = lanczos(product, np.random.default_rng(seed).standard_normal(len(point)), steps)
    low = Lanczos(*(array[:count] for array in found))
    high = Lanczos(*(array[::-1][:count] for array in found))
    return low, high


def _product(energy: Any, x: Any, who: str) -> tuple[np.ndarray, Product]:
    derivatives.check_energy(energy, who)
    point = derivatives.check_point(energy, x, "x")
    return point, lambda v: derivatives.hessian_vector(energy, point, v)
