"""What every built-in energy shares: checked calls through compiled code, sums, scaling, saving."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from samplers import protocols
from samplers.batches import gradient_batch, reduced_batch
from samplers.compiled import Functions
from samplers.sampler import over_chains
from samplers.tags import tag


class Energy:
    """Base of the energies that are compiled: p(x) = exp(-beta E(x)) / Z(beta), k_B = 1.

    A new energy sets `shape` and `domain`, gives its numba functions in `compiled` and what it is made of in
    `parameters`; calls, gradients, sums, scaling and files follow.
    """

    shape: tuple[int, ...]
    domain: str = "real"
    linear_in_beta: bool = True  # u = beta E; an energy whose hidden units are summed out at beta says False

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy, in the conventions of samplers.compiled."""
        raise NotImplementedError

    def parameters(self) -> dict[str, Any]:
        """Return the arguments that make this energy anew: numbers, tuples, strings and arrays by name."""
        raise NotImplementedError

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return E(x), (n,), for configurations x (n, *shape)."""
        return self.reduced(x, 1.0)

    def reduced(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return the reduced energy u(x, beta), (n,): p(x) = exp(-u) / Z; beta is a number, or one a configuration."""
        x = protocols.check_configurations(x, self)
        x = x.reshape(len(x), math.prod(self.shape))
        functions, out = self.compiled, np.empty(len(x))
        betas = np.empty(len(x))
        betas[:] = beta  # contiguous, so that one beta and many compile to the same loop
        label = tag(functions)
        over_chains(lambda rows: reduced_batch(label, functions.params, x[rows], betas[rows], out[rows]), len(x))
        return out

    def grad(self, x: np.ndarray) -> np.ndarray:
        """Return dE/dx, (n, *shape), for configurations x (n, *shape) of a real or angle energy."""
        return self.reduced_grad(x, 1.0)

    def reduced_grad(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return du/dx, (n, *shape)."""
        functions = self.compiled
        if functions.gradient is None:
            raise TypeError(f"{type(self).__name__} has no gradient (domain {self.domain!r})")
        x = protocols.check_configurations(x, self)
        flat = x.reshape(len(x), math.prod(self.shape))
        betas, out = np.empty(len(x)), np.empty(flat.shape)
        betas[:] = beta
        label, params = tag(functions), functions.params

        def part(rows: slice) -> None:
            gradient_batch(label, params, flat[rows], betas[rows], out[rows], np.empty(flat.shape[1]))

        over_chains(part, len(x))
        return out.reshape(x.shape)

    def __add__(self, other: Any) -> "Energy":
        from ebm.algebra import Sum

        return Sum(self, other)

    def __mul__(self, factor: float) -> "Energy":
        from ebm.algebra import Scaled

        return Scaled(self, factor)

    __rmul__ = __mul__

    def save(self, path: str | Path) -> None:
        """Write the energy with its parameters to a new HDF5 file, which `ebm.load` reads."""
        from ebm.files import save

        save(self, path)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={_short(value)}" for name, value in self.parameters().items())
        return f"{type(self).__name__}({inside})"


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array{value.shape}" if value.size > 6 else repr(value.tolist())
    return repr(value)


def finite_array(value: Any, name: str, shape: tuple[int | None, ...], dtype: Any = np.float64) -> np.ndarray:
    """Return value as a read-only finite array of the given shape (None: any length), or raise naming the argument."""
    array = np.array(value, dtype=dtype, order="C")
    good = array.ndim == len(shape) and all(n is None or n == m for n, m in zip(shape, array.shape, strict=True))
    if not good:
        need = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must have shape ({need}), got {array.shape}")
    if not array.size:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    array.flags.writeable = False
    return array


def finite_number(value: Any, name: str) -> float:
    """Return value as a float, or raise naming the argument if it is not a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def check_shape(shape: Any, name: str = "shape") -> tuple[int, ...]:
    """Return shape as a tuple of positive integers; an integer n means (n,)."""
    sides = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if not sides or not all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in sides):
        raise ValueError(f"{name} must be a tuple of positive integers, got {shape!r}")
    return tuple(int(n) for n in sides)
