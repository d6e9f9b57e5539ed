"""The table of generative models in the plane: its judges given the truth itself, its choices, and a small run."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from example_folder import Load, results

LARGEST_Z = 5.0


def test_the_truth_has_no_gap_and_a_wrong_density_has_its_divergence(load: Load) -> None:
    example = load("generative_2d")
    truth = example.SETS["8 gaussians"]
    x = truth.sample(4000, 1)
    value, error = example.gap(truth.log_prob(x), truth.log_prob(x))
    assert value == error == 0.0
    value, error = example.gap(truth.log_prob(x), truth.log_prob(x) - 0.3)
    assert value == pytest.approx(0.3) and error < 1e-12


def test_true_samples_are_judged_better_than_those_that_lack_a_mode(load: Load) -> None:
    example = load("generative_2d")
    x = example.SETS["8 gaussians"].sample(1600, 1)
    whole, part = example.judged("8 gaussians", x[:800], 1), example.judged("8 gaussians", x[x[:, 0] < 1.5][:800], 1)
    for name in ("mmd", "sliced_wasserstein", "hellinger"):
        assert part[name] > 3.0 * abs(whole[name])
    assert abs(part["surprise"]) < 0.2  # which a lost mode does not change


def test_validation_chooses_the_best_setting(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    example, ways = load("generative_2d"), load("models_in_the_plane")
    seen = []

    def learn(x: np.ndarray, components: int, seed: int, share: float, watch: None = None) -> object:
        seen.append(len(x))
        return ways.mixture(x, components, seed)

    monkeypatch.setitem(example.WAYS, "mixture of Gaussians", ways.Way(learn, (1, 8), "components"))
    setting, scores = example.chosen("mixture of Gaussians", "8 gaussians", 1000, 1.0)
    assert setting == 8 and set(seen) == {800}
    assert scores["8"] < scores["1"] - 0.3


def test_kernels_and_mixtures_are_normalised_and_sampled_from_a_seed(load: Load) -> None:
    ways, plane = load("models_in_the_plane"), load("plane")
    x = plane.SETS["8 gaussians"].sample(300, 1)
    for learned in (ways.kernels(x), ways.mixture(x, 8, 1)):
        assert plane.log_z(lambda y, learned=learned: -learned.log_prob(y), 200) == pytest.approx(0.0, abs=1e-4)
        np.testing.assert_array_equal(learned.sample(50, 3), learned.sample(50, 3))
        assert not np.array_equal(learned.sample(50, 3), learned.sample(50, 4))


@pytest.mark.slow
def test_a_small_table(load: Load, tmp_path: Path, one_torch_thread: None) -> None:
    example = load("generative_2d")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # chains so short say so
        example.main(
            tmp_path, points=400, held_out=100, fresh=400, seeds=2, share=0.02, workers=1, names=("8 gaussians",)
        )
    found = results(tmp_path, example.PICTURES, width=300)  # one column of the four
    assert set(found) == set(example.WAYS)
    for way, of_set in found.items():
        assert len(of_set["8 gaussians"]["gaps"]) == 2 and np.isfinite(of_set["8 gaussians"]["gaps"]).all(), way
    gaps = {way: np.mean(of_set["8 gaussians"]["gaps"]) for way, of_set in found.items()}
    assert gaps["mixture of Gaussians"] < gaps["kernels"] < gaps["one Gaussian"]


def test_a_job_that_was_cut_goes_on_only_as_the_same_job(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example, done = load("generative_2d"), []
    monkeypatch.setattr(example, "one", lambda job: done.append(job) or {"sizes": job[2:]})
    job = ("VAE", "pinwheel", 2000, 500, 20_000, 3, 1.0)
    smaller = (*job[:-1], 0.1)
    for asked in (job, job, smaller, job):
        assert example.kept(asked, tmp_path) == {"sizes": asked[2:]}
    assert done == [job, smaller, job]
