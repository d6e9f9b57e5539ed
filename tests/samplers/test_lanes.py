"""Eight chains at once: the arithmetic of one chain in every lane, and no lane that knows of its neighbours."""

import math
from typing import Any

import numpy as np
import pytest
from laws import ArrayTier
from numba import njit

import ebm
import samplers
from samplers.inner import OPTIONS
from samplers.lanes import as_lanes, lane_array
from samplers.tags import tag

_RNG = np.random.default_rng(8)
_SPREAD = _RNG.normal(size=(13, 40))
# Six, eight and thirteen coordinates: below, at and above where columns are taken four at a time, with a rest of one.
GAUSSIANS = {n: ebm.Gaussian(_RNG.normal(size=n), _SPREAD[:n] @ _SPREAD[:n].T / 40) for n in (6, 8, 13)}
SAMPLERS = {
    "langevin": samplers.Langevin(0.02),
    "underdamped": samplers.UnderdampedLangevin(0.1),
    "mala": samplers.MALA(0.1),
    "hmc": samplers.HMC(0.1, steps=3),
}
RUN = {"draws": 6, "warmup": 30, "thin": 2, "beta": 0.7, "seed": 11, "progress": False}


@njit(**OPTIONS)
def _arithmetic(a, b, number, out):
    x, y, result = as_lanes(a), as_lanes(b), as_lanes(out)
    for i in range(x.shape[0]):
        result[i] = (x[i] + number) / y[i] - (number - -x[i]) * (y[i] / number)
        result[i] += x[i] * 2.0
        result[i] -= 1.0 + y[i]


def test_lanes_do_arithmetic_with_each_other_and_with_numbers() -> None:
    a, b, out = lane_array((3, 5))
    assert all(array.ctypes.data % 64 == 0 for array in (a, b, out))
    a[:], b[:] = _RNG.normal(size=(2, 5, 8))
    _arithmetic(a, b, 3.0, out)
    np.testing.assert_allclose(out, (a + 3.0) / b - (3.0 + a) * (b / 3.0) + 2.0 * a - 1.0 - b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", GAUSSIANS)
def test_products_with_a_precision_are_those_of_numpy(n: int) -> None:
    gaussian = GAUSSIANS[n]
    x = _RNG.normal(size=(5, n))
    gradient = (x - gaussian.mean) @ gaussian.precision
    np.testing.assert_allclose(gaussian.grad(x), gradient, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gaussian(x), 0.5 * (gradient * (x - gaussian.mean)).sum(1), rtol=1e-12)


@pytest.mark.parametrize("n", [6, 13])
def test_energy_and_gradient_from_one_pass_in_lanes_lead_mala_as_the_array_tier_does(n: int) -> None:
    ours, plain = (
        samplers.sample(e, samplers.MALA(), chains=5, **RUN) for e in (GAUSSIANS[n], ArrayTier(GAUSSIANS[n]))
    )
    np.testing.assert_allclose(ours.x, plain.x, rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours.acceptance, plain.acceptance, rtol=0, atol=1e-8)


@pytest.mark.parametrize("by", SAMPLERS)
def test_a_chain_has_the_same_bits_whichever_chains_stand_beside_it(by: str) -> None:
    energy, begin = ebm.DoubleWell(2), _RNG.normal(size=(19, 2))
    many = samplers.sample(energy, SAMPLERS[by], chains=19, init=begin, **RUN)
    few = samplers.sample(energy, SAMPLERS[by], chains=3, init=begin[:3], **RUN)
    assert np.array_equal(many.x[:3], few.x) and np.array_equal(many.acceptance[:3], few.acceptance)
    threads = samplers.get_threads()
    try:
        for count in (1, 2, 3):  # other chains beside each, and other rests
            samplers.set_threads(count)
            assert np.array_equal(samplers.sample(energy, SAMPLERS[by], chains=19, init=begin, **RUN).x, many.x)
    finally:
        samplers.set_threads(threads)


class _OneByOne:
    """A compiled energy whose chains run one after the other: the slow twin of the loops over lanes."""

    def __init__(self, energy: Any) -> None:
        self.energy, self.shape, self.domain = energy, energy.shape, energy.domain
        self.grad, self.compiled = energy.grad, energy.compiled._replace(lanes=False)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.energy(x)


@pytest.mark.parametrize("by", SAMPLERS)
def test_lanes_are_chains_one_by_one(by: str) -> None:
    energy = ebm.DoubleWell(3)  # three: the last normal of a step has no partner
    summing = by in ("mala", "hmc")  # sums over coordinates, in an order that is the processor's
    run = {**RUN, "warmup": 5} if summing else RUN  # few sweeps: the ridge between wells doubles a rounding each time
    wide, plain = (samplers.sample(e, SAMPLERS[by], chains=11, **run) for e in (energy, _OneByOne(energy)))
    for own, twin in ((wide.x, plain.x), (wide.acceptance, plain.acceptance)):
        if summing:
            np.testing.assert_allclose(own, twin, rtol=0, atol=1e-9)
        else:
            assert np.array_equal(own, twin)


@pytest.mark.parametrize("by", ["mala", "hmc"])
def test_a_chain_that_blows_up_rejects_and_leaves_its_neighbours_alone(by: str) -> None:
    energy, begin = ebm.DoubleWell(2), _RNG.normal(size=(9, 2))
    run = {**RUN, "warmup": 0}
    good = samplers.sample(energy, SAMPLERS[by], chains=9, init=begin, **run)
    begin[4, 0] = 1e70  # its energy is 1e280, its gradient 1e210: the proposal is out of reach
    bad = samplers.sample(energy, SAMPLERS[by], chains=9, init=begin, **run)
    others = [0, 1, 2, 3, 5, 6, 7, 8]
    assert np.array_equal(bad.x[others], good.x[others])
    assert (bad.x[4] == begin[4]).all() and (bad.acceptance[4] == 0.0).all()


def test_a_diverging_chain_is_named() -> None:
    begin = np.zeros((9, 2))
    begin[4, 0] = 1e20
    with pytest.raises(samplers.SamplingError, match=r"Langevin diverged \(chain 4"):
        samplers.sample(
            ebm.DoubleWell(2), samplers.Langevin(0.1), chains=9, init=begin, **{**RUN, "warmup": 0, "thin": 6}
        )


def test_sums_and_multiples_take_lanes_only_if_all_their_parts_do() -> None:
    well, curved = ebm.DoubleWell(2), ebm.MullerBrown()
    assert (well + 0.5 * ebm.Rosenbrock()).compiled.lanes
    assert not (well + curved).compiled.lanes and not (0.5 * curved).compiled.lanes
    assert math.isfinite(
        samplers.sample(well + 0.5 * ebm.Rosenbrock(), samplers.MALA(0.01), chains=2, **RUN).energy[0, 0]
    )


@pytest.mark.parametrize("by", SAMPLERS)
def test_loops_over_lanes_are_kept_on_disk(by: str) -> None:
    for energy in (GAUSSIANS[6], ebm.DoubleWell(2), ebm.Rosenbrock(), ebm.DoubleWell(2) + 0.5 * ebm.Rosenbrock()):
        assert tag(energy.compiled, SAMPLERS[by].kernel.sweep).cacheable
