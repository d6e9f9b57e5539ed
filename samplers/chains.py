"""Chains: what a run gives, in memory or on disk."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from samplers import checkpoint, rungs, store

_PACKING = {"spin": "spin", "binary": "binary", "states": "gzip", "real": "raw", "angle": "raw"}


@dataclass
class Chains:
    """Draws of several chains and what was recorded with them.

    Attributes:
        x: configurations (chains, draws, *shape); from disk lazy (sliceable, `np.asarray(x)` loads it); None if not
            kept.
        energy: E of each draw (chains, draws); None for a score without energy.
        observables: recorded observables, name -> (chains, draws).
        acceptance: mean acceptance of the sweeps of each draw (chains, draws).
        beta: inverse temperature.
        domain: "real", "spin", "binary", "states" or "angle".
        attributes: how the run was made: sampler, energy, seed, settings, versions.
        path: the file behind it, if any.
        tempering: what a run of ParallelTempering tells of its ladder, see `samplers.rungs.Tempering`; else None.
    """

    x: Any
    energy: Any
    observables: dict[str, Any]
    acceptance: Any
    beta: float
    domain: str
    attributes: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    tempering: rungs.Tempering | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(chains, draws)."""
        return self.acceptance.shape

    def save(self, path: str | Path) -> None:
        """Write the chains to a new HDF5 file, which `samplers.load` reads; an existing file is never replaced.

        Raises:
            StoreError: the file exists, or cannot be written.
        """
        arrays = {"acceptance": self.acceptance, **self.observables}
        shape = None
        if self.energy is not None:
            arrays["energy"] = self.energy
        if self.x is not None:
            arrays["x"] = self.x
            shape = tuple(self.x.shape[2:])
        dtype = None if self.x is None else self.x.dtype
        layout = variables(self.domain, shape, dtype, self.energy is not None, list(self.observables))
        if self.tempering is not None:
            arrays.update(self.tempering.arrays)
            layout.update(self.tempering.variables())
        attributes = {**self.attributes, "beta": self.beta, "domain": self.domain}
        store.save(path, self.shape[0], layout, arrays, attributes)

    def to_arviz(self) -> Any:
        """Return an `xarray.DataTree` with groups posterior and sample_stats, as ArviZ reads it."""
        from samplers.arviz import to_arviz

        return to_arviz(self)

    def __repr__(self) -> str:
        chains, draws = self.shape
        kept = "x not kept" if self.x is None else f"x {tuple(self.x.shape[2:])} {self.domain}"
        return f"Chains({chains} chains, {draws} draws, {kept}, beta {self.beta:g})"


def variables(
    domain: str, shape: tuple[int, ...] | None, dtype: Any, has_energy: bool, observables: list[str]
) -> dict[str, store.Variable]:
    """Return how each variable of a run lies on disk; shape None: x is not kept."""
    number = np.dtype(np.float64)
    out = {"acceptance": store.Variable("sample_stats", number, (), "raw")}
    if has_energy:
        out["energy"] = store.Variable("sample_stats", number, (), "raw")
    for name in observables:
        out[name] = store.Variable("posterior", number, (), "raw")
    if shape is not None:
        out["x"] = store.Variable("posterior", np.dtype(dtype), shape, _PACKING[domain])
    return out


def load(path: str | Path) -> Chains:
    """Load chains from an HDF5 file; configurations stay on disk until they are asked for.

    Works while another process is still writing the file: what it holds at this moment is seen.

    Raises:
        StoreError: no such file, not a chain file, damaged, or written by a newer version.

    Example:
        >>> import tempfile, pathlib, ebm, samplers
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.h5"
        >>> _ = samplers.sample(ebm.DoubleWell(), samplers.MALA(), draws=50, seed=1, store=path, progress=False)
        >>> samplers.load(path)
        Chains(4 chains, 50 draws, x (1,) real, beta 1)
    """
    run = store.read(path)
    layout = {name: array.variable for name, array in run.variables.items()}
    lazy = {"x", *(name for name, variable in layout.items() if variable.group == rungs.GROUP)}
    arrays = {name: array if name in lazy else np.asarray(array) for name, array in run.variables.items()}
    return from_arrays(arrays, layout, {**run.attributes, **checkpoint.told(run.checkpoint)}, Path(path))


def from_arrays(
    arrays: dict[str, Any], layout: dict[str, store.Variable], attributes: dict[str, Any], path: Path | None = None
) -> Chains:
    """Make chains of recorded variables (chains, draws, ...) and the story of their run, which has beta and domain."""
    tempering = {name: array for name, array in arrays.items() if layout[name].group == rungs.GROUP}
    others = ("x", "energy", "acceptance", *tempering)
    recorded = {name: array for name, array in arrays.items() if name not in others}
    return Chains(
        x=arrays.get("x"),
        energy=arrays.get("energy"),
        observables=recorded,
        acceptance=arrays["acceptance"],
        beta=float(attributes["beta"]),
        domain=str(attributes["domain"]),
        attributes=attributes,
        path=path,
        tempering=rungs.Tempering(tempering) if tempering else None,
    )
