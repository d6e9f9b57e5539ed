"""The algorithm of Swendsen and Wang (1987): all clusters of an Ising or Potts magnet take a new value at once.

Clusters are found with a forest: each site points to a site of its cluster that does not come after it, the first site
of a cluster to itself. So one pass in the order of the sites carries the first site's new value through the cluster.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import int8, int32, uint8, uint64

from samplers import clusters, random
from samplers.clusters import LANES, Bonds, expand, is_open
from samplers.inner import inline, inner
from samplers.sampler import Kernel, Sampler, State

# Bonds that are opened together and then joined. Joined soon, or the roots found before would be old ones.
CHUNK = 256


def _work(sites: int) -> tuple[np.ndarray, ...]:
    """Return parent, signs, words and, for the bonds of a chunk: open, near end, far end."""
    words = np.empty(CHUNK // LANES, np.uint64)
    ends = np.empty((2, CHUNK + 1), np.int32)  # the entry after the last is written in vain
    return np.empty(sites, np.int32), np.empty(sites, np.int8), words, np.empty(CHUNK, np.uint8), ends[0], ends[1]


@inline
def _root(parent, site):
    """The first site of a cluster as far as it is known; the path to it is halved."""
    while True:
        up = parent[site]
        higher = parent[up]
        if up == higher:
            return up
        parent[site] = higher
        site = higher


@inline
def _join(parent, a, b):
    """Make one cluster of two; its root is the first of its sites."""
    a, b = _root(parent, a), _root(parent, b)
    if a < b:
        parent[b] = a
    else:
        parent[a] = b


@inner
def _join_all(parent, near, far, count):
    """Join the ends of the first `count` bonds."""
    for k in range(count):  # steps towards the roots that do not wait for one another
        near[k] = parent[parent[near[k]]]
        far[k] = parent[far[k]]
    for k in range(count):
        _join(parent, near[k], far[k])


@inner
def _decide(x, begin, end, offset, alike, limit, rest, lanes, opened, stream):
    """Set opened[k] for the bonds from sites begin + k to begin + k + offset, in vector registers."""
    ties = uint8(0)
    for k in range(end - begin):
        satisfied = uint8(x[begin + k] != x[begin + k + offset]) ^ alike
        opened[k] = satisfied & uint8(lanes[k] < limit)
        ties |= satisfied & uint8(lanes[k] == limit)
    if ties:
        for k in range(end - begin):
            if lanes[k] == limit and uint8(x[begin + k] != x[begin + k + offset]) ^ alike:
                opened[k], stream = is_open(lanes[k], limit, rest, stream)
    return stream


@inline
def _piece(begin, end, stride, side):
    """Return up to where sites from `begin` on have their neighbour along an axis at one offset, and this offset."""
    block = stride * side
    start = begin - begin % block
    last_plane = start + block - stride
    if begin < last_plane:
        return min(end, last_plane), stride
    return min(end, start + block), stride - block


@inner
def _link_rows(x, side, alike, limit, rest, key, parent, words, opened, stream):
    """Begin the forest with the bonds along the last axis: a run of sites points to its first one."""
    sites, lanes = x.shape[0], words.view(np.uint16)
    parent[0] = 0
    for low in range(0, sites, CHUNK):
        expand(key, low // LANES, words)
        begin, high = low, min(low + CHUNK, sites)
        while begin < high:
            end, offset = _piece(begin, high, 1, side)
            here = opened[begin - low :]
            stream = _decide(x, begin, end, offset, alike, limit, rest, lanes[begin - low :], here, stream)
            if offset == 1:
                first = parent[begin]
                for site in range(begin, end):
                    first = first if here[site - begin] else int32(site + 1)
                    parent[site + 1] = first
            else:  # the end of a row: back to its beginning
                if here[0]:
                    _join(parent, begin, begin + offset)
                if end < sites:
                    parent[end] = end
            begin = end
    return stream


@inner
def _link_axis(x, stride, side, alike, limit, rest, key, first, parent, words, opened, near, far, stream):
    """Join sites along another axis; its bonds use the words from `first` on."""
    sites, lanes = x.shape[0], words.view(np.uint16)
    for low in range(0, sites, CHUNK):
        expand(key, first + low // LANES, words)
        begin, high, count = low, min(low + CHUNK, sites), 0
        while begin < high:
            end, offset = _piece(begin, high, stride, side)
            here = opened[begin - low :]
            stream = _decide(x, begin, end, offset, alike, limit, rest, lanes[begin - low :], here, stream)
            for site in range(begin, end):
                near[count], far[count] = site, site + offset
                count += here[site - begin]
            begin = end
        _join_all(parent, near, far, count)
    return stream


@inner
def _renew(x, n_states, key, first, parent, signs, words, stream):
    """Give each cluster a uniformly random value: a sign from the words from `first` on, or a new state."""
    sites = x.shape[0]
    if n_states > 0:
        for site in range(sites):
            if parent[site] == site:
                value, stream = random.below(n_states, stream)
                x[site] = value
            else:
                x[site] = x[parent[site]]
        return stream
    step = 64 * words.shape[0]  # one bit a site
    for low in range(0, sites, step):
        expand(key, first + low // 64, words)
        for k in range(min(step, sites - low)):
            bit = (words[k >> 6] >> uint64(k & 63)) & uint64(1)
            signs[low + k] = int8(1) - int8(bit << uint64(1))
    for site in range(sites):
        signs[site] = signs[parent[site]]
    for site in range(sites):
        x[site] *= signs[site]
    return stream


@inline
def _lattice_sweep(tag, parts, x, settings, work, chain, adapting, stream):
    sides, alike = parts
    n_states, limits, rests = settings
    parent, signs, words, opened, near, far = work
    sites, d = x.shape[0], sides.shape[0]
    axis_words = (sites + LANES - 1) // LANES
    key, stream = random.bits64(stream)
    side, limit, rest = sides[d - 1], limits[0], rests[0]
    if side > 1:
        stream = _link_rows(x, side, alike, limit, rest, key, parent, words, opened, stream)
    else:
        for site in range(sites):
            parent[site] = site
    stride = side
    for axis in range(d - 2, -1, -1):
        side, first = sides[axis], (d - 1 - axis) * axis_words
        if side > 1:
            stream = _link_axis(
                x, stride, side, alike, limit, rest, key, first, parent, words, opened, near, far, stream
            )
        stride *= side
    return 1.0, _renew(x, n_states, key, d * axis_words, parent, signs, words, stream)


@inline
def _graph_sweep(tag, parts, x, settings, work, chain, adapting, stream):
    rows, columns, kind, alike = parts
    n_states, limits, rests = settings
    parent, signs, words, _, near, far = work
    bonds, lanes = rows.shape[0], words.view(np.uint16)
    key, stream = random.bits64(stream)
    for site in range(x.shape[0]):
        parent[site] = site
    for low in range(0, bonds, CHUNK):
        expand(key, low // LANES, words)
        count = 0
        for k in range(low, min(low + CHUNK, bonds)):
            i, j = rows[k], columns[k]
            if uint8(x[i] != x[j]) ^ alike[k]:
                opened, stream = is_open(lanes[k - low], limits[kind[k]], rests[kind[k]], stream)
                near[count], far[count] = i, j
                count += opened
        _join_all(parent, near, far, count)
    first = (bonds + LANES - 1) // LANES
    return 1.0, _renew(x, n_states, key, first, parent, signs, words, stream)


@dataclass(frozen=True)
class SwendsenWang(Sampler):
    """Swendsen and Wang's cluster algorithm (1987) for Ising and Potts magnets without a field, on any graph.

    One sweep opens each satisfied bond with probability 1 - exp(-2 beta |J|) (spins) or 1 - exp(-beta J) (states), and
    gives each cluster of sites joined by open bonds a uniformly random value: spins are flipped together or left,
    states become a uniform one of the q values. Ising couplings may have either sign (with frustration the law is kept
    as well, but clusters soon span the system and little is gained); Potts couplings must not be negative. Nothing is
    refused: the acceptance is 1.

    Example:
        >>> import ebm, samplers
        >>> model = ebm.Potts((8, 8), 3)
        >>> samplers.sample(model, samplers.SwendsenWang(), draws=50, seed=1, progress=False).x.dtype
        dtype('uint8')
    """

    def check(self, energy: Any) -> None:
        """Raise TypeError unless this is a zero-field Ising or Potts energy, ferromagnetic if Potts."""
        clusters.check_magnet(energy, "SwendsenWang")

    def compiled_kernel(self, energy: Any) -> Kernel | None:
        """Return None: it is the bonds that are swept, not the sites."""
        return None

    def settings(self, energy: Any, warmup: int) -> Bonds:
        """Return the bonds of the lattice or, once each, of the graph."""
        q = clusters.n_states(energy)
        if clusters.uniform_lattice(energy):
            gaps = clusters.gap(energy, np.array([energy.coupling], np.float64))
            return Bonds(_lattice_sweep, q, gaps, (np.array(energy.shape, np.int64), np.uint8(energy.coupling > 0.0)))
        indptr, indices, weights = energy.bonds()
        rows = np.repeat(np.arange(len(indptr) - 1, dtype=np.int32), np.diff(indptr))
        once = rows < indices
        gaps, kind, alike = clusters.kinds(energy, weights[once])
        return Bonds(_graph_sweep, q, gaps, (rows[once], indices[once].astype(np.int32), kind, alike))

    def advance(
        self,
        energy: Any,
        state: State,
        settings: tuple,
        draws: int,
        thin: int,
        out: np.ndarray | None = None,
        first: int = -1,
        acceptance: np.ndarray | None = None,
    ) -> np.ndarray:
        """Run draws * thin sweeps in place."""
        return clusters.advance(Bonds(*settings), _work, state, draws, thin, out, acceptance)
