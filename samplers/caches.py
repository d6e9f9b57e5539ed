"""What samplers of local moves keep beside each chain: its energy's cache, such as the local fields of all spins.

The cache is part of the state, so a run that was cut and resumed goes on with the same bits. Rounding errors of its
updates would add up, so each chain fills it anew from x after a fixed number of its own sweeps.
"""

from typing import Any

import numpy as np

from samplers.compiled import caching
from samplers.inner import inline
from samplers.sampler import State, over_chains
from samplers.tags import Driver, start_cache_of, tag

REFRESH = 100  # sweeps of a chain after which its cache is filled anew


@Driver
def _fill(tag, p, x, cache):
    for c in range(x.shape[0]):
        start_cache_of(tag)(x[c], p, cache[c])


def start_cache(energy: Any, state: State) -> None:
    """Add to the state the caches of a compiled energy, (chains, size), and their age in sweeps, (chains,)."""
    functions, x = energy.compiled, state["x"]
    shape = len(x), caching(functions).size
    # From a boundary of 64 bytes on, so that no load of rows of whole cache lines straddles two of them.
    raw = np.empty(shape[0] * shape[1] + 8)
    begin = (-raw.ctypes.data % 64) // 8
    state["cache"] = raw[begin : begin + shape[0] * shape[1]].reshape(shape)
    state["age"] = np.zeros(len(x), np.int64)
    if state["cache"].size:
        label, cache = tag(functions), state["cache"]
        numbers = cache.size * x.shape[1]
        over_chains(lambda rows: _fill(label, functions.params, x[rows], cache[rows]), len(x), numbers)


@inline
def refresh(tag, x, p, cache, age, chain):
    """Count a sweep of a chain, and fill its cache anew when enough of them have passed."""
    if age[chain] == REFRESH:
        start_cache_of(tag)(x, p, cache)
        age[chain] = 0
    age[chain] += 1
