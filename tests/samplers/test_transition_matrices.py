"""The exact transition matrix of a sweep on small systems: it leaves p alone, and it is the sampler's own."""

import numba
import numpy as np
import pytest
from laws import ALPHA, DISCRETE, DISCRETE_SAMPLERS, SITE_BY_SITE, chi_square_p, count_states, fits, q_of

import samplers
from ebm import exact
from samplers import protocols
from samplers.colouring import scan_order
from samplers.compiled import caching
from samplers.mala import accept_probability
from samplers.tags import Driver, cached_change_of, start_cache_of, tag

BETA = 0.8
SMALL = ["ising 2x3 in a field", "ising with random bonds", "ising on a graph", "potts 3", "potts 4 with random bonds",
         "curie-weiss", "boltzmann machine, binary", "boltzmann machine, spin", "sum", "scaled",
         "rbm wavefunction"]  # fmt: skip


@Driver
def _changes(tag, p, x, beta, values, cache, out):
    for k in range(x.shape[0]):
        start_cache_of(tag)(x[k], p, cache)
        for site in range(x.shape[1]):
            for v in range(values.shape[0]):
                out[k, site, v] = cached_change_of(tag)(x[k], site, values[v], beta, p, cache)


@numba.njit
def _accept(changes):
    """The probabilities of the sampler itself."""
    return np.array([accept_probability(-du) for du in changes])


class Table:
    """All configurations of an energy and the compiled change of u of every local move."""

    def __init__(self, energy: object) -> None:
        self.energy = energy
        blocks = exact.states(energy.shape, energy.domain, q_of(energy))
        self.x = np.concatenate(list(blocks)).reshape(-1, int(np.prod(energy.shape)))
        self.values = protocols.values(energy)
        self.change = np.empty((*self.x.shape, len(self.values)))
        functions = energy.compiled
        cache = np.empty(caching(functions).size)
        _changes(tag(functions), functions.params, self.x, BETA, self.values, cache, self.change)
        self.p = exact.probabilities(energy, BETA)

    def to(self, site: int, value: int) -> np.ndarray:
        """The number of each configuration after x[site] became `value`."""
        y = self.x.copy()
        y[:, site] = value
        return exact.state_index(y, self.energy.domain, q_of(self.energy))

    def single_metropolis(self, site: int) -> np.ndarray:
        """Propose one of the other values, accept with min(1, exp(-du))."""
        n, q = len(self.x), len(self.values)
        matrix = np.zeros((n, n))
        for v, value in enumerate(self.values):
            there, other = self.to(site, value), self.x[:, site] != value
            accept = _accept(self.change[:, site, v])
            np.add.at(matrix, (np.flatnonzero(other), there[other]), accept[other] / (q - 1))
        return matrix + np.diag(1.0 - matrix.sum(1))

    def single_gibbs(self, site: int) -> np.ndarray:
        """Draw the site anew with probabilities proportional to exp(-du)."""
        weight = np.exp(-self.change[:, site])
        weight /= weight.sum(1, keepdims=True)
        matrix = np.zeros((len(self.x),) * 2)
        for v, value in enumerate(self.values):
            matrix[np.arange(len(self.x)), self.to(site, value)] += weight[:, v]
        return matrix

    def exchange(self) -> np.ndarray:
        """Swap the values of a uniform pair of sites, accept with min(1, exp(-du)), du in two local moves."""
        n, sites = self.x.shape
        matrix, pairs = np.zeros((n, n)), sites * (sites - 1)
        digit = np.searchsorted(self.values, self.x)
        here = np.arange(n)
        for i in range(sites):
            for j in range(sites):
                if i == j:
                    continue
                half, end = self.x.copy(), self.x.copy()
                half[:, i] = end[:, i] = self.x[:, j]
                end[:, j] = self.x[:, i]
                middle, there = (exact.state_index(y, self.energy.domain, q_of(self.energy)) for y in (half, end))
                du = self.change[here, i, digit[:, j]] + self.change[middle, j, digit[:, i]]
                accept = _accept(du)
                np.add.at(matrix, (here, there), accept / pairs)
        return matrix + np.diag(1.0 - matrix.sum(1))

    def factors(self, by: str) -> list[np.ndarray]:
        """The matrices of the single moves of a sweep, in the order of the sampler."""
        if by == "exchange":
            return [self.exchange()] * self.x.shape[1]
        one = self.single_metropolis if by == "metropolis" else self.single_gibbs
        order = DISCRETE_SAMPLERS[by].settings(self.energy, 0)[2 if by == "metropolis" else 1]
        assert sorted(order) == list(range(self.x.shape[1]))
        return [one(site) for site in order]


def _product(factors: list[np.ndarray]) -> np.ndarray:
    matrix = factors[0]
    for factor in factors[1:]:
        matrix = matrix @ factor
    return matrix


@pytest.fixture(scope="module")
def table() -> object:
    """Tables by the name of the energy, made once."""
    made: dict[str, Table] = {}

    def get(name: str) -> Table:
        if name not in made:
            made[name] = Table(DISCRETE[name])
        return made[name]

    return get


@pytest.mark.parametrize("by", SITE_BY_SITE)
@pytest.mark.parametrize("name", SMALL)
def test_sweeps_leave_the_law_and_moves_are_in_detailed_balance(name: str, by: str, table: object) -> None:
    t = table(name)
    factors = t.factors(by)
    for factor in factors:
        assert (factor >= -1e-15).all()
        np.testing.assert_allclose(factor.sum(1), 1.0, rtol=0, atol=1e-13)
        flow = t.p[:, None] * factor
        np.testing.assert_allclose(flow, flow.T, rtol=0, atol=1e-14)
    np.testing.assert_allclose(t.p @ _product(factors), t.p, rtol=0, atol=1e-12)


@pytest.mark.parametrize("by", SITE_BY_SITE)
@pytest.mark.parametrize("name", ["ising 2x3 in a field", "potts 3", "boltzmann machine, binary"])
def test_the_matrix_is_the_samplers_own(name: str, by: str, table: object) -> None:
    t, n = table(name), 25_000
    matrix = _product(t.factors(by))
    starts = np.random.default_rng(2).choice(len(t.x), 3, replace=False)
    assert fits(DISCRETE_SAMPLERS[by], t.energy)
    begin = np.repeat(t.x[starts], n, axis=0).reshape(-1, *t.energy.shape)
    chains = samplers.sample(
        t.energy, DISCRETE_SAMPLERS[by], chains=3 * n, draws=1, warmup=0, beta=BETA, init=begin, seed=4, progress=False
    )
    for k, start in enumerate(starts):
        end = chains.x[k * n : (k + 1) * n, 0]
        assert chi_square_p(count_states(end, t.energy), matrix[start]) > ALPHA


def test_sites_of_one_colour_share_no_term() -> None:
    for name in ("ising ring", "ising 2x3 in a field", "ising on a graph", "sum"):
        energy = DISCRETE[name]
        indptr, indices = energy.neighbours if hasattr(energy, "neighbours") else (None, None)
        order = scan_order(energy)
        assert sorted(order) == list(range(len(order)))
        if indptr is None:
            assert (order == np.arange(len(order))).all()
            continue
        from samplers.colouring import colour_graph

        colour = colour_graph(indptr, indices)
        for site in range(len(order)):
            assert colour[site] not in colour[indices[indptr[site] : indptr[site + 1]]]
        assert (np.diff(colour[order]) >= 0).all()
