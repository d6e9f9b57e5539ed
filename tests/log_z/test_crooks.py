"""Jarzynski's equality and Crooks' symmetry of annealing with any sampler of the house, at fast and slow schedules.

With z = ln w - ln R, R the ratio of both partition functions, E_forward[e^z f(z)] = E_reverse[f(z)] for every f. For
f(z) = g(z) / (1 + e^z) with an even g both sides are bounded: E_forward[g(z) s(z)] = E_reverse[g(z) s(-z)],
s(z) = 1 / (1 + e^-z).
"""

import numpy as np
import pytest
from laws import PLANES, ArrayTier, exact_points, exact_states
from scipy import stats
from scipy.special import expit

import ebm
from ebm.ais import anneal
from ebm.annealing_paths import path_of
from ebm.partition import log_z
from samplers import HMC, MALA, Gibbs, Langevin, Metropolis, ParallelTempering, Wolff

ALPHA = 1e-6
FAST, SLOW = np.array([0.0, 0.2, 1.0]), np.linspace(0.0, 1.0, 31)
_RNG = np.random.default_rng(13)
_W = np.triu(_RNG.normal(0, 1.5, (5, 5)), 1)
SPINS = ebm.BoltzmannMachine(_W + _W.T, _RNG.normal(0, 1, 5), "spin")
WELL = PLANES["double well"]
PAIR = PLANES["xy pair"]
BASE = ebm.Gaussian([0.2, 0.0], [[1.4, 0.3], [0.3, 1.2]])

CASES = {  # energy, base, sampler
    "gibbs": (SPINS, None, Gibbs()),
    "metropolis": (SPINS, None, Metropolis()),
    "gibbs on a lattice": (ebm.Ising((2, 4), field=0.0), None, Gibbs()),
    "wolff": (ebm.Ising((2, 3)), None, Wolff()),
    "gibbs by layers": (ebm.RBM(4, 3, W=_RNG.normal(0, 1.5, (4, 3)), b=[0.5, -1.0, 0.2, 0.0]), None, Gibbs()),
    "mala": (ArrayTier(WELL.energy), BASE, MALA(0.15, target_acceptance=None)),
    "hmc": (ArrayTier(WELL.energy), BASE, HMC(0.4, steps=3, target_acceptance=None)),
    "gaussian": (ArrayTier(WELL.energy), BASE, Metropolis("gaussian", step_size=0.8, target_acceptance=None)),
    "site by site": (ArrayTier(WELL.energy), BASE, Metropolis("single", step_size=1.2, target_acceptance=None)),
    "angles": (ArrayTier(PAIR.energy), None, MALA(0.9, target_acceptance=None)),
}


def works(name, beta, times, chains, seed):
    """z of a forward run and of a reverse run from exact draws."""
    energy, base, sampler = CASES[name]
    path = path_of(energy, beta, None, base, sampler)
    truth = log_z(PAIR.energy if name == "angles" else energy, beta=beta).value
    state = path.start(chains, np.random.default_rng(seed), seed)
    path.anneal(state, times, True)
    forward = state["log_weight"] + path.log_z_start - truth
    if energy.domain in ("real", "angle"):
        start = exact_points(PAIR if name == "angles" else WELL, beta, chains, seed)
    else:
        start = exact_states(energy, beta, chains, seed)
    state = path.start(chains, np.random.default_rng(seed + 1), seed + 1)
    state["x"][...] = start.reshape(chains, -1)
    path.anneal(state, times[::-1], False)
    return forward, path.log_z_start - state["log_weight"] - truth


QUICK = {"gibbs-fast", "gibbs-slow", "metropolis-fast", "mala-fast", "mala-slow", "angles-fast"}
RUNS = [(f"{name}-{how}", name, times) for name in CASES for how, times in (("fast", FAST), ("slow", SLOW))]


@pytest.mark.parametrize(
    ("name", "times"),
    [pytest.param(*run, id=label, marks=[] if label in QUICK else [pytest.mark.slow]) for label, *run in RUNS],
)
def test_jarzynski_and_crooks_hold(name, times):
    chains = 20_000 if len(times) == len(FAST) else 3000
    forward, reverse = works(name, 0.9, times, chains, 3)
    assert forward.mean() < 0 < reverse.mean()
    assert stats.ttest_1samp(np.exp(forward), 1.0).pvalue > ALPHA
    if CASES[name][0].domain != "real":  # the tails of the base are wider than those of a well: no variance
        assert stats.ttest_1samp(np.exp(-reverse), 1.0).pvalue > ALPHA
    for g in (np.ones_like, np.cos, lambda z: np.exp(-4 * z**2)):
        p = stats.ttest_ind(g(forward) * expit(forward), g(reverse) * expit(-reverse), equal_var=False).pvalue
        assert p > ALPHA
    if len(times) == len(FAST):
        assert forward.std() > 0.1  # far enough from equilibrium to tell


def test_learned_steps_are_accepted_as_often_as_asked():
    energy = ArrayTier(PLANES["double well"].energy)
    path = path_of(energy, 1.0, None, BASE, MALA(0.001))
    state = path.start(400, np.random.default_rng(1), 1)
    path.anneal(state, np.linspace(0, 1, 11), True)
    found = [path._move(state, t, 5, True).mean() for t in (0.2, 0.6, 1.0)]
    assert found == pytest.approx([0.574] * 3, abs=0.12)


def test_reverse_starts_are_taken_from_tempered_chains():
    energy = ArrayTier(WELL.energy)
    path = path_of(energy, 1.0, None, BASE, CASES["mala"][2])
    starts = np.full((40, 2), 0.25)
    starts[:, 1] = np.arange(40)
    path.equilibrate = lambda state, sweeps: seen.append(state["x"].copy())
    seen = []
    anneal(path, FAST, 30, 5, False, starts)
    assert len(np.unique(seen[0][:, 1])) == 30 and (seen[0][:, 0] == 0.25).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"sampler": Langevin(0.1)}, TypeError, "sampler must leave p"),
        ({"sampler": Langevin(0.1), "method": "mbar"}, TypeError, "sampler must leave p"),
        ({"run": "run", "chains": None}, ValueError, "run is for method 'ti' or 'bar' or 'mbar', got it with 'ais'"),
        ({"sampler": ParallelTempering(MALA(), (0.5, 1.0))}, TypeError, "sampler must leave p"),
        ({"sampler": Gibbs()}, TypeError, "Gibbs needs"),
        ({"base": ebm.Gaussian([0.0], [[1.0]])}, ValueError, "base must have the domain and size"),
        ({"base": ebm.DoubleWell(2)}, TypeError, "base must have `log_z` and `sample`"),
        (
            {"starts": np.zeros((3, 2))},
            ValueError,
            r"starts must hold at least one configuration a chain \(10\), got 3",
        ),
        ({"energy": SPINS, "base": BASE}, ValueError, "base is for continuous energies"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    arguments = {"energy": ebm.DoubleWell(2), "method": "ais", "chains": 10, "progress": False, **change}
    with pytest.raises(error, match=message):
        log_z(**arguments)
