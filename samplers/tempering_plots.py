"""Pictures of a temperature ladder: swap rates, the barrier, how replicas travel, and how energies overlap."""

from typing import TYPE_CHECKING

import numpy as np

from samplers.plots import OKABE_ITO, histogram_edges

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from samplers.chains import Chains
    from samplers.rungs import Tempering

MOST_DRAWS = 300  # of a path on the page
MOST_REPLICAS = 3  # paths on the page
MOST_LABELS = 8  # rungs named in a legend
FEWEST_ENERGIES = 20_000  # read for the histograms, from the end of the run


def plot_tempering(chains: "Chains") -> "Figure":
    """Draw what `chains.tempering` tells, on a page: swaps, the barrier, the replicas of chain 0, and energies.

    Args:
        chains: chains of a run of `ParallelTempering`.
    Returns:
        The figure, of 11 by 7 inches.
    Raises:
        ValueError: for chains without a ladder, or without draws.

    >>> import ebm, samplers
    >>> ladder = samplers.ParallelTempering(samplers.MALA(), betas=(0.2, 0.5, 1.0))
    >>> chains = samplers.sample(ebm.DoubleWell(), ladder, draws=50, seed=1, progress=False)
    >>> len(plot_tempering(chains).axes)
    4
    """
    from matplotlib.figure import Figure

    told = chains.tempering
    if told is None:
        raise ValueError("chains must come from ParallelTempering to have a ladder to draw, got tempering=None")
    figure = Figure(figsize=(11.0, 7.0), layout="constrained")
    panels = figure.subplots(2, 2)
    _swap_rates(told, panels[0, 0])
    _barrier(told, panels[0, 1])
    _replicas(told, panels[1, 0])
    _energies(told, panels[1, 1])
    betas, trips = told.betas, told.round_trips
    figure.suptitle(
        f"parallel tempering: {len(betas)} rungs from beta = {betas[0]:.3g} to {betas[-1]:.3g}, "
        f"{int(trips.sum()):,} round trips in {len(trips):,} chains"
    )
    return figure


def _swap_rates(told: "Tempering", axes: "Axes") -> None:
    """The swap rate of each pair, over all chains and as the range of the chains."""
    from matplotlib.ticker import MaxNLocator

    by_chain, rates = told.swap_rates_by_chain, told.swap_rates
    pair = np.arange(len(rates))
    axes.bar(pair, rates, color="#56B4E9", width=0.8)
    low, high = np.fmin.reduce(by_chain), np.fmax.reduce(by_chain)
    axes.vlines(pair, low, high, color="#000000", linewidth=1.0, label="range of the chains")
    axes.set(xlabel="pair of rungs (k, k + 1)", ylabel="swap rate", title="swaps accepted", ylim=(0.0, 1.0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize="small")


def _barrier(told: "Tempering", axes: "Axes") -> None:
    """The cumulative rejection rate: where it is steep, temperatures are hard to cross."""
    barrier = np.concatenate(([0.0], np.cumsum(1.0 - told.swap_rates)))
    axes.plot(told.betas, barrier, color="#0072B2", marker="o", markersize=4)
    axes.set(xlabel="inverse temperature beta", ylabel="sum of rejection rates", title="communication barrier")
    axes.set_ylim(bottom=0.0)


def _replicas(told: "Tempering", axes: "Axes") -> None:
    """The paths of some replicas of chain 0 through the rungs."""
    from matplotlib.ticker import MaxNLocator

    replicas = np.asarray(told.replicas[0, :MOST_DRAWS])  # (draws, rungs): who is at each rung
    rungs = replicas.shape[1]
    place = np.argsort(replicas, axis=1)  # (draws, replicas): at which rung each one is
    chosen = np.unique(np.linspace(0, rungs - 1, min(rungs, MOST_REPLICAS)).round().astype(int))
    for colour, replica in zip(OKABE_ITO, chosen, strict=False):
        axes.plot(place[:, replica], color=colour, linewidth=0.9, alpha=0.9, label=f"replica {replica}")
    axes.set(xlabel="draw", ylabel="rung (0 is the hottest)", title="some replicas of chain 0")
    axes.set_ylim(-0.5, (rungs - 1) * 1.2 + 0.5)  # with room for the legend
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0)
    axes.legend(frameon=False, fontsize="small", ncols=MOST_REPLICAS, loc="upper center")


def _energies(told: "Tempering", axes: "Axes") -> None:
    """The histogram of the energy at each rung: neighbours swap as much as theirs overlap."""
    from matplotlib import colormaps

    chains, draws, rungs = told.energies.shape
    last = min(draws, max(1, FEWEST_ENERGIES // chains))
    energies = np.asarray(told.energies[:, draws - last :]).reshape(-1, rungs)
    betas, colours = told.betas, colormaps["plasma"](np.linspace(0.9, 0.0, rungs))
    # Hot rungs reach far up: the page ends where all but a thousandth of the energies do.
    common = energies[energies <= np.quantile(energies, 0.999)]
    shown = histogram_edges(common) if np.ptp(common) > 0.0 else common[0] + np.array([-0.5, 0.5])
    named = set(np.linspace(0, rungs - 1, min(rungs, MOST_LABELS)).round().astype(int).tolist())
    for rung in range(rungs):
        heights = np.histogram(energies[:, rung], shown)[0] / (len(energies) * np.diff(shown))
        label = f"beta {betas[rung]:.3g}" if rung in named else None
        axes.stairs(heights, shown, color=colours[rung], linewidth=1.1, label=label)
    axes.set(xlabel="energy E", ylabel="probability density", title="energies of all rungs")
    axes.legend(frameon=False, fontsize="small")
