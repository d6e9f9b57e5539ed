"""Functions of compiled code alone: they mean what they say, are compiled once, and refuse to be called from Python."""

import numba
import numpy as np
import pytest
from numba.core.codegen import JITCodeLibrary

from samplers.inner import OPTIONS, copy, inline, inner, stand_apart, stay_small


@inner
def _seen_fit(x):
    return x + 1.0


@inline(fastmath=False)
def _copied(x):
    return 2.0 * _seen_fit(x)


@inner
def _apart(x):
    stand_apart()
    total = 0.0
    for value in x:
        total += _copied(value)
    return total


@inner
def _small(x, out):
    stay_small()
    copy(x, out)


def _loop():
    @numba.njit(**OPTIONS)
    def loop(x, out):
        _small(x, out)
        return _apart(x) + _copied(0.0)

    return loop


def test_a_loop_of_them_is_made_of_their_code() -> None:
    x, out = np.arange(5.0), np.zeros(5)
    assert _loop()(x, out) == 2.0 * (x + 1.0).sum() + 2.0
    assert np.array_equal(out, x)


def test_machine_code_is_made_once_for_a_loop_and_all_it_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    finish = JITCodeLibrary._finalize_specific
    monkeypatch.setattr(
        JITCodeLibrary, "_finalize_specific", lambda library: (made.append(library.name), finish(library))
    )
    x = np.arange(5, dtype=np.float32)  # of a type that these functions have not yet been compiled for
    _loop()(x, x.copy())
    assert made[-1].endswith("loop")
    assert not {
        "part",
        *(function.py_func.__qualname__ for function in (_seen_fit, _copied, _apart, _small, copy)),
    } & set(made)


def test_what_stands_apart_is_called_and_the_rest_is_copied() -> None:
    loop = _loop()
    loop(np.arange(5.0), np.zeros(5))
    (code,) = loop.inspect_llvm().values()
    defined = [line for line in code.splitlines() if line.startswith("define")]
    assert sum("_apart" in line for line in defined) == 1
    assert sum("_small" in line for line in defined) == 1
    assert not any("_copied" in line or "_seen_fit" in line for line in defined)


def test_python_cannot_call_them() -> None:
    _loop()(np.arange(5.0), np.zeros(5))  # also when they have been compiled
    for function in (_seen_fit, _copied, copy):
        with pytest.raises(TypeError, match=f"{function.py_func.__name__} exists only inside compiled code"):
            function(np.zeros(2))
