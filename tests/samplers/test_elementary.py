"""Elementary functions of numbers and lanes: right to the last digits, and the same bits for one chain as for eight."""

import numpy as np
import pytest
from numba import njit

from samplers.elementary import circle, exp, log
from samplers.inner import OPTIONS
from samplers.lanes import as_lanes, ceil, every, fma, is_finite, lane_array, sqrt, where
from samplers.langevin import wrap_angle

_RNG = np.random.default_rng(21)
EPSILON = 2.0**-53


@njit(**OPTIONS)
def _all(x, out):
    """exp of -600 x to 600 x, log of |x|, both sides of the circle, an angle, in the rows of out (6, n)."""
    for i in range(x.shape[0]):
        out[0, i] = exp(600.0 * x[i])
        out[1, i] = log(where(x[i] < 0.0, -x[i], x[i]))
        out[2, i], out[3, i] = circle(x[i])
        out[4, i] = wrap_angle(40.0 * x[i])
        out[5, i] = where(is_finite(1.0 / (x[i] - x[0])), ceil(7.5 * x[i]), fma(x[i], x[i], sqrt(2.0 + x[i])))


@njit(**OPTIONS)
def _all_wide(x, out):
    _all(as_lanes(x), as_lanes(out))


@njit(**OPTIONS)
def _exps(x, out):
    for i in range(x.shape[0]):
        out[i] = exp(x[i])


@njit(**OPTIONS)
def _logs(x, out):
    for i in range(x.shape[0]):
        out[i] = log(x[i])


@njit(**OPTIONS)
def _finite(x):
    return every(is_finite(as_lanes(x)[0]))


def _values(function: object, x: np.ndarray) -> np.ndarray:
    out = np.empty_like(x)
    function(x, out)  # type: ignore[operator]
    return out


def _relative(value: np.ndarray, exact: np.ndarray) -> float:
    return float(np.max(np.abs(value / exact - 1)))


def test_exponentials_are_right_over_their_whole_range() -> None:
    x = np.r_[_RNG.uniform(-708.0, 709.0, 200_000), _RNG.uniform(-1.0, 1.0, 200_000), _RNG.normal(size=1000) * 1e-9]
    assert _relative(_values(_exps, x), np.exp(x.astype(np.longdouble))) < 4 * EPSILON
    special = np.array([0.0, -0.0, -708.1, -1e4, -1e300, -np.inf, np.nan])
    np.testing.assert_array_equal(_values(_exps, special), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, np.nan])


def test_logarithms_are_right_near_one_and_far_from_it() -> None:
    near = np.r_[1.0 - np.arange(1, 1000) * EPSILON, 1.0 + np.arange(1, 1000) * 2 * EPSILON]
    x = np.r_[near, _RNG.uniform(0.4, 2.5, 200_000), np.exp(_RNG.uniform(-700.0, 700.0, 200_000))]
    assert _relative(_values(_logs, x), np.log(x.astype(np.longdouble))) < 4 * EPSILON
    assert _values(_logs, np.array([1.0]))[0] == 0.0


def test_points_of_the_circle_are_right() -> None:
    v = np.r_[np.linspace(-1.0, 1.0, 100_001), _RNG.uniform(-1, 1, 100_000), 1.0 - np.arange(1, 500) * EPSILON]
    out = np.empty((6, len(v)))
    _all(v, out)
    turn = v.astype(np.longdouble) * np.arccos(np.longdouble(0.0))
    inside = np.abs(v) < 1.0
    # numpy's own angle is rounded: near the poles its cosine is that of the angle left over.
    left = (1 - np.abs(v[inside].astype(np.longdouble))) * np.arccos(np.longdouble(0.0))
    assert _relative(out[2][inside], np.sin(left)) < 6 * EPSILON
    assert np.abs(out[2] ** 2 + out[3] ** 2 - 1.0).max() < 8 * EPSILON
    moving = v != 0.0
    assert _relative(out[3][moving], np.sin(turn[moving])) < 6 * EPSILON
    assert out[2][0] == 0.0 and (out[3][v == 0.0] == 0.0).all()


def test_eight_chains_have_the_bits_of_one() -> None:
    wide, out = lane_array((501,)), lane_array((6, 501))
    wide[:] = _RNG.uniform(-1.0, 1.0, wide.shape)
    _all_wide(wide, out)
    for lane in range(8):
        one = np.empty((6, 501))
        _all(np.ascontiguousarray(wide[:, lane]), one)
        assert np.array_equal(one, out[..., lane])


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan])
def test_one_lane_that_is_not_finite_is_seen(wrong: float) -> None:
    x = lane_array((1,))
    assert _finite(x)
    for lane in range(8):
        x[:] = 1e308
        x[0, lane] = wrong
        assert not _finite(x)
