"""Learning climbs, goes on from where it was cut with the same bits, and says what is wrong."""

import os
import signal

import h5py
import numpy as np
import pytest
from scipy import stats

import samplers
from ebm import exact
from ebm.contrastive import ContrastiveDivergence, PersistentCD
from ebm.exact_likelihood import ExactLikelihood
from ebm.gaussian_rbm import GaussianRBM
from ebm.history import measured
from ebm.lattice import Ising
from ebm.learning import fit, training
from ebm.likelihood import log_likelihood
from ebm.mean_field import BoltzmannMachine
from ebm.optimisers import SGD
from ebm.partition import log_z
from ebm.rbm import RBM
from ebm.training_run import LearningError
from samplers.store import StoreError

BARS = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]], np.int8)
ENTROPY = np.log(len(BARS))


def learn(rbm=None, data=None, objective=None, **change):
    rbm = RBM(4, 5, seed=0) if rbm is None else rbm
    data = np.tile(BARS, (10, 1)) if data is None else data
    settings = {"epochs": 6, "batch_size": 16, "learning_rate": 0.1, "seed": 3, "progress": False, **change}
    return rbm, fit(rbm, data, PersistentCD(chains=20) if objective is None else objective, **settings)


def log_likelihood_of(rbm: RBM) -> float:
    return log_likelihood(rbm, BARS, log_z(rbm)).value


def test_exact_likelihood_rises_and_reaches_the_data():
    rbm, values = RBM(4, 8, W=np.random.default_rng(0).normal(0, 0.3, (4, 8)), dtype="float64"), []
    steps = training(
        rbm, BARS, ExactLikelihood(), epochs=1500, batch_size=6, learning_rate=0.5, seed=1, optimiser=SGD(momentum=0.5)
    )
    values = [log_likelihood_of(rbm) for record in steps if record["epoch"] % 100 == 0]
    assert (np.diff(values) > 0).all()
    assert -ENTROPY - 0.1 < values[-1] < -ENTROPY  # the data's own entropy is the most any model can reach


@pytest.mark.parametrize("centred", [False, True])
def test_persistent_chains_approach_maximum_likelihood(centred):
    start = np.random.default_rng(0).normal(0, 0.3, (4, 8))
    rbm, _ = learn(
        RBM(4, 8, W=start), objective=PersistentCD(k=2, chains=500), epochs=600, batch_size=60, learning_rate=0.3,
        schedule=lambda epoch: 1 - epoch / 600, centred=centred, optimiser=SGD(momentum=0.5),
    )  # fmt: skip
    best = RBM(4, 8, W=start)
    fit(
        best, BARS, ExactLikelihood(), epochs=600, batch_size=6, learning_rate=0.3, seed=1, progress=False,
        schedule=lambda epoch: 1 - epoch / 600, centred=centred, optimiser=SGD(momentum=0.5),
    )  # fmt: skip
    # 500 chains know a probability of 1/6 to a tenth of itself, hence the likelihood to about a hundredth of a nat.
    assert log_likelihood_of(best) - 0.05 < log_likelihood_of(rbm) < -ENTROPY


def test_cd_learns_a_boltzmann_machine_and_keeps_it_symmetric():
    rng = np.random.default_rng(2)
    W = np.triu(rng.normal(0, 0.7, (5, 5)), 1)
    teacher = BoltzmannMachine(W + W.T, rng.normal(0, 0.5, 5), "spin")
    x = np.concatenate(list(exact.states((5,), "spin")))
    data = x[rng.choice(len(x), 4000, p=exact.probabilities(teacher))]
    student = BoltzmannMachine(np.zeros((5, 5)), domain="spin")
    fit(
        student, data, PersistentCD(k=2, chains=500), epochs=15, batch_size=200, learning_rate=0.1, seed=1,
        schedule=lambda epoch: 1 - epoch / 15, progress=False,
    )  # fmt: skip
    assert np.array_equal(student.W, student.W.T) and not np.diag(student.W).any()
    p = exact.probabilities(teacher)
    divergence = p @ (np.log(p) - np.log(exact.probabilities(student)))
    # The data alone leave about 15 parameters / (2 * 4000) nats.
    assert divergence < 0.02


def test_gaussian_rbm_learns_a_mixture():
    rng = np.random.default_rng(3)
    data = np.where(rng.random((2000, 1)) < 0.3, [[1.0, 0.5]], [[-0.5, -0.5]]) + 0.5 * rng.standard_normal((2000, 2))
    rbm = GaussianRBM(2, 1, sigma=0.5, b=data.mean(0), W=0.1 * rng.standard_normal((2, 1)), dtype="float64")
    before = log_likelihood(rbm, data, log_z(rbm))
    history = fit(
        rbm, data, PersistentCD(k=2, chains=200), epochs=60, batch_size=100, learning_rate=0.1, seed=1, centred=True,
        schedule=lambda epoch: 1 - epoch / 60, progress=False,
    )  # fmt: skip
    after = log_likelihood(rbm, data, log_z(rbm))
    best = GaussianRBM(2, 1, sigma=0.5, b=[-0.5, -0.5], W=[[1.5], [1.0]], dtype="float64")
    best.c = np.log(0.3 / 0.7) - ((best.b + best.W[:, 0]) ** 2 - best.b**2).sum(keepdims=True) / 0.5
    truth = log_likelihood(best, data, log_z(best))
    # The model is of the data's family: what is left is the scatter of the data and of 200 chains.
    assert before.value < after.value - 0.3 and abs(after.value - truth.value) < 0.03
    assert history["reconstruction_error"][-1] < history["reconstruction_error"][0]


def arrays(rbm) -> bytes:
    return b"".join(a.tobytes() for a in rbm.learnable().values())


ALL = {"centred": True, "optimiser": SGD(0.5, 1e-3), "schedule": lambda epoch: 1 / (1 + epoch)}


@pytest.mark.parametrize("objective", [PersistentCD(chains=20), ContrastiveDivergence(2), ExactLikelihood()])
def test_resumed_run_has_the_bits_of_the_uncut_one(tmp_path, objective):
    uncut, history = learn(objective=objective, **ALL)
    path = tmp_path / "run.h5"
    learn(objective=objective, checkpoint=path, **{**ALL, "epochs": 2})
    again, longer = learn(objective=objective, checkpoint=path, resume=True, **ALL)
    assert arrays(again) == arrays(uncut)
    assert longer["gradient_norm"].tolist() == history["gradient_norm"].tolist() and len(longer) == 6
    finished, same = learn(objective=objective, checkpoint=path, resume=True, **ALL)
    assert arrays(finished) == arrays(uncut) and len(same) == 6


class Interrupting:
    """PersistentCD that presses Ctrl-C in one of its batches."""

    def __init__(self, batch: int) -> None:
        self._inner, self._calls, self._batch = PersistentCD(chains=20), 0, batch
        self.check, self.start, self.learned = self._inner.check, self._inner.start, ()

    def gradient(self, *arguments):
        self._calls += 1
        if self._calls == self._batch:
            os.kill(os.getpid(), signal.SIGINT)
        return self._inner.gradient(*arguments)

    def __repr__(self) -> str:
        return repr(self._inner)


@pytest.mark.parametrize(("batch", "place"), [(7, "in epoch 2, batch 3"), (8, "after epoch 2")])
def test_ctrl_c_saves_and_says_how_to_go_on(batch, place, tmp_path, capsys):
    uncut, history = learn(**ALL)
    path = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        learn(objective=Interrupting(batch), checkpoint=path, **ALL)
    assert f"Stopped {place}. Go on with the same call and resume=True ({path})" in capsys.readouterr().err
    again, resumed = learn(checkpoint=path, resume=True, **ALL)
    assert arrays(again) == arrays(uncut)
    assert resumed["gradient_norm"].tolist() == history["gradient_norm"].tolist()


def test_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.h5"
    learn(checkpoint=path, epochs=1)
    with pytest.raises(StoreError, match="exists already"):
        learn(checkpoint=path)
    with pytest.raises(StoreError, match="other settings: batch_size was 16, now 8"):
        learn(checkpoint=path, resume=True, batch_size=8)
    with pytest.raises(StoreError, match="other settings: data was"):
        learn(checkpoint=path, resume=True, data=BARS)
    for version, advice in ((2, "begin anew"), (99, "update ebmlab")):
        with h5py.File(path, "a") as file:
            now, file.attrs["schema_version"] = file.attrs["schema_version"], version
        with pytest.raises(StoreError, match=rf"another version \(schema {version}\): {advice}"):
            learn(checkpoint=path, resume=True)
    with h5py.File(path, "a") as file:
        file.attrs["schema_version"] = now
    before = path.read_bytes()
    path.write_bytes(before[: len(before) // 2])
    with pytest.raises(StoreError, match="is not a readable HDF5 file"):
        learn(checkpoint=path, resume=True)
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(StoreError, match="is not a training checkpoint"):
        learn(checkpoint=tmp_path / "foreign.h5", resume=True)


def test_failed_checkpoint_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "run.h5"
    learn(checkpoint=path, epochs=1)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        learn(checkpoint=path, resume=True)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_checkpoint_that_cannot_be_written_is_known_at_once(tmp_path):
    rbm = RBM(4, 5, seed=0)
    before = arrays(rbm)
    with pytest.raises(StoreError, match="could not be written"):
        learn(rbm, checkpoint=tmp_path / "no such folder" / "run.h5")
    assert arrays(rbm) == before


def test_same_seed_same_bits_with_any_number_of_threads():
    def run(threads: int, seed: int) -> bytes:
        samplers.set_threads(threads)
        data = np.random.default_rng(1).integers(0, 2, (300, 150))
        rbm = RBM(150, 130, seed=0)
        fit(
            rbm, data, PersistentCD(chains=100), epochs=2, batch_size=100, learning_rate=0.1, seed=seed, centred=True,
            progress=False,
        )  # fmt: skip
        return arrays(rbm)

    before = samplers.get_threads()
    try:
        one = run(1, 5)
        assert one == run(2, 5) and one != run(2, 6)
    finally:
        samplers.set_threads(before)


def test_history_is_what_training_yields(tmp_path):
    rbm, records = RBM(4, 5, seed=0), []
    data = np.tile(BARS, (10, 1))
    rbm, history = learn(rbm, data, callback=records.append, validation=BARS)
    assert [r["epoch"] for r in records] == history["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert {"learning_rate", "gradient_norm", "pseudo_log_likelihood", "seconds"} <= set(history.names)
    gap = rbm(BARS).mean() - rbm(data).mean()
    assert history["free_energy_gap"][-1] == pytest.approx(gap, abs=1e-6)
    history.save(tmp_path / "history.h5")
    with h5py.File(tmp_path / "history.h5") as file:
        assert file["gradient_norm"][()].tolist() == history["gradient_norm"].tolist()
    with pytest.raises(KeyError, match="history has epoch"):
        history["loss"]


def test_pseudo_likelihood_is_unbiased():
    rng = np.random.default_rng(5)
    rbm = RBM(4, 3, W=rng.standard_normal((4, 3)), dtype="float64")
    x = np.tile(BARS, (100, 1))
    estimates = [measured(rbm, x, None, np.random.default_rng(s))["pseudo_log_likelihood"] for s in range(64)]
    exact_value = 0.0
    for v in BARS:
        for site in range(4):
            flipped = v.copy()
            flipped[site] = 1 - flipped[site]
            change = (rbm(flipped[None]) - rbm(v[None]))[0]
            exact_value -= np.log1p(np.exp(-change)) / len(BARS)
    assert stats.ttest_1samp(estimates, exact_value).pvalue > 1e-6


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "epochs must be a positive integer, got 0"),
        ({"batch_size": -1}, ValueError, "batch_size must be a positive integer, got -1"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be a positive finite number, got 0.0"),
        ({"optimiser": "adam"}, TypeError, "optimiser must be one such as ebm.Adam"),
        ({"averaging": 1.0}, ValueError, "averaging must be below 1, got 1.0"),
        ({"schedule": lambda epoch: -1.0}, ValueError, "schedule must give finite factors of at least 0, got -1.0"),
        ({"objective": ContrastiveDivergence(k=0)}, ValueError, "k must be a positive integer, got 0"),
        ({"objective": "CD"}, TypeError, "objective must be one such as"),
        ({"data": np.zeros((0, 4))}, ValueError, "data must hold at least one configuration, got none"),
        ({"data": np.zeros((3, 5))}, ValueError, r"data must have shape \(n, 4\), got \(3, 5\)"),
        ({"data": np.full((3, 4), 0.5)}, ValueError, "data must hold 0 and 1"),
        ({"validation": np.zeros((0, 4))}, ValueError, "validation must hold at least one configuration"),
        ({"resume": True}, ValueError, "resume=True needs checkpoint"),
        ({"rbm": BoltzmannMachine(np.zeros((4, 4))), "centred": True}, TypeError, "centred=True needs an RBM"),
        ({"rbm": RBM(40, 30, seed=0), "objective": ExactLikelihood()}, ValueError, "ExactLikelihood needs at most 20"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    with pytest.raises(error, match=message):
        learn(**change)


def test_energy_without_parameters_is_refused():
    with pytest.raises(TypeError, match=r"energy must have parameters to learn .* got Ising"):
        learn(Ising((2, 2)))


def test_divergence_names_epoch_batch_and_parameter():
    with pytest.raises(LearningError, match=r"parameter W must stay finite.* in epoch 1, batch 1"):
        learn(learning_rate=1e38, optimiser=SGD(weight_decay=1e5))


def test_augmented_batches_are_drawn_anew_and_survive_a_cut(tmp_path):
    grey, seen = np.linspace(0.0, 1.0, 40).reshape(10, 4), []

    def binarised(rows, rng):
        seen.append(rows)
        return rng.random(rows.shape) < rows

    path, settings = tmp_path / "run.h5", {"batch_size": 5, "augment": binarised}
    uncut, _ = learn(data=grey, **settings)
    assert {rows.shape for rows in seen} == {(5, 4), (10, 4)}
    learn(data=grey, checkpoint=path, **{**settings, "epochs": 2})
    again, _ = learn(data=grey, checkpoint=path, resume=True, **settings)
    assert arrays(again) == arrays(uncut)
    fixed, _ = learn(data=binarised(grey, np.random.default_rng(1)), batch_size=5)
    assert arrays(fixed) != arrays(uncut)
    with pytest.raises(ValueError, match=r"what augment returns must hold 0 and 1 \(domain 'binary'\), got"):
        learn(data=grey, batch_size=5, augment=lambda rows, rng: rows)
    with pytest.raises(ValueError, match=r"data must hold at least one row, got shape \(0, 4\)"):
        learn(data=grey[:0], **settings)


def test_learning_from_grey_levels_learns_their_means():
    # One hidden unit that learns nothing, and visible biases: the fixed point is the logit of each grey level.
    grey = np.tile([0.2, 0.5, 0.9], (200, 1))
    rbm = RBM(3, 1, W=np.zeros((3, 1)), dtype="float64")
    fit(
        rbm, grey, ExactLikelihood(), epochs=60, batch_size=200, learning_rate=1.0, seed=1, progress=False,
        averaging=0.98, augment=lambda rows, rng: rng.random(rows.shape) < rows,
    )  # fmt: skip
    # The last fifty steps saw ten thousand throws of each pixel, a mean with an error of half a per cent.
    mean = 1 / (1 + np.exp(-(rbm.b + rbm.W @ rbm.hidden(np.zeros((1, 3)))[0])))
    np.testing.assert_allclose(mean, [0.2, 0.5, 0.9], atol=0.03)
