"""Annealed importance sampling obeys Jarzynski's equality forward and Crooks' relation in reverse. alpha = 1e-6.

Few temperatures are used on purpose: chains far from equilibrium are where a mistake shows.
"""

import warnings

import numpy as np
import pytest
from scipy import stats

from ebm import exact
from ebm.ais import anneal, effective_sample_size, resample
from ebm.annealing_paths import GaussianRBMPath, RBMPath, SitePath, path_of
from ebm.gaussian_rbm import GaussianRBM
from ebm.lattice import Ising, Potts
from ebm.likelihood import log_likelihood
from ebm.mean_field import BoltzmannMachine
from ebm.partition import log_z, summary
from ebm.rbm import RBM
from samplers import protocols

ALPHA = 1e-6
TIMES = np.linspace(0, 1, 6)


def random_rbm(kind: type = RBM, scale: float = 1.5, n_visible: int = 6, **more):
    rng = np.random.default_rng(3)
    W = scale * rng.standard_normal((n_visible, 4))
    return kind(n_visible, 4, W=W, b=rng.standard_normal(n_visible), c=rng.standard_normal(4), **more)


def machine(domain: str, seed: int = 4, scale: float = 1.5) -> BoltzmannMachine:
    rng = np.random.default_rng(seed)
    W = np.triu(scale * rng.standard_normal((5, 5)), 1)
    return BoltzmannMachine(W + W.T, rng.standard_normal(5), domain)


def exact_start(path: SitePath | RBMPath, energy, beta: float, chains: int, seed: int) -> dict[str, np.ndarray]:
    """A state drawn from p_1 by enumeration."""
    rng = np.random.default_rng(seed)
    state = path.start(chains, rng, seed)
    p = exact.probabilities(energy, beta)
    x = exact.state_at(rng.choice(len(p), chains, p=p), energy.shape, energy.domain, protocols.n_states(energy))
    state["x"][...] = x.reshape(chains, -1)
    return state


DISCRETE = {
    "rbm": random_rbm(),
    "float64 rbm": random_rbm(dtype="float64"),
    "binary machine": machine("binary"),
    "spin machine": machine("spin"),
    "ising": Ising((2, 3), field=0.3),
    "potts": Potts((2, 2), 3),
}
DATA = np.array([[1, 1, 0, 0, 1, 0], [1, 0, 0, 1, 1, 0]])


@pytest.mark.parametrize("beta", [0.6, 1.0])
@pytest.mark.parametrize("name", DISCRETE)
def test_forward_weights_are_unbiased(name, beta):
    energy, chains = DISCRETE[name], 20_000
    path = path_of(energy, beta, DATA if name == "rbm" else None)
    state = path.start(chains, np.random.default_rng(5), 5)
    path.anneal(state, TIMES, True)
    truth = log_z(energy, "exact", beta).value
    work = path.log_z_start + state["log_weight"] - truth
    assert work.std() > 0.05  # far enough from equilibrium to tell
    assert stats.ttest_1samp(np.exp(work), 1.0).pvalue > ALPHA
    assert work.mean() < 0


@pytest.mark.parametrize("beta", [0.6, 1.0])
@pytest.mark.parametrize("name", DISCRETE)
def test_reverse_weights_are_unbiased_from_equilibrium(name, beta):
    energy, chains = DISCRETE[name], 20_000
    path = path_of(energy, beta, DATA if name == "rbm" else None)
    state = exact_start(path, energy, beta, chains, 6)
    path.anneal(state, TIMES[::-1], False)
    truth = log_z(energy, "exact", beta).value
    work = path.log_z_start - state["log_weight"] - truth
    assert stats.ttest_1samp(np.exp(-work), 1.0).pvalue > ALPHA
    assert work.mean() > 0


def scan_matrix(energy: BoltzmannMachine, beta: float, sites: list[int]) -> np.ndarray:
    """The transition matrix of a sweep over sites in the given order, one heat-bath matrix after the other."""
    x = np.concatenate(list(exact.states(energy.shape, energy.domain)))
    weight, sweep = np.exp(-beta * energy(x)), np.eye(len(x))
    for site in sites:
        same_but_site = (np.delete(x, site, 1)[:, None] == np.delete(x, site, 1)).all(2)
        step = same_but_site * weight
        sweep = sweep @ (step / step.sum(1, keepdims=True))
    return sweep


def test_reverse_run_reverses_the_scan():
    """Crooks: the law of the reverse work is the forward law times w / R, only if the kernels are reversed."""
    rng, t, chains = np.random.default_rng(13), 0.3, 100_000
    W = np.triu(rng.normal(0, 2, (5, 5)), 1)
    energy = BoltzmannMachine(W + W.T, rng.normal(0, 1, 5), "spin")
    x = np.concatenate(list(exact.states((5,), "spin")))
    log_f = -energy(x)
    log_w = t * log_f[:, None] + (1 - t) * log_f  # of x1 -> x2
    joint = scan_matrix(energy, t, list(range(5))) * np.exp(log_w)  # forward from uniform, times w
    need = (joint / joint.sum() * log_w).sum()
    p = []
    for forward in (False, True):  # the latter is the mistake
        path = SitePath(energy, 1.0)
        state = exact_start(path, energy, 1.0, chains, 7)
        path.anneal(state, np.array([1.0, t, 0.0]), forward)
        p.append(stats.ttest_1samp(-state["log_weight"], need).pvalue)
    assert p[0] > ALPHA > p[1]


@pytest.mark.parametrize("beta", [0.7, 1.5])
def test_gaussian_rbm_weights_are_unbiased(beta):
    rbm, chains = random_rbm(GaussianRBM, 0.8, 3, sigma=[0.8, 1.0, 1.3], dtype="float64"), 40_000
    path = GaussianRBMPath(rbm, beta)
    state = path.start(chains, np.random.default_rng(8), 8)
    path.anneal(state, np.linspace(0, 1, 31), True)
    w = np.exp(path.log_z_start + state["log_weight"] - rbm.log_z(beta))
    assert stats.ttest_1samp(w, 1.0).pvalue > ALPHA


@pytest.mark.parametrize("name", ["rbm", "spin machine"])
def test_estimate_agrees_with_exact_within_its_errors(name):
    energy, replicas = DISCRETE[name], 32
    truth = log_z(energy).value
    results = [log_z(energy, "ais", chains=100, steps=60, seed=s, progress=False) for s in range(replicas)]
    pulls = np.array([(r.value - truth) / r.error for r in results])
    # The squared pulls of honest errors are chi-square (errors of 100 weights are themselves known to 7 %).
    assert stats.chi2.sf((pulls**2).sum() / 1.15, replicas) > ALPHA
    assert stats.chi2.cdf((pulls**2).sum() * 1.15, replicas) > ALPHA
    assert stats.ttest_1samp([r.lower for r in results], truth, alternative="greater").pvalue > ALPHA
    assert stats.ttest_1samp([r.upper for r in results], truth, alternative="less").pvalue > ALPHA


def two_modes() -> RBM:
    """A ferromagnet tilted to "off", and four units that gain by "on": early in an annealing off is the better half,
    at the end on, and in between block Gibbs does not cross. Chains end in the wrong proportion."""
    W = np.full((12, 4), 6.0)
    W[8:] = 1.5
    return RBM(12, 4, W=W, b=[-12.0 - 19 / 8] * 8 + [0.0] * 4, c=[-24.0] * 4)


def test_bounds_hold_where_the_kernel_does_not_mix():
    rbm = two_modes()
    result = log_z(rbm, "ais", chains=4000, steps=300, seed=9, progress=False)
    truth, d, sigmas = rbm.log_z(), result.details, stats.norm.isf(ALPHA)
    assert abs(result.value - truth) < sigmas * result.error
    assert result.lower < truth + sigmas * d["lower_error"]
    # Starts that are not resampled by their weights put this bound a nat below the truth.
    assert result.upper > truth - sigmas * d["upper_error"]
    assert abs(d["reverse_value"] - truth) < sigmas * d["reverse_error"]


def test_resampling_follows_the_weights():
    n = 8
    log_weight = np.log(np.arange(1.0, n + 1))
    rng, counts = np.random.default_rng(10), np.zeros(n)
    for _ in range(4000):
        state = {"x": np.arange(n)[:, None].copy(), "log_weight": log_weight}
        resample(state, rng)
        counts += np.bincount(state["x"][:, 0], minlength=n)
        expected = n * np.exp(log_weight) / np.exp(log_weight).sum()
        assert (np.abs(np.bincount(state["x"][:, 0], minlength=n) - expected) < 1).all()
    # Systematic resampling varies less than independent draws, so the chi-square statistic may only be too small.
    assert stats.chisquare(counts, counts.sum() * expected / n).pvalue > ALPHA


def test_effective_sample_size_of_known_weights():
    assert effective_sample_size(np.zeros(7)) == pytest.approx(7)
    assert effective_sample_size(np.array([0.0, -np.inf, -np.inf])) == pytest.approx(1)


def test_same_seed_same_bits_and_another_seed_others():
    rbm = random_rbm()
    runs = [anneal(RBMPath(rbm, 1.0, None), TIMES, 130, seed, False) for seed in (1, 1, 2)]
    assert np.array_equal(runs[0].forward, runs[1].forward) and np.array_equal(runs[0].reverse, runs[1].reverse)
    assert not np.array_equal(runs[0].forward, runs[2].forward)


def test_collapsed_weights_are_reported():
    rbm = random_rbm(scale=6.0, n_visible=20)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        log_z(rbm, "ais", chains=300, steps=2, seed=1, progress=False)
    messages = " ".join(str(warning.message) for warning in caught)
    assert "weights have collapsed" in messages and "the bracket is" in messages


def test_sides_that_disagree_are_reported():
    rng = np.random.default_rng(1)
    forward, reverse = rng.normal(10.0, 0.3, 400), rng.normal(9.0, 0.3, 400)
    messages = " ".join(summary(forward, reverse, {"chains": 400}).complaints)
    assert "disagree" in messages and "collapsed" not in messages


def test_good_weights_are_not_complained_of():
    log_z(random_rbm(scale=0.5), "ais", chains=300, steps=100, seed=1, progress=False)  # warnings are errors here


def test_log_likelihood_is_the_mean_of_exact_probabilities():
    rbm, x = random_rbm(dtype="float64"), DATA
    p = exact.probabilities(rbm, 0.7)[exact.state_index(x, "binary")]
    result = log_likelihood(rbm, x, log_z(rbm, beta=0.7), beta=0.7)
    assert result.value == pytest.approx(np.log(p).mean(), rel=1e-12)
    assert result.error == pytest.approx(np.log(p).std(ddof=1) / np.sqrt(len(x)), rel=1e-9)
    assert result.lower == result.value == result.upper


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "magic"}, ValueError, "method must be one of exact, ais, ti, bar, mbar, got 'magic'"),
        ({"beta": -0.3}, ValueError, "beta must be a positive finite number, got -0.3"),
        ({"chains": 1}, ValueError, "chains must be at least 2"),
        ({"steps": 0}, ValueError, "steps must be a positive integer, got 0"),
        ({"steps": [0.0, 0.7, 0.5, 1.0]}, ValueError, "steps must be a positive integer or rise from 0 to 1"),
        ({"data": np.ones((2, 3))}, ValueError, r"data must have shape \(n, 6\), got \(2, 3\)"),
        ({"energy": GaussianRBM(2, 2, seed=0), "data": np.ones((1, 2))}, ValueError, "data is used for"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    arguments = {"energy": DISCRETE["rbm"], "method": "ais", "progress": False, **change}
    with pytest.raises(error, match=message):
        log_z(**arguments)
