"""Parallel-tempering CD reaches maximum likelihood where plain persistent chains never leave their mode."""

import os
import signal

import numpy as np
import pytest
from laws import ALPHA, mean_p

from ebm import exact
from ebm.contrastive import PersistentCD
from ebm.exact_likelihood import ExactLikelihood
from ebm.gaussian import Gaussian
from ebm.gaussian_rbm import GaussianRBM
from ebm.learning import fit
from ebm.mean_field import BoltzmannMachine
from ebm.rbm import RBM
from ebm.tempered_divergence import ParallelTemperingCD
from samplers import Metropolis, random
from samplers.replicas import PREFIX

V = np.concatenate(list(exact.states((8,), "binary")))
BETAS = tuple(np.linspace(0.1, 1.0, 8))


def two_modes(odds: float) -> RBM:
    """All units on, or all off, with odds to one; Gibbs sampling crosses over once in a hundred thousand sweeps."""
    W, b, c = np.full((8, 1), 8.0), np.full(8, -4.0), [-32.0 + np.log(odds)]
    return RBM(8, 1, W=W, b=b, c=c, dtype="float64")


def log_odds(rbm: RBM) -> float:
    p, on = exact.probabilities(rbm), V.sum(1)
    return float(np.log(p[on > 4].sum() / p[on < 4].sum()))


def learned(objective, data: np.ndarray, seed: int, epochs: int = 100) -> float:
    rbm = two_modes(1.0)
    fit(
        rbm, data, objective, epochs=epochs, batch_size=len(data), learning_rate=0.2, seed=seed, progress=False,
        schedule=lambda epoch: 1 - epoch / epochs,
    )  # fmt: skip
    return log_odds(rbm)


def test_tempered_chains_learn_the_weight_of_a_mode_that_persistent_ones_never_reach():
    data = V[np.random.default_rng(0).choice(256, 500, p=exact.probabilities(two_modes(4.0)))]
    best = learned(ExactLikelihood(), data, 0, epochs=400)
    replicas = np.array([learned(ParallelTemperingCD(2, 20, BETAS), data, seed) for seed in range(32)])
    assert replicas.std(ddof=1) / np.sqrt(32) < 0.08  # the start is 1.5 away
    assert mean_p(replicas, best) > ALPHA
    assert abs(learned(PersistentCD(2, 20), data, 0) - best) > 5.0


def energies():
    rng = np.random.default_rng(2)
    W = np.triu(rng.normal(0, 0.7, (4, 4)), 1)
    scale = {"W": rng.normal(0, 0.7, (4, 3)), "b": rng.normal(0, 0.5, 4), "c": rng.normal(0, 0.5, 3)}
    yield "rbm", RBM(4, 3, **scale, dtype="float64"), None
    yield "gaussian rbm", GaussianRBM(4, 3, **scale, sigma=0.8, dtype="float64"), None
    yield "spins by Metropolis", BoltzmannMachine(W + W.T, rng.normal(0, 0.5, 4), "spin"), Metropolis()


@pytest.mark.parametrize(
    "name",
    ["rbm", "gaussian rbm", pytest.param("spins by Metropolis", marks=pytest.mark.slow)],  # seconds to compile
)
def test_the_model_s_term_is_the_exact_one_at_other_parameters_than_those_of_the_start(name):
    energy, sampler = next((energy, sampler) for n, energy, sampler in energies() if n == name)
    objective, data = ParallelTemperingCD(30, 10, (0.4, 0.7, 1.0, 1.3), sampler), energy_data(energy)
    truth = ExactLikelihood().gradient(energy, data, {}, None)
    replicas = []
    for replica in range(48):
        objective.check(energy)
        state = objective.start(energy, data, len(data), replica)
        for array in energy.learnable().values():  # what is kept of the energy must follow it
            array *= -1.0
        objective.gradient(energy, data, state, None)
        for array in energy.learnable().values():
            array *= -1.0
        gradient = objective.gradient(energy, data, state, None)
        replicas.append(np.concatenate([g.ravel() for g in gradient.values()]))
    replicas, need = np.array(replicas), np.concatenate([g.ravel() for g in truth.values()])
    moving = replicas.std(0) > 1e-12  # not so the diagonal of couplings
    p = [mean_p(replicas[:, i], need[i]) for i in np.flatnonzero(moving)]
    assert min(p) > ALPHA / len(p)


def energy_data(energy) -> np.ndarray:
    bits = np.random.default_rng(4).integers(0, 2, (10, 4)).astype(np.int8)
    return 2 * bits - 1 if energy.domain == "spin" else bits.astype(float) if energy.domain == "real" else bits


def learn(objective, **more):
    rbm, data = RBM(4, 5, seed=0), np.random.default_rng(1).integers(0, 2, (60, 4))
    settings = {"epochs": 5, "batch_size": 16, "learning_rate": 0.1, "seed": 3, "centred": True, "progress": False}
    history = fit(rbm, data, objective, **settings, **more)
    return b"".join(a.tobytes() for a in rbm.learnable().values()), history


class Interrupting(ParallelTemperingCD):
    """Presses Ctrl-C in its seventh batch, in the middle of an epoch."""

    def gradient(self, energy, batch, state, centre):
        if state["sweep"][0] == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return super().gradient(energy, batch, state, centre)

    def __repr__(self) -> str:
        return f"ParallelTemperingCD(k=1, chains=5, betas={self.betas}, sampler=None)"


def test_a_run_cut_within_an_epoch_goes_on_to_the_same_bits_and_counts(tmp_path):
    objective, path = ParallelTemperingCD(1, 5, (0.3, 0.6, 1)), tmp_path / "run.h5"
    bits, history = learn(objective)
    with pytest.raises(KeyboardInterrupt):
        learn(Interrupting(1, 5, (0.3, 0.6, 1)), checkpoint=path)
    again, resumed = learn(objective, checkpoint=path, resume=True)
    assert again == bits and path.exists()
    for name in ("swap_rate", "round_trips", "gradient_norm"):
        assert resumed[name].tolist() == history[name].tolist()
    assert (history["swap_rate"] > 0).all() and (history["swap_rate"] < 1).all() and history["round_trips"].sum() > 0


def test_replicas_move_from_where_they_were():
    energy, objective = RBM(4, 3, seed=0), ParallelTemperingCD(1, 4, (0.5, 1.0))
    data = energy_data(energy)
    state = objective.start(energy, data, 10, 1)
    before = {name: array.copy() for name, array in state.items()}
    objective.gradient(energy, data, state, None)
    for name in ("x", "stream", PREFIX + "x", PREFIX + "stream", "sweep"):
        assert (state[name] != before[name]).any()
    assert not np.array_equal(state["stream"], random.make_streams(1, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ParallelTemperingCD(betas=(0.2, 0.9)), r"betas must hold 1, at which the energy is learned, got"),
        (lambda: ParallelTemperingCD(betas=(1.0, 0.5)), r"betas must be finite, non-negative and rise strictly"),
        (lambda: ParallelTemperingCD(betas=(1.0,)), r"betas must be a sequence of at least 2 numbers"),
        (lambda: ParallelTemperingCD(chains=0).check(RBM(3, 2)), "chains must be a positive integer, got 0"),
        (lambda: ParallelTemperingCD(k=0).check(RBM(3, 2)), "k must be a positive integer, got 0"),
        (
            lambda: ParallelTemperingCD(betas=(0.0, 1.0)).check(GaussianRBM(3, 2)),
            r"betas must be positive for a continuous energy \(domain 'real'\), got 0",
        ),
        (
            lambda: ParallelTemperingCD(betas=(0, 1), sampler=Metropolis()).check(RBM(3, 2)),
            "betas must be positive for Metropolis with two values a site",
        ),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_energy_that_does_not_learn_is_refused():
    with pytest.raises(TypeError, match="ParallelTemperingCD needs an energy with `parameter_gradient`, got Gaussian"):
        ParallelTemperingCD().check(Gaussian([0.0], [[1.0]]))
