"""A Hopfield network learns by the same fit as a Boltzmann machine, and stays a Hopfield network."""

import numpy as np
import pytest

import ebm
from ebm import exact
from ebm.contrastive import PersistentCD
from ebm.exact_likelihood import ExactLikelihood
from ebm.learning import fit
from ebm.mean_field import BoltzmannMachine, Hopfield


def stable(network: Hopfield) -> np.ndarray:
    """Whether each pattern is a minimum: no spin of it gains by a flip."""
    return (network.patterns * (network.patterns @ network.W) > 0).all(1)


def overloaded() -> Hopfield:
    """Six patterns on twelve spins: a load of 0.5, far beyond the 0.138 that Hebb's rule can hold."""
    return Hopfield(np.random.default_rng(3).choice([-1, 1], (6, 12)))


@pytest.mark.parametrize("objective", [ExactLikelihood(), PersistentCD(2, 100)])
def test_learning_holds_patterns_that_hebbs_rule_loses(objective):
    network = overloaded()
    assert not stable(network).all()
    fit(network, network.patterns, objective, epochs=80, batch_size=6, learning_rate=0.05, seed=1, progress=False)
    assert stable(network).all()
    assert np.array_equal(network.W, network.W.T) and not np.diag(network.W).any()
    s = network.patterns.astype(np.int8)
    assert network(s) == pytest.approx(network(-s), rel=1e-12)  # no biases have come in


def test_learning_recovers_the_couplings_of_the_data():
    rng = np.random.default_rng(2)
    W = np.triu(rng.normal(0, 0.4, (5, 5)), 1)
    p = exact.probabilities(BoltzmannMachine(W + W.T, domain="spin"))
    data = np.concatenate(list(exact.states((5,), "spin")))[rng.choice(32, 4000, p=p)]
    network = Hopfield(rng.choice([-1, 1], (2, 5)))
    fit(network, data, ExactLikelihood(), epochs=100, batch_size=4000, learning_rate=0.3, seed=1, progress=False)
    learned = exact.probabilities(network)
    # Ten couplings from 4,000 draws: a divergence of 10 / 8,000 nats on average, of a chi-square with ten degrees.
    assert p @ (np.log(p) - np.log(learned)) < 46.9 / 8000  # its quantile at 1 - 1e-6


def test_learned_couplings_are_saved_and_started_from(tmp_path):
    network = overloaded()
    hebb = network.W.copy()
    fit(network, network.patterns, PersistentCD(1, 20), epochs=2, batch_size=6, learning_rate=0.1, progress=False)
    network.save(tmp_path / "network.h5")
    loaded = ebm.load(tmp_path / "network.h5")
    assert np.array_equal(loaded.W, network.W) and not np.array_equal(loaded.W, hebb)
    assert np.array_equal(Hopfield(network.patterns, W=network.W).W, network.W)


@pytest.mark.parametrize(
    ("W", "message"),
    [
        (np.eye(4), "W must have a zero diagonal, got 1.0 on it"),
        ([[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], "W must be square and symmetric"),
        (np.zeros((3, 3)), r"W must couple the 4 spins of patterns, got shape \(3, 3\)"),
    ],
)
def test_bad_couplings_are_named(W, message):
    with pytest.raises(ValueError, match=message):
        Hopfield([[1, -1, 1, -1]], W=W)
