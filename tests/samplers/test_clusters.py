"""Wolff and Swendsen-Wang: to the bit their plain twins, with exact transition matrices, and with known physics."""

import math
from typing import Any

import numpy as np
import pytest
from laws import ALPHA, DISCRETE, DISCRETE_SAMPLERS, ArrayTier, chi_square_p, count_states, mean_p, q_of
from numba import njit
from plain_clusters import Plain, Stream, word_of
from scipy import sparse, stats

import ebm
import samplers
from ebm import exact
from samplers import clusters, random

CRITICAL = math.log(1.0 + math.sqrt(2.0)) / 2.0
CLUSTERS = ["wolff", "swendsen-wang"]
BETA = 0.8


def _run(energy: Any, by: str, **changes: Any) -> samplers.Chains:
    run = {"chains": 2, "draws": 40, "warmup": 0, "beta": BETA, "seed": 6, "progress": False, **changes}
    return samplers.sample(energy, DISCRETE_SAMPLERS[by], **run)


# --- the twin ---------------------------------------------------------------------------------------------------------


def _tree(sites: int) -> sparse.csr_array:
    """A random tree with a few more bonds, couplings of both signs."""
    rng = np.random.default_rng(4)
    upper = np.zeros((sites, sites))
    for i in range(1, sites):
        upper[rng.integers(i), i] = rng.normal()
    upper[0, 5], upper[2, 7] = 1.5, -0.5
    return sparse.csr_array(upper + upper.T)


TWINS = {
    "one site": ebm.Ising((1,)),
    "ring": ebm.Ising((5,)),
    "ring of two": ebm.Ising((2,), coupling=0.3),
    "sides of one": ebm.Ising((1, 4, 1)),
    "side of two": ebm.Ising((2, 5), coupling=0.4),
    "several chunks": ebm.Ising((19, 17), coupling=0.5),
    "last side of one": ebm.Ising((300, 1)),
    "three dimensions": ebm.Ising((3, 5, 20), coupling=0.25),
    "antiferromagnet": ebm.Ising((5, 6), coupling=-0.5),
    "random bonds": ebm.Ising((4, 5, 2), coupling=np.random.default_rng(1).normal(size=(3, 4, 5, 2))),
    "graph": ebm.Ising((10,), coupling=_tree(10)),
    "several chunks of a graph": ebm.Ising((400,), coupling=_tree(400)),
    "potts 3": ebm.Potts((5, 4), 3),
    "potts 200": ebm.Potts((4, 6), 200, coupling=3.0),
    "potts 300": ebm.Potts((4, 6), 300, coupling=3.0),
    "potts with bonds": ebm.Potts((3, 4), 4, coupling=np.random.default_rng(1).exponential(size=(2, 3, 4))),
    "potts 2 in three dimensions": ebm.Potts((3, 2, 4), 2, coupling=0.5),
}


WIDE = pytest.param("potts 300", marks=pytest.mark.slow)  # its dtype has compiled loops of its own


@pytest.mark.parametrize("name", [WIDE if name == WIDE.values[0] else name for name in TWINS])
@pytest.mark.parametrize("by", CLUSTERS)
def test_trajectories_are_those_of_the_plain_twin(name: str, by: str) -> None:
    energy = TWINS[name]
    plain, chains = Plain(energy), _run(energy, by, chains=2, draws=12, thin=2)
    streams, begin = random.make_streams(6, 2), samplers.initial.initial(energy, 2, 6)
    for chain in range(2):
        x, stream = begin[chain].copy(), Stream(streams[chain].tolist())
        for draw in range(12):
            share = [getattr(plain, by.replace("-", "_"))(x, BETA, stream) for _ in range(2)]
            assert np.array_equal(chains.x[chain, draw].ravel(), x)
            if by == "wolff":
                assert chains.acceptance[chain, draw] == pytest.approx(sum(share) / 2, rel=1e-12)
            else:
                assert chains.acceptance[chain, draw] == 1.0


@pytest.mark.parametrize("name", ["several chunks", "several chunks of a graph"])
@pytest.mark.parametrize("by", CLUSTERS)
def test_lanes_that_tie_are_decided_as_by_the_twin(name: str, by: str) -> None:
    energy = TWINS[name]
    plain = Plain(energy)
    # One lane in 65,536 ties: the twin goes on until there were two, the sampler is asked for as many sweeps.
    x, stream = samplers.initial.initial(energy, 1, 6)[0], Stream(random.make_streams(6, 1)[0].tolist())
    sweeps = 0
    while plain.ties < 2:
        getattr(plain, by.replace("-", "_"))(x, BETA, stream)
        sweeps += 1
    assert np.array_equal(_run(energy, by, chains=1, draws=1, thin=sweeps).x[0, 0].ravel(), x)


# --- the random numbers -----------------------------------------------------------------------------------------------


@njit
def _limits(beta, gaps, limits, rests):
    clusters._set_limits(beta, gaps, limits, rests)


@njit
def _open(lanes, limit, rest, streams, out):
    stream = random.load(streams, 0)
    for k in range(lanes.shape[0]):
        out[k], stream = clusters.is_open(lanes[k], limit, rest, stream)


@njit
def _expand(key, first, words):
    clusters.expand(key, first, words)


def test_words_are_those_of_the_published_generator() -> None:
    words = np.empty(4, np.uint64)
    _expand(np.uint64(0), 0, words)  # as the generator's authors and other libraries give them
    assert [hex(w) for w in words[:2]] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]
    _expand(np.uint64(2**64 - 3), 5, words)
    assert words.tolist() == [word_of(2**64 - 3, 5 + k) for k in range(4)]


def test_the_probability_of_a_bond_is_not_rounded() -> None:
    gaps = np.array([0.0, 1e-300, 1e-12, 1e-5, 0.3, 1.0, 2.0, 10.0, 36.0, 40.0, 1e4])
    limits, rests = np.empty(len(gaps), np.uint16), np.empty(len(gaps))
    for beta in (1.0, 0.37, 20.0):
        _limits(beta, gaps, limits, rests)
        exact_p = np.array([-math.expm1(-beta * gap) for gap in gaps])
        np.testing.assert_allclose((limits + rests) / 65536, exact_p, rtol=3e-16, atol=0)
        assert ((rests >= 0.0) & (rests <= 1.0)).all()
    lanes = np.arange(65536, dtype=np.uint16)
    out = np.empty(65536, np.uint8)
    for limit, rest, least, most in ((0, 0.0, 0, 0), (65535, 1.0, 65536, 65536), (7, 0.5, 7, 8), (300, 1.0, 301, 301)):
        _open(lanes, np.uint16(limit), rest, random.make_streams(1, 1), out)
        assert least <= out.sum() <= most
    out = np.empty(20_000, np.uint8)
    _open(np.full(20_000, 9, np.uint16), np.uint16(9), 0.3, random.make_streams(1, 1), out)
    assert stats.binomtest(int(out.sum()), 20_000, 0.3).pvalue > ALPHA


# --- transition matrices ----------------------------------------------------------------------------------------------

SMALL = ["ising ring", "ising on a graph", "potts 3 with ferromagnetic bonds"]
THREE_SITES = ebm.Ising((3,), coupling=sparse.csr_array([[0, 0.7, 0.5], [0.7, 0, -0.9], [0.5, -0.9, 0]]))  # frustrated
MATRICES = {
    **{name: DISCRETE[name] for name in SMALL},
    "frustrated triangle": THREE_SITES,
    "antiferromagnetic ring of three": ebm.Ising((3,), coupling=-0.6),
    "potts 3": ebm.Potts((2, 2), 3, coupling=0.6),
    "torus of two and three": ebm.Potts((1, 3), 4, coupling=0.5),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("by", CLUSTERS)
def test_sweeps_are_in_detailed_balance_and_are_the_samplers_own(name: str, by: str) -> None:
    energy, n = MATRICES[name], 25_000
    x = np.concatenate(list(exact.states(energy.shape, energy.domain, q_of(energy)))).reshape(-1, np.prod(energy.shape))
    matrix, p = Plain(energy).matrix(x, BETA, DISCRETE_SAMPLERS[by]), exact.probabilities(energy, BETA)
    np.testing.assert_allclose(matrix.sum(1), 1.0, rtol=0, atol=1e-13)
    flow = p[:, None] * matrix
    np.testing.assert_allclose(flow, flow.T, rtol=0, atol=1e-14)
    np.testing.assert_allclose(p @ matrix, p, rtol=0, atol=1e-12)
    starts = np.random.default_rng(2).choice(len(x), 3, replace=False)
    begin = np.repeat(x[starts], n, axis=0).reshape(-1, *energy.shape)
    chains = _run(energy, by, chains=3 * n, draws=1, init=begin)
    for k, start in enumerate(starts):
        end = chains.x[k * n : (k + 1) * n, 0]
        assert chi_square_p(count_states(end, energy), matrix[start]) > ALPHA


# --- physics ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", CLUSTERS)
@pytest.mark.parametrize(("l", "beta"), [(16, CRITICAL), (16, 0.3), (7, 0.5)])
def test_energy_and_heat_capacity_match_kaufman(l: int, beta: float, by: str) -> None:
    chains = _run(
        ebm.Ising((l, l)), by, chains=64, draws=1500, warmup=100, thin=3 if by == "wolff" else 1, beta=beta,
        init=np.ones((64, l, l)), seed=20 + l, keep_x=False,
    )  # fmt: skip
    energy, mean = np.asarray(chains.energy), exact.kaufman_energy(l, beta)
    assert mean_p(energy.mean(1) / l**2, mean) > ALPHA
    heat = beta**2 * ((energy - l**2 * mean) ** 2).mean(1) / l**2
    assert mean_p(heat, exact.kaufman_heat_capacity(l, beta)) > ALPHA


@pytest.mark.parametrize("shape", [(24, 24), (6, 6, 6)])
def test_the_mean_cluster_is_the_susceptibility(shape: tuple[int, ...]) -> None:
    # Random clusters: <|C|> / N = <m^2> (Wolff 1989). Each cluster is grown in the configuration before it.
    chains = _run(
        ebm.Ising(shape), "wolff", chains=64, draws=1500, warmup=200, beta=0.42 if len(shape) == 2 else 0.21,
        observables={"m2": lambda x: ebm.magnetisation(x) ** 2}, keep_x=False,
    )  # fmt: skip
    difference = chains.acceptance[:, 1:] - chains.observables["m2"][:, :-1]
    assert mean_p(difference.mean(1), 0.0) > ALPHA
    assert stats.sem(difference.mean(1)) < 0.02 * chains.acceptance.mean()


@pytest.mark.parametrize("energy", [ebm.Ising((6, 6)), ebm.Potts((6, 6), 3, coupling=2.0)], ids=repr)
def test_in_the_cold_the_whole_lattice_is_one_cluster(energy: Any) -> None:
    begin = np.ones((2, 6, 6))
    for by in CLUSTERS:
        chains = _run(energy, by, draws=400, beta=20.0, init=begin)
        x = np.asarray(chains.x).reshape(2, 400, -1)
        assert (x == x[..., :1]).all()
        assert (chains.acceptance == 1.0).all()
        changed = int((x[:, 1:, 0] != x[:, :-1, 0]).sum())
        if by == "wolff":
            assert changed == 2 * 399
        else:
            assert stats.binomtest(changed, 2 * 399, 1.0 - 1.0 / q_of(energy)).pvalue > ALPHA


@pytest.mark.parametrize("beta", [1e-300, 1e-9])
def test_in_the_heat_every_site_is_a_cluster(beta: float) -> None:
    for energy in (ebm.Ising((2, 3)), ebm.Potts((1, 3), 4)):
        begin = np.ones((5000, *energy.shape))
        chains = _run(energy, "swendsen-wang", chains=5000, draws=1, beta=beta, init=begin)
        counts = count_states(chains.x[:, 0], energy)
        assert chi_square_p(counts, np.full(len(counts), 1.0 / len(counts))) > ALPHA
        chains = _run(energy, "wolff", chains=50, draws=20, beta=beta, init=begin[:50])
        np.testing.assert_allclose(chains.acceptance, 1.0 / np.prod(energy.shape), rtol=1e-12)


# --- how they are run -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", CLUSTERS)
@pytest.mark.parametrize("energy", [ebm.Ising((9, 8)), TWINS["graph"]], ids=["lattice", "graph"])
def test_chains_of_different_temperatures_are_run_side_by_side(energy: Any, by: str) -> None:
    sampler, betas = DISCRETE_SAMPLERS[by], np.array([0.2, 0.5, 0.5, 0.1, 0.0])
    settings = sampler.settings(energy, 0)

    def state() -> dict[str, np.ndarray]:
        streams = random.make_streams(1, 5)
        return {"x": samplers.initial.initial(energy, 5, 1), "beta": betas.copy(), "stream": streams}

    together, alone = state(), state()
    sampler.advance(energy, together, settings, 3, 2)
    for chain in range(5):
        one = {name: array[chain : chain + 1] for name, array in alone.items()}
        sampler.advance(energy, one, settings, 3, 2)
    for name in together:
        assert np.array_equal(together[name], alone[name])


REFUSED = [
    (ebm.RBM(3, 2), "needs a zero-field Ising or Potts energy, got RBM"),
    (ebm.XY((3,)), "needs a zero-field Ising or Potts energy, got XY"),
    (ebm.DoubleWell(2), "needs a zero-field Ising or Potts energy, got DoubleWell"),
    (ebm.CurieWeiss(4), "needs a zero-field Ising or Potts energy, got CurieWeiss"),
    (ebm.BoltzmannMachine(np.zeros((2, 2)), domain="spin"), "needs a .* energy, got BoltzmannMachine"),
    (ebm.Ising((4,)) + ebm.CurieWeiss(4), "needs a zero-field Ising or Potts energy, got Sum"),
    (0.5 * ebm.Ising((4,)), "needs a zero-field Ising or Potts energy, got Scaled"),
    (ebm.Ising((4,), field=0.1), "needs a zero-field Ising or Potts energy, got Ising with a field"),
    (ebm.Ising((4,), field=[0.0, 0.0, 0.0, -0.1]), "needs .*, got Ising with a field"),
    (ebm.Potts((4,), 3, coupling=-0.5), "needs Potts couplings that are not negative, got -0.5"),
    (ebm.Potts((3,), 3, coupling=[[0.5, 1.0, -0.25]]), "needs Potts couplings that are not negative, got -0.25"),
]


@pytest.mark.parametrize(("energy", "message"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_other_energies_are_refused_by_name(energy: Any, message: str) -> None:
    for name, by in (("Wolff", "wolff"), ("SwendsenWang", "swendsen-wang")):
        with pytest.raises(TypeError, match=f"{name} {message}"):
            _run(energy, by)


class _OneState:
    """A user's magnet whose sites have no other state."""

    shape, domain, n_states, coupling, field = (3,), "states", 1, 1.0, 0.0
    bonds = ebm.Potts((3,), 2).bonds

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.full(len(x), -3.0)


def test_a_site_needs_another_state() -> None:
    for by in CLUSTERS:
        with pytest.raises(TypeError, match="needs at least 2 states a site, got 1"):
            _run(_OneState(), by)


def test_a_field_of_zeros_is_no_field() -> None:
    plain, zeros = (_run(ebm.Ising((4,), field=field), "wolff") for field in (0.0, np.zeros(4)))
    assert np.array_equal(plain.x, zeros.x)


def test_anything_with_the_members_of_a_magnet_is_sampled() -> None:
    for by in CLUSTERS:
        ours, theirs = (_run(e, by) for e in (DISCRETE["ising ring"], ArrayTier(DISCRETE["ising ring"])))
        assert np.array_equal(ours.x, theirs.x)
