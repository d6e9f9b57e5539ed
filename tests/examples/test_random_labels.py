"""The example of networks that learn noise in a small size: it is learned, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest
from example_folder import Load, results

pytestmark = pytest.mark.usefixtures("one_torch_thread", "few_digits")


def test_noise_is_learned_by_heart_and_its_labels_are_met_by_chance(load: Load, tmp_path: Path) -> None:
    example = load("random_labels")
    example.main(tmp_path, digits=100, hidden=128, epochs=50, seeds=2)
    found = results(tmp_path, example.PICTURES)
    runs = {tuple(name.split("; ")): of_name for name, of_name in found["runs"].items()}
    for (_, guard), of_name in runs.items():
        assert guard != example.PLAIN or all(run["train_error"] == 0.0 for run in of_name)
    for name in (example.of(1.0), example.NOISE):  # 1,000 test digits whose names go together by kind: a wide bound
        assert 0.8 < found["chance"][name][0] < 0.97
    assert runs[example.of(0.0), example.PLAIN][0]["test_error"] < 0.45
    assert found["slower"][0] > 1.2
    norms = [runs[example.of(1.0), guard][0]["norm"] for guard in (example.DECAY, example.PLAIN)]
    assert norms[0] < 0.7 * norms[1]


def test_a_share_of_labels_is_drawn_anew_and_of_these_a_tenth_stays(load: Load) -> None:
    example, y = load("random_labels"), np.random.default_rng(0).integers(10, size=40_000)
    assert np.array_equal(example.noisy(y, 0.0, np.random.default_rng(1)), y)
    wrong = float((example.noisy(y, 0.5, np.random.default_rng(1)) != y).mean())
    assert abs(wrong - 0.45) < 5 * np.sqrt(0.45 * 0.55 / len(y))


def test_disorder_keeps_the_pixels_or_draws_new_ones(load: Load) -> None:
    example, rng = load("random_labels"), np.random.default_rng(0)
    x, order = rng.random((20, 784), dtype=np.float32), rng.permutation(784)
    one, own = (example.changed(kind, x, order, rng) for kind in (example.ORDER, example.ORDERS))
    assert np.array_equal(one[:, np.argsort(order)], x)
    assert np.array_equal(np.sort(own, 1), np.sort(x, 1)) and not np.array_equal(own[:, np.argsort(order)], x)
    assert example.changed(example.NOISE, x, order, rng).std() == pytest.approx(1.0, abs=0.05)
