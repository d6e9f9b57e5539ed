"""The ladder that adapts in warm-up, and what tempering is for: barriers and ground states."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ladders import RUN, Tempered, start_ladders
from laws import ALPHA, PLANES, ArrayTier, mean_p
from scipy.special import betainc

import ebm
import samplers
from ebm import exact
from samplers.ladder import equalised, round_ends


def test_warm_up_makes_all_swaps_equally_likely() -> None:
    # A ladder with a gap and a crowd. Without adaptation the gap stays.
    energy, betas = ebm.Gaussian(np.zeros(8), np.eye(8)), (0.05, 0.85, 0.9, 0.95, 1.0, 2.0)
    run = {**RUN, "chains": 16, "draws": 1000, "warmup": 1000, "thin": 2}
    plain = samplers.sample(energy, Tempered(samplers.MALA(), betas, adapt=False), **run).tempering
    moved = samplers.sample(energy, Tempered(samplers.MALA(), betas), **run).tempering
    assert plain.betas.tolist() == list(betas)
    assert np.ptp(plain.swap_rates) > 0.6
    assert [moved.betas[0], moved.betas[4], moved.betas[5]] == [0.05, 1.0, 2.0]
    assert (np.diff(moved.betas) > 0).all()
    assert np.ptp(moved.swap_rates[:4]) < 0.1  # below beta = 1, the rung of the draws
    assert moved.round_trips.sum() > 2 * plain.round_trips.sum()
    # The ladder is fixed while drawing.
    assert np.array_equal(moved.arrays["betas"][:, 0], moved.arrays["betas"][:, -1])


def test_swap_rates_of_gaussians_are_their_closed_form() -> None:
    # Energies are Gamma(d/2) / beta, so the rate is 2 I(1 / (1 + ratio); d/2, d/2) (Predescu, Predescu, Ciobanu 2004).
    betas, energy = np.array([0.2, 0.5, 0.8, 2.0]), ebm.Gaussian(np.zeros(8), np.eye(8))
    sampler = Tempered(samplers.MALA(), betas, adapt=False)
    told = samplers.sample(energy, sampler, **{**RUN, "chains": 40, "draws": 1000, "warmup": 100, "beta": 2.0})
    for k, rates in enumerate(told.tempering.swap_rates_by_chain.T):
        assert mean_p(rates, 2.0 * betainc(4.0, 4.0, betas[k] / (betas[k] + betas[k + 1]))) > ALPHA


def test_steps_belong_to_rungs_and_not_to_replicas() -> None:
    # The best step of a random walk on a normal goes as 1 / sqrt(beta): over this ladder it varies by a factor 4.5.
    betas, chains = np.array([0.05, 0.2, 1.0]), 6
    sampler = Tempered(samplers.Metropolis("gaussian"), betas, adapt=False)
    energy = ArrayTier(ebm.Gaussian(np.zeros(8), np.eye(8)))
    state = start_ladders(sampler, energy, 1.0, [np.zeros((chains, 8))] * 3)
    sampler.advance(energy, state, sampler.settings(energy, 500), 500, 1, first=0)
    steps = np.take_along_axis(state["replica.step_size"].reshape(chains, 3), state["replica"], 1)
    scaled = steps * np.sqrt(betas)
    assert scaled.max() < 1.6 * scaled.min()
    assert len({tuple(row) for row in state["replica"]}) > 1


def test_rounds_double_and_leave_half_of_the_warm_up() -> None:
    assert round_ends(1000, 1) == [31, 62, 125, 250, 500]
    assert round_ends(1000, 10) == [250, 500]
    assert round_ends(39, 1) == [] == round_ends(0, 1)


def test_an_equalised_ladder_stays() -> None:
    betas = np.array([0.1, 0.4, 1.0, 3.0])
    even = equalised(betas, np.full(3, 1e8), np.full(3, 4e7), 3)
    np.testing.assert_allclose(even, betas, rtol=1e-6)
    np.testing.assert_allclose(equalised(betas, np.full(3, 10), np.zeros(3), 1), betas, rtol=1e-12)


@pytest.mark.parametrize("energy", [PLANES["double well"].energy, ArrayTier(PLANES["double well"].energy)])
def test_a_ladder_cut_while_it_adapts_resumes_to_the_same_bits(
    energy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from samplers import blocks
    from samplers.store import Store

    monkeypatch.setattr(blocks, "BLOCK_SECONDS", 1e-9)
    sampler = Tempered(samplers.MALA(), (0.3, 0.5, 1.0), swap_every=1)
    run = {**RUN, "warmup": 44, "draws": 3}
    uncut, append = samplers.sample(energy, sampler, **run), Store.append
    for number in (0, 20, 21, 22, 43, 45):
        left = number

        def cut(self: Store, *arguments: Any) -> None:
            nonlocal left
            append(self, *arguments)
            left -= 1
            if left < 0:
                raise InterruptedError

        path = tmp_path / f"{number}.h5"
        with monkeypatch.context() as patch:
            patch.setattr(Store, "append", cut)
            with pytest.raises(InterruptedError):
                samplers.sample(energy, sampler, **run, store=path)
        resumed = samplers.sample(energy, sampler, **run, store=path, resume=True)
        assert np.array_equal(resumed.x, uncut.x)
        for name, array in uncut.tempering.arrays.items():
            assert np.array_equal(array, resumed.tempering.arrays[name])
    assert uncut.tempering.betas[1] != 0.5


# --- physics ----------------------------------------------------------------------------------------------------------


def test_the_occupation_of_a_deep_double_well_is_its_integral() -> None:
    # A barrier of 12 kT: MALA alone does not cross it in this run. All start in the shallower well.
    energy = ebm.DoubleWell(1, barrier=12.0) + ebm.Gaussian([1.0], [[2.5]])
    grid = np.linspace(-3.0, 3.0, 20_001)
    weight = np.exp(-energy(grid[:, None]))
    occupation = weight[grid > 0.0].sum() / weight.sum()
    run = {"chains": 48, "draws": 3000, "warmup": 1000, "init": -np.ones((48, 1)), "seed": 3, "progress": False}
    chains = samplers.sample(energy, Tempered(samplers.MALA(), np.geomspace(0.05, 1.0, 7)), **run)
    assert mean_p((np.asarray(chains.x)[..., 0] > 0.0).mean(1), occupation) > ALPHA
    assert (chains.tempering.round_trips > 10).all()
    alone = samplers.sample(energy, samplers.MALA(0.01, target_acceptance=None), **run)
    assert (np.asarray(alone.x) < 0.0).all()


def test_ground_states_of_spin_glasses_are_found() -> None:
    rng = np.random.default_rng(4)
    for seed in range(3):
        glass = ebm.Ising((4, 4), rng.choice([-1.0, 1.0], (2, 4, 4)))
        lowest = min(float(glass(block).min()) for block in exact.states(glass.shape, "spin"))
        sampler = Tempered(samplers.Metropolis(), np.linspace(0.2, 3.0, 8))
        chains = samplers.sample(glass, sampler, **{**RUN, "chains": 4, "draws": 300, "beta": 3.0, "seed": seed})
        assert (np.asarray(chains.energy).min(1) == lowest).all()
