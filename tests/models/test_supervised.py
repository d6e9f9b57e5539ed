"""MLP and CNN: gradients by hand, linear limits in closed form, and answers that say what is wrong with the data."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression, Ridge

import models
from ebm.training_run import LearningError
from models.cnn import Block
from models.supervised import ACTIVATIONS
from samplers.store import StoreError

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RNG = np.random.default_rng(8)
X = RNG.normal(size=(90, 4))
VALUES = X @ [1.0, -2.0, 0.5, 0.0] + 0.3 * RNG.normal(size=90) + 0.7
LABELS = (X @ RNG.normal(size=(4, 3)) + RNG.normal(size=(90, 3))).argmax(1)
IMAGES = RNG.integers(0, 256, (30, 9, 12), dtype=np.uint8)
NEWTON = partial(torch.optim.LBFGS, line_search_fn="strong_wolfe", tolerance_change=1e-15, tolerance_grad=1e-12)


def learn(model: Any, y: Any, x: Any = X, **changes: Any) -> Any:
    settings = {"epochs": 5, "batch_size": len(x), "learning_rate": 0.1, "seed": 2, "progress": False} | changes
    return models.fit(model, (x, y), **settings)


def weights(model: Any) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])


@pytest.mark.parametrize("classes", [None, 2, 3])
def test_gradients_are_those_derived_by_hand(classes: int | None) -> None:
    model = models.MLP(4, classes=classes, hidden=(5,), activation="Tanh", seed=1).double()
    y = VALUES if classes is None else LABELS % classes
    model.loss((torch.as_tensor(X), torch.as_tensor(y))).backward()
    w1, b1, w2, b2 = (p.detach().numpy() for p in model.parameters())
    a = np.tanh(X @ w1.T + b1)
    f = a @ w2.T + b2
    if classes is None:
        d2 = 2.0 * (f - y[:, None]) / 90  # of the mean of (f - y)^2
    elif classes == 2:
        d2 = (1.0 / (1.0 + np.exp(-f)) - y[:, None]) / 90
    else:
        d2 = (softmax(f, 1) - np.eye(3)[y]) / 90
    d1 = (d2 @ w2) * (1.0 - a**2)
    by_hand = (d1.T @ X, d1.sum(0), d2.T @ a, d2.sum(0))
    for parameter, gradient in zip(model.parameters(), by_hand, strict=True):
        assert np.allclose(parameter.grad, gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_without_hidden_layers_it_is_logistic_regression(classes: int) -> None:
    y = LABELS % classes
    model = models.MLP(4, classes=classes, hidden=(), seed=1).double()
    learn(model, y, optimiser=NEWTON, learning_rate=1.0, epochs=20)
    theirs = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(X, y)
    assert np.allclose(model.predict_probability(X), theirs.predict_proba(X), rtol=0, atol=1e-6)
    assert np.array_equal(model.predict(X), theirs.predict(X))


@pytest.mark.parametrize("optimiser", [NEWTON, torch.optim.SGD])
def test_l2_is_ridge_regression(optimiser: Any) -> None:
    l2 = 0.3
    model = models.MLP(4, hidden=(), seed=1).double()
    rate, epochs = (1.0, 5) if optimiser is NEWTON else (0.3, 300)
    history = learn(model, VALUES, optimiser=optimiser, learning_rate=rate, epochs=epochs, l2=l2)
    ridge = Ridge(alpha=90 * l2 / 2, tol=1e-12).fit(X, VALUES)  # sum of squares + alpha w^2, intercept free
    assert np.allclose(weights(model), [*ridge.coef_, ridge.intercept_], rtol=0, atol=1e-8)
    penalised = np.mean((ridge.predict(X) - VALUES) ** 2) + 0.5 * l2 * (ridge.coef_**2).sum()
    assert history["loss"][-1] == pytest.approx(penalised, abs=1e-9)


def test_l1_is_soft_thresholding_of_least_squares() -> None:
    q = np.linalg.qr(np.c_[np.ones(90), X])[0][:, 1:] * np.sqrt(90)  # orthogonal columns of unit mean square
    model, l1 = models.MLP(4, hidden=(), seed=1).double(), 0.8
    shrink = models.SoftThreshold(l1)
    learn(model, VALUES, x=q, optimiser=torch.optim.SGD, learning_rate=0.2, epochs=200, after_step=shrink)
    best = q.T @ VALUES / 90  # loss = |w - best|^2 + constant
    expected = np.sign(best) * np.maximum(np.abs(best) - l1 / 2, 0.0)
    w = model.network[1].weight.detach().numpy()[0]
    assert (expected == 0).any() and (expected != 0).any()
    assert np.array_equal(w == 0, expected == 0)  # exactly zero, no less
    assert np.allclose(w, expected, rtol=0, atol=1e-12)
    assert model.network[1].bias.item() == pytest.approx(VALUES.mean(), abs=1e-12)


def test_two_classes_are_a_sigmoid() -> None:
    model = models.MLP(4, classes=2, hidden=(5,), seed=3).double()
    f = model.network(torch.as_tensor(X))[:, 0].detach()
    y = torch.as_tensor(LABELS % 2)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(f, y.double())
    assert model.loss((torch.as_tensor(X), y)).item() == pytest.approx(expected.item(), abs=1e-14)
    assert np.allclose(model.predict_probability(X)[:, 1], f.sigmoid(), rtol=0, atol=1e-15)
    assert np.array_equal(model.logits(X), np.c_[np.zeros(90), f])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_learns(activation: str) -> None:
    history = learn(models.MLP(4, classes=3, hidden=(16,), activation=activation, seed=1), LABELS, epochs=30)
    assert history["loss"][-1] < 0.8 * history["loss"][0]


class Nothing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)


NETWORKS = {
    "MLP": lambda **c: models.MLP((9, 12), hidden=(6, 5), seed=1, **c),
    "plain": lambda **c: models.CNN((9, 12), channels=(4, 6), hidden=(7,), seed=1, **c),
    "residual": lambda **c: models.CNN((9, 12), channels=(4, 6), blocks=2, seed=1, **({"norm": "batch"} | c)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("classes", [None, 2, 3])
def test_save_and_load_is_the_same_model(name: str, norm: str, classes: int | None, tmp_path: Path) -> None:
    model = NETWORKS[name](classes=classes, norm=norm, dropout=0.2)
    learn(model, np.arange(30) % 3 if classes == 3 else np.arange(30) % 2, IMAGES, batch_size=9, epochs=2)
    model.save(tmp_path / "m")
    again = models.load(tmp_path / "m")
    assert np.array_equal(model.predict(IMAGES), again.predict(IMAGES))
    assert model.predict(IMAGES).shape == (30,)
    if classes:
        assert model.predict(IMAGES).dtype == np.int64
        assert np.allclose(again.predict_probability(IMAGES).sum(1), 1.0, rtol=0, atol=1e-12)
    with pytest.raises(StoreError, match="exists"):
        model.save(tmp_path / "m")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_prediction_depends_on_its_row_alone(name: str) -> None:
    model = NETWORKS[name](classes=3, norm="batch", dropout=0.5)
    learn(model, np.arange(30) % 3, IMAGES, batch_size=10)
    model.train()
    together = model.logits(IMAGES)
    assert model.training  # it predicts in evaluation mode and leaves the mode as it was
    assert np.allclose(model.logits(IMAGES[:7]), together[:7], rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 8), (9, 12), (3, 10, 7), (1, 5, 4)])
def test_a_residual_network_begins_as_its_shortcuts(shape: tuple[int, ...]) -> None:
    model = models.CNN(shape, classes=4, channels=(5, 6), blocks=2, norm="layer", seed=1)
    x = torch.as_tensor(RNG.normal(size=(3, *shape)), dtype=torch.float32)
    begun = model(x)
    for block in model.modules():
        if isinstance(block, Block):
            block.branch = torch.nn.Sequential(block.branch[0], Nothing())  # of the right size
    assert torch.equal(model(x), begun)
    assert begun.shape == (3, 4) and begun.std() > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_a_cut_run_of_norms_averages_and_motions_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    def run(epochs: int, **more: Any) -> Any:
        model = NETWORKS[name](classes=3, norm="batch", dropout=0.3)
        learn(
            model, np.arange(30) % 3, IMAGES, batch_size=8, epochs=epochs, averaging=0.9, l2=0.01,
            augment=models.RigidMotion(1.0, 20.0), schedule=models.one_cycle(6), **more,
        )  # fmt: skip
        return model

    whole = run(6)
    run(3, checkpoint=tmp_path / "c")
    resumed = run(6, checkpoint=tmp_path / "c", resume=True)
    for (key, one), two in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, two), key


def test_the_best_epoch_comes_back_with_what_its_norms_have_seen() -> None:
    model, states = models.MLP(4, classes=3, hidden=(16,), norm="batch", seed=1), []
    history = learn(
        model, LABELS[:40], X[:40], epochs=200, batch_size=10, learning_rate=0.05, patience=3,
        validation=(X[40:], LABELS[40:]),
        callback=lambda record: states.append({k: v.clone() for k, v in model.state_dict().items()}),
    )  # fmt: skip
    best = int(np.argmin(history["validation_loss"]))
    assert len(history) == best + 4 < 200
    for key, value in model.state_dict().items():
        assert torch.equal(value, states[best][key]), key


def test_running_means_of_batch_norm_are_averaged_with_the_weights() -> None:
    model, path = models.MLP(4, hidden=(6,), norm="batch", seed=1), []
    learn(model, VALUES, averaging=0.9999, after_step=lambda m, rate: path.append(m.network[2].running_mean.clone()))
    assert torch.allclose(model.network[2].running_mean, torch.stack(path).mean(0), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, np.where(LABELS == 0, 3, LABELS), r"y must be integers from 0 to 2, got 3 in row \d"),
        (X, -LABELS, r"y must be integers from 0 to 2, got -\d in row"),
        (X, LABELS + 0.0, r"y must be integers from 0 to 2, the labels of 3 classes, got torch\.float32"),
        (X, np.full(90, 2), "y must hold two classes at least, got 2 in every row"),
        (np.where(X > 2, np.nan, X), LABELS, "data must be finite, got NaN or infinity in row"),
        (X[:, :3], LABELS, r"X must be configurations of shape \(n, 4\), got \(3,\)"),
        (X, LABELS[:5], r"equally many rows in each array, got shapes \(90, 4\), \(5,\)"),
        (X, LABELS[:, None], r"y must have shape \(n,\), one answer an input, got \(90, 1\)"),
    ],
)
def test_errors_name_what_is_wrong_with_the_data(x: Any, y: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        learn(models.MLP(4, classes=3, seed=1), y, x)


def test_errors_of_a_regression_of_validation_and_of_new_inputs() -> None:
    model = models.MLP(4, seed=1)
    with pytest.raises(ValueError, match=r"y must be a target that varies, got 0\.5 in every row"):
        learn(model, np.full(90, 0.5))
    with pytest.raises(TypeError, match=r"data must be a tuple \(X, y\) of inputs and answers, got Tensor"):
        models.fit(model, X, epochs=1)
    with pytest.raises(ValueError, match="this model is a regression"):
        model.logits(X)
    with pytest.raises(ValueError, match=r"x must be configurations of shape \(n, 4\), got \(2,\)"):
        model.predict(X[:, :2])
    with pytest.raises(ValueError, match="x must be finite"):
        model.predict(np.full((1, 4), np.inf))
    learn(model, VALUES, validation=(X[:1], VALUES[:1]))  # one row can be judged by, though not learned from
    with pytest.raises(ValueError, match="y must be integers from 0 to 2, got 7"):
        learn(models.MLP(4, classes=3), LABELS, validation=(X[:2], [0, 7]))
    with pytest.raises(ValueError, match="batch norm needs two rows a batch at least, got 1"):
        learn(models.MLP(4, norm="batch"), VALUES, batch_size=89)
    with pytest.raises(LearningError, match="loss must stay finite"):
        learn(model, VALUES, learning_rate=1e9, optimiser=torch.optim.SGD, epochs=200)
    with pytest.raises(ValueError, match=r"X must be configurations of shape \(n, 9, 12\), got \(9, 11\)"):
        learn(NETWORKS["plain"](classes=2), np.arange(30) % 2, IMAGES[:, :, :11])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.MLP(4, classes=1), "classes must be at least 2, or None for a regression, got 1"),
        (lambda: models.MLP(4, hidden=(0,)), "hidden must be a positive integer, got 0"),
        (lambda: models.MLP(4, activation="relu"), "activation must be one of Sigmoid, .* got 'relu'"),
        (lambda: models.MLP(4, norm="group"), 'norm must be "batch", "layer" or None, got \'group\''),
        (lambda: models.MLP(4, dropout=1.0), r"dropout must lie between 0 and below 1, got 1\.0"),
        (lambda: models.MLP(4, initialisation="glorot"), "initialisation must be one of zeros, .* got 'glorot'"),
        (lambda: models.MLP(4, scale=0.0), r"scale must be a positive finite number, got 0\.0"),
        (lambda: models.CNN((4, 28)), None),
        (lambda: models.CNN((3, 28)), r"sides of at least 4 for 2 numbers of channels, got \(3, 28\)"),
        (lambda: models.CNN(28), r"shape must be \(height, width\)"),
        (lambda: models.CNN((8, 8), blocks=1), "norm must be .* in residual blocks, got None with blocks=1"),
        (lambda: models.RigidMotion(shift=-1), "shift must be a non-negative finite number, got -1"),
        (lambda: models.SoftThreshold(np.nan), "l1 must be a non-negative finite number, got nan"),
        (lambda: models.one_cycle(5, rise=1.0), r"rise must lie between 0 and below 1, got 1\.0"),
        (lambda: learn(models.MLP(4), VALUES, l2=-1.0), r"l2 must be a non-negative finite number, got -1\.0"),
    ],
)
def test_errors_name_the_setting(make: Any, message: str | None) -> None:
    if message is None:
        make()
        return
    with pytest.raises(ValueError, match=message):
        make()
