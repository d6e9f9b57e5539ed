"""Posteriors of weights: closed forms of linear models, laws on a grid, one set of samplers, and honest refusals."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from laws import ALPHA, mean_p
from scipy.special import expit, log_softmax
from scipy.stats import multivariate_normal

import ebm
import models
import samplers
from ebm import exact
from samplers import blocks

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RNG = np.random.default_rng(12)
X = RNG.normal(size=(30, 3)) * [1.0, 0.5, 2.0]
Y = X @ [0.5, -1.0, 0.3] + 0.4 + 0.7 * RNG.normal(size=30)
NOISE, WIDTH = 0.7, 1.3


class Line:
    """A linear model, and its posterior at beta by algebra: p ~ exp(-beta E) with E quadratic."""

    def __init__(self, beta: float = 1.0) -> None:
        self.energy = models.Posterior(models.MLP(3, hidden=(), seed=1), X, Y, prior_width=WIDTH, noise=NOISE)
        design = np.c_[X, np.ones(30)]  # the bias is the last weight
        self.precision = beta * (design.T @ design / NOISE**2 + np.eye(4) / WIDTH**2)
        self.mean = np.linalg.solve(self.precision, beta * design.T @ Y / NOISE**2)
        self.log_evidence = multivariate_normal(cov=NOISE**2 * np.eye(30) + WIDTH**2 * design @ design.T).logpdf(Y)

    def whitened(self, w: np.ndarray) -> np.ndarray:
        """Weights (..., 4) along the axes of the posterior, in units of its widths."""
        values, vectors = np.linalg.eigh(self.precision)
        return (w - self.mean) @ vectors * np.sqrt(values)


@pytest.mark.parametrize("beta", [1.0, 0.4])
@pytest.mark.parametrize("by", ["mala", "hmc", "langevin", "tempering"])
def test_the_posterior_of_a_linear_model_is_its_closed_form(by: str, beta: float) -> None:
    line, step = Line(beta), 0.002
    sampler: Any = {
        "mala": samplers.MALA(),
        "hmc": samplers.HMC(steps=5),
        "langevin": samplers.Langevin(step),
        "tempering": samplers.ParallelTempering(samplers.HMC(steps=3), (0.1, 0.4, 1.0)),
    }[by]
    chains = samplers.sample(
        line.energy, sampler, chains=64, draws=60, warmup=300 if by == "langevin" else 150, thin=2, beta=beta, seed=4,
        init=np.tile(line.energy.weights, (64, 1)), progress=False,
    )  # fmt: skip
    z = line.whitened(np.asarray(chains.x))
    variance = np.ones(4)
    if by == "langevin":  # its own law
        stiffness = np.linalg.eigvalsh(line.precision) / beta
        variance = np.array([exact.ula_variance(step, k, beta) * beta * k for k in stiffness])
    for axis in range(4):  # 64 independent chains
        assert mean_p(z[..., axis].mean(1), 0.0) > ALPHA
        assert mean_p((z[..., axis] ** 2).mean(1), variance[axis]) > ALPHA


def test_the_evidence_of_a_linear_model_is_ln_z() -> None:
    line = Line()
    result = ebm.log_z(line.energy, "ais", chains=100, steps=30, seed=2, progress=False)
    assert abs(result.value - line.log_evidence) < 5.0 * result.error < 0.5  # 5 sigma: alpha = 6e-7


def test_a_noise_that_is_learned_has_its_posterior() -> None:
    # The weights summed out: p(ln noise | y) ~ N(ln noise; ln 0.5, 0.8^2) N(y; 0, noise^2 + width^2 D D^T).
    energy = models.Posterior(models.MLP(3, hidden=(), seed=1), X, Y, prior_width=WIDTH, noise=0.5, noise_width=0.8)
    design, grid = np.c_[X, np.ones(30)], np.linspace(-3.0, 2.0, 401)
    law = np.array([
        multivariate_normal(cov=np.exp(2 * t) * np.eye(30) + WIDTH**2 * design @ design.T).logpdf(Y)
        - 0.5 * ((t - np.log(0.5)) / 0.8) ** 2 - np.log(0.8 * np.sqrt(2 * np.pi))
        for t in grid
    ])  # fmt: skip
    p = np.exp(law - law.max())
    w = np.random.default_rng(3).normal(size=(1, 5))  # one energy by hand
    residual = (Y - design @ w[0, :4]) / np.exp(w[0, 4])
    by_hand = 0.5 * (residual**2).sum() + 30 * w[0, 4] + 0.5 * (w[0, :4] ** 2).sum() / WIDTH**2 + 4 * np.log(WIDTH)
    by_hand += 0.5 * ((w[0, 4] - np.log(0.5)) / 0.8) ** 2 + np.log(0.8) + 17.5 * np.log(2 * np.pi)
    assert energy(w)[0] == pytest.approx(by_hand, rel=1e-12)
    samplers.check(energy, w)
    assert energy.weights[-1] == np.log(0.5)
    chains = samplers.sample(energy, samplers.HMC(), chains=48, draws=60, warmup=200, seed=4, progress=False)
    log_noise = np.asarray(chains.x)[..., 4]
    for power in (1, 2):
        assert mean_p((log_noise**power).mean(1), float(p @ grid**power / p.sum())) > ALPHA


@pytest.mark.parametrize("classes", [2, 3])
def test_the_energy_of_classes_is_that_by_hand(classes: int) -> None:
    labels, widths = RNG.integers(0, classes, 30), RNG.uniform(0.5, 2.0, 4 if classes == 2 else 12)
    energy = models.Posterior(models.MLP(3, classes=classes, hidden=(), seed=1), X, labels, prior_width=widths)
    w = RNG.normal(size=(5, *energy.shape))
    for row, e in zip(w, energy(w), strict=True):
        if classes == 2:
            log_p = np.log(expit((2 * labels - 1) * (X @ row[:3] + row[3])))
        else:
            log_p = log_softmax(X @ row[:9].reshape(3, 3).T + row[9:], 1)[np.arange(30), labels]
        prior = -0.5 * (row / widths) ** 2 - np.log(widths * np.sqrt(2.0 * np.pi))
        assert e == pytest.approx(-log_p.sum() - prior.sum(), rel=1e-12)
    likelihood = energy.log_likelihood(X, labels, w)
    assert likelihood.shape == (5, 30)
    assert np.allclose(np.exp(likelihood), energy.predict(X, w)[:, np.arange(30), labels], rtol=1e-12)


def test_the_posterior_of_a_logistic_model_is_its_law_on_a_grid() -> None:
    labels = (X[:, 0] + RNG.normal(size=30) > 0).astype(int)
    energy = models.Posterior(models.MLP(1, classes=2, hidden=(), seed=1), X[:, :1], labels, prior_width=2.0)
    axis = np.linspace(-8.0, 8.0, 401)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    u = energy(grid)
    p = np.exp(u.min() - u)
    log_z = np.log(p.sum() * (axis[1] - axis[0]) ** 2) - u.min()
    assert ebm.log_z(energy, "exact").value == pytest.approx(log_z, abs=1e-6)
    probability = (p[:, None] * energy.predict([[0.5], [-1.0]], grid)[..., 1]).sum(0) / p.sum()
    chains = samplers.sample(energy, samplers.HMC(), chains=40, draws=50, warmup=150, seed=3, progress=False)
    found = energy.predict([[0.5], [-1.0]], chains.x)[..., 1].mean(1)
    for row in (0, 1):
        assert mean_p(found[:, row], probability[row]) > ALPHA


NETWORKS: dict[str, Any] = {
    "regression": lambda: models.Posterior(
        models.MLP((4, 4), hidden=(5,), activation="Tanh", norm="layer", seed=1), IMAGES, Y[:6], noise=0.5
    ),
    "two classes": lambda: models.Posterior(models.MLP((4, 4), classes=2, hidden=(5,), seed=1), IMAGES, LABELS % 2),
    "images": lambda: models.Posterior(
        models.CNN((4, 4), classes=3, channels=(2,), activation="Tanh", seed=1), IMAGES, LABELS
    ),
    "residual": lambda: models.Posterior(
        models.CNN((4, 4), channels=(2,), blocks=1, norm="layer", activation="SiLU", seed=1), IMAGES, Y[:6], noise=0.3
    ),
}
IMAGES, LABELS = RNG.normal(size=(6, 4, 4)), np.array([0, 1, 2, 2, 1, 0])


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_derivatives_and_those_of_batches_have_no_bias(name: str) -> None:
    energy = NETWORKS[name]()
    w = energy.weights + 0.3 * RNG.normal(size=(3, *energy.shape))
    samplers.check(energy, w)
    gradient = energy.grad(w)
    for size in (1, 2):  # the mean over all batches there are
        each = [energy.grad(w, np.array(batch)) for batch in itertools.combinations(range(6), size)]
        assert np.allclose(np.mean(each, 0), gradient, rtol=0, atol=1e-10 * np.abs(gradient).max())
    own = np.array([[0, 3], [5, 1], [2, 4]])  # each chain its own rows
    assert np.allclose(energy.grad(w, own), [energy.grad(w[k : k + 1], own[k])[0] for k in range(3)], rtol=1e-10)


@pytest.mark.parametrize("name", NETWORKS)
def test_with_the_weights_of_the_network_it_predicts_what_the_network_does(name: str) -> None:
    energy = NETWORKS[name]()
    model = energy.model
    theirs = model.predict(IMAGES) if model.classes is None else model.predict_probability(IMAGES)
    assert np.allclose(energy.predict(IMAGES, energy.weights), theirs, rtol=0, atol=1e-12)
    draws = energy.weights + 0.1 * RNG.normal(size=(2, 7, *energy.shape))
    assert energy.predict(IMAGES, draws).shape == (2, 7, *theirs.shape)
    # The bits of an energy must not depend on how many there are: draws are recorded in blocks of any length.
    flat = draws.reshape(14, -1)
    assert np.array_equal(np.concatenate([energy(part) for part in np.array_split(flat, 5)]), energy(flat))


def test_frozen_weights_stay() -> None:
    model = models.MLP(3, hidden=(4,), seed=1)
    model.network[1].requires_grad_(False)
    energy = models.Posterior(model, X, Y, noise=1.0)
    assert energy.shape == (5,)
    assert np.allclose(energy.predict(X, energy.weights), model.predict(X), rtol=0, atol=1e-6)
    before = energy(energy.weights[None])
    with torch.no_grad():
        model.network[1].weight.zero_()  # the caller's network is another one
    assert energy(energy.weights[None]) == before


def test_sgld_has_its_closed_form_on_a_network_of_one_bias() -> None:
    # All inputs are zero: the weight has its prior, and the bias sees the answers.
    y, step, size, chains = RNG.gamma(2.0, 1.0, 25), 0.01, 5, 4000
    energy = models.Posterior(models.MLP(1, hidden=(), seed=1), np.zeros((25, 1)), y, prior_width=0.9, noise=0.8)
    stiffness = np.array([1.0, 1.0 + 25 * (0.9 / 0.8) ** 2]) / 0.9**2
    noise = [0.0, exact.batch_variance(y / 0.8**2, size)]
    law = [exact.sgld_variance(step, v, k, 0.7) for v, k in zip(noise, stiffness, strict=True)]
    mean = np.array([0.0, y.sum() / 0.8**2 / stiffness[1]])
    begin = mean + np.random.default_rng(5).normal(size=(chains, 2)) * np.sqrt(law)
    run = samplers.sample(
        energy, samplers.SGLD(step, size), chains=chains, draws=1, warmup=0, thin=30, beta=0.7, init=begin, seed=6,
        progress=False,
    )  # fmt: skip
    z = np.asarray(run.x)[:, 0] - mean
    for axis in (0, 1):
        assert mean_p(z[:, axis], 0.0) > ALPHA
        assert mean_p(z[:, axis] ** 2, law[axis]) > ALPHA
    assert mean_p(z[:, 1] ** 2, exact.ula_variance(step, stiffness[1], 0.7)) < ALPHA


@pytest.mark.parametrize("by", ["hmc", "sgld", "tempering"])
def test_a_run_goes_on_to_the_same_bits(by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler: Any = {
        "hmc": samplers.HMC(steps=3),
        "sgld": samplers.SGLD(1e-3, 3),
        "tempering": samplers.ParallelTempering(samplers.HMC(steps=3), (0.3, 1.0)),
    }[by]

    def run(draws: int, **more: Any) -> samplers.Chains:
        energy = NETWORKS["two classes"]()
        return samplers.sample(energy, sampler, draws=draws, warmup=10, seed=8, progress=False, **more)

    whole = run(9)
    run(4, store=tmp_path / "run.h5")
    monkeypatch.setattr(blocks, "BLOCK_SECONDS", 1e-9)  # other blocks
    resumed = run(9, store=tmp_path / "run.h5", resume=True)
    assert np.array_equal(whole.x, resumed.x) and np.array_equal(whole.energy, resumed.energy)
    with pytest.raises(samplers.StoreError, match="energy_fingerprint was"):
        other = models.Posterior(models.MLP((4, 4), classes=2, hidden=(5,), seed=1), IMAGES + 1e-9, LABELS % 2)
        samplers.sample(
            other, sampler, draws=9, warmup=10, seed=8, store=tmp_path / "run.h5", resume=True, progress=False
        )


def test_predictions_of_a_small_network_mix() -> None:
    x = np.linspace(-2.0, 2.0, 20)[:, None]
    y = np.sin(x[:, 0]) + 0.4 * np.random.default_rng(1).normal(size=20)
    widths = np.concatenate([np.ones(12), np.full(6, 6**-0.5), [1.0]])
    network = models.MLP(1, hidden=(6,), activation="Tanh", seed=1)
    energy = models.Posterior(network, x, y, noise=0.4, prior_width=widths)
    places = {f"f({at})": lambda w, at=at: energy.predict([[at]], w)[:, 0] for at in (-1.5, -0.3, 0.4, 1.8)}
    chains = samplers.sample(
        energy, samplers.HMC(steps=15), chains=16, draws=200, warmup=150, seed=3, observables=places, progress=False
    )
    rows = samplers.summary(chains).rows
    assert {name: rows[name].r_hat for name in places if not rows[name].r_hat < 1.01} == {}


def _posterior(model: Any = None, x: Any = X, y: Any = Y, **settings: Any) -> Any:
    return models.Posterior(model or models.MLP(3, hidden=(2,), seed=1), x, y, **({"noise": 1.0} | settings))


CLASSIFIER = models.MLP(3, classes=3, hidden=(2,), seed=1)
GOOD = _posterior()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _posterior(torch.nn.Linear(3, 1)), "model must be an MLP or CNN, got Linear"),
        (lambda: _posterior(models.MLP(3, norm="batch")), "no dropout and no batch norm.*got BatchNorm1d"),
        (lambda: _posterior(models.MLP(3, dropout=0.1)), "no dropout and no batch norm.*got Dropout"),
        (lambda: _posterior(noise=None), "noise of a regression must be a positive finite number, got None"),
        (lambda: _posterior(noise=-1.0), r"noise of a regression must be a positive finite number, got -1\.0"),
        (lambda: _posterior(CLASSIFIER, y=np.arange(30) % 3), r"noise must be None for classes.* got 1\.0"),
        (lambda: _posterior(noise_width=-1.0), r"noise_width must be a non-negative finite number, got -1\.0"),
        (lambda: _posterior(prior_width=0.0), r"prior_width must be positive and finite, got 0\.0"),
        (lambda: _posterior(prior_width=np.ones(3)), r"prior_width must be a number or have shape \(11,\), got \(3,\)"),
        (lambda: _posterior(x=np.where(X > 2, np.nan, X)), "data must be finite, got NaN or infinity in row"),
        (lambda: _posterior(y=np.full(30, np.inf)), "data must be finite, got NaN or infinity in row 0"),
        (lambda: _posterior(x=X[:, :2]), r"X must be configurations of shape \(n, 3\), got \(2,\)"),
        (lambda: _posterior(y=Y[:5]), "equally many rows"),
        (lambda: _posterior(y=Y[:, None]), r"y must have shape \(n,\)"),
        (lambda: _posterior(y=np.full(30, 2.0)), "y must be a target that varies, got 2 in every row"),
        (lambda: _posterior(CLASSIFIER, y=np.arange(30), noise=None), "y must be integers from 0 to 2, got 3 in row 3"),
        (lambda: _posterior(CLASSIFIER, y=Y, noise=None), "y must be integers from 0 to 2, the labels of 3 classes"),
        (lambda: GOOD.grad(np.zeros((2, 11)), np.zeros((3, 4), int)), r"batch must be integers of shape \(2, rows\)"),
        (lambda: GOOD.grad(np.zeros((2, 11)), np.array([0.0])), r"batch must be integers .* got float64 \(2, 1\)"),
        (lambda: GOOD.grad(np.zeros((2, 11)), np.array([0, 30])), "batch must hold rows from 0 to 29, got 0 to 30"),
        (lambda: GOOD.predict(X, np.zeros((2, 10))), r"draws must have shape \(\.\.\., 11\), got \(2, 10\)"),
        (lambda: GOOD.predict(X[:, :1], GOOD.weights), r"x must be configurations of shape \(n, 3\), got \(1,\)"),
        (lambda: GOOD(np.zeros((2, 10))), r"x must have shape \(n, 11\), got \(2, 10\)"),
    ],
)
def test_errors_name_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()
