"""Enumeration against sums written out, its numbering, its limits and its refusals."""

import itertools
import tracemalloc

import numpy as np
import pytest

from ebm.exact import count_states, enumerate, probabilities, state_at, state_index, states


class Pairs:
    """Spins with random couplings, fields and a shape of two axes: E = -1/2 s J s - h.s."""

    domain = "spin"

    def __init__(self, shape: tuple[int, ...], seed: int = 3) -> None:
        generator = np.random.default_rng(seed)
        n = int(np.prod(shape))
        self.shape = shape
        self.coupling = generator.normal(size=(n, n))
        self.coupling += self.coupling.T
        self.field = generator.normal(size=n)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        s = x.reshape(len(x), -1).astype(np.float64)
        return -((s @ self.coupling) * s).sum(axis=1) / 2 - s @ self.field


class Potts:
    """An open chain of q states with a field on state 0."""

    domain = "states"
    shape = (5,)
    n_states = 3

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return -(x[:, 1:] == x[:, :-1]).sum(axis=1) - 0.3 * (x == 0).sum(axis=1)


class Hidden:
    """Three visible bits and one hidden bit summed out at beta: `reduced` is not beta times the energy."""

    domain = "binary"
    shape = (3,)
    w = np.array([1.0, -2.0, 0.5])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.reduced(x, 1.0)

    def reduced(self, x: np.ndarray, beta: float) -> np.ndarray:
        return -np.log1p(np.exp(beta * (x @ self.w)))


@pytest.mark.parametrize("beta", (0.0, 0.3, 1.0, 2.0))
@pytest.mark.parametrize("shape", ((1,), (7,), (3, 3), (2, 2, 2)))
def test_enumeration_equals_sum_over_all_configurations(shape, beta, sums, spins):
    energy = Pairs(shape)
    result = enumerate(energy, beta)
    x = spins(int(np.prod(shape))).reshape(-1, *shape)
    exact = sums(energy(x), beta)
    assert result.log_z == pytest.approx(exact.log_z, rel=1e-13)
    assert result.mean_energy == pytest.approx(exact.energy, rel=1e-12, abs=1e-12)
    assert result.heat_capacity == pytest.approx(exact.heat_capacity, rel=1e-12, abs=1e-12)
    assert result.n_configurations == len(x)
    moment = np.abs(x.reshape(len(x), -1).mean(axis=1))
    assert result.expectation(lambda x: np.abs(x.reshape(len(x), -1).mean(axis=1))) == pytest.approx(
        exact.probability @ moment, rel=1e-12
    )
    # The brute force counts its configurations in another order, so this also tests the numbering.
    p = probabilities(energy, beta)
    assert p[state_index(x, "spin")] == pytest.approx(exact.probability, rel=1e-12)
    assert result.probabilities() == pytest.approx(p, rel=0)


def test_many_blocks_give_what_one_sum_gives(sums, spins):
    energy = Pairs((17,))  # 2^17 configurations, eight blocks
    exact = sums(energy(spins(17)), 0.2)
    result = enumerate(energy, 0.2)
    assert len(list(result.states())) == 8
    assert result.log_z == pytest.approx(exact.log_z, rel=1e-13)
    assert result.mean_energy == pytest.approx(exact.energy, rel=1e-12)
    assert result.heat_capacity == pytest.approx(exact.heat_capacity, rel=1e-12)
    assert probabilities(energy, 0.2).sum() == pytest.approx(1.0, rel=1e-13)


def test_heat_capacity_is_the_slope_of_the_mean_energy():
    energy, beta, step = Pairs((8,)), 0.4, 1e-4
    slope = (enumerate(energy, beta + step).mean_energy - enumerate(energy, beta - step).mean_energy) / (2 * step)
    # The central difference is good to step^2 times a third derivative of at most a few thousand here.
    assert enumerate(energy, beta).heat_capacity == pytest.approx(-(beta**2) * slope, abs=1e-4)


def test_states_of_three_values():
    energy = Potts()
    x = np.array(list(itertools.product(range(3), repeat=5)))
    weight = np.exp(-0.7 * energy(x))
    assert np.concatenate(list(states((5,), "states", 3))).tolist() == x.tolist()
    assert enumerate(energy, 0.7).log_z == pytest.approx(np.log(weight.sum()), rel=1e-13)
    assert probabilities(energy, 0.7) == pytest.approx(weight / weight.sum(), rel=1e-12)


@pytest.mark.parametrize("beta", (0.25, 1.0, 3.0))
def test_hidden_units_are_summed_out_at_beta(beta):
    energy = Hidden()
    joint = sum(
        np.exp(beta * h * (np.array(v) @ energy.w)) for v in itertools.product((0, 1), repeat=3) for h in (0, 1)
    )
    assert enumerate(energy, beta).log_z == pytest.approx(np.log(joint), rel=1e-13)


@pytest.mark.parametrize(
    ("shape", "domain", "n_states", "dtype"),
    (
        ((2, 3), "spin", 2, np.int8),
        ((5,), "binary", 2, np.int8),
        ((3, 2), "states", 4, np.uint8),
        ((1,), "states", 300, np.int16),
    ),
)
def test_numbers_and_configurations_are_inverse(shape, domain, n_states, dtype):
    blocks = list(states(shape, domain, n_states, rows=10))
    everything = np.concatenate(blocks)
    assert everything.dtype == dtype
    assert max(map(len, blocks)) <= 10
    assert len(everything) == count_states(shape, domain, n_states) == n_states ** int(np.prod(shape))
    assert len(np.unique(everything.reshape(len(everything), -1), axis=0)) == len(everything)
    assert state_index(everything, domain, n_states).tolist() == list(range(len(everything)))
    assert (state_at(np.arange(len(everything)), shape, domain, n_states) == everything).all()


def test_memory_stays_flat():
    class Field:
        domain = "spin"
        shape = (20,)

        def __call__(self, x: np.ndarray) -> np.ndarray:
            return -x.sum(axis=1, dtype=np.float64)

    tracemalloc.start()
    result = enumerate(Field(), 0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.log_z == pytest.approx(20 * np.log(2 * np.cosh(0.5)), rel=1e-13)
    assert peak < 8e6  # all configurations at once would be 20 MB of spins and 8 MB an array of energies


def test_too_many_configurations_are_refused_with_their_number():
    with pytest.raises(
        ValueError, match=r"at most 16777216 configurations can be enumerated, got 2\^25 of shape \(5, 5\)"
    ):
        enumerate(Pairs((5, 5)))
    with pytest.raises(ValueError, match=r"at most 1048576 .* got 2\^21"):
        probabilities(Pairs((21,)))
    with pytest.raises(ValueError, match=r"got 3\^784"):
        states((28, 28), "states", 3)
    assert count_states((24,), "spin") == 2**24


def test_energies_that_are_wrong_are_refused():
    energy = Pairs((3,))
    energy.field[1] = np.nan
    with pytest.raises(ValueError, match=r"energy\(x\) must be finite, got nan"):
        enumerate(energy)
    energy = Pairs((3,))
    with pytest.raises(ValueError, match="beta must not be negative, got -1"):
        enumerate(energy, -1)
    energy.domain = "real"
    with pytest.raises(ValueError, match="domain must be 'spin', 'binary' or 'states', got 'real'"):
        enumerate(energy)

    class Matrix(Pairs):
        def __call__(self, x: np.ndarray) -> np.ndarray:
            return np.zeros((len(x), 1))

    with pytest.raises(
        ValueError, match=r"energy\(x\) must have one value a configuration, shape \(8,\), got \(8, 1\)"
    ):
        enumerate(Matrix((3,)))


def test_configurations_that_are_wrong_are_refused():
    with pytest.raises(ValueError, match="x must hold values of the domain 'spin' with 2 states, got 0"):
        state_index([[1, 0]], "spin")
    with pytest.raises(ValueError, match="x must hold values of the domain 'states' with 3 states, got 3"):
        state_index([[1, 3]], "states", 3)
    with pytest.raises(ValueError, match="n_states must be 2 for the domain 'binary', got 3"):
        state_index([[1, 0]], "binary", 3)
    with pytest.raises(ValueError, match="index must be from 0 to 7, got 8"):
        state_at([8], (3,), "spin")
