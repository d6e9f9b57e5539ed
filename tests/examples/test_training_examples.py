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
    data = example.pixels(50)
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


def test_gradients_vanish_by_a_factor_a_layer(load: Load, tmp_path: Path) -> None:
    example = load("vanishing_gradients")
    found = example.main(tmp_path, width=64, depth=12, networks=3, rows=32, digits=100, trained=16, epochs=1, seeds=2)
    assert results(tmp_path, example.PICTURES).keys() == found.keys()
    factor = {name: run["factor"] for name, run in found.items()}
    assert factor["Sigmoid, plain"] < 0.25 < factor["Sigmoid, layer norm"] < 0.5 < factor["Sigmoid, batch norm"]
    assert 0.8 < factor["ReLU, plain"] < 1.2 < factor["ReLU, residual"]


def test_gradients_of_wide_networks_in_closed_form(load: Load) -> None:
    example = load("vanishing_gradients")
    steps = -np.diff(np.log([example.theory_of("ReLU", kind, 8, 64, 0.7) for kind in ("layer norm", "batch norm")]))
    assert steps[0] == pytest.approx(0.0, abs=1e-12)
    assert steps[1] == pytest.approx(0.5 * np.log(np.pi / (np.pi - 1)), rel=1e-10)
    plain = example.theory_of("Tanh", "plain", 400, 784, 1e-6)  # tanh is linear there, and Xavier's weights keep sizes
    assert plain[0] == pytest.approx(1.0, abs=1e-3)


def test_activations_times_gradients_are_the_same_number_in_every_layer_of_a_homogeneous_network(load: Load) -> None:
    example = load("vanishing_gradients")
    network = example.Deep("ReLU", "residual", 8, 5, seed=0).double()
    x = example.torch.linspace(-1.0, 1.0, 3 * 784, dtype=example.torch.float64).reshape(3, 784)
    logits, layers = network(x)
    slopes = example.torch.autograd.grad(logits.square().sum(), layers)
    products = [float((a * g).sum().detach()) for a, g in zip(layers, slopes, strict=True)]
    assert len(layers) == 5 and products == pytest.approx([products[0]] * 5, rel=1e-10)
    assert float((layers[1] - layers[0]).detach().min()) >= 0.0  # the stream goes on, and a ReLU joins it


def test_activations_are_judged_and_their_dead_units_counted(load: Load, tmp_path: Path) -> None:
    example = load("activations")
    found = example.main(tmp_path, digits=400, held_out=100, units=(32, 16), epochs=5, seeds=2)
    runs = results(tmp_path, example.PICTURES)["runs"]
    assert runs.keys() == example.NAMES.keys()
    assert 0.5 < found["ReLU"]["test"][0] < 1.0
    assert all(
        sum(run["dead"]) == 0 for by_rate in (runs["LeakyReLU"], runs["ELU"]) for r in by_rate.values() for run in r
    )


def test_a_unit_that_is_zero_on_all_data_counts_as_dead_and_gets_no_gradient(load: Load) -> None:
    example = load("activations")
    model = example.models.MLP(4, classes=3, hidden=(6, 5), seed=0)
    x = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    assert example.dead(model, x) == [0, 0]
    first = model.network[1]
    first.bias.data[[1, 4]] = -100.0
    assert example.dead(model, x) == [2, 0]
    model.loss((example.torch.as_tensor(x), example.torch.arange(50) % 3)).backward()
    assert (first.weight.grad.abs().sum(1) == 0.0).nonzero().ravel().tolist() == [1, 4]


def test_precision_is_lost_by_powers_of_epsilon(load: Load, tmp_path: Path) -> None:
    example = load("float32_or_float64")
    found = example.main(tmp_path, n=20_000, rows=100, digits=300, hidden=16, epochs=1, seeds=3)
    assert results(tmp_path, example.PICTURES)["training"]["gap"] == found["training"]["gap"]
    assert found["ln sum exp near 120, naive"]["power"] is None  # infinite in single precision
    slopes = {kind: found[f"slope, {kind} differences"] for kind in ("forward", "central")}
    for kind, theory in (("forward", 1 / 2), ("central", 2 / 3)):
        power, error = slopes[kind]["power"]
        assert abs(power - theory) < 5 * error < 0.4
    singles, doubles = (
        [np.mean([pair[k] for pair in slopes[kind]["errors"]]) for kind in ("forward", "central")] for k in (0, 1)
    )
    assert singles[0] > 5 * singles[1] and doubles[0] > 5 * doubles[1]  # epsilon^1/2 and epsilon^2/3
    assert all(single < 1e-4 for single, _ in found["slope, autograd"]["errors"])


def test_the_naive_variance_is_wrong_by_the_square_of_the_mean(load: Load) -> None:
    example = load("float32_or_float64")
    naive, two_passes = example.variances(1e4, 500, np.float32, np.random.default_rng(0)).values()
    assert naive > 1e-2 > 1e-5 > two_passes
    assert example.variances(0.0, 500, np.float64, np.random.default_rng(0))["variance, <x^2> - <x>^2"] < 1e-14
