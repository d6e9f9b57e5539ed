"""Latent optimisation: the exact posterior in the linear limit, codes that do not collapse, and why naive ones do."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from laws import ALPHA, mean_p
from scipy import stats
from sklearn.decomposition import PCA

import ebm
import models
import samplers
from models import datasets
from models.code_search import losses
from models.decoders import Decoder, divergence
from models.streams import seeded

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RNG = np.random.default_rng(4)
STANDARD = ebm.GaussianMixture(np.zeros((1, 2)), np.eye(2))  # the prior in the loss


def linear(n: int, spread: float = 0.6) -> tuple[models.LatentOptimisation, np.ndarray, np.ndarray]:
    """A linear decoder of orthogonal columns, whose posteriors have independent codes; W and data of the model."""
    W = np.linalg.qr(RNG.normal(size=(5, 2)))[0] * [2.0, 1.0]
    model = models.LatentOptimisation((5,), n, latent=2, hidden=(), likelihood="gaussian", sigma=spread, seed=1)
    model.double()
    with torch.no_grad():
        layer = model.decoder.network[0]
        layer.weight.copy_(torch.as_tensor(W))
        layer.bias.copy_(torch.arange(5.0))
        model.decoder.log_sigma.fill_(math.log(spread))  # in all digits
    x = np.arange(5) + RNG.normal(size=(n, 2)) @ W.T + spread * RNG.normal(size=(n, 5))
    return model, W, x


def posterior(W: np.ndarray, x: np.ndarray, spread: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Mean (n, latent) and standard deviation (latent,) of the code of probabilistic PCA (Tipping and Bishop 1999)."""
    M = np.linalg.inv(W.T @ W + spread**2 * np.eye(2))
    return (x - np.arange(5)) @ W @ M, spread * np.sqrt(np.diag(M))


def test_inferred_codes_are_the_posterior_of_probabilistic_pca() -> None:
    model, W, x = linear(20)
    mean, sigma = posterior(W, x)
    found = model.infer(np.tile(x, (32, 1)), steps=1000, seed=1)  # rows do not know of each other: 32 replicas
    assert np.allclose(found.mean, np.tile(mean, (32, 1)), rtol=0, atol=1e-6)  # opposite noises cancel in the means
    ratios = (found.sigma / sigma).reshape(32, -1) ** 2
    assert mean_p(ratios.mean(1), 1.0) > ALPHA and ratios.std() < 0.1
    log_p = model.log_prob(x, 2000, seed=1, prior=STANDARD)
    exact = stats.multivariate_normal(np.arange(5), W @ W.T + 0.36 * np.eye(5)).logpdf(x)
    assert stats.chi2.sf((((log_p.value - exact) / log_p.error) ** 2).sum(), 20) > ALPHA
    assert log_p.error.max() < 0.02  # of weights that are nearly equal: q is the posterior


def test_learned_codes_are_the_posterior_of_probabilistic_pca() -> None:
    model, W, x = linear(40)
    model.decoder.requires_grad_(False)
    models.fit(
        model, (np.arange(40), x), epochs=1000, batch_size=40, learning_rate=0.005, seed=1, progress=False,
        schedule=lambda epoch: 0.5 * (1 + math.cos(math.pi * epoch / 1000)), averaging=0.9,
    )  # fmt: skip
    mean, sigma = posterior(W, x)
    codes = model.training_codes()
    # Since the decoder stands still, codes do not know of each other: what is left of the noise is independent.
    away, ratios = (codes.mean - mean) / sigma, (codes.sigma / sigma) ** 2
    assert mean_p(away, 0.0) > ALPHA and away.std() < 0.1
    assert mean_p(ratios, 1.0) > ALPHA and ratios.std() < 0.1


class Naive(models.LatentOptimisation):
    """The loss as it is often written: a mean over pixels, and a mean over the numbers of the code."""

    def loss(self, batch: Any) -> torch.Tensor:
        rows, x = batch
        mean, log_variance = self.codes(rows).chunk(2, 1)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        crossed = torch.nn.functional.binary_cross_entropy(self.decode(z), x)
        return crossed + divergence(mean, log_variance).mean() / self.latent


def small_digits(n: int) -> np.ndarray:
    """Digits of 14 x 14 bits."""
    images = datasets.digits()[0][np.random.default_rng(1).permutation(5000)[:n]]
    return (images.reshape(n, 14, 2, 14, 2).mean((2, 4)) > 80).astype(float)


def test_averaging_over_pixels_and_codes_is_a_large_beta() -> None:
    x = torch.as_tensor(small_digits(20), dtype=torch.float32)
    options: dict[str, Any] = {"latent": 8, "hidden": (16,), "seed": 3}
    naive, heavy = Naive((14, 14), 20, **options), models.LatentOptimisation((14, 14), 20, beta=196 / 8, **options)
    slopes = []
    for model in (naive, heavy):
        with seeded(5):
            model.loss((torch.arange(20), x)).backward()
        slopes.append(torch.cat([p.grad.ravel() for p in model.parameters() if p.grad is not None]))
    assert torch.allclose(196 * slopes[0], slopes[1], rtol=1e-3, atol=1e-5)


def test_collapse_is_stable_where_beta_exceeds_the_first_eigenvalue_of_the_pixels_correlations() -> None:
    x = small_digits(300).reshape(300, -1)
    x = x[:, (x.mean(0) > 0.0) & (x.mean(0) < 1.0)]
    mean, spread = x.mean(0), x.std(0)
    values, vectors = np.linalg.eigh(np.corrcoef(x.T))
    step = 1e-3
    for beta in (0.9 * values[-1], 1.1 * values[-1], 24.5):
        for k in (-1, -2, 0):
            w = step * vectors[:, k] / spread  # the decoder begins to hear, and the codes follow as is best for them
            decoder = Decoder(x.shape[1], 1, ()).double()
            told = []
            for size in (0.0, 1.0):
                with torch.no_grad():
                    decoder.network[0].weight.copy_(torch.as_tensor(size * w[:, None]))
                    decoder.network[0].bias.copy_(torch.as_tensor(np.log(mean / (1.0 - mean))))
                    means = torch.as_tensor(size * (x - mean) @ w / beta)[:, None]
                    pair = [  # two opposite noises have all moments that matter
                        losses(decoder, torch.as_tensor(x), means, torch.zeros_like(means), noise, beta)
                        for noise in (torch.ones_like(means), -torch.ones_like(means))
                    ]
                told.append(float(0.5 * (pair[0] + pair[1]).mean()))
            assert (told[1] - told[0]) / step**2 == pytest.approx(0.5 * (1.0 - values[k] / beta), abs=1e-3)


def test_naive_codes_collapse_and_ours_do_not() -> None:
    x = small_digits(300)
    told = {}
    for kind in (Naive, models.LatentOptimisation):
        model = kind((14, 14), 300, latent=8, hidden=(48,), seed=1)
        models.fit(model, (np.arange(300), x), epochs=100, batch_size=50, learning_rate=0.003, seed=1, progress=False)
        mean, sigma = model.training_codes()
        told[kind] = 0.5 * (mean**2 + sigma**2 - 1.0 - 2.0 * np.log(sigma)).sum(1).mean()
    # What a code tells of its image, in nats: of 300 images, telling them apart takes ln 300 = 5.7.
    assert told[Naive] < 0.1 and told[models.LatentOptimisation] > 5.7


def test_codes_begin_as_principal_components_and_stand_still_as_long_as_is_asked() -> None:
    model, _, x = linear(50)
    model.start(x)
    mean = model.training_codes().mean
    scores = PCA(2, whiten=True).fit(x).transform(x) * np.sqrt(50 / 49)
    assert np.allclose(np.abs(mean), np.abs(scores), rtol=1e-8)
    model.hold, moved = 2, []
    models.fit(
        model, (np.arange(50), x), epochs=4, seed=1, progress=False,
        callback=lambda record: moved.append(np.abs(model.training_codes().mean - mean).max()),
    )  # fmt: skip
    assert moved[:2] == [0.0, 0.0] and 0.0 < moved[2] < moved[3]
    with pytest.raises(ValueError, match="x must be the 50 examples"):
        model.start(x[:40])
    with pytest.raises(ValueError, match="at least 2 components that vary"):
        model.start(np.tile(x[:, :1], (1, 5)))


def test_codes_learn_ten_times_as_fast() -> None:
    model, _, x = linear(30)
    codes, weight = model.training_codes().mean, model.decoder.network[0].weight.detach().clone()
    models.fit(model, (np.arange(30), x), epochs=1, batch_size=30, learning_rate=1e-3, seed=1, progress=False)
    # Adam's first step is as long as the learning rate, whatever the slope.
    assert np.allclose(np.abs(model.training_codes().mean - codes), 1e-2, rtol=1e-4)
    assert torch.allclose((model.decoder.network[0].weight - weight).abs(), torch.tensor(1e-3).double(), rtol=1e-4)


def test_the_posterior_of_a_code_is_an_energy() -> None:
    model, W, x = linear(3)
    energy = model.as_energy(x[0], prior=STANDARD)
    samplers.check(energy)
    exact = stats.multivariate_normal(np.arange(5), W @ W.T + 0.36 * np.eye(5)).logpdf(x[0])
    assert ebm.log_z(energy, "exact").value == pytest.approx(exact, abs=1e-8)
    chains = samplers.sample(energy, samplers.HMC(), chains=32, draws=60, warmup=100, seed=1, progress=False)
    for axis, mean in enumerate(posterior(W, x[:1])[0][0]):
        assert mean_p(chains.x[..., axis].mean(1), mean) > ALPHA


def shifted(n: int) -> tuple[models.LatentOptimisation, np.ndarray, np.ndarray]:
    """A linear decoder whose codes are of no standard law: correlated, away from zero, of several widths."""
    model, W, x = linear(n)
    with torch.no_grad():
        means = RNG.normal(size=(n, 2)) @ [[1.5, 0.0], [0.8, 0.5]] + [1.0, -2.0]
        model.codes.weight.copy_(torch.as_tensor(np.hstack([means, RNG.normal(-1.0, 0.5, size=(n, 2))])))
    return model, W, x


def test_no_gaussian_is_a_better_prior_than_the_fitted_one() -> None:
    model, *_ = shifted(60)
    mean, sigma = model.training_codes()

    def cost(prior: ebm.GaussianMixture) -> float:  # the mean KL(q_i || prior), less what no prior changes
        (m,), (C,) = prior.means, prior.covariances
        away, P = mean - m, np.linalg.inv(C)
        square = np.einsum("ni,ij,nj->n", away, P, away) + sigma**2 @ np.diag(P)
        return 0.5 * float(square.mean() + np.linalg.slogdet(C)[1])

    one = model.fitted_prior()
    assert cost(one) < cost(STANDARD) - 1.0
    for _ in range(20):  # all ways lead up, by the square of what is changed
        (m,), (C,), turn = one.means, one.covariances, RNG.normal(size=(2, 2))
        step = 1e-3
        near = ebm.GaussianMixture([m + step * RNG.normal(size=2)], [C + step * (turn + turn.T)])
        assert 0.0 < cost(near) - cost(one) < 100 * step**2


def test_samples_and_probabilities_are_of_one_law() -> None:
    model, W, x = shifted(60)
    (m,), (C,) = model.fitted_prior().means, model.fitted_prior().covariances
    law = stats.multivariate_normal(np.arange(5) + W @ m, W @ C @ W.T + 0.36 * np.eye(5))
    white = np.linalg.solve(np.linalg.cholesky(law.cov), (model.sample(20_000, seed=3) - law.mean).T)
    assert stats.kstest(white.ravel(), "norm").pvalue > ALPHA
    assert stats.chi2.sf(20_000 * (white.mean(1) ** 2).sum(), 5) > ALPHA
    log_p, exact = model.log_prob(x[:20], 4000, seed=1), law.logpdf(x[:20])
    assert stats.chi2.sf((((log_p.value - exact) / log_p.error) ** 2).sum(), 20) > ALPHA
    energy = model.as_energy(x[0])
    samplers.check(energy)
    assert ebm.log_z(energy, "exact").value == pytest.approx(exact[0], abs=1e-8)


def test_a_mixture_may_be_the_prior_of_all() -> None:
    model, W, x = shifted(60)
    two = model.fitted_prior(2, seed=1)
    assert two.means.shape == (2, 2) and np.array_equal(two.means, model.fitted_prior(2, seed=1).means)
    laws = [
        stats.multivariate_normal(np.arange(5) + W @ m, W @ C @ W.T + 0.36 * np.eye(5))
        for m, C in zip(two.means, two.covariances, strict=True)
    ]
    exact = np.log(sum(w * law.pdf(x[:1]) for w, law in zip(two.weights, laws, strict=True)))
    assert ebm.log_z(model.as_energy(x[0], prior=two), "exact").value == pytest.approx(exact, abs=1e-8)
    found = model.log_prob(np.tile(x[:1], (40, 1)), 1000, seed=1, prior=two)
    assert stats.chi2.sf((((found.value - exact) / found.error) ** 2).sum(), 40) > ALPHA
    z, drawn = two.sample(20_000, 3), model.sample(20_000, seed=3, prior=two)
    centred = drawn - models.decoded(model, z)  # the same codes: what is left is noise of width 0.6
    assert stats.kstest(centred.ravel() / 0.6, "norm").pvalue > ALPHA


def test_a_model_is_what_it_was_after_saving(tmp_path: Path) -> None:
    model = models.LatentOptimisation((8, 8), 7, latent=2, hidden=(5,), channels=(3,), beta=0.5, hold=1, seed=3)
    model.save(tmp_path / "codes.pt")
    again = models.load(tmp_path / "codes.pt")
    assert again.settings == model.settings and np.array_equal(again.sample(5, seed=1), model.sample(5, seed=1))
    assert np.array_equal(again.training_codes().mean, model.training_codes().mean)
    x = model.sample(4, seed=2)
    assert np.array_equal(model.log_prob_bound(x, 5, seed=1), again.log_prob_bound(x, 5, seed=1))
    assert models.reconstructed(model, x, steps=5, seed=1).shape == (4, 8, 8)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((3, 5)), r"data must be a tuple \(rows, configurations\)"),
        ((np.arange(3), np.zeros((3, 4))), r"data must be configurations of shape \(n, 5\), got \(4,\)"),
        ((np.arange(3), np.full((3, 5), 2.0)), r"data must lie in \[0, 1\]"),
        ((np.arange(3), np.full((3, 5), np.nan)), "data must be finite"),
        ((np.arange(1, 4), np.zeros((3, 5))), "rows must be integers from 0 to 2, got 1 to 3"),
        ((np.arange(3.0), np.zeros((3, 5))), "rows must be integers from 0 to 2"),
    ],
)
def test_data_that_do_not_fit_are_refused(data: Any, message: str) -> None:
    model = models.LatentOptimisation((5,), 3, latent=2, hidden=(6,), seed=1)
    with pytest.raises(ValueError, match=message):
        models.fit(model, data, epochs=1, seed=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: models.LatentOptimisation((5,), 0, latent=2), "n must be"),
        (lambda m: m.infer(np.zeros((1, 5)), steps=0), "steps must be"),
        (lambda m: m.infer(np.zeros((1, 4))), r"data must be configurations of shape \(n, 5\)"),
        (lambda m: m.log_prob(np.zeros((1, 5)), 0), "samples must be"),
        (lambda m: m.fitted_prior(0), "components must be"),
        (lambda m: m.sample(1, prior=ebm.GaussianMixture([[0.0]], [[1.0]])), "prior must be of codes of 2 numbers"),
    ],
)
def test_errors_name_the_argument(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(models.LatentOptimisation((5,), 3, latent=2, hidden=(6,), seed=1))
