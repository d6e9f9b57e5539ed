"""Probabilistic PCA in closed form, against scipy's normal distribution and scikit-learn."""

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA

from ebm.exact import ppca_fit, ppca_log_likelihood, ppca_posterior

RNG = np.random.default_rng(3)
X = RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 6)) + 0.7 * RNG.normal(size=(200, 6)) + np.arange(6)


def test_the_likelihood_is_that_of_a_normal_distribution() -> None:
    W, mean = RNG.normal(size=(6, 2)), RNG.normal(size=6)
    law = stats.multivariate_normal(mean, W @ W.T + 0.3 * np.eye(6))
    assert np.allclose(ppca_log_likelihood(X, W, mean, 0.3), law.logpdf(X), rtol=1e-12)


def test_the_likelihood_is_that_of_scikit_learn() -> None:
    pca = PCA(2).fit(X)  # with variances divided by n - 1
    W = pca.components_.T * np.sqrt(pca.explained_variance_ - pca.noise_variance_)
    ours = ppca_log_likelihood(X, W, pca.mean_, pca.noise_variance_).mean()
    assert ours == pytest.approx(pca.score(X), rel=1e-12)
    fit = ppca_fit(X, 2)
    assert np.allclose(fit.W @ fit.W.T, W @ W.T * 199 / 200, rtol=1e-10)
    assert fit.variance == pytest.approx(pca.noise_variance_ * 199 / 200, rel=1e-10)


def test_no_parameters_near_it_are_more_likely() -> None:
    W, mean, variance = ppca_fit(X, 2)
    best = ppca_log_likelihood(X, W, mean, variance).mean()
    for _ in range(50):
        step = 0.02 * RNG.normal(size=W.shape), 0.02 * RNG.normal(size=6), np.exp(0.02 * RNG.normal())
        assert ppca_log_likelihood(X, W + step[0], mean + step[1], variance * step[2]).mean() < best


def test_the_posterior_is_bayes_rule() -> None:
    W, mean, variance = ppca_fit(X, 2)
    codes, covariance = ppca_posterior(X, W, mean, variance)
    z = RNG.normal(size=(200, 2))
    joint = stats.norm.logpdf(z).sum(1) + stats.norm.logpdf(X, z @ W.T + mean, np.sqrt(variance)).sum(1)
    law = stats.multivariate_normal(np.zeros(2), covariance)
    assert np.allclose(joint - law.logpdf(z - codes), ppca_log_likelihood(X, W, mean, variance), rtol=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ppca_fit(X, 6), "latent must be less than the 6 numbers"),
        (lambda: ppca_fit(X, 0), "latent must be at least 1"),
        (lambda: ppca_fit(X[:, [0, 0, 0]], 1), "x must vary beyond 1 components"),
        (lambda: ppca_log_likelihood(X, np.eye(6)[:, :2], np.zeros(6), 0.0), "variance must be positive"),
        (lambda: ppca_posterior(X, np.eye(5)[:, :2], np.zeros(5), 1.0), r"x must have shape \(any, 5\)"),
    ],
)
def test_errors_name_the_argument(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
