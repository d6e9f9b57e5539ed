"""A checkpoint: all arrays of a run's state as bytes (numpy's own format, no pickle), and how far warm-up has come."""

import io
from typing import Any

import numpy as np

from samplers.sampler import State


def pack(state: State, warmed: int, draws: int) -> bytes:
    """Return as bytes the state, the number of warm-up sweeps done and the number of draws the run shall have."""
    buffer = io.BytesIO()
    arrays = {f"state.{name}": array for name, array in state.items()}
    np.savez(buffer, allow_pickle=False, warmed=np.array(warmed), draws=np.array(draws), **arrays)
    return buffer.getvalue()


def unpack(data: bytes) -> tuple[State, int]:
    """Return the state and the number of warm-up sweeps from the bytes of `pack`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        state = {name.removeprefix("state."): arrays[name] for name in arrays.files if name.startswith("state.")}
        return state, int(arrays["warmed"])


def settled(state: State) -> dict[str, Any]:
    """Return what warm-up has settled, for the story of a run: the step size of each chain."""
    steps = state.get("step_size", np.zeros(0))
    return {"step_size": steps.tolist()} if steps.any() else {}


def told(data: bytes) -> dict[str, Any]:
    """Return what a checkpoint tells of its run: how many draws it shall have, and what warm-up has settled."""
    if not data:
        return {}
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        draws = int(arrays["draws"])
    return {"draws_requested": draws, **settled(unpack(data)[0])}
