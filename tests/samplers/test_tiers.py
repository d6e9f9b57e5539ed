"""The compiled tier and the array tier are one sampler: the same seed gives the same trajectory in both."""

import numpy as np
import pytest
from laws import DISCRETE, DISCRETE_SAMPLERS, PLANES, ArrayTier, fits

import ebm
import samplers

SAMPLED = ["ising 2x3 in a field", "ising on a graph", "potts 3", "potts 4 with random bonds", "curie-weiss",
           "boltzmann machine, binary", "boltzmann machine, spin", "sum", "scaled", "rbm",
           "rbm wavefunction", "rbm wavefunction, saturated", "rbm wavefunction, beyond exponentials"]  # fmt: skip
# A layered machine is drawn layer by layer where its own class is known.
PAIRS = [(e, s) for e in SAMPLED for s in DISCRETE_SAMPLERS if fits(DISCRETE_SAMPLERS[s], DISCRETE[e])]
PAIRS.remove(("rbm", "gibbs"))
CONTINUOUS = {
    "metropolis": samplers.Metropolis(),
    "gaussian": samplers.Metropolis("gaussian"),
    "langevin": samplers.Langevin(0.05),
    "underdamped": samplers.UnderdampedLangevin(0.2),
    "mala": samplers.MALA(),
    "hmc": samplers.HMC(steps=3),
}


def _both(energy: object, sampler: samplers.Sampler, **settings: object) -> tuple[samplers.Chains, samplers.Chains]:
    run = {"chains": 5, "draws": 15, "warmup": 40, "thin": 2, "beta": 0.7, "seed": 11, "progress": False, **settings}
    return samplers.sample(energy, sampler, **run), samplers.sample(ArrayTier(energy), sampler, **run)


@pytest.mark.parametrize(("name", "by"), PAIRS)
def test_discrete_trajectories_are_equal(name: str, by: str) -> None:
    compiled, array = _both(DISCRETE[name], DISCRETE_SAMPLERS[by])
    assert np.array_equal(compiled.x, array.x)
    np.testing.assert_allclose(compiled.acceptance, array.acceptance, rtol=0, atol=1e-15)
    assert len(np.unique(np.asarray(compiled.x).reshape(75, -1), axis=0)) > 3


@pytest.mark.parametrize("name", ["double well", "xy ring", pytest.param("network", marks=pytest.mark.slow)])
@pytest.mark.parametrize("by", CONTINUOUS)
def test_continuous_trajectories_are_equal_but_for_rounding(name: str, by: str) -> None:
    # Torch rounds differently, as processors do; HMC multiplies a rounding by about 1.5 each sweep.
    short = {"warmup": 5, "draws": 8} if name == "network" or by == "hmc" else {}
    compiled, array = _both(PLANES[name].energy, CONTINUOUS[by], **short)
    np.testing.assert_allclose(compiled.x, array.x, rtol=0, atol=1e-8)
    np.testing.assert_allclose(compiled.acceptance, array.acceptance, rtol=0, atol=1e-8)
    if "step_size" in compiled.attributes:
        np.testing.assert_allclose(compiled.attributes["step_size"], array.attributes["step_size"], rtol=1e-8)
    assert np.asarray(compiled.x).std() > 0.1


def test_single_moves_use_a_local_change_of_a_real_energy() -> None:
    compiled, array = _both(PLANES["gaussian"].energy, samplers.Metropolis())
    np.testing.assert_allclose(compiled.x, array.x, rtol=0, atol=1e-8)


class _Shifting:
    """A user's plain class: the double well in numpy, by the protocol alone."""

    shape, domain = (2,), "real"

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (x[:, 0] ** 2 - 1.0) ** 2 + 0.5 * x[:, 1] ** 2

    def grad(self, x: np.ndarray) -> np.ndarray:
        return np.stack([4.0 * x[:, 0] * (x[:, 0] ** 2 - 1.0), x[:, 1]], axis=1)


@pytest.mark.parametrize("by", CONTINUOUS)
def test_a_plain_class_is_sampled_as_the_built_in_energy(by: str) -> None:
    # Short: both round differently, and the warm-up of HMC, mass and all, drives such trajectories apart.
    run = {"chains": 3, "draws": 10, "warmup": 10, "beta": 1.3, "seed": 2, "progress": False}
    ours = samplers.sample(ebm.DoubleWell(2), CONTINUOUS[by], **run)
    theirs = samplers.sample(_Shifting(), CONTINUOUS[by], **run)
    np.testing.assert_allclose(ours.x, theirs.x, rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours.energy, theirs.energy, rtol=0, atol=1e-8)
