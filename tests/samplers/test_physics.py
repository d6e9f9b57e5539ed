"""Physics that is known exactly: Kaufman's torus, Curie-Weiss, XY rings, and the virial theorem.

Each number is the mean over independent chains; the test is a t-test over the chains' means.
"""

import math

import numpy as np
import pytest
from laws import ALPHA, PLANES, ArrayTier, exact_points, mean_p, plane_samplers
from scipy import stats
from scipy.special import ive

import ebm
import samplers
from ebm import exact

CHAINS = 64
CRITICAL = math.log(1.0 + math.sqrt(2.0)) / 2.0


def _within_four_errors(values: np.ndarray, expected: float) -> bool:
    return abs(values.mean() - expected) < 4.0 * stats.sem(values)


@pytest.mark.parametrize("by", ["metropolis", "gibbs"])
@pytest.mark.parametrize("beta", [0.35, CRITICAL, 0.5])
@pytest.mark.parametrize("l", [4, 8, 16])
def test_ising_energy_and_heat_capacity_match_kaufman(l: int, beta: float, by: str) -> None:
    # From the ground state, or cold chains of l = 16 would be caught in stripes.
    sweeps = 2500
    chains = samplers.sample(
        ebm.Ising((l, l)), {"metropolis": samplers.Metropolis(), "gibbs": samplers.Gibbs()}[by],
        chains=CHAINS, draws=sweeps, warmup=1500, beta=beta, init=np.ones((CHAINS, l, l)), seed=10 + l, keep_x=False,
        progress=False,
    )  # fmt: skip
    energy = np.asarray(chains.energy)
    mean = exact.kaufman_energy(l, beta)
    per_chain = energy.mean(1) / l**2
    assert mean_p(per_chain, mean) > ALPHA
    assert _within_four_errors(per_chain, mean)
    # The deviation from the exact mean: each chain's value is then free of bias.
    heat = beta**2 * ((energy - l**2 * mean) ** 2).mean(1) / l**2
    assert mean_p(heat, exact.kaufman_heat_capacity(l, beta)) > ALPHA
    assert _within_four_errors(heat, exact.kaufman_heat_capacity(l, beta))


def test_the_ising_ring_matches_its_transfer_matrix() -> None:
    n, beta, field = 12, 0.6, 0.25
    begin = np.random.default_rng(1).choice([-1, 1], (CHAINS, n))
    chains = samplers.sample(
        ebm.Ising((n,), field=field), samplers.Gibbs(), chains=CHAINS, draws=2000, warmup=200, beta=beta, init=begin,
        observables={"m": ebm.magnetisation}, seed=1, progress=False,
    )  # fmt: skip
    assert mean_p(np.asarray(chains.energy).mean(1) / n, exact.ring_energy(n, beta, field)) > ALPHA
    assert mean_p(chains.observables["m"].mean(1), exact.ring_magnetisation(n, beta, field)) > ALPHA


@pytest.mark.parametrize(("beta", "field"), [(0.7, 0.0), (1.0, 0.1), (1.3, 0.0)])
def test_curie_weiss_matches_its_sum_over_magnetisations(beta: float, field: float) -> None:
    n = 30
    chains = samplers.sample(
        ebm.CurieWeiss(n, field), samplers.Metropolis(), chains=CHAINS, draws=1500, warmup=500, beta=beta, seed=2,
        progress=False,
    )  # fmt: skip
    energy = np.asarray(chains.energy).mean(1)
    assert mean_p(energy / n, exact.curie_weiss_energy(n, beta, field)) > ALPHA


def test_potts_with_two_states_is_ising() -> None:
    rng = np.random.default_rng(3)
    spins = rng.choice(np.array([-1, 1], np.int8), (50, 3, 4))
    coupling = rng.normal(size=(2, 3, 4))
    # delta(s, s') = (1 + s s') / 2
    potts = ebm.Potts((3, 4), 2, coupling=2.0 * coupling)((spins + 1) // 2)
    np.testing.assert_allclose(potts, ebm.Ising((3, 4), coupling)(spins) - coupling.sum(), rtol=0, atol=1e-12)


def _xy_ring_energy(n: int, beta: float) -> float:
    """<E> of a ring by its transfer matrix, whose eigenvalues are 2 pi I_k(beta) for all integers k."""
    k = np.arange(-60, 61)
    bessel, slope = ive(k, beta), 0.5 * (ive(k - 1, beta) + ive(k + 1, beta))
    return -n * float((bessel ** (n - 1) * slope).sum() / (bessel**n).sum())


@pytest.mark.parametrize(
    "sampler", [samplers.Metropolis(), samplers.Metropolis("gaussian"), samplers.MALA(), samplers.HMC()], ids=str
)
@pytest.mark.parametrize("beta", [0.7, 2.5])
def test_xy_ring_energy_matches_its_transfer_matrix(sampler: samplers.Sampler, beta: float) -> None:
    n = 5
    chains = samplers.sample(
        ebm.XY((n,)), sampler, chains=CHAINS, draws=1500, warmup=500, thin=2, beta=beta, seed=4, progress=False
    )
    assert mean_p(np.asarray(chains.energy).mean(1), _xy_ring_energy(n, beta)) > ALPHA


@pytest.mark.parametrize("name", [name for name, plane in PLANES.items() if plane.energy.domain == "real"])
@pytest.mark.parametrize("by", ["mala", "hmc"])
def test_the_virial_theorem(name: str, by: str) -> None:
    # <x . grad E> = d / beta on a confining energy.
    plane, beta = PLANES[name], 0.8
    chains, draws = 400, 30
    run = samplers.sample(
        ArrayTier(plane.energy), plane_samplers(plane)[by], chains=chains, draws=draws, warmup=0, thin=2, beta=beta,
        init=exact_points(plane, beta, chains, seed=1), seed=5, progress=False,
    )  # fmt: skip
    x = np.asarray(run.x)
    gradient = plane.energy.grad(x.reshape(-1, 2)).reshape(x.shape)
    assert mean_p((x * gradient).sum(-1).mean(1), 2.0 / beta) > ALPHA
