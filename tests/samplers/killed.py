"""Kill a run with SIGKILL at random moments, resume it each time, and compare: killed.py TIER KILLS FOLDER.

The runs are forks of this process, so that a kill costs milliseconds and no time to import or compile.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import h5py  # noqa: F401  (here, or each fork would spend its time on loading it)
import numpy as np
from laws import ArrayTier
from rows import ROWS

import ebm
import samplers
from samplers import blocks

blocks.BLOCK_SECONDS = 0.002  # many blocks between two kills
ENERGY = ebm.DoubleWell(2)
CASES = {
    "compiled": (ENERGY, samplers.HMC(steps=3), 4_000),
    "array": (ArrayTier(ENERGY), samplers.MALA(), 200),
    "batches": (ROWS, samplers.SGLD(0.05, batch_size=4), 200),
    "ladder": (ENERGY, samplers.ParallelTempering(samplers.MALA(), (0.2, 0.5, 1.0)), 4_000),
}


def run(tier: str, draws: int, path: Path) -> None:
    """Start the run, or go on with it."""
    energy, sampler, warmup = CASES[tier]
    samplers.sample(
        energy, sampler, draws=draws, warmup=warmup, thin=2, seed=9, store=path, resume=True, progress=False
    )


def fork(tier: str, draws: int, path: Path) -> int:
    """Run in a fork; return its process number."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            run(tier, draws, path)
            status = 0
        finally:
            os._exit(status)
    return process


def main(tier: str, kills: int, folder: Path) -> None:
    """Kill so often, finish, and compare with the run that nobody killed."""
    rng, path = random.Random(3), folder / "killed.h5"
    samplers.set_threads(1)  # forks must not inherit a pool of threads that they do not have
    run(tier, 3, folder / "warm.h5")  # compiles
    while_warming = while_drawing = drawn = 0
    longest = 0.02
    for _ in range(kills):
        process = fork(tier, 10**9, path)
        time.sleep(rng.uniform(0.1, 1.0) * longest)
        os.kill(process, signal.SIGKILL)
        assert os.waitpid(process, 0)[1] == signal.SIGKILL
        before, drawn = drawn, samplers.load(path).shape[1] if path.exists() else 0
        assert drawn >= before
        # On a busy machine a run needs longer to get anywhere; near its start every moment is worth a kill.
        longest = min(2.0 * longest, 1.0) if drawn == before else 0.08
        while_warming, while_drawing = while_warming + (drawn == 0), while_drawing + (drawn > 0)
    draws = samplers.load(path).shape[1] + 50
    run(tier, draws, path)
    run(tier, draws, folder / "uncut.h5")
    killed, uncut = samplers.load(path), samplers.load(folder / "uncut.h5")
    assert np.array_equal(killed.x, uncut.x)
    assert np.array_equal(killed.energy, uncut.energy)
    assert np.array_equal(killed.acceptance, uncut.acceptance)
    assert killed.attributes == uncut.attributes
    if killed.tempering is not None:
        assert all(np.array_equal(a, uncut.tempering.arrays[name]) for name, a in killed.tempering.arrays.items())
    print(while_warming, while_drawing, draws)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
