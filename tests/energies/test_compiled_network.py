"""Networks compiled whole: torch's own energy and gradient to the rounding of their precision, and exact sampling."""

import numpy as np
import pytest
import torch
from laws import ALPHA, ArrayTier, mean_p
from numba import njit
from torch import nn

import ebm
import samplers
from samplers.inner import OPTIONS
from samplers.lanes import as_lanes
from samplers.tags import tag

KINDS = [nn.SiLU, nn.Tanh, nn.ReLU, nn.Softplus, nn.Sigmoid, nn.ELU]


def _network(kind: type[nn.Module], dtype: torch.dtype, inputs: int = 3) -> nn.Sequential:
    torch.manual_seed(2)
    # Products are taken in blocks of eight, two and one registers: these sizes meet them all. One layer has no bias.
    layers = (nn.Linear(inputs, 150), kind(), nn.Linear(150, 10, bias=False), kind(), nn.Linear(10, 1))
    return nn.Sequential(*layers).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_energy_and_gradient_are_those_of_torch(kind: type[nn.Module], dtype: torch.dtype) -> None:
    module = _network(kind, dtype)
    compiled, array = ebm.CompiledNetwork(module), ebm.TorchEnergy(module, shape=(3,))
    rounding = 64 * np.finfo(np.float32 if dtype == torch.float32 else np.float64).eps  # of sums of tens of terms
    for scale in (0.1, 2.0, 50.0):  # activations in the middle and far out
        x = scale * np.random.default_rng(1).normal(size=(50, 3))
        np.testing.assert_allclose(compiled(x), array(x), rtol=rounding, atol=rounding * scale)
        np.testing.assert_allclose(compiled.grad(x), array.grad(x), rtol=rounding, atol=rounding)


@pytest.mark.parametrize("kind", KINDS)
def test_a_nan_is_seen(kind: type[nn.Module]) -> None:
    compiled = ebm.CompiledNetwork(_network(kind, torch.float32))
    assert np.isnan(compiled(np.array([[0.0, np.nan, 0.0]]))).all()


@njit(**OPTIONS)
def _eight(both, p, x, beta, out, work, u):
    as_lanes(u)[0] = both(as_lanes(x), as_lanes(beta)[0], 1.0, p, as_lanes(out), as_lanes(work))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_eight_chains_together_have_the_bits_of_each_by_itself(dtype: torch.dtype) -> None:
    for kind in KINDS:
        energy = ebm.CompiledNetwork(_network(kind, dtype))
        x = 3.0 * np.random.default_rng(1).normal(size=(8, 3))
        x[2, 1] = np.nan  # in one lane, seen there and nowhere else
        beta, out = np.linspace(0.5, 2.0, 8), np.zeros((3, 8))
        u, work = np.empty((1, 8)), np.empty((3, 8))
        _eight(energy.compiled.both, energy.compiled.params, x.T.copy(), beta[None], out, work, u)
        assert np.array_equal(u[0], energy.reduced(x, beta), equal_nan=True)
        assert np.array_equal(out.T, energy.reduced_grad(x, beta), equal_nan=True)
        assert np.array_equal(np.isnan(u[0]), np.arange(8) == 2)


def test_one_layer_and_one_hidden_layer() -> None:
    for module in (nn.Sequential(nn.Linear(2, 1)), nn.Sequential(nn.Linear(2, 5), nn.SiLU(), nn.Linear(5, 1))):
        compiled, array = ebm.CompiledNetwork(module), ebm.TorchEnergy(module, shape=(2,))
        x = np.random.default_rng(1).normal(size=(7, 2))
        np.testing.assert_allclose(compiled(x), array(x), atol=1e-6)
        np.testing.assert_allclose(compiled.grad(x), array.grad(x), atol=1e-6)


def test_a_network_is_a_snapshot_of_a_configuration_of_any_shape() -> None:
    module = _network(nn.Tanh, torch.float64, inputs=4)
    compiled = ebm.CompiledNetwork(module, shape=(2, 2), domain="angle")
    samplers.check(compiled)
    x = np.random.default_rng(1).normal(size=(3, 2, 2))
    before = compiled(x)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2.0)
    assert np.array_equal(compiled(x), before)


@pytest.mark.slow
def test_both_tiers_of_a_confined_network_have_one_trajectory() -> None:
    module = _network(nn.SiLU, torch.float64, inputs=2)
    well = ebm.Gaussian([0.0, 0.5], [[1.0, 0.3], [0.3, 0.8]])
    energies = ebm.CompiledNetwork(module) + well, ebm.TorchEnergy(module, shape=(2,)) + well
    run = {"chains": 3, "draws": 10, "warmup": 20, "beta": 0.7, "seed": 5, "progress": False}
    compiled, array = (samplers.sample(energy, samplers.MALA(), **run) for energy in energies)
    np.testing.assert_allclose(compiled.x, array.x, rtol=0, atol=1e-8)
    np.testing.assert_allclose(compiled.energy, array.energy, rtol=0, atol=1e-8)


def test_chains_have_the_same_bits_whatever_their_number_and_the_threads() -> None:
    energy = ebm.CompiledNetwork(_network(nn.SiLU, torch.float64, inputs=2)) + ebm.Gaussian([0.0, 0.5], np.eye(2))
    assert tag(energy.compiled, samplers.MALA.kernel.sweep).cacheable
    begin, run = np.random.default_rng(1).normal(size=(19, 2)), {"draws": 5, "warmup": 10, "seed": 3, "progress": False}
    many = samplers.sample(energy, samplers.MALA(), chains=19, init=begin, **run)
    few = samplers.sample(energy, samplers.MALA(), chains=1, init=begin[:1], **run)
    assert np.array_equal(many.x[:1], few.x)
    threads = samplers.get_threads()
    try:
        for count in (1, 3):
            samplers.set_threads(count)
            again = samplers.sample(energy, samplers.MALA(), chains=19, init=begin, **run)
            assert np.array_equal(again.x, many.x) and np.array_equal(again.energy, many.energy)
    finally:
        samplers.set_threads(threads)


def test_a_linear_network_in_a_well_shifts_it() -> None:
    """exp(-beta (w x + x^2 / 2)) is normal around -w: MALA started there stays there."""
    module = nn.Sequential(nn.Linear(1, 1))
    energy = ebm.CompiledNetwork(module) + ebm.Gaussian([0.0], [[1.0]])
    w, beta, n = float(module[0].weight.detach()), 1.7, 20_000
    begin = np.random.default_rng(3).normal(-w, beta**-0.5, (n, 1))
    run = {"chains": n, "draws": 1, "warmup": 0, "thin": 3, "beta": beta, "init": begin, "seed": 4, "progress": False}
    x = samplers.sample(ArrayTier(energy), samplers.MALA(0.8, target_acceptance=None), **run).x.ravel()
    assert mean_p(x, -w) > ALPHA and mean_p((x + w) ** 2, 1.0 / beta) > ALPHA


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: ebm.CompiledNetwork(nn.Linear(2, 1)), TypeError, "must be a torch.nn.Sequential, got Linear"),
        (lambda: ebm.CompiledNetwork(nn.Sequential(nn.Linear(2, 3))), TypeError, "Linear layer with one output, got"),
        (lambda: ebm.CompiledNetwork(nn.Sequential()), TypeError, "one output, got none"),
        (lambda: ebm.CompiledNetwork(nn.Sequential(nn.Linear(2, 3), nn.SiLU())), TypeError, "one output, got SiLU"),
        (lambda: ebm.CompiledNetwork(nn.Sequential(nn.Conv1d(2, 3, 1))), TypeError, r"module\[0\] must be Linear, got"),
        (lambda: ebm.CompiledNetwork(nn.Sequential(nn.Linear(2, 3), nn.ELU(0.5), nn.Linear(3, 1))), TypeError,
         r"module\[1\] must be one of SiLU.* default settings, got ELU\(alpha=0.5\)"),
        (lambda: ebm.CompiledNetwork(nn.Sequential(nn.Linear(2, 3), nn.Softplus(2), nn.Linear(3, 1))), TypeError,
         r"default settings, got Softplus\(beta=2"),
        (lambda: ebm.CompiledNetwork(nn.Sequential(nn.Linear(2, 1)).to(torch.float16)), TypeError, "all float32 or"),
        (lambda: ebm.CompiledNetwork(nn.Sequential(nn.Linear(2, 1)), shape=(3,)), ValueError,
         r"shape must hold the network's 2 inputs, got \(3,\)"),
        (lambda: ebm.CompiledNetwork(nn.Sequential(nn.Linear(2, 1)), domain="spin"), ValueError, "real or angle, got"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(call: object, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()  # type: ignore[operator]


def test_activations_in_place_are_taken_too() -> None:
    module = nn.Sequential(
        nn.Linear(2, 3), nn.SiLU(inplace=True), nn.Linear(3, 3), nn.ELU(inplace=True), nn.Linear(3, 1)
    )
    assert ebm.CompiledNetwork(module).activations == ["SiLU", "ELU"]


def test_weights_that_are_not_numbers_are_refused() -> None:
    module = nn.Sequential(nn.Linear(2, 1))
    with torch.no_grad():
        module[0].weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match="must be finite"):
        ebm.CompiledNetwork(module)
