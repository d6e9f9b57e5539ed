"""A checkpoint: all arrays of a run's state as bytes (numpy's own format, no pickle), and how far warm-up has come."""

import io
from typing import Any

import numpy as np

from samplers.sampler import State


def pack(state: State, warmed: int) -> bytes:
    """Return the state and the number of warm-up sweeps done as bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, warmed=np.array(warmed), **{f"state.{k}": v for k, v in state.items()})
    return buffer.getvalue()


def unpack(data: bytes) -> tuple[State, int]:
    """Return the state and the number of warm-up sweeps from the bytes of `pack`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        state = {k.removeprefix("state."): arrays[k] for k in arrays.files if k != "warmed"}
        return state, int(arrays["warmed"])


def adapted(state: State) -> dict[str, Any]:
    """Return what warm-up has settled, for the story of a run: the step size of each chain."""
    return {"step_size": state["step_size"].tolist()} if "step_size" in state else {}
