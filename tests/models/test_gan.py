"""The GAN against theory: its best discriminator and value, latent sampling that turns q into p, Dirac's circles."""

import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from laws import ALPHA, mean_p
from scipy import stats
from torch import nn

import models
import samplers
from models.streams import seeded

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def identity(discriminator: nn.Module | None = None, sites: int = 1, **options: Any) -> models.GAN:
    """Return a GAN whose generator gives the code itself, so that q = N(0, 1)."""
    gan = models.GAN((sites,), latent=sites, **({"hidden": (), "seed": 1} | options)).double()
    gan.players["generator"] = nn.Identity()
    if discriminator is not None:
        gan.players["discriminator"] = discriminator.double()
    return gan


class LogRatio(nn.Module):
    """d* = ln p - ln q of p an equal mixture of N(+-m, s^2) and q = N(0, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.m, self.s = nn.Parameter(torch.tensor(1.25)), nn.Parameter(torch.tensor(0.5))

    def log_p(self, x: torch.Tensor) -> torch.Tensor:
        parts = torch.stack([torch.distributions.Normal(side * self.m, self.s).log_prob(x) for side in (-1, 1)])
        return torch.logsumexp(parts, 0) - math.log(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.log_p(x) - torch.distributions.Normal(0.0, 1.0).log_prob(x)

    def draw(self, n: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return rng.choice([-1.25, 1.25], (n, 1)) + 0.5 * rng.normal(size=(n, 1))

    def cdf(self, x: np.ndarray) -> np.ndarray:
        return np.mean([stats.norm(side * 1.25, 0.5).cdf(x) for side in (-1, 1)], axis=0)


def test_the_value_at_the_optimum_is_minus_two_log_two() -> None:
    gan = identity()
    with torch.no_grad():
        for parameter in gan.parameters():
            parameter.zero_()  # D = 1/2, the best when p = q
    assert gan.value(np.random.default_rng(1).normal(size=(10, 1))) == pytest.approx(-2 * math.log(2), abs=1e-14)


def test_the_value_of_the_best_discriminator_is_that_of_the_divergence() -> None:
    ratio = LogRatio().double().requires_grad_(False)
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    p, q = ratio.log_p(x).exp(), torch.distributions.Normal(0.0, 1.0).log_prob(x).exp()
    middle = (p + q) / 2
    divergence = 0.5 * (p * (p / middle).log() + q * (q / middle).log()).sum().item() * 16 / 4000
    gan = identity(ratio)
    values = [gan.value(ratio.draw(500, seed), seed) for seed in range(48)]
    assert mean_p(np.array(values), -2 * math.log(2) + 2 * divergence) > ALPHA


def test_the_discriminator_learns_the_ratio_of_two_gaussians() -> None:
    m, n = 1.5, 4000
    gan = identity()

    class Alone(nn.Module):
        """The discriminator without its adversary."""

        def __init__(self) -> None:
            super().__init__()
            self.gan = gan

        def loss(self, batch: torch.Tensor) -> torch.Tensor:
            return self.gan.loss(batch, "discriminator")

    x = np.random.default_rng(2).normal(m, 1, (n, 1))
    models.fit(
        Alone(), x, epochs=30, batch_size=200, learning_rate=0.02, schedule=lambda t: 1 - t / 30, averaging=0.99,
        seed=1, progress=False,
    )  # fmt: skip
    layer = gan.players["discriminator"][1]
    found = np.array([layer.weight.item(), layer.bias.item()]) - [m, -(m**2) / 2]  # d* = m x - m^2/2
    # The estimate of logistic regression; D sees each x of the data many times, and ever new ones of the generator.
    grid = np.linspace(-8, 8 + m, 4001)
    D, p = 1 / (1 + np.exp(m**2 / 2 - m * grid)), stats.norm(m).pdf(grid)
    both, cell = np.stack([grid, np.ones_like(grid)]), grid[1] - grid[0]
    information = (both * (p * (1 - D))) @ both.T * cell  # H = <x x^T p (1 - D)>; the score has covariance V / n
    score = both * (p * (1 - D) ** 2) @ both.T * cell - np.outer(both @ (p * (1 - D)), both @ (p * (1 - D))) * cell**2
    covariance = np.linalg.inv(information) @ score @ np.linalg.inv(information) / n
    # Twice that, for the noise of the last steps, which averages have not taken away.
    assert stats.chi2(2).sf(found @ np.linalg.inv(2 * covariance) @ found) > ALPHA


@pytest.mark.parametrize(
    "sampler", [samplers.MALA(0.5, target_acceptance=None), samplers.HMC(0.3, steps=4, target_acceptance=None)]
)
def test_latent_sampling_turns_q_into_p(sampler: samplers.Sampler) -> None:
    ratio = LogRatio().double().requires_grad_(False)
    energy = identity(ratio).as_energy()
    z = np.linspace(-3, 3, 50)[:, None]
    assert np.ptp(energy(z) + ratio.log_p(torch.as_tensor(z))[:, 0].numpy()) < 1e-12  # -ln p but for a constant
    samplers.check(energy)
    chains = samplers.sample(
        energy, sampler, chains=4000, draws=1, warmup=0, thin=5, init=ratio.draw(4000, 3), seed=1, progress=False
    )
    assert stats.kstest(chains.x[:, -1, 0], ratio.cdf).pvalue > ALPHA


def test_codes_of_chains_give_samples() -> None:
    gan = models.GAN((2,), latent=3, hidden=(8,), seed=0)
    chains = samplers.sample(gan.as_energy(), samplers.HMC(), chains=2, draws=10, warmup=20, seed=1, progress=False)
    codes = np.asarray(chains.x).reshape(-1, 3)
    assert gan.generate(codes).shape == (20, 2)
    with pytest.raises(ValueError, match=r"z must be codes of shape \(n, 3\), got \(5, 2\)"):
        gan.generate(np.zeros((5, 2)))


@pytest.mark.parametrize("gradient_penalty", [0.0, 1.0])
def test_two_points_circle_each_other_unless_there_is_a_penalty(gradient_penalty: float) -> None:
    # Dirac-GAN (Mescheder et al. 2018): a point at 0, a sample at b, d(x) = w x. Steps of w, then of b:
    #   w -= h (b D(wb) + gamma w),   b += h w D(-wb),   D the logistic function
    h, steps = 0.1, 1000
    gan = models.GAN((1,), latent=1, hidden=(), gradient_penalty=gradient_penalty, seed=1).double()
    judge, point = gan.players["discriminator"][1], gan.players["generator"][0]
    with torch.no_grad():
        judge.weight[:], judge.bias[:], point.weight[:], point.bias[:] = 0.5, 0.0, 0.0, -1.0
    judge.bias.requires_grad_(False)
    point.weight.requires_grad_(False)
    history = models.fit(
        gan, np.zeros((100, 1)), epochs=steps // 100, batch_size=1, learning_rate=h, optimiser=torch.optim.SGD, seed=1,
        progress=False,
    )  # fmt: skip
    w, b, far = 0.5, -1.0, []
    for _ in range(steps):
        w -= h * (b / (1 + math.exp(-w * b)) + gradient_penalty * w)
        b += h * w / (1 + math.exp(w * b))
        far.append(abs(b))
    assert judge.weight.item() == pytest.approx(w, abs=1e-9) and point.bias.item() == pytest.approx(b, abs=1e-9)
    assert max(far[-200:]) < 1e-12 if gradient_penalty else max(far[-200:]) > 0.2  # exponential, or t^(-1/2)
    assert history.names[2:4] == ("discriminator_loss", "generator_loss")


@pytest.mark.parametrize("hidden", [(), (6, 5)])
def test_the_gradient_penalty_is_that_of_its_formula(hidden: tuple[int, ...]) -> None:
    x = torch.randn(7, 3, dtype=torch.float64)
    plain = models.GAN((3,), latent=2, hidden=hidden, seed=4).double()
    with_penalty = models.GAN((3,), latent=2, hidden=hidden, gradient_penalty=0.7, seed=4).double()
    losses = []
    for gan in (plain, with_penalty):
        with seeded(1):
            losses.append(gan.loss(x, "discriminator"))
    slopes = torch.stack([torch.autograd.functional.jacobian(lambda row: plain.logit(row[None]), row) for row in x])
    expected = 0.5 * 0.7 * slopes.flatten(1).square().sum(1).mean()
    assert torch.allclose(losses[1] - losses[0], expected, rtol=1e-10, atol=0)
    if not hidden:  # d = w . x + b
        assert expected.item() == pytest.approx(0.35 * plain.players["discriminator"][1].weight.square().sum().item())
    with_penalty.eval()
    with seeded(1), torch.no_grad():
        assert torch.equal(with_penalty.loss(x, "discriminator"), losses[0])  # a term of training only


@pytest.mark.parametrize("options", [{"hidden": (16, 16)}, {"channels": (4, 8)}])
def test_the_spectral_norm_bounds(options: dict[str, Any]) -> None:
    gan = models.GAN((4, 4), latent=2, spectral_norm=True, seed=2, **options).double()
    x = 3 * torch.randn(200, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        for layer in gan.players["discriminator"]:
            if hasattr(layer, "parametrizations"):
                layer.parametrizations.weight.original *= 30
        for _ in range(300):  # the iteration finds the singular vectors
            gan.logit(x)
        gan.eval()
        for layer in gan.players["discriminator"]:
            if hasattr(layer, "weight"):
                assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2) == pytest.approx(1, abs=1e-4)
        if "hidden" in options:  # no difference of d is larger than that of x
            rise = (gan.logit(x[1:]) - gan.logit(x[:-1])).abs() / (x[1:] - x[:-1]).flatten(1).norm(dim=1)
            assert rise.max() < 1


@pytest.mark.parametrize("options", [{"hidden": (6, 5)}, {"channels": (4, 8)}])
def test_both_players_have_the_activation(options: dict[str, Any]) -> None:
    for name in ("ELU", "ReLU"):
        gan = models.GAN((4, 4), latent=2, activation=name, seed=1, **options)
        for player in gan.players.values():
            without_weights = {type(layer).__name__ for layer in player if not list(layer.parameters())}
            assert without_weights - {"Flatten", "Unflatten"} == {name}
    assert models.GAN((4, 4), latent=2, seed=1, **options).settings["activation"] == "ELU"


MAKES: list[dict[str, Any]] = [
    {"shape": (2,), "latent": 2, "hidden": (8,), "activation": "ReLU", "spectral_norm": True, "gradient_penalty": 0.1},
    {"shape": (8, 8), "latent": 3, "channels": (4, 6, 8), "output": "unit", "spectral_norm": True},
    {"shape": (3, 7, 6), "latent": 3, "channels": (4, 6), "gradient_penalty": 0.1},
]


def data_for(options: dict[str, Any]) -> np.ndarray:
    return np.random.default_rng(1).random((40, *options["shape"]))


@pytest.mark.parametrize("options", MAKES)
def test_a_cut_run_goes_on_to_the_same_bits_and_a_file_gives_the_model_back(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    batches = 0

    def interrupting(batch: torch.Tensor) -> torch.Tensor:
        nonlocal batches
        batches += 1
        if batches == 6:  # the model looks at the data first: this is the fifth batch, of three in an epoch
            signal.raise_signal(signal.SIGINT)
        return batch

    settings: dict[str, Any] = {"epochs": 4, "batch_size": 16, "averaging": 0.9, "seed": 3, "progress": False}
    x, whole, cut, resumed = data_for(options), *(models.GAN(**options, seed=1) for _ in range(3))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    models.fit(whole, x, **settings)
    assert torch.equal(before, torch.get_rng_state())
    with pytest.raises(KeyboardInterrupt):
        models.fit(cut, x, checkpoint=tmp_path / "c", augment=interrupting, **settings)
    models.fit(resumed, x, checkpoint=tmp_path / "c", resume=True, **settings)
    state = whole.state_dict()  # with the vectors of the power iteration
    assert all(torch.equal(state[name], value) for name, value in resumed.state_dict().items())
    whole.save(tmp_path / "gan.pt")
    again, codes = models.load(tmp_path / "gan.pt"), np.random.default_rng(2).normal(size=(6, options["latent"]))
    assert again.settings == whole.settings and np.array_equal(again.sample(5, seed=1), whole.sample(5, seed=1))
    assert np.array_equal(again.as_energy()(codes), whole.as_energy()(codes))
    assert again.sample(5, seed=1).shape == (5, *options["shape"])
    assert not np.array_equal(again.sample(5, seed=2), whole.sample(5, seed=1))


def test_bits_may_be_integers() -> None:
    gan = models.GAN((2,), latent=1, hidden=(), output="unit", seed=1)
    bits = np.eye(2, dtype=np.int8)
    assert len(models.fit(gan, bits, epochs=1, seed=1, progress=False)) == 1
    assert gan.value(bits, seed=1) == gan.value(bits.astype(float), seed=1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((3, 4)), r"data must be configurations of shape \(n, 2\), got \(4,\)"),
        (np.full((3, 2), 255.0), r'data must lie in \[0, 1\] for output="unit", got 255 to 255'),
        (np.full((3, 2), np.nan), "must be finite, got NaN or infinity in row 0"),
    ],
)
def test_data_that_do_not_fit_are_refused(data: np.ndarray, message: str) -> None:
    gan = models.GAN((2,), latent=2, hidden=(4,), output="unit", seed=1)
    with pytest.raises(ValueError, match=message):
        models.fit(gan, data, epochs=1, seed=1)
    with pytest.raises(ValueError, match=message):
        gan.value(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent": 0}, "latent must be"),
        ({"activation": "relu"}, "activation must be one of SiLU, .*, got 'relu'"),
        ({"output": "bits"}, 'output must be "real" or "unit", got \'bits\''),
        ({"gradient_penalty": -1.0}, "gradient_penalty must be"),
        ({"hidden": (0,)}, "hidden must be"),
        ({"channels": (8,)}, "channels needs a shape"),
    ],
)
def test_errors_name_the_argument(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.GAN((2,), **({"latent": 2} | changes))
