"""Eight chains at once: a number of each chain, side by side in one vector register.

A step of a small system is a row of operations that wait for each other, and a processor does eight of them in the time
of one if they stand side by side; and a step of a large one reads each parameter once for eight chains. An energy's
functions need no second version for that: compiled for a configuration whose entries are `Lanes` instead of floats, the
same source computes eight chains. It only must not branch on what it computes, nor call functions other than + - * / on
it; its author says so by `lanes=True` in its `Functions`.

Every lane has the arithmetic of a chain by itself, so which chains stand side by side never changes their bits.
"""

import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typeconv import Conversion
from numba.extending import intrinsic, lower_cast, models, overload, register_model

LANES = 8
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)


class LanesType(types.Type):
    """The type of eight floats side by side."""

    def __init__(self) -> None:
        super().__init__("Lanes")

    def can_convert_from(self, context: Any, other: Any) -> Any:
        """A number becomes eight copies of it."""
        return Conversion.safe if isinstance(other, types.Float) else None


LANE_VALUES = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _spread(builder: Any, number: Any) -> Any:
    """Eight copies of a number."""
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), order)


@lower_cast(types.Float, LanesType)
def _cast(context: Any, builder: Any, source: Any, target: Any, value: Any) -> Any:
    return _spread(builder, context.cast(builder, value, source, types.float64))


def _arithmetic(python: Any, in_place: Any, instruction: str) -> None:
    """Teach Lanes one of + - * /, with each other and with numbers."""

    @intrinsic
    def apply(typing_context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            wide = [context.cast(builder, v, t, LANE_VALUES) for v, t in zip(arguments, signature.args, strict=True)]
            return getattr(builder, instruction)(*wide)

        kinds = [t if isinstance(t, LanesType) else types.float64 for t in (a, b)]
        return LANE_VALUES(*kinds), generate

    @overload(python, jit_options={"forceinline": True})
    @overload(in_place, jit_options={"forceinline": True})
    def operate(a, b):
        if isinstance(a, LanesType) or isinstance(b, LanesType):
            return lambda a, b: apply(a, b)
        return None


_arithmetic(operator.add, operator.iadd, "fadd")
_arithmetic(operator.sub, operator.isub, "fsub")
_arithmetic(operator.mul, operator.imul, "fmul")
_arithmetic(operator.truediv, operator.itruediv, "fdiv")


@intrinsic
def _negated(typing_context: Any, a: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fneg(arguments[0])

    return LANE_VALUES(a), generate


@overload(operator.neg, jit_options={"forceinline": True})
def _negative(a):
    return (lambda a: _negated(a)) if isinstance(a, LanesType) else None


@intrinsic
def as_lanes(typing_context: Any, array: Any) -> Any:
    """Inside compiled code: a view of an array (n, 8) as an array (n,) of Lanes."""
    view = types.Array(LANE_VALUES, 1, "C", aligned=False)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        own = context.make_array(signature.args[0])(context, builder, arguments[0])
        result = context.make_array(view)(context, builder)
        n = cgutils.unpack_tuple(builder, own.shape, 2)[0]
        size = context.get_constant(types.intp, 8 * LANES)
        result.data = builder.bitcast(own.data, result.data.type)
        result.nitems, result.itemsize = n, size
        result.shape = cgutils.pack_array(builder, [n])
        result.strides = cgutils.pack_array(builder, [size])
        result.meminfo = cgutils.get_null_value(result.meminfo.type)
        result.parent = cgutils.get_null_value(result.parent.type)
        return result._getvalue()

    return view(array), generate


def lane_scratch(rows: int, n: int) -> np.ndarray:
    """Return zeros (rows, n, 8) that begin on a boundary of 64 bytes, so that no load straddles two cache lines."""
    raw = np.zeros(rows * n * LANES + LANES)
    begin = (-raw.ctypes.data % 64) // 8
    return raw[begin : begin + rows * n * LANES].reshape(rows, n, LANES)
