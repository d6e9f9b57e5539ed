"""The compiled tier: an energy's numba functions, as the compiled loops of the samplers call them (samplers.tags).

Inside compiled code a configuration `x` is one-dimensional (C order), and every function takes the
energy's parameters `p`, a tuple of arrays and numbers:

    reduced(x, beta, p) -> u                       the reduced energy, p(x) = exp(-u) / Z
    gradient(x, beta, weight, p, out, work)        out += weight * du/dx; `work` is scratch of the size of x
    change(x, site, value, beta, p) -> du          the change of u when x[site] becomes `value`; x is left as it was
    both(x, beta, weight, p, out, work) -> u       optional: what `gradient` does, and u from the same pass

An energy may keep for each chain what its local moves need, such as the local fields of all spins: a row `cache` of
float64, which a sampler of local moves holds beside x. It must not depend on beta, which tempering changes.

    start(x, p, cache)                             fills the cache from x
    change(x, site, value, beta, p, cache) -> du   as above, from the cache; it may keep notes there
    update(x, site, value, p, cache)               brings it in line with a move, BEFORE x[site] becomes `value`

Where du is the logarithm of a product, a sampler that moves many chains takes their logarithms side by side. So such an
energy gives, in the place of `change`, what du is made of, with q between 2^-1022 and 2^1022:

    quotient(x, site, value, beta, p, cache) -> (a, w, q)          du = a - w ln q

An energy of spins may also know the odds of a flip in eight chains side by side, in the Lanes of samplers.lanes; they
are those at beta = 1, with x (chains, n) and caches (chains, size), of the chains from begin up to end, at most eight:

    odds(x, site, p, caches, begin, end) -> (new, old, note)       exp(-dE) = new / old, new >= 0 and old > 0
    flip(x, site, p, cache, note)                                  `update` of one chain that flips, by its own note
"""

from functools import cache as remember
from typing import Any, NamedTuple

from numba.core.dispatcher import Dispatcher

from samplers.inner import inline


class Cached(NamedTuple):
    """The functions of an energy's cache, in the conventions of this module, and its size in numbers a chain.

    One of `change` and `quotient` is given by the energy; `functions` makes the change from the quotient. `odds` and
    `flip` come together or not at all.
    """

    start: Dispatcher
    change: Any  # a Dispatcher; None only until `functions` has made it
    update: Dispatcher
    size: int = 0
    quotient: Dispatcher | None = None
    odds: Dispatcher | None = None
    flip: Dispatcher | None = None


class Functions(NamedTuple):
    """An energy's compiled functions and parameters, in the conventions of this module; what is absent is None."""

    reduced: Dispatcher
    gradient: Dispatcher | None
    change: Dispatcher
    params: tuple
    cached: Cached | None = None
    both: Dispatcher | None = None
    lanes: bool = False  # they take eight chains at once: see samplers.lanes

    def holding(self, params: tuple, size: int = 0) -> "Functions":
        """Return the functions with their parameters and the size of their cache."""
        return self._replace(params=params, cached=self.cached and self.cached._replace(size=size))


def functions(
    energy: Dispatcher,
    gradient: Dispatcher | None = None,
    change: Dispatcher | None = None,
    cached: Cached | None = None,
) -> Functions:
    """Make `Functions` of an energy without hidden variables, u = beta E, from E and what it knows of its derivatives.

    `energy(x, p) -> E`; `gradient(x, weight, p, out)` adds weight * dE/dx to out; `change(x, site, value, p) -> dE` and
    the same from a cache, `cached.change(x, site, value, p, cache) -> dE`, or `cached.quotient(...) -> (a, w, q)` with
    dE = a - w ln q.
    The parameters are left empty: an energy fills them in with `holding`.
    """

    @inline
    def reduced(x, beta, p):
        return beta * energy(x, p)

    reduced_gradient = None
    if gradient is not None:

        @inline
        def reduced_gradient(x, beta, weight, p, out, work):
            gradient(x, weight * beta, p, out)

    reduced_change = difference(reduced)
    if change is not None:

        @inline
        def reduced_change(x, site, value, beta, p):
            return beta * change(x, site, value, p)

    if cached is not None and cached.quotient is not None:
        cached = _by_quotient(cached.quotient, cached)
    elif cached is not None:
        cached_change = cached.change

        @inline
        def reduced_cached_change(x, site, value, beta, p, cache):
            return beta * cached_change(x, site, value, p, cache)

        cached = cached._replace(change=reduced_cached_change)
    return Functions(reduced, reduced_gradient, reduced_change, (), cached)


def _by_quotient(quotient: Any, cached: Cached) -> Cached:
    from samplers.elementary import change_of  # which needs `inline` from here

    @inline
    def reduced_quotient(x, site, value, beta, p, cache):
        a, w, q = quotient(x, site, value, p, cache)
        return beta * a, beta * w, q

    @inline
    def change(x, site, value, beta, p, cache):
        a, w, q = reduced_quotient(x, site, value, beta, p, cache)
        return change_of(a, w, q)

    return cached._replace(change=change, quotient=reduced_quotient)


def difference(reduced: Dispatcher) -> Dispatcher:
    """Make `change` from two evaluations of the whole energy, for energies that know no shorter way."""

    @inline
    def change(x, site, value, beta, p):
        old = x[site]
        before = reduced(x, beta, p)
        x[site] = value
        after = reduced(x, beta, p)
        x[site] = old
        return after - before

    return change


@remember
def one_after_the_other(reduced: Dispatcher, gradient: Dispatcher) -> Dispatcher:
    """Make `both` from two evaluations, for energies that know no shorter way."""

    @inline
    def both(x, beta, weight, p, out, work):
        gradient(x, beta, weight, p, out, work)
        return reduced(x, beta, p)

    return both


@remember
def as_quotient(change: Dispatcher) -> Dispatcher:
    """Make `quotient` of a change that is no logarithm."""

    @inline
    def quotient(x, site, value, beta, p, cache):
        return change(x, site, value, beta, p, cache), 0.0, 1.0

    return quotient


def caching(energy: Functions) -> Cached:
    """Return the functions of an energy's cache, or for one that keeps none those of a cache of size 0."""
    return energy.cached or _without_cache(energy.change)


@remember
def _without_cache(plain_change: Dispatcher) -> Cached:
    @inline
    def start(x, p, cache):
        pass

    @inline
    def change(x, site, value, beta, p, cache):
        return plain_change(x, site, value, beta, p)

    @inline
    def update(x, site, value, p, cache):
        pass

    return Cached(start, change, update)
