"""Sums and multiples of energies are energies: E1 + E2, 0.5 * E."""

from typing import Any

import numpy as np

from ebm.energy import Energy, finite_number
from samplers import protocols
from samplers.compiled import Cached, Functions, caching, one_after_the_other
from samplers.inner import inline


class Sum(Energy):
    """E1 + E2 on the same space, u = u1 + u2. Made by `E1 + E2`; compiled if both are.

    Raises:
        TypeError: one of them is no energy.
        ValueError: the spaces differ.
    """

    def __init__(self, first: Any, second: Any) -> None:
        for part in (first, second):
            protocols.check_space(part)
            if not protocols.has_energy(part):
                raise TypeError(f"only energies can be added, got {protocols.name_of(part)}, which has none")
        spaces = [(p.domain, tuple(p.shape), protocols.n_states(p)) for p in (first, second)]
        if spaces[0] != spaces[1]:
            raise ValueError(
                f"energies to be added must share domain and shape, got {spaces[0][:2]} and {spaces[1][:2]}"
            )
        self.first, self.second = first, second
        self.linear_in_beta = protocols.is_linear(first) and protocols.is_linear(second)
        self.shape, self.domain = tuple(first.shape), first.domain
        if self.domain == "states":
            self.n_states = protocols.n_states(first)
        graphs = [p.neighbours for p in (first, second) if isinstance(p, protocols.Graph)]
        if len(graphs) == 2:
            self.neighbours = _union(*graphs)
        self._functions = sum_functions(first.compiled, second.compiled) if _both_compiled(first, second) else None

    @property
    def compiled(self) -> Functions:
        """The numba functions of the sum; None if a part has none."""
        return self._functions  # type: ignore[return-value]

    def reduced(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return u1 + u2, (n,)."""
        if self._functions is not None:
            return super().reduced(x, beta)
        return _reduced(self.first, x, beta) + _reduced(self.second, x, beta)

    def reduced_grad(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return the gradient of u1 + u2, (n, *shape)."""
        if self._functions is not None:
            return super().reduced_grad(x, beta)
        return _reduced_grad(self.first, x, beta) + _reduced_grad(self.second, x, beta)

    def reduced_and_grad(self, x: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
        """Return u1 + u2, (n,), and its gradient, (n, *shape): one pass through each part that can do so."""
        batch = protocols.check_configurations(x, self)
        flat, betas = batch.reshape(len(batch), -1), np.full(len(batch), float(beta))
        u, gradient = protocols.reduced_and_gradient(self.first, flat, betas)
        u2, gradient2 = protocols.reduced_and_gradient(self.second, flat, betas)
        return u + u2, (gradient + gradient2).reshape(batch.shape)

    def parameters(self) -> dict[str, Any]:
        """Return the two energies."""
        return {"first": self.first, "second": self.second}

    def __repr__(self) -> str:
        return f"{self.first!r} + {self.second!r}"


class Scaled(Energy):
    """c * E, the energy itself scaled: u = beta c E(x). Made by `c * E`.

    For an RBM this scales the free energy at beta = 1, which differs from the RBM at another temperature.
    """

    def __init__(self, energy: Any, factor: float) -> None:
        protocols.check_space(energy)
        if not protocols.has_energy(energy):
            raise TypeError(f"only energies can be scaled, got {protocols.name_of(energy)}, which has none")
        self.energy, self.factor = energy, finite_number(factor, "factor")
        self.shape, self.domain = tuple(energy.shape), energy.domain
        if self.domain == "states":
            self.n_states = protocols.n_states(energy)
        if isinstance(energy, protocols.Graph):
            self.neighbours = energy.neighbours
        compiled = protocols.is_compiled(energy)
        self._functions = _scaled_functions(energy.compiled, self.factor) if compiled else None

    @property
    def compiled(self) -> Functions:
        """The numba functions of the multiple; None if the energy has none."""
        return self._functions  # type: ignore[return-value]

    def reduced(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return beta c E(x), (n,)."""
        if self._functions is not None:
            return super().reduced(x, beta)
        return np.asarray(beta) * self.factor * np.asarray(self.energy(x), np.float64)

    def reduced_grad(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return beta c dE/dx, (n, *shape)."""
        if self._functions is not None:
            return super().reduced_grad(x, beta)
        scale = np.asarray(beta) * self.factor
        return scale.reshape(-1, *[1] * len(self.shape)) * np.asarray(self.energy.grad(x), np.float64)

    def parameters(self) -> dict[str, Any]:
        """Return the energy and the factor."""
        return {"energy": self.energy, "factor": self.factor}

    def __repr__(self) -> str:
        return f"{self.factor!r} * ({self.energy!r})"


def _both_compiled(first: Any, second: Any) -> bool:
    return protocols.is_compiled(first) and protocols.is_compiled(second)


def _reduced(energy: Any, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
    batch = protocols.check_configurations(x, energy)
    betas = np.broadcast_to(np.asarray(beta, np.float64), (len(batch),))
    return protocols.reduced(energy, batch.reshape(len(batch), -1), betas)


def _reduced_grad(energy: Any, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
    batch = protocols.check_configurations(x, energy)
    betas = np.broadcast_to(np.asarray(beta, np.float64), (len(batch),))
    return protocols.reduced_gradient(energy, batch.reshape(len(batch), -1), betas).reshape(batch.shape)


def sum_functions(first: Functions, second: Functions) -> Functions:
    """Return the functions of u1 + u2; its parameters are those of both and the size of the first cache."""
    reduced1, reduced2 = first.reduced, second.reduced
    gradient1, gradient2 = first.gradient, second.gradient
    change1, change2 = first.change, second.change
    cached = None
    if first.cached is not None or second.cached is not None:
        cached = _sum_cached(caching(first), caching(second))

    @inline
    def reduced(x, beta, p):
        return reduced1(x, beta, p[0]) + reduced2(x, beta, p[1])

    gradient = None
    if gradient1 is not None and gradient2 is not None:

        @inline
        def gradient(x, beta, weight, p, out, work):
            gradient1(x, beta, weight, p[0], out, work)
            gradient2(x, beta, weight, p[1], out, work)

    both = None
    if gradient is not None and (first.both is not None or second.both is not None):
        both1 = first.both or one_after_the_other(reduced1, gradient1)
        both2 = second.both or one_after_the_other(reduced2, gradient2)

        @inline
        def both(x, beta, weight, p, out, work):
            return both1(x, beta, weight, p[0], out, work) + both2(x, beta, weight, p[1], out, work)

    @inline
    def change(x, site, value, beta, p):
        return change1(x, site, value, beta, p[0]) + change2(x, site, value, beta, p[1])

    params, lanes = (first.params, second.params, caching(first).size), first.lanes and second.lanes
    return Functions(reduced, gradient, change, params, cached, both, lanes)


def _sum_cached(first: Cached, second: Cached) -> Cached:
    """One cache after the other; the third parameter says where the second begins."""
    start1, change1, update1, size1 = first[:4]
    start2, change2, update2, size2 = second[:4]

    @inline
    def start(x, p, cache):
        start1(x, p[0], cache[: p[2]])
        start2(x, p[1], cache[p[2] :])

    @inline
    def change(x, site, value, beta, p, cache):
        of_first = change1(x, site, value, beta, p[0], cache[: p[2]])
        return of_first + change2(x, site, value, beta, p[1], cache[p[2] :])

    @inline
    def update(x, site, value, p, cache):
        update1(x, site, value, p[0], cache[: p[2]])
        update2(x, site, value, p[1], cache[p[2] :])

    return Cached(start, change, update, size1 + size2)


def _scaled_functions(inner: Functions, factor: float) -> Functions:
    # The energy at beta = 1 is scaled, so that u = beta c E also where the inner u is not beta E.
    reduced_inner, gradient_inner, change_inner = inner.reduced, inner.gradient, inner.change

    @inline
    def reduced(x, beta, p):
        return beta * p[0] * reduced_inner(x, 1.0, p[1])

    gradient = None
    if gradient_inner is not None:

        @inline
        def gradient(x, beta, weight, p, out, work):
            gradient_inner(x, 1.0, weight * beta * p[0], p[1], out, work)

    both, both_inner = None, inner.both
    if both_inner is not None:

        @inline
        def both(x, beta, weight, p, out, work):
            return beta * p[0] * both_inner(x, 1.0, weight * beta * p[0], p[1], out, work)

    @inline
    def change(x, site, value, beta, p):
        return beta * p[0] * change_inner(x, site, value, 1.0, p[1])

    cached = None if inner.cached is None else _scaled_cached(inner.cached)
    return Functions(reduced, gradient, change, (factor, inner.params), cached, both, inner.lanes)


def _scaled_cached(inner: Cached) -> Cached:
    start_inner, change_inner, update_inner, size, quotient_inner, *_ = inner  # odds at beta = 1 do not scale

    @inline
    def start(x, p, cache):
        start_inner(x, p[1], cache)

    @inline
    def change(x, site, value, beta, p, cache):
        return beta * p[0] * change_inner(x, site, value, 1.0, p[1], cache)

    @inline
    def update(x, site, value, p, cache):
        update_inner(x, site, value, p[1], cache)

    quotient = None
    if quotient_inner is not None:

        @inline
        def quotient(x, site, value, beta, p, cache):
            a, w, q = quotient_inner(x, site, value, 1.0, p[1], cache)
            return beta * p[0] * a, beta * p[0] * w, q

    return Cached(start, change, update, size, quotient)


def _union(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The neighbours of a site in either graph."""
    from scipy.sparse import csr_array

    n = len(first[0]) - 1
    matrices = [csr_array((np.ones(len(j)), j, i), shape=(n, n)) for i, j in (first, second)]
    both = (matrices[0] + matrices[1]).tocsr()
    return both.indptr.astype(np.int64), both.indices.astype(np.int32)
