"""The example of diffusion on Gaussians in a small size: its files, and its agreement with the closed forms."""

from pathlib import Path

import pytest
from example_folder import Load, results
from laws import ALPHA

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_measured_variances_are_the_exact_ones(load: Load, tmp_path: Path) -> None:
    example = load("ddpm_gaussian_exact")
    example.main(tmp_path, draws=2000, steps=(5, 20), variances=(0.25,), points=500, epochs=2)
    found = results(tmp_path, example.PICTURES, 500)
    assert found["p_value"] > ALPHA and len(found["z"]) == 9
