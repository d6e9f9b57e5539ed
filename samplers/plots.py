"""Pictures of chains: trace, autocorrelation, ranks and energy histogram, one at a time or as an overview.

Every plot takes (chains, variable="energy", axes=None) and returns the axes; `variable` is the name of a recorded
variable, a function of configurations or a series (chains, draws). Colours are those of Okabe and Ito (2008), which
colour-blind readers can tell apart; many chains share one colour scale.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from samplers.autocorrelation import autocorrelation, integrated_autocorrelation_time, rescaled
from samplers.series import Variable, recorded_names, series_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from samplers.chains import Chains

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MOST_POINTS = 2000  # of a line on the page; longer traces are drawn as the range of each stretch of draws
RANK_BINS = 20


def plot_trace(chains: "Chains", variable: Variable = "energy", axes: "Axes | None" = None) -> "Axes":
    """Draw every chain against the draws; a long chain as the band between the extremes of each stretch.

    Args:
        chains: the chains.
        variable: what to draw (see the module).
        axes: where to draw; by default a new figure.
    Returns:
        The axes.
    Raises:
        ValueError: for an unknown variable.

    >>> from matplotlib.figure import Figure
    >>> from samplers.chains import Chains
    >>> energy = np.random.default_rng(0).normal(size=(4, 200))
    >>> chains = Chains(None, energy, {}, np.ones((4, 200)), beta=1.0, domain="real")
    >>> plot_trace(chains, axes=Figure().subplots()).get_xlabel()
    'draw'
    """
    axes, series = _axes(axes), series_of(variable, chains)
    draws = series.shape[1]
    stretch = -(-draws // (MOST_POINTS // 2))
    for chain, colour in zip(series, _colours(len(series)), strict=True):
        if stretch <= 2:
            axes.plot(np.arange(draws), chain, color=colour, linewidth=0.7, alpha=0.8)
            continue
        starts = np.arange(0, draws, stretch)
        low, high = np.minimum.reduceat(chain, starts), np.maximum.reduceat(chain, starts)
        middle = np.minimum(starts + stretch / 2, draws - 1)
        axes.fill_between(middle, low, high, color=colour, linewidth=0.4, alpha=0.5)
    axes.set(xlabel="draw", ylabel=_label(variable), title="trace")
    axes.margins(x=0)
    return axes


def plot_autocorrelation(chains: "Chains", variable: Variable = "energy", axes: "Axes | None" = None) -> "Axes":
    """Draw the autocorrelation function, the window where its sum was cut, and tau with its error.

    Args:
        chains: the chains.
        variable: what to draw (see the module).
        axes: where to draw; by default a new figure.
    Returns:
        The axes.
    Raises:
        ValueError: for an unknown variable.

    >>> from matplotlib.figure import Figure
    >>> from samplers.chains import Chains
    >>> energy = np.random.default_rng(0).normal(size=(4, 200))
    >>> chains = Chains(None, energy, {}, np.ones((4, 200)), beta=1.0, domain="real")
    >>> plot_autocorrelation(chains, axes=Figure().subplots()).get_xlabel()
    'lag (draws)'
    """
    axes, series = _axes(axes), series_of(variable, chains)
    axes.set(xlabel="lag (draws)", ylabel=f"autocorrelation of {_label(variable)}", title="autocorrelation")
    tau, error, window = integrated_autocorrelation_time(series)
    if window == 0:
        return _say(axes, "not defined: constant, or fewer than 4 draws")
    lags = min(max(3 * window, 20), max(1, series.shape[1] // 2))
    rho = autocorrelation(series, lags)
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    axes.plot(np.arange(lags), rho, color=OKABE_ITO[0], marker="o" if lags <= 60 else None, markersize=3)
    axes.axvline(window, color=OKABE_ITO[1], linestyle="--", label=f"window {window}")
    if np.isfinite(error):
        axes.axvspan(max(tau - error, 0.0), tau + error, color=OKABE_ITO[2], alpha=0.3, linewidth=0)
        axes.axvline(tau, color=OKABE_ITO[2], label=f"tau = {tau:.3g} ± {error:.2g}")
    else:
        axes.plot([], [], " ", label="tau not measurable: chains too short")
    axes.set_xlim(0, max(lags - 1, 1))
    axes.legend(frameon=False, fontsize="small")
    return axes


def plot_rank(chains: "Chains", variable: Variable = "energy", axes: "Axes | None" = None) -> "Axes":
    """Draw, chain by chain, how often each range of ranks among all draws occurs; chains that agree are flat.

    Reference: Vehtari et al. 2021. The grey band holds 95 per cent of the counts of independent draws.

    Args:
        chains: the chains.
        variable: what to draw (see the module).
        axes: where to draw; by default a new figure.
    Returns:
        The axes.
    Raises:
        ValueError: for an unknown variable.

    >>> from matplotlib.figure import Figure
    >>> from samplers.chains import Chains
    >>> energy = np.random.default_rng(0).normal(size=(4, 200))
    >>> chains = Chains(None, energy, {}, np.ones((4, 200)), beta=1.0, domain="real")
    >>> plot_rank(chains, axes=Figure().subplots()).get_title()
    'ranks'
    """
    from scipy.stats import binom

    axes, series = _axes(axes), series_of(variable, chains)
    count, draws = series.shape
    levels, occurrences = np.unique(series, return_counts=True)
    rank_edges = np.concatenate(([0], np.cumsum(occurrences)))  # the ranks that share a value, between two edges
    edges = np.linspace(0.0, series.size, RANK_BINS + 1)
    low, high = binom.interval(0.95, draws, 1.0 / RANK_BINS)
    axes.axhspan(low, high, color="0.85", linewidth=0)
    axes.axhline(draws / RANK_BINS, color="0.5", linewidth=0.8)
    for chain, colour in zip(np.sort(series, axis=1), _colours(count), strict=True):
        below = np.concatenate(([0], np.searchsorted(chain, levels, side="right")))
        # Draws of equal value spread evenly over the ranks they share, or a discrete variable would draw a comb.
        axes.stairs(np.diff(np.interp(edges, rank_edges, below)), edges, color=colour, linewidth=1.2)
    axes.set(xlabel=f"rank of {_label(variable)} among all draws", ylabel="draws", title="ranks")
    axes.set_xlim(0, series.size)
    axes.margins(y=0.1)
    axes.set_ylim(bottom=0)
    return axes


def plot_energy(chains: "Chains", variable: Variable = "energy", axes: "Axes | None" = None) -> "Axes":
    """Draw the histogram of each chain, by default of its energy.

    Args:
        chains: the chains.
        variable: what to draw (see the module).
        axes: where to draw; by default a new figure.
    Returns:
        The axes.
    Raises:
        ValueError: for an unknown variable.

    >>> from matplotlib.figure import Figure
    >>> from samplers.chains import Chains
    >>> energy = np.random.default_rng(0).normal(size=(4, 200))
    >>> chains = Chains(None, energy, {}, np.ones((4, 200)), beta=1.0, domain="real")
    >>> plot_energy(chains, axes=Figure().subplots()).get_xlabel()
    'energy E'
    """
    axes, series = _axes(axes), series_of(variable, chains)
    axes.set(xlabel=_label(variable), ylabel="probability density", title="histogram")
    if rescaled(series).scale == 0.0:
        return _say(axes, f"constant: {series.flat[0]:.6g}")
    edges = histogram_edges(series)
    for index, (chain, colour) in enumerate(zip(series, _colours(len(series)), strict=True)):
        label = f"chain {index}" if len(series) <= len(OKABE_ITO) else None
        axes.stairs(np.histogram(chain, edges, density=True)[0], edges, color=colour, linewidth=1.2, label=label)
    if len(series) <= len(OKABE_ITO):
        axes.legend(frameon=False, fontsize="small")
    return axes


def plot_overview(chains: "Chains", variable: Variable | None = None) -> "Figure":
    """Draw trace, autocorrelation, ranks and histogram of one variable on a page.

    Args:
        chains: the chains.
        variable: what to draw (see the module); by default the energy, or else the first that there is.
    Returns:
        The figure, of 11 by 7 inches.
    Raises:
        ValueError: for an unknown variable.

    >>> from samplers.chains import Chains
    >>> energy = np.random.default_rng(0).normal(size=(4, 200))
    >>> chains = Chains(None, energy, {}, np.ones((4, 200)), beta=1.0, domain="real")
    >>> len(plot_overview(chains).axes)
    4
    """
    from matplotlib.figure import Figure

    if variable is None:
        variable = next(iter(recorded_names(chains)), _first_coordinate)
    figure = Figure(figsize=(11.0, 7.0), layout="constrained")
    panels = figure.subplots(2, 2)
    for panel, plot in zip(panels.flat, (plot_trace, plot_autocorrelation, plot_rank, plot_energy), strict=True):
        plot(chains, variable, panel)
    count, draws = chains.shape
    figure.suptitle(f"{_label(variable)}: {count:,} x {draws:,} draws at beta = {chains.beta:g}")
    return figure


def _first_coordinate(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)[:, 0]


def _label(variable: Variable) -> str:
    """The name of a variable on an axis."""
    if isinstance(variable, str):
        return "energy E" if variable == "energy" else variable
    if variable is _first_coordinate:
        return "first coordinate of x"
    return getattr(variable, "__name__", "value")


def _axes(axes: "Axes | None") -> "Axes":
    """The axes given, or those of a new figure."""
    if axes is not None:
        return axes
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def _say(axes: "Axes", text: str) -> "Axes":
    """Write a sentence where there is nothing to draw."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center")
    return axes


def _colours(count: int) -> list[Any]:
    """One colour a chain: distinct ones for a few, else a scale that grows evenly darker."""
    if count <= len(OKABE_ITO):
        return list(OKABE_ITO[:count])
    from matplotlib import colormaps

    return list(colormaps["cividis"](np.linspace(0.0, 0.9, count)))


def histogram_edges(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bin edges: around each value of a discrete variable of few values, else Freedman and Diaconis's width."""
    levels = np.unique(series)
    if len(levels) <= 60:
        half = np.diff(levels).min() / 2.0
        steps = np.diff(levels) / np.diff(levels).min()
        if np.allclose(steps, np.round(steps), atol=1e-6) and steps.sum() <= 200:
            return np.linspace(levels[0] - half, levels[-1] + half, round(steps.sum()) + 2)
    bins = len(np.histogram_bin_edges(rescaled(series).values, "fd")) - 1
    return np.linspace(levels[0], levels[-1], min(max(bins, 10), 100) + 1)
