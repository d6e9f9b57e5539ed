"""What a thing must have to be sampled: small structural protocols, and the checks of values at the door.

Any object with these members is an energy; nothing needs to be inherited. `p(x) = exp(-u(x, beta)) / Z(beta)` with the
reduced energy u, which is `beta * energy(x)` unless the object says otherwise by a method `reduced` (an RBM does, since
its hidden units are summed out at beta).
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from samplers.compiled import Functions

DTYPES = {"real": np.float64, "angle": np.float64, "spin": np.int8, "binary": np.int8}
DISCRETE = ("spin", "binary", "states")
CONTINUOUS = ("real", "angle")
DOMAINS = (*DTYPES, "states")


@runtime_checkable
class Space(Protocol):
    """A space of configurations: all that an initial state needs."""

    shape: tuple[int, ...]
    domain: str


@runtime_checkable
class Energy(Space, Protocol):
    """An energy E(x): (n, *shape) -> (n,)."""

    def __call__(self, x: np.ndarray) -> np.ndarray: ...


@runtime_checkable
class Differentiable(Space, Protocol):
    """Something with a gradient of E: (n, *shape) -> (n, *shape). A score model has this and no energy."""

    def grad(self, x: np.ndarray) -> np.ndarray: ...


@runtime_checkable
class NoiseConditional(Space, Protocol):
    """A density known at every noise level: `at_noise(sigma)` is that of x + sigma xi, xi ~ N(0, 1), with x from p.

    What it returns has a `grad` (minus the score) and shape and domain, and may be a full energy: any sampler that fits
    takes it. A score model or a diffusion model is such a family; it needs no `grad` of its own.
    """

    def at_noise(self, sigma: float) -> Differentiable: ...


@runtime_checkable
class Rowwise(Space, Protocol):
    """An energy that is a sum over rows of data: a few of them give an unbiased estimate of its gradient."""

    n_data: int

    def grad(self, x: np.ndarray, batch: np.ndarray | None = None) -> np.ndarray:
        """Return dE/dx, (n, *shape), or its estimate for each x from rows of its own, `batch` (n, rows), int64."""


@runtime_checkable
class Compiled(Space, Protocol):
    """An energy that also gives numba functions, so that whole loops of a sampler can be compiled around it."""

    @property
    def compiled(self) -> Functions: ...


@runtime_checkable
class ManyTemperatures(Space, Protocol):
    """An energy that gives u at several temperatures for little more than at one, as the fields of hidden units do."""

    def reduced_at(self, x: np.ndarray, betas: np.ndarray) -> np.ndarray:
        """Return u, (n, k), of each configuration x (n, *shape) at its own k inverse temperatures, betas (n, k)."""


@runtime_checkable
class Layered(Space, Protocol):
    """An energy whose sites fall into layers that are independent given each other: it can draw a layer at once."""

    def block_gibbs(self, x: np.ndarray, beta: np.ndarray, streams: np.ndarray, sweeps: int) -> None:
        """Run `sweeps` block updates in place: x (chains, sites), beta (chains,), streams (chains, 4)."""


@runtime_checkable
class Graph(Space, Protocol):
    """An energy on a graph: only neighbours share a term. Rows of a CSR matrix: site i has indices[indptr[i]:...]."""

    @property
    def neighbours(self) -> tuple[np.ndarray, np.ndarray]: ...


@runtime_checkable
class Magnet(Space, Protocol):
    """E = -sum over bonds J s s' (domain "spin") or J delta(s, s') (domain "states") - sum over sites h s.

    `coupling` is J: one number for all bonds of the periodic hypercubic lattice of this shape, or anything else (an
    array per bond, a matrix), which then is read from `bonds()`, the symmetric CSR matrix (indptr, indices, weights) of
    all couplings; a pair may occur in it more than once. `field` is h.
    """

    coupling: Any
    field: Any

    def bonds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...


def is_compiled(energy: Any) -> bool:
    """Whether the compiled tier can take this energy: it is `Compiled`, asked in a fiftieth of isinstance's time."""
    members = hasattr(energy, "shape") and hasattr(energy, "domain")
    return members and getattr(energy, "compiled", None) is not None


def has_energy(energy: Any) -> bool:
    """Whether this is an energy and not only a score."""
    return callable(energy) and not getattr(energy, "score_only", False)


def has_gradient(energy: Any) -> bool:
    """Whether a gradient can be had: a method `grad`, and for a compiled energy its compiled gradient."""
    if is_compiled(energy):
        return energy.compiled.gradient is not None
    return isinstance(energy, Differentiable)


def is_linear(energy: Any) -> bool:
    """Whether u = beta E: true without a method `reduced`; an energy that has one says so by `linear_in_beta`."""
    return getattr(energy, "reduced", None) is None or bool(getattr(energy, "linear_in_beta", False))


def name_of(energy: Any) -> str:
    """The name of an energy's class, for messages."""
    return type(energy).__name__


def n_states(energy: Space) -> int:
    """The number of values a site of a discrete energy can take."""
    return int(energy.n_states) if energy.domain == "states" else 2  # type: ignore[attr-defined]


def values(energy: Space) -> np.ndarray:
    """The values a site of a discrete energy can take, in its dtype."""
    if energy.domain == "spin":
        return np.array([-1, 1], np.int8)
    return np.arange(n_states(energy), dtype=dtype_of(energy))


def dtype_of(energy: Space) -> np.dtype:
    """The dtype in which configurations of this energy are held."""
    if energy.domain == "states":
        return np.dtype(np.uint8 if n_states(energy) <= 256 else np.int16)
    return np.dtype(DTYPES[energy.domain])


def check_space(energy: Any) -> None:
    """Raise unless the object has a shape and one of the known domains."""
    if not isinstance(energy, Space):
        raise TypeError(f"energy needs the attributes `shape` and `domain`, got {name_of(energy)} without them")
    if energy.domain not in DOMAINS:
        raise ValueError(f"energy.domain must be one of {', '.join(DOMAINS)}, got {energy.domain!r}")
    sides = energy.shape if isinstance(energy.shape, tuple) else None
    if sides is None or not all(isinstance(n, int | np.integer) and n > 0 for n in sides):
        raise ValueError(f"energy.shape must be a tuple of positive integers, got {energy.shape!r}")


def check_configurations(x: Any, energy: Space, name: str = "x") -> np.ndarray:
    """Return x as an array (n, *shape) in the energy's dtype, or raise an error that says what is wrong with it."""
    array = np.asarray(x)
    if array.ndim != len(energy.shape) + 1 or array.shape[1:] != tuple(energy.shape):
        need = ", ".join(["n", *map(str, energy.shape)])
        raise ValueError(f"{name} must have shape ({need}), got {array.shape}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if energy.domain in CONTINUOUS:
        return np.ascontiguousarray(array, dtype=np.float64)
    if energy.domain == "spin":
        good = (array == 1) | (array == -1)
        need = "-1 and +1"
    else:
        q = n_states(energy)
        good = (array >= 0) & (array < q) & (array == np.floor(array) if array.dtype.kind == "f" else True)
        need = "0 and 1" if energy.domain == "binary" else f"integers from 0 to {q - 1}"
    if not good.all():
        raise ValueError(f"{name} must hold {need} (domain {energy.domain!r}), got {array[~good].flat[0]}")
    array, total = np.ascontiguousarray(array, dtype=dtype_of(energy)), conserved_sum(energy)
    if total is not None:
        sums = array.reshape(len(array), -1).sum(1, dtype=np.int64)
        if (sums != total).any():
            raise ValueError(f"{name} must hold spins of sum {total}, got {sums[sums != total][0]}")
    return array


def conserved_sum(energy: Any) -> int | None:
    """Return the sum that the spins of every configuration must have, which an energy states as `conserved_sum`."""
    return getattr(energy, "conserved_sum", None)


def check_flips(energy: Any, sampler: str) -> None:
    """Raise if single sites may not change, because an energy conserves the sum of its spins."""
    total = conserved_sum(energy)
    if total is not None:
        raise TypeError(
            f"{sampler} changes single spins, but those of {name_of(energy)} must have the sum {total}: use "
            f'Metropolis("exchange")'
        )


def check_positive(value: Any, name: str, *, integer: bool = False, zero: bool = False) -> None:
    """Raise unless value is a finite number above zero (or at least zero), and an integer where one is needed."""
    need = ("a non-negative" if zero else "a positive") + (" integer" if integer else " finite number")
    kinds = (int, np.integer) if integer else (int, float, np.integer, np.floating)
    good = isinstance(value, kinds) and not isinstance(value, bool) and np.isfinite(value)
    if not good or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} must be {need}, got {value!r}")


# --- the array tier: one batched call for all chains ------------------------------------------------------------------


def reduced(energy: Any, x: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Return u of every chain, (chains,), for flat x (chains, sites) and beta (chains,)."""
    batch = x.reshape(len(x), *energy.shape)
    own = getattr(energy, "reduced", None)
    if own is None or (is_linear(energy) and not _is_same(beta)):
        return beta * _vector(energy(batch), len(x), energy)
    return _by_temperature(lambda rows, b: _vector(own(rows, b), len(rows), energy), batch, beta, ())


def reduced_gradient(energy: Any, x: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Return du/dx of every chain, flat (chains, sites)."""
    batch = x.reshape(len(x), *energy.shape)
    own = getattr(energy, "reduced_grad", None)
    if own is None or (is_linear(energy) and not _is_same(beta)):
        return beta[:, None] * _gradient(energy.grad(batch), batch.shape, energy).reshape(x.shape)
    rows = _by_temperature(lambda rows, b: _gradient(own(rows, b), rows.shape, energy), batch, beta, energy.shape)
    return rows.reshape(x.shape)


def batch_gradient(energy: Any, x: np.ndarray, batch: np.ndarray) -> np.ndarray:
    """Return the estimate of dE/dx of every chain, flat (chains, sites), each from its rows `batch` (chains, rows)."""
    configurations = x.reshape(len(x), *energy.shape)
    return _gradient(energy.grad(configurations, batch), configurations.shape, energy).reshape(x.shape)


def reduced_and_gradient(energy: Any, x: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return u (chains,) and du/dx (chains, sites): by the energy's own `reduced_and_grad`, if it has a shorter way."""
    own = getattr(energy, "reduced_and_grad", None)
    if own is None or not (beta == beta[0]).all():
        return reduced(energy, x, beta), reduced_gradient(energy, x, beta)
    batch = x.reshape(len(x), *energy.shape)
    u, gradient = own(batch, float(beta[0]))
    return _vector(u, len(x), energy), _gradient(gradient, batch.shape, energy).reshape(x.shape)


def _by_temperature(function: Any, batch: np.ndarray, beta: np.ndarray, shape: tuple) -> np.ndarray:
    """Call function(rows, beta) once for every temperature there is: `reduced` takes one beta a call."""
    if _is_same(beta):
        return function(batch, float(beta[0]))
    out = np.empty((len(batch), *shape))
    for one in np.unique(beta):
        out[beta == one] = function(batch[beta == one], float(one))
    return out


def _is_same(beta: np.ndarray) -> bool:
    """Whether all chains have one temperature."""
    return bool((beta == beta[0]).all())


def _gradient(value: Any, shape: tuple, energy: Any) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise ValueError(f"{name_of(energy)}.grad must return shape {shape}, got {array.shape}")
    return array


def _vector(value: Any, n: int, energy: Any) -> np.ndarray:
    array = np.asarray(value, dtype=np.float64)
    if array.shape != (n,):
        raise ValueError(f"{name_of(energy)} must return one energy a configuration, shape ({n},), got {array.shape}")
    return array
