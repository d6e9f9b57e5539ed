"""The examples of codes in a small size: they leave their files, and their numbers make sense."""

from pathlib import Path
from typing import Any

import pytest
from example_folder import Load, results

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_linear_models_are_as_far_from_the_truth_as_theory_says(load: Load, tmp_path: Path) -> None:
    example = load("em_and_vi")
    example.main(tmp_path, sizes=(1000, 4000), repeats=2)
    found = results(tmp_path, example.PICTURES)
    for kind in ("isotropic", "diagonal"):
        last = {name: found[f"{kind}, n 4000, {name}"] for name in example.METHODS}
        assert max(v["twice_n_divergence"] for v in last.values()) < 4 * example.free_parameters(kind)
        assert last["vi"]["W"][1] < 0.25 < last["em"]["W"][1]  # one knows the axes, the other does not
        assert last["vi"]["W"][0] == pytest.approx(last["em"]["W"][0], rel=0.05)
    assert max(found["scikit_learn"].values()) < 1e-3


@pytest.mark.slow
def test_a_variational_autoencoder_is_judged(
    load: Load, tmp_path: Path, few_digits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = load("vae_mnist")
    monkeypatch.setattr(example, "MARKS", (10,))
    size: dict[str, Any] = {"hidden": (64,), "latent": 6, "epochs": 10, "channels": (2, 4), "deep_latent": 6}
    size |= {"deep_epochs": 3, "flat_epochs": 8, "beta_images": 1000, "beta_epochs": 2, "images": 4000, "judged": 200}
    example.main(tmp_path, **size, subset=3)
    found = results(tmp_path, example.PICTURES)
    assert found["test_elbo"][0] < found["test_elbo"][-1] < -100
    scores = found["resampled"]
    assert scores["nll"] < scores["bound"] < scores["elbo"]
    rates = [found["rate_distortion"][str(beta)][0] for beta in example.BETAS]
    assert rates == sorted(rates, reverse=True)
    assert found["lengths"]["shortest"] <= 1.01 * found["lengths"]["straight"]  # both are of chords
