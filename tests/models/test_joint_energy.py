"""Joint energy training: in the plane, where ln p(x) and p(k | x) are known, both are learned."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

import models
import samplers

pytestmark = pytest.mark.usefixtures("one_torch_thread")

SHARES = (0.3, 0.3, 0.4)
PARTS = [
    multivariate_normal([-1.5, 0.0], [[0.3, 0.1], [0.1, 0.2]], seed=1),
    multivariate_normal([1.5, 0.5], [[0.2, -0.1], [-0.1, 0.4]], seed=2),
    multivariate_normal([0.0, -1.8], [[0.5, 0.0], [0.0, 0.15]], seed=3),
]
WIDTH = 2.0
AXIS = np.linspace(-6.0, 6.0, 161)
GRID = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), -1).reshape(-1, 2)


def _data(n: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.random.default_rng(7).choice(3, n, p=SHARES)
    return np.array([part.rvs(n) for part in PARTS])[labels, np.arange(n)], labels


def _divergences(classifier: models.MLP) -> tuple[float, float]:
    """KL(p(x) || the energy's law) and the mean of KL(p(k | x) || the classifier's), in nats, by sums over the grid."""
    joint = np.stack([np.log(share) + part.logpdf(GRID) for share, part in zip(SHARES, PARTS, strict=True)], 1)
    log_p, cell = np.logaddexp.reduce(joint, 1), (AXIS[1] - AXIS[0]) ** 2
    u = classifier.as_energy(width=WIDTH)(GRID)
    log_z = np.log(np.exp(u.min() - u).sum() * cell) - u.min()
    p, given = np.exp(log_p) * cell, np.exp(joint - log_p[:, None])
    gap = joint - log_p[:, None] - np.log(classifier.predict_probability(GRID) + 1e-300)
    return float(p @ (log_p + u + log_z)), float(p @ (given * gap).sum(1))


def _learn(joint: bool, data: Any, epochs: int, **settings: Any) -> models.MLP:
    classifier = models.MLP(2, classes=3, hidden=(32, 32), activation="SiLU", seed=1)
    model: Any = classifier
    if joint:
        sampler = samplers.MALA(0.1)
        model = models.JointEnergy(classifier, width=WIDTH, sampler=sampler, chains=200, sweeps=5, seed=1)
    models.fit(
        model, data, batch_size=200, learning_rate=5e-3, averaging=0.99, seed=2, progress=False, epochs=epochs,
        schedule=lambda epoch: max(0.02, 1.0 - epoch / 40.0), **settings,
    )  # fmt: skip
    return classifier


def test_density_and_classes_of_a_mixture_are_learned() -> None:
    data = _data(3000)
    density, classes = _divergences(_learn(True, data, 40))
    # The maximum of a likelihood of d parameters is d / 2n nats from the truth in the mean: 0.1 of some 600.
    assert 0.0 < density < 0.1
    assert 0.0 < classes < 0.02
    plain, _ = _divergences(_learn(False, data, 40))
    assert plain > 5.0  # a classifier that was asked for its classes only knows nothing of the density


def test_a_cut_run_goes_on_to_the_same_bits_chains_and_all(tmp_path: Path) -> None:
    data = _data(400)
    whole = _learn(True, data, 4)
    _learn(True, data, 2, checkpoint=tmp_path / "c")
    resumed = _learn(True, data, 4, checkpoint=tmp_path / "c", resume=True)
    for one, two in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two)


def test_chains_move_in_training_only() -> None:
    classifier = models.MLP(2, classes=3, hidden=(8,), seed=1)
    joint = models.JointEnergy(classifier, width=WIDTH, mean=1.0, sampler=samplers.MALA(0.1), chains=500, seed=1)
    begun = joint.x.clone()
    assert abs(begun.mean().item() - 1.0) < 5.0 * WIDTH / np.sqrt(1000) and abs(begun.std().item() / WIDTH - 1) < 0.1
    batch = tuple(torch.as_tensor(part) for part in _data(50))
    joint.eval()
    value = joint.loss(batch)
    assert torch.equal(joint.x, begun)
    contrast = joint.energy(batch[0]).mean() - joint.energy(begun).mean()
    assert value.item() == pytest.approx((classifier.loss(batch) + contrast).item(), rel=1e-5)
    joint.train()
    joint.loss(batch)
    assert not torch.equal(joint.x, begun)


GOOD = models.MLP(2, classes=3, hidden=(4,), seed=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda **c: models.JointEnergy(models.MLP(2), **c), "classifier must be an MLP or CNN with classes, got MLP"),
        (lambda **c: models.JointEnergy(torch.nn.Linear(2, 3), **c), "classifier must be an MLP or CNN .*got Linear"),
        (lambda **c: models.JointEnergy(models.MLP(2, classes=3, norm="batch"), **c), "no batch norm and no dropout"),
        (lambda **c: models.JointEnergy(models.MLP(2, classes=3, dropout=0.1), **c), r"no dropout, got .*dropout=0\.1"),
        (lambda **c: models.JointEnergy(GOOD, **(c | {"width": -1.0})), "width must be a positive finite number"),
        (lambda **c: models.JointEnergy(GOOD, **c, density=0.0), "density must be a positive finite number, got 0"),
        (lambda **c: models.JointEnergy(GOOD, **c, sweeps=0), "sweeps must be a positive integer, got 0"),
        (lambda **c: models.JointEnergy(GOOD, **c, chains=1.5), r"chains must be a positive integer, got 1\.5"),
        (lambda **c: models.JointEnergy(GOOD, **(c | {"sampler": samplers.Gibbs()})), "Gibbs needs a discrete energy"),
        (lambda **c: models.JointEnergy(GOOD, **(c | {"sampler": None})), "sampler must be a sampler such as"),
    ],
)
def test_errors_name_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call(width=1.0, sampler=samplers.MALA(0.1))
