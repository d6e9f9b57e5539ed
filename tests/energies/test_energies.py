"""Laws of every energy: a slow obvious twin, batch = loop, gradients, local changes, sums and multiples."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from laws import DISCRETE, ENERGIES, PLANES, ArrayTier, q_of

import ebm
import samplers
from ebm import exact, wells
from samplers.initial import initial

RNG = np.random.default_rng(6)


def _some(energy: object, n: int = 7, seed: int = 3) -> np.ndarray:
    return initial(energy, n, seed).reshape(n, *energy.shape)


@pytest.mark.parametrize("name", ENERGIES)
def test_every_energy_passes_its_check(name: str) -> None:
    samplers.check(ENERGIES[name])


@pytest.mark.parametrize("name", ENERGIES)
def test_a_batch_is_a_loop(name: str) -> None:
    energy = ENERGIES[name]
    x = _some(energy)
    beta = np.linspace(0.3, 2.0, len(x))
    assert energy(x).shape == (7,) and energy(x).dtype == np.float64
    rounding = 1e-13 if isinstance(energy, ebm.TorchEnergy) else 0.0  # torch sums a batch in an order of its own
    np.testing.assert_allclose(energy(x), [energy(x[i : i + 1])[0] for i in range(7)], rtol=rounding)
    np.testing.assert_allclose(energy.reduced(x, beta), [energy.reduced(x[i : i + 1], beta[i])[0] for i in range(7)])
    if energy.domain in ("real", "angle"):
        loop = np.concatenate([energy.grad(x[i : i + 1]) for i in range(7)])
        np.testing.assert_allclose(energy.grad(x), loop, rtol=rounding, atol=rounding)
    assert energy(x[:0]).shape == (0,)


@pytest.mark.parametrize("name", [name for name in ENERGIES if name not in ("rbm", "gaussian rbm")])
def test_the_reduced_energy_is_beta_times_the_energy(name: str) -> None:
    energy = ENERGIES[name]
    x = _some(energy)
    np.testing.assert_allclose(energy.reduced(x, 0.37), 0.37 * energy(x), rtol=1e-13)


# --- slow twins -------------------------------------------------------------------------------------------------------


def _bonds(shape: tuple[int, ...], coupling: float | np.ndarray) -> list[tuple[int, int, float]]:
    """Each site's bond forward along each axis, by counting coordinates; none along a side of one."""
    weights = np.broadcast_to(coupling, (len(shape), *shape))
    strides = [math.prod(shape[a + 1 :]) for a in range(len(shape))]
    bonds = []
    for place in np.ndindex(*shape):
        for axis, side in enumerate(shape):
            if side > 1:
                there = list(place)
                there[axis] = (place[axis] + 1) % side
                numbers = [sum(c * s for c, s in zip(p, strides, strict=True)) for p in (place, there)]
                bonds.append((*numbers, float(weights[(axis, *place)])))
    return bonds


def _pairs(x: np.ndarray, shape: tuple[int, ...], coupling: float | np.ndarray, term: Callable) -> float:
    return -sum(w * term(x[i], x[j]) for i, j, w in _bonds(shape, coupling))


@pytest.mark.parametrize(
    "shape", [(5,), (2,), (1,), (2, 2), (2, 3), (3, 1), (1, 1), (3, 4), (2, 3, 2), (3, 3, 3), (4, 1, 2)]
)
@pytest.mark.parametrize("random_bonds", [False, True])
def test_lattices_hold_each_bond_once(shape: tuple[int, ...], random_bonds: bool) -> None:
    coupling = RNG.normal(size=(len(shape), *shape)) if random_bonds else 0.7
    field = RNG.normal(size=shape)
    for spins in RNG.choice([-1, 1], (4, *shape)):
        s = spins.ravel().astype(float)
        need = _pairs(s, shape, coupling, lambda a, b: a * b) - field.ravel() @ s
        assert ebm.Ising(shape, coupling, field)(spins[None])[0] == pytest.approx(need, abs=1e-12)
    for q in (2, 3, 5):
        s = RNG.integers(0, q, shape)
        need = _pairs(s.ravel(), shape, coupling, lambda a, b: float(a == b))
        assert ebm.Potts(shape, q, coupling)(s[None])[0] == pytest.approx(need, abs=1e-12)
    theta = RNG.uniform(-np.pi, np.pi, shape)
    need = _pairs(theta.ravel(), shape, coupling, lambda a, b: math.cos(a - b))
    assert ebm.XY(shape, coupling)(theta[None])[0] == pytest.approx(need, abs=1e-12)


def test_other_energies_match_their_formulas() -> None:
    spins = RNG.choice([-1, 1], 6).astype(float)
    bits = RNG.integers(0, 2, 6).astype(float)
    graph = DISCRETE["ising on a graph"]
    assert graph(spins.reshape(1, 2, 3))[0] == pytest.approx(-spins @ graph.coupling.toarray() @ spins / 2.0)
    total = spins.sum()
    assert ebm.CurieWeiss(6, 0.2)(spins[None])[0] == pytest.approx(-(total**2) / 12.0 - 0.2 * total)
    for name, x in (("boltzmann machine, binary", bits), ("boltzmann machine, spin", spins[:5])):
        machine = DISCRETE[name]
        assert machine(x[None])[0] == pytest.approx(-machine.b @ x - x @ machine.W @ x / 2.0)
    patterns = np.array([[1, -1, 1, -1, 1], [1, 1, -1, -1, 1]])
    overlap = patterns @ spins[:5]
    assert ebm.Hopfield(patterns)(spins[None, :5])[0] == pytest.approx(-(overlap @ overlap - 2 * 5) / 10.0)
    x = RNG.normal(size=2)
    gaussian = PLANES["gaussian"].energy
    shift = x - gaussian.mean
    assert gaussian(x[None])[0] == pytest.approx(shift @ np.linalg.solve(gaussian.covariance, shift) / 2.0)
    well = ebm.DoubleWell(3, barrier=2.0, minimum=1.5, stiffness=0.7)
    y = RNG.normal(size=3)
    assert well(y[None])[0] == pytest.approx(2.0 * ((y[0] / 1.5) ** 2 - 1) ** 2 + 0.35 * (y[1] ** 2 + y[2] ** 2))
    from scipy.optimize import rosen

    assert ebm.Rosenbrock(4)(np.array([[0.3, -1.0, 0.7, 1.1]]))[0] == pytest.approx(rosen([0.3, -1.0, 0.7, 1.1]))


def test_the_mixture_is_a_normalised_density() -> None:
    from scipy.stats import multivariate_normal

    mixture = PLANES["gaussian mixture"].energy
    x = RNG.normal(size=(9, 2)) * 2.0
    parts = zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    density = sum(w * multivariate_normal(m, c).pdf(x) for w, m, c in parts)
    np.testing.assert_allclose(mixture(x), -np.log(density), rtol=1e-12)
    assert exact.log_z_quadrature(mixture, PLANES["gaussian mixture"].box) == pytest.approx(0.0, abs=1e-9)
    far = mixture(np.array([[1e200, 0.0], [0.0, 1e170]]))
    assert not np.isnan(far).any()  # infinitely improbable, but a number


def test_muller_brown_has_its_published_stationary_points() -> None:
    surface = ebm.MullerBrown()
    minima = np.array([[-0.558224, 1.441726], [0.623499, 0.028038], [-0.050011, 0.466694]])
    saddles = np.array([[-0.822002, 0.624313], [0.212487, 0.292988]])
    np.testing.assert_allclose(surface(minima), [-146.69952, -108.16672, -80.76782], atol=1e-4)
    np.testing.assert_allclose(surface(saddles), [-40.66484, -72.24894], atol=1e-4)
    assert np.abs(surface.grad(np.r_[minima, saddles])).max() < 0.01


def test_muller_brown_is_confining_however_far_out() -> None:
    surface, angle = ebm.MullerBrown(scale=0.1), np.linspace(0.0, 2.0 * np.pi, 41)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for radius in (50.0, 1e10, 1e153, 1.3e154, 1e200, 1e308):
        np.testing.assert_array_equal(surface(radius * circle), np.inf)
        assert not np.isnan(surface.grad(radius * circle)).any()
    assert ((surface.grad(8.0 * circle) * circle).sum(1) > 0.0).all()
    # The published form of the exponents.
    table = wells._MULLER_BROWN_TABLE
    x = RNG.uniform([-1.8, -0.5], [1.2, 2.2], (50, 2))
    d = x[:, None, :] - table[:, 4:]
    exponent = table[:, 1] * d[..., 0] ** 2 + table[:, 2] * d[..., 0] * d[..., 1] + table[:, 3] * d[..., 1] ** 2
    np.testing.assert_allclose(surface(x), 0.1 * (table[:, 0] * np.exp(exponent)).sum(1), rtol=1e-12, atol=1e-12)


def test_a_proposal_where_muller_brown_is_infinite_is_rejected() -> None:
    surface, begin = ebm.MullerBrown(), np.tile([[0.8, 0.6]], (8, 1))
    slope = surface.grad(begin[:1])[0]
    assert slope[0] * slope[1] > 0.0  # along a diagonal, where the exponents are differences of large numbers
    far = 0.9e154 / np.abs(slope).max()
    for sampler in (
        samplers.MALA(far, target_acceptance=None),
        samplers.HMC(np.sqrt(2.0 * far), steps=1, target_acceptance=None),
        samplers.Metropolis("gaussian", 1e154, target_acceptance=None),
    ):
        chains = samplers.sample(
            ArrayTier(surface), sampler, chains=8, draws=20, warmup=0, init=begin, seed=1, progress=False
        )
        assert (chains.acceptance == 0.0).all() and np.array_equal(chains.x[:, -1], begin)


# --- sums and multiples -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [False, True])
def test_the_reduced_energy_of_a_sum_is_the_sum(hidden: bool) -> None:
    for first, second in (
        (ebm.XY((3,)), 0.3 * ebm.XY((3,), coupling=-1.0)),
        (ebm.Ising((6,)), ebm.CurieWeiss(6)),
    ):
        x = _some(first)
        total = first + (ArrayTier(second) if hidden else second)
        assert samplers.protocols.is_compiled(total) is not hidden
        for beta in (1.0, 0.4):
            np.testing.assert_allclose(total.reduced(x, beta), first.reduced(x, beta) + second.reduced(x, beta))
            np.testing.assert_allclose((0.3 * total).reduced(x, beta), 0.3 * beta * total(x))
            if first.domain in ("real", "angle"):
                both = first.reduced_grad(x, beta) + second.reduced_grad(x, beta)
                np.testing.assert_allclose(total.reduced_grad(x, beta), both)
                np.testing.assert_allclose((0.3 * total).reduced_grad(x, beta), 0.3 * both)
        samplers.check(total)


def test_sums_of_states_and_of_different_spaces() -> None:
    potts = ebm.Potts((2, 2), 3) + ebm.Potts((2, 2), 3, coupling=-0.3)
    assert potts.n_states == 3
    with pytest.raises(ValueError, match="share domain and shape"):
        ebm.Potts((2, 2), 3) + ebm.Potts((2, 2), 4)
    with pytest.raises(ValueError, match="share domain and shape"):
        ebm.Ising((4,)) + ebm.Ising((2, 2))
    with pytest.raises(ValueError, match="factor must be a finite number, got nan"):
        math.nan * ebm.Ising((4,))
    with pytest.raises(TypeError):
        ebm.Ising((4,)) + 1.0


def test_an_energy_keeps_its_own_copy_of_what_it_was_made_of() -> None:
    coupling, field = np.ones((1, 4)), np.zeros(4)
    magnet, x = ebm.Ising((4,), coupling, field), np.ones((1, 4))
    before = magnet(x)
    coupling[:], field[:] = 9.0, 9.0
    np.testing.assert_array_equal(magnet(x), before)
    np.testing.assert_array_equal(magnet.parameters()["coupling"], np.ones((1, 4)))
    np.testing.assert_array_equal(magnet.parameters()["field"], np.zeros(4))


# --- check finds what is wrong ----------------------------------------------------------------------------------------


class _Own:
    """A plain array-tier energy that a test can spoil."""

    shape, domain = (3,), "real"

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return 0.05 * (x**2).sum(1)

    def grad(self, x: np.ndarray) -> np.ndarray:
        return 0.1 * x


def _spoiled(**members: Callable) -> object:
    return type("Spoiled", (_Own,), members)()


def test_check_accepts_a_sound_energy() -> None:
    samplers.check(_Own())


def test_check_accepts_networks_of_single_precision() -> None:
    # Compiled or not: their values have seven digits, and finite differences fewer.
    compiled, array = ebm.NeuralEnergy((2,), hidden=(6, 4), seed=1), ebm.NeuralEnergy((4, 4), channels=(2,), seed=1)
    assert compiled.compiled is not None and compiled.dtype == "float32"
    for energy in (compiled, array, ebm.ScoreModel((2,), hidden=(6,), energy=True, seed=1).at_noise(0.3)):
        samplers.check(energy)


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ({"grad": lambda self, x: -0.1 * x}, r"Spoiled\.grad must be the derivative of its energy.*finite differences"),
        ({"grad": lambda self, x: 0.1001 * x}, "must be the derivative of its energy"),
        ({"grad": lambda self, x: 0.1 * x * [1.0, 1.0, 0.0]}, "must be the derivative of its energy"),
        ({"grad": lambda self, x: x[:, 0]}, r"Spoiled\.grad must return shape \(5, 3\), got \(5,\)"),
        ({"grad": lambda self, x: x * math.nan}, "grad must be finite, got nan"),
        ({"__call__": lambda self, x: (x**2).sum(1) / x.sum()}, "must give each configuration its own energy"),
        ({"__call__": lambda self, x: (x**2).sum(1) * math.nan}, "must be finite, got a reduced energy of nan"),
        ({"__call__": lambda self, x: (x**2).sum(1) + math.inf}, "must be finite, got a reduced energy of inf"),
        ({"__call__": lambda self, x: (x**2).sum()}, r"must return one energy a configuration, shape \(5,\), got \(\)"),
        ({"__call__": lambda self, x: x}, r"must return one energy a configuration, shape \(5,\), got \(5, 3\)"),
    ],
)
def test_check_names_the_fault(members: dict[str, Callable], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        samplers.check(_spoiled(**members))


@pytest.mark.parametrize(("domain", "shape"), [("spin", (3,)), ("spin", (4, 5)), ("real", (4, 5)), ("binary", (2,))])
def test_check_finds_a_wrong_local_change(domain: str, shape: tuple[int, ...]) -> None:
    def f(x, p):
        total = 0.0
        for value in x.flat:
            total += p[0] * value
        return total

    def wrong(x, site, value, p):
        return p[0] * (x.flat[site] - value)

    energy = ebm.CompiledEnergy(f, delta=wrong, shape=shape, domain=domain, params=(0.3,))
    with pytest.raises(ValueError, match=r"the change \(delta\) of CompiledEnergy must be the difference"):
        samplers.check(energy)


def test_check_takes_read_only_configurations() -> None:
    for name in ("double well", "ising ring"):
        x = _some(ENERGIES[name])
        x.flags.writeable = False
        samplers.check(ENERGIES[name], x)


def test_values_outside_the_domain_are_refused() -> None:
    for name in ("ising ring", "potts 3", "boltzmann machine, binary"):
        energy = ENERGIES[name]
        x = _some(energy, 1).astype(float)
        x.flat[0] = q_of(energy) + 0.0
        with pytest.raises(ValueError, match="x must hold"):
            energy(x)
