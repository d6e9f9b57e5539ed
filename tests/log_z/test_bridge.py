"""The straight path: its ends, its slope and its gradient, in both tiers, also where one end is infinite."""

import numpy as np
import pytest
from laws import ArrayTier

import ebm
from ebm.bridge import Bridge, base_of, default_sampler
from samplers import HMC, Metropolis

BASE = ebm.Gaussian([0.2, -0.1], [[1.4, 0.3], [0.3, 0.8]])
END = ebm.MullerBrown(0.05)
BRIDGES = {"compiled": Bridge(BASE, END, 0.7), "array": Bridge(BASE, ArrayTier(END), 0.7)}
X = np.random.default_rng(1).normal(size=(5, 2))


@pytest.mark.parametrize("tier", BRIDGES)
def test_the_path_is_straight_between_its_ends(tier):
    bridge = BRIDGES[tier]
    first, second = BASE(X), END.reduced(X, 0.7)
    for t in (0.0, 0.3, 1.0):
        assert bridge.reduced(X, 1.0 + t) == pytest.approx((1 - t) * first + t * second)
        step = 1e-6
        for axis in range(2):
            shift = step * np.eye(2)[axis]
            slope = (bridge.reduced(X + shift, 1.0 + t) - bridge.reduced(X - shift, 1.0 + t)) / (2 * step)
            assert bridge.reduced_grad(X, 1.0 + t)[:, axis] == pytest.approx(slope, rel=1e-5, abs=1e-7)
    times = np.array([[1.0, 1.5], [1.2, 2.0], [1.3, 1.4], [2.0, 1.0], [1.1, 1.9]])
    need = (2 - times) * first[:, None] + (times - 1) * second[:, None]
    assert bridge.reduced_at(X, times) == pytest.approx(need)


@pytest.mark.parametrize("tier", BRIDGES)
def test_an_end_that_is_not_there_may_be_infinite(tier):
    bridge, far = BRIDGES[tier], np.array([[40.0, 40.0]])
    with np.errstate(over="ignore"):
        assert bridge.reduced(far, 1.0) == pytest.approx(BASE(far))
        assert bridge.reduced_grad(far, 1.0) == pytest.approx(BASE.grad(far))
        assert bridge.reduced(far, 1.001)[0] == np.inf


def test_a_base_is_fitted_to_draws():
    target = ArrayTier(ebm.Gaussian([3.0, -1.0], [[0.5, 0.2], [0.2, 2.0]]))
    base = base_of(target, 2.0, None, HMC(), 3)
    assert base.mean == pytest.approx([3.0, -1.0], abs=0.3)
    assert np.diag(base.covariance) == pytest.approx([0.5 * 0.75, 2.0 * 0.75], rel=0.4)  # a half wider, at beta = 2


def test_energies_without_a_gradient_walk_at_random():
    energy = ebm.CompiledEnergy(energy=lambda x, p: 0.5 * x[0] * x[0], shape=(1,))
    assert isinstance(default_sampler(energy), Metropolis)
    assert isinstance(default_sampler(BASE), HMC)
