"""Gibbs sampling (Geman and Geman 1984): each site, or each layer, is drawn anew given all the others."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from samplers import fast_lattice, protocols, random
from samplers.caches import refresh, start_cache
from samplers.colouring import scan_order
from samplers.inner import OPTIONS, inline
from samplers.sampler import Kernel, Sampler, State
from samplers.single_site import in_dtype
from samplers.tags import cached_change_of, update_cache_of


@inline
def _choose(changes, r):
    """Return k with probability proportional to exp(-changes[k]), from one uniform r; -1 if a change is NaN."""
    lowest = changes[0]
    for k in range(1, changes.shape[0]):
        lowest = min(lowest, changes[k])
    total = 0.0
    for k in range(changes.shape[0]):
        total += math.exp(lowest - changes[k])
    if not total == total:
        return -1
    left = r * total
    for k in range(changes.shape[0]):
        left -= math.exp(lowest - changes[k])
        if left < 0.0:
            return k
    # Rounding left nothing over: the most probable value.
    return int(np.argmin(changes))


@inline
def _gibbs_sweep(tag, p, state, settings, scratch, chain, adapting, stream):
    x, beta, caches, age = state
    values, order = settings
    row, b, cache = x[chain], beta[chain], caches[chain]
    refresh(tag, row, p, cache, age, chain)
    q = values.shape[0]
    changes = np.empty(q)
    for k in range(order.shape[0]):
        site = order[k]
        r, stream = random.uniform(stream)
        if q == 2:
            other = in_dtype(row, site, values[0] + values[1] - row[site])
            probability = 1.0 / (1.0 + math.exp(cached_change_of(tag)(row, site, other, b, p, cache)))
            if r < probability:
                update_cache_of(tag)(row, site, other, p, cache)
                row[site] = other
            elif not probability == probability:
                return np.nan, stream
        else:
            for v in range(q):
                if values[v] == row[site]:
                    changes[v] = 0.0
                else:
                    changes[v] = cached_change_of(tag)(row, site, values[v], b, p, cache)
            chosen = _choose(changes, r)
            if chosen < 0:
                return np.nan, stream
            update_cache_of(tag)(row, site, values[chosen], p, cache)
            row[site] = values[chosen]
    return 1.0, stream


@njit(cache=True, **OPTIONS)
def _choose_chains(x, site, u, values, streams, acceptance):
    """Draw x[:, site] among `values`, given the reduced energies u (chains, values)."""
    for c in range(x.shape[0]):
        stream = random.load(streams, c)
        r, stream = random.uniform(stream)
        random.save(streams, c, stream)
        if values.shape[0] == 2:  # the compiled tier asks whether to leave the present value: so does this one
            now = 0 if x[c, site] == values[0] else 1
            probability = 1.0 / (1.0 + math.exp(u[c, 1 - now] - u[c, now]))
            chosen = 1 - now if r < probability else now
            if not probability == probability:
                chosen = -1
        else:
            chosen = _choose(u[c], r)
        if chosen < 0:
            acceptance[c] = np.nan
        else:
            x[c, site] = values[chosen]


@dataclass(frozen=True)
class Gibbs(Sampler):
    """Gibbs sampling of a discrete energy by its sites (heat bath), or of a layered one, such as an RBM, by its layers.

    P(x_i = a | rest) = exp(-u(x with x_i = a)) / sum_b exp(-u(x with x_i = b)). Sites are visited colour by colour
    where the energy gives its graph, else one after another; every new value is accepted.

    Example:
        >>> import ebm, samplers
        >>> model = ebm.Potts((8, 8), 3)
        >>> samplers.sample(model, samplers.Gibbs(), draws=50, seed=1, progress=False).x.dtype
        dtype('uint8')
    """

    kernel = Kernel(_gibbs_sweep, ("x", "beta", "cache", "age"))

    def check(self, energy: Any) -> None:
        """Raise unless the energy is discrete or layered."""
        if energy.domain not in protocols.DISCRETE and not isinstance(energy, protocols.Layered):
            raise TypeError(
                f"Gibbs needs a discrete energy (spin, binary or states) or one with layers (`block_gibbs`), "
                f"got {protocols.name_of(energy)} (domain {energy.domain!r})"
            )
        protocols.check_flips(energy, "Gibbs")

    def start(self, energy: Any, state: State) -> None:
        """Keep the energy's cache of each chain where single sites are drawn, or the generators of a lattice."""
        if self.compiled_kernel(energy) is not None:
            start_cache(energy, state)
        elif fast_lattice.fits(energy):
            fast_lattice.prepare(energy, heat_bath=True).start(state)

    def settings(self, energy: Any, warmup: int) -> tuple:
        """Return the values a site can take and the order of the sites; nothing for layers."""
        if isinstance(energy, protocols.Layered):
            return ()
        if fast_lattice.fits(energy):
            return fast_lattice.prepare(energy, heat_bath=True)
        return protocols.values(energy), scan_order(energy)

    def backwards(self, settings: tuple) -> tuple:
        """Return settings with which a sweep visits the sites in the reverse order."""
        if isinstance(settings, fast_lattice.FastLattice):
            return settings._replace(begin=1 - settings.begin)  # within a colour there is no order
        if not settings:
            return settings  # x -> hidden layer -> x is in detailed balance
        values, order = settings
        return values, order[::-1].copy()

    def compiled_kernel(self, energy: Any) -> Kernel | None:
        """Return the compiled sweep of single sites; None for layers and for lattices swept many sites at once."""
        other = isinstance(energy, protocols.Layered) or fast_lattice.fits(energy)
        return None if other else super().compiled_kernel(energy)

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
        """Run draws * thin sweeps in place, layer by layer where the energy has layers."""
        if isinstance(settings, fast_lattice.FastLattice):
            return settings.advance(state, draws, thin, out, acceptance)
        if not isinstance(energy, protocols.Layered):
            return super().advance(energy, state, settings, draws, thin, out, first, acceptance)
        for draw in range(draws):
            energy.block_gibbs(state["x"], state["beta"], state["stream"], thin)
            if out is not None:
                out[:, draw] = state["x"]
        every = np.full((len(state["x"]), draws), float(thin))  # each new layer is accepted
        return every if acceptance is None else np.add(acceptance, every, out=acceptance)

    def sweep_array(self, energy: Any, state: State, settings: tuple, adapting: int) -> np.ndarray:
        """Sweep all chains once: a batched energy for every value of every site."""
        x, beta = state["x"], state["beta"]
        values, order = settings
        acceptance = np.ones(len(x))
        u = np.empty((len(x), len(values)))
        for site in order:
            y = x.copy()
            for k, value in enumerate(values):
                y[:, site] = value
                u[:, k] = protocols.reduced(energy, y, beta)
            _choose_chains(x, site, u, values, state["stream"], acceptance)
        return acceptance
