"""Lattices that are swept many sites at a time: which energies these are."""

from typing import Any

from samplers import bit_lattice, state_lattice
from samplers.bit_lattice import BitLattice
from samplers.state_lattice import StateLattice

FastLattice = BitLattice | StateLattice


def fits(energy: Any) -> bool:
    """Whether this energy is a lattice that is swept many sites at a time."""
    has_coupling = hasattr(energy, "coupling")  # what is no magnet is told at once: isinstance takes 10 microseconds
    return has_coupling and (bit_lattice.fits(energy) or state_lattice.fits(energy))


def prepare(energy: Any, heat_bath: bool) -> FastLattice:
    """Lay out a lattice that fits, for Metropolis moves or for the heat bath."""
    return (bit_lattice if bit_lattice.fits(energy) else state_lattice).prepare(energy, heat_bath)
