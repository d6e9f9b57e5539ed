"""Ladders of parallel tempering that several of its tests run, and their states at exact starts."""

from typing import Any

import numpy as np
from laws import DISCRETE, ArrayTier

import ebm
import samplers
from samplers import random
from samplers.sampler import State

Tempered = samplers.ParallelTempering
RUN = {"chains": 3, "draws": 20, "warmup": 60, "beta": 1.0, "seed": 5, "progress": False}
RBM = ebm.RBM(3, 2, W=[[2.0, -1.5], [-1.0, 2.5], [1.5, 1.0]], b=[0.5, -1.0, 0.3], c=[-0.5, 1.0])


def start_ladders(sampler: samplers.ParallelTempering, energy: Any, beta: float, starts: list[np.ndarray]) -> State:
    """The state of many ladders whose configurations at each rung are given, starts[rung] (chains, *shape)."""
    chains, rungs = len(starts[0]), len(starts)
    x = starts[0].reshape(chains, -1)
    state = {"x": x.copy(), "beta": np.full(chains, beta), "stream": random.make_streams(3, chains)}
    sampler.start(energy, state)
    for rung, start in enumerate(starts):
        state["replica.x"][rung::rungs] = start.reshape(chains, -1)
    rows = {name.removeprefix("replica."): array for name, array in state.items() if name.startswith("replica.")}
    sampler.sampler.start(energy, rows)
    state.update({f"replica.{name}": array for name, array in rows.items()})
    return state


def at_rungs(state: State, shape: tuple[int, ...]) -> list[np.ndarray]:
    """The configurations at each rung, (chains, *shape)."""
    chains, rungs = state["replica"].shape
    x = state["replica.x"].reshape(chains, rungs, *shape)
    assert np.array_equal(np.sort(state["replica"], axis=1), np.tile(np.arange(rungs), (chains, 1)))
    assert np.array_equal(
        np.take_along_axis(state["replica.beta"].reshape(chains, rungs), state["replica"], 1), state["betas"]
    )
    return [x[np.arange(chains), state["replica"][:, rung]] for rung in range(rungs)]


def advanced(sampler: samplers.ParallelTempering, energy: Any, state: State, sweeps: int) -> list[np.ndarray]:
    acceptance = sampler.advance(energy, state, sampler.settings(energy, 0), 1, sweeps)
    assert np.isfinite(acceptance).all()
    return at_rungs(state, tuple(energy.shape))


LADDERS: dict[str, tuple[Any, Tempered]] = {
    "ising, metropolis": (DISCRETE["ising 2x3 in a field"], Tempered(samplers.Metropolis(), (0.2, 0.7, 1.6))),
    "potts from zero, gibbs, array tier": (
        ArrayTier(DISCRETE["potts 3"]), Tempered(samplers.Gibbs(), (0.0, 0.5, 1.2))),
    "rbm by its layers, from zero": (RBM, Tempered(samplers.Gibbs(), (0.0, 0.4, 1.0, 1.8))),
    "ising, swaps every second sweep": (
        DISCRETE["ising 2x3 in a field"],
        Tempered(samplers.Metropolis(), (0.3, 0.8, 1.5), swap_every=2)),
}  # fmt: skip
