"""Sweeps of single sites: a tile of chains side by side does what each chain does alone, to the last bit."""

from typing import Any

import numpy as np
import pytest
from laws import DISCRETE
from numba import njit

import ebm
import samplers
from samplers import random, single_site
from samplers.elementary import change_of, log64
from samplers.initial import initial

CHAINS = 37  # no multiple of any tile
ENERGIES = {name: DISCRETE[name] for name in ("ising on a graph", "potts 3", "rbm wavefunction")}
ENERGIES |= {"angles": ebm.XY((5,))}


def _moved(energy: Any, size: int, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, np.ndarray], np.ndarray]:
    monkeypatch.setattr(single_site, "tile_size", lambda bytes_of_a_chain: size)
    monkeypatch.setattr("samplers.sampler._threads", 1)
    sampler = samplers.Metropolis()
    state = {"x": initial(energy, CHAINS, 1), "beta": np.linspace(0.2, 1.5, CHAINS)}
    state["stream"] = random.make_streams(2, CHAINS)
    sampler.start(energy, state)
    settings = sampler.settings(energy, 20)
    warm = sampler.advance(energy, state, settings, 1, 20, first=0)
    return state, np.hstack([warm, sampler.advance(energy, state, settings, 3, 11)])


@pytest.mark.parametrize("name", ENERGIES)
def test_chains_side_by_side_move_as_each_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, acceptance = _moved(ENERGIES[name], 1, monkeypatch)
    assert 0 < acceptance.mean() < 20
    for size in (4, 19, 32):
        tile, accepted = _moved(ENERGIES[name], size, monkeypatch)
        np.testing.assert_array_equal(accepted, acceptance)
        for key, array in alone.items():
            np.testing.assert_array_equal(tile[key], array, err_msg=key)


def test_half_an_energy_is_swept_as_the_energy_at_half_beta() -> None:
    energy = DISCRETE["rbm wavefunction"]
    half = 0.5 * energy
    assert half.compiled.cached.quotient is not None  # logarithms side by side, as of the energy itself
    run = {"chains": CHAINS, "draws": 5, "warmup": 10, "thin": 3, "seed": 3, "progress": False}
    ours, twin = (samplers.sample(e, samplers.Metropolis(), beta=b, **run) for e, b in ((half, 1.6), (energy, 0.8)))
    np.testing.assert_array_equal(ours.x, twin.x)
    np.testing.assert_array_equal(ours.acceptance, twin.acceptance)


def test_as_many_chains_side_by_side_as_fit_into_the_cache_of_a_processor() -> None:
    sizes = [single_site.tile_size(n) for n in (0, 100, 10_000, 100_000, 10**6, 10**9)]
    assert sizes == [32, 32, 13, 4, 1, 1]


@njit
def _one(a, w, q):
    return single_site.acceptance_of(change_of(a, w, q))


@njit
def _many(a, w, q, out):
    for k in range(len(a)):
        out[k] = single_site.acceptance_of(change_of(a[k], w[k], q[k]))


def test_probabilities_in_vector_registers_are_those_of_single_numbers() -> None:
    rng = np.random.default_rng(3)
    a, w, q = rng.normal(0, 9, 100_003), rng.choice([0.0, 0.7, 2.0], 100_003), np.exp(rng.normal(0, 9, 100_003))
    out = np.empty(len(a))
    _many(a, w, q, out)
    np.testing.assert_array_equal(out, [_one(*numbers) for numbers in zip(a, w, q, strict=True)])
    np.testing.assert_allclose(out, np.exp(np.minimum(w * np.log(q) - a, 0.0)), rtol=3e-13)


def test_what_is_impossible_is_never_accepted_and_a_nan_is_seen() -> None:
    ends = [_one(a, 0.0, 1.0) for a in (np.inf, 800.0, -np.inf, -800.0, 0.0, np.nan)]
    np.testing.assert_array_equal(ends, [0.0, 0.0, 1.0, 1.0, 1.0, np.nan])
    assert np.isnan(_one(0.0, 2.0, np.nan)) and np.isnan(_one(0.0, 2.0, np.inf))


def test_logarithm() -> None:
    logarithm = njit(lambda x: log64(x))
    x = np.exp(np.r_[np.random.default_rng(4).uniform(-708, 708, 20_000), np.linspace(-1, 1, 20_001)])
    need = np.log(x)
    got = np.array([logarithm(value) for value in x])
    assert (np.abs(got - need) <= 1e-15 * np.maximum(1.0, np.abs(need))).all()
    assert logarithm(1.0) == 0.0
