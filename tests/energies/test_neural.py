"""Networks as energies and scores: confined, reproducible, saved whole, and one function in all their forms."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from laws import ArrayTier

import ebm
import samplers

X = np.random.default_rng(3).normal(size=(7, 2))
IMAGES = np.random.default_rng(4).normal(size=(5, 8, 6))
NEURAL: dict[str, tuple[Any, np.ndarray]] = {
    "fully connected": (ebm.NeuralEnergy((2,), hidden=(8, 5), width=2.0, seed=1, dtype="float64"), X),
    "off centre": (ebm.NeuralEnergy((2,), hidden=(8,), mean=[1.0, -2.0], width=0.5, seed=1, dtype="float64"), X),
    "convolutional": (ebm.NeuralEnergy((8, 6), channels=(3, 4, 5), seed=1, dtype="float64"), IMAGES),
    "of flattened images": (ebm.NeuralEnergy((8, 6), hidden=(4,), seed=1, dtype="float64"), IMAGES),
    "in three channels": (
        ebm.NeuralEnergy((3, 8, 6), channels=(4,), activation="Tanh", seed=1, dtype="float64"),
        np.random.default_rng(5).normal(size=(2, 3, 8, 6)),
    ),
    "score model's level": (
        ebm.ScoreModel((2,), hidden=(8,), energy=True, data_width=1.5, seed=2, dtype="float64").at_noise(0.3),
        X,
    ),
}


@pytest.mark.parametrize("name", NEURAL)
def test_gradient_is_the_derivative_of_the_energy(name: str) -> None:
    energy, x = NEURAL[name]
    grad = energy.grad(x)
    assert grad.shape == x.shape and energy(x).shape == (len(x),) and energy(x).dtype == np.float64
    for index in [(0, *[0] * (x.ndim - 1)), (1, *[1] * (x.ndim - 1))]:
        sides = []
        for shift in (1e-6, -1e-6):
            y = x.copy()
            y[index] += shift
            sides.append(energy(y)[index[0]])
        assert grad[index] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5, abs=1e-7)
    np.testing.assert_allclose(np.concatenate([energy(row[None]) for row in x]), energy(x), rtol=1e-12)


def test_the_compiled_energy_follows_the_weights() -> None:
    for shape, x in (((2,), X), ((8, 6), IMAGES)):
        energy = ebm.NeuralEnergy(shape, hidden=(8, 5), mean=0.3, width=1.5, seed=1, dtype="float64")
        for _ in range(2):
            np.testing.assert_allclose(ebm.Energy.reduced(energy, x, 0.7), energy.reduced(x, 0.7), rtol=1e-12)
            np.testing.assert_allclose(ebm.Energy.reduced_grad(energy, x, 0.7), energy.reduced_grad(x, 0.7), rtol=1e-9)
            assert energy.compiled.params[0] is energy.compiled.params[0]  # no new snapshot of the same weights
            for array in energy.learnable().values():
                array += 0.1
    for other in (ebm.NeuralEnergy((8, 6), channels=(2,)), ebm.NeuralEnergy((2,), hidden=(1024, 1024))):
        assert other.compiled is None


def test_both_tiers_lead_a_network_the_same_way() -> None:
    energy = ebm.NeuralEnergy((2,), hidden=(8, 5), width=2.0, seed=1, dtype="float64")
    run = {"chains": 11, "draws": 5, "thin": 3, "warmup": 10, "beta": 0.8, "seed": 4, "progress": False}
    ours, plain = (samplers.sample(e, samplers.MALA(0.1), **run) for e in (energy, ArrayTier(energy)))
    np.testing.assert_allclose(ours.x, plain.x, rtol=0, atol=1e-9)


def test_far_away_the_energy_is_its_quadratic() -> None:
    energy = ebm.NeuralEnergy((2,), hidden=(16, 16), activation="ReLU", mean=1.0, width=3.0, seed=4)
    for direction in np.random.default_rng(1).normal(size=(5, 2)):
        far = 1.0 + np.array([1e4, 1e5])[:, None] * direction
        ratio = energy(far) / (((far - 1.0) ** 2).sum(1) / 18.0)
        assert np.abs(ratio - 1.0).max() < 1e-2 and abs(ratio[1] - 1.0) < abs(ratio[0] - 1.0)


def test_the_seed_gives_the_weights_and_leaves_torch_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    a, b, c = (ebm.NeuralEnergy((2,), hidden=(8,), seed=s) for s in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(a(X), b(X)) and not np.array_equal(a(X), c(X))
    assert not np.array_equal(ebm.NeuralEnergy((2,), hidden=(8,))(X), ebm.NeuralEnergy((2,), hidden=(8,))(X))


@pytest.mark.parametrize("energy", [False, True])
@pytest.mark.parametrize("noisy", [False, True])
def test_score_models_have_one_score_in_all_forms(energy: bool, noisy: bool) -> None:
    model = ebm.ScoreModel(
        (2,), hidden=(8,), energy=energy, noise_conditional=noisy, data_width=1.7, seed=3, dtype="float64"
    )
    level = model.at_noise(0.4) if noisy else model
    sigma = torch.full((7,), 0.4, dtype=torch.float64) if noisy else None
    np.testing.assert_allclose(model.score(model.tensor(X), sigma).detach().numpy(), -level.grad(X), rtol=1e-12)
    assert samplers.protocols.has_energy(level) == energy
    if energy:
        for i in range(2):
            step = 1e-6 * np.eye(2)[i]
            slope = (level(X + step) - level(X - step)) / 2e-6
            np.testing.assert_allclose(slope, level.grad(X)[:, i], rtol=1e-6, atol=1e-8)
    else:
        with pytest.raises(TypeError, match=r"MALA needs .*energy"):
            samplers.sample(level, samplers.MALA(), draws=1, progress=False)


def test_a_score_model_without_weights_is_right_for_a_gaussian_of_its_width() -> None:
    for energy in (False, True):
        model = ebm.ScoreModel((2,), hidden=(8,), energy=energy, data_width=1.7, seed=3, dtype="float64")
        model = ebm.ScoreModel(**{**model.parameters(), "weights": np.zeros_like(model.parameters()["weights"])})
        for sigma in (0.1, 2.0):
            np.testing.assert_allclose(model.at_noise(sigma).grad(X), X / (1.7**2 + sigma**2), rtol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ebm.NeuralEnergy((2,), hidden=(8, 5), mean=[0.5, 1.0], width=2.0, activation="Tanh", seed=1),
        lambda: ebm.NeuralEnergy((8, 6), channels=(3, 4), seed=1, dtype="float64"),
        lambda: ebm.ScoreModel((2,), hidden=(8,), energy=True, data_width=1.5, seed=2),
        lambda: ebm.ScoreModel((2, 3), hidden=(8,), noise_conditional=False, seed=2),
    ],
)
def test_a_loaded_network_is_the_saved_one(make: Any, tmp_path: Path) -> None:
    saved = make()
    saved.save(tmp_path / "network.h5")
    loaded = ebm.load(tmp_path / "network.h5")
    x = np.random.default_rng(1).normal(size=(4, *saved.shape))
    if getattr(saved, "noise_conditional", False):
        saved, loaded = saved.at_noise(0.5), loaded.at_noise(0.5)
    np.testing.assert_array_equal(saved.grad(x), loaded.grad(x))
    assert type(saved) is type(loaded)


def test_a_network_of_ones_own_is_sampled_and_not_saved(tmp_path: Path) -> None:
    net = torch.nn.Linear(2, 1)
    energy = ebm.NeuralEnergy((2,), network=net, width=1.0)
    bias, weight = net.bias.detach().numpy(), net.weight.detach().numpy()[0]
    np.testing.assert_allclose(energy(X), X @ weight + bias + (X**2).sum(1) / 2, rtol=1e-6)
    with pytest.raises(TypeError, match="NeuralEnergy is made of code"):
        energy.save(tmp_path / "network.h5")
    x = samplers.sample(energy, samplers.MALA(), chains=64, draws=20, thin=10, seed=1, progress=False).x
    mean = np.asarray(x)[:, -1].mean(0)  # a Gaussian about -weight
    assert (np.abs(mean + weight) < 6 / np.sqrt(64)).all()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ebm.NeuralEnergy((2,), width=0.0), ValueError, "width must be a positive finite number, got 0.0"),
        (lambda: ebm.NeuralEnergy((2,), mean=[1.0, np.nan]), ValueError, "mean must be finite, got nan"),
        (lambda: ebm.NeuralEnergy((2,), hidden=()), ValueError, "hidden must be a sequence of positive integers"),
        (lambda: ebm.NeuralEnergy((2,), hidden=(4, 0)), ValueError, "hidden must be a positive integer, got 0"),
        (lambda: ebm.NeuralEnergy((2,), channels=(4,)), ValueError, r"channels needs a shape .* \(2,\)"),
        (lambda: ebm.NeuralEnergy((4, 4), channels=(4,) * 4), ValueError, "sides of at least 8 for 4 layers"),
        (lambda: ebm.NeuralEnergy((2,), activation="GELU"), ValueError, "activation must be one of .*, got 'GELU'"),
        (lambda: ebm.NeuralEnergy((2,), dtype="half"), ValueError, 'dtype must be "float32" or'),
        (lambda: ebm.NeuralEnergy((2,), seed=-1), ValueError, "seed must be a non-negative integer"),
        (lambda: ebm.NeuralEnergy((2,), hidden=(4,), weights=[1.0]), ValueError, r"weights must be 17 finite numbers"),
        (lambda: ebm.ScoreModel((2,), data_width=-1), ValueError, "data_width must be a positive finite"),
        (lambda: ebm.ScoreModel((2,)).grad(X), TypeError, r"noise-conditional: ask for at_noise\(sigma\)"),
        (lambda: ebm.ScoreModel((2,), energy=True)(X), TypeError, "this ScoreModel has no energy"),
        (lambda: ebm.ScoreModel((2,)).at_noise(0.0), ValueError, "sigma must be a positive finite number, got 0.0"),
        (lambda: ebm.ScoreModel((2,), noise_conditional=False).at_noise(1.0), TypeError, "noise_conditional=True"),
    ],
)
def test_what_does_not_fit_is_told(make: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make()
