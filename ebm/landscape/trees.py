"""Disconnectivity graphs: which minima a given energy separates (Becker and Karplus 1997).

Pour water into the landscape: at energy E the minima below E fall into lakes, and two lakes become one at the lowest
saddle (or lowest path) between them. The tree of these unions has the minima as leaves; the height of the lowest
common ancestor of two minima is the energy that has to be reached on the way from one to the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ebm.landscape.attraction import NOWHERE, descend
from ebm.landscape.forest import Forest
from ebm.landscape.stationary import StationaryPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ASIDE = 1e-2  # how far beside a saddle its two descents start, in distances to the nearest minimum


@dataclass(frozen=True, eq=False)
class DisconnectivityGraph:
    """The tree of minima and of the energies at which they become connected.

    Attributes:
        x: one configuration of each leaf, (leaves, *shape): the minimum, or one of those of equal energy that touch.
        sizes: how many configurations each leaf is, (leaves,): 1 for a minimum of a continuous energy.
        heights: energy of every node, (nodes,): first the leaves, then the unions by rising energy.
        parents: the node in which each node ends, (nodes,); -1: a root.
    """

    x: np.ndarray
    sizes: np.ndarray
    heights: np.ndarray
    parents: np.ndarray

    @property
    def leaves(self) -> int:
        """The number of minima."""
        return len(self.sizes)

    def ancestors(self, node: int) -> list[int]:
        """Return the nodes from this one up to its root."""
        line = [node]
        while self.parents[line[-1]] >= 0:
            line.append(int(self.parents[line[-1]]))
        return line

    def height_between(self, a: int, b: int) -> float:
        """Return the energy to be reached on the best way between two leaves; inf if there is none."""
        line = set(self.ancestors(a))
        return next((float(self.heights[node]) for node in self.ancestors(b) if node in line), np.inf)

    def barrier(self, a: int, b: int) -> float:
        """Return how far one has to climb from leaf a on the best way to leaf b, in the unit of E."""
        return self.height_between(a, b) - float(self.heights[a])

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draw the tree; see `ebm.landscape.line_plots.plot_tree`."""
        from ebm.landscape.line_plots import plot_tree

        return plot_tree(self, axes)


def disconnectivity_graph(
    energy: Any, minima: Sequence[StationaryPoint], saddles: Sequence[StationaryPoint]
) -> DisconnectivityGraph:
    """Build the disconnectivity graph of a continuous energy from its minima and first-order saddles.

    Each saddle connects the two minima below it, found by steepest descent on both sides along its unstable mode. A
    saddle one of whose sides leads to no listed minimum connects nothing.

    Args:
        energy: an energy of real numbers or angles.
        minima: the minima; they become the leaves in this order.
        saddles: the first-order saddles.
    Returns:
        the `DisconnectivityGraph`.
    Raises:
        ValueError: no minima, or a saddle that is not of first order.

    Example:
        >>> import ebm
        >>> from ebm.landscape import minima, saddles
        >>> E = ebm.MullerBrown()
        >>> wells = minima(E, np.array([[-0.5, 1.4], [0.6, 0.0], [-0.05, 0.45]]))
        >>> tree = disconnectivity_graph(E, wells, saddles(E, np.array([[-0.8, 0.6], [0.2, 0.3]])))
        >>> round(tree.height_between(0, 2), 3), round(tree.barrier(1, 2), 3)
        (-40.665, 35.918)
    """
    if not len(minima):
        raise ValueError("minima must hold at least one minimum, got 0")
    edges, heights = [], []
    for saddle in saddles:
        if saddle.index != 1:
            raise ValueError(f"saddles must be of first order (index 1), got index {saddle.index} at {saddle.x}")
        a, b = sides(energy, saddle, minima)
        if a != NOWHERE and b != NOWHERE:
            edges.append((a, b))
            heights.append(saddle.energy)
    levels = np.array([minimum.energy for minimum in minima])
    x = np.stack([minimum.x for minimum in minima])
    forest = Forest(len(levels))
    for k, level in enumerate(levels):
        forest.leaf(k, float(level))
    for k in np.argsort(heights, kind="stable"):
        forest.union([edges[k]], float(heights[k]))
    return DisconnectivityGraph(x, np.ones(len(x), np.int64), np.array(forest.heights), np.array(forest.parents))


def sides(energy: Any, saddle: StationaryPoint, minima: Sequence[StationaryPoint]) -> tuple[int, int]:
    """Return the numbers of the two minima below a first-order saddle; -1: none of those listed.

    Example:
        >>> import ebm
        >>> from ebm.landscape import minima, saddles
        >>> well = ebm.DoubleWell()
        >>> sides(well, saddles(well, np.array([[0.1]]))[0], minima(well, np.array([[-0.9], [0.9]])))
        (0, 1)
    """
    if not len(minima):
        raise ValueError("minima must hold at least one minimum, got 0")
    reach = min(float(np.linalg.norm(saddle.x - minimum.x)) for minimum in minima)
    mode = saddle.modes[0].ravel()
    mode = mode * np.sign(mode[np.argmax(np.abs(mode))])  # eigenvectors have no sign of their own
    starts = saddle.x.ravel() + ASIDE * reach * np.stack([-mode, mode])
    labels = descend(energy, starts, minima, longest=0.05 * reach)
    return int(labels[0]), int(labels[1])
