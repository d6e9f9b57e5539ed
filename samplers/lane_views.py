"""The numbers inside lanes: for functions that work on eight chains, or on one, by loops of their own.

What an energy computes with + - * / runs in lanes as it stands (see samplers.lanes). One that has its own way to take
several chains at once, as products with a matrix, looks through `numbers_of` at the floats of its configuration: those
of eight chains side by side for every entry, or those of one.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from samplers.lanes import LANES, LanesType, as_lanes


def width_of(x):
    """Inside compiled code: how many chains stand side by side in the array x, LANES or one."""
    raise NotImplementedError("width_of exists only inside compiled code")


def numbers_of(x):
    """Inside compiled code: a view of x (n,) of Lanes as floats (8 n,), those of an entry side by side; floats: x."""
    raise NotImplementedError("numbers_of exists only inside compiled code")


def entries_of(numbers, x):
    """Inside compiled code: a view of floats (n * width_of(x),) as entries of the kind of those of x, (n,)."""
    raise NotImplementedError("entries_of exists only inside compiled code")


def _is_wide(x: Any) -> bool:
    return isinstance(x.dtype, LanesType)


@overload(width_of, jit_options={"forceinline": True})
def _width_of(x):
    return (lambda x: LANES) if _is_wide(x) else (lambda x: 1)


@overload(numbers_of, jit_options={"forceinline": True})
def _overload_numbers_of(x):
    return (lambda x: _inside(x)) if _is_wide(x) else (lambda x: x)


@overload(entries_of, jit_options={"forceinline": True})
def _entries_of(numbers, x):
    if _is_wide(x):
        return lambda numbers, x: as_lanes(numbers.reshape(-1, LANES))
    return lambda numbers, x: numbers


@intrinsic
def _inside(typing_context: Any, lanes: Any) -> Any:
    view = types.Array(types.float64, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        own = context.make_array(lanes)(context, builder, arguments[0])
        result = context.make_array(view)(context, builder)
        n, size = builder.mul(own.nitems, ir.Constant(own.nitems.type, LANES)), context.get_constant(types.intp, 8)
        result.data = builder.bitcast(own.data, result.data.type)
        result.nitems, result.itemsize = n, size
        result.shape, result.strides = cgutils.pack_array(builder, [n]), cgutils.pack_array(builder, [size])
        result.meminfo = cgutils.get_null_value(result.meminfo.type)
        result.parent = cgutils.get_null_value(result.parent.type)
        return result._getvalue()

    return (view(lanes), generate) if lanes.ndim == 1 and lanes.layout == "C" else None
