"""Seconds from starting Python to the first samples, with warm caches on both sides: thrml, blackjax, torchebm."""

import math
import os
import subprocess
import sys
import tempfile
import time
from functools import partial

import numpy as np
from timing import PAIRS, Line

OURS_ISING = """
import ebm, samplers
samplers.sample(ebm.Ising((16, 16)), samplers.Metropolis(), chains=4, draws=10, warmup=10, beta=0.4, seed=1,
                progress=False)
"""
OURS_WELL = """
import ebm, samplers
samplers.sample(ebm.DoubleWell(2), samplers.{sampler}, chains=4, draws=10, warmup=10, seed=1, progress=False)
"""
THRML = """
import jax, jax.numpy as jnp, numpy as np
from thrml import SpinNode, Block, SamplingSchedule, sample_states
from thrml.models import IsingEBM, IsingSamplingProgram, hinton_init
grid = [[SpinNode() for _ in range(16)] for _ in range(16)]
nodes = [node for row in grid for node in row]
edges = [(grid[i][j], grid[(i + 1) % 16][j]) for i in range(16) for j in range(16)]
edges += [(grid[i][j], grid[i][(j + 1) % 16]) for i in range(16) for j in range(16)]
model = IsingEBM(nodes, edges, jnp.zeros(256), jnp.ones(512), jnp.array(0.4))
blocks = [Block([grid[i][j] for i in range(16) for j in range(16) if (i + j) % 2 == c]) for c in (0, 1)]
program = IsingSamplingProgram(model, blocks, clamped_blocks=[])
schedule = SamplingSchedule(n_warmup=10, n_samples=10, steps_per_sample=1)
start = hinton_init(jax.random.key(0), model, blocks, (4,))
run = jax.jit(jax.vmap(lambda k, s: sample_states(k, program, schedule, s, [], [Block(nodes)])))
print(np.asarray(run(jax.random.split(jax.random.key(1), 4), start)[0]).shape)
"""
BLACKJAX = """
import jax, jax.numpy as jnp, blackjax, numpy as np
algorithm = blackjax.mala(lambda x: -((x[0] ** 2 - 1) ** 2 + 0.5 * x[1] ** 2), 0.1)
state = jax.vmap(algorithm.init)(jnp.zeros((4, 2)))
def one(state, key):
    state, _ = jax.vmap(algorithm.step)(jax.random.split(key, 4), state)
    return state, state.position
run = jax.jit(lambda state, key: jax.lax.scan(one, state, jax.random.split(key, 20)))
print(np.asarray(run(state, jax.random.key(0))[1]).shape)
"""
TORCHEBM = """
import torch
from torchebm.core import BaseModel
from torchebm.samplers import LangevinDynamics
class Well(BaseModel):
    def forward(self, x):
        return (x[:, 0] ** 2 - 1) ** 2 + 0.5 * x[:, 1] ** 2
sampler = LangevinDynamics(Well(), step_size=0.01)
print(sampler.sample(x=torch.randn(4, 2), n_steps=20, return_trajectory=True).shape)
"""


def seconds(code: str, environment: dict[str, str]) -> float:
    """Seconds of a process that runs this code, the start of the interpreter included."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return took


def first_sample(work: str, mine: str, peer: str, theirs: str) -> Line:
    """One line. JAX keeps its compiled programs on disk, however small, as numba does for us."""
    with tempfile.TemporaryDirectory() as folder:
        cache = {
            "JAX_COMPILATION_CACHE_DIR": folder,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        for _ in range(2):  # fills the caches, of files as well
            seconds(mine, cache), seconds(theirs, cache)
        pairs = np.array([(seconds(mine, cache), seconds(theirs, cache)) for _ in range(PAIRS)])
    ratios, middle = pairs[:, 1] / pairs[:, 0], np.median(pairs, axis=0)
    return Line(
        work=work, unit="starts/s", goal=1.0, ours=1.0 / middle[0], peer=peer, theirs=1.0 / middle[1],
        ratio=float(np.median(ratios)), spread=(float(ratios.min()), float(ratios.max())),
        note=f"ours {middle[0]:.2f} s, theirs {middle[1]:.2f} s, interpreter included",
    )  # fmt: skip


def light_import() -> Line:
    """`import samplers` beside numpy alone, its floor; the goal of half a second is that of the style guide."""
    pairs = np.array([(seconds("import samplers", {}), seconds("pass", {})) for _ in range(PAIRS + 1)])[1:]
    took = float(np.median(pairs[:, 0] - pairs[:, 1]))
    return Line(
        work="import samplers", unit="imports/s", goal=1.0, ours=1.0 / took, peer="half a second", theirs=2.0,
        ratio=0.5 / took, spread=(math.nan, math.nan), note=f"{took:.2f} s beyond the interpreter",
    )  # fmt: skip


_ISING, _WELL = "first samples, fresh process, 16x16 Ising", "first samples, fresh process, 2-D double well"
LINES = {
    "start-thrml": partial(first_sample, _ISING, OURS_ISING, "thrml", THRML),
    "start-blackjax": partial(
        first_sample, f"{_WELL}, MALA", OURS_WELL.format(sampler="MALA()"), "blackjax (cached)", BLACKJAX
    ),
    "start-torchebm": partial(
        first_sample, f"{_WELL}, Langevin", OURS_WELL.format(sampler="Langevin(0.01)"), "torchebm", TORCHEBM
    ),
    "start-import": light_import,
}
