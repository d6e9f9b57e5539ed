"""A classifier's logits as an energy: its formula, its samples, and what it says of inputs far from the data."""

from typing import Any

import numpy as np
import pytest
import torch
from laws import ALPHA, mean_p
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

import models
import samplers
from ebm import exact

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RNG = np.random.default_rng(5)
CENTRES = np.array([[-1.0, 0.0], [1.0, 0.5], [0.0, -1.2]])
LABELS = RNG.integers(0, 3, 600)
X = CENTRES[LABELS] + 0.3 * RNG.normal(size=(600, 2))


def _classifier(**settings: Any) -> models.MLP:
    model = models.MLP(2, classes=3, hidden=(16,), seed=1, **({"activation": "Tanh"} | settings))
    models.fit(model, (X, LABELS), epochs=10, batch_size=50, learning_rate=0.02, seed=2, progress=False)
    return model


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("settings", [{}, {"norm": "batch"}, {"dropout": 0.5}])
def test_the_energy_is_that_of_the_logits(classes: int, settings: dict) -> None:
    model = models.MLP(2, classes=classes, hidden=(7,), activation="SiLU", seed=1, **settings).double()
    energy = model.as_energy(mean=[0.5, -0.2], width=1.5)
    x = RNG.normal(size=(9, 2))
    quadratic = np.square(x - [0.5, -0.2]).sum(1) / (2.0 * 1.5**2)
    assert np.allclose(energy(x), quadratic - logsumexp(model.logits(x), axis=1), rtol=0, atol=1e-12)
    samplers.check(energy)
    assert model.training  # the mode is left as it was
    energy(torch.as_tensor(x)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_images_have_an_energy() -> None:
    model = models.CNN((3, 8, 8), classes=4, channels=(3,), activation="SiLU", seed=1)
    energy = model.as_energy(mean=0.5, width=1.0)
    assert energy.shape == (3, 8, 8)
    samplers.check(energy)


def test_chains_have_its_law() -> None:
    energy = _classifier().double().as_energy(width=1.2)
    box = [(-8.0, 8.0), (-8.0, 8.0)]
    axis = np.linspace(-8.0, 8.0, 321)
    x = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    u = energy(x)
    p = np.exp(u.min() - u)
    assert exact.log_z_quadrature(energy, box) == pytest.approx(np.log(p.sum() * 0.05**2) - u.min(), abs=1e-6)
    begin = x[np.random.default_rng(3).choice(len(p), 2000, p=p / p.sum())]  # exact draws, but for half a step
    begin = begin + np.random.default_rng(4).uniform(-0.025, 0.025, begin.shape)
    chains = samplers.sample(
        energy, samplers.HMC(0.3, steps=5, target_acceptance=None), chains=2000, draws=1, warmup=0, thin=10,
        init=begin, seed=5, progress=False,
    )  # fmt: skip
    ends = np.asarray(chains.x)[:, 0]
    for f in (lambda x: x[:, 0], lambda x: x[:, 1], lambda x: (x**2).sum(1), energy):
        assert mean_p(f(ends), float(p @ f(x) / p.sum())) > ALPHA


def test_it_tells_far_inputs_from_data() -> None:
    # Where a network of tanh units saturates only the stated well can tell: with it, all that is far is unlikely.
    energy = _classifier().as_energy(width=1.2)
    far = RNG.uniform(-6.0, 6.0, (600, 2))
    far = far[np.hypot(*far.T) > 3.0]
    seen = np.repeat([0, 1], [len(X), len(far)])
    assert roc_auc_score(seen, energy(np.concatenate([X, far]))) > 0.99


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.MLP(2).as_energy(width=1.0), "this model is a regression"),
        (lambda: models.MLP(2, classes=2).as_energy(width=0.0), r"width must be a positive finite number, got 0\.0"),
        (lambda: models.MLP(2, classes=2).as_energy(mean=np.nan, width=1.0), "mean must be finite, got nan"),
        (
            lambda: models.MLP(2, classes=2).as_energy(mean=[1.0, 2.0, 3.0], width=1.0),
            r"mean must have shape \(2\), got \(3,\)",
        ),
    ],
)
def test_errors_name_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
