"""Free energy along a coordinate, F(q) = -T ln p(q), from chains, with errors that know their correlations.

p_k is the share of draws in bin k, so F_k = -T ln(p_k / width_k) up to a constant: here the smallest is zero. Draws of
other ensembles enter with weights w, as those of runs at several temperatures do with MBAR's (Shirts and Chodera 2008),

    p_k = sum_n w_n 1[q_n in bin k] / sum_n w_n

The errors are those of this ratio by the Gamma method (Wolff 2004) in each run, the runs being independent: to first
order the fluctuation of F_k is that of a_n = -T w_n (1[q_n in bin k] - p_k) / (p_k mean w). MBAR's weights fluctuate as
well, since the ln Z of their states are estimated from the same draws: what each draw does to F by way of them is added
to a_n. Without it errors of runs far apart in temperature were up to 1.9 times too small. Weights that are given are
taken as exact.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ebm.exact.arguments import integer, positive
from ebm.reweighting import Response, response
from samplers.estimate import estimate
from samplers.series import Variable, series_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from samplers.chains import Chains

FEWEST_DRAWS = 50  # that weights must leave for an error to be known
DISCRETE = 60  # a coordinate of at most so many values has a bin for each


@dataclass(frozen=True, eq=False)
class FreeEnergy:
    """A free energy along a coordinate.

    Attributes:
        q: centres of the bins, or the values of a discrete coordinate, (bins,).
        widths: of the bins, (bins,); ones for a discrete coordinate, whose F is -T ln p(q) of the value itself.
        values: F, (bins,), in the unit of E; the lowest is 0; inf where no draw is.
        probabilities: share of all draws in each bin, weighted, (bins,).
        temperature: T = 1 / beta.
        name: of the coordinate.
        discrete: whether each bin is one value of the coordinate.
    """

    q: np.ndarray
    widths: np.ndarray
    values: np.ndarray
    probabilities: np.ndarray
    temperature: float
    name: str
    discrete: bool
    _runs: list["Chains"]
    _bins: list[np.ndarray]  # the bin of each draw, (chains, draws), of each run
    _weights: list[np.ndarray]  # of each draw; their mean over all runs is 1
    _response: Response | None  # of MBAR's weights

    @cached_property
    def errors(self) -> np.ndarray:
        """Standard errors of F before the lowest was taken off, (bins,); inf where it cannot be known."""
        return np.array([self._error(k) if p > 0.0 else np.inf for k, p in enumerate(self.probabilities)])

    def difference(self, first: float, last: float) -> tuple[float, float]:
        """Return F(last) - F(first) and its standard error, for the bins that hold these values of q.

        The error is of the difference, whose two ends fluctuate together.
        """
        a, b = (int(np.argmin(np.abs(self.q - value))) for value in (first, last))
        for k, value in ((a, first), (b, last)):
            reach = 1e-9 * max(1.0, abs(value)) if self.discrete else 0.5 * self.widths[k] * (1.0 + 1e-9)
            if not abs(self.q[k] - value) <= reach:
                need = "be one of its values" if self.discrete else "lie in a bin"
                raise ValueError(f"q must {need} between {self.q[0]:g} and {self.q[-1]:g}, got {value}")
        if a == b:
            return 0.0, 0.0
        if self.probabilities[a] == 0.0 or self.probabilities[b] == 0.0:
            return float(np.nan), np.inf
        return float(self.values[b] - self.values[a]), self._error(b, a)

    def _error(self, bin: int, against: int | None = None) -> float:
        """The standard error of F of a bin, or of its difference from that of another bin."""
        bins, weights = (np.concatenate([a.ravel() for a in arrays]) for arrays in (self._bins, self._weights))
        reference = 1.0 if against is None else (bins == against) / self.probabilities[against]
        influence = weights * ((bins == bin) / self.probabilities[bin] - reference)
        if self._response is not None:
            influence = self._response.of_mean(influence)
        variance = 0.0
        for run, part in zip(
            self._runs, np.split(influence, np.cumsum([b.size for b in self._bins])[:-1]), strict=True
        ):
            found = estimate(part.reshape(run.shape), run)
            if np.isnan(found.error) and np.ptp(part) > 0.0:
                return np.inf
            variance += (part.size / len(influence) * (0.0 if np.isnan(found.error) else found.error)) ** 2
        return self.temperature * float(np.sqrt(variance))

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draw F with its errors; see `ebm.landscape.line_plots.plot_free_energy`."""
        from ebm.landscape.line_plots import plot_free_energy

        return plot_free_energy(self, axes)


def free_energy(
    coordinate: Variable, chains: "Chains | Sequence[Chains]", bins: int | Sequence[float] | None = None, *,
    beta: float | None = None, log_weights: Any = None, energy: Any = None, name: str = "q",
) -> FreeEnergy:  # fmt: skip
    """Estimate the free energy along a coordinate from chains.

    Args:
        coordinate: a recorded observable by name, or a function of configurations (n, *shape) -> (n,).
        chains: the chains; or several runs, such as one at each temperature of a ladder, which MBAR then weighs.
        bins: how many, or their edges; None: a bin for each value if there are at most 60, else 40. Draws outside
            given edges are left out of the bins.
        beta: inverse temperature of F; by default that of the chains, if all have the same.
        log_weights: ln w of each draw up to a constant, (chains, draws), or one such array for each run: of your own,
            taken as exact.
        energy: of runs at several temperatures: the energy, needed unless u = beta E.
        name: what to call the coordinate in figures.
    Returns:
        a `FreeEnergy`. A RuntimeWarning tells of weights that have collapsed onto a few draws.
    Raises:
        ValueError: no beta for runs of several, another beta than that of all chains without weights, weights of a
            wrong shape or not finite, bins that are no rising edges or hold no draw.

    Example:
        >>> import ebm, samplers
        >>> run = samplers.sample(
        ...     ebm.Gaussian([0.0], [[1.0]]), samplers.HMC(), draws=2000, seed=1, progress=False
        ... )
        >>> F = free_energy(lambda x: x[:, 0], run, bins=np.linspace(-1.5, 1.5, 4))
        >>> value, error = F.difference(0.0, 1.0)  # ln(0.3829 / 0.2417)
        >>> abs(value - 0.4602) < 5 * error
        True
    """
    runs = list(chains) if isinstance(chains, Sequence) else [chains]
    betas, found = [run.beta for run in runs], None
    if beta is None and len(set(betas)) > 1:
        raise ValueError(f"beta must be given for runs of several, got runs of {betas}")
    beta = positive(betas[0] if beta is None else beta, "beta")
    if log_weights is None and len(set(betas)) > 1:
        log_weights, found = response(runs, beta, energy)
    elif log_weights is None and beta != betas[0]:
        raise ValueError(f"beta must be that of the chains, {betas[0]:g}, without log_weights, got {beta:g}")
    weights, temperature = _weights(log_weights, runs), 1.0 / beta
    series = [series_of(coordinate, run) for run in runs]
    if not all(np.isfinite(values).all() for values in series):
        raise ValueError("coordinate must be finite for every draw, got nan or inf")
    q, widths, edges, discrete = _binning(np.concatenate([values.ravel() for values in series]), bins)
    where = [_bin_of(values, edges) for values in series]
    total = sum(np.bincount(b[b >= 0], w[b >= 0], len(q)) for b, w in zip(where, weights, strict=True))
    # Of all draws, so that the influence of a draw outside the bins is right; F is of the conditional law in any case.
    p = np.asarray(total) / sum(w.sum() for w in weights)
    if not p.any():
        raise ValueError(f"bins must hold at least one draw, got none between {edges[0]:g} and {edges[-1]:g}")
    with np.errstate(divide="ignore"):
        values = -temperature * np.log(p / widths)
    values -= values.min()
    return FreeEnergy(q, widths, values, p, temperature, name, discrete, runs, where, weights, found)


def _weights(log_weights: Any, runs: Sequence["Chains"]) -> list[np.ndarray]:
    """Weights (chains, draws) of each run, of mean 1 over all draws."""
    if log_weights is None:
        return [np.ones(run.shape) for run in runs]
    given = [log_weights] if len(runs) == 1 and np.ndim(log_weights) == 2 else list(log_weights)
    arrays = [np.asarray(array, np.float64) for array in given]
    shapes = [run.shape for run in runs]
    if [array.shape for array in arrays] != shapes:
        raise ValueError(f"log_weights must have the shapes of the runs, {shapes}, got {[a.shape for a in arrays]}")
    if not all((np.isfinite(array) | (array == -np.inf)).all() for array in arrays):
        raise ValueError("log_weights must be finite (or -inf), got nan or inf")
    top = max(float(array.max()) for array in arrays)
    weights = [np.exp(array - top) for array in arrays]
    mean = sum(w.sum() for w in weights) / sum(w.size for w in weights)
    worth = sum(w.sum() for w in weights) ** 2 / sum(np.square(w).sum() for w in weights)  # Kish 1965
    if worth < FEWEST_DRAWS:
        warnings.warn(
            f"the weights have collapsed: they leave {worth:.1f} draws of {sum(w.size for w in weights)}, and errors "
            "are not to be trusted",
            RuntimeWarning,
            stacklevel=3,
        )
    return [w / mean for w in weights]


def _binning(values: np.ndarray, bins: int | Sequence[float] | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Centres, widths and edges of the bins, and whether each is one value."""
    levels = np.unique(values)
    levels = levels[np.concatenate(([True], np.diff(levels) > 1e-9 * np.ptp(levels)))]  # but for rounding
    if bins is None and len(levels) <= DISCRETE:
        middle = 0.5 * (levels[1:] + levels[:-1])
        edges = np.concatenate(([levels[0] - 0.5], middle, [levels[-1] + 0.5]))
        return levels, np.ones(len(levels)), edges, True
    if bins is None or np.ndim(bins) == 0:
        edges = np.linspace(levels[0], levels[-1], integer(40 if bins is None else bins, "bins", 1) + 1)
    else:
        edges = np.asarray(bins, np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0.0).all():
        raise ValueError(f"bins must be a number, or at least two rising edges, got {bins!r}")
    return 0.5 * (edges[1:] + edges[:-1]), np.diff(edges), edges, False


def _bin_of(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The bin of each draw, -1 outside; the last bin holds its upper edge, as np.histogram has it."""
    where = np.searchsorted(edges, values, side="right") - 1
    where[values == edges[-1]] = len(edges) - 2
    where[(where < 0) | (where > len(edges) - 2)] = -1
    return where
