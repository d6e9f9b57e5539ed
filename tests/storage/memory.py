"""Stream 200 MiB in small blocks and read it back, and print how many MiB more than idle each took: memory.py PATH."""

import sys
from pathlib import Path

import numpy as np

from samplers import store
from samplers.store import Store, Variable, read


def peak() -> float:
    """Largest resident memory of this process so far, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


store.FOLD_BYTES = 8 * 1024 * 1024
path = Path(sys.argv[1])
block = np.random.default_rng(0).normal(size=(4, 1000, 16))
variables = {"x": Variable("posterior", block.dtype, (16,), "raw")}
Store.create(path.with_name("first.h5"), 4, variables, {}, b"").close()  # loads h5py
idle = peak()
with Store.create(path, 4, variables, {}, b"") as writer:
    for _ in range(400):
        writer.append({"x": block}, b"state")
written = peak()
x = read(path).variables["x"]
for start in range(0, x.shape[1], 10_000):
    assert (x[:, start : start + 1000] == block).all()
assert (x[0, ::1000, 0] == block[0, 0, 0]).all()
print(written - idle, peak() - idle)
