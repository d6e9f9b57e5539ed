"""A straight path from an energy whose ln Z is known to any other one: what continuous energies are annealed along.

Where beta = 0 has no law, as for real coordinates, ln Z needs another anchor. At times 0 <= t <= 1

    u_t(x) = (1 - t) u_base(x) + t u(x, beta),      p_t = exp(-u_t) / Z_t,      du_t/dt = u(x, beta) - u_base(x),

which asks nothing of the energy but its reduced energy at the one beta of interest.
"""

import math
from typing import Any

import numpy as np

import samplers
from ebm.energy import Energy
from ebm.gaussian import Gaussian
from samplers import protocols
from samplers.compiled import Functions, functions
from samplers.inner import inline
from samplers.run import check_sampler

WIDER = 1.5  # variance of a fitted base in that of the draws: its tails must hold those of the energy
PILOT: dict[str, Any] = {"chains": 32, "draws": 100, "warmup": 300}


class Bridge(Energy):
    """The path as an energy for samplers and ladders: its "inverse temperature" is s = 1 + t, which runs from 1 to 2.

    Args:
        base: energy with a method `log_z(1.0)`, with as many coordinates as the other.
        energy: the energy at the other end.
        beta: its inverse temperature there.
    """

    linear_in_beta = False

    def __init__(self, base: Any, energy: Any, beta: float) -> None:
        self.base, self.energy, self.beta = base, energy, float(beta)
        self.shape, self.domain = tuple(energy.shape), energy.domain
        both = protocols.is_compiled(base) and protocols.is_compiled(energy)
        self._functions = _bridge_functions(base.compiled, energy.compiled, self.beta) if both else None

    @property
    def compiled(self) -> Functions:
        """The numba functions of the path; None if an end has none."""
        return self._functions  # type: ignore[return-value]

    def ends(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return u_base and u(., beta), (n,) each, of configurations x (n, *shape) or (n, sites)."""
        flat = np.ascontiguousarray(x).reshape(len(x), -1)
        one = np.ones(len(flat))
        return protocols.reduced(self.base, flat, one), protocols.reduced(self.energy, flat, self.beta * one)

    def reduced(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return u_t at t = beta - 1, (n,)."""
        if self._functions is not None:
            return super().reduced(x, beta)
        return _mix(*self.ends(x), np.asarray(beta) - 1.0)

    def reduced_at(self, x: np.ndarray, betas: np.ndarray) -> np.ndarray:
        """Return u_t of each configuration at k times of its own, t = betas - 1, (n, k)."""
        first, second = self.ends(x)
        return _mix(first[:, None], second[:, None], betas - 1.0)

    def reduced_grad(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return the gradient of u_t, (n, *shape)."""
        if self._functions is not None:
            return super().reduced_grad(x, beta)
        flat = np.ascontiguousarray(x).reshape(len(x), -1)
        one, t = np.ones(len(flat)), np.broadcast_to(np.asarray(beta, np.float64) - 1.0, (len(flat),))[:, None]
        first = protocols.reduced_gradient(self.base, flat, one)
        second = protocols.reduced_gradient(self.energy, flat, self.beta * one)
        return _mix(first, second, t).reshape(np.shape(x))

    def parameters(self) -> dict[str, Any]:
        """Return both ends."""
        return {"base": self.base, "energy": self.energy, "beta": self.beta}


def _mix(first: np.ndarray, second: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return (1 - t) first + t second; the end that is not there counts for nothing, be it infinite."""
    with np.errstate(invalid="ignore"):
        return np.where(t == 0.0, first, np.where(t == 1.0, second, (1.0 - t) * first + t * second))


def _bridge_functions(base: Functions, energy: Functions, beta: float) -> Functions:
    change1, change2 = base.change, energy.change
    lanes = base.lanes and energy.lanes
    # Lanes may not branch; their energies are polynomials, which do not reach infinity where a base is likely to be.
    reduced, gradient = (_straight if lanes else _guarded)(base, energy)

    @inline
    def change(x, site, value, s, p):
        return (2.0 - s) * change1(x, site, value, 1.0, p[0]) + (s - 1.0) * change2(x, site, value, p[2], p[1])

    has_gradient = base.gradient is not None and energy.gradient is not None
    params = (base.params, energy.params, beta)
    return Functions(reduced, gradient if has_gradient else None, change, params, lanes=lanes)


def _straight(base: Functions, energy: Functions) -> tuple[Any, Any]:
    """u_t and its gradient as they are written."""
    reduced1, reduced2 = base.reduced, energy.reduced
    gradient1: Any = base.gradient
    gradient2: Any = energy.gradient

    @inline
    def reduced(x, s, p):
        return (2.0 - s) * reduced1(x, 1.0, p[0]) + (s - 1.0) * reduced2(x, p[2], p[1])

    @inline
    def gradient(x, s, weight, p, out, work):
        gradient1(x, 1.0, weight * (2.0 - s), p[0], out, work)
        gradient2(x, p[2], weight * (s - 1.0), p[1], out, work)

    return reduced, gradient


def _guarded(base: Functions, energy: Functions) -> tuple[Any, Any]:
    """The same, where an end that is not there counts for nothing, be it infinite."""
    reduced1, reduced2 = base.reduced, energy.reduced
    gradient1: Any = base.gradient
    gradient2: Any = energy.gradient

    @inline
    def reduced(x, s, p):
        if s == 1.0:
            return reduced1(x, 1.0, p[0])
        if s == 2.0:
            return reduced2(x, p[2], p[1])
        return (2.0 - s) * reduced1(x, 1.0, p[0]) + (s - 1.0) * reduced2(x, p[2], p[1])

    @inline
    def gradient(x, s, weight, p, out, work):
        if s != 2.0:
            gradient1(x, 1.0, weight * (2.0 - s), p[0], out, work)
        if s != 1.0:
            gradient2(x, p[2], weight * (s - 1.0), p[1], out, work)

    return reduced, gradient


@inline
def _flat_energy(x, p):
    return 0.0 * x[0]


@inline
def _flat_gradient(x, weight, p, out):
    pass


_FLAT = functions(_flat_energy, _flat_gradient)


class FlatAngles(Energy):
    """Angles that are uniform on the circle: E = 0, ln Z = n ln 2 pi."""

    domain = "angle"

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _FLAT

    def parameters(self) -> dict[str, Any]:
        """Return the shape."""
        return {"shape": self.shape}

    def log_z(self, beta: float = 1.0) -> float:
        """Return ln Z = n ln 2 pi."""
        return math.prod(self.shape) * math.log(2 * math.pi)

    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """Return n independent draws (n, *shape)."""
        return -np.random.default_rng(seed).uniform(-np.pi, np.pi, (n, *self.shape))


def default_sampler(energy: Any) -> samplers.Sampler:
    """Return what moves an energy when nobody says otherwise."""
    if energy.domain in protocols.DISCRETE:
        return samplers.Gibbs()
    return samplers.HMC(steps=5) if protocols.has_gradient(energy) else samplers.Metropolis("gaussian")


def check_kernel(sampler: Any, energy: Any) -> None:
    """Raise unless the sampler fits the energy and leaves its law exactly as it is."""
    check_sampler(energy, sampler)
    if not sampler.needs_energy or isinstance(sampler, samplers.ParallelTempering):
        raise TypeError(
            "sampler must leave p(x) unchanged by every sweep, as Gibbs, Metropolis, MALA and HMC do, "
            f"got {type(sampler).__name__}"
        )


def base_of(energy: Any, beta: float, base: Any, sampler: samplers.Sampler, entropy: int) -> Any:
    """Return the anchor of a continuous energy: `base` if given, flat for angles, else a normal law fitted to draws."""
    if base is not None:
        if not callable(getattr(base, "log_z", None)) or not callable(getattr(base, "sample", None)):
            raise TypeError(f"base must have `log_z` and `sample`, as Gaussian has, got {protocols.name_of(base)}")
        if base.domain != energy.domain or math.prod(base.shape) != math.prod(energy.shape):
            raise ValueError(
                f"base must have the domain and size of the energy, {energy.domain!r} {tuple(energy.shape)}, "
                f"got {base.domain!r} {tuple(base.shape)}"
            )
        return base
    if energy.domain == "angle":
        return FlatAngles(tuple(energy.shape))
    run = samplers.sample(energy, sampler, **PILOT, beta=beta, seed=entropy, progress=False)
    x = np.asarray(run.x).reshape(-1, math.prod(energy.shape))
    variance = x.var(0)
    # Of more coordinates than the pilot can correlate only the variances are known.
    covariance = np.cov(x.T).reshape(len(variance), -1) if 20 * len(variance) < len(x) else np.diag(variance)
    ridge = 1e-6 * variance.mean()
    return Gaussian(x.mean(0), WIDER * covariance + ridge * np.eye(len(variance)))
