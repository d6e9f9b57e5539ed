"""Pictures of what a landscape comes to: a path's profile, a tree of minima, a free energy, a spectrum.

Each takes what it draws and `axes=None`, a new figure by default, and returns the axes.
"""

from typing import TYPE_CHECKING

import numpy as np

from ebm.landscape.plane_plots import new_axes
from samplers.plots import OKABE_ITO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ebm.landscape.free_energies import FreeEnergy
    from ebm.landscape.paths import MinimumEnergyPath
    from ebm.landscape.spectrum import Spectrum
    from ebm.landscape.trees import DisconnectivityGraph

MOST_NAMED = 12  # leaves of a tree whose energies are written


def plot_path(path: "MinimumEnergyPath", axes: "Axes | None" = None) -> "Axes":
    """Draw the energy along a minimum-energy path, and the saddles and minima on it with their energies.

    >>> import ebm
    >>> from matplotlib.figure import Figure
    >>> from ebm.landscape import minimum_energy_path
    >>> path = minimum_energy_path(ebm.DoubleWell(), np.array([[-1.0], [1.0]]), images=11)
    >>> plot_path(path, Figure().subplots()).get_xlabel()
    'arc length along the path'
    """
    axes = new_axes(axes)
    axes.plot(path.arc, path.energies, color="0.3", marker=".", label="images of the string")
    flat = path.images.reshape(len(path.images), -1)
    height = float(np.ptp(path.energies))
    for points, marker, colour, name, side in (
        (path.minima, "o", OKABE_ITO[5], "minima", -1.0),
        (path.saddles, "X", OKABE_ITO[1], "saddles", 1.0),
    ):
        where = [path.arc[np.argmin(np.linalg.norm(flat - p.x.ravel(), axis=1))] for p in points]
        energies = [p.energy for p in points]
        axes.plot(where, energies, marker, color=colour, markeredgecolor="black", markersize=9, label=name, zorder=3)
        for s, e in zip(where, energies, strict=True):
            va = "bottom" if side > 0 else "top"
            axes.text(s, e + 0.03 * side * height, f"{e:.5g}", ha="center", va=va, fontsize="small")
    axes.set(xlabel="arc length along the path", ylabel="energy E")
    axes.set_title(f"minimum-energy path, barrier {path.barrier:.5g}")
    axes.margins(x=0.08, y=0.15)
    axes.legend(frameon=False)
    return axes


def plot_tree(tree: "DisconnectivityGraph", axes: "Axes | None" = None) -> "Axes":
    """Draw a disconnectivity graph: each minimum is the foot of a line, lines join at the lowest saddle between them.

    >>> import ebm
    >>> from matplotlib.figure import Figure
    >>> from ebm.landscape import flood
    >>> plot_tree(flood(ebm.Ising((2, 2))), Figure().subplots()).get_ylabel()
    'energy E'
    """
    axes = new_axes(axes)
    order, place = _leaves_in_order(tree), np.empty(len(tree.heights))
    place[order] = np.arange(len(order))
    for node in np.argsort(tree.heights[tree.leaves :], kind="stable") + tree.leaves:
        place[node] = place[tree.parents == node].mean()
    span = float(np.ptp(tree.heights)) or 1.0
    joined = tree.parents >= 0
    tops = np.where(joined, tree.heights[tree.parents], tree.heights.max() + 0.08 * span)
    axes.vlines(place, tree.heights, tops, color="0.3", linewidth=1.2)
    axes.hlines(tops[joined], place[joined], place[tree.parents[joined]], color="0.3", linewidth=1.2)
    axes.plot(place[: tree.leaves], tree.heights[: tree.leaves], "o", color=OKABE_ITO[0], label="minima")
    if tree.leaves <= MOST_NAMED:
        for leaf in range(tree.leaves):
            many = f" ({tree.sizes[leaf]} states)" if tree.sizes[leaf] > 1 else ""
            text = f"{tree.heights[leaf]:.5g}{many}"
            axes.text(place[leaf], tree.heights[leaf] - 0.03 * span, text, ha="center", va="top", fontsize="small")
        for node in range(tree.leaves, len(tree.heights)):
            text = f" {tree.heights[node]:.5g}"
            axes.text(place[node], tree.heights[node] + 0.01 * span, text, ha="left", va="bottom", fontsize="small")
    axes.set(ylabel="energy E", title=f"disconnectivity graph: {tree.leaves} minima", xticks=[])
    axes.set_xlabel("minima, joined at the lowest pass between them")
    axes.margins(x=0.15, y=0.12)
    return axes


def _leaves_in_order(tree: "DisconnectivityGraph") -> np.ndarray:
    """The leaves in an order in which no lines cross: depth first, deep branches first."""
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(tree.parents.tolist()):
        children.setdefault(parent, []).append(node)
    deepest = tree.heights.copy()
    for node in np.argsort(tree.heights, kind="stable"):
        for child in children.get(int(node), []):
            deepest[node] = min(deepest[node], deepest[child])
    waiting, order = sorted(children[-1], key=lambda k: -deepest[k]), []
    while waiting:
        node = waiting.pop()
        if node < tree.leaves:
            order.append(node)
        waiting += sorted(children.get(node, []), key=lambda k: -deepest[k])
    return np.array(order)


def plot_free_energy(found: "FreeEnergy", axes: "Axes | None" = None) -> "Axes":
    """Draw a free energy with error bars of one standard error; bins without draws are left out.

    >>> import ebm, samplers
    >>> from matplotlib.figure import Figure
    >>> from ebm.landscape import free_energy
    >>> run = samplers.sample(ebm.DoubleWell(), samplers.MALA(), draws=200, seed=1, progress=False)
    >>> plot_free_energy(free_energy(lambda x: x[:, 0], run, bins=10, name="x"), Figure().subplots()).get_xlabel()
    'x'
    """
    axes, seen = new_axes(axes), found.probabilities > 0.0
    errors = np.where(np.isfinite(found.errors), found.errors, 0.0)[seen]
    q, f = found.q[seen], found.values[seen]
    axes.errorbar(
        q,
        f,
        errors,
        fmt="o-",
        color=OKABE_ITO[0],
        linewidth=0.8,
        elinewidth=1.6,
        markersize=4,
        capsize=2,
        label="from chains, one sigma",
    )
    axes.set(
        xlabel=found.name,
        ylabel=f"free energy F({found.name}) - min F",
        title=f"free energy at T = {found.temperature:.4g}",
    )
    axes.legend(frameon=False)
    return axes


def plot_spectrum(found: "Spectrum", axes: "Axes | None" = None, *, width: float | None = None) -> "Axes":
    """Draw the density of eigenvalues on a logarithmic scale, and ticks where the probes saw eigenvalues.

    Args:
        found: the spectrum.
        axes: where to draw.
        width: of the Gaussian that smooths it; by default a hundredth of the range.

    >>> import ebm
    >>> from matplotlib.figure import Figure
    >>> from ebm.landscape import hessian_spectrum
    >>> found = hessian_spectrum(ebm.Gaussian(np.zeros(3), np.eye(3)), np.zeros(3), probes=2, seed=1)
    >>> plot_spectrum(found, Figure().subplots()).get_yscale()
    'log'
    """
    axes, nodes = new_axes(axes), found.nodes[np.isfinite(found.nodes)]
    span = float(np.ptp(nodes)) or 1.0
    width = 0.01 * span if width is None else width
    values = np.linspace(nodes.min() - 5.0 * width, nodes.max() + 5.0 * width, 1000)
    density = found.density(values, width)
    axes.fill_between(values, density, 1e-300, color=OKABE_ITO[5], alpha=0.4, linewidth=0)
    axes.semilogy(values, density, color=OKABE_ITO[0], label=f"smoothed by {width:.2g}")
    lowest = max(float(density.max()) * 1e-7, 0.1 / (found.sites * width))
    axes.plot(nodes, np.full(len(nodes), lowest * 1.3), "|", color="0.3", markersize=8, label="quadrature nodes")
    axes.axvline(0.0, color="0.6", linewidth=0.8)
    axes.set(xlabel="eigenvalue of the Hessian", ylabel="density of eigenvalues", ylim=(lowest, 3.0 * density.max()))
    axes.set_title(f"Hessian spectrum: {found.sites:,} eigenvalues, {len(found.nodes)} probes")
    axes.legend(frameon=False)
    return axes
