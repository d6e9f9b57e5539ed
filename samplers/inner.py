"""Functions that only compiled code calls, compiled once: with the loop that calls them, and not each by itself.

Numba optimises every function and makes machine code of it, then does so again with all of it inside whatever calls it,
layer by layer. Here a function stays as it was lowered until a loop that Python calls is made of all its parts.
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic

# "reassoc" would break the rounding tricks of polynomials and "nnan" would hide a NaN, so neither is on.
FLOATING_POINT = {"contract", "arcp", "nsz"}
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FLOATING_POINT}


class _Part(JITCodeLibrary):
    """The code of one function, to be linked into others: neither optimised nor made machine code by itself."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    @property
    def codegen(self) -> "_Part":
        """Who is to bind the Python environment of the function: nobody, it has none before it is linked."""
        return self

    def set_env(self, name: str, environment: Any) -> None:
        pass


class _PartCompiler(Compiler):
    def __init__(self, typing_context: Any, target: Any, library: Any, *rest: Any) -> None:
        super().__init__(typing_context, target, library or _Part(target.codegen(), "part"), *rest)


class Inner(CPUDispatcher):
    """A function of compiled code alone, without an entry for Python."""

    def __init__(self, function: Callable, locals: Any = None, targetoptions: Any = None) -> None:
        super().__init__(function, locals or {}, targetoptions or {}, pipeline_class=_PartCompiler)

    def __call__(self, *_: Any) -> Any:
        """Refuse: without an entry the call would crash the process."""
        raise TypeError(
            f"{self.py_func.__qualname__} exists only inside compiled code: call it from a numba.njit function"
        )


def inner(function: Callable, copied: bool = False, **options: Any) -> Inner:
    """Compile a function that compiled code calls; `copied` into each place that does, else as LLVM sees fit."""
    wrappers = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return Inner(function, targetoptions={"nopython": True, **OPTIONS, **wrappers, "forceinline": copied, **options})


def inline(function: Callable, **options: Any) -> Inner:
    """Compile a scalar function that is copied into every compiled loop that calls it."""
    return inner(function, True, **options)


@intrinsic
def stand_apart(typing_context: Any) -> Any:
    """Inside compiled code: keep the function that calls this from being copied into the loops that call it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.none(), generate
