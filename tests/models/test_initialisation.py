"""First weights: He's keep the mean square of activations in law, Xavier's and orthogonal ones what they promise; equal
units stay equal."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import models
from models.streams import seeded

pytestmark = pytest.mark.usefixtures("one_torch_thread")

ALPHA = 1e-6  # the false-alarm rate of every statistical test here
WIDTH, DEPTH = 64, 20


def mean_squares(network: nn.Module, x: torch.Tensor) -> float:
    """Mean square of what the last activation gives, over that of the first."""
    found = []
    for layer in network:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            found.append(x.square().mean().item())
    return found[-1] / found[0]


def test_he_keeps_the_mean_square_of_relu_activations() -> None:
    """Given a layer, the numbers of the next are normal and independent: its mean square changes by the factor
    (2 / n) sum over i of relu(g_i)^2, that is (2 / n) chi^2 of K degrees with K ~ Binomial(n, 1/2). Its mean is 1, its
    variance 5 / n, that of the product of L is (1 + 5 / n)^L - 1. The ratios of 200 networks are compared with products
    of 19 such factors (Kolmogorov and Smirnov).
    """
    x = torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(0))
    ratios = []
    for seed in range(200):
        model = models.MLP(WIDTH, hidden=(WIDTH,) * DEPTH, initialisation="he", seed=seed)
        with torch.no_grad():
            ratios.append(mean_squares(model.network, x))
    rng = np.random.default_rng(0)
    units = rng.binomial(WIDTH, 0.5, (20_000, DEPTH - 1))
    law = (rng.chisquare(units) * 2 / WIDTH).prod(1)
    assert stats.ks_2samp(ratios, law).pvalue > ALPHA
    assert stats.ks_2samp(np.array(ratios) * 1.03 ** (2 * (DEPTH - 1)), law).pvalue < ALPHA  # sees 3 % of a weight


@pytest.mark.parametrize(
    ("scheme", "scale", "deviation"),
    [("normal", 0.01, 0.01), ("xavier", 1.0, math.sqrt(2 / 500)), ("he", 0.5, 0.5 * math.sqrt(2 / 300))],
)
def test_weights_have_the_deviation_that_was_asked(scheme: str, scale: float, deviation: float) -> None:
    layer = nn.Linear(300, 200)
    with seeded(1):
        models.initialise(layer, scheme, scale)
    w = layer.weight.detach().double().numpy().ravel()
    assert stats.kstest(w / deviation, "norm").pvalue > ALPHA
    chi_square = stats.chi2(w.size)
    for factor, holds in ((1.0, True), (1.02, False)):
        total = np.sum((w / (factor * deviation)) ** 2)
        assert (2 * min(chi_square.cdf(total), chi_square.sf(total)) > ALPHA) == holds
    assert not layer.bias.any()


def test_filters_count_their_area() -> None:
    for scheme, variance in (("he", 2 / (50 * 9)), ("xavier", 2 / ((50 + 40) * 9))):
        layer = nn.Conv2d(50, 40, 3)
        with seeded(1):
            models.initialise(layer, scheme)
        w = layer.weight.detach().double().numpy().ravel()
        assert stats.kstest(w / math.sqrt(variance), "norm").pvalue > ALPHA


def test_orthogonal_weights_keep_lengths_through_any_depth() -> None:
    model = models.MLP(32, hidden=(32,) * 50, initialisation="orthogonal", scale=1.5, seed=1).double()
    x = torch.randn(7, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = x
    for layer in model.network[:-1]:
        y = y if isinstance(layer, nn.ReLU) else layer(y)
    assert torch.allclose(y.norm(dim=1), 1.5**50 * x.norm(dim=1), rtol=1e-4)  # made in single precision


@pytest.mark.parametrize("scheme", ["zeros", "constant"])
def test_equal_units_stay_equal_exactly(scheme: str) -> None:
    """All numbers here are fractions of few binary digits, so that sums do not round, in whatever order."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(-2, 3, (16, 5)), rng.integers(-2, 3, 16)
    made = {"hidden": (7,), "scale": 0.5, "seed": 1}
    model = models.MLP(5, initialisation=scheme, **made).double()
    other = models.MLP(5, initialisation="constant", **made).double()
    with torch.no_grad():
        other.network[1].weight[0] *= 2.0
    for net in (model, other):
        sgd = torch.optim.SGD
        models.fit(net, (x, y), epochs=2, batch_size=16, learning_rate=1 / 32, optimiser=sgd, seed=1, progress=False)
    equal = []
    for net in (model, other):
        first, last = (layer for layer in net.network if isinstance(layer, nn.Linear))
        equal.append([bool((w == w[0]).all()) for w in (first.weight, first.bias, last.weight[0])])
        assert last.bias.any()  # it has learned what it could
    assert equal == [[True] * 3, [False] * 3]


@pytest.mark.parametrize(("scheme", "scale"), [("zeros", 1.0), ("constant", 0.3)])
def test_equal_units_of_deep_networks_differ_by_rounding_alone(scheme: str, scale: float) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(64, 5)), rng.integers(0, 3, 64)
    made = {"classes": 3, "hidden": (7, 7), "activation": "Sigmoid", "seed": 1}
    spreads = []
    for net in (models.MLP(5, initialisation=scheme, scale=scale, **made), models.MLP(5, **made)):
        net.double()
        models.fit(net, (x, y), epochs=20, batch_size=16, learning_rate=0.05, seed=1, progress=False)
        first, second, last = (layer.weight for layer in net.network if isinstance(layer, nn.Linear))
        parts = (first, second, second.T, last.T)
        spreads.append(max(float(((w - w[0]).abs().max() / w.abs().max()).detach()) for w in parts))
    assert spreads[0] < 1e-12 < 0.1 < spreads[1]


def test_small_normal_weights_leave_nothing_of_the_input_of_a_deep_network() -> None:
    x = torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(0))
    sizes = []
    for scheme, scale in (("normal", 0.01), ("he", 1.0)):
        model = models.MLP(WIDTH, hidden=(WIDTH,) * DEPTH, initialisation=scheme, scale=scale, seed=0)
        with torch.no_grad():
            sizes.append(mean_squares(model.network, x))
    assert sizes[0] < 1e-40
    assert 0.01 < sizes[1] < 100


def test_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match=r"initialisation must be one of zeros, constant, .* got 'ones'"):
        models.initialise(nn.Linear(1, 1), "ones")
    with pytest.raises(ValueError, match="scale must be finite, got nan"):
        models.initialise(nn.Linear(1, 1), "constant", math.nan)
    with pytest.raises(ValueError, match="scale must be a positive finite number, got -1"):
        models.initialise(nn.Linear(1, 1), "he", -1)
