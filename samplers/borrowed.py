"""Arrays without reference counts inside compiled loops.

Every slice of an array counts one more owner of its memory, and one fewer when it goes: two atomic operations, several
nanoseconds each, of which a sweep of a small system makes dozens. A loop whose arrays are kept alive by its caller
needs no counts. It borrows them once, and every slice it takes of what it borrowed is free.
"""

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def borrow(typing_context: Any, value: Any) -> Any:
    """Inside compiled code: the same arrays, tuples of arrays or numbers, without an owner.

    Only for what the caller keeps alive until the loop ends: arguments, never an array made in the loop itself.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _without_owner(context, builder, signature.args[0], arguments[0])

    return value(value), generate


def _without_owner(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        items = cgutils.unpack_tuple(builder, value, len(kind))
        own = [_without_owner(context, builder, item, part) for item, part in zip(kind, items, strict=True)]
        return context.make_tuple(builder, kind, own)
    return value
