"""`check(energy)`: does an energy keep its promises? To be run once on every energy of one's own."""

from typing import Any

import numpy as np

from samplers import protocols
from samplers.initial import initial
from samplers.tags import Driver, cached_change_of, change_of, start_cache_of, tag, update_cache_of

# Steps of the finite differences and their tolerance, relative to the gradient: for float64, and for float32.
STEPS = ((1e-5, 1e-4), (3e-3, 1e-2))
ROUNDING = 1e-11  # relative, above which an energy has fewer digits than float64
LOCAL_MOVES = 64  # local moves that are tested: every site of a small energy


def check(energy: Any, x: np.ndarray | None = None, beta: float = 0.7) -> None:
    """Raise an error that says what is wrong with an energy; return silently if nothing is.

    Tests its shape and domain, that energies are finite and one a configuration, that a batch gives what single
    configurations give, that the gradient is the derivative of the energy, that the compiled tier agrees with the
    array tier, that the change on a local move is the difference of energies, and that so it is from a cache, if there
    is one, after any number of moves.

    Args:
        energy: anything to be sampled.
        x: configurations (n, *shape) at which to test; default: a few random ones.
        beta: inverse temperature of the tests of the reduced energy.

    Raises:
        TypeError, ValueError: naming the member at fault, what it gave and what was needed.

    Example:
        >>> import ebm
        >>> check(ebm.MullerBrown())
    """
    protocols.check_space(energy)
    flat = initial(energy, 5, 0) if x is None else protocols.check_configurations(x, energy).reshape(len(x), -1)
    name = protocols.name_of(energy)
    betas = np.full(len(flat), float(beta))
    if protocols.has_energy(energy):
        _check_values(energy, flat, betas, name)
    if energy.domain in protocols.CONTINUOUS and protocols.has_gradient(energy):
        _check_gradient(energy, flat, betas, name)
    if protocols.is_compiled(energy):
        _check_change(energy, flat, betas, name)
        if energy.compiled.cached is not None:
            _check_cache(energy, flat[0], beta, name)


def _check_values(energy: Any, flat: np.ndarray, betas: np.ndarray, name: str) -> None:
    u = protocols.reduced(energy, flat, betas)
    if not np.isfinite(u).all():
        raise ValueError(f"{name} must be finite, got a reduced energy of {u[~np.isfinite(u)][0]}")
    if protocols.is_linear(energy) and not np.allclose(u, betas * energy(flat.reshape(-1, *energy.shape)), rtol=1e-5):
        raise ValueError(
            f"the reduced energy of {name} must be beta times its energy, or {name}.linear_in_beta must be False"
        )
    single = np.concatenate([protocols.reduced(energy, flat[i : i + 1], betas[:1]) for i in range(len(flat))])
    if not np.allclose(u, single, rtol=1e-5, atol=1e-7):
        i = int(np.argmax(np.abs(u - single)))
        raise ValueError(
            f"{name} must give each configuration its own energy: in a batch {u[i]:.8g}, alone {single[i]:.8g}"
        )


def _check_gradient(energy: Any, flat: np.ndarray, betas: np.ndarray, name: str) -> None:
    gradient = protocols.reduced_gradient(energy, flat, betas)
    if not np.isfinite(gradient).all():
        raise ValueError(f"{name}.grad must be finite, got {gradient[~np.isfinite(gradient)][0]}")
    if not protocols.has_energy(energy):
        return
    # A network that computes in float32 has too few digits for a short step; a wrong gradient is wrong at any.
    steps = STEPS if _few_digits(energy, flat, betas) else STEPS[:1]
    found = [_disagreement(energy, flat, betas, gradient, *step) for step in steps]
    faults = [fault for fault in found if fault is not None]
    if len(faults) == len(steps):
        analytic, numeric = faults[-1]
        raise ValueError(
            f"{name}.grad must be the derivative of its energy: along a random direction it gives {analytic:.8g}, "
            f"finite differences give {numeric:.8g}"
        )


def _few_digits(energy: Any, flat: np.ndarray, betas: np.ndarray) -> bool:
    """Whether the energy is rounded more than float64 is: then it is not straight even over the shortest steps."""
    if energy.domain not in protocols.CONTINUOUS:
        return False
    step, u = 1e-7 * float(np.maximum(1.0, np.abs(flat).max())), protocols.reduced(energy, flat, betas)
    for v in np.random.default_rng(4).standard_normal((6, *flat.shape)):
        sides = [protocols.reduced(energy, flat + s * v, betas) for s in (step, -step)]
        if (np.abs(sides[0] + sides[1] - 2.0 * u) > ROUNDING * (1.0 + np.abs(u))).any():
            return True
    return False


def _disagreement(
    energy: Any, flat: np.ndarray, betas: np.ndarray, gradient: np.ndarray, step: float, tolerance: float
) -> tuple[float, float] | None:
    """Return a slope by the gradient and by finite differences where the two disagree; None if they nowhere do."""
    step = step * float(np.maximum(1.0, np.abs(flat).max()))
    for v in np.random.default_rng(0).standard_normal((6, *flat.shape)):  # six directions see every coordinate
        forward = protocols.reduced(energy, flat + step * v, betas)
        backward = protocols.reduced(energy, flat - step * v, betas)
        numeric, analytic = (forward - backward) / (2 * step), (gradient * v).sum(1)
        scale = np.abs(gradient * v).sum(1) + np.abs(forward) * 1e-6 + 1e-6
        worst = int(np.argmax(np.abs(numeric - analytic) / scale))
        if abs(numeric[worst] - analytic[worst]) > tolerance * scale[worst]:
            return float(analytic[worst]), float(numeric[worst])
    return None


@Driver
def _changes(tag, p, x, beta, sites, values, out):
    for k in range(x.shape[0]):
        out[k] = change_of(tag)(x[k], sites[k], values[k], beta, p)


def _other_values(energy: Any, old: np.ndarray) -> np.ndarray:
    """Return for each value another one of the domain."""
    if energy.domain in protocols.CONTINUOUS:
        return old + np.random.default_rng(2).normal(size=len(old))
    values = protocols.values(energy)
    step = np.random.default_rng(2).integers(1, max(len(values), 2), len(old))
    return values[(np.searchsorted(values, old) + step) % len(values)]


def _check_change(energy: Any, flat: np.ndarray, betas: np.ndarray, name: str) -> None:
    functions, rows = energy.compiled, np.arange(LOCAL_MOVES)
    sites = np.resize(np.random.default_rng(1).permutation(flat.shape[1]), LOCAL_MOVES)
    flat, betas = flat[rows % len(flat)], np.resize(betas, LOCAL_MOVES)  # a copy, for a change may write into x
    values = _other_values(energy, flat[rows, sites])
    moved = flat.copy()
    moved[rows, sites] = values
    need = protocols.reduced(energy, moved, betas) - protocols.reduced(energy, flat, betas)
    got, before = np.empty(len(flat)), flat.copy()
    _changes(tag(functions), functions.params, flat, float(betas[0]), sites, values, got)
    if not np.array_equal(before, flat):
        raise ValueError(f"the change (delta) of {name} must leave x as it was, but altered it")
    scale = (np.abs(protocols.reduced(energy, flat, betas)) + 1.0) * (1e3 if _few_digits(energy, flat, betas) else 1.0)
    worst = int(np.argmax(np.abs(got - need) / scale))
    if abs(got[worst] - need[worst]) > 1e-8 * scale[worst]:
        raise ValueError(
            f"the change (delta) of {name} must be the difference of its energies: for x[{sites[worst]}] -> "
            f"{values[worst]} it gives {got[worst]:.8g}, the energies differ by {need[worst]:.8g} (times beta)"
        )


@Driver
def _walk(tag, p, path, betas, sites, values, cache, during, after):
    """Make the moves of a path, each after another one was refused; then ask what each would do at the end of it."""
    moves = sites.shape[0]
    start_cache_of(tag)(path[0], p, cache)
    for t in range(moves):
        refused = moves - 1 - t
        cached_change_of(tag)(path[t], sites[refused], values[refused], betas[t], p, cache)
        during[t] = cached_change_of(tag)(path[t], sites[t], values[t], betas[t], p, cache)
        update_cache_of(tag)(path[t], sites[t], values[t], p, cache)
    for t in range(moves):
        after[t] = cached_change_of(tag)(path[moves], sites[t], values[t], betas[t], p, cache)


def _check_cache(energy: Any, x: np.ndarray, beta: float, name: str) -> None:
    functions, rng, moves = energy.compiled, np.random.default_rng(3), np.arange(LOCAL_MOVES)
    sites = rng.integers(0, len(x), LOCAL_MOVES)
    betas = beta * rng.permutation(np.resize([0.5, 1.0, 2.0], LOCAL_MOVES))  # a cache must not depend on beta
    path, values = np.tile(x, (LOCAL_MOVES + 1, 1)), np.empty(LOCAL_MOVES, x.dtype)
    for t, site in enumerate(sites):
        values[t] = _other_values(energy, path[t, site : site + 1])[0]
        path[t + 1 :, site] = values[t]
    ends = np.tile(path[-1], (LOCAL_MOVES, 1))
    ends[moves, sites] = values
    before, during, after = path.copy(), np.empty(LOCAL_MOVES), np.empty(LOCAL_MOVES)
    cache = np.empty(functions.cached.size)
    _walk(tag(functions), functions.params, path, betas, sites, values, cache, during, after)
    if not np.array_equal(before, path):
        raise ValueError(f"the cached change of {name} must leave x as it was, but altered it")
    last = protocols.reduced(energy, np.tile(path[-1], (LOCAL_MOVES, 1)), betas)
    differences = protocols.reduced(energy, path[1:], betas) - protocols.reduced(energy, path[:-1], betas)
    for got, need in ((during, differences), (after, protocols.reduced(energy, ends, betas) - last)):
        worst = int(np.argmax(np.abs(got - need)))
        if not abs(got[worst] - need[worst]) <= 1e-8 * (np.abs(last).max() + np.abs(need).max() + 1.0):
            raise ValueError(
                f"the cached change of {name} must be the difference of its energies: for x[{sites[worst]}] -> "
                f"{values[worst]}, after some moves, it gives {got[worst]:.8g}, the energies differ by "
                f"{need[worst]:.8g} (times beta)"
            )
