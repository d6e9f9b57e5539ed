"""A meeting point of threads inside compiled code: none goes on before all have come.

Half a sweep of a large lattice takes some microseconds, much less than handing it to another thread would. So a few
threads run the whole block of sweeps side by side and wait for each other after every half, by two counters in memory.
"""

from typing import Any

from numba import int64, types
from numba.core import cgutils
from numba.extending import intrinsic

from samplers.inner import inner

PATIENCE = 2000  # looks at the counter before the core is offered to others: a waiting thread may hold the last one up


def _place(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    return cgutils.get_item_pointer(
        context,
        builder,
        array_type,
        context.make_array(array_type)(context, builder, array),
        [context.get_constant(types.intp, 0)],
    )


@intrinsic
def _add_one(typing_context: Any, array: Any) -> Any:
    """Add 1 to array[0], as one step for all threads, and return what it was before."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _place(context, builder, signature.args[0], arguments[0])
        return builder.atomic_rmw("add", pointer, context.get_constant(types.int64, 1), "seq_cst")

    return types.int64(array), emit


@intrinsic
def _look(typing_context: Any, array: Any) -> Any:
    """Return array[0] as the other threads have left it."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _place(context, builder, signature.args[0], arguments[0])
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(array), emit


_yield_core = types.ExternalFunction("sched_yield", types.int32())


@inner
def wait(counter, threads):
    """Come to the meeting point, and wait until all `threads` have come; counter is an int64 array of one zero."""
    before = _add_one(counter)
    goal = (before // threads + int64(1)) * threads
    looks = 0
    while _look(counter) < goal:
        looks += 1
        if looks > PATIENCE:
            _yield_core()
