"""The example of UCI tables in a small size, on tables whose answers are known, and its ensembles."""

from pathlib import Path

import numpy as np
import pytest
from example_folder import Load, results

from models import datasets

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def wavy() -> datasets.Table:
    """A table of a smooth and of a quick function, without noise."""
    x = np.random.default_rng(0).uniform(1.0, 2.0, (200, 2))
    return datasets.Table(x, 3.0 * np.log(x[:, 0]) + np.sin(6.0 * x[:, 1]), ("a", "b"), "c")


def test_ensembles_are_better_than_one_network_and_much_better_than_lines(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = load("uci_regression")
    task = example.Task(wavy, "m", (0,), (0.0, 0.1), 0.0, 40, 0.1, 1.0)
    monkeypatch.setattr(example, "TASKS", {"wavy": task})
    example.main(tmp_path, splits=2, trees=20, workers=1)
    found = results(tmp_path, example.PICTURES, width=600)["errors"]["wavy"]
    for errors in found:
        assert errors[example.OURS] < 0.3 * errors["linear regression"] < 0.7 * errors["mean"]
        assert errors["sigma"] in task.sigmas
    assert np.mean([e[example.OURS] for e in found]) < np.mean([e[example.ONE] for e in found])


def test_members_learn_as_they_would_alone(load: Load) -> None:
    example = load("uci_regression")
    ensemble = example.Ensemble(3, 0.1, 0.0, 0)
    x, y = example.torch.randn(20, 3), example.torch.randn(20)
    answers = ensemble(x)
    assert answers.shape == (example.MEMBERS, 20)
    ensemble.loss((x, y)).backward()
    whole = ensemble.matrices[1].grad.clone()
    ensemble.zero_grad()
    (ensemble(x)[2] - y).square().mean().backward()
    assert example.torch.allclose(ensemble.matrices[1].grad[2], whole[2], rtol=1e-4, atol=1e-6)
    assert not ensemble.matrices[1].grad[[0, 1, 3, 4]].any()


def test_an_ensemble_is_that_of_its_networks(load: Load) -> None:
    example = load("uci_regression")
    member = example.models.MLP(3 + 2 * example.WAVES, hidden=(example.UNITS,) * 2, activation="SiLU", seed=7)
    x, ensemble = example.torch.randn(20, 3), example.Ensemble(3, 0.0, 0.0, 5)
    waves = [x, example.torch.zeros(20, example.WAVES), example.torch.ones(20, example.WAVES)]
    assert np.allclose(ensemble(x)[2].detach(), member.predict(example.torch.cat(waves, 1)), atol=1e-5)
