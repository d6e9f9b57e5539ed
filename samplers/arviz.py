"""Chains as ArviZ reads them: an xarray DataTree of the groups posterior, sample_stats and (of a ladder) tempering."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from samplers import rungs

if TYPE_CHECKING:
    import xarray

    from samplers.chains import Chains


def to_arviz(chains: "Chains") -> "xarray.DataTree":
    """Turn chains into an `xarray.DataTree`, which arviz, arviz-stats and arviz-plots take.

    Args:
        chains: the chains; configurations that lie on disk are loaded, unpacked.
    Returns:
        `posterior`: x with dimensions (chain, draw, x_dim_0, ...) and each observable (chain, draw); `sample_stats`:
        energy and acceptance (chain, draw); `tempering`, if there is a ladder: what it recorded, with dimensions
        (chain, draw, rung) or (chain, draw, pair); the attributes tell the run, with JSON text for what is no number
        or text.
    Raises:
        ModuleNotFoundError: if xarray is not installed.

    >>> from samplers.chains import Chains
    >>> chains = Chains(np.zeros((4, 10, 3)), np.zeros((4, 10)), {}, np.ones((4, 10)), beta=1.0, domain="real")
    >>> to_arviz(chains).posterior["x"].dims
    ('chain', 'draw', 'x_dim_0')
    """
    import xarray

    count, draws = chains.shape
    coordinates = {"chain": np.arange(count), "draw": np.arange(draws)}
    posterior: dict[str, Any] = {}
    if chains.x is not None:
        x = np.asarray(chains.x)
        posterior["x"] = (("chain", "draw", *(f"x_dim_{axis}" for axis in range(x.ndim - 2))), x)
    for name, values in chains.observables.items():
        posterior[name] = (("chain", "draw"), np.asarray(values))
    statistics: dict[str, Any] = {"acceptance": (("chain", "draw"), np.asarray(chains.acceptance))}
    if chains.energy is not None:
        statistics["energy"] = (("chain", "draw"), np.asarray(chains.energy))
    story = {**chains.attributes, "beta": chains.beta, "domain": chains.domain, "inference_library": "ebmlab"}
    groups = {"posterior": posterior, "sample_stats": statistics}
    if chains.tempering is not None:
        groups[rungs.GROUP] = {
            name: (("chain", "draw", *rungs.axes_of(name)), np.asarray(array))
            for name, array in chains.tempering.arrays.items()
        }
    tree = {name: xarray.Dataset(data, coords=coordinates) for name, data in groups.items()}
    root = xarray.Dataset(attrs={name: _attribute(value) for name, value in story.items()})
    return xarray.DataTree.from_dict({"/": root, **tree})


def _attribute(value: Any) -> str | int | float:
    """Keep text and numbers, which netCDF can hold; write the rest as JSON."""
    if isinstance(value, str | float) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return json.dumps(value)
