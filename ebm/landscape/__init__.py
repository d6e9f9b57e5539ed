"""ebm.landscape: look at an energy: surfaces, minima and saddles, paths, basins, trees, free energies, spectra.

Any energy of real numbers or angles, numpy in and numpy out; Hessians by autograd for torch energies, else by
differences of the gradient. Every result has a `plot`.

    grids.py         grid, slice_through: an energy over a box, or on a slice through many dimensions; points_in
    searches.py      minima, saddles: stationary points from many starts, with energy, eigenvalues and error
    stationary.py    StationaryPoint, and Newton's method
    paths.py         minimum_energy_path: the string method, with true saddles on it
    attraction.py    basins, descend: to which minimum steepest descent leads
    trees.py         disconnectivity_graph: which minima an energy separates
    flooding.py      flood: the same exactly, for a small discrete energy
    forest.py        lakes that join: what both of these build on
    free_energies.py free_energy: F(q) = -T ln p(q) from chains, with errors
    committors.py    committor, disc: the probability to reach B before A, in the plane
    networks.py      NetworkLoss: a network's loss as an energy of its weights; filter_directions, interpolation
    spectrum.py      hessian_spectrum, extreme_eigenvalues, lanczos: from Hessian-vector products
    derivatives.py   gradients and Hessians of any energy
    plane_plots.py, line_plots.py   the figures
"""

from ebm.landscape.attraction import Basins, basins, descend
from ebm.landscape.committors import Committor, committor, disc
from ebm.landscape.flooding import flood
from ebm.landscape.free_energies import FreeEnergy, free_energy
from ebm.landscape.grids import Grid, grid, points_in, slice_through
from ebm.landscape.networks import NetworkLoss, filter_directions, interpolation
from ebm.landscape.paths import MinimumEnergyPath, minimum_energy_path
from ebm.landscape.searches import minima, saddles
from ebm.landscape.spectrum import Lanczos, Spectrum, extreme_eigenvalues, hessian_spectrum, lanczos
from ebm.landscape.stationary import StationaryPoint
from ebm.landscape.trees import DisconnectivityGraph, disconnectivity_graph

__all__ = [
    "Basins",
    "Committor",
    "DisconnectivityGraph",
    "FreeEnergy",
    "Grid",
    "Lanczos",
    "MinimumEnergyPath",
    "NetworkLoss",
    "Spectrum",
    "StationaryPoint",
    "basins",
    "committor",
    "descend",
    "disc",
    "disconnectivity_graph",
    "extreme_eigenvalues",
    "filter_directions",
    "flood",
    "free_energy",
    "grid",
    "hessian_spectrum",
    "interpolation",
    "lanczos",
    "minima",
    "minimum_energy_path",
    "points_in",
    "saddles",
    "slice_through",
]
