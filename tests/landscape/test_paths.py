"""Paths, basins and trees: against exact stationary points, symmetry, an ODE solver, and flooding by hand."""

import warnings

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import ebm
from ebm import exact
from ebm.landscape import (
    basins,
    disconnectivity_graph,
    flood,
    minima,
    minimum_energy_path,
    saddles,
)

BOX = [(-1.5, 1.2), (-0.2, 2.0)]
STARTS = np.array([[-0.5, 1.4], [0.6, 0.0], [-0.05, 0.45]])
TOPS = np.array([[-0.8, 0.6], [0.2, 0.3]])


def test_the_path_of_muller_brown_passes_both_saddles_and_the_middle_well() -> None:
    E = ebm.MullerBrown()
    wells, tops = minima(E, STARTS), saddles(E, TOPS)
    path = minimum_energy_path(E, wells[0].x[None] * [[1.0], [0.0]] + wells[1].x[None] * [[0.0], [1.0]])
    assert [s.energy for s in path.saddles] == pytest.approx([tops[1].energy, tops[0].energy], abs=1e-9)
    assert [w.energy for w in path.minima] == pytest.approx([wells[k].energy for k in (0, 2, 1)], abs=1e-9)
    assert path.barrier == pytest.approx(tops[1].energy - wells[0].energy, abs=1e-9)
    assert path.barrier_back == pytest.approx(tops[1].energy - wells[1].energy, abs=1e-9)
    assert path.energies.max() == pytest.approx(tops[1].energy, abs=1e-9)
    assert path.across < 0.005
    # It follows the valley: steepest descent from beside the saddles keeps to the images.
    for saddle in path.saddles:
        for side in (-1, 1):
            start = saddle.x + side * 1e-3 * saddle.modes[0]
            down = solve_ivp(lambda t, x: -E.grad(x[None])[0], (0.0, 0.05), start, method="LSODA", rtol=1e-9)
            for x in down.y.T[:: max(1, len(down.t) // 20)]:
                assert _distance_to(path.images, x) < 2e-3


def _distance_to(images: np.ndarray, x: np.ndarray) -> float:
    """Distance of a point from a polyline."""
    a, b = images[:-1], images[1:]
    t = np.clip(np.sum((x - a) * (b - a), 1) / np.sum((b - a) ** 2, 1), 0.0, 1.0)
    return float(np.linalg.norm(a + t[:, None] * (b - a) - x, axis=1).min())


def test_a_path_in_many_dimensions_has_the_barrier_of_the_double_well() -> None:
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    well = ebm.DoubleWell(6, barrier=3.0, stiffness=4.0)

    class Rotated:
        shape, domain = (6,), "real"

        def __call__(self, x: np.ndarray) -> np.ndarray:
            return well(x @ rotation)

        def grad(self, x: np.ndarray) -> np.ndarray:
            return well.grad(x @ rotation) @ rotation.T

    ends = np.array([[-1.0, *[0.3] * 5], [1.2, *[-0.2] * 5]])
    bent = np.insert(ends, 1, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0], axis=0)
    path = minimum_energy_path(Rotated(), bent @ rotation.T, images=21)
    assert path.barrier == pytest.approx(3.0, abs=1e-10)
    assert path.arc[-1] == pytest.approx(2.0, abs=1e-4)


def test_wrong_arguments_of_paths_are_named() -> None:
    well = ebm.DoubleWell()
    with pytest.raises(ValueError, match=r"points must lead down to two minima, got both ends at"):
        minimum_energy_path(well, np.array([[0.5], [1.5]]))
    with pytest.raises(ValueError, match="images must be at least 5, got 3"):
        minimum_energy_path(well, np.array([[-1.0], [1.5]]), images=3)
    with pytest.raises(ValueError, match="points must hold at least 2 configurations, got 1"):
        minimum_energy_path(well, np.array([[-1.0]]))
    with pytest.warns(RuntimeWarning) as told:
        minimum_energy_path(ebm.MullerBrown(), STARTS[:2], most_steps=1, images=31)
    texts = " ".join(str(warning.message) for warning in told)
    assert "the path is not at rest after 1 steps" in texts and "no saddle was found beside image" in texts


def test_basins_are_where_the_flow_goes() -> None:
    E = ebm.MullerBrown()
    wells = minima(E, STARTS)
    found = basins(E, BOX, wells, n=(14, 13))
    assert set(np.unique(found.labels)) == {0, 1, 2}

    def flow(t: float, x: np.ndarray) -> np.ndarray:
        return -E.grad(x[None])[0]

    for label, x in zip(found.labels.ravel()[::3], found.surface.points[::3], strict=True):
        end = solve_ivp(flow, (0.0, 1.0), x, method="LSODA", rtol=1e-8, atol=1e-10).y[:, -1]
        assert label == np.argmin([np.linalg.norm(end - well.x) for well in wells])


def test_points_that_lead_to_an_unlisted_minimum_are_told() -> None:
    well = ebm.DoubleWell(dimension=2)
    left = minima(well, np.array([[-0.9, 0.0]]))
    with pytest.warns(RuntimeWarning, match=r"8 of 16 points lead to none of the 1 minima"):
        found = basins(well, [(-1.5, 1.5), (-1.0, 1.0)], left, n=4)
    assert found.labels.tolist() == [[0] * 4] * 2 + [[-1] * 4] * 2


def test_the_tree_of_muller_brown_joins_the_nearer_wells_first() -> None:
    E = ebm.MullerBrown()
    wells, tops = minima(E, STARTS), saddles(E, TOPS)
    tree = disconnectivity_graph(E, wells, tops)
    assert tree.leaves == 3 and tree.parents.tolist() == [4, 3, 3, 4, -1]
    assert tree.heights.tolist() == [p.energy for p in wells] + [p.energy for p in tops]
    assert tree.height_between(1, 2) == tops[0].energy
    assert tree.barrier(0, 1) == pytest.approx(tops[1].energy - wells[0].energy)
    alone = disconnectivity_graph(E, wells, tops[:1])
    assert alone.height_between(0, 1) == np.inf and alone.barrier(1, 2) < np.inf
    with pytest.raises(ValueError, match=r"saddles must be of first order .* got index 0"):
        disconnectivity_graph(E, wells, wells)


def _lowest_pass(e: np.ndarray, sites: int, a: int, b: int) -> float:
    """The lowest energy below which a and b are connected by flips of one bit, by search at every level."""
    for level in np.unique(e):
        seen, waiting = {a}, [a]
        while waiting:
            x = waiting.pop()
            for y in (x ^ (1 << k) for k in range(sites)):
                if y not in seen and e[y] <= level:
                    seen.add(y)
                    waiting.append(y)
        if e[a] <= level and b in seen and e[b] <= level:
            return float(level)
    raise AssertionError


@pytest.mark.parametrize("discrete", [True, False])
def test_flooding_finds_all_minima_and_the_lowest_passes(discrete: bool) -> None:
    rng, sites = np.random.default_rng(3), 6
    upper = np.triu(rng.choice([-1.0, 1.0], (sites, sites)) if discrete else rng.normal(size=(sites, sites)), 1)
    glass = ebm.BoltzmannMachine(upper + upper.T, domain="spin")
    e = np.concatenate([glass(x) for x in exact.states((sites,), "spin")]).round(9)
    tree = flood(glass)
    index = exact.state_index(tree.x, "spin")
    np.testing.assert_allclose(e[index], tree.heights[: tree.leaves], atol=1e-9)
    for i in range(tree.leaves):
        for j in range(i):
            assert tree.height_between(i, j) == pytest.approx(_lowest_pass(e, sites, index[i], index[j]), abs=1e-9)
    # Every configuration without a lower neighbour within its plateau belongs to a leaf: the leaves count them.
    plateaus = _bottoms(e, sites)
    assert sorted(len(p) for p in plateaus) == sorted(tree.sizes.tolist())


def _bottoms(e: np.ndarray, sites: int) -> list[set[int]]:
    """Connected sets of equal energy none of whose neighbours is lower."""
    left, bottoms = set(range(len(e))), []
    while left:
        plateau = {left.pop()}
        waiting, is_bottom = list(plateau), True
        while waiting:
            x = waiting.pop()
            for y in (x ^ (1 << k) for k in range(sites)):
                is_bottom &= bool(e[y] >= e[x])
                if e[y] == e[x] and y not in plateau:
                    plateau.add(y)
                    waiting.append(y)
        left -= plateau
        if is_bottom:
            bottoms.append(plateau)
    return bottoms


def test_the_ising_magnet_of_side_four_has_the_barrier_of_its_domain_walls() -> None:
    tree = flood(ebm.Ising((4, 4)))
    # All down, all up, and eight stripes of two rows or columns, whose spins have three equal neighbours of four.
    assert sorted(tree.heights[: tree.leaves]) == [-32.0, -32.0] + [-16.0] * 8
    assert tree.sizes.tolist() == [1] * 10
    # From a stripe a spin beside the wall costs 4; as much is the highest on the way from all down to a stripe.
    low = np.flatnonzero(tree.heights[: tree.leaves] == -32.0)
    assert tree.barrier(*low) == 20.0 and set(tree.heights[tree.leaves :]) == {-12.0}


def test_flooding_other_domains_and_wrong_ones() -> None:
    potts = flood(ebm.Potts((2, 2), n_states=3))
    assert potts.leaves == 3 and len(set(potts.heights[:3])) == 1
    with pytest.raises(TypeError, match=r"flood needs a discrete energy, got MullerBrown of domain 'real'"):
        flood(ebm.MullerBrown())
    with pytest.raises(ValueError, match=r"at most 262144 configurations can be enumerated, got 2\^25"):
        flood(ebm.Ising((5, 5)))


def test_no_warning_where_all_is_well() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        minimum_energy_path(ebm.MullerBrown(), STARTS[:2])
