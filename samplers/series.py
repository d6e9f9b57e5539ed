"""The variables of chains as series (chains, draws): by name, by a function of configurations, or each coordinate.

Configurations may lie on disk and be far larger than memory, so they are read in blocks of draws.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from samplers.chains import Chains

Variable: TypeAlias = str | Callable[..., Any] | np.ndarray

BLOCK_BYTES = 16 * 2**20  # configurations read at once
GROUP_BYTES = 64 * 2**20  # series of coordinates held at once; each group costs one pass over the configurations


def recorded_names(chains: "Chains") -> list[str]:
    """Return the names of the recorded variables: energy first, then the observables."""
    return ([] if chains.energy is None else ["energy"]) + list(chains.observables)


def series_of(variable: Variable, chains: "Chains") -> NDArray[np.float64]:
    """Return one variable as a series.

    Args:
        variable: "energy" or the name of an observable; a function of configurations, (n, *shape) -> (n,), evaluated
            over `chains.x` block by block; or a series of one's own, (chains, draws).
        chains: the chains.
    Returns:
        (chains, draws) float64.
    Raises:
        ValueError: for an unknown name, a wrong shape, or configurations that were not kept.

    >>> from samplers.chains import Chains
    >>> chains = Chains(np.ones((2, 3, 5)), None, {}, acceptance=np.ones((2, 3)), beta=1.0, domain="real")
    >>> series_of(lambda x: x.sum(axis=1), chains).tolist()
    [[5.0, 5.0, 5.0], [5.0, 5.0, 5.0]]
    """
    if isinstance(variable, str):
        names = recorded_names(chains)
        if variable not in names:
            raise ValueError(f"variable must be one of {names} (what these chains recorded), got {variable!r}")
        return np.asarray(chains.energy if variable == "energy" else chains.observables[variable], dtype=np.float64)
    if callable(variable):
        return _evaluated(variable, chains)
    values = np.asarray(variable, dtype=np.float64)
    if values.shape != chains.shape:
        raise ValueError(f"a series must have shape (chains, draws) = {chains.shape}, got {values.shape}")
    return values


def _evaluated(f: Callable[..., Any], chains: "Chains") -> NDArray[np.float64]:
    """Evaluate a function of configurations over all draws, (chains, draws)."""
    values = np.empty(chains.shape)
    for chain, start, x in _blocks(chains):
        block = np.asarray(f(x))
        if block.shape != (len(x),):
            raise ValueError(f"f must give one number a configuration, ({len(x)},) for x {x.shape}, got {block.shape}")
        values[chain, start : start + len(x)] = block
    return values


def _blocks(chains: "Chains") -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield (chain, first draw, configurations (n, *shape)) in blocks of bounded size."""
    if chains.x is None:
        raise ValueError("the configurations must have been kept (keep_x=True) for a function of them, got x=None")
    count, draws = chains.x.shape[:2]
    bytes_per_draw = max(1, chains.x.dtype.itemsize * int(np.prod(chains.x.shape[2:])))
    length = max(1, BLOCK_BYTES // bytes_per_draw)
    for chain in range(count):
        for start in range(0, draws, length):
            yield chain, start, np.asarray(chains.x[chain, start : min(start + length, draws)])


def coordinate_names(chains: "Chains") -> list[str]:
    """Return the names of the diagnosed coordinates of x, such as "x[3, 7]"; an angle gives its cosine and its sine."""
    if chains.x is None:
        return []
    shape = chains.x.shape[2:]
    names = [f"x[{', '.join(map(str, index))}]" if index else "x" for index in np.ndindex(*shape)]
    if chains.domain == "angle":
        return [f"{function} {name}" for name in names for function in ("cos", "sin")]
    return names


def coordinates(chains: "Chains") -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield every coordinate of x as (name, series (chains, draws)), holding a bounded group of them at a time."""
    names = coordinate_names(chains)
    if not names:
        return
    count, draws = chains.shape
    per_site = 2 if chains.domain == "angle" else 1
    sites = len(names) // per_site
    group = max(1, GROUP_BYTES // (8 * count * draws))
    for first in range(0, sites, group):
        last = min(first + group, sites)
        values = np.empty((last - first, count, draws))
        for chain, start, x in _blocks(chains):
            values[:, chain, start : start + len(x)] = x.reshape(len(x), -1)[:, first:last].T
        for site in range(first, last):
            series = values[site - first]
            with np.errstate(invalid="ignore"):  # an infinite angle becomes nan, which the diagnosis reports
                angular = [np.cos(series), np.sin(series)] if per_site == 2 else [series]
            yield from zip(names[site * per_site : (site + 1) * per_site], angular, strict=True)
