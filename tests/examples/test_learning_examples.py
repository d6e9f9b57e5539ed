"""The examples of learning in a small size: they leave their files, and their numbers make sense."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from example_folder import Load, results

import ebm

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_energies_in_the_plane_learn(load: Load, tmp_path: Path) -> None:
    example = load("ebm_2d")
    size = {"points": 500, "epochs": 40, "seeds": 1, "fresh": 2000, "chains": 8, "steps": 500}
    example.main(tmp_path, **size, names=("pinwheel",))
    found = results(tmp_path, example.PICTURES, 400)  # one column of four
    (gap,) = found["gaps"]["pinwheel"]["noise-contrastive"]
    assert 0.0 < gap < 2.0  # it begins at the gap of a wide Gaussian


@pytest.mark.slow
def test_scores_in_the_plane_learn(load: Load, tmp_path: Path) -> None:
    example = load("score_2d")
    example.main(tmp_path, points=500, epochs=150, chains=300, steps=10, names=("8 gaussians",))
    found = results(tmp_path, example.PICTURES, 400)["8 gaussians"]  # one column of four
    # So little learning and annealing leaves them broad: beyond the truth, within the noise that they began as.
    assert found["entropy"] < found["density"][0] < 100.0
    assert 0.0 < found["kernels"][0] < 5.0 and all(0.0 < gap < 2.0 for gap, _ in found["gaps_of_energy"])


@pytest.mark.slow
def test_the_gap_to_the_smoothed_truth_vanishes_for_the_truth(load: Load) -> None:
    example = load("score_2d")
    truth, sigma = example.SETS["8 gaussians"], 0.4

    class Smoothed:
        """The mixture with each of its Gaussians blurred."""

        def __call__(self, x: np.ndarray) -> np.ndarray:
            variance = truth.sigma**2 + sigma**2
            squares = ((x[:, None] - truth.centres) ** 2).sum(2)
            return -np.logaddexp.reduce(-squares / (2 * variance), axis=1)

    gap, error = example.gap_of_energy(Smoothed(), truth, sigma, 3)
    assert abs(gap) < 5 * error + 1e-6 and error < 1e-6


def test_a_machine_of_digits_is_bracketed(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from models import datasets

    example = load("rbm_mnist")
    images = datasets.digits()[0].reshape(-1, 784)
    monkeypatch.setattr(example, "digits", lambda part: images[:600] if part == "train" else images[600:900])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # so short an annealing is not narrow
        example.main(
            tmp_path, hidden=20, epochs=4, looks=2, small_epochs=2, chains=20, steps=200, ladders=4, rungs=6, draws=12,
            images=600,
        )  # fmt: skip
    found = results(tmp_path, example.PICTURES)
    score = found["log_likelihood"]
    assert -300 < score["lower"] < -100 and score["lower"] < score["upper"] + 5
    assert all(-600 < v < -100 for values in found["exact_16"].values() for v in values.values())


@pytest.mark.slow
def test_objectives_are_judged_by_the_same_likelihood(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import datasets

    example = load("rbm_objectives")
    images = datasets.digits()[0].reshape(-1, 784)
    monkeypatch.setattr(example, "digits", lambda part: images[:600] if part == "train" else images[600:900])
    epochs = dict.fromkeys(example.objectives(1, exact=True), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # so short an annealing is not narrow
        example.main(tmp_path, steps=60, small=epochs, large=epochs, annealing=50, looks=2)
    found = results(tmp_path, example.PICTURES)
    for task, curves in found["curves"].items():
        best = found["best"].get(task, -100.0)  # of bars and stripes that none is better is a theorem
        for curve in curves.values():
            assert len(curve) == 2 and 0.0 < curve[0][0] < curve[1][0]
            assert all(value < best for _, value in curve)
        if task in found["best"]:
            assert curves["exact"][0][1] < curves["exact"][1][1]


@pytest.mark.slow
def test_a_convolutional_energy_of_digits_is_run_long(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import datasets

    example = load("ebm_images")
    images, labels = datasets.digits()
    x = images.reshape(-1, 14, 2, 14, 2).mean((2, 4)) / 255
    parts = {"train": (x[:600], labels[:600]), "test": (x[600:900], labels[600:900])}
    monkeypatch.setattr(example, "digits", parts.get)
    example.main(tmp_path, epochs=1, buffer=16, passes=2, chains=8, draws=12, thin=1)
    found = results(tmp_path, example.PICTURES)
    assert sum(found["counts"]) == 8 and 0.1 < found["accuracy"] <= 1.0
    assert ebm.load(tmp_path / "energy.h5").shape == (14, 14)


@pytest.mark.slow
def test_born_machines_learn_and_are_sampled(load: Load, tmp_path: Path) -> None:
    example = load("born_machine")
    example.main(tmp_path, bits=6, steps=60, seeds=1, draws=200, looks=3)
    found = results(tmp_path, example.PICTURES)
    for runs in found["divergence"].values():
        assert len(runs) == 4 and all(curve[-1] > -1e-9 for curves in runs.values() for curve in curves)
    assert all(abs(value - right) < 5 * error for _, value, error, right in found["sampled"])


def test_an_amplitude_of_the_born_machine_is_the_wavefunction_of_the_library(load: Load) -> None:
    example = load("born_machine")
    energy = example.machines(6, 3, seed=2)["complex Born machine, 3"]
    s = np.concatenate(list(example.exact.states((6,), "spin")))
    difference = energy(s) - example.wavefunction(energy)(s)
    assert np.ptp(difference) < 1e-12  # but for a constant
