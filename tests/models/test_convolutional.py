"""The convolutional VAE: it gives every size back, and on 2 x 2 images it is a fully connected one."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from laws import ALPHA, mean_p

import models

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (7, 9), (4, 5), (3, 11, 6)])
@pytest.mark.parametrize("hidden", [(), (6,)])
def test_every_size_comes_back(shape: tuple[int, ...], hidden: tuple[int, ...]) -> None:
    vae = models.VAE(shape, latent=3, hidden=hidden, channels=(4, 5), seed=1)
    x = vae.sample(2, seed=2)
    assert x.shape == (2, *shape) and set(np.unique(x)) <= {0.0, 1.0}
    assert np.isfinite(vae.elbo(x, seed=1)).all() and np.isfinite(vae.log_prob_bound(x, 3, seed=1)).all()
    # Every pixel depends on the code.
    jacobian = torch.autograd.functional.jacobian(vae.decoder, torch.zeros(1, 3))
    assert (jacobian.abs().sum(-1) > 0).all()


def twins(seed: int) -> tuple[models.VAE, models.VAE]:
    """A convolutional VAE of 2 x 2 images, whose filters see the whole image at once, and its fully connected twin."""
    image = models.VAE((2, 2), latent=2, hidden=(5,), channels=(3,), activation="Tanh", seed=seed).double()
    plain = models.VAE((2, 2), latent=2, hidden=(3, 5), activation="Tanh", seed=0).double()
    with torch.no_grad():
        for ours, theirs in ((image.encoder, plain.encoder), (image.decoder.network, plain.decoder.network)):
            learned = [layer for layer in ours if list(layer.parameters())]
            linear = [layer for layer in theirs if list(layer.parameters())]
            for a, b in zip(learned, linear, strict=True):
                weight, bias = a.weight, a.bias
                if isinstance(a, torch.nn.ConvTranspose2d):
                    weight, bias = weight[:, 0, 1:3, 1:3].reshape(3, 4).T, bias.expand(4)
                elif isinstance(a, torch.nn.Conv2d):
                    weight = weight[:, 0, 1:3, 1:3].reshape(3, 4)
                b.weight.copy_(weight)
                b.bias.copy_(bias)
    return image, plain


def test_on_images_of_four_pixels_it_is_a_fully_connected_vae() -> None:
    image, plain = twins(4)
    x = np.array(list(itertools.product((0.0, 1.0), repeat=4))).reshape(-1, 2, 2)
    assert np.allclose(image.elbo(x, seed=1), plain.elbo(x, seed=1), rtol=0, atol=1e-12)
    ours, theirs = image.log_prob(x, 500, seed=2), plain.log_prob(x, 500, seed=2)
    assert np.allclose(ours.value, theirs.value, rtol=0, atol=1e-12)
    totals = [np.exp(image.log_prob(x, 200, seed).value).sum() for seed in range(32)]  # over all images there are
    assert mean_p(np.array(totals), 1.0) > ALPHA


def test_it_learns_saves_and_loads(tmp_path: Path) -> None:
    x = np.zeros((64, 8, 8))
    x[:32, :4], x[32:, :, :4] = 1.0, 1.0  # bright above or bright on the left
    vae = models.VAE((8, 8), latent=2, hidden=(16,), channels=(4, 8), seed=1)
    history = models.fit(vae, x, epochs=60, batch_size=16, learning_rate=0.01, seed=1, progress=False)
    assert history["loss"][-1] < 5.0 < 40.0 < history["loss"][0]  # ln 2 is the best a code of two pictures can do
    vae.save(tmp_path / "vae.pt")
    again = models.load(tmp_path / "vae.pt")
    assert again.settings == vae.settings and np.array_equal(again.elbo(x, seed=1), vae.elbo(x, seed=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (64,)}, r"channels needs a shape \(height, width\) or"),
        ({"shape": (8, 3)}, r"with sides of at least 4 for 2 layers, got \(8, 3\)"),
        ({"channels": (4, 0)}, "channels must be"),
    ],
)
def test_shapes_that_are_no_images_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.VAE(**({"shape": (8, 8), "latent": 2, "channels": (4, 5)} | changes))


def test_images_of_another_size_are_refused() -> None:
    vae = models.VAE((8, 8), latent=2, channels=(4,), seed=1)
    with pytest.raises(ValueError, match=r"data must be configurations of shape \(n, 8, 8\), got \(8, 9\)"):
        models.fit(vae, np.zeros((3, 8, 9)), epochs=1, seed=1)
