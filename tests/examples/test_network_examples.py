"""The examples of classifiers and regressors in a small size: their files, and numbers that agree with theory."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from example_folder import Load, results

from models import datasets

pytestmark = pytest.mark.usefixtures("one_torch_thread")

Digits = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def grey() -> Digits:
    """The digits that need no download, in random order."""
    images, labels = datasets.digits()
    order = np.random.default_rng(0).permutation(len(labels))
    return images[order], labels[order]


@pytest.fixture
def few(load: Load, grey: Digits, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Let the examples have so many of them to learn from and to be tested on, in place of MNIST."""

    def choose(train: int, test: int) -> None:
        module = load("classified_digits")
        x, y = module.standardised(grey[0][: train + test]), grey[1][: train + test]
        parts = {"train": (x[:train], y[:train]), "test": (x[train:], y[train:])}
        monkeypatch.setattr(module, "digits", parts.get)

    return choose


def test_a_convolution_is_its_matrix_and_commutes_with_shifts(
    load: Load, few: Callable[[int, int], None], tmp_path: Path
) -> None:
    example = load("convolution_as_matrix")
    few(400, 200)
    example.main(tmp_path, filters=2, networks=2, images=4, sizes={200: 8}, seeds=2)
    found = results(tmp_path, example.PICTURES)
    for name, worst in found["agreement"].items():
        assert max(worst.values()) < (1e-6 if "float32" in name else 1e-13)
    for name, (means, _) in found["equivariance"].items():
        kept = (0, 1, 2, 3) if name.startswith(("circular, d", "circular, n")) else (1, 3) if "2" in name else ()
        assert all((mean < 1e-15) == (shift in kept) for shift, mean in enumerate(means))
    assert found["inside"] < 1e-15 and found["edge"] > 0.1
    assert all(0.0 < error < 0.7 for sizes in found["errors"].values() for values in sizes.values() for error in values)


def test_the_matrix_of_a_filter_is_that_of_the_book(load: Load) -> None:
    example = load("convolution_as_matrix")
    kernel = np.zeros((1, 1, 3, 3))
    kernel[0, 0, 1, 2] = 1.0  # the neighbour to the right
    right = np.arange(9).reshape(3, 3)
    circular, zeros = (example.matrix(kernel, 3, padding).toarray() for padding in ("circular", "zeros"))
    assert np.array_equal(circular @ right.ravel(), np.roll(right, -1, 1).ravel())
    assert np.array_equal((zeros @ right.ravel()).reshape(3, 3)[:, :2], right[:, 1:])
    assert not (zeros @ right.ravel()).reshape(3, 3)[:, 2].any()


def test_networks_that_see_waves_price_what_changes_within_a_street(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = load("mlp_housing")
    rng = np.random.default_rng(1)
    x = rng.uniform(1.0, 2.0, (600, 8))
    price = 2.0 + np.sin(2 * np.pi * 3 * x[:, 6]) * np.cos(2 * np.pi * 2 * x[:, 7]) + 0.2 * x[:, 0]
    table = datasets.Table(x, price, tuple("abcdefgh"), "price")
    monkeypatch.setattr(datasets, "california_housing", lambda: table)
    setting = {"widths": (0.5, 1.5), "waves": 16, "units": 64, "dropout": 0.0, "decay": 0.0}
    monkeypatch.setattr(example, "SETTINGS", (setting,))
    example.main(tmp_path, splits=2, epochs=25, members=2, trees=10)
    found = results(tmp_path, example.PICTURES)["rmse"]
    assert np.allclose(found["mean"], price.std(), rtol=0.3)
    assert max(found[example.NETWORKS]) < 0.8 * min(found["an MLP without waves"])


def test_fours_and_nines_are_told_apart(load: Load, few: Callable[[int, int], None], tmp_path: Path) -> None:
    example = load("binary_roc")
    few(1600, 800)
    example.main(tmp_path, digits=200, sets=2, epochs=20, trees=5, repeats=100)
    found = results(tmp_path, example.PICTURES)
    names = list(found["auc"])
    assert found["auc"]["chance"] == 0.5 and found["covariance"][0][0] == 0.0
    assert all(abs(found["auc"][name] - found["judged"][name][0]["auc"]) < 1e-12 for name in names)  # scikit-learn's
    assert found["linear_apart"] < 1e-6
    error = np.sqrt(found["covariance"][-1][-1])
    assert 0.7 < found["bootstrap"] / error < 1.4  # of 100 repeats: a relative deviation of 7 %
    assert found["auc"][example.NETWORK] > 0.9


def test_the_error_of_an_area_is_its_spread_over_test_sets(load: Load) -> None:
    delong, rng, repeats = load("binary_roc").delong, np.random.default_rng(2), 400
    y = np.repeat([0, 1], (40, 60))
    noise = rng.standard_normal((repeats, 3, 100))
    scores = noise[:, :2] + noise[:, 2:] + 1.5 * y  # two classifiers that share half of their noise
    areas, covariances = zip(*(delong(y, s) for s in scores), strict=True)
    truth, found = np.cov(np.transpose(areas)), np.mean(covariances, 0)
    # A sample variance of 400 has a relative deviation of 7 %, one that is not Gaussian a little more.
    assert np.allclose(found / truth, 1.0, rtol=0, atol=0.4)
    assert found[0, 1] > 0.2 * found[0, 0]


def test_ravines_are_gone_down_as_theory_says(
    load: Load, few: Callable[[int, int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = load("optimisers")
    few(200, 200)
    names = ("gradient descent", example.REFERENCE, "Adam", "L-BFGS")
    monkeypatch.setattr(example, "WAYS", {name: example.WAYS[name] for name in names})
    example.main(tmp_path, kappas=(10.0, 100.0), digits=60, epochs=4, steps=20, seeds=2)
    found = results(tmp_path, example.PICTURES)
    assert all(abs(m - t) < 1e-3 * (1 - t) for rows in found["ravine"].values() for _, t, m in rows)
    assert set(found["judged"]) == {*names, "BFGS"}
    (loss, error, _), *_ = found["judged"]["BFGS"]
    assert loss < 0.3 and error < 0.1


def test_thresholds_make_zeros_and_what_they_cost(
    load: Load, few: Callable[[int, int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = load("regularisation")
    few(2200, 200)
    choices = {
        example.NOTHING: (0.0,),
        "L2": (0.1,),
        "L1": (1e-3, 1e-2),
        "early stopping": (1,),
        "augmentation": (1.0,),
    }
    monkeypatch.setattr(example, "CHOICES", choices)
    example.main(tmp_path, digits=60, epochs=3, seeds=2)
    found = results(tmp_path, example.PICTURES)
    for name, runs in found["judged"].items():
        assert all((run["zeros"] > 0.005) == (name == "L1") for run in runs)
    assert found["judged"]["L2"][0]["size"] < found["judged"][example.NOTHING][0]["size"]


def test_batch_norm_makes_lengths_of_no_matter(load: Load, few: Callable[[int, int], None], tmp_path: Path) -> None:
    example = load("batch_normalisation")
    few(300, 200)
    example.main(tmp_path, digits=64, epochs=2, steps=5, rates=(0.01, 0.1), batches=(8, 32), seeds=2)
    laws = results(tmp_path, example.PICTURES)["laws"]
    for name, value in laws.items():
        assert value < 1e-9 or name == "loss at the end" or "1e-5" in name
    assert laws["loss, with 1e-5"] > 1e-9  # what is added to the variances is seen
