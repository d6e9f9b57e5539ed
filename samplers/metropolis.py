"""The Metropolis algorithm (Metropolis et al. 1953): propose, accept with min(1, exp(-du)).

Moves: one site after another ("single"), swaps of two sites ("exchange", conserves the magnetisation or the particle
number), or all coordinates at once ("gaussian"). Each chain sees sites in a fixed order, colour by colour on a graph,
so each sweep proposes once a site. Where beta times every change of energy is nearly zero almost all proposals are
accepted and a sweep only flips everything there and back: use Gibbs for such high temperatures.

Lattices of even sides with one coupling run many sites at a time: see samplers.fast_lattice. Of energies that give the
odds of a flip in eight chains side by side, as RBM wavefunctions do, many chains move so at beta = 1: samplers.flips.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from samplers import fast_lattice, flips, protocols, random, random_walk, single_site
from samplers.caches import refresh, start_cache
from samplers.colouring import scan_order
from samplers.inner import OPTIONS, copy, inline
from samplers.mala import accept_probability, check_adaptive, start_adaptive
from samplers.random_walk import adapt_chains
from samplers.sampler import Kernel, Sampler, State
from samplers.tags import cached_change_of, update_cache_of

MOVES = ("single", "exchange", "gaussian")


@inline
def _exchange_sweep(tag, p, state, settings, scratch, chain, adapting, stream):
    x, beta, caches, age = state
    row, b, cache = x[chain], beta[chain], caches[chain]
    refresh(tag, row, p, cache, age, chain)
    sites = row.shape[0]
    accepted = 0.0
    for _ in range(sites):
        i, stream = random.below(sites, stream)
        j, stream = random.below(sites - 1, stream)
        j += j >= i  # a uniform pair of different sites
        r, stream = random.uniform(stream)
        a, c = row[i], row[j]
        if a == c:
            continue
        first = cached_change_of(tag)(row, i, c, b, p, cache)
        update_cache_of(tag)(row, i, c, p, cache)
        row[i] = c
        probability = accept_probability(-(first + cached_change_of(tag)(row, j, a, b, p, cache)))
        if r < probability:
            update_cache_of(tag)(row, j, a, p, cache)
            row[j] = a
            accepted += 1.0
        else:
            update_cache_of(tag)(row, i, a, p, cache)
            row[i] = a
            if not probability == probability:
                accepted = np.nan
    return accepted / sites, stream


@njit(cache=True, **OPTIONS)
def _single_propose_chains(x, site, kind, q, step_size, streams, y):
    for c in range(x.shape[0]):
        stream = random.load(streams, c)
        new, stream = single_site.propose(x[c, site], kind, q, step_size[c], stream)
        y[c, site] = new
        random.save(streams, c, stream)


@njit(cache=True, **OPTIONS)
def _exchange_propose_chains(x, y, streams):
    sites = x.shape[1]
    for c in range(x.shape[0]):
        stream = random.load(streams, c)
        i, stream = random.below(sites, stream)
        j, stream = random.below(sites - 1, stream)
        j += j >= i
        y[c, i], y[c, j] = x[c, j], x[c, i]
        random.save(streams, c, stream)


@njit(cache=True, **OPTIONS)
def _accept_chains(x, y, u, u_y, streams, accepted):
    for c in range(x.shape[0]):
        stream = random.load(streams, c)
        probability = accept_probability(u[c] - u_y[c])
        r, stream = random.uniform(stream)
        random.save(streams, c, stream)
        moved = False
        for i in range(x.shape[1]):
            moved |= x[c, i] != y[c, i]
        if not probability == probability:
            accepted[c] = np.nan
        elif r < probability and moved:
            accepted[c] += 1.0
            u[c] = u_y[c]
            copy(y[c], x[c])
        else:
            copy(x[c], y[c])


_KERNELS = {
    "single": Kernel(single_site.sweep_chain, single_site.ARRAYS),
    "exchange": Kernel(_exchange_sweep, ("x", "beta", "cache", "age")),
    "gaussian": Kernel(random_walk.walk_sweep, ("x", "beta", "u", "step_size", "averaging"), scratch_rows=1),
}


@dataclass(frozen=True)
class Metropolis(Sampler):
    """Metropolis sampling of any energy: the change is accepted with min(1, exp(-beta (E(y) - E(x)))).

    Args:
        move: "single" visits every site once a sweep: a spin or bit flips, a state becomes another one, a real number
            or an angle makes a normal step. "exchange" swaps the values of two random sites, as many times a sweep as
            there are sites. "gaussian" moves all real coordinates or angles at once.
        step_size: width of the normal steps to begin with, in units of x, positive; discrete moves have none.
        target_acceptance: acceptance that each chain's step size aims at in warm-up; between 0.44, the optimum of one
            coordinate, and 0.234, that of many (Roberts, Gelman and Gilks 1997). None keeps the step size as it is.

    Example:
        >>> import ebm, samplers
        >>> model = ebm.Ising((8, 8))
        >>> samplers.sample(model, samplers.Metropolis(), draws=50, beta=0.3, seed=1, progress=False).x.dtype
        dtype('int8')
    """

    move: str = "single"
    step_size: float = 0.5
    target_acceptance: float | None = 0.35

    def __post_init__(self) -> None:
        if self.move not in MOVES:
            raise ValueError(f"move must be one of {', '.join(MOVES)}, got {self.move!r}")
        check_adaptive(self.step_size, self.target_acceptance)

    @property
    def kernel(self) -> Kernel:  # type: ignore[override]
        """The compiled sweep of this move."""
        return _KERNELS[self.move]

    def check(self, energy: Any) -> None:
        """Raise unless the move fits the energy's domain."""
        fits = {
            "single": protocols.DOMAINS,
            "exchange": protocols.DISCRETE,
            "gaussian": protocols.CONTINUOUS,
        }[self.move]
        if energy.domain not in fits:
            raise TypeError(
                f'Metropolis(move="{self.move}") needs an energy on a domain among {", ".join(fits)}, '
                f"got {protocols.name_of(energy)} (domain {energy.domain!r})"
            )
        if self.move == "single":
            protocols.check_flips(energy, 'Metropolis("single")')
        if self.move == "exchange" and int(np.prod(energy.shape)) < 2:
            raise TypeError(f'Metropolis(move="exchange") needs at least 2 sites, got shape {energy.shape}')
        if energy.domain == "states" and protocols.n_states(energy) < 2:
            raise TypeError(f"Metropolis needs at least 2 states a site, got {protocols.n_states(energy)}")

    def _is_lattice(self, energy: Any) -> bool:
        return self.move == "single" and fast_lattice.fits(energy)

    def compiled_kernel(self, energy: Any) -> Kernel | None:
        """Return the compiled sweep of this move; None for lattices that are swept many sites at a time."""
        return None if self._is_lattice(energy) else super().compiled_kernel(energy)

    def start(self, energy: Any, state: State) -> None:
        """Keep the step size of each chain, its energy's cache or, where whole configurations are compared, its u."""
        if self._is_lattice(energy):
            return fast_lattice.prepare(energy, heat_bath=False).start(state)
        start_adaptive(self.step_size, state)
        if energy.domain in protocols.DISCRETE:
            state["step_size"][:] = 0.0  # there is none
        if self.move == "gaussian" or not protocols.is_compiled(energy):
            state["u"] = protocols.reduced(energy, state["x"], state["beta"])
        kernel = self.compiled_kernel(energy)
        if kernel is not None and "cache" in kernel.arrays:
            start_cache(energy, state)

    def settings(self, energy: Any, warmup: int) -> tuple:
        """Return what the compiled sweep of this move needs; a target of 0 does not adapt."""
        if self._is_lattice(energy):
            return fast_lattice.prepare(energy, heat_bath=False)
        discrete = energy.domain in protocols.DISCRETE
        target = 0.0 if discrete else float(self.target_acceptance or 0.0)
        if self.move == "gaussian":
            return target, warmup, energy.domain == "angle"
        q = protocols.n_states(energy) if discrete else 0
        return single_site.KIND[energy.domain], q, scan_order(energy), target, warmup

    def backwards(self, settings: tuple) -> tuple:
        """Return settings with which a sweep of single sites visits them in the reverse order."""
        if isinstance(settings, fast_lattice.FastLattice):
            return settings._replace(begin=1 - settings.begin)
        if self.move != "single":
            return settings  # in detailed balance
        kind, q, order, target, warmup = settings
        return kind, q, order[::-1].copy(), target, warmup

    def advance(
        self, energy: Any, state: State, settings: tuple, draws: int, thin: int, out: np.ndarray | None = None,
        first: int = -1, acceptance: np.ndarray | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Run draws * thin sweeps in place."""
        if isinstance(settings, fast_lattice.FastLattice):
            return settings.advance(state, draws, thin, out, acceptance)
        if self.move == "single" and flips.fits(energy, state):
            return flips.advance(energy, state, settings[2], draws, thin, out, acceptance)
        if self.move == "single" and protocols.is_compiled(energy):
            return single_site.advance(energy, state, settings, draws, thin, out, first, acceptance)
        return super().advance(energy, state, settings, draws, thin, out, first, acceptance)

    def sweep_array(self, energy: Any, state: State, settings: tuple, adapting: int) -> np.ndarray:
        """Sweep all chains once, a batched energy a proposal."""
        x, beta, u, streams = state["x"], state["beta"], state["u"], state["stream"]
        step_size, averaging = state["step_size"], state["averaging"]
        acceptance = np.zeros(len(x))
        if self.move == "gaussian":
            y, finite = np.empty_like(x), np.empty(len(x), np.bool_)
            random_walk.propose_chains(x, step_size, y, finite, streams)
            u_y = protocols.reduced(energy, np.where(finite[:, None], y, x), beta)
            random_walk.finish_chains(
                x, y, u, u_y, step_size, averaging, finite, settings, adapting, streams, acceptance
            )
            return acceptance
        kind, q, order, target, warmup = settings
        y = x.copy()
        for site in order:
            if self.move == "single":
                _single_propose_chains(x, site, kind, q, step_size, streams, y)
            else:
                _exchange_propose_chains(x, y, streams)
            _accept_chains(x, y, u, protocols.reduced(energy, y, beta), streams, acceptance)
        acceptance /= x.shape[1]
        adapt_chains(step_size, averaging, acceptance, target, warmup, adapting, kind == single_site.ANGLE)
        return acceptance
