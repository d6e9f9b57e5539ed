"""Figures of landscapes: labels, colour bars with a meaning, and that what is drawn is what was found."""

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import ebm
from ebm.landscape import (
    NetworkLoss,
    basins,
    committor,
    disc,
    disconnectivity_graph,
    flood,
    free_energy,
    grid,
    hessian_spectrum,
    minima,
    minimum_energy_path,
    saddles,
)
from samplers.chains import Chains

SURFACE, BOX = ebm.MullerBrown(), [(-1.5, 1.2), (-0.2, 2.0)]
WELLS = minima(SURFACE, np.array([[-0.5, 1.4], [0.6, 0.0], [-0.05, 0.45]]))
TOPS = saddles(SURFACE, np.array([[-0.8, 0.6], [0.2, 0.3]]))


def bar(axes: Axes) -> str:
    """The label of the colour bar of a figure."""
    others = [other.get_ylabel() for other in axes.figure.axes if other is not axes]
    assert len(others) == 1
    return others[0]


def check(axes: Axes) -> Axes:
    """Labels and a title are there, and the page can be drawn."""
    assert axes.get_xlabel() and axes.get_ylabel() and axes.get_title()
    axes.figure.canvas.draw()
    return axes


def texts(axes: Axes) -> list[str]:
    return [text.get_text().strip() for text in axes.texts]


def legend(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_surface_has_a_colour_bar_and_marks() -> None:
    axes = check(grid(SURFACE, BOX, n=20).plot(Figure().subplots(), points=WELLS + TOPS, path=np.zeros((2, 2))))
    assert bar(axes) == "energy E"
    assert legend(axes) == ["minimum-energy path", "minima", "saddles"]
    assert [len(line.get_xdata()) for line in axes.lines] == [2, 3, 2]


def test_a_line_is_drawn_through_its_energies() -> None:
    line = grid(ebm.DoubleWell(), [(-1, 1)], n=5)
    axes = check(line.plot(Figure().subplots(), label="energy (barriers)"))
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), line.energies)
    assert axes.get_ylabel() == "energy (barriers)"


def test_a_flat_surface_can_be_drawn() -> None:
    import torch

    flat = ebm.TorchEnergy(lambda x: torch.zeros(len(x)), shape=(2,))
    check(grid(flat, BOX, n=4).plot(Figure().subplots()))


def test_a_path_names_the_energies_of_its_stationary_points() -> None:
    path = minimum_energy_path(SURFACE, np.stack([WELLS[0].x, WELLS[1].x]), images=31)
    axes = check(path.plot(Figure().subplots()))
    assert texts(axes) == ["-146.7", "-80.768", "-108.17", "-40.665", "-72.249"]
    assert "106.03" in axes.get_title()


def test_basins_tell_their_share() -> None:
    found = basins(SURFACE, BOX, WELLS, n=10)
    axes = check(found.plot(Figure().subplots(), points=TOPS))
    assert legend(axes)[0] == f"E = -146.7, {np.mean(found.labels == 0):.0%} of the plane"
    assert len(legend(axes)) == 4


def test_a_tree_is_drawn_with_its_heights() -> None:
    axes = check(disconnectivity_graph(SURFACE, WELLS, TOPS).plot(Figure().subplots()))
    assert texts(axes) == ["-146.7", "-108.17", "-80.768", "-72.249", "-40.665"]
    lines = np.concatenate([path.vertices[:, 1] for lines in axes.collections for path in lines.get_paths()])
    assert set(np.round(lines, 3)) >= {-146.7, -108.167, -80.768, -72.249, -40.665}
    many = flood(ebm.BoltzmannMachine(np.diag(np.ones(7), 1) + np.diag(np.ones(7), -1), domain="spin"))
    assert check(many.plot(Figure().subplots())).get_title() == f"disconnectivity graph: {many.leaves} minima"


def test_the_lines_of_a_tree_do_not_cross() -> None:
    rng = np.random.default_rng(0)
    upper = np.triu(rng.normal(size=(8, 8)), 1)
    tree = flood(ebm.BoltzmannMachine(upper + upper.T, domain="spin"))
    axes = check(tree.plot(Figure().subplots()))
    upright, level = (np.array([path.vertices for path in lines.get_paths()]) for lines in axes.collections)
    for (left, height), (right, _) in level:
        low, high = sorted((left, right))
        crossed = (upright[:, 0, 0] > low + 1e-9) & (upright[:, 0, 0] < high - 1e-9)
        assert not (crossed & (upright[:, 0, 1] < height - 1e-9) & (upright[:, 1, 1] > height + 1e-9)).any()


def test_a_committor_names_its_regions() -> None:
    found = committor(SURFACE, BOX, disc(WELLS[0].x, 0.2), disc(WELLS[1].x, 0.2), beta=0.05, n=31)
    axes = check(found.plot(Figure().subplots()))
    assert bar(axes) == "probability q to reach B before A"
    assert {"A", "B"} <= set(texts(axes)) and axes.get_title() == "committor at T = 20"


def test_a_free_energy_shows_bins_with_draws_only() -> None:
    x = np.tile([0.5, 0.5, 2.5, 0.5], (2, 25))[..., None]
    run = Chains(x, None, {}, np.ones((2, 100)), beta=2.0, domain="real")
    axes = check(free_energy(lambda x: x[:, 0], run, [0.0, 1.0, 2.0, 3.0], name="x").plot(Figure().subplots()))
    assert axes.lines[0].get_xdata().tolist() == [0.5, 2.5]
    assert axes.get_ylabel() == "free energy F(x) - min F" and axes.get_title() == "free energy at T = 0.5"


@pytest.mark.parametrize("width", [None, 0.5])
def test_a_spectrum_shows_its_smoothing(width: Any) -> None:
    import torch

    network = NetworkLoss(torch.nn.Linear(3, 1).double(), lambda net: (net.weight**4).sum() + net.bias.square().sum())
    spectrum = hessian_spectrum(network, np.ones(4), probes=2, seed=1)
    axes = check(spectrum.plot(Figure().subplots(), width=width))
    assert legend(axes)[0] == f"smoothed by {0.1 if width is None else width:.2g}"
