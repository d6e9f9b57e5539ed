"""Autoencoders in their linear limits: PCA, and the optimal denoiser; sparse codes are as sparse as was asked."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

import models

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RNG = np.random.default_rng(6)
X = RNG.normal(size=(300, 2)) @ RNG.normal(size=(2, 5)) + 0.3 * RNG.normal(size=(300, 5)) + 1.0
NEWTON = partial(torch.optim.LBFGS, line_search_fn="strong_wolfe", tolerance_change=1e-14, tolerance_grad=1e-12)


def test_a_linear_autoencoder_is_pca() -> None:
    model = models.Autoencoder((5,), latent=2, hidden=(), likelihood="gaussian", seed=1).double()
    models.fit(model, X, epochs=25, batch_size=300, learning_rate=1.0, optimiser=NEWTON, seed=1, progress=False)
    pca = PCA(2).fit(X)
    assert np.allclose(models.reconstructed(model, X), pca.inverse_transform(pca.transform(X)), rtol=0, atol=1e-4)


def test_a_linear_denoiser_is_the_mean_of_x_given_what_is_seen() -> None:
    noise, covariance = 0.5, np.cov(X.T, bias=True)
    model = models.Autoencoder((5,), latent=5, hidden=(), likelihood="gaussian", noise=noise, seed=1).double()
    with torch.no_grad():  # from the best denoiser: training must stay, where a wrong noise would move it
        shrink = covariance @ np.linalg.inv(covariance + noise**2 * np.eye(5))
        model.encoder[0].weight.copy_(torch.as_tensor(shrink))
        model.encoder[0].bias.copy_(torch.as_tensor(X.mean(0) - shrink @ X.mean(0)))
        model.decoder.network[0].weight.copy_(torch.eye(5))
        model.decoder.network[0].bias.zero_()
    slopes = []
    for seed in range(200):
        torch.manual_seed(seed)
        model.zero_grad()
        model.loss(torch.as_tensor(X)).backward()
        slopes.append(torch.cat([p.grad.ravel() for p in model.parameters() if p.grad is not None]).numpy())
    slopes = np.array(slopes)
    z = slopes.mean(0) / (slopes.std(0, ddof=1) / np.sqrt(200))
    assert np.abs(z).max() < 6.5  # t of 199 degrees in 60 directions: a false alarm in a million
    model.noise = 0.55
    torch.manual_seed(0)
    model.zero_grad()
    torch.stack([model.loss(torch.as_tensor(X)) for _ in range(200)]).mean().backward()
    moved = torch.cat([p.grad.ravel() for p in model.parameters() if p.grad is not None]).numpy()
    assert np.abs(moved / (slopes.std(0, ddof=1) / np.sqrt(200))).max() > 6.5  # the test would see it


def test_codes_are_as_sparse_as_was_asked() -> None:
    x = (RNG.random((400, 30)) < 0.2).astype(float)
    shares = []
    for sparsity in (0.0, 20.0):
        model = models.Autoencoder((30,), latent=40, hidden=(), sparsity=sparsity, activity=0.1, seed=1)
        models.fit(model, x, epochs=60, batch_size=100, learning_rate=0.01, seed=1, progress=False)
        shares.append(model.infer(x).mean.mean(0))
    plain, sparse = shares
    assert np.abs(sparse - 0.1).max() < 0.03 and plain.std() > 0.5


def test_kl_of_coins_is_zero_at_its_target_only() -> None:
    model = models.Autoencoder((3,), latent=2, sparsity=1.0, activity=0.2, seed=1)
    found = model._inactivity(torch.tensor([0.2, 0.5])).item()
    assert found == pytest.approx(0.2 * np.log(0.2 / 0.5) + 0.8 * np.log(0.8 / 0.5), rel=1e-6)


def test_noise_is_of_training_only_and_files_hold_all(tmp_path: Path) -> None:
    model = models.Autoencoder((8, 8), latent=3, hidden=(5,), channels=(4,), noise=0.3, seed=1)
    x = torch.rand(6, 8, 8)
    assert model.train().loss(x) != model.loss(x)
    assert model.eval().loss(x) == model.loss(x)
    model.save(tmp_path / "model.pt")
    again = models.load(tmp_path / "model.pt")
    assert again.settings == model.settings
    assert np.array_equal(models.reconstructed(again, x), models.reconstructed(model, x))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sparsity": -1.0}, "sparsity must be"),
        ({"noise": -0.1}, "noise must be"),
        ({"activity": 1.0}, "activity must lie between 0 and 1, got 1.0"),
        ({"latent": 0}, "latent must be"),
    ],
)
def test_errors_name_the_argument(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.Autoencoder(**({"shape": (5,), "latent": 2} | changes))
