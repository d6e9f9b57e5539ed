"""The examples of landscapes in a small size: they leave their files, and their numbers agree with theory."""

from pathlib import Path

import numpy as np
import pytest
from example_folder import Load, results

LARGEST_Z = 5.0  # a false alarm for about one seed in a million, and the seeds are fixed


def test_muller_brown_agrees_with_published_energies_and_with_itself(load: Load, tmp_path: Path) -> None:
    example = load("muller_brown")
    example.main(tmp_path, n=41, chains=16, draws=1000, tempered=1000)
    found = results(tmp_path, example.PICTURES)
    assert np.abs(np.subtract(found["energies"], found["published"])).max() < 6e-4  # they have three decimals
    assert abs(found["counted"][0] - found["rate"]) < LARGEST_Z * found["counted"][1]
    assert np.abs(found["free_energy"]["z"]).max() < LARGEST_Z
    assert sum(found["basins"]) == pytest.approx(1.0)


@pytest.mark.slow
def test_loss_landscape_agrees_with_the_dense_hessian(load: Load, tmp_path: Path) -> None:
    example = load("loss_landscape")
    example.main(tmp_path, digits=200, steps=30, n=5, probes=8)
    found = results(tmp_path, example.PICTURES)
    np.testing.assert_allclose(*found["largest"], rtol=1e-6)
    assert found["curvature"] == pytest.approx(found["largest"][1][0], rel=1e-4)
    assert found["reordered"] == pytest.approx(found["losses"][0], rel=1e-12)
    for _, (value, error), exact in found["moments"]:
        assert abs(value - exact) < LARGEST_Z * 2.0 * error  # twice: eight probes know their error to a quarter
    assert min(found["barriers"].values()) > 0.0
