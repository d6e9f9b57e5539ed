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

from samplers.lanes import LANE_VALUES, LANES, LanesType, as_lanes


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


@intrinsic
def in_eights(typing_context: Any, numbers: Any) -> Any:
    """Inside compiled code: a view of floats (..., 8 k) as (..., k) of Lanes: here eight entries of one row."""
    if numbers.dtype is not types.float64 or numbers.layout != "C":
        return None
    view = types.Array(LANE_VALUES, numbers.ndim, "C", aligned=False)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        own = context.make_array(numbers)(context, builder, arguments[0])
        result = context.make_array(view)(context, builder)
        eight, size = context.get_constant(types.intp, LANES), context.get_constant(types.intp, 8 * LANES)
        *shape, last = cgutils.unpack_tuple(builder, own.shape, numbers.ndim)
        strides = cgutils.unpack_tuple(builder, own.strides, numbers.ndim)[:-1]
        result.data = builder.bitcast(own.data, result.data.type)
        result.nitems, result.itemsize = builder.udiv(own.nitems, eight), size
        result.shape = cgutils.pack_array(builder, [*shape, builder.udiv(last, eight)])
        result.strides = cgutils.pack_array(builder, [*strides, size])
        result.meminfo = cgutils.get_null_value(result.meminfo.type)
        result.parent = cgutils.get_null_value(result.parent.type)
        return result._getvalue()

    return view(numbers), generate


# --- eight values, and the eight lanes they make ----------------------------------------------------------------------


def _shuffled(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places))


@intrinsic
def beside(typing_context: Any, values: Any) -> Any:
    """Inside compiled code: the Lanes of a tuple of eight floats."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        result = ir.Constant(LANE_VALUES.vector, ir.Undefined)
        for place, value in enumerate(cgutils.unpack_tuple(builder, arguments[0], LANES)):
            result = builder.insert_element(result, value, ir.Constant(ir.IntType(32), place))
        return result

    return LANE_VALUES(values), generate


@intrinsic
def products_of(typing_context: Any, rows: Any) -> Any:
    """Inside compiled code: the Lanes whose k-th number is the product of all eight in the k-th of eight Lanes.

    Pairs of rows are folded into one, three times over: ((0 1) (2 3)) ((4 5) (6 7)) in every row.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vectors = cgutils.unpack_tuple(builder, arguments[0], LANES)
        for width in (1, 2, 4):
            low = [i - width + LANES if i & width else i for i in range(LANES)]
            high = [i + width for i in low]
            vectors = [
                builder.fmul(_shuffled(builder, a, b, low), _shuffled(builder, a, b, high))
                for a, b in zip(vectors[::2], vectors[1::2], strict=True)
            ]
        return vectors[0]

    return LANE_VALUES(rows), generate


@intrinsic
def places_of(typing_context: Any, answer: Any) -> Any:
    """Inside compiled code: the answers of a Mask as the last eight bits of a word, the first lane in the lowest."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.bitcast(arguments[0], ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(answer), generate


@intrinsic
def lowest_place(typing_context: Any, word: Any) -> Any:
    """Inside compiled code: which is the lowest bit that is set in a word that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(word), generate
