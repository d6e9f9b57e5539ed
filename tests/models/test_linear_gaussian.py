"""Probabilistic PCA and factor analysis: three ways to the same likelihood, closed forms, scikit-learn, the truth."""

from typing import Any

import numpy as np
import pytest
from laws import ALPHA
from scipy import stats
from sklearn.decomposition import FactorAnalysis

import models
import samplers
from ebm import exact

RNG = np.random.default_rng(2)
TRUTH = {
    noise: models.LinearGaussian(np.linalg.qr(RNG.normal(size=(6, 2)))[0] * [3.0, 2.0], np.arange(6), variances)
    for noise, variances in {"isotropic": np.full(6, 0.5), "diagonal": np.linspace(0.3, 1.5, 6)}.items()
}
X = {noise: truth.sample(500, seed=3) for noise, truth in TRUTH.items()}
BOTH = tuple(TRUTH)


@pytest.mark.parametrize("noise", BOTH)
def test_three_ways_reach_the_same_likelihood(noise: str) -> None:
    fits = {
        method: models.fit_linear_gaussian(X[noise], 2, noise=noise, method=method, seed=1)
        for method in ("em", "vi", "ml")
    }
    best = fits["ml"].model.log_prob(X[noise]).mean()
    for method, fit in fits.items():
        assert fit.model.log_prob(X[noise]).mean() == pytest.approx(best, abs=1e-7), method
        assert np.allclose(fit.model.covariance, fits["em"].model.covariance, rtol=0, atol=1e-2)
        assert fit.bounds[-1] == pytest.approx(best, abs=1e-7)  # the bound is tight at its maximum
        assert np.diff(fit.bounds).min() > -1e-9  # no iteration loses
        assert (fit.bounds <= best + 1e-9).all()


def test_probabilistic_pca_is_that_of_closed_form() -> None:
    x, closed = X["isotropic"], exact.ppca_fit(X["isotropic"], 2)
    best = exact.ppca_log_likelihood(x, *closed).mean()
    for method in ("em", "vi", "ml"):
        model = models.fit_linear_gaussian(x, 2, method=method, seed=4).model
        assert model.log_prob(x).mean() == pytest.approx(best, abs=1e-9)
        assert np.allclose(model.noise, closed.variance, rtol=1e-4)
        assert np.allclose(model.W @ model.W.T, closed.W @ closed.W.T, rtol=0, atol=1e-3)
        codes, covariance = model.posterior(x)
        theirs = exact.ppca_posterior(x, model.W, model.mean, model.noise[0])
        assert np.allclose(codes, theirs[0]) and np.allclose(covariance, theirs[1])


def test_factor_analysis_is_that_of_scikit_learn() -> None:
    x = X["diagonal"]
    theirs = FactorAnalysis(2, tol=1e-12, max_iter=20_000, svd_method="lapack").fit(x)
    ours = models.fit_linear_gaussian(x, 2, noise="diagonal", seed=1).model
    assert ours.log_prob(x).mean() == pytest.approx(theirs.score(x), abs=1e-8)
    assert np.allclose(ours.noise, theirs.noise_variance_, rtol=1e-3)
    assert np.allclose(ours.covariance, theirs.get_covariance(), rtol=0, atol=1e-3)
    same = models.LinearGaussian(theirs.components_.T, theirs.mean_, theirs.noise_variance_)
    assert np.allclose(same.log_prob(x), theirs.score_samples(x), rtol=1e-10)
    assert np.allclose(same.posterior(x)[0], theirs.transform(x), rtol=0, atol=1e-10)


@pytest.mark.parametrize("noise", BOTH)
def test_independent_codes_pick_axes_and_others_do_not(noise: str) -> None:
    def mixing(method: str, seed: int) -> float:
        model = models.fit_linear_gaussian(X[noise], 2, noise=noise, method=method, seed=seed).model
        overlap = (model.W.T / model.noise) @ model.W
        return abs(overlap[0, 1]) / np.sqrt(overlap[0, 0] * overlap[1, 1])

    assert max(mixing("vi", seed) for seed in range(5)) < 1e-3
    assert max(mixing("em", seed) for seed in range(5)) > 0.05


@pytest.mark.parametrize("noise", BOTH)
def test_what_is_lost_to_the_truth_is_half_the_free_parameters(noise: str) -> None:
    # Wilks: twice the log of the likelihood ratio is chi-square, with as many degrees as there are free parameters.
    degrees = 6 + 6 * 2 - 1 + (1 if noise == "isotropic" else 6)  # mean, W up to a rotation, noise
    twice = []
    for seed in range(40):
        x = TRUTH[noise].sample(2000, seed=100 + seed)
        model = models.fit_linear_gaussian(x, 2, noise=noise, method="ml", seed=seed).model
        twice.append(2 * (model.log_prob(x) - TRUTH[noise].log_prob(x)).sum())
    total = sum(twice)
    assert stats.chi2.sf(total, 40 * degrees) > ALPHA and stats.chi2.cdf(total, 40 * degrees) > ALPHA


def test_samples_and_the_energy_are_the_model() -> None:
    truth = TRUTH["diagonal"]
    law = stats.multivariate_normal(truth.mean, truth.covariance)
    x = truth.sample(20_000, seed=1)
    assert np.allclose(truth.log_prob(x), law.logpdf(x), rtol=1e-10)
    white = np.linalg.solve(np.linalg.cholesky(truth.covariance), (x - truth.mean).T).ravel()
    assert stats.kstest(white, "norm").pvalue > ALPHA
    samplers.check(truth.as_energy())


def test_a_fit_that_has_not_ended_says_so() -> None:
    for method in ("em", "ml"):
        with pytest.warns(RuntimeWarning, match="the fit has not ended in 3 iterations"):
            models.fit_linear_gaussian(X["isotropic"], 2, method=method, iterations=3, seed=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent": 6}, r"latent < d < n, got \(500, 6\) and latent=6"),
        ({"latent": 0}, "latent must be"),
        ({"noise": "full"}, 'noise must be "isotropic" or "diagonal"'),
        ({"method": "mcmc"}, 'method must be "em", "vi" or "ml"'),
        ({"iterations": 0}, "iterations must be"),
        ({"x": np.full((9, 3), np.nan)}, "x must be finite"),
        ({"x": np.ones((9, 3))}, "got a constant in column 0"),
        ({"x": X["diagonal"][:, [0, 0, 1, 2]], "latent": 1, "noise": "diagonal"}, "number [01] must stay positive"),
        ({"x": X["diagonal"][:, [0, 0, 1, 2]], "latent": 1, "noise": "diagonal", "method": "ml"}, "Heywood"),
    ],
)
def test_errors_name_the_argument(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.fit_linear_gaussian(**({"x": X["isotropic"], "latent": 2, "seed": 1} | changes))
