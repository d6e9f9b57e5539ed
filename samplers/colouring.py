"""Colouring of an energy's graph: sites of one colour share no term, so they may be updated in any order or at once."""

import math
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True)
def colour_graph(indptr: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Give each site the smallest colour that no earlier neighbour has (greedy, in site order); (sites,) int64.

    An even hypercubic lattice gets the two colours of a chess board.
    """
    sites = indptr.shape[0] - 1
    colour = np.full(sites, -1, np.int64)
    taken = np.full(sites + 1, -1, np.int64)  # taken[k] == i: a neighbour of site i has colour k
    for i in range(sites):
        for k in range(indptr[i], indptr[i + 1]):
            if colour[indices[k]] >= 0:
                taken[colour[indices[k]]] = i
        c = 0
        while taken[c] == i:
            c += 1
        colour[i] = c
    return colour


def scan_order(energy: Any) -> np.ndarray:
    """Return the order in which sweeps visit the sites: colour by colour on a graph, else one after another."""
    sites = math.prod(energy.shape)
    if not hasattr(energy, "neighbours"):  # no protocols.Graph
        return np.arange(sites)
    return np.argsort(colour_graph(*energy.neighbours), kind="stable")
