"""One machine instruction that numba has no name for: how many bits of a word are set."""

from typing import Any

from numba import types
from numba.extending import intrinsic


@intrinsic
def popcount(typing_context: Any, word: Any) -> Any:
    """Inside compiled code: return the number of ones among the 64 bits of a uint64, as uint64."""
    if word != types.uint64:
        return None

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), emit
