"""Weights of draws at other temperatures: averages and histograms at any beta, from ladders and from single runs."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

import ebm
import samplers
from ebm import exact
from ebm.reweighting import mbar_weights

SIGMAS = stats.norm.isf(1e-6)
RING = ebm.Ising(10)


def runs_of(energy, betas, draws, sampler=None, **more):
    sampler = samplers.Gibbs() if sampler is None else sampler
    return [
        samplers.sample(energy, sampler, beta=b, draws=n, warmup=100, seed=5 + k, progress=False, **more)
        for k, (b, n) in enumerate(zip(betas, draws, strict=True))
    ]


def test_weights_are_those_of_the_formula_at_the_true_log_z():
    betas, draws = (0.3, 0.5, 0.8), (4000, 100, 900)
    runs = runs_of(RING, betas, draws)
    weights = mbar_weights(runs, 0.65)
    assert [w.shape for w in weights] == [(4, n) for n in draws]
    assert sum(w.sum() for w in weights) == pytest.approx(1.0)
    energies = np.concatenate([run.energy.ravel() for run in runs])
    log_n = [np.log(4 * n) - exact.ring_log_z(10, b) - b * energies for b, n in zip(betas, draws, strict=True)]
    need = np.exp(-0.65 * energies - logsumexp(log_n, axis=0))
    need /= need.sum()
    # ln Z of the states are estimated to about a hundredth, and so are the weights.
    assert np.concatenate([w.ravel() for w in weights]) == pytest.approx(need, rel=0.1)


def test_one_run_is_reweighted():
    (run,) = runs_of(RING, (0.4,), (200,))
    (weights,) = mbar_weights([run], 0.5)
    assert weights == pytest.approx(np.exp(-0.1 * run.energy) / np.exp(-0.1 * run.energy).sum())


def test_a_ladder_gives_averages_at_any_temperature():
    ladder = samplers.ParallelTempering(samplers.Gibbs(), (0.2, 0.5, 0.9))
    means = []
    for seed in range(32):
        run = samplers.sample(RING, ladder, beta=0.9, draws=150, warmup=100, seed=seed, progress=False, keep_x=False)
        weights = mbar_weights(run, 0.7)
        assert weights.shape == (4, 150, 3)
        means.append((weights * run.tempering.energies).sum())
    assert abs(np.mean(means) / 10 - exact.ring_energy(10, 0.7)) < SIGMAS * np.std(means, ddof=1) / np.sqrt(32) / 10


def test_hidden_units_are_summed_out_at_the_temperature_asked_about():
    rng = np.random.default_rng(2)
    rbm = ebm.RBM(5, 3, W=rng.normal(0, 2, (5, 3)), b=rng.normal(0, 1, 5))
    n, means = 3000, []
    for seed in range(32):
        betas = (0.5, 1.0)
        runs = []
        for beta in betas:  # independent draws
            p = exact.probabilities(rbm, beta)
            x = exact.state_at(np.random.default_rng([seed, int(2 * beta)]).choice(len(p), n, p=p), (5,), "binary")
            runs.append(samplers.Chains(x[None], rbm(x)[None], {}, np.ones((1, n)), beta, "binary"))
        weights = mbar_weights(runs, 0.7, rbm)
        means.append(sum((w * run.x[..., 0]).sum() for w, run in zip(weights, runs, strict=True)))
    truth = exact.enumerate(rbm, 0.7).expectation(lambda x: x[:, 0].astype(float))
    assert stats.ttest_1samp(means, truth).pvalue > 1e-6


def test_bad_arguments_are_named():
    (run,) = runs_of(RING, (0.4,), (20,))
    with pytest.raises(ValueError, match="chains must be a run of ParallelTempering, or a list of runs"):
        mbar_weights(run, 0.5)
    with pytest.raises(ValueError, match="chains must hold at least one run"):
        mbar_weights([], 0.5)
    with pytest.raises(ValueError, match="beta must be a positive finite number"):
        mbar_weights([run], -1.0)
