"""The example of a game on digits: chains and weights against a law that is known, and all of it in a small size."""

from pathlib import Path

import numpy as np
import pytest
import torch
from example_folder import Load, results
from laws import ALPHA, mean_p
from scipy import stats
from torch import nn

import models

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_chains_and_weighted_codes_tell_the_same_of_a_law_that_is_known(load: Load) -> None:
    example = load("gan_digits")
    gan = models.GAN((2,), latent=2, hidden=(), seed=1).double()
    gan.players["generator"] = nn.Identity()
    layer = gan.players["discriminator"][1]
    with torch.no_grad():  # d = w . z + b: the law of the chains is N(w, 1), and ln <exp d> over N(0, 1) is b + w^2 / 2
        layer.weight[:], layer.bias[:] = torch.tensor([[0.6, -0.8]]), -0.2
    along = example.told_by(example.walk(gan, 64, 40, 3, seed=1)).mean(1)
    assert mean_p(along, 1.0 - 0.2) > ALPHA  # the mean of d is w^2 + b
    found = example.weighted(gan, 20_000, seed=1)
    for name, exact in {"mean": 0.8, "log_mean": 0.3}.items():
        value, error = found[name]
        assert 2 * stats.norm.sf(abs(value - exact) / error) > ALPHA
    with torch.no_grad():
        layer.weight.zero_()
    found = example.weighted(gan, 100, seed=1)
    assert [found["effective"], *found["log_mean"], *found["mean"]] == pytest.approx([1.0, -0.2, 0.0, -0.2, 0.0])


def test_pixels_by_themselves_have_the_means_of_the_digits_and_nothing_else(load: Load) -> None:
    independent = load("digit_reader").independent
    two = np.stack([np.zeros((28, 28)), np.ones((28, 28))])
    drawn = independent(two, 4000, seed=1)
    assert drawn.shape == (4000, 28, 28) and set(np.unique(drawn)) == {0.0, 1.0}
    on = drawn.reshape(4000, 784).sum(1)  # binomial, where the digits themselves are all on or all off
    assert stats.chi2(4000).sf(np.square(on - 392).sum() / 196) > ALPHA
    assert stats.chi2(4000).cdf(np.square(on - 392).sum() / 196) > ALPHA


def test_the_jury_measures_a_shift_in_units_of_the_spread_and_counts(load: Load) -> None:
    jury_of = load("digit_reader").Jury

    class Reader:
        """Features are three pixels; the digit is the number of a fourth."""

        def features(self, images: np.ndarray) -> torch.Tensor:
            return torch.as_tensor(images[:, 0, :3])

        def probabilities(self, images: np.ndarray) -> np.ndarray:
            return np.eye(10)[images[:, 1, 0].astype(int)]

    one = np.random.default_rng(1).normal(size=(200, 28, 28))
    one[:, 1, 0] = np.arange(200) % 10
    digits = np.stack([one] * 3)  # parts that are the same have no distance but for the 1 / n of the covariances
    moved = digits.copy()
    moved[:, :, 0, 1] += 2.0
    moved[:, :50, 1, 0] = 7
    jury = jury_of(Reader(), digits)
    spread = one[:, 0, :3].var(0).sum()
    assert jury(digits)["distance"] == pytest.approx((0.0, 0.0), abs=1e-5) and jury(digits)["factor"] == 1.0
    found = jury(moved)
    assert found["distance"][0] == pytest.approx(4.0 / spread, rel=1e-2) and found["sure"] == (1.0, 0.0)
    assert found["counts"].tolist() == [45, 45, 45, 45, 45, 45, 45, 195, 45, 45] and found["factor"] == 3.25


def test_a_game_is_judged(load: Load, tmp_path: Path, few_digits: None) -> None:
    example = load("gan_digits")
    size = {"images": 800, "epochs": 1, "alone": 1, "channels": (2, 4), "latent": 3, "reading": 3}
    example.main(tmp_path, **size, chains=16, draws=20, thin=1)
    found = results(tmp_path, example.PICTURES)
    assert found["read_rightly"] > 0.3
    distances = {name: score["distance"][0] for name, score in found["scores"].items()}
    assert 0.0 < distances[example.TEST] < 0.2 < min(distances[example.PRIOR], distances["pixels, each by itself"])
    assert all(sum(score["counts"]) == 320 for score in found["scores"].values())
    values = [found["discriminators"][name]["value"][example.TEST][0] for name in (example.GAME, example.ALONE)]
    assert values[0] < values[1] < 0.0  # alone and without a penalty it tells more apart
