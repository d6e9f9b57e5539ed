"""Eight chains at once: a number of each chain, side by side in one vector register.

A step of a small system is a row of operations that wait for each other, and a processor does eight of them in the time
of one if they stand side by side; and a step of a large one reads each parameter once for eight chains. Neither a
sampler nor an energy needs a second version for that: compiled for arrays whose entries are `Lanes` instead of floats,
the same source moves eight chains. It only must not branch on what it computes, nor call anything on it but + - * / and
the functions of this module and of samplers.elementary; an energy's author says so by `lanes=True` in its `Functions`.

    Lanes    eight float64, from arrays (..., 8) of float64: + - * / and comparisons
    Words    eight uint64, from arrays (..., 8) of uint64: + - & | ^ << >>
    Mask     eight answers of a comparison: & and `where`

Every lane has the arithmetic of a chain by itself, so which chains stand side by side never changes their bits.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model

from samplers.inner import inner, stay_small

LANES = 8


class LanesType(types.Type):
    """The type of eight numbers, words or answers side by side."""

    def __init__(self, name: str, number: types.Type, element: ir.Type) -> None:
        super().__init__(name)
        self.number, self.vector = number, ir.VectorType(element, LANES)

    def can_convert_from(self, context: Any, other: Any) -> Any:
        """A number becomes eight copies of it."""
        return Conversion.safe if isinstance(other, type(self.number)) else None


LANE_VALUES = LanesType("Lanes", types.float64, ir.DoubleType())
LANE_WORDS = LanesType("Words", types.uint64, ir.IntType(64))
LANE_MASK = LanesType("Mask", types.boolean, ir.IntType(1))


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, kind.vector)


@lower_cast(types.Float, LanesType)
@lower_cast(types.Integer, LanesType)
def _spread(context: Any, builder: Any, source: Any, target: Any, value: Any) -> Any:
    """Eight copies of a number."""
    number, undefined = context.cast(builder, value, source, target.number), ir.Constant(target.vector, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


# --- operators --------------------------------------------------------------------------------------------------------


def _teach(operators: tuple, own: LanesType, emit: Callable, result: LanesType | None = None) -> None:
    """Teach lanes of one type an operator, with each other and with numbers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = [context.cast(builder, v, t, own) for v, t in zip(arguments, signature.args, strict=True)]
        return emit(builder, *wide)

    for python in operators:

        @infer_global(python)
        class Operator(AbstractTemplate):
            def generic(self, args: tuple, kws: dict) -> Any:
                return (result or own)(*(t if t is own else own.number for t in args)) if own in args else None

        for kinds in ((own, own), (own, own.number), (own.number, own)):
            lower_builtin(python, *kinds)(generate)


_OPERATORS: tuple[tuple[LanesType, str, tuple], ...] = (
    (LANE_VALUES, "fadd", (operator.add, operator.iadd)),
    (LANE_VALUES, "fsub", (operator.sub, operator.isub)),
    (LANE_VALUES, "fmul", (operator.mul, operator.imul)),
    (LANE_VALUES, "fdiv", (operator.truediv, operator.itruediv)),
    (LANE_WORDS, "add", (operator.add, operator.iadd)),
    (LANE_WORDS, "sub", (operator.sub, operator.isub)),
    (LANE_WORDS, "and_", (operator.and_, operator.iand)),
    (LANE_WORDS, "or_", (operator.or_, operator.ior)),
    (LANE_WORDS, "xor", (operator.xor, operator.ixor)),
    (LANE_WORDS, "shl", (operator.lshift, operator.ilshift)),
    (LANE_WORDS, "lshr", (operator.rshift, operator.irshift)),
    (LANE_MASK, "and_", (operator.and_, operator.iand)),
)
for _own, _instruction, _pair in _OPERATORS:
    _teach(_pair, _own, lambda builder, a, b, name=_instruction: getattr(builder, name)(a, b))
for _sign, _python in (
    ("<", operator.lt), ("<=", operator.le), (">", operator.gt), (">=", operator.ge), ("==", operator.eq),
):  # fmt: skip
    _teach((_python,), LANE_VALUES, lambda builder, a, b, sign=_sign: builder.fcmp_ordered(sign, a, b), LANE_MASK)


@infer_global(operator.neg)
class _Negative(AbstractTemplate):
    def generic(self, args: tuple, kws: dict) -> Any:
        return LANE_VALUES(LANE_VALUES) if args == (LANE_VALUES,) else None


@lower_builtin(operator.neg, LANE_VALUES)
def _negated(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.fneg(arguments[0])


# --- functions of one number or of eight ------------------------------------------------------------------------------


def _call(builder: Any, name: str, *arguments: Any) -> Any:
    """Call LLVM's own function of this name for numbers or vectors of them."""
    kind = arguments[0].type
    suffix = f"v{LANES}f64" if isinstance(kind, ir.VectorType) else "f64"
    function = ir.FunctionType(kind, [kind] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, function, f"llvm.{name}.{suffix}"), arguments)


def _wide(*kinds: Any) -> bool:
    return any(isinstance(kind, LanesType) for kind in kinds)


def _signature(result: tuple, *kinds: Any) -> Any:
    """Return the signature of a function of numbers or lanes; `result` is what it gives for numbers and for lanes."""
    wide = _wide(*kinds)
    return result[wide](*(kind if isinstance(kind, LanesType) else types.float64 for kind in kinds))


_VALUE, _WORD, _ANSWER = (types.float64, LANE_VALUES), (types.uint64, LANE_WORDS), (types.boolean, LANE_MASK)


@intrinsic
def sqrt(typing_context: Any, x: Any) -> Any:
    """Inside compiled code: the square root."""
    return _signature(_VALUE, x), lambda context, builder, signature, values: _call(builder, "sqrt", *values)


@intrinsic
def ceil(typing_context: Any, x: Any) -> Any:
    """Inside compiled code: the smallest whole number that is not below x, as a float."""
    return _signature(_VALUE, x), lambda context, builder, signature, values: _call(builder, "ceil", *values)


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Inside compiled code: a * b + c, rounded once; whether the compiler itself fuses differs from loop to loop."""
    sign = _signature(_VALUE, a, b, c)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pairs = zip(values, signature.args, strict=True)
        return _call(builder, "fma", *(context.cast(builder, v, t, signature.return_type) for v, t in pairs))

    return sign, generate


@intrinsic
def is_finite(typing_context: Any, x: Any) -> Any:
    """Inside compiled code: whether x is a number and not infinite."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        infinite = context.cast(builder, context.get_constant(types.float64, np.inf), types.float64, signature.args[0])
        return builder.fcmp_ordered("<", _call(builder, "fabs", *values), infinite)

    return _signature(_ANSWER, x), generate


@intrinsic
def every(typing_context: Any, answer: Any) -> Any:
    """Inside compiled code: whether the answer is yes in all lanes; of a plain bool, the bool itself."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if signature.args[0] is types.boolean:
            return values[0]
        bits = ir.IntType(LANES)
        return builder.icmp_unsigned("==", builder.bitcast(values[0], bits), ir.Constant(bits, (1 << LANES) - 1))

    return types.boolean(answer), generate


@intrinsic
def where(typing_context: Any, answer: Any, yes: Any, no: Any) -> Any:
    """Inside compiled code: `yes` where the answer is yes, else `no`."""
    kinds = [kind if isinstance(kind, LanesType) else types.float64 for kind in (yes, no)]
    result = LANE_VALUES if _wide(answer, yes, no) else types.float64

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        own = [context.cast(builder, v, t, result) for v, t in zip(values[1:], signature.args[1:], strict=True)]
        return builder.select(values[0], *own)

    return result(answer, *kinds), generate


@intrinsic
def bits_of(typing_context: Any, x: Any) -> Any:
    """Inside compiled code: the 64 bits of a float, as a word."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], context.get_value_type(signature.return_type))

    return _signature(_WORD, x), generate


def _of_word(typing_context: Any, word: Any, instruction: str) -> Any:
    """The signature and code of what makes a float of a word."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return getattr(builder, instruction)(values[0], context.get_value_type(signature.return_type))

    wide = isinstance(word, LanesType)
    return _VALUE[wide](_WORD[wide]), generate


@intrinsic
def from_bits(typing_context: Any, word: Any) -> Any:
    """Inside compiled code: the float with these 64 bits."""
    return _of_word(typing_context, word, "bitcast")


@intrinsic
def as_number(typing_context: Any, word: Any) -> Any:
    """Inside compiled code: a word below 2^63 as a float."""
    # The same number either way. Some processors convert only unsigned words side by side, and a single signed one.
    return _of_word(typing_context, word, "uitofp" if isinstance(word, LanesType) else "sitofp")


# --- arrays -----------------------------------------------------------------------------------------------------------


@intrinsic
def as_lanes(typing_context: Any, value: Any) -> Any:
    """Inside compiled code: a view of an array (..., 8) as an array (...) of Lanes or Words; or of a tuple of such."""
    kinds = value if isinstance(value, types.BaseTuple) else [value]
    views = [
        types.Array(LANE_WORDS if kind.dtype is types.uint64 else LANE_VALUES, kind.ndim - 1, "C", aligned=False)
        for kind in kinds
    ]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not isinstance(value, types.BaseTuple):
            return _view(context, builder, value, views[0], arguments[0])
        parts = zip(kinds, views, cgutils.unpack_tuple(builder, arguments[0], len(views)), strict=True)
        return context.make_tuple(builder, result, [_view(context, builder, *part) for part in parts])

    result = types.Tuple(views) if isinstance(value, types.BaseTuple) else views[0]
    return result(value), generate


def _view(context: Any, builder: Any, kind: Any, view: Any, array: Any) -> Any:
    own = context.make_array(kind)(context, builder, array)
    result = context.make_array(view)(context, builder)
    shape, strides = (cgutils.unpack_tuple(builder, part, kind.ndim)[:-1] for part in (own.shape, own.strides))
    result.data = builder.bitcast(own.data, result.data.type)
    result.nitems = builder.udiv(own.nitems, context.get_constant(types.intp, LANES))
    result.itemsize = context.get_constant(types.intp, 8 * LANES)
    result.shape = cgutils.pack_array(builder, shape)
    result.strides = cgutils.pack_array(builder, strides)
    result.meminfo = cgutils.get_null_value(result.meminfo.type)
    result.parent = cgutils.get_null_value(result.parent.type)
    return result._getvalue()


def lane_array(shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """Return zeros (*shape, 8) that begin on a boundary of 64 bytes, so that no load straddles two cache lines."""
    size = math.prod(shape) * LANES
    raw = np.zeros(size + LANES, dtype)
    begin = (-raw.ctypes.data % 64) // 8
    return raw[begin : begin + size].reshape(*shape, LANES)


@inner
def load_lanes(rows, begin, end, lanes):
    """Put the rows (n, k) from begin up to end, at most eight, into lanes (k, 8); the last one fills what is left."""
    stay_small()
    for lane in range(LANES):
        row = min(begin + lane, end - 1)
        for i in range(lanes.shape[0]):
            lanes[i, lane] = rows[row, i]


@inner
def store_lanes(lanes, begin, end, rows):
    """Put lanes (k, 8) back into the rows (n, k) from begin up to end."""
    stay_small()
    for row in range(begin, end):
        for i in range(lanes.shape[0]):
            rows[row, i] = lanes[i, row - begin]
