"""Stationary points, Hessians and grids: against the Muller-Brown surface to 40 digits, closed forms and autograd."""

import itertools
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

import ebm
from ebm.landscape import derivatives, grid, minima, points_in, saddles, slice_through
from ebm.landscape.stationary import newton

BOX = [(-1.5, 1.2), (-0.2, 2.0)]
STARTS = np.stack(np.meshgrid(np.linspace(-1.3, 1.0, 6), np.linspace(-0.2, 1.8, 6)), -1).reshape(-1, 2)
PUBLISHED = (-146.700, -108.167, -80.768, -72.249, -40.665)  # minima, then saddles


def muller_brown_points() -> list[tuple[np.ndarray, float]]:
    """The five stationary points and their energies by Newton's method in 40 digits, from the published table."""
    table = ((-200, -1, 0, -10, 1, 0), (-100, -1, 0, -10, 0, 0.5), (-170, -6.5, 11, -6.5, -0.5, 1.5))
    table += ((15, 0.7, 0.6, 0.7, -1, 1),)
    mpmath.mp.dps = 40

    def terms(x: Any, y: Any) -> list[tuple[Any, ...]]:
        rows = [[mpmath.mpf(str(entry)) for entry in row] for row in table]
        return [
            (A * mpmath.exp(a * (x - p) ** 2 + b * (x - p) * (y - q) + c * (y - q) ** 2), a, b, c, x - p, y - q)
            for A, a, b, c, p, q in rows
        ]

    def slope(x: Any, y: Any) -> tuple[Any, Any]:
        rows = terms(x, y)
        along_x = sum(e * (2 * a * dx + b * dy) for e, a, b, c, dx, dy in rows)
        return along_x, sum(e * (b * dx + 2 * c * dy) for e, a, b, c, dx, dy in rows)

    found = []
    for start in ((-0.558, 1.442), (0.623, 0.028), (-0.05, 0.467), (0.212, 0.293), (-0.822, 0.624)):
        x, y = mpmath.findroot(slope, start, tol=1e-35)
        found.append((np.array([float(x), float(y)]), float(sum(row[0] for row in terms(x, y)))))
    return found


def test_muller_browns_five_stationary_points_are_exact() -> None:
    E, exact = ebm.MullerBrown(), muller_brown_points()
    assert [round(value, 3) for _, value in exact] == list(PUBLISHED)
    wells = minima(E, STARTS)
    tops = saddles(E, STARTS)
    assert (len(wells), len(tops)) == (3, 2)
    for found, (x, value) in zip(wells + tops, exact, strict=True):
        assert np.abs(found.x - x).max() < 1e-8
        assert abs(found.energy - value) < 1e-9
        assert found.gradient_norm < 1e-6 and found.error < 1e-8
    assert [p.index for p in wells + tops] == [0, 0, 0, 1, 1]


def test_an_energy_without_gradient_gives_the_same_points() -> None:
    class OnlyEnergy:
        shape, domain = (2,), "real"

        def __call__(self, x: np.ndarray) -> np.ndarray:
            return ebm.MullerBrown()(x)

    exact = muller_brown_points()
    found = minima(OnlyEnergy(), STARTS[::5], accuracy=1e-5) + saddles(OnlyEnergy(), np.array([[-0.8, 0.6]]))
    assert np.abs(found[0].x - exact[0][0]).max() < 1e-6
    assert np.abs(found[-1].x - exact[-1][0]).max() < 1e-6


def _coupled(x: Any, cosh: Any) -> Any:
    return cosh(x[..., 0] + 2.0 * x[..., 1]) + 0.5 * x[..., 1] ** 4 * x[..., 0] - x[..., 0] * x[..., 1]


def test_hessians_by_autograd_by_differences_and_by_hand_agree() -> None:
    class Differences:
        shape, domain = (2,), "real"

        def __call__(self, x: np.ndarray) -> np.ndarray:
            return _coupled(x, np.cosh)

        def grad(self, x: np.ndarray) -> np.ndarray:
            return torched.grad(x)

    torched = ebm.TorchEnergy(lambda x: _coupled(x, torch.cosh), shape=(2,))
    x, y = point = np.array([0.3, -0.7])
    c = np.cosh(x + 2 * y)
    by_hand = np.array([[c, 2 * c + 2 * y**3 - 1], [2 * c + 2 * y**3 - 1, 4 * c + 6 * y**2 * x]])
    np.testing.assert_allclose(derivatives.hessian(torched, point), by_hand, rtol=1e-13)
    np.testing.assert_allclose(derivatives.hessian(Differences(), point), by_hand, rtol=1e-9)
    v = np.array([0.5, 2.0])
    for energy in (torched, Differences()):
        np.testing.assert_allclose(derivatives.hessian_vector(energy, point, v), by_hand @ v, rtol=1e-9)
    assert (derivatives.hessian_vector(Differences(), point, 0.0 * v) == 0.0).all()


def test_gradients_by_differences_match_the_energys_own() -> None:
    class OnlyEnergy:
        shape, domain = (3,), "real"

        def __call__(self, x: np.ndarray) -> np.ndarray:
            return valley(x)

    valley, x = ebm.Rosenbrock(3), np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(derivatives.gradients(OnlyEnergy(), x), valley.grad(x), rtol=1e-7, atol=1e-6)


def test_minima_of_angles_are_found_once_round_the_circle() -> None:
    ring = ebm.TorchEnergy(lambda x: -torch.cos(x[:, 0] - 3.1) - 0.5 * torch.cos(x[:, 1]), shape=(2,), domain="angle")
    starts = np.array([[3.0, 0.1], [-3.0, -0.2], [-2.9, 0.4]])
    (found,) = minima(ring, starts)
    np.testing.assert_allclose(found.x, [3.1, 0.0], atol=1e-9)
    top = saddles(ring, np.array([[0.3, 0.4], [3.0, 3.0]]))
    assert len(top) == 2 and [p.energy for p in top] == pytest.approx([-0.5, 0.5])


def test_a_valley_of_zero_modes_has_index_zero_and_small_error() -> None:
    hat = ebm.TorchEnergy(lambda x: (x.square().sum(1) - 1.0) ** 2, shape=(2,))
    for found in minima(hat, np.array([[0.5, 0.2], [-0.3, 1.9]])):
        assert found.index == 0 and np.linalg.norm(found.x) == pytest.approx(1.0, abs=1e-6)
        assert found.eigenvalues == pytest.approx([0.0, 8.0], abs=1e-4)


def test_a_saddle_of_second_order_is_not_taken_for_one_of_first() -> None:
    hill = ebm.TorchEnergy(lambda x: (x.square() - 1.0).square().sum(1), shape=(2,))
    found = saddles(hill, points_in([(-1.2, 1.2)] * 2, 30, seed=1))
    assert all(p.index == 1 and p.energy == pytest.approx(1.0) for p in found)
    assert len(found) == 4
    top = newton(hill, np.array([0.01, -0.01]))
    assert top is not None and top.index == 2


def test_starts_that_run_away_give_no_saddle_and_no_warning() -> None:
    E = ebm.MullerBrown()
    (found,) = saddles(E, np.array([[25.0, 25.0], [-0.8, 0.6]]))
    assert found.energy == pytest.approx(PUBLISHED[-1], abs=1e-3)


def test_starts_that_find_no_minimum_are_told() -> None:
    slope = ebm.TorchEnergy(lambda x: torch.where(x[:, 0] > 0, -(x[:, 0] ** 2), x[:, 0] ** 2 + 2 * x[:, 0]), shape=(1,))
    with pytest.warns(RuntimeWarning, match=r"1 of 2 starts found no minimum"):
        found = minima(slope, np.array([[-0.5], [1.0]]))
    assert [p.x.tolist() for p in found] == [[-1.0]]


@pytest.mark.parametrize("find", [minima, saddles])
def test_wrong_arguments_of_searches_are_named(find: Any) -> None:
    E = ebm.MullerBrown()
    with pytest.raises(ValueError, match=r"starts must have shape \(n, 2\), got \(4,\)"):
        find(E, np.zeros(4))
    with pytest.raises(ValueError, match="starts must be finite, got nan"):
        find(E, np.full((1, 2), np.nan))
    with pytest.raises(ValueError, match="starts must hold at least one configuration, got 0"):
        find(E, np.empty((0, 2)))
    with pytest.raises(ValueError, match=r"accuracy must be positive, got -1"):
        find(E, np.zeros((1, 2)), accuracy=-1)
    with pytest.raises(TypeError, match=r"needs an energy of domain .* got Ising of domain 'spin'"):
        find(ebm.Ising((4,)), np.ones((1, 4)))


def test_a_grid_holds_the_energy_of_its_points() -> None:
    E = ebm.MullerBrown()
    surface = grid(E, BOX, n=(5, 4))
    for i, j in itertools.product(range(5), range(4)):
        assert surface.energies[i, j] == E(np.array([[surface.axes[0][i], surface.axes[1][j]]]))[0]
    np.testing.assert_array_equal(E(surface.points).reshape(5, 4), surface.energies)
    line = grid(ebm.DoubleWell(), [(-1, 1)], n=3)
    assert line.energies.tolist() == [0.0, 1.0, 0.0]


def test_a_slice_is_the_energy_along_its_directions() -> None:
    rng = np.random.default_rng(0)
    mean, point, v = rng.normal(size=6), rng.normal(size=6), rng.normal(size=(2, 6))
    E = ebm.Gaussian(mean, np.diag(rng.uniform(0.5, 2.0, 6)))
    found = slice_through(E, point, v, reach=[(-1, 1), (0, 2)], n=(3, 4))
    for (i, a), (j, b) in itertools.product(enumerate(found.axes[0]), enumerate(found.axes[1])):
        assert found.energies[i, j] == pytest.approx(E((point + a * v[0] + b * v[1])[None])[0])
    assert found.names == ("a", "b")
    with pytest.raises(ValueError, match="directions must be independent and not zero"):
        slice_through(E, point, np.stack([v[0], -2.0 * v[0]]))
    with pytest.raises(ValueError, match=r"directions must have shape \(1 or 2, \*\(6,\)\), got \(6,\)"):
        slice_through(E, point, v[0])
    with pytest.raises(ValueError, match=r"point must be one configuration of shape \(6,\), got \(2,\)"):
        slice_through(E, point[:2], v)


def test_a_nan_on_a_grid_is_an_error() -> None:
    E = ebm.TorchEnergy(lambda x: torch.log(x[:, 0]), shape=(1,))
    with pytest.raises(ValueError, match=r"energy must be a number everywhere, got nan at x = \[-1.\]"):
        grid(E, [(-1, 1)], n=4)
