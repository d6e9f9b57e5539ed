"""The example of diffusion on digits in a small size: its files, and numbers that make sense."""

from pathlib import Path

import pytest
from example_folder import Load, results

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.mark.slow
def test_digits_come_out_of_noise(load: Load, tmp_path: Path) -> None:
    example = load("ddpm_digits")
    example.main(tmp_path, train=1500, channels=(4, 4), epochs=2, drawn=20, judged=5)
    found = results(tmp_path, example.PICTURES, 900)
    assert 0.0 < found["validation_loss"] < 1.2 and sum(found["counts"]) == 20
    assert found["bits"]["gain"][0] < 0.0  # so little learning knows less than the Gaussian
