"""The algorithm of Wolff (1989): the cluster of one random site takes another value."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import int64

from samplers import clusters, random
from samplers.clusters import LANES, Bonds, expand, is_open
from samplers.inner import inline
from samplers.sampler import Kernel, Sampler, State

FEW, MOST = 4, 512  # words drawn at once: few at first, for most clusters away from criticality are small


def _work(sites: int) -> tuple[np.ndarray, ...]:
    """Return the queue of the sites of a cluster (the entry after the last is written in vain), marks and words."""
    return np.empty(sites + 1, np.int32), np.zeros(sites, np.uint8), np.empty(MOST, np.uint64)


@inline
def _refill(words, size, stream):
    """Draw as many words as before and as many again; return their number and the number of lanes."""
    key, stream = random.bits64(stream)
    expand(key, 0, words[:size])
    return min(2 * size, MOST), LANES * size, stream


@inline
def _begin(x, n_states, stream):
    """Draw the first site of the cluster and the value that its sites take; return the value they have, too."""
    site, stream = random.below(x.shape[0], stream)
    old = x[site]
    if n_states == 0:
        return site, old, -int64(old), stream
    shift, stream = random.below(n_states - 1, stream)
    number = int64(old) & (255 if n_states <= 256 else 32767)  # states may be held in signed bytes
    return site, old, (number + 1 + shift) % n_states, stream


@inline
def _visit(x, site, old, new, queue, tail, lane, limit, rest, stream):
    """Put a neighbour into the cluster if the bond is open, without a branch; return the new end of the queue."""
    opened, stream = is_open(lane, limit, rest, stream)
    joins = (x[site] == old) & (opened != 0)
    x[site] = new if joins else x[site]
    queue[tail] = site
    return tail + joins, stream


@inline
def _lattice_sweep(tag, parts, x, settings, work, chain, adapting, stream):
    # With one positive coupling the cluster is of one value, so that a site that has the new one is already in it.
    sides, strides, inverses = parts
    n_states, limits, rests = settings
    queue, _, words = work
    d, sites, lanes, limit, rest = len(sides), x.shape[0], words.view(np.uint16), limits[0], rests[0]
    start, old, other, stream = _begin(x, n_states, stream)
    x[start] = other
    new = x[start]  # in x's own dtype
    queue[0] = start
    head, tail, size, lane, drawn = 0, 1, FEW, 0, 0
    while head < tail:
        site = int64(queue[head])
        head += 1
        left = site  # its number within its plane of the axes before
        for axis in range(d):
            side, stride = sides[axis], strides[axis]
            # left // stride: the product is half a stride's inverse from any integer, far more than rounding.
            place = left if axis == d - 1 else int64((left + 0.5) * inverses[axis])
            left -= place * stride
            if side == 1:
                continue
            if lane == drawn:
                size, drawn, stream = _refill(words, size, stream)
                lane = 0
            ahead = site + stride - (side * stride if place == side - 1 else 0)
            tail, stream = _visit(x, ahead, old, new, queue, tail, lanes[lane], limit, rest, stream)
            behind = site - stride + (side * stride if place == 0 else 0)
            tail, stream = _visit(x, behind, old, new, queue, tail, lanes[lane + 1], limit, rest, stream)
            lane += 2
    return tail / sites, stream


@inline
def _graph_sweep(tag, parts, x, settings, work, chain, adapting, stream):
    indptr, indices, kind, alike = parts
    n_states, limits, rests = settings
    queue, marked, words = work
    lanes = words.view(np.uint16)
    start, _, other, stream = _begin(x, n_states, stream)
    queue[0], marked[start] = start, 1
    head, tail, size, lane, drawn = 0, 1, FEW, 0, 0
    while head < tail:
        site = queue[head]
        head += 1
        for k in range(indptr[site], indptr[site + 1]):
            if lane == drawn:
                size, drawn, stream = _refill(words, size, stream)
                lane = 0
            neighbour = indices[k]
            opened, stream = is_open(lanes[lane], limits[kind[k]], rests[kind[k]], stream)
            lane += 1
            satisfied = (x[neighbour] == x[site]) == (alike[k] != 0)
            joins = satisfied & (marked[neighbour] == 0) & (opened != 0)
            marked[neighbour] |= joins
            queue[tail] = neighbour
            tail += joins
    for k in range(tail):
        marked[queue[k]] = 0
        x[queue[k]] = other if n_states > 0 else -x[queue[k]]
    return tail / x.shape[0], stream


@dataclass(frozen=True)
class Wolff(Sampler):
    """Wolff's cluster algorithm (1989) for Ising and Potts magnets without a field, on any graph.

    One sweep moves ONE cluster, that of a uniformly random site: neighbours join it through satisfied bonds with
    probability 1 - exp(-2 beta |J|) (spins) or 1 - exp(-beta J) (states), and the cluster is flipped, or takes a
    uniform one of the other states. So a sweep is cheap where clusters are small, and many are needed to see every
    site: choose `thin`. Ising couplings may have either sign (with frustration the law is kept as well, but clusters
    soon span the system and little is gained); Potts couplings must not be negative.

    Nothing is refused; `acceptance` holds the share of all sites that the cluster had. For an Ising ferromagnet its
    mean is <m^2>, the susceptibility per site divided by beta and by the number of sites.

    Example:
        >>> import ebm, samplers
        >>> model = ebm.Ising((8, 8))
        >>> samplers.sample(model, samplers.Wolff(), draws=50, beta=0.44, seed=1, progress=False).x.dtype
        dtype('int8')
    """

    def check(self, energy: Any) -> None:
        """Raise TypeError unless this is a zero-field Ising or Potts energy, ferromagnetic if Potts."""
        clusters.check_magnet(energy, "Wolff")

    def compiled_kernel(self, energy: Any) -> Kernel | None:
        """Return None: a cluster is swept, not the sites."""
        return None

    def settings(self, energy: Any, warmup: int) -> Bonds:
        """Return the sides of a ferromagnetic lattice, or the bonds of a graph as each site sees them."""
        q = clusters.n_states(energy)
        if clusters.uniform_lattice(energy) and energy.coupling >= 0.0:
            gaps = clusters.gap(energy, np.array([energy.coupling], np.float64))
            sides = tuple(int(n) for n in energy.shape)
            strides = tuple(math.prod(sides[axis + 1 :]) for axis in range(len(sides)))
            return Bonds(_lattice_sweep, q, gaps, (sides, strides, tuple(1.0 / stride for stride in strides)))
        indptr, indices, weights = energy.bonds()
        gaps, kind, alike = clusters.kinds(energy, weights)
        return Bonds(_graph_sweep, q, gaps, (indptr, indices, kind, alike))

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
        """Run draws * thin sweeps, a cluster each, in place."""
        return clusters.advance(Bonds(*settings), _work, state, draws, thin, out, acceptance)
