"""Networks: losses as energies, directions, and Hessian spectra against all eigenvalues of dense Hessians."""

from typing import Any

import numpy as np
import pytest
import torch

import ebm
import samplers
from ebm.landscape import (
    NetworkLoss,
    extreme_eigenvalues,
    filter_directions,
    hessian_spectrum,
    interpolation,
    lanczos,
    minima,
    slice_through,
)

PROBES, LARGEST_Z = 100, 5.0


def small_network(seed: int = 0) -> NetworkLoss:
    """A network of 3-4-1 tanh units in float64, 21 weights, with the squared error of 40 points."""
    rng = np.random.default_rng(seed)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    x, y = torch.as_tensor(rng.normal(size=(40, 3))), torch.as_tensor(rng.normal(size=(40, 1)))
    network = NetworkLoss(module, lambda net: (net(x) - y).square().mean())
    network.assign(rng.normal(size=network.shape))
    return network


def dense_hessian(network: NetworkLoss) -> np.ndarray:
    """By torch's own functional Hessian, through functional_call: none of our code but the order of the weights."""
    names = [name for name, p in network.module.named_parameters() if p.requires_grad]
    sizes = [dict(network.module.named_parameters())[name].shape for name in names]

    class Copy(torch.nn.Module):
        def __init__(self, w: torch.Tensor) -> None:
            super().__init__()
            parts = w.split([size.numel() for size in sizes])
            self.values = {name: part.reshape(size) for name, part, size in zip(names, parts, sizes, strict=True)}

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(network.module, self.values, (x,))

    w = torch.as_tensor(network.weights)
    return torch.autograd.functional.hessian(lambda v: network.loss(Copy(v)), w).numpy()


def test_a_loss_is_an_energy_with_gradient_and_leaves_the_weights_alone() -> None:
    network = small_network()
    before = network.weights
    samplers.check(network)
    assert (network.weights == before).all()
    assert network(before[None])[0] == network.loss(network.module).item()
    with pytest.raises(ZeroDivisionError):
        NetworkLoss(network.module, lambda net: 1 / 0)(np.zeros((1, 21)))
    assert (network.weights == before).all()


def test_hessian_vector_products_are_those_of_the_dense_hessian() -> None:
    network = small_network()
    dense, v = dense_hessian(network), np.random.default_rng(1).normal(size=21)
    np.testing.assert_allclose(network.hessian_vector(network.weights, v), dense @ v, atol=1e-12)
    elsewhere = network.weights + 0.1
    slopes = [network.grad((elsewhere + sign * 1e-5 * v)[None])[0] for sign in (1, -1)]
    np.testing.assert_allclose(network.hessian_vector(elsewhere, v), (slopes[0] - slopes[1]) / 2e-5, atol=1e-7)


def test_a_linear_loss_has_no_curvature() -> None:
    layer = torch.nn.Linear(3, 1).double()
    network = NetworkLoss(layer, lambda net: net.weight.sum() + 2.0 * net.bias.sum())
    assert (network.hessian_vector(network.weights, np.ones(4)) == 0.0).all()


def test_lanczos_finds_all_eigenvalues_of_a_small_network() -> None:
    network = small_network()
    exact, vectors = np.linalg.eigh(dense_hessian(network))
    low, high = extreme_eigenvalues(network, network.weights, count=21, seed=3)
    np.testing.assert_allclose(low.values, exact, atol=1e-8)
    np.testing.assert_allclose(high.values, exact[::-1], atol=1e-8)
    np.testing.assert_allclose(np.abs(np.sum(high.vectors[:2] * vectors.T[::-1][:2], axis=1)), 1.0, atol=1e-8)


def test_few_steps_give_extreme_eigenvalues_within_their_residuals() -> None:
    network = small_network()
    exact = np.linalg.eigvalsh(dense_hessian(network))
    for end in extreme_eigenvalues(network, network.weights, count=2, steps=12, seed=3):
        for value, residual in zip(end.values, end.residuals, strict=True):
            assert np.abs(exact - value).min() <= residual + 1e-12
    matrix = np.diag(exact)
    short = lanczos(lambda v: matrix @ v, np.ones(21), 6)
    np.testing.assert_allclose(
        np.linalg.norm(short.vectors @ matrix - short.values[:, None] * short.vectors, axis=1),
        short.residuals,
        atol=1e-12,
    )


def test_the_moments_of_the_density_are_traces() -> None:
    network = small_network()
    dense = dense_hessian(network)
    found = hessian_spectrum(network, network.weights, probes=PROBES, steps=5, seed=1)
    np.testing.assert_allclose(found.weights.sum(1), 1.0)
    for power in range(1, 5):
        matrix = np.linalg.matrix_power(dense, power)
        # Hutchinson's estimate with signs has the variance 2 sum of the squares beside the diagonal.
        error = np.sqrt(2.0 * np.sum((matrix - np.diag(np.diag(matrix))) ** 2) / PROBES) / 21
        value, estimated = found.moment(power)
        assert abs(value - np.trace(matrix) / 21) < LARGEST_Z * error
        assert estimated == pytest.approx(error, rel=0.5)
    with pytest.raises(ValueError, match="power must be from 0 to 9, got 10"):
        found.moment(10)


def test_each_probe_integrates_polynomials_exactly() -> None:
    matrix = np.diag(np.linspace(-1.0, 2.0, 12))
    start = np.random.default_rng(0).normal(size=12)
    found = lanczos(lambda v: matrix @ v, start, 4)
    for power in range(8):
        theory = start @ np.linalg.matrix_power(matrix, power) @ start / (start @ start)
        assert np.sum(found.first**2 * found.values**power) == pytest.approx(theory, abs=1e-12)


def test_the_density_is_that_of_all_eigenvalues() -> None:
    network = small_network()
    exact = np.linalg.eigvalsh(dense_hessian(network))
    found = hessian_spectrum(network, network.weights, probes=30, steps=21, seed=2)
    values, width = np.linspace(exact[0] - 1.0, exact[-1] + 1.0, 4001), 0.1
    density = found.density(values, width)
    assert np.trapezoid(density, values) == pytest.approx(1.0, abs=1e-6)
    smooth = np.exp(-0.5 * ((values[:, None] - exact) / width) ** 2).sum(1) / (21 * width * np.sqrt(2 * np.pi))
    assert np.trapezoid(np.abs(density - smooth), values) < 0.2


def test_probes_that_end_early_leave_nothing_behind() -> None:
    # H = 2: one step spans all that a probe can reach.
    found = hessian_spectrum(ebm.Gaussian(np.zeros(5), np.eye(5) / 2.0), np.zeros(5), probes=3, steps=4, seed=0)
    assert np.isnan(found.nodes[:, 1:]).all() and found.moment(3) == (pytest.approx(8.0), pytest.approx(0.0))
    assert found.density(np.array([2.0]), 0.5)[0] == pytest.approx(1.0 / (0.5 * np.sqrt(2.0 * np.pi)))


def test_filter_directions_have_the_norms_of_the_filters() -> None:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Flatten(), torch.nn.Linear(12, 2)
    )
    network = NetworkLoss(module, lambda net: net(torch.ones(1, 2, 4, 4)).sum())
    directions = filter_directions(network, 2, seed=5)
    own = network.filters(network.weights)
    for v in directions:
        for p, d, w in zip(module.parameters(), network.filters(v), own, strict=True):
            if p.ndim > 1:
                np.testing.assert_allclose(np.linalg.norm(d, axis=1), np.linalg.norm(w, axis=1))
            else:
                assert (d == 0.0).all()
    assert (filter_directions(network, 2, seed=5) == directions).all()
    assert (filter_directions(network, 1, seed=6) != directions[:1]).any()


def test_torchs_own_random_numbers_are_left_alone() -> None:
    state = torch.random.get_rng_state()
    network = small_network()
    state = torch.random.get_rng_state()
    filter_directions(network, seed=1)
    hessian_spectrum(network, network.weights, probes=1, steps=2, seed=1)
    slice_through(network, network.weights, filter_directions(network, 1, seed=1), n=2)
    assert (torch.random.get_rng_state() == state).all()


def test_interpolation_meets_both_ends_and_training_is_a_minimum() -> None:
    first, last = small_network(0), small_network(0)
    ends = [first.weights, first.weights[::-1].copy()]
    line = interpolation(last, *ends, reach=(0.0, 1.0), n=5)
    np.testing.assert_allclose(line.energies[[0, -1]], last(np.array(ends)))
    np.testing.assert_allclose(line.energies[2], last(np.mean(ends, axis=0)[None])[0])
    square = NetworkLoss(torch.nn.Linear(2, 1, bias=False).double(), lambda net: (net.weight - 3.0).square().sum())
    (found,) = minima(square, np.zeros((1, 2)))
    np.testing.assert_allclose(found.x, 3.0)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda n: NetworkLoss(None, None), TypeError, "module must be a torch module, got NoneType"),
        (lambda n: NetworkLoss(torch.nn.Tanh(), None), ValueError, "module must have trainable parameters, got none"),
        (lambda n: n(np.zeros(21)), ValueError, r"w must have shape \(n, 21\), got \(21,\)"),
        (
            lambda n: NetworkLoss(n.module, lambda net: torch.ones(2)).grad(np.zeros((1, 21))),
            ValueError,
            r"loss must return one number, got shape \(2,\)",
        ),
        (
            lambda n: extreme_eigenvalues(n, n.weights, count=30, seed=0),
            ValueError,
            "count must be from 1 to 21, got 30",
        ),
        (
            lambda n: hessian_spectrum(n, np.zeros(3), seed=0),
            ValueError,
            r"x must be one configuration of shape \(21,\)",
        ),
        (
            lambda n: hessian_spectrum(ebm.Ising((3,)), np.ones(3), seed=0),
            TypeError,
            "hessian_spectrum needs an energy of domain",
        ),
    ],
)
def test_wrong_arguments_of_networks_are_named(call: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        call(small_network())
