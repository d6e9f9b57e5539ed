"""Fingerprints of compiled code: a hash of all that a function's meaning depends on, so that no cache can be stale."""

import hashlib
import types as python_types
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.dispatcher import Dispatcher
from numba.core.extending import _Intrinsic

_TRUSTED = ("numpy", "math", "numba", "builtins")  # named, not followed: their code changes only with their version


def fingerprint(value: Any) -> str | None:
    """Hash a function's bytecode with every constant, global and captured value it reaches; None if one is opaque."""
    digest = hashlib.sha256()
    return digest.hexdigest() if _hash(value, digest, set()) else None


def _hash(value: Any, digest: Any, seen: set[int]) -> bool:
    if isinstance(value, Dispatcher):
        options = {k: sorted(v) if isinstance(v, set) else v for k, v in value.targetoptions.items()}
        digest.update(repr(sorted(options.items(), key=str)).encode())
        value = value.py_func
    if isinstance(value, python_types.FunctionType):
        return _hash_function(value, digest, seen)
    if isinstance(value, _Intrinsic) and str(value.__module__).startswith("samplers."):
        digest.update(f"{value.__module__}.{value.__name__}".encode())  # its source is in the engine's fingerprint
        return True
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
        digest.update(f"{type(value).__name__}:{value!r}".encode())
        return True
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        return True
    if isinstance(value, tuple | list):
        digest.update(f"({len(value)}".encode())
        return all(_hash(item, digest, seen) for item in value)
    if isinstance(value, python_types.ModuleType) and value.__name__.split(".")[0] not in _TRUSTED:
        source = getattr(value, "__file__", None)  # which of its functions is called is not known here: all its source
        digest.update(Path(source).read_bytes() if source else b"")
        return source is not None
    name = getattr(value, "__module__", None) or getattr(value, "__name__", None) or type(value).__module__
    if str(name).split(".")[0] in _TRUSTED:
        digest.update(f"{name}.{getattr(value, '__name__', value)}".encode())
        return True
    return False


def _hash_function(function: python_types.FunctionType, digest: Any, seen: set[int]) -> bool:
    if (function.__module__ or "").split(".")[0] in _TRUSTED:
        digest.update(function.__qualname__.encode())
        return True
    if id(function) in seen:  # recursion: this function's code is already in the digest
        return True
    seen.add(id(function))
    digest.update(f"{function.__module__}.".encode())  # cached code names its module, which must exist to load it
    captured = tuple(cell.cell_contents for cell in function.__closure__ or ())
    return (
        _hash_code(function.__code__, function.__globals__, digest, seen)
        and all(_hash(item, digest, seen) for item in captured)
        and _hash(function.__defaults__, digest, seen)
    )


def _hash_code(code: python_types.CodeType, scope: dict, digest: Any, seen: set[int]) -> bool:
    digest.update(code.co_code + repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
    for constant in code.co_consts:
        if isinstance(constant, python_types.CodeType):
            if not _hash_code(constant, scope, digest, seen):
                return False
        elif not _hash(constant, digest, seen):
            return False
    return all(_hash(scope[name], digest, seen) for name in code.co_names if name in scope)


def engine_fingerprint() -> str:
    """Hash the sources of this package: an edit of a sampler or of the random streams must reach every cached loop."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()
