"""A run whose every draw is known from its number, so that any process can check what is on disk."""

from pathlib import Path
from typing import Any

import numpy as np

from samplers.store import Store, StoredRun, Variable

CHAINS = 3
_INT8, _FLOAT = np.dtype(np.int8), np.dtype(np.float64)
VARIABLES = {
    "x": Variable("posterior", _INT8, (3, 7), "spin"),
    "visible": Variable("posterior", _INT8, (5,), "binary"),
    "state": Variable("posterior", np.dtype(np.uint8), (2, 2), "gzip"),
    "label": Variable("posterior", np.dtype(np.int16), (), "gzip"),
    "angle": Variable("posterior", _FLOAT, (2,), "raw"),
    "energy": Variable("sample_stats", _FLOAT, (), "raw"),
    "energies": Variable("tempering", _FLOAT, (4,), "raw"),
    "replicas": Variable("tempering", np.dtype(np.int16), (4,), "gzip"),
    "diverging": Variable("sample_stats", np.dtype(np.bool_), (), "gzip"),
}
ATTRIBUTES: dict[str, Any] = {
    "sampler": "Métropolis",
    "beta": 0.25,
    "seed": 2**100 + 1,
    "draws": 7,
    "init": None,
    "settings": {"thin": 1, "betas": [0.5, 1.0]},
    "adapted": True,
    "note": "",
}


def _numbers(start: int, stop: int, sites: int, salt: int) -> np.ndarray:
    """Pseudo-random integers (chains, draws, sites) that depend on chain, draw and site alone."""
    draws = np.arange(start, stop, dtype=np.uint64)[None, :, None]
    chains = np.arange(CHAINS, dtype=np.uint64)[:, None, None]
    mixed = (draws * np.uint64(1009) + chains) * np.uint64(1013) + np.arange(sites, dtype=np.uint64) + np.uint64(salt)
    for _ in range(2):
        mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    return mixed >> np.uint64(20)


def arrays(start: int, stop: int) -> dict[str, np.ndarray]:
    """Draws start to stop of all variables."""
    out = {}
    for salt, (name, variable) in enumerate(VARIABLES.items()):
        numbers = _numbers(start, stop, int(np.prod(variable.shape)), salt * 7919)
        if variable.packing == "spin":
            values = (numbers % 2).astype(np.int8) * np.int8(2) - np.int8(1)
        elif variable.dtype == np.float64:
            values = numbers / 2.0**40 - 3.0
        else:
            values = (numbers % (2 if name in ("visible", "diverging") else 200)).astype(variable.dtype)
        out[name] = values.reshape(CHAINS, stop - start, *variable.shape)
    return out


def checkpoint(draws: int) -> bytes:
    """State of the sampler after so many draws."""
    return f"state after {draws} draws".encode() + bytes(range(100))


def create(path: Path) -> Store:
    """Start the run."""
    return Store.create(path, CHAINS, VARIABLES, ATTRIBUTES, checkpoint(0))


def extend(store: Store, count: int) -> None:
    """Append the next draws."""
    start = store.draws
    store.append(arrays(start, start + count), checkpoint(start + count))


def check(run: StoredRun) -> None:
    """Assert that a run holds its first draws, all of them right."""
    assert run.chains == CHAINS
    assert run.attributes == ATTRIBUTES
    assert run.checkpoint == checkpoint(run.draws)
    expected = arrays(0, run.draws)
    assert run.variables.keys() == expected.keys()
    for name, values in expected.items():
        stored = np.asarray(run.variables[name])
        assert stored.dtype == values.dtype, name
        assert stored.shape == values.shape, name
        assert (stored == values).all(), name
