"""Free energies from chains: against enumeration, and errors against the spread of independent runs."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm

import ebm
import samplers
from ebm import exact
from ebm.landscape import free_energy
from samplers.chains import Chains

MAGNET, COLD = ebm.Ising((4, 4)), 0.5  # T = 2, below the transition at 2.27
LARGEST_Z = 5.0  # a false alarm in a million


def magnetisation(x: np.ndarray) -> np.ndarray:
    """m of configurations (n, 4, 4)."""
    return x.mean((1, 2))


def exact_magnetisation(beta: float) -> tuple[np.ndarray, np.ndarray]:
    """The values of m and their exact probabilities, by enumeration."""
    m = np.concatenate([x.reshape(len(x), -1).mean(1) for x in exact.states((4, 4), "spin")])
    levels, index = np.unique(m, return_inverse=True)
    return levels, np.bincount(index, exact.probabilities(MAGNET, beta))


def test_the_free_energy_of_a_cold_magnet_and_its_barrier_match_enumeration() -> None:
    run = samplers.sample(
        MAGNET, samplers.Gibbs(), chains=4, draws=40_000, beta=COLD, seed=1, progress=False
    )  # fmt: skip
    F = free_energy(magnetisation, run)
    levels, p = exact_magnetisation(COLD)
    np.testing.assert_allclose(F.q, levels[np.isin(levels, F.q)])
    theory = -np.log(p[np.isin(levels, F.q)]) / COLD
    lowest = float(F.q[np.argmin(F.values)])
    for q, f in zip(F.q, theory, strict=True):
        value, error = F.difference(lowest, float(q))
        expected = f - theory[np.argmin(F.values)]
        assert (value, error) == (0.0, 0.0) or abs(value - expected) < LARGEST_Z * error
    barrier, error = F.difference(1.0, 0.0)
    assert abs(barrier - (theory[F.q == 0.0] - theory[F.q == 1.0])[0]) < LARGEST_Z * error
    # The same comparison sees a temperature that is 10 per cent off.
    wrong = -np.log(exact_magnetisation(1.1 * COLD)[1]) / (1.1 * COLD)
    assert abs(barrier - (wrong[len(wrong) // 2] - wrong[-1])) > LARGEST_Z * error


def test_a_ladder_with_mbar_weights_reaches_a_barrier_that_one_run_does_not() -> None:
    betas = np.array([0.25, 0.4, COLD])
    runs = [
        samplers.sample(
            MAGNET, samplers.Gibbs(), chains=4, draws=4000, beta=float(b), seed=k, progress=False
        )
        for k, b in enumerate(betas)
    ]  # fmt: skip
    # MBAR's weights with the exact ln Z of each temperature in place of their estimates.
    log_z = np.array([exact.enumerate(MAGNET, float(b)).log_z for b in betas])
    log_w = []
    for run in runs:
        u = betas[:, None, None] * run.energy
        log_w.append(-u[-1] - np.logaddexp.reduce(-u - log_z[:, None, None], axis=0))
    F = free_energy(magnetisation, runs, beta=COLD, log_weights=log_w)
    levels, p = exact_magnetisation(COLD)
    theory = -np.log(p) / COLD
    for q, f in zip(levels, theory, strict=True):
        value, error = F.difference(0.5, float(q))
        assert q == 0.5 or abs(value - (f - theory[levels == 0.5][0])) < LARGEST_Z * error


def test_errors_know_that_weights_of_runs_far_apart_are_estimated() -> None:
    hot, cold, beta, n = 0.1, 0.7, 0.4, 2000
    levels, p = exact_magnetisation(beta)
    theory = dict(zip(levels.round(3), -np.log(p) / beta, strict=True))
    laws = {b: exact.probabilities(MAGNET, b) for b in (hot, cold)}
    found = []
    for seed in range(80):
        runs, rng = [], np.random.default_rng(seed)
        for b, law in laws.items():
            x = exact.state_at(rng.choice(len(law), n, p=law), (4, 4), "spin")
            runs.append(Chains(x[None], MAGNET(x)[None], {}, np.ones((1, n)), b, "spin"))
        F = free_energy(magnetisation, runs, beta=beta)
        found.append([F.difference(0.0, 1.0), F.difference(0.5, 1.0)])
    values, errors = np.moveaxis(found, -1, 0)
    z = (values - [theory[1.0] - theory[0.0], theory[1.0] - theory[0.5]]) / errors
    assert (np.abs(z.mean(0)) < LARGEST_Z / np.sqrt(80)).all()
    assert (np.abs(z.std(0) - 1.0) < LARGEST_Z / np.sqrt(2 * 80)).all()
    # The same weights as if they were exact: the same values, and errors that are too small by far.
    log_w = [np.log(w) for w in ebm.mbar_weights(runs, beta)]
    fixed = free_energy(magnetisation, runs, beta=beta, log_weights=log_w)
    np.testing.assert_allclose(fixed.values, F.values)
    assert fixed.difference(0.0, 1.0)[1] < 0.7 * errors[-1, 0]


def _independent(n: int, seed: int) -> Chains:
    x = np.random.default_rng(seed).normal(size=(4, n, 1))
    return Chains(x, x[..., 0] ** 2 / 2, {}, np.ones((4, n)), beta=1.0, domain="real")


def test_errors_are_those_of_independent_runs() -> None:
    edges = [-2.0, -0.5, 0.5, 3.0]
    p = np.diff(norm.cdf(edges))
    theory = -np.log(p / np.diff(edges))
    found = [free_energy(lambda x: x[:, 0], _independent(500, seed), edges) for seed in range(150)]
    differences = np.array([F.difference(0.0, 1.5) for F in found])
    z = (differences[:, 0] - (theory[2] - theory[1])) / differences[:, 1]
    assert abs(z.mean()) < LARGEST_Z / np.sqrt(150)
    assert abs(z.std() - 1.0) < LARGEST_Z / np.sqrt(2 * 150)
    # Binomial errors of one bin: sqrt((1 - p) / (N p)).
    assert np.mean([F.errors[1] for F in found]) == pytest.approx(np.sqrt((1 - p[1]) / (2000 * p[1])), rel=0.05)


def test_weights_move_a_gaussian_to_another_temperature() -> None:
    edges, run = np.linspace(-1.5, 1.5, 7), _independent(20_000, 1)
    F = free_energy(lambda x: x[:, 0], run, edges, beta=1.5, log_weights=-0.5 * run.energy)
    p = np.diff(norm.cdf(edges * np.sqrt(1.5)))
    for i, j in itertools.combinations(range(6), 2):
        value, error = F.difference(F.q[i], F.q[j])
        assert abs(value + np.log(p[j] / p[i]) / 1.5) < LARGEST_Z * error
    assert F.temperature == 1.0 / 1.5


def test_empty_bins_are_infinite_and_the_rest_counts() -> None:
    x = np.tile([0.5, 0.5, 1.5, 9.0], (2, 25))[..., None]
    chains = Chains(x, None, {}, np.ones((2, 100)), beta=2.0, domain="real")
    F = free_energy(lambda x: x[:, 0], chains, [0.0, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(F.values, [0.0, 0.5 * np.log(2.0), np.inf])
    assert F.probabilities.tolist() == [0.5, 0.25, 0.0]
    assert F.errors[2] == np.inf and np.isnan(F.difference(0.5, 2.5)[0])


def test_wrong_arguments_of_free_energy_are_named() -> None:
    run, other = _independent(10, 0), _independent(10, 1)
    other.beta = 2.0

    def q(x: np.ndarray) -> np.ndarray:
        return x[:, 0]

    with pytest.raises(ValueError, match=r"beta must be given for runs of several, got runs of \[1.0, 2.0\]"):
        free_energy(q, [run, other])
    with pytest.raises(ValueError, match="beta must be that of the chains, 1, without log_weights, got 2"):
        free_energy(q, run, beta=2.0)
    with pytest.raises(
        ValueError, match=r"log_weights must have the shapes of the runs, \[\(4, 10\)\], got \[\(4, 9\)\]"
    ):
        free_energy(q, run, log_weights=np.zeros((4, 9)))
    with pytest.raises(ValueError, match="log_weights must be finite"):
        free_energy(q, run, log_weights=np.full((4, 10), np.nan))
    with pytest.raises(ValueError, match="coordinate must be finite for every draw"):
        free_energy(lambda x: np.full(len(x), np.nan), run)
    with pytest.raises(ValueError, match=r"q must be one of its values between -1 and 1, got 0.5"):
        free_energy(lambda x: np.sign(x[:, 0]), run).difference(-1.0, 0.5)
    with pytest.warns(RuntimeWarning, match=r"the weights have collapsed: they leave 1.0 draws of 40"):
        free_energy(q, run, 5, log_weights=np.arange(40.0).reshape(4, 10) * 50.0)
    with pytest.raises(ValueError, match="bins must be a number, or at least two rising edges"):
        free_energy(q, run, [1.0, 0.0])
    with pytest.raises(ValueError, match="bins must hold at least one draw"):
        free_energy(q, run, [100.0, 101.0])
    with pytest.raises(ValueError, match=r"q must lie in a bin between .* got 50"):
        free_energy(q, run, 5).difference(0.0, 50.0)
