"""Parallel tempering: every rung keeps its law, swaps are the exact matrix, and both ways to run are one."""

import itertools
from typing import Any

import numpy as np
import pytest
from ladders import LADDERS, RUN, Tempered, advanced, start_ladders
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

import ebm
import samplers
from ebm import exact
from samplers import replicas
from samplers.inner import inline
from samplers.sampler import Kernel, Sampler, State


@pytest.mark.parametrize("name", LADDERS)
def test_every_rung_keeps_its_discrete_law(name: str) -> None:
    energy, sampler = LADDERS[name]
    plain = energy._energy if isinstance(energy, ArrayTier) else energy
    chains = 8_000
    starts = [exact_states(plain, beta, chains, seed=7 + k) for k, beta in enumerate(sampler.betas)]
    state = start_ladders(sampler, energy, sampler.betas[-1], starts)
    ends = advanced(sampler, energy, state, 6)
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
    state = start_ladders(sampler, plane.energy, 2.4, starts)
    for beta, end in zip(betas, advanced(sampler, plane.energy, state, 7), strict=True):
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
        state = start_ladders(sampler, energy, 1.9, [x[begin[:, rung]] for rung in range(4)])
        ends = advanced(sampler, energy, state, sweeps)
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
    whole, pieces = start_ladders(sampler, energy, 1.0, begin), start_ladders(sampler, energy, 1.0, begin)
    advanced(sampler, energy, whole, 9)
    for sweeps in (1, 1, 3, 4):
        advanced(sampler, energy, pieces, sweeps)
    assert all(np.array_equal(whole[name], pieces[name]) for name in whole)
    assert whole["proposed"].tolist() == [[5, 4]] * 5
