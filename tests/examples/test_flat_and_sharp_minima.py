"""The example of flat and sharp minima in a small size: its Hessians, and the same function at another sharpness."""

from pathlib import Path

import numpy as np
import pytest
from example_folder import Load, results

from ebm.landscape.derivatives import hessian

pytestmark = pytest.mark.usefixtures("one_torch_thread", "few_digits")


def test_the_same_function_has_minima_as_sharp_as_one_likes(load: Load, tmp_path: Path) -> None:
    example = load("flat_and_sharp_minima")
    example.main(tmp_path, digits=200, hidden=12, epochs=6, seeds=2, steps=60, probes=4, n=5)
    found = results(tmp_path, example.PICTURES)
    losses, largest, theory = zip(*((r["loss"], r["largest"], r["theory"]) for r in found["scaled"]), strict=True)
    assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-12)
    assert largest == pytest.approx(theory, rel=1e-6)
    assert max(largest) > 2.0 * min(largest)
    for runs in found["runs"].values():
        for run in runs:
            assert run["residual"] < 1e-3 * run["largest"] < run["trace"] + 5 * run["trace_error"]


def test_sharpness_is_that_of_the_dense_hessian(load: Load) -> None:
    example, cd = load("flat_and_sharp_minima"), load("classified_digits")
    data = example.small(cd.drawn(cd.digits("train"), 60, 0))
    model = example.learn(example.Way(60), data, 3, 5, 0)
    found = example.judged(model, data, data, 200, 300, 0)
    values = np.linalg.eigvalsh(hessian(example.energy_of(model, data), found["weights"]))
    assert found["largest"] == pytest.approx(values[-1], rel=1e-9)
    assert abs(found["trace"] - values.sum()) < 5 * found["trace_error"]


def test_a_correlation_is_of_ranks_and_its_error_that_of_seeds(load: Load) -> None:
    example, rng = load("flat_and_sharp_minima"), np.random.default_rng(1)
    runs = {
        way: [{"largest": x, "gap": np.exp(x), "train_error": float(way == example.FIRST)} for x in rng.random(6)]
        for way in example.WAYS
    }
    found = example.correlations(runs, "largest", "gap", repeats=20)
    assert [r for r, _ in found.values()] == pytest.approx([1.0] * 3)
    # of perfect order the bootstrap has no error, and no correlation of 24, of 18 and of 6 runs has these
    assert [e for _, e in found.values()] == pytest.approx([23**-0.5, 17**-0.5, 5**-0.5])
    assert [example.verdict(*pair) for pair in ((0.9, 0.1), (-0.9, 0.1))] == ["yes", "no, a smaller one"]
    assert "not" in example.verdict(0.2, 0.1)
