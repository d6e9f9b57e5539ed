"""The cluster algorithms in plain Python, bond by bond: slow, and to the bit what the compiled sweeps do.

Also their exact transition matrices, by summing over all configurations of open bonds.
"""

import math
from itertools import product
from typing import Any, NamedTuple

import numpy as np

import samplers

MASK = 2**64 - 1


class Stream:
    """xoshiro256++ (Blackman and Vigna 2021) in plain integers."""

    def __init__(self, state: list[int]) -> None:
        self.state = list(state)

    def word(self) -> int:
        def rotate(word: int, bits: int) -> int:
            return (word << bits | word >> 64 - bits) & MASK

        s = self.state
        result = (rotate((s[0] + s[3]) & MASK, 23) + s[0]) & MASK
        t = s[1] << 17 & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 45)
        return result

    def uniform(self) -> float:
        return (self.word() >> 11) * 2.0**-53

    def below(self, n: int) -> int:
        return int(self.uniform() * n)


def word_of(key: int, number: int) -> int:
    """Output `number` (from 0) of SplitMix64 (Steele, Lea and Flood 2014) started at `key`."""
    z = (key + (number + 1) * 0x9E3779B97F4A7C15) & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def lane_of(key: int, number: int) -> int:
    """The 16 bits that bond `number` compares."""
    return word_of(key, number // 4) >> 16 * (number % 4) & 0xFFFF


class Bond(NamedTuple):
    """A bond between two sites, and the number of its lane in a sweep of Swendsen and Wang."""

    i: int
    j: int
    coupling: float
    lane: int


class Plain:
    """A magnet as a list of bonds, and both algorithms on it. `ties` counts the lanes that a further number decided."""

    def __init__(self, energy: Any) -> None:
        self.sites = math.prod(energy.shape)
        self.q = energy.n_states if energy.domain == "states" else 0
        self.ties = 0
        self.around: list[list[tuple[int, float]]] = [[] for _ in range(self.sites)]
        self.bonds: list[Bond] = []
        uniform = np.ndim(energy.coupling) == 0
        if uniform:
            self._lattice(energy.shape, energy.coupling)
        if not uniform or energy.coupling < 0.0:  # Wolff sees an antiferromagnet as a graph
            self._graph(*energy.bonds(), with_bonds=not uniform)

    def _lattice(self, shape: tuple[int, ...], coupling: float) -> None:
        number = np.arange(self.sites).reshape(shape)
        padded = -(-self.sites // 4) * 4  # each axis begins with a word of its own
        for axis in reversed(range(len(shape))):
            if shape[axis] > 1:
                ahead = np.roll(number, -1, axis).ravel()
                first = (len(shape) - 1 - axis) * padded
                self.bonds += [Bond(i, int(ahead[i]), coupling, first + i) for i in range(self.sites)]
        self.words = len(shape) * padded // 4
        for axis in range(len(shape)):
            if shape[axis] > 1 and coupling >= 0.0:
                ahead, behind = (np.roll(number, step, axis).ravel() for step in (-1, 1))
                for i in range(self.sites):
                    self.around[i] += [(int(ahead[i]), coupling), (int(behind[i]), coupling)]

    def _graph(self, indptr: np.ndarray, indices: np.ndarray, weights: np.ndarray, with_bonds: bool) -> None:
        for i in range(self.sites):
            for k in range(indptr[i], indptr[i + 1]):
                self.around[i].append((int(indices[k]), float(weights[k])))
                if with_bonds and i < indices[k]:
                    self.bonds.append(Bond(i, int(indices[k]), float(weights[k]), len(self.bonds)))
        if with_bonds:
            self.words = -(-len(self.bonds) // 4)

    def satisfied(self, x: np.ndarray, i: int, j: int, coupling: float) -> bool:
        if self.q:
            return bool(x[i] == x[j])
        return coupling * int(x[i]) * int(x[j]) > 0

    def open(self, lane: int, coupling: float, beta: float, stream: Stream) -> bool:
        """Whether a satisfied bond is open."""
        scaled = -math.expm1(-beta * abs(coupling) * (1.0 if self.q else 2.0)) * 65536.0
        limit = min(int(scaled), 65535)
        if lane == limit:
            self.ties += 1
            return stream.uniform() < scaled - limit
        return lane < limit

    def swendsen_wang(self, x: np.ndarray, beta: float, stream: Stream) -> None:
        """One sweep, in place: open bonds, name each cluster by its first site, give it a new value."""
        key, name = stream.word(), list(range(self.sites))
        for i, j, coupling, lane in self.bonds:
            if self.satisfied(x, i, j, coupling) and self.open(lane_of(key, lane), coupling, beta, stream):
                low, high = sorted((name[i], name[j]))
                name = [low if n == high else n for n in name]
        value = {}
        for site in range(self.sites):
            if name[site] == site:
                bit = word_of(key, self.words + site // 64) >> site % 64 & 1
                value[site] = stream.below(self.q) if self.q else 1 - 2 * bit
            x[site] = value[name[site]] if self.q else x[site] * value[name[site]]

    def wolff(self, x: np.ndarray, beta: float, stream: Stream) -> float:
        """One cluster, in place; return its share of all sites."""
        start = stream.below(self.sites)
        shift = stream.below(self.q - 1) if self.q else 0
        cluster, lanes, words = [start], iter(()), 4
        for site in cluster:  # which grows meanwhile
            for neighbour, coupling in self.around[site]:
                lane = next(lanes, None)
                if lane is None:
                    key = stream.word()
                    lanes = iter([lane_of(key, number) for number in range(4 * words)])
                    lane, words = next(lanes), min(2 * words, 512)
                opened = self.open(lane, coupling, beta, stream)
                if opened and neighbour not in cluster and self.satisfied(x, site, neighbour, coupling):
                    cluster.append(neighbour)
        for site in cluster:
            x[site] = (int(x[site]) + 1 + shift) % self.q if self.q else -x[site]
        return len(cluster) / self.sites

    def matrix(self, x: np.ndarray, beta: float, sampler: samplers.Sampler) -> np.ndarray:
        """The exact transition matrix between all configurations x (n, sites)."""
        good = np.array([[self.satisfied(row, i, j, w) for i, j, w, _ in self.bonds] for row in x])
        p = np.array([-math.expm1(-beta * abs(b.coupling) * (1.0 if self.q else 2.0)) for b in self.bonds])
        step = self._all_clusters if isinstance(sampler, samplers.SwendsenWang) else self._one_cluster
        total = np.zeros((len(x), len(x)))
        for opened in product((False, True), repeat=len(self.bonds)):
            choice = np.array(opened, bool)
            weight = np.where(choice, good * p, 1.0 - good * p).prod(1)  # of this set of open bonds, given each x
            here = np.flatnonzero(weight)
            if len(here):
                total[here] += weight[here, None] * step(
                    x, here, [b for b, o in zip(self.bonds, opened, strict=True) if o]
                )
        return total

    def _names(self, opened: list[Bond]) -> np.ndarray:
        name = np.arange(self.sites)
        for bond in opened:
            a, b = name[bond.i], name[bond.j]
            name[name == max(a, b)] = min(a, b)
        return name

    def _all_clusters(self, x: np.ndarray, here: np.ndarray, opened: list[Bond]) -> np.ndarray:
        """All configurations with one new value a cluster, or its signs all kept or all turned, are as likely."""
        name = self._names(opened)
        change = x[None] if self.q else x[here][:, None] * x[None]
        reached = (change == change[..., name]).all(-1) * np.ones((len(here), 1))
        return reached / reached.sum(1, keepdims=True)

    def _one_cluster(self, x: np.ndarray, here: np.ndarray, opened: list[Bond]) -> np.ndarray:
        """The cluster of each site with the same probability, to each other value with the same probability."""
        name, matrix = self._names(opened), np.zeros((len(here), len(x)))
        number = {row.tobytes(): k for k, row in enumerate(x)}
        for site in range(self.sites):
            inside = name == name[site]
            for shift in range(1, self.q) if self.q else (1,):
                for k, row in enumerate(x[here]):
                    y = row.copy()
                    y[inside] = (row[inside].astype(int) + shift) % self.q if self.q else -row[inside]
                    matrix[k, number[y.tobytes()]] += 1.0 / self.sites / max(self.q - 1, 1)
        return matrix
