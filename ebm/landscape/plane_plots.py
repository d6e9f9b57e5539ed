"""Pictures of a landscape in the plane: the energy, its basins, the committor.

Each takes what it draws and `axes=None`, a new figure by default, and returns the axes. Colours: Okabe and Ito (2008).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from samplers.plots import OKABE_ITO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ebm.landscape.attraction import Basins
    from ebm.landscape.committors import Committor
    from ebm.landscape.grids import Grid
    from ebm.landscape.stationary import StationaryPoint

SHOWN = 0.7  # share of the points of a grid whose energies have a colour of their own; walls tower above them
LEVELS = 24
BASIN_COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#0072B2", "#D55E00")


def new_axes(axes: "Axes | None") -> "Axes":
    """Return the axes given, or those of a new figure."""
    if axes is not None:
        return axes
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def plot_grid(
    surface: "Grid", axes: "Axes | None" = None, *, points: "Sequence[StationaryPoint]" = (), path: Any = None,
    highest: float | None = None, label: str = "energy E",
) -> "Axes":  # fmt: skip
    """Draw an energy on a grid: a line in one dimension, filled contours with a colour bar in two.

    Args:
        surface: the grid.
        axes: where to draw.
        points: stationary points to mark on a plane: minima as circles, saddles as crosses.
        path: curve to draw on a plane, (m, 2), such as the images of a minimum-energy path.
        highest: the energy at which the colours end; higher ones look alike. By default 70 per cent of the grid lie
            below it.
        label: what to call the energy, with its unit if it has one.
    Returns:
        the axes.

    >>> import ebm
    >>> from matplotlib.figure import Figure
    >>> from ebm.landscape import grid
    >>> plot_grid(grid(ebm.DoubleWell(), [(-2, 2)]), Figure().subplots()).get_ylabel()
    'energy E'
    """
    from matplotlib.ticker import MaxNLocator

    axes = new_axes(axes)
    if len(surface.axes) == 1:
        axes.plot(surface.axes[0], surface.energies, color=OKABE_ITO[0])
        axes.set(xlabel=surface.names[0], ylabel=label, title=f"{label} along a line")
        axes.margins(x=0)
        return axes
    low = float(surface.energies.min())
    top = float(np.quantile(surface.energies, SHOWN)) if highest is None else highest
    levels = MaxNLocator(LEVELS).tick_values(low, top if top > low else low + 1.0)  # round numbers
    extend = "max" if surface.energies.max() > levels[-1] else "neither"
    filled = axes.contourf(*surface.axes, surface.energies.T, levels=levels, cmap="cividis", extend=extend)
    axes.contour(
        *surface.axes, surface.energies.T, levels=levels[::2], colors="white", linewidths=0.5, linestyles="solid"
    )
    axes.figure.colorbar(filled, ax=axes, label=label)
    if path is not None:
        axes.plot(*np.asarray(path).T, color="white", linewidth=2.0, label="minimum-energy path")
    _mark(axes, points)
    if path is not None or len(points):
        axes.legend(loc="best", frameon=True, framealpha=0.85, facecolor="0.8", edgecolor="none")
    axes.set(xlabel=surface.names[0], ylabel=surface.names[1], title=f"{label} in the plane")
    return axes


def plot_basins(found: "Basins", axes: "Axes | None" = None, *, points: "Sequence[StationaryPoint]" = ()) -> "Axes":
    """Draw each basin in its colour, lines of equal energy over it, and the minima with their energies.

    Args:
        found: the basins.
        axes: where to draw.
        points: further stationary points to mark, such as the saddles between basins.
    Returns:
        the axes.

    >>> import ebm
    >>> from matplotlib.figure import Figure
    >>> from ebm.landscape import basins, minima
    >>> well = ebm.DoubleWell(dimension=2)
    >>> found = basins(well, [(-2, 2), (-1, 1)], minima(well, np.array([[-1.0, 0], [1.0, 0]])), n=8)
    >>> plot_basins(found, Figure().subplots()).get_title()
    'basins of attraction'
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap

    axes, surface = new_axes(axes), found.surface
    count = len(found.minima)
    colours = ["white"] + [BASIN_COLOURS[k % len(BASIN_COLOURS)] for k in range(count)]
    norm = BoundaryNorm(np.arange(-1.5, count), count + 1)
    axes.pcolormesh(
        *surface.axes, found.labels.T, cmap=ListedColormap(colours), norm=norm, shading="nearest", alpha=0.8
    )
    top = float(np.quantile(surface.energies, SHOWN))
    levels = np.linspace(surface.energies.min(), top, LEVELS // 2)
    axes.contour(*surface.axes, surface.energies.T, levels=levels, colors="0.2", linewidths=0.6, linestyles="solid")
    for k, minimum in enumerate(found.minima):
        share = float(np.mean(found.labels == k))
        text = f"E = {minimum.energy:.4g}, {share:.0%} of the plane"
        axes.plot(*minimum.x, "o", color=colours[k + 1], markeredgecolor="black", markersize=9, label=text)
    _mark(axes, points)
    axes.legend(loc="upper right", frameon=True, framealpha=0.85)
    axes.set(xlabel=surface.names[0], ylabel=surface.names[1], title="basins of attraction")
    return axes


def plot_committor(found: "Committor", axes: "Axes | None" = None) -> "Axes":
    """Draw the committor in colours with its lines of tenths, and lines of equal energy.

    Args:
        found: the committor.
        axes: where to draw.
    Returns:
        the axes.

    >>> import ebm
    >>> from matplotlib.figure import Figure
    >>> from ebm.landscape import committor, disc
    >>> found = committor(ebm.DoubleWell(dimension=2), [(-2, 2), (-1, 1)], disc([-1, 0], 0.4), disc([1, 0], 0.4), n=21)
    >>> plot_committor(found, Figure().subplots()).get_title()
    'committor at T = 1'
    """
    axes, surface = new_axes(axes), found.surface
    colours = axes.pcolormesh(*surface.axes, found.q.T, cmap="PuOr", vmin=0.0, vmax=1.0, shading="nearest")
    axes.figure.colorbar(colours, ax=axes, label="probability q to reach B before A")
    top = float(np.quantile(surface.energies, SHOWN))
    levels = np.linspace(surface.energies.min(), top, LEVELS // 2)
    axes.contour(*surface.axes, surface.energies.T, levels=levels, colors="0.55", linewidths=0.5, linestyles="solid")
    tenths = axes.contour(*surface.axes, found.q.T, levels=[0.1, 0.3, 0.5, 0.7, 0.9], colors="black", linewidths=1.2)
    axes.clabel(tenths, fmt="%.1f")
    for side, name in enumerate("AB"):
        i, j = (np.mean(index) for index in np.nonzero(found.inside == side))
        place = [np.interp(k, np.arange(len(axis)), axis) for k, axis in zip((i, j), surface.axes, strict=True)]
        axes.contour(*surface.axes, (found.inside == side).T.astype(float), levels=[0.5], colors=OKABE_ITO[2])
        axes.text(place[0], place[1], name, ha="center", va="center", fontweight="bold", color="white")
    axes.set(xlabel=surface.names[0], ylabel=surface.names[1], title=f"committor at T = {found.temperature:.4g}")
    return axes


def _mark(axes: "Axes", points: "Sequence[StationaryPoint]") -> None:
    """Mark minima by circles, first-order saddles by crosses, others by stars."""
    for name, marker, colour, indices in (
        ("minima", "o", "#56B4E9", {0}),
        ("saddles", "X", "#D55E00", {1}),
        ("other stationary points", "*", "#F0E442", None),
    ):
        chosen = [p for p in points if (p.index in indices if indices else p.index > 1)]
        if chosen:
            x = np.stack([p.x for p in chosen])
            axes.plot(*x.T, marker, color=colour, markeredgecolor="black", markersize=9, linestyle="none", label=name)
