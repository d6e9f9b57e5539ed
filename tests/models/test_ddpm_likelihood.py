"""ln p of a diffusion model by its probability flow: closed forms, quadrature, and what samplers make of it."""

import math
from typing import Any

import numpy as np
import pytest
from best_denoiser import BestDenoiser
from laws import ALPHA, mean_p
from scipy import stats

import ebm
import models
import samplers
from ebm.exact import ode_variance

pytestmark = pytest.mark.usefixtures("one_torch_thread")

MEANS, VARIANCES, WEIGHTS = [[-1.0, 0.4], [0.8, -0.3]], [0.15, 0.3], [0.6, 0.4]
MIXTURE = ebm.GaussianMixture(MEANS, [v * np.eye(2) for v in VARIANCES], WEIGHTS)
X = np.random.default_rng(1).normal(0.0, 1.2, (40, 2))


def best(**options: Any) -> models.DDPM:
    """A model of the mixture whose network is right."""
    return models.DDPM((2,), predict="v", network=BestDenoiser(MEANS, VARIANCES, WEIGHTS, "v"), **options)


@pytest.mark.parametrize("predict", ("epsilon", "x0", "v"))
@pytest.mark.parametrize("variance", (0.04, 1.0, 3.0))
def test_log_p_of_a_gaussian_is_the_closed_form(variance: float, predict: str) -> None:
    width, mean = 2.0, 0.3
    network = BestDenoiser([[mean, -mean]], [variance], predict=predict)
    model = models.DDPM((2,), steps=100, predict=predict, network=network, data_width=width)
    first, last = model.levels.alpha_bar[[0, -1]]
    # From N(0, 1) at the last level the distance from the mean grows by a factor, with the root of the variance.
    exact = ode_variance(variance, last, first)
    centre = mean * (1 - math.sqrt(last * exact)) * np.array([1, -1])
    x = width * (centre + math.sqrt(exact) * X)
    truth = stats.multivariate_normal(width * centre, width**2 * exact).logpdf(x)
    assert np.allclose(model.log_prob(x, steps=200), truth, rtol=0, atol=1e-6)
    # The Runge-Kutta method is of fourth order: twice the steps, a sixteenth of the error.
    errors = [np.abs(model.log_prob(x, steps=steps) - truth).max() for steps in (25, 50)]
    assert errors[1] < 0.1 * errors[0] or errors[0] < 1e-8


@pytest.mark.parametrize("sigma", (None, 0.1, 1.0, 5.0))
def test_log_p_of_a_mixture_is_that_of_the_smoothed_mixture(sigma: float | None) -> None:
    width, shift = 1.5, -0.4
    model = best(data_width=width, data_mean=shift)
    noise = model.noise[0] if sigma is None else sigma
    covariances = width**2 * MIXTURE.covariances + noise**2 * np.eye(2)
    smoothed = ebm.GaussianMixture(shift + width * MIXTURE.means, covariances, WEIGHTS)
    x = X * max(1.0, noise)
    assert np.allclose(model.log_prob(x, sigma), -smoothed(x), rtol=0, atol=1e-3)
    energy = model.as_energy(sigma)
    assert np.allclose(energy.grad(x), smoothed.grad(x), rtol=0, atol=1e-3)
    assert np.allclose(energy.grad(x), model.at_noise(noise).grad(x), rtol=0, atol=1e-3)


def trained() -> models.DDPM:
    """A model that has learned a little of points on a ring."""
    angle = np.random.default_rng(3).uniform(0, 2 * math.pi, 500)
    x = np.stack([np.cos(angle), np.sin(angle)], 1) * 1.4 + 0.2 * np.random.default_rng(4).normal(size=(500, 2))
    model = models.DDPM((2,), steps=200, hidden=(16,), waves=2, seed=1)
    models.fit(model, x, epochs=20, batch_size=50, learning_rate=5e-3, averaging=0.95, seed=2, progress=False)
    return model


def test_the_density_of_a_trained_network_integrates_to_one() -> None:
    model = trained()
    axis = 4.5 * (2.0 * (np.arange(64) + 0.5) / 64 - 1.0)
    x = np.stack([a.ravel() for a in np.meshgrid(axis, axis)], 1)
    log_p = model.log_prob(x, 0.4, steps=32)
    mass = np.exp(log_p) * (9.0 / 64) ** 2
    assert mass.sum() == pytest.approx(1.0, abs=1e-3)
    assert log_p.max() - log_p[np.square(x).sum(1).argmin()] > 0.3  # a ring, and not the N(0, 1) that it comes from


def test_probes_estimate_the_divergence_with_an_honest_error() -> None:
    model = models.DDPM((3, 2), steps=50, predict="epsilon", hidden=(16, 16), seed=6).double()
    x = np.random.default_rng(7).normal(size=(3, 3, 2))
    exact, found = model.log_prob(x, steps=6), [model.log_prob_estimate(x, 8, seed, steps=6) for seed in range(64)]
    for i in range(3):
        values = np.array([f.value[i] for f in found])
        assert mean_p(values, exact[i]) > ALPHA
        stated = np.mean([f.error[i] ** 2 for f in found])
        assert stats.f.sf(values.var(ddof=1) / stated, 63, 63 * 7) > ALPHA
        assert stats.f.cdf(values.var(ddof=1) / stated, 63, 63 * 7) > ALPHA


def test_the_energy_of_the_flow_obeys_the_laws() -> None:
    samplers.check(best(steps=100).as_energy(0.5, steps=4))  # the gradient is that of the few steps, too


def test_log_p_is_of_each_configuration_alone() -> None:
    model = models.DDPM((2,), steps=50, hidden=(16, 16), seed=8).double()
    together = model.log_prob(X, steps=8)
    assert np.allclose([model.log_prob(row[None], steps=8)[0] for row in X[:3]], together[:3], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "sampler",
    (
        samplers.MALA(0.15),
        pytest.param(samplers.Metropolis("gaussian", step_size=0.7), marks=pytest.mark.slow),
        pytest.param(samplers.HMC(0.3, steps=3), marks=pytest.mark.slow),
    ),
    ids=lambda sampler: type(sampler).__name__,
)
def test_the_samplers_of_energies_keep_draws_of_the_flow(sampler: samplers.Sampler) -> None:
    model = best(steps=100)
    energy = model.as_energy(steps=10)
    start, fresh = (model.sample(600, seed=seed, sampler=models.ProbabilityFlow(10)) for seed in (9, 10))
    run = samplers.sample(energy, sampler, chains=600, draws=1, warmup=0, thin=4, init=start, seed=1, progress=False)
    end = np.asarray(run.x)[:, 0]
    assert not np.array_equal(end, start) and np.mean(run.acceptance) < 0.999
    for view in ((1.0, 0.0), (0.0, 1.0), (1.0, -0.6)):
        assert stats.ks_2samp(end @ view, fresh @ view).pvalue > ALPHA
