"""What a tempered run records: energies, replicas, swaps and round trips, in memory and in files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ladders import LADDERS, RBM, RUN
from laws import PLANES, ArrayTier

import ebm
import samplers
from samplers import protocols
from samplers.swaps import note_all_ends


@pytest.mark.parametrize("name", ["ising, metropolis", "rbm by its layers, from zero"])
def test_the_record_tells_energies_replicas_and_swaps(name: str, tmp_path: Path) -> None:
    energy, sampler = LADDERS[name]
    chains = samplers.sample(energy, sampler, **{**RUN, "beta": sampler.betas[1]}, store=tmp_path / "run.h5")
    told, rungs = chains.tempering, len(sampler.betas)
    energies, replica = np.asarray(told.energies), np.asarray(told.replicas)
    assert energies.shape == replica.shape == (3, 20, rungs)
    assert np.array_equal(np.sort(replica, axis=2), np.broadcast_to(np.arange(rungs), replica.shape))
    np.testing.assert_allclose(energies[:, :, 1], chains.energy, rtol=0, atol=1e-10)
    if told.reduced is not None:
        reduced = np.asarray(told.reduced)
        x = np.asarray(chains.x).reshape(-1, *energy.shape)
        for k, beta in enumerate(told.betas):
            np.testing.assert_allclose(reduced[:, :, k, 1].ravel(), energy.reduced(x, beta), rtol=0, atol=1e-10)
    assert (told.reduced is not None) == ("rbm" in name)
    # Every second sweep proposes a pair, and what was accepted shows in the replicas.
    proposed = told.arrays["swaps_proposed"][:, -1]
    assert proposed.sum(1).tolist() == [sum(range(0)) + 20 * (rungs - 1) // 2] * 3
    assert ((told.swap_rates > 0.0) & (told.swap_rates <= 1.0)).all()
    assert told.barrier == pytest.approx((1.0 - told.swap_rates).sum())
    assert told.swap_rates_by_chain.shape == (3, rungs - 1) and told.round_trips.shape == (3,)


@pytest.mark.parametrize("energy", [RBM, PLANES["gaussian rbm"].energy], ids=["rbm", "gaussian rbm"])
def test_u_at_many_temperatures_is_u_at_each(energy: Any) -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(0, 2, (7, *energy.shape))
    betas = rng.uniform(0.0, 2.0, (7, 4))
    one_by_one = np.stack([energy.reduced(x, column) for column in betas.T], axis=1)
    np.testing.assert_allclose(energy.reduced_at(x, betas), one_by_one, rtol=1e-14)
    row = [[float(energy.reduced(x[i : i + 1], b)[0]) for b in betas[i]] for i in range(7)]
    np.testing.assert_allclose(energy.reduced_at(x, betas), row, rtol=1e-12)


def test_a_sum_is_linear_in_beta_if_both_parts_are() -> None:
    magnet, bare = ebm.Ising((6,)), ArrayTier(ebm.Ising((6,)))
    assert protocols.is_linear(magnet + ebm.CurieWeiss(6)) and protocols.is_linear(0.5 * RBM)
    assert not protocols.is_linear(RBM + RBM) and not protocols.is_linear(0.5 * RBM + RBM)
    assert not protocols.is_linear(bare)  # it has a `reduced` and does not say


def test_saved_tempering_is_read_back(tmp_path: Path) -> None:
    import h5py

    energy, sampler = LADDERS["rbm by its layers, from zero"]
    chains = samplers.sample(energy, sampler, **RUN)
    chains.save(tmp_path / "saved.h5")
    samplers.sample(energy, sampler, **RUN, store=tmp_path / "stored.h5")
    for path in (tmp_path / "saved.h5", tmp_path / "stored.h5"):
        told = samplers.load(path).tempering
        assert not isinstance(told.energies, np.ndarray)  # lazy
        for name, array in chains.tempering.arrays.items():
            assert np.array_equal(told.arrays[name], array)
        with h5py.File(path) as file:
            assert {"energies", "replicas", "betas", "swaps_accepted", "round_trips", "reduced"} < set(
                file["tempering"]
            )
    tree = chains.to_arviz()
    assert tree["tempering"]["energies"].dims == ("chain", "draw", "rung")
    assert tree["tempering"]["swaps_accepted"].dims == ("chain", "draw", "pair")


def test_round_trips_are_counted_on_a_path_made_by_hand() -> None:
    # Replica 0 goes up and down twice, replica 1 begins at the top: its first arrival at the bottom is no round trip.
    path = [[0, 1], [1, 0], [0, 1], [1, 0], [1, 0], [0, 1], [1, 0]]
    ladder = (np.zeros((1, 2)), np.array([[0, 1]]), np.zeros((1, 2), np.int64), np.zeros(1, np.int64),
              np.zeros((1, 1), np.int64), np.zeros((1, 1)), np.zeros(1, np.int64))  # fmt: skip
    trips = []
    for replica in path:
        ladder[1][0] = replica
        note_all_ends(ladder)
        trips.append(int(ladder[6][0]))
    assert trips == [0, 0, 1, 2, 2, 3, 4]


def test_round_trips_of_a_run_are_those_of_its_replicas() -> None:
    energy, sampler = LADDERS["ising, metropolis"]
    told = samplers.sample(energy, sampler, **{**RUN, "beta": 1.6, "draws": 300, "warmup": 0}).tempering
    start = np.tile(np.arange(3), (3, 1))
    for chain in range(3):
        trips, seen = 0, {0: "low"}
        for replica in np.vstack((start[chain], told.replicas[chain])):
            low, high = int(replica[0]), int(replica[-1])
            trips += seen.get(low) == "high"
            seen[low] = "low"
            if seen.get(high) == "low":
                seen[high] = "high"
        assert trips == told.round_trips[chain] > 5
