"""The monitor of equilibrium knows tau, warns where k is below it, says where it cannot tell, and disturbs nothing."""

import warnings

import numpy as np
import pytest

from ebm import exact
from ebm.contrastive import PersistentCD
from ebm.equilibrium import Equilibrium, EquilibriumWarning
from ebm.lattice import Ising
from ebm.learning import fit
from ebm.rbm import RBM
from samplers import Gibbs, Langevin, ParallelTempering

V = np.concatenate(list(exact.states((4,), "binary")))
ENDS = np.repeat([[0] * 8, [1] * 8], 20, axis=0)


def mixing() -> RBM:
    """A machine that forgets in a few sweeps."""
    rng = np.random.default_rng(1)
    W, b, c = 1.2 * rng.standard_normal((4, 3)), rng.standard_normal(4), rng.standard_normal(3)
    return RBM(4, 3, W=W, b=b, c=c, dtype="float64")


def two_modes(strength: float) -> RBM:
    """All units on, or all off; the stronger, the rarer a chain crosses over."""
    W, b = np.full((8, 1), strength), np.full(8, -strength / 2)
    return RBM(8, 1, W=W, b=b, c=[-4 * strength], dtype="float64")


def exact_tau(rbm: RBM, f: np.ndarray) -> float:
    """tau of f along Gibbs sampling, from the transition matrix v -> h -> v."""
    h = np.concatenate(list(exact.states((rbm.n_hidden,), "binary"))).astype(float)
    joint = np.exp((V @ rbm.b)[:, None] + h @ rbm.c + V @ rbm.W @ h.T)
    step, p = (joint / joint.sum(1, keepdims=True)) @ (joint / joint.sum(0)).T, joint.sum(1) / joint.sum()
    y, total, variance = f - p @ f, 1.0, p @ (f - p @ f) ** 2
    moved = y
    for _ in range(500):
        moved = step @ moved
        total += 2 * (p * y) @ moved / variance
    return total


def quiet(monitor: Equilibrium, rbm: RBM) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return monitor(rbm)


def test_tau_is_that_of_the_transition_matrix():
    rbm = mixing()
    record = quiet(Equilibrium(20, sweeps=4000), rbm)
    need = exact_tau(rbm, rbm(V))
    assert abs(record["tau"] - need) < 5 * record["tau_error"] < need / 3
    assert record["tau_over_k"] == record["tau"] / 20


def test_the_slowest_observable_counts():
    rbm = two_modes(3.0)  # both modes have one energy: only their coordinate shows which one a chain is in
    energy, both = (quiet(Equilibrium(10**6, data=data, sweeps=4000), rbm) for data in (None, ENDS))
    assert both["tau"] > 5 * energy["tau"] and np.isfinite(both["tau_error"])


def test_learning_out_of_equilibrium_is_told_once_and_equilibrium_is_silent():
    slow = two_modes(3.0)
    monitor = Equilibrium(1, data=ENDS)
    with pytest.warns(EquilibriumWarning, match=r"out of equilibrium: tau of .* first component is .* and k is 1\. M"):
        record = monitor(slow)
    assert record["tau_over_k"] > 10.0
    assert quiet(monitor, slow) == record  # the same chains, and no second warning
    assert quiet(Equilibrium(10, data=V), mixing())["tau_over_k"] < 1.0


def test_tempered_chains_are_measured_as_they_are():
    ladder = ParallelTempering(Gibbs(), (0.2, 0.4, 0.6, 0.8, 1.0), adapt=False)
    plain, tempered = (
        quiet(Equilibrium(10**5, sampler=sampler, data=ENDS, sweeps=4000), two_modes(3.5)) for sampler in (None, ladder)
    )
    assert tempered["tau"] < plain["tau"] / 3


@pytest.mark.parametrize(
    ("k", "rbm", "sweeps", "data", "match", "error"),
    [
        (10**4, two_modes(5.0), 100, ENDS, "20 chains of 100 sweeps are too short", np.inf),  # tau is of order 10^4
        (5, two_modes(5.0), 100, ENDS, "out of equilibrium: tau .* is at least about", np.inf),
        (5, two_modes(80.0), 100, ENDS[:20], "too short, or stand still", np.nan),
    ],
)
def test_chains_that_cannot_tell_say_so(k, rbm, sweeps, data, match, error):
    with pytest.warns(EquilibriumWarning, match=match):
        record = Equilibrium(k, data=data, sweeps=sweeps)(rbm)
    np.testing.assert_equal(record["tau_error"], error)


def learn(measure, epochs: int = 6, **more):
    rbm, data = RBM(4, 3, seed=0), np.tile(V[[0, 3, 12, 15]], (10, 1))
    settings = {"batch_size": 20, "learning_rate": 0.1, "seed": 3, "progress": False, "measure": measure}
    history = fit(rbm, data, PersistentCD(1, 10), epochs=epochs, **settings, **more)
    return b"".join(array.tobytes() for array in rbm.learnable().values()), history


def monitor() -> Equilibrium:
    return Equilibrium(20, data=V, sweeps=100)


def test_measuring_changes_no_bit_and_a_resumed_run_measures_the_same(tmp_path):
    bits, plain = learn(None)
    measured, history = learn(monitor())
    assert measured == bits and history["gradient_norm"].tolist() == plain["gradient_norm"].tolist()
    assert (history["tau"] > 0.5).all() and (history["tau_over_k"] < 1).all()
    learn(monitor(), 2, checkpoint=tmp_path / "run.h5")
    again, resumed = learn(monitor(), checkpoint=tmp_path / "run.h5", resume=True)
    assert again == bits and resumed["tau"].tolist() == history["tau"].tolist()


def test_between_measurements_the_record_has_nan():
    _, history = learn(Equilibrium(20, data=V, sweeps=100, every=3))
    assert np.isfinite(history["tau"]).tolist() == [True, False, False, True, False, False]


class Score:
    """The score of N(0, 1) in each direction, without an energy."""

    shape, domain, score_only = (2,), "real", True

    def __call__(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def grad(self, x: np.ndarray) -> np.ndarray:
        return x

    def learnable(self) -> dict[str, np.ndarray]:
        return {"nothing": np.zeros(1)}


def test_a_score_is_measured_by_its_component_alone():
    data, step = np.random.default_rng(1).standard_normal((50, 2)), 0.1
    record = quiet(Equilibrium(100, sampler=Langevin(step), data=data, sweeps=2000), Score())
    assert abs(record["tau"] - (2 - step) / step) < 5 * record["tau_error"] < 10.0  # (1 + r) / (1 - r), r = 1 - step


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: Equilibrium(0), ValueError, "k must be a positive integer, got 0"),
        (lambda: Equilibrium(1, sweeps=0), ValueError, "sweeps must be a positive integer, got 0"),
        (lambda: Equilibrium(1, seed=-1), ValueError, "seed must be a non-negative integer, got -1"),
        (lambda: Equilibrium(1, data=np.zeros((0, 3))), ValueError, "data must have shape .* got \\(0, 3\\)"),
        (lambda: Equilibrium(1, data=V)(RBM(3, 2, seed=0)), ValueError, r"init must have shape \(n, 3\), got"),
        (lambda: Equilibrium(1)(Score()), TypeError, "Gibbs needs .* got Score"),
        (lambda: Equilibrium(1, sampler=Langevin(0.1))(Score()), TypeError, "Equilibrium needs data for Score"),
        (lambda: Equilibrium(1)(Ising((2, 2))), TypeError, "Equilibrium needs an energy that learns, got Ising"),
    ],
)
def test_bad_arguments_are_named(act, error, message):
    with pytest.raises(error, match=message):
        act()
