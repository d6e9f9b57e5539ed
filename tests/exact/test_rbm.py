"""ln Z of RBMs against sums over both layers, and of Gaussian ones against numerical integration."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logsumexp

from ebm.exact import gaussian_rbm_log_z, log_z_quadrature, rbm_log_likelihood, rbm_log_z, states


def parameters(visible: int, hidden: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(5)
    return (
        generator.normal(0, scale, (visible, hidden)),
        generator.normal(0, scale, visible),
        generator.normal(0, scale, hidden),
    )


def layer(units: int) -> np.ndarray:
    return np.concatenate(list(states((units,), "binary"))).astype(np.float64)


def joint_energies(W: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """-b.v - c.h - v W h for every pair of layers, (2^visible, 2^hidden)."""
    v, h = layer(len(b)), layer(len(c))
    return -(v @ b)[:, None] - h @ c - v @ W @ h.T


@pytest.mark.parametrize("beta", (0.25, 1.0, 2.0))
@pytest.mark.parametrize(("visible", "hidden"), ((4, 5), (5, 4), (1, 6), (6, 1), (3, 3)))
def test_rbm_equals_sum_over_both_layers(visible, hidden, beta):
    W, b, c = parameters(visible, hidden)
    log_weight = -beta * joint_energies(W, b, c)
    log_z = logsumexp(log_weight)
    assert rbm_log_z(W, b, c, beta) == pytest.approx(log_z, rel=1e-13)
    assert rbm_log_z(SimpleNamespace(W=W, b=b, c=c), beta=beta) == pytest.approx(log_z, rel=1e-13)
    marginal = logsumexp(log_weight, axis=1) - log_z
    assert rbm_log_likelihood(layer(visible), W, b, c, beta) == pytest.approx(marginal, rel=1e-12)


def test_large_visible_layer_equals_the_plain_sum():
    W, b, c = parameters(784, 11, scale=0.3)
    h = layer(11)
    plain = logsumexp(h @ c + np.logaddexp(0.0, b + h @ W.T).sum(axis=1))
    assert rbm_log_z(W, b, c) == pytest.approx(plain, rel=1e-13)
    assert rbm_log_z(W.T, c, b) == pytest.approx(plain, rel=1e-13)  # the layers exchanged
    assert rbm_log_z(W.astype(np.float32), b, c) == pytest.approx(plain, rel=1e-5)


def test_one_hidden_unit_is_two_products_of_independent_pixels():
    W, b, c = parameters(784, 1)
    off = np.logaddexp(0.0, b).sum()
    on = c[0] + np.logaddexp(0.0, b + W[:, 0]).sum()
    assert rbm_log_z(W, b, c) == pytest.approx(np.logaddexp(off, on), rel=1e-14)


def test_huge_weights_do_not_overflow():
    W, b, c = parameters(6, 4, scale=1e4)
    assert rbm_log_z(W, b, c) == pytest.approx(logsumexp(-joint_energies(W, b, c)), rel=1e-13)


def test_likelihood_of_all_configurations_sums_to_one():
    W, b, c = parameters(10, 30)  # here the visible layer is the smaller
    assert np.exp(rbm_log_likelihood(layer(10), W, b, c, beta=0.7)).sum() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("beta", (0.3, 1.0, 2.5))
@pytest.mark.parametrize("visible", (1, 2))
def test_gaussian_rbm_equals_integration_over_the_visible_units(visible, beta):
    W, b, c = parameters(visible, 3)
    sigma = np.array([0.7, 1.6])[:visible]
    h = layer(3)

    def joint(v: np.ndarray) -> np.ndarray:
        quadratic = ((v - b) ** 2 / (2 * sigma**2)).sum(axis=1)[:, None]
        return quadratic - h @ c - (v / sigma**2) @ W @ h.T

    energy = SimpleNamespace(shape=(visible,), reduced=lambda v, beta: -logsumexp(-beta * joint(v), axis=1))
    # Means within 6 of zero and widths within 1.6 / sqrt(0.3) = 3: the box holds all but e^-50 of the mass.
    integral = log_z_quadrature(energy, [(-36, 36)] * visible, beta)
    assert gaussian_rbm_log_z(W, b, c, sigma, beta) == pytest.approx(integral, abs=1e-10)
    machine = SimpleNamespace(W=W, b=b, c=c, sigma=sigma)
    assert gaussian_rbm_log_z(machine, beta=beta) == pytest.approx(integral, abs=1e-10)


def test_gaussian_rbm_equals_the_mixture_written_out():
    W, b, c = parameters(50, 8, scale=0.4)
    h, beta, sigma = layer(8), 0.6, 1.3
    mean = b + h @ W.T
    exponent = h @ c + ((mean**2 - b**2) / (2 * sigma**2)).sum(axis=1)
    written = 25 * np.log(2 * np.pi * sigma**2 / beta) + logsumexp(beta * exponent)
    assert gaussian_rbm_log_z(W, b, c, sigma, beta) == pytest.approx(written, rel=1e-13)


def test_parameters_that_do_not_fit_are_named():
    W, b, c = parameters(4, 3)
    with pytest.raises(ValueError, match=r"b must have shape \(4,\) to fit W of shape \(4, 3\), got \(3,\)"):
        rbm_log_z(W, c, c)
    with pytest.raises(ValueError, match="b and c must be given with W"):
        rbm_log_z(W)
    with pytest.raises(ValueError, match="W must be finite, got nan"):
        rbm_log_z(np.full((4, 3), np.nan), b, c)
    with pytest.raises(ValueError, match="beta must be positive"):
        rbm_log_z(W, b, c, beta=0)
    with pytest.raises(ValueError, match="sigma must be positive"):
        gaussian_rbm_log_z(W, b, c, -1.0)
    with pytest.raises(ValueError, match="sigma must be positive, one number or one for each of 4"):
        gaussian_rbm_log_z(W, b, c, np.ones(3))
    with pytest.raises(ValueError, match=r"at most 2\^24 states can be summed exactly, got 2\^25"):
        rbm_log_z(np.zeros((25, 30)), np.zeros(25), np.zeros(30))
    with pytest.raises(ValueError, match=r"got 2\^25 of a hidden layer of 25 units"):
        gaussian_rbm_log_z(np.zeros((2, 25)), np.zeros(2), np.zeros(25), 1.0)


def test_data_that_does_not_fit_is_named():
    W, b, c = parameters(4, 3)
    with pytest.raises(ValueError, match=r"v must have shape \(n, 4\), got \(2, 3\)"):
        rbm_log_likelihood(np.zeros((2, 3)), W, b, c)
    with pytest.raises(ValueError, match=r"v must hold 0 and 1, got 0\.5"):
        rbm_log_likelihood(np.full((2, 4), 0.5), W, b, c)
