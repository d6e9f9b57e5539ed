"""The example of latent optimisation in a small size: its files, and numbers that make sense."""

import math
from pathlib import Path

import numpy as np
import pytest
from example_folder import Load, results

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_naive_codes_tell_nothing_and_ours_tell_the_digit(load: Load, tmp_path: Path, few_digits: None) -> None:
    example = load("latent_optimisation")
    example.main(
        tmp_path, images=1200, hidden=(48,), latent=12, epochs=8, few=300, few_hidden=(16,), few_epochs=8, judged=20,
        samples=50, drawn=300,
    )  # fmt: skip
    found = results(tmp_path, example.PICTURES)
    told = {name: values[-1] for name, values in found["kl"].items()}
    assert told[example.NAIVE] < 0.1 < 1.0 < min(told[example.OURS], told[example.VAE])
    assert found["models"][example.NAIVE]["probe"][0] < 0.4 < found["models"][example.OURS]["probe"][0]
    assert found["models"][example.OURS]["nll"][0] < found["models"][example.NAIVE]["nll"][0]
    assert 1.0 < found["eigenvalue"] < 49.0
    ends = {name: np.array(runs)[:, -1] for name, runs in found["collapse"].items()}
    assert ends["averaged, from components"].max() < ends["summed, from components"].min()
    assert ends["averaged, from noise"].max() < 0.1 and ends["summed, from noise"].max() < 0.1
    for shares in found["shares"].values():
        assert math.isclose(sum(shares), 1.0)
