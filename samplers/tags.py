"""How a compiled loop finds the functions of an energy and of a sampler.

A sampler's loop is compiled once for every pair (energy, sampler) and kept in numba's disk cache, so that a fresh
process starts at once. Numba cannot cache a loop that receives functions as arguments. Instead the loop receives an
opaque `Tag` whose numba type is named after a fingerprint of the functions' code, and finds the functions at compile
time through that name: an edited function has another fingerprint, so the cache can never serve a stale loop.
"""

import hashlib
import uuid
from collections.abc import Callable
from typing import Any

from numba import njit, types
from numba.core.dispatcher import Dispatcher
from numba.extending import NativeValue, models, overload, register_model, typeof_impl, unbox

from samplers.compiled import OPTIONS, Functions, caching, one_after_the_other
from samplers.fingerprint import engine_fingerprint, fingerprint

_ENGINE = engine_fingerprint()


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
    "reduced", "gradient", "both", "change", "start_cache", "cached_change", "update_cache", "quotient", "odds", "flip",
    "sweep",
)  # fmt: skip
_TAGS: dict[tuple, Tag] = {}


def tag(energy: Functions, sweep: Dispatcher | None = None) -> Tag:
    """Return the tag of an energy's functions together with a sampler's `sweep`."""
    cached = caching(energy)
    members = (
        energy.reduced, energy.gradient, energy.both, energy.change, cached.start, cached.change, cached.update,
        cached.quotient, cached.odds, cached.flip, sweep,
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


def call_odds(tag, x, site, p, caches, begin, end):
    """Inside compiled code: (new, old, note) of the flips of a site in eight chains of the tagged energy."""
    raise NotImplementedError("call_odds exists only inside compiled code")


def call_flip(tag, x, site, p, cache, note):
    """Inside compiled code: bring the cache in line with a flip of known odds, before it is made."""
    raise NotImplementedError("call_flip exists only inside compiled code")


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


@overload(call_odds, jit_options={"forceinline": True})
def _call_odds(tag, x, site, p, caches, begin, end):
    function = _FUNCTIONS[tag.tag]["odds"]
    return lambda tag, x, site, p, caches, begin, end: function(x, site, p, caches, begin, end)


@overload(call_flip, jit_options={"forceinline": True})
def _call_flip(tag, x, site, p, cache, note):
    function = _FUNCTIONS[tag.tag]["flip"]
    return lambda tag, x, site, p, cache, note: function(x, site, p, cache, note)


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
