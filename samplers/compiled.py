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
"""

import hashlib
import uuid
from collections.abc import Callable
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


# Only an operation that accumulates may be reordered: elsewhere this would undo the rounding tricks of polynomials.
_REORDERED = {**OPTIONS, "fastmath": FLOATING_POINT | {"reassoc"}}


@njit(forceinline=True, **_REORDERED)
def plus(a, b):
    """Return a + b; a sum made of these may be taken in any order, hence in vector registers."""
    return a + b


@njit(forceinline=True, **_REORDERED)
def times(a, b):
    """Return a * b; a product made of these may be taken in any order."""
    return a * b


class Functions(NamedTuple):
    """An energy's compiled functions and parameters, in the conventions of this module; what is absent is None."""

    reduced: Dispatcher
    gradient: Dispatcher | None
    change: Dispatcher
    params: tuple
    both: Dispatcher | None = None
    lanes: bool = False  # neither branch on x nor call anything on it but + - * /: they take eight chains at once


def functions(energy: Dispatcher, gradient: Dispatcher | None = None, change: Dispatcher | None = None) -> Functions:
    """Make `Functions` of an energy without hidden variables, u = beta E, from E and what it knows of its derivatives.

    `energy(x, p) -> E`; `gradient(x, weight, p, out)` adds weight * dE/dx to out; `change(x, site, value, p) -> dE`.
    The parameters are left empty: an energy fills them in with `_replace(params=...)`.
    """

    @inline
    def reduced(x, beta, p):
        return beta * energy(x, p)

    reduced_gradient = None
    if gradient is not None:

        @inline
        def reduced_gradient(x, beta, weight, p, out, work):
            gradient(x, weight * beta, p, out)

    if change is None:
        return Functions(reduced, reduced_gradient, difference(reduced), ())

    @inline
    def reduced_change(x, site, value, beta, p):
        return beta * change(x, site, value, p)

    return Functions(reduced, reduced_gradient, reduced_change, ())


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


_ENGINE = engine_fingerprint()
_FUNCTIONS: dict[str, tuple] = {}  # tag key -> (reduced, gradient, change, sweep, both)
_TAGS: dict[tuple, Tag] = {}


def tag(energy: Functions, sweep: Dispatcher | None = None) -> Tag:
    """Return the tag of an energy's functions together with a sampler's `sweep`."""
    members = (energy.reduced, energy.gradient, energy.change, sweep, energy.both)
    plain = _is_plain(energy.params)
    if (members, plain) not in _TAGS:
        prints = [fingerprint(member) for member in members]
        cacheable = plain and None not in prints
        code = "".join(str(p) for p in prints) + _ENGINE if cacheable else uuid.uuid4().hex
        key = hashlib.sha256(code.encode()).hexdigest()[:24]
        _FUNCTIONS[key] = members
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


def call_sweep(tag, p, state, settings, scratch, chain, adapting, stream):
    """Inside compiled code: one sweep of the tagged sampler."""
    raise NotImplementedError("call_sweep exists only inside compiled code")


def call_wide_sweep(tag, p, state, settings, scratch, rows, adapting, streams, accepted):
    """Inside compiled code: one sweep of up to eight chains by the tagged sampler."""
    raise NotImplementedError("call_wide_sweep exists only inside compiled code")


@overload(call_reduced, jit_options={"forceinline": True})
def _call_reduced(tag, x, beta, p):
    function = _FUNCTIONS[tag.tag][0]
    return lambda tag, x, beta, p: function(x, beta, p)


@overload(call_gradient, jit_options={"forceinline": True})
def _call_gradient(tag, x, beta, weight, p, out, work):
    function = _FUNCTIONS[tag.tag][1]
    return lambda tag, x, beta, weight, p, out, work: function(x, beta, weight, p, out, work)


@overload(call_both, jit_options={"forceinline": True})
def _call_both(tag, x, beta, weight, p, out, work):
    reduced, gradient, _, _, both = _FUNCTIONS[tag.tag]
    function = both or one_after_the_other(reduced, gradient)
    return lambda tag, x, beta, weight, p, out, work: function(x, beta, weight, p, out, work)


@overload(call_change, jit_options={"forceinline": True})
def _call_change(tag, x, site, value, beta, p):
    function = _FUNCTIONS[tag.tag][2]
    return lambda tag, x, site, value, beta, p: function(x, site, value, beta, p)


@overload(call_sweep, jit_options={"forceinline": True})
def _call_sweep(tag, p, state, settings, scratch, chain, adapting, stream):
    function = _FUNCTIONS[tag.tag][3]
    return lambda tag, p, state, settings, scratch, chain, adapting, stream: function(
        tag, p, state, settings, scratch, chain, adapting, stream
    )


@overload(call_wide_sweep, jit_options={"forceinline": True})
def _call_wide_sweep(tag, p, state, settings, scratch, rows, adapting, streams, accepted):
    function = _FUNCTIONS[tag.tag][3]
    return lambda tag, p, state, settings, scratch, rows, adapting, streams, accepted: function(
        tag, p, state, settings, scratch, rows, adapting, streams, accepted
    )


class Driver:
    """A compiled loop whose first argument is a tag: cached on disk where the energy's code is known for certain."""

    def __init__(self, function: Callable) -> None:
        self.__doc__ = function.__doc__
        self._cached = njit(cache=True, **OPTIONS)(function)
        self._uncached = njit(**OPTIONS)(function)

    def __call__(self, tag: Tag, *arguments: Any) -> Any:
        return (self._cached if tag.cacheable else self._uncached)(tag, *arguments)


@Driver
def reduced_batch(tag, p, x, beta, out):
    """Set out[i] to the reduced energy of row x[i] at inverse temperature beta[i]."""
    for i in range(x.shape[0]):
        out[i] = call_reduced(tag, x[i], beta[i], p)


@Driver
def gradient_batch(tag, p, x, beta, out, work):
    """Set out[i] to the gradient of the reduced energy at row x[i] and inverse temperature beta[i]."""
    for i in range(x.shape[0]):
        out[i] = 0.0
        call_gradient(tag, x[i], beta[i], 1.0, p, out[i], work)
