"""The Gaussian RBM is a mixture of Gaussians at every beta: energy, gradient, sampling. alpha = 1e-6."""

import numpy as np
import pytest
from scipy import integrate, stats

import samplers
from ebm import exact
from ebm.gaussian_rbm import GaussianRBM
from samplers import random

ALPHA = 1e-6
H = np.concatenate(list(exact.states((3,), "binary"))).astype(float)


def machine(n_visible: int = 1, dtype: str = "float64") -> GaussianRBM:
    rng = np.random.default_rng(n_visible)
    W, b, c = 1.5 * rng.standard_normal((n_visible, 3)), rng.standard_normal(n_visible), rng.standard_normal(3)
    return GaussianRBM(n_visible, 3, W=W, b=b, c=c, sigma=rng.uniform(0.6, 1.4, n_visible), dtype=dtype)


def components(rbm: GaussianRBM, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights (8,) and means (8, visible) of the mixture, from E(v, h) by completing the square in v."""
    means = rbm.b + H @ rbm.W.T
    log_weight = beta * (H @ rbm.c + ((means**2 - rbm.b**2) / (2 * rbm.sigma**2)).sum(1))
    weight = np.exp(log_weight - log_weight.max())
    return weight / weight.sum(), means


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_density_is_normalised_by_log_z(beta):
    rbm = machine()
    log_z = rbm.log_z(beta)
    total, _ = integrate.quad(lambda v: float(np.exp(-rbm.reduced([[v]], beta)[0] - log_z)), -20, 20, limit=200)
    assert total == pytest.approx(1, rel=1e-8)


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_reduced_energy_sums_hidden_units_out_at_beta(beta):
    rbm = machine(2)
    v = np.random.default_rng(0).standard_normal((10, 2))
    square = ((v - rbm.b) ** 2 / (2 * rbm.sigma**2)).sum(1)
    joint = square[:, None] - H @ rbm.c - (v / rbm.sigma**2) @ rbm.W @ H.T
    np.testing.assert_allclose(rbm.reduced(v, beta), -np.log(np.exp(-beta * joint).sum(1)), rtol=1e-12)
    p = np.exp(-beta * joint)
    np.testing.assert_allclose(rbm.hidden(v, beta), p @ H / p.sum(1, keepdims=True), rtol=1e-12)


def test_gradient_is_the_derivative_in_both_tiers():
    rbm = machine(2)
    samplers.check(rbm)
    v, step = np.random.default_rng(1).standard_normal((6, 2)), 1e-6
    for i in range(2):
        move = step * np.eye(2)[i]
        numeric = (rbm.reduced(v + move, 0.7) - rbm.reduced(v - move, 0.7)) / (2 * step)
        np.testing.assert_allclose(rbm.reduced_grad(v, 0.7)[:, i], numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("beta", [0.5, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_block_gibbs_from_exact_start_stays_exact(beta, dtype):
    rbm, chains = machine(2, dtype), 40_000
    rng = np.random.default_rng(3)
    weight, means = components(machine(2), beta)
    width = machine(2).sigma / np.sqrt(beta)
    which = rng.choice(8, chains, p=weight)
    x = means[which] + width * rng.standard_normal((chains, 2))
    rbm.block_gibbs(x, np.full(chains, beta), random.make_streams(4, chains), 2)
    for i in range(2):  # each coordinate against the exact mixture, in 40 bins of equal probability

        def cdf(v, i=i):
            return weight @ stats.norm.cdf((v - means[:, i, None]) / width[i])

        counts = np.histogram(cdf(x[:, i]), 40, (0, 1))[0]
        assert stats.chisquare(counts).pvalue > ALPHA
    # Correlation of the two coordinates, which a wrong hidden layer would change.
    centre = weight @ means
    exact_covariance = (weight * (means[:, 0] - centre[0])) @ (means[:, 1] - centre[1])
    products = (x[:, 0] - centre[0]) * (x[:, 1] - centre[1])
    assert stats.ttest_1samp(products, exact_covariance).pvalue > ALPHA


def test_one_sweep_forgets_through_the_hidden_layer_only():
    rbm, chains, beta = machine(1), 40_000, 0.8
    x = np.full((chains, 1), 0.3)
    rbm.block_gibbs(x, np.full(chains, beta), random.make_streams(5, chains), 1)
    on = rbm.hidden([[0.3]], beta)[0]
    weight = np.where(H == 1, on, 1 - on).prod(1)
    means, width = rbm.b + H @ rbm.W.T, rbm.sigma / np.sqrt(beta)
    u = weight @ stats.norm.cdf((x[:, 0] - means) / width)
    assert stats.chisquare(np.histogram(u, 40, (0, 1))[0]).pvalue > ALPHA


def test_bad_widths_are_named():
    with pytest.raises(ValueError, match="sigma must be positive, got 0"):
        GaussianRBM(2, 1, sigma=[1.0, 0.0])
    with pytest.raises(ValueError, match=r"sigma must have shape \(2\), got \(3,\)"):
        GaussianRBM(2, 1, sigma=[1.0, 1.0, 1.0])
