"""Caches of local moves: check() finds a stale one, samplers keep them in line, and rounding never adds up for long."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from laws import DISCRETE
from numba import njit

import samplers
from ebm.energy import Energy
from samplers import random
from samplers.caches import REFRESH
from samplers.compiled import Cached, Functions, caching, functions
from samplers.initial import initial

SAMPLERS = {"single": samplers.Metropolis(), "exchange": samplers.Metropolis("exchange"), "gibbs": samplers.Gibbs()}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samplers.sampler._threads", 1)  # four chains on it stand side by side


def _state(energy: Any, sampler: samplers.Sampler, chains: int = 4) -> dict[str, np.ndarray]:
    x, beta = initial(energy, chains, 3), np.full(chains, 0.6)
    state = {"x": x, "beta": beta, "stream": random.make_streams(5, chains)}
    sampler.start(energy, state)
    return state


def _advance(energy: Any, sampler: samplers.Sampler, state: dict[str, np.ndarray], sweeps: int) -> None:
    sampler.advance(energy, state, sampler.settings(energy, 0), 1, sweeps)


def _fresh(energy: Any, sampler: samplers.Sampler, state: dict[str, np.ndarray]) -> np.ndarray:
    anew = {name: array.copy() for name, array in state.items()}
    sampler.start(energy, anew)
    return anew["cache"]


@pytest.mark.parametrize("by", SAMPLERS)
@pytest.mark.parametrize("name", ["ising on a graph", "sum"])
def test_a_cache_follows_the_moves_of_its_sampler(name: str, by: str) -> None:
    energy, sampler = DISCRETE[name], SAMPLERS[by]
    state = _state(energy, sampler)
    before = state["x"].copy()
    _advance(energy, sampler, state, 41)
    assert (state["x"] != before).any()
    np.testing.assert_allclose(state["cache"], _fresh(energy, sampler, state), rtol=0, atol=1e-13)


@pytest.mark.parametrize("by", ["single", "gibbs"])
def test_rounding_is_forgotten_after_a_fixed_number_of_sweeps_of_a_chain(by: str) -> None:
    energy, sampler = DISCRETE["ising on a graph"], SAMPLERS[by]
    state = _state(energy, sampler)
    _advance(energy, sampler, state, 7)
    assert (state["age"] == 7).all()
    state["age"][:] = REFRESH - 2, REFRESH - 1, REFRESH, 0
    state["cache"] += 1e-3
    _advance(energy, sampler, state, 2)
    error = np.abs(state["cache"] - _fresh(energy, sampler, state)).max(1)
    assert (error[[0, 3]] > 0.9e-3).all() and (error[[1, 2]] < 1e-13).all()
    assert state["age"].tolist() == [REFRESH, 1, 2, 2]


def test_energies_without_a_cache_hold_none() -> None:
    for name in ("potts 3", "ising ring"):
        energy, sampler = DISCRETE[name], SAMPLERS["single"]
        size = _state(energy, sampler)["cache"].shape[1]
        assert size == caching(energy.compiled).size == (0 if name == "potts 3" else 5)
    assert "cache" not in _state(DISCRETE["rbm"], SAMPLERS["gibbs"])  # its layers are drawn whole


# --- check() ----------------------------------------------------------------------------------------------------------


@njit
def _energy(x, p):
    total = 0.0
    for i in range(len(x)):
        total += p[0] * x[i]
    return total * total


@njit
def _fill(x, p, cache):
    cache[0] = 0.0
    for i in range(len(x)):
        cache[0] += p[0] * x[i]


@njit
def _difference(x, site, value, p, cache):
    step = p[0] * (float(value) - x[site])
    return step * (2.0 * cache[0] + step)


@njit
def _follow(x, site, value, p, cache):
    cache[0] += p[0] * (float(value) - x[site])


@njit
def _stale(x, site, value, p, cache):
    pass


@njit
def _half(x, site, value, p, cache):
    step = p[0] * (float(value) - x[site])
    return step * (cache[0] + step)


@njit
def _meddle(x, site, value, p, cache):
    change = _difference(x, site, value, p, cache)
    x[site] = value
    return change


@njit
def _moves_at_once(x, site, value, p, cache):
    change = _difference(x, site, value, p, cache)
    cache[0] += p[0] * (float(value) - x[site])
    return change


class _Square(Energy):
    """E = (0.3 sum x)^2 with a cache that a test can spoil."""

    shape, domain = (5,), "binary"

    def __init__(self, change: Callable, update: Callable) -> None:
        cached = Cached(_fill, change, update)
        self._functions = functions(_energy, None, None, cached).holding((0.3,), size=1)

    @property
    def compiled(self) -> Functions:
        return self._functions


def test_check_accepts_a_sound_cache() -> None:
    samplers.check(_Square(_difference, _follow))


@pytest.mark.parametrize(
    ("change", "update", "match"),
    [
        (_difference, _stale, r"cached change of _Square must be the difference of its energies: for x\[.\] -> "),
        (_half, _follow, "must be the difference of its energies"),
        (_moves_at_once, _stale, "must be the difference of its energies"),
        (_meddle, _follow, "must leave x as it was, but altered it"),
    ],
)
def test_check_names_the_fault_of_a_cache(change: Callable, update: Callable, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        samplers.check(_Square(change, update))
