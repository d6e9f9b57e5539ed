"""Parallel tempering: every rung keeps its law, swaps are the exact matrix, and travel is counted right."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laws import (
    ALPHA,
    DISCRETE,
    PLANES,
    ArrayTier,
    chi_square_p,
    count_states,
    exact_points,
    exact_states,
    mean_p,
    plane_p,
    q_of,
)
from scipy.special import betainc

import ebm
import samplers
from ebm import exact
from samplers import protocols, random, replicas
from samplers.compiled import inline
from samplers.ladder import equalised, round_ends
from samplers.sampler import Kernel, Sampler, State
from samplers.swaps import note_ends

RUN = {"chains": 3, "draws": 20, "warmup": 60, "beta": 1.0, "seed": 5, "progress": False}
RBM = ebm.RBM(3, 2, W=[[2.0, -1.5], [-1.0, 2.5], [1.5, 1.0]], b=[0.5, -1.0, 0.3], c=[-0.5, 1.0])


def _ladders(sampler: samplers.ParallelTempering, energy: Any, beta: float, starts: list[np.ndarray]) -> State:
    """The state of many ladders whose configurations at each rung are given, starts[rung] (chains, *shape)."""
    chains, rungs = len(starts[0]), len(starts)
    x = starts[0].reshape(chains, -1)
    state = {"x": x.copy(), "beta": np.full(chains, beta), "stream": random.make_streams(3, chains)}
    sampler.start(energy, state)
    for rung, start in enumerate(starts):
        state["replica.x"][rung::rungs] = start.reshape(chains, -1)
    rows = {name.removeprefix("replica."): array for name, array in state.items() if name.startswith("replica.")}
    sampler.sampler.start(energy, rows)
    state.update({f"replica.{name}": array for name, array in rows.items()})
    return state


def _at_rungs(state: State, shape: tuple[int, ...]) -> list[np.ndarray]:
    """The configurations at each rung, (chains, *shape)."""
    chains, rungs = state["replica"].shape
    x = state["replica.x"].reshape(chains, rungs, *shape)
    assert np.array_equal(np.sort(state["replica"], axis=1), np.tile(np.arange(rungs), (chains, 1)))
    assert np.array_equal(
        np.take_along_axis(state["replica.beta"].reshape(chains, rungs), state["replica"], 1), state["betas"]
    )
    return [x[np.arange(chains), state["replica"][:, rung]] for rung in range(rungs)]


def _advanced(sampler: samplers.ParallelTempering, energy: Any, state: State, sweeps: int) -> list[np.ndarray]:
    acceptance = sampler.advance(energy, state, sampler.settings(energy, 0), 1, sweeps)
    assert np.isfinite(acceptance).all()
    return _at_rungs(state, tuple(energy.shape))


# --- exactness --------------------------------------------------------------------------------------------------------

Tempered = samplers.ParallelTempering
LADDERS: dict[str, tuple[Any, Tempered]] = {
    "ising, metropolis": (DISCRETE["ising 2x3 in a field"], Tempered(samplers.Metropolis(), (0.2, 0.7, 1.6))),
    "potts from zero, gibbs, array tier": (
        ArrayTier(DISCRETE["potts 3"]), Tempered(samplers.Gibbs(), (0.0, 0.5, 1.2))),
    "rbm by its layers, from zero": (RBM, Tempered(samplers.Gibbs(), (0.0, 0.4, 1.0, 1.8))),
    "ising, swaps every second sweep": (
        DISCRETE["ising 2x3 in a field"],
        Tempered(samplers.Metropolis(), (0.3, 0.8, 1.5), swap_every=2)),
}  # fmt: skip


@pytest.mark.parametrize("name", LADDERS)
def test_every_rung_keeps_its_discrete_law(name: str) -> None:
    energy, sampler = LADDERS[name]
    plain = energy._energy if isinstance(energy, ArrayTier) else energy
    chains = 8_000
    starts = [exact_states(plain, beta, chains, seed=7 + k) for k, beta in enumerate(sampler.betas)]
    state = _ladders(sampler, energy, sampler.betas[-1], starts)
    ends = _advanced(sampler, energy, state, 6)
    for beta, end in zip(sampler.betas, ends, strict=True):
        assert chi_square_p(count_states(end, plain), exact.probabilities(plain, beta)) > ALPHA
    assert (state["accepted"].mean(0) > 0.3).all()


@pytest.mark.parametrize(("by", "fused"), [("mala", True), ("mala", False), ("baoab", True)])
def test_every_rung_keeps_its_continuous_law(by: str, fused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    plane, betas, chains = PLANES["double well"], (0.6, 1.2, 2.4), 10_000
    monkeypatch.setattr(replicas, "FUSED_SITES", 2**16 if fused else 0)
    # A very short step: BAOAB itself has no bias that this number of chains could see.
    inner = {"mala": samplers.MALA(0.15, target_acceptance=None), "baoab": samplers.UnderdampedLangevin(0.02)}[by]
    sampler = Tempered(inner, betas)
    starts = [exact_points(plane, beta, chains, seed=3 + k) for k, beta in enumerate(betas)]
    state = _ladders(sampler, plane.energy, 2.4, starts)
    for beta, end in zip(betas, _advanced(sampler, plane.energy, state, 7), strict=True):
        assert plane_p(plane, beta, end) > ALPHA
    if by == "baoab":
        momentum = state["replica.momentum"].reshape(chains, 3, 2)
        for rung, beta in enumerate(betas):
            assert mean_p(momentum[np.arange(chains), state["replica"][:, rung]] ** 2, 1.0 / beta) > ALPHA


@inline
def _still(tag, p, state, settings, scratch, chain, adapting, stream):
    return 1.0, stream


class _Still(Sampler):
    """A sampler that does not move, so that swaps alone are seen."""

    kernel = Kernel(_still, ("x", "beta"))

    def check(self, energy: Any) -> None:
        pass

    def sweep_array(self, energy: Any, state: State, settings: tuple, adapting: int) -> np.ndarray:
        return np.ones(len(state["x"]))


def _swap_matrix(energy: Any, betas: tuple[float, ...], pairs: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The matrix of one swap step on joint states (x_0, ..., x_R), and their joint law."""
    x = np.concatenate(list(exact.states(energy.shape, energy.domain, q_of(energy))))
    u = np.array([energy.reduced(x, beta) for beta in betas])  # (rung, state)
    joint = list(itertools.product(range(len(x)), repeat=len(betas)))
    number = {states: n for n, states in enumerate(joint)}
    matrix = np.eye(len(joint))
    for k in pairs:
        factor = np.zeros_like(matrix)
        for n, states in enumerate(joint):
            i, j = states[k], states[k + 1]
            p = min(1.0, np.exp(u[k, i] + u[k + 1, j] - u[k, j] - u[k + 1, i]))
            there = list(states)
            there[k], there[k + 1] = j, i
            factor[n, number[tuple(there)]] += p
            factor[n, n] += 1.0 - p
        matrix = matrix @ factor
    law = np.exp(-np.array([sum(u[k, s] for k, s in enumerate(states)) for states in joint]))
    return matrix, law / law.sum()


_RBM_PAIR = ebm.RBM(1, 3, W=[[4.0, 5.0, 4.5]], b=[-9.0], c=[0.0, -0.5, 0.5])


@pytest.mark.parametrize(
    ("energy", "tier"),
    [(ebm.Ising((2,), coupling=0.6, field=0.5), "loop"), (_RBM_PAIR, "fused"), (_RBM_PAIR, "loop")],
    ids=["ising", "rbm, fused", "rbm"],
)
def test_a_swap_step_is_its_exact_matrix(energy: Any, tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "FUSED_SITES", 2**16 if tier == "fused" else 0)
    betas, n = (0.2, 0.7, 1.1, 1.9), 6_000
    even, law = _swap_matrix(energy, betas, [0, 2])
    odd, _ = _swap_matrix(energy, betas, [1])
    for step in (even, odd):
        np.testing.assert_allclose(law @ step, law, rtol=0, atol=1e-14)
        np.testing.assert_allclose(law[:, None] * step, (law[:, None] * step).T, rtol=0, atol=1e-15)
    sampler = Tempered(_Still(), betas)
    x = np.concatenate(list(exact.states(energy.shape, energy.domain, q_of(energy))))
    joint = np.array(list(itertools.product(range(len(x)), repeat=len(betas))))
    # From where the two steps lead to most places: there a wrong probability shows.
    two = even @ odd
    starts = np.argsort((two * np.log(two + 1e-300)).sum(1))[:2]
    for sweeps, matrix in ((1, even), (2, two)):
        begin = np.repeat(joint[starts], n, axis=0)
        state = _ladders(sampler, energy, 1.9, [x[begin[:, rung]] for rung in range(4)])
        ends = _advanced(sampler, energy, state, sweeps)
        digits = [exact.state_index(end, energy.domain, q_of(energy)) for end in ends]
        found = np.ravel_multi_index(digits, (len(x),) * 4)
        for k, start in enumerate(starts):
            counts = np.bincount(found[k * n : (k + 1) * n], minlength=len(joint))
            assert chi_square_p(counts, matrix[start]) > ALPHA


# --- the two ways to run ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("energy", "inner"),
    [(DISCRETE["ising 2x3 in a field"], samplers.Metropolis()), (PLANES["gaussian"].energy, samplers.MALA())],
    ids=["metropolis", "mala"],
)
def test_the_fused_loop_is_the_loop_over_advance(energy: Any, inner: Sampler, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Tempered(inner, (0.3, 0.6, 1.0))
    run = {**RUN, "warmup": 45, "draws": 8, "thin": 2}
    fused = samplers.sample(energy, sampler, **run)
    monkeypatch.setattr(replicas, "FUSED_SITES", 0)
    for other in (samplers.sample(energy, sampler, **run), samplers.sample(ArrayTier(energy), sampler, **run)):
        np.testing.assert_allclose(fused.x, other.x, rtol=0, atol=1e-7)
        np.testing.assert_allclose(fused.acceptance, other.acceptance, rtol=0, atol=1e-7)
        for name, array in fused.tempering.arrays.items():
            np.testing.assert_allclose(array, other.tempering.arrays[name], rtol=0, atol=1e-7)
        own, betas = other.tempering.reduced, fused.tempering.betas
        if own is not None:  # the array tier does not know that u = beta E
            np.testing.assert_allclose(own, betas[:, None] * fused.tempering.energies[:, :, None], rtol=0, atol=1e-7)


@pytest.mark.parametrize("tier", ["fused", "array"])
def test_parity_goes_on_across_blocks(tier: str) -> None:
    energy = DISCRETE["ising 2x3 in a field"] if tier == "fused" else ArrayTier(DISCRETE["ising 2x3 in a field"])
    sampler = Tempered(samplers.Metropolis(), (0.3, 0.6, 1.0))
    begin = [np.ones((5, 2, 3), np.int8)] * 3
    whole, pieces = _ladders(sampler, energy, 1.0, begin), _ladders(sampler, energy, 1.0, begin)
    _advanced(sampler, energy, whole, 9)
    for sweeps in (1, 1, 3, 4):
        _advanced(sampler, energy, pieces, sweeps)
    assert all(np.array_equal(whole[name], pieces[name]) for name in whole)
    assert whole["proposed"].tolist() == [[5, 4]] * 5


# --- what is recorded -------------------------------------------------------------------------------------------------


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
        note_ends(0, ladder)
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


# --- the ladder that adapts -------------------------------------------------------------------------------------------


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
    state = _ladders(sampler, energy, 1.0, [np.zeros((chains, 8))] * 3)
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


# --- bad input --------------------------------------------------------------------------------------------------------

WELL, MAGNET = ebm.DoubleWell(2), ebm.Ising((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: Tempered(samplers.MALA(), [1.0]), ValueError, r"betas must be .* at least 2 numbers, got \[1.0\]"),
        (lambda: Tempered(samplers.MALA(), "ab"), ValueError, "betas must be a sequence"),
        (lambda: Tempered(samplers.MALA(), [1.0, 0.5]), ValueError, r"rise strictly, got \[1.0, 0.5\]"),
        (lambda: Tempered(samplers.MALA(), [-0.1, 0.5]), ValueError, "betas must be finite, non-negative"),
        (lambda: Tempered(samplers.MALA(), [0.1, np.nan]), ValueError, "betas must be finite"),
        (lambda: Tempered("mala", [0.1, 1.0]), TypeError, "sampler must be a sampler such as .*got 'mala'"),
        (lambda: Tempered(Tempered(samplers.MALA(), [0.1, 1.0]), [0.1, 1.0]), TypeError, "sampler must be"),
        (lambda: Tempered(samplers.MALA(), [0.1, 1.0], swap_every=0), ValueError,
         "swap_every must be a positive integer, got 0"),
        (lambda: _run(WELL, samplers.MALA(), [0.1, 0.9]), ValueError, r"beta must be one of betas \(0.1, 0.9\), got 1"),
        (lambda: _run(WELL, samplers.MALA(), [0.0, 1.0]), ValueError,
         "betas must be positive for a continuous energy .*got 0"),
        (lambda: _run(MAGNET, samplers.Metropolis(), [0.0, 1.0]), ValueError,
         "betas must be positive for Metropolis.*use Gibbs"),
        (lambda: _run(MAGNET, samplers.MALA(), [0.1, 1.0]), TypeError, "MALA needs a real or angle energy"),
        (lambda: _run(WELL, samplers.MALA(), [0.1, 1.0], observables={"energies": len}), ValueError,
         "must not use the name 'energies'"),
    ],
)  # fmt: skip
def test_an_error_names_argument_value_and_need(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def _run(energy: Any, inner: Sampler, betas: Any, **changes: Any) -> samplers.Chains:
    return samplers.sample(energy, Tempered(inner, betas), **{**RUN, **changes})


def test_a_score_cannot_be_tempered() -> None:
    class Score:
        shape, domain = (2,), "real"

        def grad(self, x: np.ndarray) -> np.ndarray:
            return x

    with pytest.raises(TypeError, match="ParallelTempering needs an energy to accept or reject, got Score"):
        _run(Score(), samplers.Langevin(0.1), [0.1, 1.0])


def test_beta_may_miss_a_rung_by_a_rounding() -> None:
    betas = np.geomspace(0.1, 0.7, 5)
    chains = _run(WELL, samplers.MALA(), betas * (1.0 + 1e-14), beta=0.7)
    assert chains.tempering.betas[-1] == chains.beta == 0.7


@pytest.mark.parametrize("fused", [True, False])
def test_a_replica_that_fails_is_seen(fused: bool) -> None:
    class Broken(ArrayTier):
        def reduced(self, x: np.ndarray, beta: float) -> np.ndarray:
            u = self._energy.reduced(x, beta)
            return np.where((np.abs(x) > 4.0).any(1), np.nan, u)

    energy: Any = Broken(ebm.Gaussian(np.zeros(2), 4.0 * np.eye(2)))
    sampler: Sampler = samplers.Metropolis("gaussian", 2.0, target_acceptance=None)
    if fused:  # a step that diverges at the hot rung alone
        energy, sampler = ebm.DoubleWell(2), samplers.UnderdampedLangevin(1.2)
    with pytest.raises(samplers.SamplingError, match=r"NaN|not finite"):
        samplers.sample(energy, Tempered(sampler, (0.02, 1.0)), chains=3, draws=2000, seed=1, progress=False)
