"""Every method on systems whose ln Z is known: values within their stated errors, at a false-alarm rate of 1e-6."""

import warnings

import numpy as np
import pytest
from laws import ArrayTier
from scipy import stats

import ebm
import samplers
from ebm.partition import log_z
from ebm.tempered import log_z_at_zero

SIGMAS = stats.norm.isf(1e-6 / 2)
RNG = np.random.default_rng(7)
_W = np.triu(RNG.normal(0, 0.6, (10, 10)), 1)
_A = RNG.normal(size=(5, 5))
SYSTEMS = {  # energy, beta
    "ring": (ebm.Ising(30, field=0.2), 0.8),
    "torus at T_c": (ebm.Ising((8, 8)), np.log(1 + np.sqrt(2)) / 2),
    "curie-weiss": (ebm.CurieWeiss(40, field=0.05), 1.2),
    "potts": (ebm.Potts((3, 3), 3), 0.9),
    "spin glass": (ebm.BoltzmannMachine(_W + _W.T, RNG.normal(0, 0.3, 10), "spin"), 1.0),
    "rbm": (ebm.RBM(30, 12, W=RNG.normal(0, 0.7, (30, 12)), b=RNG.normal(0, 0.5, 30)), 0.7),
    "gaussian": (ebm.Gaussian(RNG.normal(size=5), _A @ _A.T + 0.3 * np.eye(5)), 1.4),
    "mixture": (ebm.GaussianMixture([[-3.0, 0.0], [3.0, 1.0]], np.eye(2), [0.3, 0.7]), 1.0),
    "double well": (ebm.DoubleWell(3, barrier=4.0), 1.0),
    "muller-brown": (ebm.MullerBrown(0.05), 1.0),
    "gaussian rbm": (ebm.GaussianRBM(4, 3, W=RNG.normal(0, 0.8, (4, 3)), sigma=[0.8, 1.0, 1.2, 0.9]), 0.8),
    "rotors": (ebm.XY((2,), coupling=0.8), 1.1),
}
QUICK = {"torus at T_c", "rbm"}  # the loops of the others take seconds each to compile


def check(energy, beta, truth, method, **settings):
    result = log_z(energy, method, beta, progress=False, **settings)
    assert abs(result.value - truth) < SIGMAS * result.error
    lower_error, upper_error = result.details["lower_error"], result.details["upper_error"]
    assert result.lower - SIGMAS * lower_error < truth < result.upper + SIGMAS * upper_error
    return result


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in SYSTEMS])
def test_all_methods_agree_with_what_is_known(name):
    energy, beta = SYSTEMS[name]
    truth = log_z(energy, beta=beta).value
    if name == "double well":
        energy = ArrayTier(energy)  # its loops are compiled elsewhere
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ebm.LogZWarning)  # of the error of integration, which is then stated
        first = check(energy, beta, truth, "bar", seed=1, chains=4, draws=600, warmup=200, rungs=10)
        for method in ("ti", "mbar"):
            check(energy, beta, truth, method, run=first.details["ladder"])
    check(energy, beta, truth, "ais", seed=2, chains=200, steps=150)
    assert first.error < 0.2


def test_a_ladder_of_the_users_is_read():
    ring, betas = ebm.Ising(12), (0.0, 0.3, 0.6, 0.9)
    run = samplers.sample(
        ring, samplers.ParallelTempering(samplers.Gibbs(), betas, adapt=False), beta=0.6, draws=600, seed=3,
        progress=False,
    )  # fmt: skip
    for method in ("ti", "bar", "mbar"):
        check(ring, 0.6, log_z(ring, beta=0.6).value, method, run=run)


@pytest.mark.parametrize(
    "energy",
    [ebm.Potts((2, 2), 3), ebm.RBM(4, 3, W=np.ones((4, 3)), c=[1.0, 0.0, 0.0]), ebm.CurieWeiss(5)],
    ids=["potts", "rbm", "curie-weiss"],
)
def test_at_beta_zero_states_and_hidden_units_are_counted(energy):
    near = log_z(energy, beta=1e-9).value
    assert log_z_at_zero(energy) == pytest.approx(near, abs=1e-6)


def test_tempered_starts_find_the_mode_that_annealing_missed():
    """Two modes, and a base over one of them: the forward run misses the other, and its own ends would not tell."""
    energy = ArrayTier(ebm.GaussianMixture([[-6.0], [6.0]], [[0.25]]))
    settings = {"base": ebm.Gaussian([-6.0], [[0.5]]), "chains": 100, "steps": 60, "progress": False, "seed": 1}
    blind = log_z(energy, "ais", **settings)
    assert not blind.complaints and blind.value == pytest.approx(np.log(0.5), abs=0.1)
    starts = ebm.GaussianMixture([[-6.0], [6.0]], [[0.25]]).sample(200, seed=1)
    with pytest.warns(ebm.LogZWarning, match="forward and reverse disagree"):
        log_z(energy, "ais", starts=starts, **settings)


def test_the_same_seed_gives_the_same_bits():
    ring, settings = ebm.Ising(8), {"rungs": 4, "draws": 200, "chains": 4, "progress": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ebm.LogZWarning)
        values = [log_z(ring, "mbar", seed=seed, **settings).value for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]
