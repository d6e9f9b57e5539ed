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
from numba.extending import NativeValue, intrinsic, models, register_model, typeof_impl, unbox

from samplers.compiled import Functions, as_quotient, caching, one_after_the_other
from samplers.fingerprint import engine_fingerprint, fingerprint
from samplers.inner import OPTIONS

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
    both = energy.both or (energy.gradient and one_after_the_other(energy.reduced, energy.gradient))
    members = (
        energy.reduced, energy.gradient, both, energy.change, cached.start, cached.change, cached.update,
        cached.quotient or as_quotient(cached.change), cached.odds, cached.flip, sweep,
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


def _finder(name: str) -> Any:
    """Make `name`_of(tag): inside compiled code that function of the tagged energy or sampler, to be called at once."""

    def find(typing_context: Any, tag: Any) -> Any:
        function = types.Dispatcher(_FUNCTIONS[tag.tag][name])
        return function(tag), lambda context, builder, signature, arguments: context.get_dummy_value()

    find.__name__ = find.__qualname__ = f"{name}_of"
    return intrinsic(find)


reduced_of = _finder("reduced")
gradient_of = _finder("gradient")
both_of = _finder("both")
change_of = _finder("change")
start_cache_of = _finder("start_cache")
cached_change_of = _finder("cached_change")
update_cache_of = _finder("update_cache")
quotient_of = _finder("quotient")
odds_of = _finder("odds")
flip_of = _finder("flip")
sweep_of = _finder("sweep")


class Driver:
    """A compiled loop whose first argument is a tag: cached on disk where the energy's code is known for certain."""

    def __init__(self, function: Callable) -> None:
        self.__doc__ = function.__doc__
        self._cached = njit(cache=True, **OPTIONS)(function)
        self._uncached = njit(**OPTIONS)(function)

    def __call__(self, tag: Tag, *arguments: Any) -> Any:
        return (self._cached if tag.cacheable else self._uncached)(tag, *arguments)
