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
