"""Graphs of couplings: who is whose neighbour, and how strongly. Every graph is held as a symmetric CSR matrix."""

from typing import Any, NamedTuple

import numpy as np


class Graph(NamedTuple):
    """A symmetric sparse matrix of couplings J: row i has indices[indptr[i]:indptr[i + 1]] and the weights there."""

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray


def lattice(shape: tuple[int, ...], coupling: Any) -> Graph:
    """Return the periodic hypercubic lattice of a shape, each bond once: site s to s + 1 along each axis.

    A side of 2 has double bonds (as in Kaufman's torus), a side of 1 none: a site is not its own neighbour.

    Args:
        shape: sides of the lattice.
        coupling: one number, or an array (d, *shape): coupling[a][s] is the bond from s forward along axis a.
    """
    d, sites = len(shape), int(np.prod(shape))
    bonds = np.broadcast_to(coupling, (d, *shape))
    site = np.arange(sites).reshape(shape)
    rows, columns, weights = [], [], []
    for axis in range(d):
        if shape[axis] == 1:
            continue
        a, b, w = site.ravel(), np.roll(site, -1, axis).ravel(), bonds[axis].ravel()
        rows += [a, b]
        columns += [b, a]
        weights += [w, w]
    if not rows:
        empty = np.zeros(0, np.int64)
        return _csr(empty, empty, np.zeros(0), sites)
    return _csr(np.concatenate(rows), np.concatenate(columns), np.concatenate(weights), sites)


def bond_array(shape: tuple[int, ...], coupling: Any) -> np.ndarray:
    """Return an own copy of the couplings per bond of a lattice, (d, *shape), or raise naming the argument."""
    bonds = np.array(coupling, np.float64)
    if bonds.shape != (len(shape), *shape):
        raise ValueError(
            f"coupling must be a number, an array per bond of shape {(len(shape), *shape)} or a symmetric sparse "
            f"matrix, got shape {bonds.shape}"
        )
    if not np.isfinite(bonds).all():
        raise ValueError(f"coupling must be finite, got {bonds[~np.isfinite(bonds)][0]}")
    return bonds


def sparse(matrix: Any, sites: int, name: str = "coupling") -> Graph:
    """Return the graph of a symmetric scipy sparse matrix with an empty diagonal."""
    coo = matrix.tocoo(copy=True)
    coo.sum_duplicates()
    if coo.shape != (sites, sites):
        raise ValueError(f"{name} must have shape ({sites}, {sites}), got {coo.shape}")
    if not np.isfinite(coo.data).all():
        raise ValueError(f"{name} must be finite, got {coo.data[~np.isfinite(coo.data)][0]}")
    difference = abs(coo - coo.T)
    if difference.nnz and difference.max() > 1e-12 * max(1.0, abs(coo).max()):
        raise ValueError(f"{name} must be symmetric, got entries that differ by up to {difference.max():.3g}")
    if coo.diagonal().any():
        raise ValueError(f"{name} must have an empty diagonal, got {coo.diagonal()[coo.diagonal() != 0][0]} on it")
    keep = coo.data != 0
    return _csr(coo.row[keep], coo.col[keep], coo.data[keep].astype(np.float64), sites)


def _csr(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray, sites: int) -> Graph:
    order = np.lexsort((columns, rows))  # the same order whatever built it: energies are sums in this order
    indptr = np.zeros(sites + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=sites), out=indptr[1:])
    return Graph(indptr, columns[order].astype(np.int32), weights[order].astype(np.float64))
