"""Gradients of the log-likelihood: exact ones against finite differences, sampled ones against their expectation."""

import numpy as np
import pytest
from scipy import stats

from ebm import exact
from ebm.centring import Centre
from ebm.contrastive import ContrastiveDivergence, PersistentCD, contrast
from ebm.exact_likelihood import ExactLikelihood
from ebm.gaussian_rbm import GaussianRBM
from ebm.mean_field import BoltzmannMachine, Hopfield
from ebm.rbm import RBM
from samplers import random

ALPHA = 1e-6
V, H = (np.concatenate(list(exact.states((n,), "binary"))) for n in (4, 3))


def random_rbm(kind: type = RBM, n_visible: int = 4, n_hidden: int = 3, scale: float = 1.0, **more):
    rng = np.random.default_rng(8)
    W = scale * rng.standard_normal((n_visible, n_hidden))
    b, c = scale * rng.standard_normal(n_visible), scale * rng.standard_normal(n_hidden)
    return kind(n_visible, n_hidden, W=W, b=b, c=c, dtype="float64", **more)


def width_learner(n_visible: int, n_hidden: int, **more) -> GaussianRBM:
    return GaussianRBM(n_visible, n_hidden, log_sigma=np.linspace(-0.4, 0.3, n_visible), **more)


def machine(domain: str) -> BoltzmannMachine:
    rng = np.random.default_rng(9)
    W = np.triu(rng.standard_normal((4, 4)), 1)
    return BoltzmannMachine(W + W.T, rng.standard_normal(4), domain)


def log_likelihood(energy, x: np.ndarray) -> float:
    log_z = energy.log_z() if hasattr(energy, "log_z") else exact.enumerate(energy).log_z
    return float(-energy(x).mean() - log_z)


def cases():
    rng = np.random.default_rng(1)
    yield "rbm, few hidden", random_rbm(), rng.integers(0, 2, (10, 4))
    yield "rbm, few visible", random_rbm(RBM, 3, 6), rng.integers(0, 2, (10, 3))
    yield "binary machine", machine("binary"), rng.integers(0, 2, (10, 4))
    yield "spin machine", machine("spin"), 2 * rng.integers(0, 2, (10, 4)) - 1
    yield "gaussian rbm", random_rbm(GaussianRBM, sigma=[0.7, 1.0, 1.2, 0.9]), rng.standard_normal((10, 4))
    yield "gaussian rbm, learned widths", random_rbm(width_learner), rng.standard_normal((10, 4))
    yield "hopfield", Hopfield([[1, -1, 1, 1], [1, 1, -1, 1]]), 2 * rng.integers(0, 2, (10, 4)) - 1


@pytest.mark.parametrize("name", [name for name, _, _ in cases()])
def test_exact_gradient_is_the_derivative_of_the_log_likelihood(name):
    energy, x = next((energy, x) for n, energy, x in cases() if n == name)
    ExactLikelihood().check(energy)
    gradient, step = ExactLikelihood().gradient(energy, x, {}, None), 1e-5
    for parameter, array in energy.learnable().items():
        for index in np.ndindex(array.shape):
            symmetric = isinstance(energy, BoltzmannMachine | Hopfield) and array.ndim == 2
            mirror = index[::-1] if symmetric else index
            if symmetric and index[0] >= index[1]:
                continue
            value, sides = array[index], []
            for shift in (step, -step):
                array[index] = array[mirror] = value + shift
                sides.append(log_likelihood(energy, x))
            array[index] = array[mirror] = value
            numeric = (sides[0] - sides[1]) / (2 * step)
            assert gradient[parameter][index] == pytest.approx(numeric, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("kind", [RBM, GaussianRBM, width_learner])
def test_centred_gradient_is_the_derivative_about_the_offsets(kind):
    rbm, rng = random_rbm(kind), np.random.default_rng(2)
    x = rng.integers(0, 2, (10, 4)).astype(float)
    memory = Centre.start(4, 3)
    centred = ExactLikelihood().gradient(rbm, x, memory, Centre(memory))
    mu, lam = memory["centre_visible"], memory["centre_hidden"]
    np.testing.assert_allclose(mu, (x / getattr(rbm, "sigma", 1.0) ** 2).mean(0))
    np.testing.assert_allclose(lam, rbm.hidden(x).mean(0))
    move, step, sides = rng.standard_normal((4, 3)), 1e-5, []
    W, b, c = rbm.W.copy(), rbm.b.copy(), rbm.c.copy()
    for shift in (step, -step):  # W moves while the biases about the offsets stay
        rbm.W, rbm.b, rbm.c = W + shift * move, b - shift * move @ lam, c - shift * mu @ move
        sides.append(log_likelihood(rbm, x))
    assert (centred["W"] * move).sum() == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-6)
    if kind is width_learner:  # the widths move alone
        rbm.W, rbm.b, rbm.c, log_sigma, sides = W, b, c, rbm.log_sigma.copy(), []
        for shift in (step, -step):
            rbm.log_sigma = log_sigma + shift * move[:, 0]
            sides.append(log_likelihood(rbm, x))
        assert centred["log_sigma"] @ move[:, 0] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-6)


def test_centred_gradient_does_not_care_which_state_is_called_one():
    rbm, x = random_rbm(), np.random.default_rng(3).integers(0, 2, (10, 4))
    flipped = RBM(4, 3, W=-rbm.W, b=-rbm.b, c=rbm.c + rbm.W.sum(0), dtype="float64")
    directions = []
    for energy, data in ((rbm, x), (flipped, 1 - x)):
        memory = Centre.start(4, 3)
        directions.append(ExactLikelihood().gradient(energy, data, memory, Centre(memory)))
    np.testing.assert_allclose(directions[0]["W"], -directions[1]["W"], atol=1e-13)
    np.testing.assert_allclose(directions[0]["b"], -directions[1]["b"], atol=1e-13)


def expected_cd(rbm: RBM, data: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """The mean of CD-k's direction, from the transition matrix of k sweeps; the exact gradient for k = None."""
    joint = np.exp((V @ rbm.b)[:, None] + H @ rbm.c + V @ rbm.W @ H.T)
    sweep = (joint / joint.sum(1, keepdims=True)) @ (joint / joint.sum(0)).T
    start = np.bincount(exact.state_index(data, "binary"), minlength=16) / len(data)
    end = start @ np.linalg.matrix_power(sweep, k) if k else joint.sum(1) / joint.sum()
    return rbm.parameter_gradient(V, end - start)


def test_bias_of_cd_falls_with_k():
    rbm, data = random_rbm(scale=1.5), np.random.default_rng(4).integers(0, 2, (20, 4))
    truth = expected_cd(rbm, data, 0)
    exact_gradient = ExactLikelihood().gradient(rbm, data, {}, None)
    bias = []
    for k in (1, 2, 4, 8, 16, 64):
        g = expected_cd(rbm, data, k)
        bias.append(np.sqrt(sum(((g[name] - truth[name]) ** 2).sum() for name in truth)))
    assert all(np.diff(bias) < 0) and bias[0] > 0.05 and bias[-1] < 1e-4
    for name in truth:
        np.testing.assert_allclose(truth[name], exact_gradient[name], atol=1e-13)


@pytest.mark.parametrize("k", [1, 3])
def test_sampled_cd_has_its_exact_mean(k):
    rbm, data = random_rbm(), np.random.default_rng(5).integers(0, 2, (20, 4)).astype(np.int8)
    objective, batch = ContrastiveDivergence(k), np.tile(data, (10, 1))
    state, replicas = objective.start(rbm, None, len(batch), 6), []
    for _ in range(100):
        gradient = objective.gradient(rbm, batch, state, None)
        replicas.append(np.concatenate([g.ravel() for g in gradient.values()]))
    need = np.concatenate([g.ravel() for g in expected_cd(rbm, data, k).values()])
    p = stats.ttest_1samp(np.array(replicas), need).pvalue
    assert p.min() > ALPHA / len(p)


def test_persistent_chains_reach_the_model():
    rbm, data = random_rbm(), np.random.default_rng(7).integers(0, 2, (20, 4)).astype(np.int8)
    objective = PersistentCD(k=50, chains=50)
    replicas = []
    for replica in range(64):  # independent ones: chains of one run remember
        gradient = objective.gradient(rbm, data, objective.start(rbm, None, len(data), 100 + replica), None)
        replicas.append(np.concatenate([g.ravel() for g in gradient.values()]))
    need = np.concatenate([g.ravel() for g in expected_cd(rbm, data, 0).values()])
    p = stats.ttest_1samp(np.array(replicas), need).pvalue
    assert p.min() > ALPHA / len(p)


@pytest.mark.parametrize(("n", "chains", "k"), [(20, 30, 1), (150, 40, 2), (3, 200, 1), (130, 1, 3)])
@pytest.mark.parametrize("kind", [RBM, GaussianRBM, width_learner])
def test_shared_products_give_the_plain_gradient_of_data_and_chains(kind, n, chains, k):
    rbm, rng = random_rbm(kind), np.random.default_rng(n)
    data = rng.integers(0, 2, (n, 4)).astype(np.int8 if kind is RBM else float)
    objective = PersistentCD(k, chains)
    for centred in (False, True):
        state = objective.start(rbm, None, n, 5) | Centre.start(4, 3)
        before = state["x"].copy()
        gradient = objective.gradient(rbm, data, state, Centre(state) if centred else None)
        assert (state["x"] != before).any()
        plain = contrast(rbm, data, state["x"], Centre(Centre.start(4, 3)) if centred else None)
        assert gradient.keys() == plain.keys() == rbm.learnable().keys()
        for name, value in plain.items():
            np.testing.assert_allclose(gradient[name], value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("k", [1, 3])
def test_persistent_chains_of_both_layers_stay_exact(k):
    rbm, chains = random_rbm(scale=0.5), 20_000
    joint = np.exp((V @ rbm.b)[:, None] + H @ rbm.c + V @ rbm.W @ H.T)
    p, objective = joint / joint.sum(), PersistentCD(k, chains)
    state = {"x": np.zeros((chains, 4), np.int8), "h": np.zeros((chains, 3), np.int8), "beta": np.ones(chains)}
    state["stream"] = random.make_streams(3, chains)
    state["h"][:] = H[np.random.default_rng(4).choice(8, chains, p=p.sum(0))]
    objective.gradient(rbm, V[:1].astype(np.int8), state, None)
    ends = exact.state_index(state["x"], "binary") * 8 + exact.state_index(state["h"], "binary")
    assert stats.chisquare(np.bincount(ends, minlength=128), chains * p.ravel()).pvalue > ALPHA
    # From one hidden state, k sweeps later: the transition matrix, which a chain that stands still does not have.
    visible, hidden = joint / joint.sum(0), joint / joint.sum(1, keepdims=True)
    state["h"][:] = H[5]
    objective.gradient(rbm, V[:1].astype(np.int8), state, None)
    need = visible[:, 5]
    for _ in range(k - 1):
        need = visible @ (need @ hidden)
    ends = exact.state_index(state["x"], "binary") * 8 + exact.state_index(state["h"], "binary")
    need = (need[:, None] * hidden).ravel()
    assert stats.chisquare(np.bincount(ends, minlength=128), chains * need).pvalue > ALPHA


def test_cd_samples_a_boltzmann_machine_by_its_sites():
    energy, data = machine("spin"), 2 * np.random.default_rng(8).integers(0, 2, (20, 4)).astype(np.int8) - 1
    objective, replicas = PersistentCD(k=40, chains=50), []
    for replica in range(64):
        gradient = objective.gradient(energy, data, objective.start(energy, None, len(data), replica), None)
        replicas.append(np.concatenate([gradient["W"][np.triu_indices(4, 1)], gradient["b"]]))
    truth = ExactLikelihood().gradient(energy, data, {}, None)
    need = np.concatenate([truth["W"][np.triu_indices(4, 1)], truth["b"]])
    p = stats.ttest_1samp(np.array(replicas), need).pvalue
    assert p.min() > ALPHA / len(p)


def test_unfit_objectives_say_why():
    with pytest.raises(ValueError, match=r"ExactLikelihood needs at most 20 units .* got RBM of shape \(50,\)"):
        ExactLikelihood().check(RBM(50, 30, seed=0))
    with pytest.raises(ValueError, match="k must be a positive integer, got 0"):
        ContrastiveDivergence(k=0).check(random_rbm())
    with pytest.raises(ValueError, match="chains must be a positive integer, got -2"):
        PersistentCD(chains=-2).check(random_rbm())
