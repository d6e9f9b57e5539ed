"""The example of Bayesian regression: its judges know a law that is right, and all of it runs in a small size."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from example_folder import Load, results
from scipy import stats

from models import datasets

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> datasets.tables.Table:
    """A table like that of concrete, of a linear law, which needs no download."""
    rng = np.random.default_rng(2)
    x = np.c_[rng.normal(size=(400, 7)), rng.lognormal(size=400)]
    y = 30.0 + 10.0 * x[:, 0] - 5.0 * np.log(x[:, 7]) + 6.0 * rng.normal(size=400)
    made = datasets.tables.Table(x, y, ("feature",) * 8, "strength")
    monkeypatch.setattr(datasets, "concrete", lambda: made)
    return made


def test_a_small_run_leaves_its_folder(load: Load, tmp_path: Path, table: datasets.tables.Table) -> None:
    example = load("bayesian_regression")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # so short a run says that it is too short
        example.main(tmp_path, rows=60, hidden=4, epochs=20, chains=4, draws=40, warmup=60, steps=8, splits=2)
    found = results(tmp_path, example.PICTURES)
    assert set(found["judged"]) == {"HMC", "MC dropout", "linear"}
    for runs in found["judged"].values():
        for run in runs:
            assert 5.0 < run["rmse"] < 12.0 and -4.5 < run["log_p"] < -3.0
            assert all(0.2 < covered <= 1.0 for covered in run["coverage"])
    # 18 z-scores of 16 chains each: a chance of 1e-6 that one is beyond.
    assert np.abs(found["z"]).max() < stats.t(15).isf(1e-6 / 36)
    assert all(run["r_hat"] < 2.0 for run in found["chains"])


def test_the_judge_knows_the_law_of_a_linear_table(load: Load, table: datasets.tables.Table) -> None:
    example = load("bayesian_regression")
    data = example.split(table, 300, seed=1)
    right = example.Law(np.zeros((4000, len(data.y_test))), np.ones((4000, 1)))
    y = np.random.default_rng(5).standard_normal(len(data.y_test))
    found = example.judged(right, data._replace(y_test=y), seed=1)
    for level, covered in zip(example.LEVELS, found["coverage"], strict=True):
        assert stats.binomtest(round(100 * covered), 100, level).pvalue > 1e-6
    exact = stats.norm.logpdf(y).mean() - np.log(data.unit)
    assert found["log_p"] == pytest.approx(exact, rel=1e-12)
    law, mean, covariance = example.linear_law(data, 4000, seed=1)
    assert law.noise[0, 0] * data.unit == pytest.approx(6.0, abs=5 * 6.0 / np.sqrt(600))  # 5 sigma
    assert mean.shape == (9,) and covariance.shape == (9, 9)
