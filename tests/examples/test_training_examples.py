"""The examples of how networks are trained in a small size: they leave their files, and their numbers make sense."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_folder import Load, results

from models import datasets

pytestmark = pytest.mark.usefixtures("one_torch_thread", "few_digits")


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST of 400 digits to learn from and 100 others, which need no download."""
    few = datasets.split(*datasets.digits(), test=500, seed=0)
    x, y = few.test_images, few.test_labels
    parts: dict[str, Any] = {"train": (x[:400], y[:400]), "test": (x[400:], y[400:])}
    monkeypatch.setattr(datasets, "mnist", parts.__getitem__)


def test_backpropagation_by_hand_is_what_autograd_does(load: Load, tmp_path: Path) -> None:
    example = load("backpropagation_by_hand")
    example.main(tmp_path, hidden=12, epochs=2, seeds=1)
    (run,) = results(tmp_path, example.PICTURES)["runs"]
    assert max(run["before"], run["after"], run["apart"]) < 1e-12
    assert all(hand == library for hand, library in run["wrong"]) and run["wrong"][-1][0] < 0.7
    assert run["order"] == pytest.approx(2.0, abs=0.01)
    assert example.EPSILON ** (2 / 3) / 10 < min(run["central"]) < 1e-8


def test_a_wrong_gradient_is_seen_by_both_judges(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    example = load("backpropagation_by_hand")
    data = example.standardised(50)
    x, y = data.train_images.astype(float), data.train_labels
    model = example.models.MLP(784, classes=10, hidden=(5,), activation="Tanh", seed=0).double()
    right, w = example.gradient, example.of(model)
    monkeypatch.setattr(example, "gradient", lambda *args: right(*args)._replace(W1=1.001 * right(*args).W1))
    assert example.difference(example.gradient(w, x, y), example.by_autograd(model, x, y)) == pytest.approx(1e-3)
    assert example.central(w, x, y, 5, np.random.default_rng(0)).min() > 1e-5


def test_signals_follow_the_law_of_their_first_weights(load: Load, tmp_path: Path) -> None:
    example = load("initialisation")
    found = example.main(tmp_path, width=64, depth=6, networks=60, others=3, digits=300, trained=64, epochs=1, seeds=2)
    assert results(tmp_path, example.PICTURES)["mean"] == found["mean"]
    mean, right, error = found["log_mean"]
    assert abs(mean - right) < 5 * error
    zeros, *constant, he = (run for name, run in found["equal"].items() if "64" in name)
    assert zeros["largest"] == 0.0 and zeros["loss"] < 2.31  # biases learn how frequent digits are
    assert all(run["apart"] == 0.0 < run["largest"] for run in constant) and he["apart"] > 0.1


def test_he_s_law_is_that_of_products_of_chi_squares(load: Load) -> None:
    example = load("initialisation")
    width, depth, n = 48, 5, 40_000
    rng = np.random.default_rng(0)
    products = (2 / width * rng.chisquare(rng.binomial(width, 0.5, (n, depth)))).prod(1)
    deviation, mean, spread = example.law_of_he(width, depth)
    logs = np.log(products)
    assert abs(products.mean() - 1.0) < 5 * deviation / np.sqrt(n)
    for values, right in ((products - 1.0, deviation), (logs - mean, spread)):
        squares = values**2
        assert abs(squares.mean() - right**2) < 5 * squares.std() / np.sqrt(n)
    assert abs(logs.mean() - mean) < 5 * spread / np.sqrt(n)


def test_relu_layers_of_xavier_s_weights_halve_a_signal(load: Load) -> None:
    example = load("initialisation")
    q, g = example.theory("Xavier", "ReLU", 100, 5, 1.3)
    assert q[1:] == pytest.approx(784 / 884 * 0.5 ** np.arange(5), rel=1e-12)
    assert g[1:] == pytest.approx(0.5 ** np.arange(4, -1, -1), rel=1e-12)
