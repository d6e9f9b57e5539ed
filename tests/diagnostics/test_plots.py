"""The pictures: labelled, showing the numbers they should, and drawn for broken chains too."""

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

from samplers.autocorrelation import integrated_autocorrelation_time
from samplers.plots import plot_autocorrelation, plot_energy, plot_overview, plot_rank, plot_trace
from samplers.rungs import Tempering
from samplers.tempering_plots import plot_tempering

Make = Callable[..., Any]
PLOTS = (plot_trace, plot_autocorrelation, plot_rank, plot_energy)


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    matplotlib.use("agg")
    yield
    pyplot.close("all")


@pytest.mark.parametrize("plot", PLOTS)
def test_axes_are_labelled_and_returned(make_chains: Make, plot: Callable[..., Any]) -> None:
    chains = make_chains(energy=np.random.default_rng(0).normal(size=(4, 300)), m=np.arange(1200.0).reshape(4, 300))
    axes = plot(chains)
    assert axes.get_xlabel() and axes.get_ylabel() and axes.get_title()
    assert "energy E" in axes.get_xlabel() + axes.get_ylabel()
    given = pyplot.figure().subplots()
    assert plot(chains, "m", given) is given
    assert "m" in f"{given.get_xlabel()} {given.get_ylabel()}".split()


@pytest.mark.parametrize("plot", PLOTS)
def test_an_unknown_variable_is_named(make_chains: Make, plot: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="got 'magnetisation'"):
        plot(make_chains(energy=np.zeros((2, 10))), "magnetisation")


def test_the_autocorrelation_shows_tau_and_its_window(ar1: Make, make_chains: Make) -> None:
    energy = ar1(0.8, (4, 2000), np.random.default_rng(0))
    tau = integrated_autocorrelation_time(energy)
    texts = [text.get_text() for text in plot_autocorrelation(make_chains(energy=energy)).get_legend().get_texts()]
    assert texts == [f"window {tau.window}", f"tau = {tau.tau:.3g} ± {tau.error:.2g}"]


@pytest.mark.parametrize("discrete", [False, True])
def test_ranks_count_every_draw_and_ties_draw_no_comb(make_chains: Make, discrete: bool) -> None:
    values = np.random.default_rng(0).normal(size=(4, 1000))
    axes = plot_rank(make_chains(energy=np.round(values) if discrete else values))
    steps = [patch.get_data().values for patch in axes.patches if hasattr(patch, "get_data")]
    assert len(steps) == 4
    for counts in steps:
        assert counts.sum() == pytest.approx(1000)
        assert counts.min() > 20 and counts.max() < 85  # 50 expected, standard deviation 7


def test_the_ranks_of_shifted_chains_pile_up_at_the_ends(make_chains: Make) -> None:
    values = np.random.default_rng(0).normal(size=(2, 1000)) + np.array([[0.0], [100.0]])
    low, high = [p.get_data().values for p in plot_rank(make_chains(energy=values)).patches if hasattr(p, "get_data")]
    np.testing.assert_allclose(low, [100.0] * 10 + [0.0] * 10)
    np.testing.assert_allclose(high, [0.0] * 10 + [100.0] * 10)


def test_the_histogram_of_a_lattice_energy_has_a_bin_for_each_level(make_chains: Make) -> None:
    energy = 4.0 * np.random.default_rng(0).integers(-5, 6, size=(2, 500))
    axes = plot_energy(make_chains(energy=energy))
    step = next(patch for patch in axes.patches if hasattr(patch, "get_data")).get_data()
    np.testing.assert_allclose(step.edges, np.arange(-22.0, 23.0, 4.0))
    assert np.sum(step.values * np.diff(step.edges)) == pytest.approx(1.0)


def test_a_long_trace_keeps_its_extremes_on_few_points(make_chains: Make) -> None:
    energy = np.random.default_rng(0).normal(size=(2, 50000))
    energy[1, 31234] = 40.0
    axes = plot_trace(make_chains(energy=energy))
    vertices = np.concatenate([path.vertices for band in axes.collections for path in band.get_paths()])
    assert vertices[:, 1].max() == 40.0
    assert len(vertices) < 10000


@pytest.mark.parametrize(
    "energy",
    [
        np.zeros((4, 100)),
        np.ones((1, 1)),
        np.tile([1.0, -1.0], (2, 50)),
        1e-20 * np.random.default_rng(0).normal(size=(2, 100)),
        1e12 + np.random.default_rng(0).normal(size=(20, 100)),
        np.random.default_rng(0).normal(size=(2, 50)).cumsum(axis=1),
    ],
)
def test_the_overview_draws_broken_chains_too(make_chains: Make, energy: np.ndarray) -> None:
    figure = plot_overview(make_chains(energy=energy))
    assert len(figure.axes) == 4
    figure.canvas.draw()


def test_without_energies_the_overview_takes_what_there_is(make_chains: Make) -> None:
    x = np.random.default_rng(0).normal(size=(2, 100, 3))
    assert "first coordinate of x" in plot_overview(make_chains(x=x)).get_suptitle()
    assert "m:" in plot_overview(make_chains(x=x, m=x[..., 0])).get_suptitle()


def _ladder(energies: np.ndarray) -> Tempering:
    """Two replicas that change places at every second draw, half of the swaps accepted."""
    chains, draws, rungs = energies.shape
    counts = np.tile(np.arange(1.0, draws + 1)[:, None], (chains, 1, rungs - 1))
    turns = (np.arange(draws) // 2) % 2
    replicas = np.tile(np.stack([turns, 1 - turns], axis=1), (chains, 1, 1)).astype(np.int16)
    return Tempering(
        {
            "betas": np.tile([0.5, 1.0], (chains, draws, 1)),
            "energies": energies,
            "replicas": replicas,
            "swaps_proposed": counts.astype(np.int64),
            "swaps_accepted": 0.5 * counts,
            "round_trips": np.tile(np.arange(draws) // 4, (chains, 1)),
        }
    )


def test_a_ladder_is_drawn_with_its_numbers(make_chains: Make) -> None:
    chains = make_chains(energy=np.zeros((3, 40)))
    chains.tempering = _ladder(np.random.default_rng(0).normal(size=(3, 40, 2)))
    swaps, barrier, replicas, energies = plot_tempering(chains).axes
    assert all(
        axes.get_xlabel() and axes.get_ylabel() and axes.get_title() for axes in (swaps, barrier, replicas, energies)
    )
    assert [bar.get_height() for bar in swaps.patches] == [0.5]
    assert barrier.lines[0].get_xydata().tolist() == [[0.5, 0.0], [1.0, 0.5]]
    first, second = (line.get_ydata().tolist() for line in replicas.lines)
    assert first[:5] == [0, 0, 1, 1, 0] and second[:5] == [1, 1, 0, 0, 1]
    for step in energies.patches:
        counts = step.get_data()
        assert np.sum(counts.values * np.diff(counts.edges)) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("energies", [np.zeros((1, 5, 2)), -4.0 * np.ones((2, 1, 2))])
def test_a_ladder_of_constant_energies_is_drawn_too(make_chains: Make, energies: np.ndarray) -> None:
    chains = make_chains(energy=np.zeros(energies.shape[:2]))
    chains.tempering = _ladder(energies)
    plot_tempering(chains).canvas.draw()


def test_chains_without_a_ladder_are_refused(make_chains: Make) -> None:
    with pytest.raises(ValueError, match=r"must come from ParallelTempering .*got tempering=None"):
        plot_tempering(make_chains(energy=np.zeros((3, 40))))
