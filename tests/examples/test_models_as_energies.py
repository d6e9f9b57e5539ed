"""Five models as energies: their arms, and a small run whose chains must agree with integrals."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from example_folder import Load, results


@pytest.mark.slow
def test_models_are_sampled_as_energies(load: Load, tmp_path: Path) -> None:
    example = load("models_as_energies")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # so short a run says that it is too short
        example.main(tmp_path, points=400, epochs=10, chains=8, draws=60, warmup=60, grid=30)
    found = results(tmp_path, example.PICTURES)
    assert abs(found["flow"]["log_z"]) < 0.05 and abs(found["diffusion"]["log_z"]) < 0.1  # densities, on a coarse grid
    for name, numbers in found.items():
        if name != "score" and numbers["mean"][1] is not None:
            assert abs(numbers["mean"][0] - numbers["exact"]) < 6 * numbers["mean"][1]
    assert 0.0 <= found["score"]["p_value"] <= 1.0


def test_arms_are_those_of_the_pinwheel(load: Load) -> None:
    from models import datasets

    labels = load("models_as_energies").arms(datasets.pinwheel().sample(5000, 3))
    counts = np.bincount(labels, minlength=5)
    assert len(counts) == 5 and counts.min() > 900  # a fifth each
