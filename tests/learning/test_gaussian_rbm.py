"""The Gaussian RBM is a mixture of Gaussians at every beta: energy, gradient, sampling. alpha = 1e-6."""

import numpy as np
import pytest
from scipy import integrate, stats

import ebm
import samplers
from ebm import exact
from ebm.contrastive import ContrastiveDivergence, PersistentCD
from ebm.exact_likelihood import ExactLikelihood
from ebm.gaussian_rbm import GaussianRBM
from ebm.learning import fit
from ebm.optimisers import SGD, Adam
from samplers import random

ALPHA = 1e-6
H = np.concatenate(list(exact.states((3,), "binary"))).astype(float)


def machine(n_visible: int = 1, dtype: str = "float64") -> GaussianRBM:
    rng = np.random.default_rng(n_visible)
    W, b, c = 1.5 * rng.standard_normal((n_visible, 3)), rng.standard_normal(n_visible), rng.standard_normal(3)
    return GaussianRBM(n_visible, 3, W=W, b=b, c=c, sigma=rng.uniform(0.6, 1.4, n_visible), dtype=dtype)


def components(rbm: GaussianRBM, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights (8,) and means (8, visible) of the mixture, from E(v, h) by completing the square in v."""
    means = rbm.b + H @ rbm.W.T
    log_weight = beta * (H @ rbm.c + ((means**2 - rbm.b**2) / (2 * rbm.sigma**2)).sum(1))
    weight = np.exp(log_weight - log_weight.max())
    return weight / weight.sum(), means


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_density_is_normalised_by_log_z(beta):
    rbm = machine()
    log_z = rbm.log_z(beta)
    total, _ = integrate.quad(lambda v: float(np.exp(-rbm.reduced([[v]], beta)[0] - log_z)), -20, 20, limit=200)
    assert total == pytest.approx(1, rel=1e-8)


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_reduced_energy_sums_hidden_units_out_at_beta(beta):
    rbm = machine(2)
    v = np.random.default_rng(0).standard_normal((10, 2))
    square = ((v - rbm.b) ** 2 / (2 * rbm.sigma**2)).sum(1)
    joint = square[:, None] - H @ rbm.c - (v / rbm.sigma**2) @ rbm.W @ H.T
    np.testing.assert_allclose(rbm.reduced(v, beta), -np.log(np.exp(-beta * joint).sum(1)), rtol=1e-12)
    p = np.exp(-beta * joint)
    np.testing.assert_allclose(rbm.hidden(v, beta), p @ H / p.sum(1, keepdims=True), rtol=1e-12)


def test_gradient_is_the_derivative_in_both_tiers():
    rbm = machine(2)
    samplers.check(rbm)
    v, step = np.random.default_rng(1).standard_normal((6, 2)), 1e-6
    for i in range(2):
        move = step * np.eye(2)[i]
        numeric = (rbm.reduced(v + move, 0.7) - rbm.reduced(v - move, 0.7)) / (2 * step)
        np.testing.assert_allclose(rbm.reduced_grad(v, 0.7)[:, i], numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("beta", [0.5, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_block_gibbs_from_exact_start_stays_exact(beta, dtype):
    rbm, chains = machine(2, dtype), 40_000
    rng = np.random.default_rng(3)
    weight, means = components(machine(2), beta)
    width = machine(2).sigma / np.sqrt(beta)
    which = rng.choice(8, chains, p=weight)
    x = means[which] + width * rng.standard_normal((chains, 2))
    rbm.block_gibbs(x, np.full(chains, beta), random.make_streams(4, chains), 2)
    for i in range(2):  # each coordinate against the exact mixture, in 40 bins of equal probability

        def cdf(v, i=i):
            return weight @ stats.norm.cdf((v - means[:, i, None]) / width[i])

        counts = np.histogram(cdf(x[:, i]), 40, (0, 1))[0]
        assert stats.chisquare(counts).pvalue > ALPHA
    # Correlation of the two coordinates, which a wrong hidden layer would change.
    centre = weight @ means
    exact_covariance = (weight * (means[:, 0] - centre[0])) @ (means[:, 1] - centre[1])
    products = (x[:, 0] - centre[0]) * (x[:, 1] - centre[1])
    assert stats.ttest_1samp(products, exact_covariance).pvalue > ALPHA


def test_one_sweep_forgets_through_the_hidden_layer_only():
    rbm, chains, beta = machine(1), 40_000, 0.8
    x = np.full((chains, 1), 0.3)
    rbm.block_gibbs(x, np.full(chains, beta), random.make_streams(5, chains), 1)
    on = rbm.hidden([[0.3]], beta)[0]
    weight = np.where(H == 1, on, 1 - on).prod(1)
    means, width = rbm.b + H @ rbm.W.T, rbm.sigma / np.sqrt(beta)
    u = weight @ stats.norm.cdf((x[:, 0] - means) / width)
    assert stats.chisquare(np.histogram(u, 40, (0, 1))[0]).pvalue > ALPHA


def test_bad_widths_are_named():
    with pytest.raises(ValueError, match="sigma must be positive, got 0"):
        GaussianRBM(2, 1, sigma=[1.0, 0.0])
    with pytest.raises(ValueError, match=r"sigma must have shape \(2\), got \(3,\)"):
        GaussianRBM(2, 1, sigma=[1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"log_sigma must have shape \(2\), got \(3,\)"):
        GaussianRBM(2, 1, log_sigma=np.zeros(3))
    with pytest.raises(ValueError, match="log_sigma must be finite, got -inf"):
        GaussianRBM(2, 1, log_sigma=-np.inf)
    with pytest.raises(ValueError, match="sigma must be left out where log_sigma is given, got both"):
        GaussianRBM(2, 1, sigma=1.0, log_sigma=0.0)
    for rbm in (GaussianRBM(2, 1), GaussianRBM(2, 1, log_sigma=0.0)):
        with pytest.raises(ValueError, match=r"sigma must be positive, got -1"):
            rbm.sigma = [1.0, -1.0]
        rbm.sigma = [0.5, 2.0]
        np.testing.assert_allclose(rbm.sigma, [0.5, 2.0], rtol=1e-6)


# --- widths that are learned ------------------------------------------------------------------------------------------


def learner(rbm: GaussianRBM) -> GaussianRBM:
    """The same machine with widths to be learned, in double precision."""
    arrays = {"W": rbm.W, "b": rbm.b, "c": rbm.c, "log_sigma": np.log(rbm.sigma)}
    return GaussianRBM(rbm.n_visible, rbm.n_hidden, **arrays, dtype="float64")


def parameters(rbm: GaussianRBM) -> bytes:
    return b"".join(array.tobytes() for array in rbm.learnable().values())


def test_widths_to_be_learned_change_nothing_else(tmp_path):
    fixed, learns = machine(2), learner(machine(2))
    v = np.random.default_rng(6).standard_normal((20, 2))
    assert list(fixed.learnable()) == ["W", "b", "c"] and list(learns.learnable()) == ["W", "b", "c", "log_sigma"]
    np.testing.assert_allclose(learns.reduced(v, 0.7), fixed.reduced(v, 0.7), rtol=1e-14)
    np.testing.assert_allclose(learns.grad(v), fixed.grad(v), rtol=1e-13)
    assert learns.log_z(0.7) == pytest.approx(fixed.log_z(0.7), rel=1e-14)
    ais = [ebm.log_z(rbm, method="ais", chains=50, steps=20, seed=1, progress=False) for rbm in (fixed, learns)]
    assert ais[1].value == pytest.approx(ais[0].value, rel=1e-9)
    for rbm in (learns, GaussianRBM(3, 2, log_sigma=[-0.3, 0.1, 0.7], seed=0)):
        path = tmp_path / f"{rbm.n_visible}.h5"
        rbm.save(path)
        loaded = ebm.load(path)
        assert loaded.learnable().keys() == rbm.learnable().keys()
        assert parameters(loaded) == parameters(rbm)
        assert np.array_equal(loaded.sigma, rbm.sigma)
    learns.log_sigma[0] += 1.0  # as learning does
    assert learns.sigma[0] == pytest.approx(np.e * fixed.sigma[0])
    assert learns.grad(v)[0, 0] != fixed.grad(v)[0, 0]
    with pytest.raises(ValueError, match="read-only"):
        learns.sigma[0] = 1.0
    with pytest.raises(AttributeError, match="this GaussianRBM has no log_sigma"):
        fixed.log_sigma = np.zeros(2)


def teacher() -> GaussianRBM:
    """Two Gaussians of weights 0.6 and 0.4."""
    rbm = GaussianRBM(2, 1, W=[[1.4], [1.0]], b=[-1.0, 0.5], sigma=[0.5, 0.8], dtype="float64")
    means = rbm.b + rbm.W[:, 0]
    rbm.c = [np.log(0.4 / 0.6) - ((means**2 - rbm.b**2) / (2 * rbm.sigma**2)).sum()]
    return rbm


def draws_of_the_teacher(n: int, rng: np.random.Generator) -> np.ndarray:
    on = rng.random((n, 1)) < 0.4
    return teacher().b + on * teacher().W[:, 0] + teacher().sigma * rng.standard_normal((n, 2))


@pytest.mark.parametrize(
    ("objective", "more"),
    [
        (ExactLikelihood(), {"epochs": 120, "batch_size": 2000, "optimiser": Adam()}),
        (PersistentCD(5, 300), {"epochs": 40, "batch_size": 200, "optimiser": SGD(momentum=0.5)}),
    ],
)
def test_learning_recovers_the_widths_of_the_machine_that_made_the_data(objective, more):
    widths = []
    for replica in range(16):
        data = draws_of_the_teacher(2000, np.random.default_rng(replica))
        rbm = GaussianRBM(2, 1, W=[[1.0], [1.0]], b=data.mean(0) - 0.5, log_sigma=0.0)
        last = more["epochs"]
        fit(
            rbm, data, objective, learning_rate=0.1, seed=replica, schedule=lambda epoch, n=last: 1 - epoch / n,
            progress=False, **more,
        )  # fmt: skip
        widths.append(rbm.sigma)
    widths = np.array(widths)
    assert (widths.std(0, ddof=1) / 4 < 0.006).all()  # they began 0.5 and 0.2 away
    assert stats.ttest_1samp(widths, teacher().sigma).pvalue.min() > ALPHA / 2


@pytest.mark.parametrize("objective", [ContrastiveDivergence(2), PersistentCD(2, 100)])
def test_at_the_truth_learned_widths_stay_where_they_are(objective):
    rbm, replicas = learner(teacher()), []
    for replica in range(200):
        data = draws_of_the_teacher(100, np.random.default_rng(replica))
        state = objective.start(rbm, data, 100, replica)
        if "x" in state:  # exact starts
            state["x"][:] = draws_of_the_teacher(100, np.random.default_rng(1000 + replica))
            state["h"][:] = np.random.default_rng(replica).random((100, 1)) < rbm.hidden(state["x"])
        replicas.append(np.concatenate([g.ravel() for g in objective.gradient(rbm, data, state, None).values()]))
    assert stats.ttest_1samp(np.array(replicas), 0.0).pvalue.min() > ALPHA / 7


def test_a_run_with_learned_widths_goes_on_to_the_same_bits_and_widths_stay_positive(tmp_path):
    data = draws_of_the_teacher(200, np.random.default_rng(1))

    def learn(epochs: int, rate: float = 0.1, **more) -> GaussianRBM:
        rbm = GaussianRBM(2, 1, log_sigma=0.0, seed=0)
        settings = {"batch_size": 50, "learning_rate": rate, "seed": 2, "centred": True, "averaging": 0.5}
        fit(rbm, data, PersistentCD(1, 30), epochs=epochs, progress=False, **settings, **more)
        return rbm

    uncut = learn(5)
    learn(2, checkpoint=tmp_path / "run.h5")
    again = learn(5, checkpoint=tmp_path / "run.h5", resume=True)
    assert parameters(again) == parameters(uncut)
    assert not np.array_equal(uncut.log_sigma, np.zeros(2)) and (learn(1, rate=3.0).sigma > 0).all()
