"""The compiled tier: an energy's numba functions inside a sampler's compiled loop.

A sampler's loop is compiled once for every pair (energy, sampler) and kept in numba's disk cache, so that a fresh
process starts at once. Numba cannot cache a loop that receives functions as arguments. Instead the loop receives an
opaque `Tag` whose numba type is named after a fingerprint of the functions' code, and finds the functions at compile
time through that name: an edited function has another fingerprint, so the cache can never serve a stale loop.

Conventions. Inside compiled code a configuration `x` is one-dimensional (C order), and every function takes the
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
"""

import hashlib
import uuid
from collections.abc import Callable
from functools import cache as remember
from typing import Any, NamedTuple

from numba import njit, types
from numba.core.dispatcher import Dispatcher
from numba.extending import NativeValue, models, overload, register_model, typeof_impl, unbox

from samplers.fingerprint import engine_fingerprint, fingerprint

# "reassoc" would break the rounding tricks of polynomials and "nnan" would hide a NaN, so neither is on.
FLOATING_POINT = {"contract", "arcp", "nsz"}
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FLOATING_POINT}


def inline(function: Callable) -> Dispatcher:
    """Compile a scalar function that is copied into every compiled loop that calls it."""
    return njit(forceinline=True, **OPTIONS)(function)


class Cached(NamedTuple):
    """The functions of an energy's cache, in the conventions of this module, and its size in numbers a chain.

    One of `change` and `quotient` is given by the energy; `functions` makes the change from the quotient.
    """

    start: Dispatcher
    change: Any  # a Dispatcher; None only until `functions` has made it
    update: Dispatcher
    size: int = 0
    quotient: Dispatcher | None = None


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


def one_after_the_other(reduced: Dispatcher, gradient: Dispatcher) -> Dispatcher:
    """Make `both` from two evaluations, for energies that know no shorter way."""

    @inline
    def both(x, beta, weight, p, out, work):
        gradient(x, beta, weight, p, out, work)
        return reduced(x, beta, p)

    return both


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


_ENGINE = engine_fingerprint()

# --- tags and drivers -------------------------------------------------------------------------------------------------


class TagType(types.Type):
    """The numba type of one (energy, sampler) pair: an opaque value with a telling name."""

    def __init__(self, key: str) -> None:
        super().__init__(name=f"Tag({key})")
        self.tag = key

    @property
    def key(self) -> str:
        """Identity of the type for numba."""
        return self.tag


register_model(TagType)(models.OpaqueModel)


class Tag:
    """A value without content whose numba type leads the compiler to the functions of an energy and a sampler."""

    def __init__(self, numba_type: TagType, cacheable: bool) -> None:
        self.numba_type = numba_type
        self.cacheable = cacheable


@typeof_impl.register(Tag)
def _typeof_tag(value, context):
    return value.numba_type


@unbox(TagType)
def _unbox_tag(numba_type, value, context):
    return NativeValue(context.context.get_dummy_value())


_FUNCTIONS: dict[str, dict[str, Any]] = {}  # the members of a tag, by its key
_MEMBERS = (
    "reduced", "gradient", "both", "change", "start_cache", "cached_change", "update_cache", "quotient", "sweep"
)  # fmt: skip
_TAGS: dict[tuple, Tag] = {}


def tag(energy: Functions, sweep: Dispatcher | None = None) -> Tag:
    """Return the tag of an energy's functions together with a sampler's `sweep`."""
    cached = caching(energy)
    members = (
        energy.reduced, energy.gradient, energy.both, energy.change, cached.start, cached.change, cached.update,
        cached.quotient, sweep,
    )  # fmt: skip
    plain = _is_plain(energy.params)
    if (members, plain) not in _TAGS:
        prints = [fingerprint(member) for member in members]
        cacheable = plain and None not in prints
        code = "".join(str(p) for p in prints) + _ENGINE if cacheable else uuid.uuid4().hex
        key = hashlib.sha256(code.encode()).hexdigest()[:24]
        _FUNCTIONS[key] = dict(zip(_MEMBERS, members, strict=True))
        _TAGS[members, plain] = Tag(TagType(key), cacheable)
    return _TAGS[members, plain]


def _is_plain(params: Any) -> bool:
    """Whether parameters are tuples of arrays and numbers and nothing else.

    The class of a named tuple would become part of numba's cache, which all energies share: a process that cannot
    import that class could then use no energy at all. So a loop over named parameters is compiled anew.
    """
    return type(params) is tuple and all(_is_plain(item) for item in params if isinstance(item, tuple))


def call_reduced(tag, x, beta, p):
    """Inside compiled code: the reduced energy of the tagged energy."""
    raise NotImplementedError("call_reduced exists only inside compiled code")


def call_gradient(tag, x, beta, weight, p, out, work):
    """Inside compiled code: add weight * du/dx of the tagged energy to `out`."""
    raise NotImplementedError("call_gradient exists only inside compiled code")


def call_both(tag, x, beta, weight, p, out, work):
    """Inside compiled code: add weight * du/dx of the tagged energy to `out`, and return u."""
    raise NotImplementedError("call_both exists only inside compiled code")


def call_change(tag, x, site, value, beta, p):
    """Inside compiled code: the change of the tagged energy's u when x[site] becomes `value`."""
    raise NotImplementedError("call_change exists only inside compiled code")


def call_start_cache(tag, x, p, cache):
    """Inside compiled code: fill the cache of the tagged energy from x."""
    raise NotImplementedError("call_start_cache exists only inside compiled code")


def call_cached_change(tag, x, site, value, beta, p, cache):
    """Inside compiled code: the change of the tagged energy's u when x[site] becomes `value`, by its cache."""
    raise NotImplementedError("call_cached_change exists only inside compiled code")


def call_quotient(tag, x, site, value, beta, p, cache):
    """Inside compiled code: (a, w, q), of which the same change is a - w ln q."""
    raise NotImplementedError("call_quotient exists only inside compiled code")


def call_update_cache(tag, x, site, value, p, cache):
    """Inside compiled code: bring the cache in line with a move, before x[site] becomes `value`."""
    raise NotImplementedError("call_update_cache exists only inside compiled code")


def call_sweep(tag, p, state, settings, scratch, chain, adapting, stream):
    """Inside compiled code: one sweep of the tagged sampler."""
    raise NotImplementedError("call_sweep exists only inside compiled code")


@overload(call_reduced, jit_options={"forceinline": True})
def _call_reduced(tag, x, beta, p):
    function = _FUNCTIONS[tag.tag]["reduced"]
    return lambda tag, x, beta, p: function(x, beta, p)


@overload(call_gradient, jit_options={"forceinline": True})
def _call_gradient(tag, x, beta, weight, p, out, work):
    function = _FUNCTIONS[tag.tag]["gradient"]
    return lambda tag, x, beta, weight, p, out, work: function(x, beta, weight, p, out, work)


@overload(call_both, jit_options={"forceinline": True})
def _call_both(tag, x, beta, weight, p, out, work):
    members = _FUNCTIONS[tag.tag]
    function = members["both"] or one_after_the_other(members["reduced"], members["gradient"])
    return lambda tag, x, beta, weight, p, out, work: function(x, beta, weight, p, out, work)


@overload(call_change, jit_options={"forceinline": True})
def _call_change(tag, x, site, value, beta, p):
    function = _FUNCTIONS[tag.tag]["change"]
    return lambda tag, x, site, value, beta, p: function(x, site, value, beta, p)


@overload(call_start_cache, jit_options={"forceinline": True})
def _call_start_cache(tag, x, p, cache):
    function = _FUNCTIONS[tag.tag]["start_cache"]
    return lambda tag, x, p, cache: function(x, p, cache)


@overload(call_cached_change, jit_options={"forceinline": True})
def _call_cached_change(tag, x, site, value, beta, p, cache):
    function = _FUNCTIONS[tag.tag]["cached_change"]
    return lambda tag, x, site, value, beta, p, cache: function(x, site, value, beta, p, cache)


@overload(call_quotient, jit_options={"forceinline": True})
def _call_quotient(tag, x, site, value, beta, p, cache):
    function, change = _FUNCTIONS[tag.tag]["quotient"], _FUNCTIONS[tag.tag]["cached_change"]
    if function is None:
        return lambda tag, x, site, value, beta, p, cache: (change(x, site, value, beta, p, cache), 0.0, 1.0)
    return lambda tag, x, site, value, beta, p, cache: function(x, site, value, beta, p, cache)


@overload(call_update_cache, jit_options={"forceinline": True})
def _call_update_cache(tag, x, site, value, p, cache):
    function = _FUNCTIONS[tag.tag]["update_cache"]
    return lambda tag, x, site, value, p, cache: function(x, site, value, p, cache)


@overload(call_sweep, jit_options={"forceinline": True})
def _call_sweep(tag, p, state, settings, scratch, chain, adapting, stream):
    function = _FUNCTIONS[tag.tag]["sweep"]
    return lambda tag, p, state, settings, scratch, chain, adapting, stream: function(
        tag, p, state, settings, scratch, chain, adapting, stream
    )


class Driver:
    """A compiled loop whose first argument is a tag: cached on disk where the energy's code is known for certain."""

    def __init__(self, function: Callable) -> None:
        self.__doc__ = function.__doc__
        self._cached = njit(cache=True, **OPTIONS)(function)
        self._uncached = njit(**OPTIONS)(function)

    def __call__(self, tag: Tag, *arguments: Any) -> Any:
        return (self._cached if tag.cacheable else self._uncached)(tag, *arguments)
