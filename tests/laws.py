"""What the law tests share: the lists of energies and samplers, exact starts, and tests of known false-alarm rate.

A new energy or sampler enters by one line in a list and is then met by every law it must obey. A law is tested by
starting many chains exactly at p, running a few sweeps, and comparing the end states with p: were the sampler wrong,
they would have left it. The false-alarm rate of every such test is ALPHA.
"""

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse, stats
from scipy.special import roots_legendre

import ebm
from ebm import exact
from samplers import HMC, MALA, Gibbs, Metropolis, Sampler, SwendsenWang, Wolff

ALPHA = 1e-6
LEAST = 20.0  # expected number in a bin of a chi-square test, below which bins are merged


def chi_square_p(counts: np.ndarray, probabilities: np.ndarray) -> float:
    """The p-value of counts under a law; all bins with an expectation below LEAST are merged into one."""
    order = np.argsort(probabilities.ravel(), kind="stable")
    observed, expected = counts.ravel()[order].astype(float), probabilities.ravel()[order] * counts.sum()
    small = int(np.searchsorted(expected, LEAST))
    while 0 < small < len(expected) and expected[:small].sum() < LEAST:
        small += 1
    if small:
        observed = np.r_[observed[:small].sum(), observed[small:]]
        expected = np.r_[expected[:small].sum(), expected[small:]]
    statistic = ((observed - expected) ** 2 / expected).sum()
    return float(stats.chi2.sf(statistic, max(len(expected) - 1, 1)))


def mean_p(values: np.ndarray, expected: float) -> float:
    """The p-value of the t-test that independent replicas' values have the expected mean."""
    return float(stats.ttest_1samp(np.asarray(values).ravel(), expected).pvalue)


# --- energies ---------------------------------------------------------------------------------------------------------

_RNG = np.random.default_rng(20)
_WAVES = np.random.default_rng(21)
_COMPLEX = np.random.default_rng(22)


def _symmetric(n: int, scale: float) -> np.ndarray:
    upper = np.triu(_RNG.normal(0.0, scale, (n, n)), 1)
    return upper + upper.T


def _saturated(strength: float) -> ebm.RBMWaveFunction:
    """One hidden unit a spin, whose field is +-strength and little more: ln psi = sum_i s_i (s w + b)_i + constant."""
    W = strength * np.eye(4) + _WAVES.normal(0.0, 0.2, (4, 4))
    return ebm.RBMWaveFunction(W, b=_WAVES.normal(0.0, 0.3, 4))


def _complex(scale: float, shape: Any) -> np.ndarray:
    return _COMPLEX.normal(0.0, scale, shape) + 1j * _COMPLEX.normal(0.0, scale, shape)


def _network() -> ebm.NeuralEnergy:
    """A small network whose weights are large enough to bend its quadratic well into two."""
    weights = np.random.default_rng(11).normal(0.0, 1.2, 51)
    return ebm.NeuralEnergy(
        (2,), hidden=(6, 4), activation="Tanh", mean=[0.3, -0.2], width=0.9, dtype="float64", weights=weights
    )


def _level() -> Any:
    """One level of noise of a score model that is an energy, with two wells."""
    weights = np.random.default_rng(2).normal(0.0, 1.0, 31)
    model = ebm.ScoreModel(
        (2,), hidden=(6,), energy=True, data_width=0.8, activation="Tanh", dtype="float64", weights=weights
    )
    return model.at_noise(0.4)


_GRAPH = sparse.csr_array(_symmetric(6, 1.0) * (_symmetric(6, 1.0) > -0.4))

DISCRETE: dict[str, Any] = {
    "ising ring": ebm.Ising((5,)),
    "ising 2x3 in a field": ebm.Ising((2, 3), coupling=0.4, field=0.3),
    "ising with sides of one": ebm.Ising((1, 4, 1), coupling=-0.8),
    "ising in three dimensions": ebm.Ising((2, 1, 3), coupling=0.25, field=-0.2),
    "ising with random bonds": ebm.Ising((2, 3), _RNG.normal(0.0, 0.7, (2, 2, 3)), _RNG.normal(0.0, 0.5, (2, 3))),
    "ising on a graph": ebm.Ising((2, 3), coupling=_GRAPH),
    "ising antiferromagnet": ebm.Ising((2, 3), coupling=-0.5),
    "ising +-J": ebm.Ising((2, 3), coupling=0.6 * np.array([[[1, -1, -1], [1, 1, -1]], [[-1, 1, 1], [1, 1, 1]]])),
    "ising ferromagnet in three dimensions": ebm.Ising((2, 1, 3), coupling=0.3),
    "potts 2": ebm.Potts((2, 3), 2, coupling=0.7),
    "potts 3": ebm.Potts((3,), 3, coupling=0.6),
    "potts 3 on even sides": ebm.Potts((2, 4), 3, coupling=0.6),
    "ising on even sides": ebm.Ising((2, 4), coupling=0.5),
    "potts 4 with random bonds": ebm.Potts((4,), 4, coupling=_RNG.normal(0.3, 0.8, (1, 4))),
    "potts 3 with ferromagnetic bonds": ebm.Potts(
        (2, 2), 3, coupling=[[[0.2, 0.7], [0.0, 1.1]], [[0.5, 0.3], [0.9, 0.1]]]
    ),
    "curie-weiss": ebm.CurieWeiss(6, field=0.2),
    "boltzmann machine, binary": ebm.BoltzmannMachine(_symmetric(6, 1.0), _RNG.normal(0.0, 0.5, 6)),
    "boltzmann machine, spin": ebm.BoltzmannMachine(_symmetric(5, 0.5), _RNG.normal(0.0, 0.5, 5), domain="spin"),
    "hopfield": ebm.Hopfield([[1, -1, 1, -1, 1], [1, 1, -1, -1, 1]]),
    "sum": ebm.Ising((6,), coupling=0.5) + ebm.CurieWeiss(6, field=0.3),
    "scaled": 0.6 * ebm.Ising((2, 3), field=0.5),
    "rbm": ebm.RBM(5, 3, W=_RNG.normal(0.0, 1.0, (5, 3)), b=_RNG.normal(0.0, 0.5, 5), c=_RNG.normal(0.0, 0.5, 3)),
    "rbm wavefunction": ebm.RBMWaveFunction(
        _WAVES.normal(0.0, 0.4, (5, 4)), _WAVES.normal(0.0, 0.2, 5), _WAVES.normal(0.0, 0.3, 4)
    ),
    "complex rbm wavefunction": ebm.ComplexRBMWaveFunction(*(_complex(0.5, shape) for shape in ((5, 4), 5, 4))),
    "complex rbm wavefunction, strong": ebm.ComplexRBMWaveFunction(*(_complex(1.2, shape) for shape in ((4, 6), 4, 6))),
    "complex rbm wavefunction, beyond exponentials": ebm.ComplexRBMWaveFunction(
        100.0 * np.eye(4) + _complex(0.3, (4, 4)), _complex(0.3, 4), _complex(0.3, 4)
    ),
    "rbm wavefunction, saturated": _saturated(100.0),
    "rbm wavefunction, beyond exponentials": _saturated(400.0),
}


class Plane(NamedTuple):
    """A continuous energy whose law fits into a box of one or two dimensions, and steps with a middling acceptance.

    Of an energy of angles the box holds the differences to the last angle, which is itself uniform.
    """

    energy: Any
    box: tuple[tuple[float, float], ...]
    single: float
    gaussian: float
    mala: float
    hmc: float


_CIRCLE = (-math.pi, math.pi)
_BENT = ebm.GaussianMixture(
    [[-1.2, 0.0], [1.2, 0.6]], [[[0.5, 0.2], [0.2, 0.4]], [[0.3, -0.1], [-0.1, 0.6]]], [0.3, 0.7]
)

PLANES: dict[str, Plane] = {
    "gaussian": Plane(ebm.Gaussian([0.5, -1.0], [[1.0, 0.6], [0.6, 0.8]]), ((-8, 9), (-9, 7)), 1.5, 1.2, 0.6, 1.0),
    "gaussian mixture": Plane(_BENT, ((-8, 8), (-7, 8)), 1.5, 1.2, 0.7, 1.0),
    "double well": Plane(ebm.DoubleWell(2, barrier=2.0), ((-3, 3), (-8, 8)), 1.0, 0.8, 0.12, 0.35),
    "muller-brown": Plane(ebm.MullerBrown(scale=0.02), ((-5, 4), (-4, 6)), 1.0, 0.8, 0.15, 0.35),
    "rosenbrock": Plane(ebm.Rosenbrock(2, a=0.3, b=3.0), ((-5.5, 6.5), (-8, 45)), 0.8, 0.6, 0.1, 0.2),
    "sum of real energies": Plane(
        ebm.DoubleWell(2) + ebm.Gaussian([0.3, 0.5], [[1.0, 0.3], [0.3, 0.9]]), ((-3, 3), (-6, 7)), 1.2, 1.0, 0.35, 0.6
    ),
    "scaled real energy": Plane(0.7 * ebm.DoubleWell(2, minimum=1.2), ((-4, 4), (-9, 9)), 1.4, 1.2, 0.5, 0.8),
    "gaussian rbm": Plane(
        ebm.GaussianRBM(
            2, 2, W=[[1.2, -0.6], [0.5, 0.9]], b=[0.2, -0.3], c=[0.1, -0.4], sigma=[0.8, 1.1], dtype="float64"
        ),
        ((-8, 9), (-10, 10)),
        1.5,
        1.2,
        0.7,
        1.0,
    ),
    "network": Plane(_network(), ((-7, 7), (-7, 7)), 1.5, 1.2, 0.6, 0.9),
    "score model's level": Plane(_level(), ((-7, 7), (-8, 6)), 1.5, 1.2, 0.4, 0.8),
    "xy pair": Plane(ebm.XY((2,), coupling=0.8), (_CIRCLE,), 2.0, 1.5, 0.9, 1.2),
    "xy ring": Plane(ebm.XY((3,)), (_CIRCLE, _CIRCLE), 2.0, 1.2, 0.6, 1.0),
    "xy with random bonds": Plane(ebm.XY((3,), coupling=[[0.5, -0.7, 1.1]]), (_CIRCLE, _CIRCLE), 2.0, 1.2, 0.7, 1.0),
}

# Quick tests sample all pairs of a continuous energy and a sampler, these in the compiled tier and the others, whose
# loops take seconds each to compile, in the array tier; the slow tests sample all in the compiled tier.
QUICK_COMPILED = {"double well", "xy ring", "xy pair", "xy with random bonds"}

ENERGIES: dict[str, Any] = {**DISCRETE, **{name: plane.energy for name, plane in PLANES.items()}}


class ArrayTier:
    """An energy that hides its compiled functions, so that samplers run it in the array tier."""

    def __init__(self, energy: Any) -> None:
        self._energy = energy
        self.shape, self.domain = energy.shape, energy.domain
        for name in ("n_states", "neighbours", "coupling", "field", "bonds"):
            if hasattr(energy, name):
                setattr(self, name, getattr(energy, name))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self._energy(x)

    def grad(self, x: np.ndarray) -> np.ndarray:
        return self._energy.grad(x)

    def reduced(self, x: np.ndarray, beta: float) -> np.ndarray:
        return self._energy.reduced(x, beta)

    def reduced_grad(self, x: np.ndarray, beta: float) -> np.ndarray:
        return self._energy.reduced_grad(x, beta)


# --- samplers ---------------------------------------------------------------------------------------------------------

DISCRETE_SAMPLERS: dict[str, Sampler] = {
    "metropolis": Metropolis(),
    "exchange": Metropolis("exchange"),
    "gibbs": Gibbs(),
    "wolff": Wolff(),
    "swendsen-wang": SwendsenWang(),
}
SITE_BY_SITE = ("metropolis", "exchange", "gibbs")  # of these; the others move whole clusters


def fits(sampler: Sampler, energy: Any) -> bool:
    """Whether a sampler accepts an energy."""
    try:
        sampler.check(energy)
    except TypeError:
        return False
    return True


def plane_samplers(plane: Plane) -> dict[str, Sampler]:
    """The exact samplers of a continuous energy, with fixed steps at which a wrong acceptance rule shows."""
    listed: dict[str, Sampler] = {
        "metropolis": Metropolis("single", step_size=plane.single, target_acceptance=None),
        "gaussian": Metropolis("gaussian", step_size=plane.gaussian, target_acceptance=None),
        "mala": MALA(plane.mala, target_acceptance=None),
        "hmc": HMC(plane.hmc, steps=3, target_acceptance=None),
        "gibbs": Gibbs(),
    }
    return {name: sampler for name, sampler in listed.items() if fits(sampler, plane.energy)}


# --- exact laws and starts --------------------------------------------------------------------------------------------


def q_of(energy: Any) -> int:
    """The number of values of a site."""
    return getattr(energy, "n_states", 2)


def exact_states(energy: Any, beta: float, n: int, seed: int) -> np.ndarray:
    """Independent exact draws (n, *shape) of a small discrete energy."""
    p = exact.probabilities(energy, beta)
    numbers = np.random.default_rng(seed).choice(len(p), n, p=p)
    return exact.state_at(numbers, energy.shape, energy.domain, q_of(energy))


def count_states(x: np.ndarray, energy: Any) -> np.ndarray:
    """How often each configuration of a small discrete energy occurs among x (n, *shape)."""
    numbers = exact.state_index(x, energy.domain, q_of(energy))
    return np.bincount(numbers, minlength=exact.count_states(energy.shape, energy.domain, q_of(energy)))


def lift(plane: Plane, points: np.ndarray) -> np.ndarray:
    """Configurations (n, *shape) at points of the box (n, d)."""
    if plane.energy.domain == "real":
        return points
    return np.c_[points, np.zeros(len(points))].reshape(len(points), *plane.energy.shape)


def lower(plane: Plane, x: np.ndarray) -> np.ndarray:
    """The points of the box (n, d) of configurations (n, *shape)."""
    flat = x.reshape(len(x), -1)
    if plane.energy.domain == "real":
        return flat
    return np.angle(np.exp(1j * (flat[:, :-1] - flat[:, -1:])))


class PlaneLaw(NamedTuple):
    """Bins of a box, the probability of each by quadrature, and the lowest reduced energy among the nodes."""

    edges: list[np.ndarray]
    probabilities: np.ndarray
    lowest: float


@cache
def plane_law(plane: Plane, beta: float, bins: int = 20, nodes: int = 10) -> PlaneLaw:
    """The law of a continuous energy on a grid of bins, by Gauss-Legendre quadrature in each."""
    node, weight = roots_legendre(nodes)
    edges = [np.linspace(low, high, bins + 1) for low, high in plane.box]
    axes = [(e[:-1, None] + (e[1] - e[0]) * (node + 1) / 2).ravel() for e in edges]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    u = plane.energy.reduced(lift(plane, points), beta)
    mass = np.exp(u.min() - u).reshape([bins, nodes] * len(axes))
    for axis in reversed(range(len(axes))):
        mass = np.tensordot(mass, weight, axes=(2 * axis + 1, 0))
    p = mass / mass.sum()
    if plane.energy.domain == "real":
        inner = p[(slice(1, -1),) * len(axes)]
        assert 1.0 - inner.sum() < 1e-6, f"the box cuts off too much: {1.0 - inner.sum():.1e} in its outermost bins"
    return PlaneLaw(edges, p, float(u.min()))


@cache
def exact_points(plane: Plane, beta: float, n: int, seed: int) -> np.ndarray:
    """Independent exact draws (n, *shape) of a continuous energy, by rejection from its box."""
    rng = np.random.default_rng(seed)
    floor = plane_law(plane, beta).lowest - 0.2
    low, high = np.array(plane.box, float).T
    kept, missing = [], n
    while missing > 0:
        points = rng.uniform(low, high, (200_000, len(low)))
        log_ratio = floor - plane.energy.reduced(lift(plane, points), beta)
        assert (log_ratio <= 0.0).all()
        kept.append(points[rng.random(len(points)) < np.exp(log_ratio)])
        missing -= len(kept[-1])
    x = lift(plane, np.concatenate(kept)[:n])
    if plane.energy.domain == "angle":  # turned by a common angle, back into (-pi, pi]
        x = np.angle(np.exp(1j * (x + rng.uniform(-np.pi, np.pi, n).reshape(-1, *[1] * len(plane.energy.shape)))))
    x.setflags(write=False)  # all tests share it
    return x


def plane_p(plane: Plane, beta: float, x: np.ndarray) -> float:
    """The p-value of independent configurations (n, *shape) under the law of a continuous energy."""
    law = plane_law(plane, beta)
    counts, _ = np.histogramdd(lower(plane, x), bins=law.edges)
    outside = len(x) - counts.sum()
    return chi_square_p(np.r_[counts.ravel(), outside], np.r_[law.probabilities.ravel(), 0.0])
