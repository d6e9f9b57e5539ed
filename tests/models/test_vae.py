"""The VAE against closed forms: KL, quadrature over the code, probabilistic PCA, and its posterior as an energy."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from laws import ALPHA, mean_p
from scipy import stats
from scipy.special import logsumexp

import ebm
import models
import samplers
from models.decoders import divergence

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RNG = np.random.default_rng(8)


def spread(vae: models.VAE, factor: float) -> models.VAE:
    """Make the weights larger, so that codes matter."""
    with torch.no_grad():
        for p in vae.decoder.network.parameters():
            p *= factor
    return vae


def by_quadrature(vae: models.VAE, x: np.ndarray) -> float:
    """Return ln p(x) by the midpoint rule over two codes from -7 to 7."""
    axis = 7 * (2 * (np.arange(400) + 0.5) / 400 - 1)
    z = torch.as_tensor(np.stack([a.ravel() for a in np.meshgrid(axis, axis)], 1), dtype=vae.dtype)
    with torch.no_grad():
        logs = vae.decoder.joint(torch.as_tensor(x, dtype=vae.dtype).expand(len(z), *vae.shape), z).double().numpy()
    return float(logsumexp(logs) + 2 * math.log(14 / 400))


BOTH: list[dict[str, Any]] = [{"likelihood": "bernoulli"}, {"likelihood": "gaussian", "sigma": 0.7}]


def example(options: dict[str, Any]) -> tuple[models.VAE, np.ndarray]:
    vae = spread(models.VAE((5,), latent=2, hidden=(6,), seed=1, **options).double(), 4.0)
    return vae, vae.sample(3, seed=2)


def test_kl_is_that_of_torch() -> None:
    mean, log_variance = torch.randn(20, 3, dtype=torch.float64), torch.randn(20, 3, dtype=torch.float64)
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    exact = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(divergence(mean, log_variance), exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", BOTH)
def test_importance_sampling_finds_log_p(options: dict[str, Any]) -> None:
    vae, x = example(options)
    for row in x:
        exact = by_quadrature(vae, row)
        found = [vae.log_prob(row[None], 2000, seed) for seed in range(32)]
        weights = np.exp([f.value[0] - exact for f in found])  # of mean 1 exactly
        assert mean_p(weights, 1.0) > ALPHA
        stated, seen = np.mean([f.error[0] ** 2 for f in found]), np.var([f.value[0] for f in found], ddof=1)
        assert stats.chi2.sf(31 * seen / stated, 31) > ALPHA and stats.chi2.cdf(31 * seen / stated, 31) > ALPHA


@pytest.mark.parametrize("options", BOTH)
def test_bounds_are_in_order(options: dict[str, Any]) -> None:
    vae, x = example(options)
    exact = by_quadrature(vae, x[0])
    copies = np.repeat(x[:1], 4000, axis=0)
    elbo, ten = vae.elbo(copies, seed=1), vae.log_prob_bound(copies, 10, seed=2)
    assert stats.ttest_ind(ten, elbo, alternative="greater", equal_var=False).pvalue < ALPHA
    assert stats.ttest_1samp(ten, exact, alternative="less").pvalue < ALPHA
    mean_loss = [float(vae.eval().loss(torch.as_tensor(copies, dtype=vae.dtype)).detach()) for _ in range(32)]
    assert stats.ttest_ind(mean_loss, -elbo, equal_var=False).pvalue > ALPHA


def principal(x: np.ndarray, latent: int) -> tuple[np.ndarray, float, float]:
    """Return W and sigma^2 of probabilistic PCA (Tipping and Bishop 1999) and its mean log-likelihood."""
    d = x.shape[1]
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    values, vectors = values[::-1], vectors[:, ::-1]
    variance = values[latent:].mean()
    W = vectors[:, :latent] * np.sqrt(values[:latent] - variance)
    covariance = W @ W.T + variance * np.eye(d)
    return W, variance, stats.multivariate_normal(x.mean(0), covariance).logpdf(x).mean()


def test_a_linear_vae_is_probabilistic_pca_with_a_tight_bound() -> None:
    x = RNG.normal(size=(400, 2)) @ RNG.normal(size=(2, 5)) + 0.5 * RNG.normal(size=(400, 5)) + [1, 2, 3, 4, 5]
    W, variance, best = principal(x, 2)
    vae = models.VAE((5,), latent=2, hidden=(), likelihood="gaussian", seed=1).double()
    M = np.linalg.inv(W.T @ W + variance * np.eye(2))  # the posterior of z is N(M W^T (x - mean), variance M)
    with torch.no_grad():
        vae.decoder.network[0].weight[:], vae.decoder.network[0].bias[:] = (
            torch.tensor(W.copy()),
            torch.tensor(x.mean(0)),
        )
        vae.encoder[0].weight[:2], vae.encoder[0].weight[2:] = torch.tensor(M @ W.T), 0.0
        vae.encoder[0].bias[:2] = torch.tensor(-M @ W.T @ x.mean(0))
        vae.encoder[0].bias[2:] = torch.tensor(np.log(variance * np.diag(M)))
        vae.decoder.log_sigma.fill_(0.5 * math.log(variance))
    log_p = vae.log_prob(x[:20], 5, seed=1)  # q is the posterior, so that all weights are equal
    assert np.abs(log_p.error).max() < 1e-12
    model = stats.multivariate_normal(x.mean(0), W @ W.T + variance * np.eye(5))
    assert np.allclose(log_p.value, model.logpdf(x[:20]), rtol=0, atol=1e-10)
    assert mean_p(np.array([vae.elbo(x, seed=s).mean() for s in range(32)]), best) > ALPHA


def test_a_linear_vae_learns_the_likelihood_of_probabilistic_pca() -> None:
    x = RNG.normal(size=(400, 2)) @ RNG.normal(size=(2, 5)) + 0.5 * RNG.normal(size=(400, 5))
    _, variance, best = principal(x, 2)
    vae = models.VAE((5,), latent=2, hidden=(), likelihood="gaussian", seed=1).double()
    models.fit(
        vae, x, epochs=400, batch_size=100, learning_rate=0.02, schedule=lambda t: 1 - t / 400, averaging=0.99, seed=2
    )
    found = vae.log_prob(x, 200, seed=3).value.mean()
    # The likelihood is flat at its maximum: parameters off by 1 % cost 1e-4 of a nat; nothing can lie above it.
    assert best - 0.01 < found < best + 1e-3
    assert math.exp(2 * vae.decoder.log_sigma.item()) == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize("options", BOTH)
def test_the_posterior_of_a_code_is_an_energy(options: dict[str, Any]) -> None:
    vae, x = example(options)
    energy = vae.as_energy(x[0])
    samplers.check(energy)
    assert ebm.log_z(energy, "exact").value == pytest.approx(by_quadrature(vae, x[0]), abs=1e-6)
    chains = samplers.sample(energy, samplers.HMC(), chains=32, draws=60, warmup=100, seed=1, progress=False)
    axis = 7 * (2 * (np.arange(200) + 0.5) / 200 - 1)
    z = np.stack([a.ravel() for a in np.meshgrid(axis, axis)], 1)
    u = energy(z)
    exact = np.exp(-u - logsumexp(-u)) @ u
    assert mean_p(chains.energy.mean(1), exact) > ALPHA


def test_samples_have_the_means_of_the_model() -> None:
    for options in BOTH:
        vae, _ = example(options)
        z = torch.as_tensor(np.random.default_rng(1).standard_normal((20_000, 2)))
        with torch.no_grad():
            mean = vae.decode(z).numpy()
        for column in range(5):
            drawn = vae.sample(20_000, seed=4)[:, column]
            assert stats.ttest_ind(drawn, mean[:, column], equal_var=False).pvalue > ALPHA


def test_the_weight_of_kl_warms_up() -> None:
    vae, seen = models.VAE((2,), latent=1, hidden=(4,), beta=2.0, warmup=3, seed=0), []
    models.fit(vae, np.eye(2), epochs=5, seed=1, callback=lambda record: seen.append(vae.weight))
    assert seen == [0.5, 1.0, 1.5, 2.0, 2.0]


def test_a_model_is_what_it_was_after_saving(tmp_path: Path) -> None:
    vae = models.VAE((2, 3), latent=2, hidden=(7,), beta=0.5, seed=3)
    vae.save(tmp_path / "vae.pt")
    again = models.load(tmp_path / "vae.pt")
    vae.double().save(tmp_path / "double.pt")
    assert models.load(tmp_path / "double.pt").dtype == torch.float64
    vae.float()
    assert again.settings == vae.settings and np.array_equal(again.sample(5, seed=1), vae.sample(5, seed=1))
    with pytest.raises(samplers.StoreError, match="exists already"):
        vae.save(tmp_path / "vae.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "vae.pt").read_bytes()[:500])
    with pytest.raises(samplers.StoreError, match=r"cut\.pt is not a readable ebmlab model"):
        models.load(tmp_path / "cut.pt")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((3, 4)), r"data must be configurations of shape \(n, 5\), got \(4,\)"),
        (np.full((3, 5), 255.0), r"data must lie in \[0, 1\] for a Bernoulli decoder, got 255 to 255"),
        (np.full((3, 5), np.nan), "data must be finite"),
    ],
)
def test_data_that_do_not_fit_are_refused(data: np.ndarray, message: str) -> None:
    vae = models.VAE((5,), latent=2, hidden=(6,), seed=1)
    with pytest.raises(ValueError, match=message):
        models.fit(vae, data, epochs=1, seed=1)
    with pytest.raises(ValueError, match=message.replace("data must be finite", "x must be finite")):
        vae.log_prob(data, 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent": 0}, "latent must be"),
        ({"likelihood": "poisson"}, 'likelihood must be "bernoulli" or "gaussian"'),
        ({"sigma": 1.0}, 'sigma is of likelihood="gaussian"'),
        ({"beta": -1.0}, "beta must be"),
        ({"hidden": (0,)}, "hidden must be"),
        ({"activation": "sin"}, "activation must be one of"),
    ],
)
def test_errors_name_the_argument(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.VAE((5,), **({"latent": 2} | changes))
