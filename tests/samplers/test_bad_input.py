"""Bad input: every error names the argument, the value it got and what is needed; and nothing diverges in silence."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laws import ArrayTier
from numba import njit

import ebm
import samplers

WELL, MAGNET, ROTORS = ebm.DoubleWell(2), ebm.Ising((2, 3)), ebm.XY((3,))
RUN = {"chains": 2, "draws": 3, "warmup": 2, "seed": 1, "progress": False}


class _Score:
    """A gradient without an energy."""

    shape, domain = (2,), "real"

    def grad(self, x: np.ndarray) -> np.ndarray:
        return x


class _Bare:
    """An energy without a gradient, on a domain that a test names."""

    def __init__(self, domain: Any = "real", shape: Any = (2,)) -> None:
        self.domain, self.shape = domain, shape

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (x**2).sum(1)


def _sample(energy: Any = WELL, sampler: Any = None, **changes: Any) -> samplers.Chains:
    return samplers.sample(energy, sampler or samplers.MALA(), **{**RUN, **changes})


NOT_POSITIVE = [0, -1, 2.5, math.nan, "3", None, True]
POSITIVE_INTEGER = [(name, value) for name in ("chains", "draws", "thin") for value in NOT_POSITIVE]


@pytest.mark.parametrize(("name", "value"), POSITIVE_INTEGER)
def test_counts_must_be_positive_integers(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a positive integer, got {value!r}"):
        _sample(**{name: value})


@pytest.mark.parametrize("value", [-1, 0.5, math.nan, "3", None])
def test_warm_up_must_be_a_non_negative_integer(value: Any) -> None:
    with pytest.raises(ValueError, match=f"warmup must be a non-negative integer, got {value!r}"):
        _sample(warmup=value)


@pytest.mark.parametrize("value", [0, -0.3, math.nan, math.inf, "1", None, np.array([1.0, 2.0])])
def test_beta_must_be_positive(value: Any) -> None:
    with pytest.raises(ValueError, match="beta must be a positive finite number, got "):
        _sample(beta=value)


@pytest.mark.parametrize("value", [-1, 1.5, "a"])
def test_seed_must_be_a_non_negative_integer(value: Any) -> None:
    with pytest.raises(ValueError, match=f"seed must be a non-negative integer, got {value!r}"):
        _sample(seed=value)


STEP_SIZED = [samplers.Langevin, samplers.UnderdampedLangevin, samplers.MALA, samplers.HMC,
              lambda step: samplers.Metropolis("gaussian", step)]  # fmt: skip
CALLS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    *((lambda make=make, value=value: make(value), ValueError,
       f"step_size must be a positive finite number, got {value!r}")
      for make in STEP_SIZED for value in (0.0, -0.1, math.nan, math.inf, "big", None)),
    *((lambda make=make, value=value: make(0.1, target_acceptance=value), ValueError,
       f"target_acceptance must lie between 0 and 1.*got {value!r}")
      for make in (samplers.MALA, samplers.HMC) for value in (0.0, 1.0, -0.2, 2.0)),
    *((lambda value=value: samplers.Metropolis(target_acceptance=value), ValueError,
       f"target_acceptance must lie between 0 and 1.*got {value!r}") for value in (0.0, 1.0)),
    (lambda: samplers.Metropolis("flip"), ValueError, "move must be one of single, exchange, gaussian, got 'flip'"),
    (lambda: samplers.HMC(steps=0), ValueError, "steps must be a positive integer, got 0"),
    (lambda: samplers.HMC(steps=2.5), ValueError, "steps must be a positive integer, got 2.5"),
    (lambda: samplers.UnderdampedLangevin(0.1, friction=0.0), ValueError,
     "friction must be a positive finite number, got 0.0"),
    (lambda: samplers.set_threads(0), ValueError, "threads must be a positive integer, got 0"),
    # init
    (lambda: _sample(init=np.zeros((2, 3))), ValueError, r"init must have shape \(n, 2\), got \(2, 3\)"),
    (lambda: _sample(init=np.zeros(2)), ValueError, r"init must have shape \(n, 2\), got \(2,\)"),
    (lambda: _sample(init=np.zeros((3, 2))), ValueError, r"init must hold one configuration a chain \(2\), got 3"),
    (lambda: _sample(init=np.full((2, 2), math.nan)), ValueError, "init must be finite, got NaN"),
    (lambda: _sample(init=np.full((2, 2), math.inf)), ValueError, "init must be finite, got NaN or infinity"),
    (lambda: _sample(init=np.array([["a", "b"], ["c", "d"]])), TypeError, "init must hold real numbers, got dtype <U1"),
    (lambda: _sample(init=np.zeros((2, 2), complex)), TypeError, "init must hold real numbers, got dtype complex128"),
    (lambda: _sample(MAGNET, samplers.Gibbs(), init=np.zeros((2, 2, 3))), ValueError,
     r"init must hold -1 and \+1 .*got 0"),
    (lambda: _sample(init=np.full((2, 2), 1e200)), ValueError, "energy of init must be finite, got inf in chain 0"),
    # what is sampled, and by what
    (lambda: _sample(lambda x: x), TypeError, "energy needs the attributes `shape` and `domain`, got function without"),
    (lambda: _sample(_Bare("complex")), ValueError, "energy.domain must be one of real.*got 'complex'"),
    (lambda: _sample(_Bare(shape=(0,))), ValueError, r"energy.shape must be a tuple of positive integers, got \(0,\)"),
    (lambda: _sample(_Bare(shape=3)), ValueError, "energy.shape must be a tuple of positive integers, got 3"),
    (lambda: _sample(WELL, "mala"), TypeError, "sampler must be a sampler such as samplers.MALA.., got 'mala'"),
    (lambda: _sample(WELL, samplers.MALA), TypeError, "sampler must be a sampler such as samplers.MALA.., got <class"),
    (lambda: _sample(WELL, samplers.Gibbs()), TypeError,
     "Gibbs needs a discrete energy .*got DoubleWell .domain 'real'"),
    (lambda: _sample(MAGNET), TypeError, "MALA needs a real or angle energy with a gradient, got Ising .domain 'spin'"),
    (lambda: _sample(MAGNET, samplers.HMC()), TypeError, "HMC needs a real or angle energy .*got Ising"),
    (lambda: _sample(MAGNET, samplers.Langevin(0.1)), TypeError, "Langevin needs a real or angle energy .*got Ising"),
    (lambda: _sample(MAGNET, samplers.UnderdampedLangevin(0.1)), TypeError, "UnderdampedLangevin needs .*got Ising"),
    (lambda: _sample(MAGNET, samplers.Metropolis("gaussian")), TypeError,
     'move="gaussian".* needs .*real, angle, got Ising'),
    (lambda: _sample(WELL, samplers.Metropolis("exchange")), TypeError,
     'move="exchange".* needs .*spin.*got DoubleWell'),
    (lambda: _sample(ebm.Ising((1,)), samplers.Metropolis("exchange")), TypeError,
     r"at least 2 sites, got shape \(1,\)"),
    (lambda: _sample(_Bare()), TypeError, "MALA needs .* with a gradient, got _Bare .domain 'real', no gradient"),
    (lambda: _sample(_Bare(), samplers.HMC()), TypeError, "HMC needs .* with a gradient, got _Bare"),
    (lambda: _sample(_Score()), TypeError,
     "MALA needs an energy to accept or reject, got _Score, which has a gradient only"),
    (lambda: _sample(_Score(), samplers.Metropolis("gaussian")), TypeError, "Metropolis needs an energy to accept"),
    # observables and files
    (lambda: _sample(observables={"r": 3}), TypeError, r"observables\['r'\] must be a function .*got 3"),
    (lambda: _sample(observables={"energy": len}), ValueError, "observables must not use the name 'energy'"),
    (lambda: _sample(observables={"r": lambda x: x}), ValueError,
     r"observables\['r'\] must map .* shape \(2,\), got \(2, 2\)"),
    (lambda: _sample(resume=True), ValueError, "resume=True needs store"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "match"), CALLS, ids=[str(i) for i in range(len(CALLS))])
def test_an_error_names_argument_value_and_need(call: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


ENERGIES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: ebm.Ising(()), ValueError, r"shape must be a tuple of positive integers, got \(\)"),
    (lambda: ebm.Ising((4, 0)), ValueError, r"shape must be a tuple of positive integers, got \(4, 0\)"),
    (lambda: ebm.Ising((4, 2.5)), ValueError, "shape must be a tuple of positive integers"),
    (lambda: ebm.Ising((4,), coupling=math.nan), ValueError, "coupling must be a finite number, got nan"),
    (lambda: ebm.Ising((4,), coupling=np.array([[1, 1, math.inf, 1]])), ValueError, "coupling must be finite, got inf"),
    (lambda: ebm.Ising((4,), coupling=np.ones(4)), ValueError, r"coupling must be .*\(1, 4\).* got shape \(4,\)"),
    (lambda: ebm.Ising((4,), field=np.ones(3)), ValueError, r"field must have shape \(4\), got \(3,\)"),
    (lambda: ebm.Ising((4,), field=math.inf), ValueError, "field must be a finite number, got inf"),
    (lambda: ebm.Ising((2,), coupling=_sparse([[0, 1], [2, 0]])), ValueError, "coupling must be symmetric"),
    (lambda: ebm.Ising((2,), coupling=_sparse([[1, 1], [1, 0]])), ValueError,
     "coupling must have an empty diagonal, got 1"),
    (lambda: ebm.Ising((3,), coupling=_sparse([[0, 1], [1, 0]])), ValueError,
     r"coupling must have shape \(3, 3\), got \(2, 2\)"),
    (lambda: ebm.Potts((4,), 1), ValueError, "n_states must lie between 2 and 32767, got 1"),
    (lambda: ebm.Potts((4,), 2.5), ValueError, "n_states must be a positive integer, got 2.5"),
    (lambda: ebm.XY((4,), coupling="J"), ValueError, "coupling must be a finite number, got 'J'"),
    (lambda: ebm.CurieWeiss(0), ValueError, "n must be a positive integer, got 0"),
    (lambda: ebm.CurieWeiss(4, field=math.nan), ValueError, "field must be a finite number, got nan"),
    (lambda: ebm.BoltzmannMachine([[0, 1], [2, 0]]), ValueError, "W must be square and symmetric"),
    (lambda: ebm.BoltzmannMachine(np.eye(2)), ValueError, "W must have a zero diagonal, got 1"),
    (lambda: ebm.BoltzmannMachine(np.zeros((2, 2)), [1.0]), ValueError, r"b must have shape \(2\), got \(1,\)"),
    (lambda: ebm.BoltzmannMachine(np.zeros((2, 2)), domain="real"), ValueError,
     'domain must be "binary" or "spin", got'),
    (lambda: ebm.BoltzmannMachine(np.zeros((0, 0))), ValueError, "W must"),
    (lambda: ebm.Hopfield([[1, 0]]), ValueError, r"patterns must hold -1 and \+1 only"),
    (lambda: ebm.Hopfield(np.zeros((0, 4))), ValueError, r"patterns must not be empty, got shape \(0, 4\)"),
    (lambda: ebm.Gaussian([0, 0], [[1, 2], [2, 1]]), ValueError, "covariance must be positive definite, got .* -1"),
    (lambda: ebm.Gaussian([0, 0], [[1, 2], [0, 1]]), ValueError, "covariance must be symmetric"),
    (lambda: ebm.Gaussian([0, math.nan], np.eye(2)), ValueError, "mean must be finite, got nan"),
    (lambda: ebm.Gaussian([0, 0], np.eye(3)), ValueError, r"covariance must have shape \(2, 2\), got \(3, 3\)"),
    (lambda: ebm.Gaussian([], np.zeros((0, 0))), ValueError, "mean must"),
    (lambda: ebm.GaussianMixture([[0.0]], [[1.0]], [-1.0]), ValueError, "weights must be positive, got -1.0"),
    (lambda: ebm.GaussianMixture(np.zeros((0, 1)), [[1.0]]), ValueError, "means must"),
    (lambda: ebm.DoubleWell(0), ValueError, "dimension must be a positive integer, got 0"),
    (lambda: ebm.DoubleWell(barrier=-1.0), ValueError, "barrier must be a positive finite number, got -1.0"),
    (lambda: ebm.MullerBrown(0.0), ValueError, "scale must be a positive finite number, got 0.0"),
    (lambda: ebm.Rosenbrock(1), ValueError, "dimension must be at least 2, got 1"),
    (lambda: WELL(np.zeros((3, 1))), ValueError, r"x must have shape \(n, 2\), got \(3, 1\)"),
    (lambda: MAGNET(np.zeros((1, 2, 3))), ValueError, r"x must hold -1 and \+1 .*got 0"),
    (lambda: MAGNET.grad(np.ones((1, 2, 3))), TypeError, "Ising has no gradient .domain 'spin'"),
]  # fmt: skip


def _sparse(matrix: Any) -> Any:
    from scipy.sparse import csr_array

    return csr_array(np.array(matrix, float))


@pytest.mark.parametrize(("call", "error", "match"), ENERGIES, ids=[str(i) for i in range(len(ENERGIES))])
def test_an_energy_refuses_bad_parameters(call: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


# --- in the middle of a run -------------------------------------------------------------------------------------------


@njit
def _cliff(x, params):
    return 0.5 * x[0] * x[0] if x[0] < params[0] else np.nan


@njit
def _cliff_slope(x, params, out):
    out[0] = x[0] if x[0] < params[0] else np.nan


CLIFF = ebm.CompiledEnergy(_cliff, _cliff_slope, shape=(1,), params=(2.0,))
_ON_CLIFF = [samplers.Metropolis(), samplers.Metropolis("gaussian"), samplers.MALA(0.3), samplers.HMC(0.3, 3),
             samplers.Langevin(0.3)]  # fmt: skip


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("sampler", _ON_CLIFF, ids=str)
def test_an_energy_that_becomes_nan_is_told(sampler: samplers.Sampler, hidden: bool) -> None:
    # Options of the compiler that assume that there is no NaN would hide it.
    if not hidden and not isinstance(sampler, samplers.MALA | samplers.Metropolis):
        pytest.skip("compiles for seconds; MALA's loop decides in the same way")
    energy = ArrayTier(CLIFF) if hidden else CLIFF
    with pytest.raises(samplers.SamplingError, match=r"chain \d.*(draw|warm-up sweep) \d") as error:
        samplers.sample(energy, sampler, draws=20_000, init=np.zeros((4, 1)), seed=1, progress=False)
    assert "nan" in str(error.value).lower() or "diverged" in str(error.value)


def _site_of_nan(x: np.ndarray) -> np.ndarray:
    return np.where(x.sum(1) == 4, np.nan, 0.3 * x.sum(1))


class _Discrete:
    """An energy that is no number at one configuration."""

    shape, domain = (4,), "binary"

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return _site_of_nan(x)


@pytest.mark.parametrize("sampler", [samplers.Metropolis(), samplers.Gibbs()], ids=str)
def test_a_discrete_energy_that_becomes_nan_is_told(sampler: samplers.Sampler) -> None:
    begin = np.tile([1, 0, 0, 1], (4, 1))
    with pytest.raises(samplers.SamplingError, match=r"NaN .chain .*_Discrete must be a number wherever"):
        samplers.sample(_Discrete(), sampler, init=begin, seed=1, progress=False)


@pytest.mark.parametrize("sampler", [samplers.Langevin(2.5), samplers.UnderdampedLangevin(3.0)], ids=str)
def test_dynamics_with_too_long_a_step_diverge_aloud(sampler: samplers.Sampler, tmp_path: Path) -> None:
    well, store = ebm.Gaussian([0.0, 0.0], np.eye(2)), tmp_path / "run.h5"
    name = type(sampler).__name__
    with pytest.raises(samplers.SamplingError, match=rf"{name} diverged .chain \d, .*a smaller step_size is needed"):
        samplers.sample(well, sampler, draws=20_000, seed=1, store=store, progress=False)
    kept = samplers.load(store)  # what was drawn before stays, and is finite
    assert np.isfinite(np.asarray(kept.x)).all()


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("sampler", [samplers.HMC(0.3), samplers.HMC(3.0), samplers.MALA(5.0)], ids=str)
@pytest.mark.parametrize("energy", [ebm.Rosenbrock(3), ebm.MullerBrown(), ebm.DoubleWell(2)], ids=str)
def test_trajectories_that_blow_up_are_rejections(energy: Any, sampler: samplers.Sampler, hidden: bool) -> None:
    if not hidden and not isinstance(energy, ebm.DoubleWell):
        pytest.skip("compiles for seconds; the array tier runs the same code")
    target = ArrayTier(energy) if hidden else energy
    chains = samplers.sample(target, sampler, draws=50, warmup=100, seed=2, progress=False)
    assert np.isfinite(np.asarray(chains.x)).all()
    assert chains.acceptance[:, -1].mean() < 1.0


def test_steps_on_angles_never_outgrow_a_turn() -> None:
    # At a high temperature nearly every proposal is accepted, however long: the step must not grow without end.
    for sampler in (samplers.Metropolis(), samplers.Metropolis("gaussian"), samplers.MALA(), samplers.HMC(steps=3)):
        chains = samplers.sample(ROTORS, sampler, draws=200, warmup=3000, beta=1e-3, seed=1, progress=False)
        assert np.max(chains.attributes["step_size"]) < 2.0 * math.pi + 1e-9
        assert (np.abs(np.asarray(chains.x)) <= math.pi).all()


def test_a_score_is_sampled_without_an_energy(tmp_path: Path) -> None:
    for sampler in (samplers.Langevin(0.1), samplers.UnderdampedLangevin(0.2)):
        chains = samplers.sample(_Score(), sampler, draws=30, seed=1, progress=False)
        assert chains.energy is None and chains.x.shape == (4, 30, 2)
        stored = samplers.sample(
            _Score(), sampler, draws=30, seed=1, store=tmp_path / str(type(sampler)), progress=False
        )
        assert stored.energy is None and np.array_equal(stored.x, chains.x)
        assert np.array_equal(chains.x, samplers.sample(_Gaussian(), sampler, draws=30, seed=1, progress=False).x)


class _Gaussian(_Score):
    """The energy that belongs to the score."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return 0.5 * (x**2).sum(1)


def test_bad_input_leaves_no_file(tmp_path: Path) -> None:
    for changes in (
        {"beta": -1.0},
        {"init": np.zeros((1, 2))},
        {"observables": {"r": lambda x: x}},
        {"sampler": samplers.Gibbs()},
    ):
        with pytest.raises((ValueError, TypeError)):
            _sample(**{"store": tmp_path / "run.h5", **changes})
        assert list(tmp_path.iterdir()) == []
