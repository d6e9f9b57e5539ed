"""Wavefunctions of NetKet as energies, weights from one side to the other, and local energies as Chains."""

from pathlib import Path
from typing import Any

import netket as nk
import numpy as np
import pytest
from laws import ALPHA, chi_square_p, count_states, exact_states
from states import SPINS, count, draw_exactly, law, rbm

import ebm
import samplers
from ebm.quantum import RBMAmplitude, chains_of, netket_variables, rbm_of, wavefunction_of

FREE = nk.hilbert.Spin(0.5, SPINS)
RNG = np.random.default_rng(3)
X = RNG.choice([-1, 1], (20, SPINS)).astype(np.int8)


def _end(energy: Any, sampler: Any, begin: np.ndarray, sweeps: int = 3) -> np.ndarray:
    run = samplers.sample(
        energy, sampler, chains=len(begin), draws=1, warmup=0, thin=sweeps, init=begin, seed=5, progress=False
    )
    return run.x[:, 0]


@pytest.mark.parametrize("dtype", [float, complex, np.float32])
@pytest.mark.parametrize("scale", [0.3, 4.0])
def test_rbms_are_compiled_and_have_netkets_log_psi(dtype: Any, scale: float) -> None:
    model, variables = rbm(dtype, scale)
    psi = ebm.WaveFunction(model, variables)
    assert psi.compiled is not None and psi.rbm is not None
    tolerance = 1e-4 if dtype is np.float32 else 1e-10
    np.testing.assert_allclose(psi.rbm.log_psi(X).real, psi.log_psi(X).real, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(np.exp(1j * psi.rbm.log_psi(X).imag), np.exp(1j * psi.log_psi(X).imag), atol=1e-4)
    np.testing.assert_allclose(psi(X), -2.0 * psi.log_psi(X).real, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("bias", ["use_hidden_bias", "use_visible_bias"])
def test_a_missing_bias_is_zero(bias: str) -> None:
    state = nk.vqs.MCState(nk.sampler.MetropolisLocal(FREE), nk.models.RBM(**{bias: False}), n_samples=32, seed=1)
    np.testing.assert_allclose(ebm.WaveFunction(state)(X), -2.0 * state.log_value(X).real, atol=1e-12)


@pytest.mark.parametrize("dtype", [float, complex])
def test_metropolis_block_gibbs_and_netkets_exact_sampler_agree(dtype: Any) -> None:
    model, variables = rbm(dtype)
    psi, p, n = ebm.WaveFunction(model, variables), law(FREE, model, variables), 12_000
    begin = draw_exactly(FREE, p, n, seed=2)
    for sampler in (samplers.Metropolis(), samplers.Gibbs(), samplers.Metropolis("exchange")):
        assert chi_square_p(count(FREE, _end(psi, sampler, begin)), p) > ALPHA
    if dtype is float:
        v = _end(rbm_of(psi.rbm), samplers.Gibbs(), (begin + 1) // 2)
        assert chi_square_p(count(FREE, 2 * v - 1), p) > ALPHA
        assert (2 * v - 1 != begin).any(1).mean() > 0.5
    exact = nk.sampler.ExactSampler(FREE)
    x, _ = exact.sample(model, variables, state=exact.reset(model, variables, exact.init_state(model, variables, 1)),
                        chain_length=n)  # fmt: skip
    assert chi_square_p(count(FREE, np.asarray(x).reshape(n, -1)), p) > ALPHA


@pytest.mark.slow
def test_other_models_are_sampled_in_the_array_tier() -> None:
    spins = nk.hilbert.Spin(0.5, 4)
    for model in (nk.models.Jastrow(), nk.models.RBMModPhase()):
        state = nk.vqs.MCState(nk.sampler.MetropolisLocal(spins), model, n_samples=32, seed=1)
        psi = ebm.WaveFunction(state)
        assert psi.compiled is None
        begin = exact_states(psi, 1.0, 6000, seed=1)
        for sampler in (samplers.Metropolis(), samplers.ParallelTempering(samplers.Metropolis(), (0.5, 1.0))):
            end = _end(psi, sampler, begin, sweeps=2)
            assert chi_square_p(count_states(end, psi), ebm.exact.probabilities(psi, 1.0)) > ALPHA


def test_a_fixed_magnetisation_is_kept_or_the_sampler_is_refused() -> None:
    space = nk.hilbert.Spin(0.5, SPINS, total_sz=1)
    psi = ebm.WaveFunction(nk.vqs.MCState(nk.sampler.MetropolisExchange(space, graph=nk.graph.Chain(SPINS)),
                                          nk.models.RBM(), n_samples=32, seed=1))  # fmt: skip
    run = samplers.sample(psi, samplers.Metropolis("exchange"), chains=200, draws=5, warmup=0, seed=1, progress=False)
    assert (np.asarray(run.x).sum(-1) == 2).all() and len(np.unique(np.asarray(run.x)[:, 0], axis=0)) > 10
    for sampler in (samplers.Metropolis(), samplers.Gibbs(), samplers.ParallelTempering(samplers.Gibbs(), (0.5, 1.0))):
        with pytest.raises(TypeError, match=r"must have the sum 2: use Metropolis\(\"exchange\"\)"):
            samplers.sample(psi, sampler, progress=False)
    with pytest.raises(ValueError, match="init must hold spins of sum 2, got 8"):
        samplers.sample(psi, samplers.Metropolis("exchange"), chains=2, init=np.ones((2, SPINS)), progress=False)


def test_what_is_no_wavefunction_of_spins_is_refused() -> None:
    model, variables = rbm(float)
    fock = nk.vqs.MCState(nk.sampler.MetropolisLocal(nk.hilbert.Fock(1, 4)), nk.models.RBM(), n_samples=32)
    with pytest.raises(TypeError, match=r"hilbert must be nk\.hilbert\.Spin"):
        ebm.WaveFunction(fock)
    with pytest.raises(ValueError, match="variables must be given"):
        ebm.WaveFunction(model)
    with pytest.raises(ValueError, match="spins must be given for Jastrow"):
        ebm.WaveFunction(nk.models.Jastrow(), {"params": {"kernel": np.zeros((4, 4))}})
    with pytest.raises(ValueError, match="spins must be that of the weights, 8, got 7"):
        ebm.WaveFunction(model, variables, 7)
    dense = {**variables["params"]["Dense"], "bias": np.full(2 * SPINS, np.nan)}
    with pytest.raises(ValueError, match=r"\['bias'\] must be finite, got nan"):
        ebm.WaveFunction(model, {"params": {**variables["params"], "Dense": dense}})


def test_weights_go_there_and_back() -> None:
    psi = ebm.WaveFunction(*rbm(float)).rbm
    model = nk.models.RBM(alpha=2)
    np.testing.assert_allclose(model.apply(netket_variables(psi), X), psi.log_psi(X), atol=1e-12)
    machine = rbm_of(psi)
    assert machine.n_hidden == 4 * SPINS
    assert np.ptp(machine((X + 1) // 2) - psi(X)) < 1e-11
    assert (
        np.ptp(machine.reduced((X + 1) // 2, 0.5) - psi.reduced(X, 0.5)) > 0.01
    )  # the identity holds at beta = 1 only
    back = wavefunction_of(machine)
    assert np.ptp(back.log_psi(X) - psi.log_psi(X)) < 1e-11


def test_an_rbm_without_pairs_has_an_amplitude_of_its_own() -> None:
    machine = ebm.RBM(SPINS, 5, W=RNG.normal(size=(SPINS, 5)), b=RNG.normal(size=SPINS), c=RNG.normal(size=5))
    with pytest.raises(ValueError, match="rbm must have hidden units in equal pairs, got 5 that are not"):
        wavefunction_of(machine)
    model, variables = RBMAmplitude(5), RBMAmplitude.variables_of(machine)
    np.testing.assert_allclose(model.apply(variables, X), -0.5 * machine((X + 1) // 2), rtol=1e-6)
    psi = ebm.WaveFunction(model, variables, SPINS)
    np.testing.assert_allclose(psi(X), machine((X + 1) // 2), rtol=1e-6)
    with pytest.raises(TypeError, match="rbm_of needs a real RBM wavefunction"):
        rbm_of(ebm.WaveFunction(*rbm(complex)).rbm)


def test_chains_of_either_side_lie_in_the_same_files(tmp_path: Path) -> None:
    ising = nk.operator.Ising(FREE, nk.graph.Chain(SPINS), h=1.0, J=-1.0)
    model, variables = rbm(complex)
    theirs = nk.vqs.MCState(nk.sampler.MetropolisLocal(FREE, n_chains=8), model, variables=variables, n_samples=4000,
                            sampler_seed=1)  # fmt: skip
    chains = chains_of(theirs, H=ising)
    chains.save(tmp_path / "netket.h5")
    ours = samplers.sample(ebm.WaveFunction(theirs), samplers.Metropolis(), draws=50, seed=1,
                           store=tmp_path / "ours.h5", progress=False)  # fmt: skip
    stored = samplers.load(tmp_path / "netket.h5")
    assert stored.x.dtype == ours.x.dtype == np.int8 and stored.x.shape == (8, 500, SPINS)
    np.testing.assert_array_equal(np.asarray(stored.x), theirs.samples)
    statistics, mine = theirs.expect(ising), samplers.estimate("H", stored)
    assert mine.value == pytest.approx(float(statistics.mean.real), abs=1e-10)
    assert mine.error == pytest.approx(float(statistics.error_of_mean), rel=0.5)
    assert "H" in samplers.summary(stored).rows
    other = nk.vqs.MCState(nk.sampler.MetropolisLocal(FREE, machine_pow=1), model, variables=variables, n_samples=32)
    with pytest.raises(ValueError, match="machine_pow must be 2"):
        chains_of(other)
