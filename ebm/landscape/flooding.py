"""The exact disconnectivity graph of a small discrete energy, by flooding its configurations in order of energy.

Two configurations touch if they differ at one site (a spin flip). All configurations of one energy are flooded
together: those that touch and have no lower neighbour are one minimum (its `sizes` tells how many), and lakes that
meet at this energy become one.
"""

from typing import Any

import numpy as np

from ebm.exact.configurations import count_states, state_at, states
from ebm.landscape import derivatives
from ebm.landscape.forest import Forest
from ebm.landscape.trees import DisconnectivityGraph
from samplers import protocols

MOST = 2**18


def flood(energy: Any, tolerance: float = 1e-9) -> DisconnectivityGraph:
    """Build the exact disconnectivity graph of a discrete energy of at most 2^18 configurations.

    Args:
        energy: an energy of domain "spin", "binary" or "states".
        tolerance: energies closer than this, relative to the range of E, are one level (rounding).
    Returns:
        the `DisconnectivityGraph`; its leaves are all local minima under flips of one site.
    Raises:
        TypeError: an energy of a continuous domain.
        ValueError: too many configurations, or energies that are not finite.

    Example:
        >>> import ebm
        >>> tree = flood(ebm.Ising((3, 3)))
        >>> tree.leaves, tree.barrier(0, 1)  # all down and all up; a row of 3 flips one by one
        (2, 16.0)
    """
    derivatives.check_energy(energy, "flood", continuous=False)
    if energy.domain not in protocols.DISCRETE:
        raise TypeError(f"flood needs a discrete energy, got {protocols.name_of(energy)} of domain {energy.domain!r}")
    q, sites = protocols.n_states(energy), int(np.prod(energy.shape))
    n = count_states(energy.shape, energy.domain, q, MOST)
    blocks = states(energy.shape, energy.domain, q)
    e = np.concatenate([derivatives.energies(energy, block.reshape(len(block), -1)) for block in blocks])
    if not np.isfinite(e).all():
        raise ValueError(f"energy must be finite, got {e[~np.isfinite(e)][0]}")
    levels, level = _levels(e, tolerance)
    first, second, height = _tree_edges(n, q, sites, level)
    forest, sizes, representatives = Forest(n), [], []
    starts = np.searchsorted(height, np.arange(len(levels) + 1))
    order = np.argsort(level, kind="stable")  # configurations by level
    of_level = np.searchsorted(level[order], np.arange(len(levels) + 1))
    for k, value in enumerate(levels):
        edges = list(
            zip(first[starts[k] : starts[k + 1]].tolist(), second[starts[k] : starts[k + 1]].tolist(), strict=True)
        )
        forest.union(edges, float(value))
        lakes: dict[int, list[int]] = {}  # configurations of this level in lakes that have no node yet: new minima
        for member in order[of_level[k] : of_level[k + 1]].tolist():
            root = forest.find(member)
            if root not in forest.node or root in lakes:
                lakes.setdefault(root, []).append(member)
                forest.node.setdefault(root, -1)
        for members in lakes.values():
            forest.leaf(members[0], float(value))
            sizes.append(len(members))
            representatives.append(members[0])
    return _leaves_first(energy, q, forest, sizes, representatives)


def _levels(e: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """The distinct energies, rising, and the number of the level of each configuration."""
    order = np.argsort(e, kind="stable")
    rising = e[order]
    new = np.concatenate(([True], np.diff(rising) > tolerance * (rising[-1] - rising[0])))
    level = np.empty(len(e), np.int64)
    level[order] = np.cumsum(new) - 1
    return rising[new], level


def _tree_edges(n: int, q: int, sites: int, level: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A minimum spanning tree of the graph of single flips, by rising level: it joins lakes as the whole graph does."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import minimum_spanning_tree

    index, pairs = np.arange(n), []
    for power in q ** np.arange(sites):
        digit = (index // power) % q
        for up in range(1, q):
            lower = index[digit + up < q]
            pairs.append((lower, lower + up * power))
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    height = np.maximum(level[first], level[second])
    # Heights are stored from 1: a weight of zero would be no edge.
    tree = coo_array(minimum_spanning_tree(coo_array((height + 1.0, (first, second)), shape=(n, n)).tocsr()))
    height = tree.data.astype(np.int64) - 1
    order = np.argsort(height, kind="stable")
    return tree.row[order], tree.col[order], height[order]


def _leaves_first(
    energy: Any, q: int, forest: Forest, sizes: list[int], representatives: list[int]
) -> DisconnectivityGraph:
    """Renumber the nodes so that leaves come first, unions after them by rising energy."""
    heights, parents = np.array(forest.heights), np.array(forest.parents)
    unions = np.setdiff1d(parents, [-1])
    is_leaf = np.ones(len(heights), bool)
    is_leaf[unions] = False
    order = np.concatenate([np.flatnonzero(is_leaf), np.flatnonzero(~is_leaf)])
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    moved = parents[order]
    moved[moved >= 0] = place[moved[moved >= 0]]
    x = state_at(np.array(representatives), energy.shape, energy.domain, q)
    return DisconnectivityGraph(x, np.array(sizes), heights[order], moved)
