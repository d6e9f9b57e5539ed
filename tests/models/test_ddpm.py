"""The diffusion model: what it predicts at a level of noise, how it learns, its score as samplers see it, its file."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from best_denoiser import BestDenoiser, variance_p
from laws import ALPHA, mean_p

import ebm
import models
import samplers
from ebm.exact import best_epsilon, ddim_variance, diffused, ula_variance
from models.noise_schedules import noise_schedule
from models.predictions import PREDICTIONS

pytestmark = pytest.mark.usefixtures("one_torch_thread")

MEANS, VARIANCES, WEIGHTS = [[-1.0, 0.4], [0.8, -0.3], [0.2, 1.2]], [0.05, 0.2, 0.1], [0.5, 0.3, 0.2]
MIXTURE = ebm.GaussianMixture(MEANS, [v * np.eye(2) for v in VARIANCES], WEIGHTS)


def best(predict: str = "epsilon", **options: Any) -> models.DDPM:
    """A model of the mixture whose network is right."""
    return models.DDPM((2,), predict=predict, network=BestDenoiser(MEANS, VARIANCES, WEIGHTS, predict), **options)


# --- levels -----------------------------------------------------------------------------------------------------------


def test_schedules_are_those_of_the_papers() -> None:
    linear, cosine = noise_schedule("linear", 1000), noise_schedule("cosine", 1000)
    assert np.allclose(linear.beta, np.linspace(1e-4, 0.02, 1000), rtol=1e-12)
    t = np.arange(1, 999)
    exact = (np.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) / math.cos(0.008 / 1.008 * math.pi / 2)) ** 2
    assert np.allclose(cosine.alpha_bar[t - 1], exact, rtol=1e-9)
    assert cosine.beta[-1] == 0.999
    for schedule in (linear, cosine):
        assert np.allclose(schedule.noise**2, (1 - schedule.alpha_bar) / schedule.alpha_bar, rtol=1e-9)
        kept = schedule.spaced(100)
        assert np.array_equal(kept.alpha_bar, schedule.alpha_bar[9::10])
        assert np.allclose(np.cumprod(1 - kept.beta), kept.alpha_bar, rtol=1e-12)


@pytest.mark.parametrize("predict", PREDICTIONS)
@pytest.mark.parametrize("log_snr", (8.0, 1.0, -3.0, -9.0))
def test_each_prediction_gives_all_others(predict: str, log_snr: float) -> None:
    x = torch.as_tensor(np.random.default_rng(3).normal(size=(20, 2)))
    found = best(predict).prediction(x, log_snr)
    abar = 1 / (1 + math.exp(-log_snr))
    epsilon = best_epsilon(MIXTURE, x.numpy(), abar)
    x0 = (x.numpy() - math.sqrt(1 - abar) * epsilon) / math.sqrt(abar)
    for value, exact in zip(
        found, (x0, epsilon, math.sqrt(abar) * epsilon - math.sqrt(1 - abar) * x0, -epsilon / math.sqrt(1 - abar)),
        strict=True,
    ):  # fmt: skip
        assert np.allclose(value.detach().numpy(), exact, rtol=1e-6, atol=1e-9)
    assert np.allclose(found.score.detach().numpy(), -diffused(MIXTURE, abar).grad(x.numpy()), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("predict", PREDICTIONS)
def test_at_equal_noise_the_schedule_makes_no_difference(predict: str) -> None:
    options: dict[str, Any] = {"predict": predict, "hidden": (16, 16), "data_width": 1.5, "data_mean": 0.3, "seed": 4}
    linear, cosine = (models.DDPM((2,), schedule=name, **options) for name in ("linear", "cosine"))
    few = models.DDPM((2,), schedule="cosine", steps=30, **options)
    x = np.random.default_rng(5).normal(size=(10, 2))
    for sigma in (0.1, 1.0, 20.0):
        grads = [model.at_noise(sigma).grad(x) for model in (linear, cosine, few)]
        assert np.array_equal(grads[0], grads[1]) and np.array_equal(grads[0], grads[2])


@pytest.mark.parametrize("sigma", (0.05, 0.5, 5.0))
def test_the_score_at_a_noise_is_that_of_the_smoothed_data(sigma: float) -> None:
    width, shift = 2.5, 0.7  # the data are shift + width times the mixture
    model = best("v", data_width=width, data_mean=shift)
    smoothed = ebm.GaussianMixture(
        shift + width * MIXTURE.means, width**2 * MIXTURE.covariances + sigma**2 * np.eye(2), WEIGHTS
    )
    x = np.random.default_rng(6).normal(0.0, 3.0, (30, 2))
    assert np.allclose(model.at_noise(sigma).grad(x), smoothed.grad(x), rtol=1e-9, atol=1e-9)


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ("linear", "cosine"))
@pytest.mark.parametrize("predict", PREDICTIONS)
def test_the_loss_of_the_best_network_is_what_cannot_be_known(predict: str, schedule: str) -> None:
    variance = 0.4
    network = BestDenoiser([[0.0]], [variance], predict=predict)
    model = models.DDPM((1,), steps=60, schedule=schedule, predict=predict, network=network, data_width=3.0)
    abar = model.levels.alpha_bar
    unknown = {  # the variance, given x_t, of epsilon, x_0, and of v = (epsilon - sigma x_t) / alpha
        "epsilon": abar * variance, "x0": (1 - abar) * variance, "v": variance * np.ones_like(abar),
    }[predict] / (abar * variance + 1 - abar)  # fmt: skip
    x = 3.0 * math.sqrt(variance) * np.random.default_rng(7).standard_normal((64, 4000, 1))
    losses = [model.loss(torch.as_tensor(batch)).item() for batch in x]
    assert mean_p(np.array(losses), unknown.mean()) > ALPHA


class Gains(torch.nn.Module):
    """A linear network of one gain for each level of a schedule."""

    def __init__(self, log_snr: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("levels", torch.as_tensor(-log_snr))
        self.gain = torch.nn.Parameter(torch.zeros(len(log_snr), dtype=torch.float64))

    def forward(self, x: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        """Return gain_t x."""
        between = (self.levels[1:] + self.levels[:-1]) / 2
        return self.gain[torch.searchsorted(between, -log_snr)][:, None] * x


@pytest.mark.parametrize("schedule", ("linear", "cosine"))
def test_a_linear_network_learns_to_be_the_best_and_samples_as_it(schedule: str) -> None:
    levels = noise_schedule(schedule, 25)
    model = models.DDPM((1,), steps=25, schedule=schedule, predict="v", network=Gains(levels.log_snr))
    x = np.random.default_rng(8).standard_normal((2000, 1))
    x *= 0.5 / math.sqrt((x**2).mean())
    models.fit(
        model, x, epochs=80, batch_size=500, learning_rate=0.05, schedule=lambda t: 1 - t / 80, averaging=0.99, seed=1,
        progress=False,
    )  # fmt: skip
    drawn = model.sample(3000, seed=2, sampler=models.DDIM(eta=0.5))
    assert variance_p(drawn, ddim_variance(0.25, levels.alpha_bar, eta=0.5)) > ALPHA


def test_learning_is_the_same_wherever_it_was_cut(tmp_path: Path) -> None:
    x, found = np.random.default_rng(9).normal(size=(100, 2)), []
    for cuts in ((4,), (2, 4)):
        for epochs in cuts:
            model = models.DDPM((2,), steps=50, hidden=(8,), seed=1)
            models.fit(
                model, x, epochs=epochs, batch_size=30, averaging=0.9, seed=2, progress=False, resume=True,
                checkpoint=tmp_path / str(len(cuts)),
            )  # fmt: skip
        found.append(model.sample(5, seed=3))
    assert np.array_equal(found[0], found[1])


# --- as samplers see it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1.0, 1000.0])  # in which 1 is below all levels
def test_annealed_langevin_takes_the_model(unit: float) -> None:
    variance, sigmas, step = 0.25, np.geomspace(3.0, 0.3, 8), 0.02
    model = models.DDPM((1,), predict="epsilon", network=BestDenoiser([[0.5]], [variance]), data_width=unit)
    annealing = samplers.AnnealedLangevin(unit * sigmas, step_size=unit**2 * step, steps=50)
    start = unit * 3.0 * np.random.default_rng(10).standard_normal((4000, 1))
    run = samplers.sample(
        model, annealing, chains=4000, draws=1, warmup=8 * 50 + 200, init=start, seed=1, progress=False
    )
    exact = ula_variance(step, 1 / (variance + 0.3**2))
    assert variance_p(np.asarray(run.x)[:, 0, 0] / unit - 0.5, exact) > ALPHA


def test_a_score_is_no_energy() -> None:
    model = best()
    level = model.at_noise(0.5)
    assert samplers.sample(level, samplers.Langevin(0.01), draws=3, warmup=2, seed=1, progress=False).x.shape[2:] == (
        2,
    )
    for sampler in (samplers.MALA(), samplers.HMC(), samplers.Metropolis("gaussian")):
        for thing in (level, model):
            with pytest.raises(TypeError, match="energy"):
                samplers.sample(thing, sampler, draws=2, seed=1, progress=False)


# --- the door ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"hidden": (7,)}, {"channels": (4, 8), "shape": (4, 6)}])
def test_a_model_is_what_it_was_after_saving(options: dict[str, Any], tmp_path: Path) -> None:
    settings = {"shape": (2,), "steps": 30, "schedule": "cosine", "predict": "x0", "data_mean": 0.5, "seed": 3}
    model = models.DDPM(**(settings | options))
    model.save(tmp_path / "ddpm.pt")
    again = models.load(tmp_path / "ddpm.pt")
    assert again.settings == model.settings and np.array_equal(again.sample(4, seed=1), model.sample(4, seed=1))
    with pytest.raises(TypeError, match="network of your own cannot be saved"):
        best().save(tmp_path / "own.pt")


def test_a_sampler_without_levels_cannot_be_corrected() -> None:
    with pytest.raises(TypeError, match="predictor must be Ancestral, DDIM or ReverseSDE, got ProbabilityFlow"):
        models.PredictorCorrector(models.ProbabilityFlow())


def test_samples_follow_from_the_seed_alone() -> None:
    model = models.DDPM((2,), steps=30, hidden=(8,), seed=1)
    state = torch.random.get_rng_state()
    for sampler in (None, models.DDIM(10, eta=1.0), models.ReverseSDE(), models.PredictorCorrector(models.DDIM(5))):
        first, again, other = (model.sample(4, seed=seed, sampler=sampler) for seed in (1, 1, 2))
        assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((3, 4)), r"data must be configurations of shape \(n, 2\), got \(4,\)"),
        (np.full((3, 2), 255.0), "data must lie about data_width=1 from data_mean=0, got a root mean square .* of 255"),
        (np.full((3, 2), 0.01), "data must lie about data_width=1 from data_mean=0"),
        (np.full((3, 2), np.nan), "data must be finite"),
    ],
)
def test_data_that_do_not_fit_are_refused(data: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.fit(models.DDPM((2,), hidden=(4,), seed=1), data, epochs=1, seed=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps must be a positive integer, got 0"),
        ({"steps": 20, "schedule": "linear"}, 'steps must be at least 21 for schedule="linear"'),
        ({"steps": 1, "schedule": "cosine"}, 'steps must be at least 2 for schedule="cosine"'),
        ({"schedule": "square"}, 'schedule must be "linear" or "cosine"'),
        ({"predict": "noise"}, 'predict must be "epsilon", "x0" or "v"'),
        ({"hidden": (0,)}, "hidden must be"),
        ({"channels": (4, 8)}, "channels needs a shape"),
        ({"channels": (4, 8), "shape": (5, 6)}, "sides that are multiples of 2 for 2 resolutions"),
        ({"channels": (6,), "shape": (4, 4)}, "channels must be multiples of 4"),
        ({"data_width": 0.0}, "data_width must be"),
        ({"data_mean": math.inf}, "data_mean must be"),
        ({"activation": "sin"}, "activation must be one of"),
    ],
)
def test_errors_name_the_argument(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.DDPM(**({"shape": (2,)} | changes))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.sample(0), "n must be"),
        (
            lambda m: m.sample(2, sampler=models.DDIM(31)),
            "steps must be at most the 30 of the model's schedule, got 31",
        ),
        (lambda m: m.sample(2, sampler=models.ReverseSDE(30)), "steps must be at most 29"),
        (lambda m: m.at_noise(1e-4), "sigma must be within the model's levels, from .*, got 0.0001"),
        (lambda m: m.at_noise(1e9), "sigma must be within the model's levels"),
        (lambda m: m.log_prob([[0.0, math.nan]]), "x must be finite, got NaN or infinity in row 0"),
        (lambda m: m.log_prob(np.zeros((2, 3))), r"x must be configurations of shape \(n, 2\), got \(3,\)"),
        (lambda m: m.log_prob(np.zeros((2, 2)), steps=0), "steps must be"),
        (lambda m: m.log_prob_estimate(np.zeros((2, 2)), probes=1), "probes must be at least 2"),
        (lambda m: models.Ancestral("gamma"), 'variance must be "beta" or "beta_tilde"'),
        (lambda m: models.DDIM(eta=2.0), "eta must be at most 1"),
        (lambda m: models.ProbabilityFlow(0), "steps must be"),
        (lambda m: models.PredictorCorrector(rate=0.0), "rate must be"),
    ],
)
def test_calls_that_cannot_be_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(models.DDPM((2,), steps=30, hidden=(4,), seed=1))
