"""What each sampler of a diffusion model makes of Gaussian data, against the closed forms; and how they are related."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from best_denoiser import BestDenoiser, variance_p
from laws import ALPHA
from scipy import stats

import models
from ebm.exact import ddim_variance, ddpm_variance, ode_variance, sde_variance
from models.probability_flow import flow

pytestmark = pytest.mark.usefixtures("one_torch_thread")

WIDTH, STEPS, DRAWS = 2.0, 50, 60_000


def best(variance: float, predict: str = "v", steps: int = STEPS, mean: float = 0.0) -> models.DDPM:
    """A model of N(mean, variance) in units of its width, whose network is right."""
    network = BestDenoiser([[mean]], [variance], predict=predict)
    return models.DDPM((1,), steps=steps, predict=predict, network=network, data_width=WIDTH)


def law(sampler: Any, variance: float, levels: Any) -> float:
    """The closed form of what a sampler ends with, in units of the width."""
    abar = levels.alpha_bar
    if isinstance(sampler, models.ProbabilityFlow):
        return ode_variance(variance, abar[-1], abar[0])
    if isinstance(sampler, models.ReverseSDE):
        return sde_variance(variance, sampler.path(levels)[::-1])
    abar = abar if sampler.steps is None else levels.spaced(sampler.steps).alpha_bar
    if isinstance(sampler, models.Ancestral):
        return ddpm_variance(variance, abar, sampler.variance)
    return ddim_variance(variance, abar, sampler.eta)


SAMPLERS = [
    models.Ancestral(), models.Ancestral("beta_tilde"), models.Ancestral("beta", steps=7),
    models.Ancestral("beta_tilde", steps=7), models.DDIM(), models.DDIM(5), models.DDIM(5, eta=1.0),
    models.DDIM(20, eta=0.5), models.ReverseSDE(), models.ReverseSDE(25), models.ProbabilityFlow(20),
]  # fmt: skip


@pytest.mark.parametrize("variance", (0.04, 3.0))
@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_gaussians_end_with_the_variance_of_the_closed_form(sampler: Any, variance: float) -> None:
    model = best(variance)
    x = model.sample(DRAWS, seed=1, sampler=sampler)
    assert variance_p(x / WIDTH, law(sampler, variance, model.levels)) > ALPHA


@pytest.mark.parametrize("predict", ("epsilon", "x0", "v"))
def test_a_mean_of_the_data_is_reached_and_leaves_the_variance(predict: str) -> None:
    model, sampler = best(0.25, predict, mean=0.7), models.Ancestral("beta_tilde")
    x = model.sample(DRAWS, seed=2, sampler=sampler)[:, 0] / WIDTH
    exact = law(sampler, 0.25, model.levels)
    assert variance_p(x - x.mean(), exact * (DRAWS - 1) / DRAWS) > ALPHA
    # DDIM is linear from x_T = 0 to where the mean of N(0, 1) goes: the data's mean but for what the last level hides.
    end = models.DDIM().run(model, torch.zeros(1, 1, dtype=torch.float64)).item()
    hidden = math.sqrt(model.levels.alpha_bar[-1] * ddim_variance(0.25, model.levels.alpha_bar))
    assert end == pytest.approx(0.7 * (1 - hidden), rel=1e-9)


def test_ancestral_with_beta_tilde_is_ddim_with_all_its_noise() -> None:
    model = models.DDPM((2,), steps=40, hidden=(8,), seed=3)
    samples = [model.sample(6, seed=4, sampler=s) for s in (models.Ancestral("beta_tilde"), models.DDIM(eta=1.0))]
    assert np.allclose(*samples, rtol=0, atol=1e-5)


def test_the_flow_is_where_ddim_tends_and_goes_back_to_where_it_came_from() -> None:
    model = models.DDPM((2,), schedule="linear", hidden=(16,), waves=0, seed=5).double()
    x = torch.as_tensor(np.random.default_rng(6).normal(size=(8, 2)))
    first, last, errors = *model.levels.log_snr[[0, -1]], []
    with torch.no_grad():
        for steps in (250, 500):
            chain, moved = models.DDIM(steps), x
            path = chain.path(model.levels)[:-1].tolist()  # to the lowest of its levels
            for now, then in itertools.pairwise(path):
                moved = chain.step(model, moved, now, then)
            exact = flow(model.velocity, x, last, math.log(path[-1] / (1 - path[-1])), 100)
            errors.append((moved - exact).abs().max().item())
        end = models.ProbabilityFlow(100).run(model, x) * math.sqrt(model.levels.alpha_bar[0])
        start = flow(model.velocity, end, first, last, 100)
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.1)  # DDIM is of first order
    assert torch.allclose(start, x, rtol=0, atol=1e-6)


@pytest.mark.parametrize("predictor", (models.DDIM(8), models.Ancestral(steps=8), models.ReverseSDE(8)), ids=repr)
def test_the_corrector_is_langevin_at_each_level(predictor: Any) -> None:
    variance, rate, corrections = 0.02, 0.4, 2
    model = best(variance)
    sampler = models.PredictorCorrector(predictor, corrections=corrections, rate=rate)
    x = model.sample(10_000, seed=7, sampler=sampler) / WIDTH
    path, exact = predictor.path(model.levels), 1.0
    for now, then in itertools.pairwise(path):
        with torch.no_grad():  # a step is linear: its factor, and the noise it adds
            factor = _mean_step(predictor, model, now, then)
        exact = factor**2 * exact + _noise(predictor, now, then)
        if then < 1.0:
            # seen from the data: x / sqrt(abar), noise sigma^2 = (1 - abar) / abar, curvature 1 / (variance + sigma^2)
            noise = (1 - then) / then
            decay = 1 - rate * noise / (variance + noise)
            for _ in range(corrections):
                exact = then * (decay**2 * exact / then + 2 * rate * noise)
    assert variance_p(x, exact / path[-1]) > ALPHA


def _mean_step(predictor: Any, model: Any, now: float, then: float) -> float:
    """The factor by which a step multiplies x: the difference of two steps with the same noise."""
    ends = []
    for start in (0.0, 1.0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            ends.append(predictor.step(model, torch.full((1, 1), start, dtype=torch.float64), now, then).item())
    return ends[1] - ends[0]


def _noise(predictor: Any, now: float, then: float) -> float:
    """The variance of the noise of a step."""
    if isinstance(predictor, models.ReverseSDE):
        return math.log(then / now)
    return 1 - now / then if isinstance(predictor, models.Ancestral) and then < 1.0 else 0.0


def test_samples_of_a_mixture_fall_into_its_parts() -> None:
    means, variances, weights = [[-2.0, 0.0], [1.0, 1.0]], [0.1, 0.2], [0.3, 0.7]
    model = models.DDPM((2,), steps=200, network=BestDenoiser(means, variances, weights, "v"))
    x = model.sample(4000, seed=8, sampler=models.ProbabilityFlow())
    # By a line between the parts, 5 standard deviations from each; the last level hides a shift of the weights of 1e-3.
    left = int((x[:, 0] < -0.7).sum())
    assert stats.binomtest(left, 4000, 0.3).pvalue > ALPHA
