"""Functions that only compiled code calls, compiled once: with the loop that calls them, and not each by itself.

Numba optimises every function and makes machine code of it, then does so again with all of it inside whatever calls it,
layer by layer. Here a function stays as it was lowered until a loop that Python calls is made of all its parts.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic

# "reassoc" would break the rounding tricks of polynomials and "nnan" would hide a NaN, so neither is on.
FLOATING_POINT = {"contract", "arcp", "nsz"}
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": FLOATING_POINT,
    "no_cfunc_wrapper": True,  # an entry for C, which nobody uses
}


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
    own = {"nopython": True, "no_cpython_wrapper": True, "forceinline": copied}
    return Inner(function, targetoptions={**OPTIONS, **own, **options})


def inline(function: Callable | None = None, **options: Any) -> Any:
    """Compile a scalar function that is copied into every compiled loop that calls it; options are numba's."""
    return partial(inline, **options) if function is None else inner(function, True, **options)


@inline
def copy(source, target):
    """Put the entries of one row into another, without the code for rows of two lengths of `target[:] = source`."""
    for i in range(source.shape[0]):
        target[i] = source[i]


def _marker(name: str, attributes: tuple[str, ...], doc: str) -> Any:
    """Make a call that gives LLVM's attributes to the compiled function in which it stands."""

    def mark(typing_context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            for attribute in attributes:
                builder.function.attributes.add(attribute)
            return context.get_dummy_value()

        return types.none(), generate

    mark.__name__, mark.__qualname__, mark.__doc__ = name, name, doc
    return intrinsic(mark)


stand_apart = _marker("stand_apart", ("noinline",), "Keep this function from being copied into those that call it.")
stay_small = _marker("stay_small", ("noinline", "optsize"), "The same, and keep its loops short rather than unrolled.")
