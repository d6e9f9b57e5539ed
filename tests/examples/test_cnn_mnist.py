"""The example of a CNN on MNIST in a small size: its files, its judges, and a cut run that goes on."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from example_folder import Load, results

import models

pytestmark = pytest.mark.usefixtures("one_torch_thread", "few_digits")


def test_a_small_cnn_reads_digits_and_all_is_judged(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = load("cnn_mnist")
    network = partial(models.CNN, channels=(4, 8), norm="batch", dropout=0.1)
    monkeypatch.setitem(example.WAYS, example.CNN, example.Way(network, 0.03, 5e-4, True))
    example.main(tmp_path, train=1500, test=200, epochs=4, seeds=2, workers=1)
    found = results(tmp_path, example.PICTURES)
    assert not (tmp_path / "unfinished").exists()
    for name, runs in found["scores"].items():
        for run in runs:
            assert run["accuracy"] > (0.6 if name != example.CHANCE else 0.05)
            recall = np.array(run["by digit"])[:, 1]
            assert run["macro"][1] == pytest.approx(recall.mean())
    assert found["scores"][example.CNN][0]["accuracy"] == 1.0 - found["curves"][example.CNN][0]["test error"][-1]


def test_a_network_that_has_learned_is_not_learned_again(load: Load, tmp_path: Path) -> None:
    example, sizes, job = load("cnn_mnist"), (300, 100, 2), ("MLP", 1)
    once = example.learn(job, sizes, tmp_path)
    again = example.learn(job, sizes, tmp_path)
    assert all(np.array_equal(once[what], again[what]) for what in once)
    assert np.array_equal(once["seconds"], again["seconds"])  # the time of the first: no second one was needed


def test_the_error_of_calibration_is_the_distance_from_the_diagonal(load: Load) -> None:
    example, rng = load("classified_digits"), np.random.default_rng(0)
    p = rng.uniform(0.2, 1.0, 200_000)
    assert example.calibration_error(p, rng.random(len(p)) < p) < 0.01
    assert example.calibration_error(p, rng.random(len(p)) < p - 0.2) == pytest.approx(0.2, abs=0.01)
    assert np.sum(example.reliability(p, p > 0.5)[:, 0]) == len(p)
