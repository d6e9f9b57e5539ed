"""Our chains inside NetKet: the law of every move from exact starts, and a drop-in for NetKet's own samplers."""

from typing import Any

import flax
import jax
import netket as nk
import numpy as np
import pytest
from laws import ALPHA, chi_square_p, mean_p
from states import SPINS, count, draw_exactly, law, rbm

import ebm
from ebm.quantum import NumbaMetropolis

N = 12_000
FREE, FIXED = nk.hilbert.Spin(0.5, SPINS), nk.hilbert.Spin(0.5, SPINS, total_sz=1)
LADDER = (0.3, 0.6, 1.0)


def _sampled(sampler: Any, model: Any, variables: Any, begin: np.ndarray, length: int = 2) -> tuple[np.ndarray, Any]:
    """Samples (chains, length, spins) of chains that begin at `begin` (chains, rungs, spins), and the state after."""
    state = sampler.reset(model, variables, sampler.init_state(model, variables, seed=3)).replace(σ=begin)
    return sampler.sample(model, variables, state=state, chain_length=length)


SINGLE = [pytest.param(kind, marks=pytest.mark.slow) for kind in (np.float32, np.complex64)]


@pytest.mark.parametrize("dtype", [float, complex, *SINGLE])
@pytest.mark.parametrize("hilbert", [FREE, FIXED], ids=["free", "fixed magnetisation"])
def test_chains_that_start_at_the_born_law_stay_there(hilbert: Any, dtype: Any) -> None:
    model, variables = rbm(dtype, 0.3 if np.dtype(dtype).kind == "f" else 0.15)  # moves are accepted often enough
    p = law(hilbert, model, variables)
    begin = draw_exactly(hilbert, p, N, seed=2)
    x, state = _sampled(NumbaMetropolis(hilbert, n_chains=N), model, variables, begin[:, None])
    end = np.asarray(x)[:, -1]
    assert chi_square_p(count(hilbert, end), p) > ALPHA
    assert 0.05 < state.acceptance < 0.9 and (end != begin).any(1).mean() > 0.2
    wrong = law(hilbert, model, variables, power=1.0)  # the test is able to fail
    assert chi_square_p(count(hilbert, end), wrong) < ALPHA


@pytest.mark.parametrize("power", [pytest.param(1.0, marks=pytest.mark.slow), 1.4])
def test_machine_pow_is_the_power_of_psi(power: float) -> None:
    model, variables = rbm(complex)
    p = law(FREE, model, variables, power)
    sampler = NumbaMetropolis(FREE, n_chains=N, machine_pow=power)
    x, _ = _sampled(sampler, model, variables, draw_exactly(FREE, p, N, 2)[:, None])
    assert chi_square_p(count(FREE, np.asarray(x)[:, -1]), p) > ALPHA


@pytest.mark.parametrize("hilbert", [FREE, FIXED], ids=["free", "fixed magnetisation"])
def test_every_rung_of_a_ladder_keeps_its_law(hilbert: Any) -> None:
    model, variables = rbm(float)
    laws = [law(hilbert, model, variables, 2.0 * beta) for beta in LADDER]
    begin = np.stack([draw_exactly(hilbert, p, N, seed) for seed, p in enumerate(laws)], axis=1)
    sampler = NumbaMetropolis(hilbert, n_chains=N, betas=LADDER)
    x, state = _sampled(sampler, model, variables, begin, length=1)
    _, state = sampler.sample(model, variables, state=state, chain_length=1)  # the other pairs swap
    assert (np.asarray(x)[:, -1] == begin[:, 2]).all(1).mean() < 0.8
    for rung, p in enumerate(laws):
        assert chi_square_p(count(hilbert, np.asarray(state.σ)[:, rung]), p) > ALPHA


def test_replicas_reach_the_other_end_of_the_ladder_between_calls_of_one_sweep() -> None:
    # Two wells of +-strength, between which only hot replicas pass; each call of one sweep swaps one kind of pairs.
    model, variables = rbm(float, scale=0.0)
    variables["params"]["Dense"]["kernel"] += np.full((SPINS, 2 * SPINS), 0.16)
    begin = np.ones((400, 4, SPINS), np.int8)
    sampler = NumbaMetropolis(FREE, n_chains=400, betas=(0.02, 0.15, 0.4, 1.0))
    state = sampler.init_state(model, variables, seed=1).replace(σ=begin)
    for _ in range(60):
        x, state = sampler.sample(model, variables, state=state, chain_length=1)
    up = np.asarray(x)[:, -1].sum(1) > 0
    down = np.asarray(x)[:, -1].sum(1) < 0
    assert mean_p(up * 1.0 - down, 0.0) > ALPHA


def test_netket_seed_decides_every_bit_and_chains_go_on() -> None:
    def states() -> nk.vqs.MCState:
        sampler = NumbaMetropolis(FREE, n_chains=8, sweep_size=2 * SPINS)
        return nk.vqs.MCState(sampler, nk.models.RBM(alpha=1), n_samples=80, seed=4)

    one, same = states(), states()
    assert np.array_equal(one.samples, same.samples) and one.samples.dtype == np.int8
    assert np.array_equal(one.sampler_state.σ[:, 0], one.samples[:, -1])
    first = np.asarray(one.samples)
    one.reset()
    assert not np.array_equal(one.samples, first)
    assert int(one.sampler_state.n_steps) == (10 + 5) * 8 * 2 * SPINS  # five samples of each chain are discarded
    assert 0 < float(one.sampler_state.acceptance) <= 1
    other = nk.vqs.MCState(one.sampler, one.model, n_samples=80, seed=5)
    assert not np.array_equal(other.samples, first)


def test_log_probabilities_and_resets_are_those_of_netket() -> None:
    model, variables = rbm(complex)
    sampler = NumbaMetropolis(FREE, n_chains=6, reset_chains=True, dtype=np.float64)
    state = sampler.init_state(model, variables, seed=1)
    (x, log_p), state = sampler.sample(model, variables, state=state, chain_length=3, return_log_probabilities=True)
    assert x.dtype == np.float64 and x.shape == (6, 3, SPINS)
    np.testing.assert_allclose(log_p, 2.0 * model.apply(variables, x).real, rtol=0, atol=1e-10)
    assert not np.array_equal(sampler.reset(model, variables, state).σ, state.σ)


def _copied(variables: Any) -> Any:
    return jax.tree.map(jax.numpy.array, variables)


def test_what_is_remembered_of_parameters_is_never_stale() -> None:
    sampler, (model, one), (_, other) = NumbaMetropolis(FREE), rbm(float), rbm(float, seed=2)
    state = sampler.init_state(model, one, seed=1)
    first, second = (sampler.sample(model, v, state=state, chain_length=20)[0] for v in (one, other))
    assert not np.array_equal(first, second)
    for variables, need in ((one, first), (other, second), (other, second), (_copied(one), first)):
        x, _ = sampler.sample(model, variables, state=state, chain_length=20)  # a state is not changed by its use
        np.testing.assert_array_equal(x, need)
    own = jax.tree.map(np.array, one)  # numpy's arrays may change in place
    np.testing.assert_array_equal(sampler.sample(model, own, state=state, chain_length=20)[0], first)
    own["params"]["Dense"]["kernel"][:] = other["params"]["Dense"]["kernel"]
    own["params"]["Dense"]["bias"][:] = other["params"]["Dense"]["bias"]
    own["params"]["visible_bias"][:] = other["params"]["visible_bias"]
    np.testing.assert_array_equal(sampler.sample(model, own, state=state, chain_length=20)[0], second)


@pytest.mark.parametrize("betas", [None, (0.5, 1.0)])
def test_a_state_that_was_stored_goes_on_with_the_same_bits(betas: Any) -> None:
    model, variables = rbm(float)
    sampler = NumbaMetropolis(FREE, betas=betas)
    state = sampler.sample(model, variables, state=sampler.init_state(model, variables, seed=1), chain_length=3)[1]
    stored = flax.serialization.from_bytes(state, flax.serialization.to_bytes(state))
    (x, _), (again, after) = (sampler.sample(model, variables, state=s, chain_length=3) for s in (state, stored))
    np.testing.assert_array_equal(x, again)
    assert after.sweeps == 6 and not np.array_equal(x, sampler.sample(model, variables, state=after, chain_length=3)[0])


def tutorial(sampler: Any, steps: int = 60) -> tuple[Any, Any]:
    """NetKet's first steps with the Ising chain in a transverse field: only the sampler is another one."""
    hilbert = sampler.hilbert
    hamiltonian = nk.operator.Ising(hilbert, nk.graph.Chain(hilbert.size), h=1.0, J=-1.0)
    state = nk.vqs.MCState(sampler, nk.models.RBM(alpha=1), n_samples=1008, seed=1)
    driver = nk.VMC(
        hamiltonian, nk.optimizer.Sgd(0.05), variational_state=state, preconditioner=nk.optimizer.SR(diag_shift=0.05)
    )
    driver.run(steps, out=nk.logging.RuntimeLog(), show_progress=False)
    return state, hamiltonian


def test_the_tutorial_of_netket_runs_with_one_line_changed() -> None:
    state, hamiltonian = tutorial(NumbaMetropolis(FREE, n_chains=16))  # was nk.sampler.MetropolisLocal(...)
    exact = ebm.exact.tfim_energy(SPINS, 1.0)
    full = nk.vqs.FullSumState(FREE, state.model, variables=state.variables).expect(hamiltonian).mean.real
    assert 0.0 < (full - exact) / abs(exact) < 0.01
    # The chains of a driver depend on each other: independent ones for the test.
    many = nk.vqs.MCState(NumbaMetropolis(FREE, n_chains=2000), state.model, variables=state.variables, n_samples=2000,
                          n_discard_per_chain=30, sampler_seed=2)  # fmt: skip
    values = np.asarray(many.local_estimators(hamiltonian).data).real.ravel()
    assert mean_p(values, float(full)) > ALPHA


@pytest.mark.slow
def test_metropolis_exchange_is_replaced_too() -> None:
    hilbert = nk.hilbert.Spin(0.5, SPINS, total_sz=0)
    heisenberg = nk.operator.Heisenberg(hilbert, nk.graph.Chain(SPINS), sign_rule=True)
    sampler = NumbaMetropolis(hilbert, n_chains=16)
    state = nk.vqs.MCState(sampler, nk.models.RBM(alpha=1, param_dtype=complex), n_samples=1008, seed=1)
    driver = nk.VMC(
        heisenberg,
        nk.optimizer.Sgd(0.02),
        variational_state=state,
        preconditioner=nk.optimizer.SR(diag_shift=0.05, holomorphic=True),
    )
    driver.run(30, out=nk.logging.RuntimeLog(), show_progress=False)
    assert not np.asarray(state.samples).sum(-1).any()
    full = nk.vqs.FullSumState(hilbert, state.model, variables=state.variables).expect(heisenberg).mean.real
    lowest = nk.exact.lanczos_ed(heisenberg)[0]
    assert lowest < full < 0.9 * lowest


@pytest.mark.parametrize(
    ("hilbert", "arguments", "error", "message"),
    [
        (nk.hilbert.Spin(1, 4), {}, TypeError, "hilbert must be nk.hilbert.Spin"),
        (nk.hilbert.Fock(2, 4), {}, TypeError, "hilbert must be nk.hilbert.Spin"),
        (FIXED, {"move": "single"}, TypeError, 'move must be "exchange" where total_sz is fixed'),
        (FREE, {"move": "gaussian"}, ValueError, 'move must be "single" or "exchange", got \'gaussian\''),
        (FREE, {"dtype": np.uint8}, TypeError, "dtype must be a signed integer or real type"),
        (FREE, {"dtype": complex}, TypeError, "dtype must be a signed integer or real type"),
        (FREE, {"sweep_size": 12}, ValueError, "sweep_size must be a multiple of the 8 spins, got 12"),
        (FREE, {"n_chains": 0}, ValueError, "n_chains must be a positive integer, got 0"),
        (FREE, {"betas": (0.2, 0.5)}, ValueError, "betas must contain machine_pow / 2 = 1"),
        (FREE, {"machine_pow": -1}, ValueError, "machine_pow must be a positive"),
    ],
)
def test_bad_arguments_are_named(hilbert: Any, arguments: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        NumbaMetropolis(hilbert, **arguments)


def test_what_it_cannot_sample_it_says() -> None:
    sampler, (model, variables) = NumbaMetropolis(FREE), rbm(float)
    jastrow = nk.vqs.MCState(sampler, nk.models.Jastrow(), n_samples=32)
    with pytest.raises(TypeError, match=r"needs an nk\.models\.RBM with log_cosh units, got Jastrow"):
        jastrow.sample()
    with pytest.raises(TypeError, match=r"needs an nk\.models\.RBM"):  # the same class with other units
        sampler.sample(nk.models.RBM(alpha=2, activation=jax.nn.relu), variables)
    broken = jax.tree.map(lambda a: a.at[(0,) * a.ndim].set(np.nan), variables)
    with pytest.raises(ValueError, match="must be finite, got nan"):
        sampler.sample(model, broken)
    with pytest.raises(ValueError, match="as many spins as the space, 8, got 6"):
        sampler.sample(*rbm(float, spins=6))
    with pytest.raises(TypeError, match=r"cannot be called within jax\.jit"):
        jax.jit(lambda v: sampler.sample(model, v)[0])(variables)
