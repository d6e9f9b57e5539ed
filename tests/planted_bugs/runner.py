"""Run the tests that are to see planted bugs: runner.py FOLDER NUMBER..., the numbers of the bugs.

Each run is a fork of this process, which has loaded and woken up the compiler but has seen nothing of the library: so a
bug costs the time of its tests and not that of starting Python. Run number n writes n.txt and n.code into the folder.
"""

import math
import os
import shutil
import sys
from pathlib import Path

import bugs
import h5py  # noqa: F401  (loaded here once, as the next ones)
import numba
import numpy as np
import pytest
import scipy.optimize
import scipy.stats  # noqa: F401
import torch  # noqa: F401
from bug import Bug

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 2


@numba.njit
def _wake_up(x: np.ndarray, p: tuple) -> tuple[float, float]:
    total, out = 0.0, np.zeros(3)
    for row in x:
        total += math.exp(row[0]) * p[0] + abs(math.log(p[1][0]))
        out[:] = row[1]
    return total, out[0]


def plant(bug: Bug, folder: Path) -> None:
    """Copy the library into the folder, with the bug."""
    leave = shutil.ignore_patterns("__pycache__", "planted_bugs")
    for package in ("samplers", "ebm", "models", "tests"):
        shutil.copytree(ROOT / package, folder / package, ignore=leave)
    shutil.copy(ROOT / "pyproject.toml", folder)
    source = folder / bug.file
    text = source.read_text(encoding="utf-8")
    assert text.count(bug.old) == 1, f"{bug.name}: the bug no longer fits {bug.file}"
    source.write_text(text.replace(bug.old, bug.new), encoding="utf-8")


def start(bug: Bug, folder: Path, output: Path) -> int:
    """Plant a bug and run its tests in a fork; return its process number."""
    plant(bug, folder)
    process = os.fork()
    if process:
        return process
    status = 99
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT, 0o644)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.chdir(folder)
        os.environ["PYTHONPATH"] = str(folder)
        sys.path[0] = str(folder)
        numba.config.CACHE_DIR = str(folder / "cache")
        options = ["-x", "-q", "--tb=short", "-p", "no:cacheprovider"]
        status = int(pytest.main([*options, *bug.tests]))
    finally:
        sys.stdout.flush()
        os._exit(status)


def main(folder: Path, numbers: list[int]) -> None:
    """Run the bugs of these numbers, so many at once."""
    _wake_up(np.ones((2, 3)), (1.0, np.ones(2)))
    running: dict[int, int] = {}
    for number in numbers:
        if len(running) == AT_ONCE:
            _end_of_one(running, folder)
        process = start(bugs.BUGS[number], folder / str(number), folder / f"{number}.txt")
        running[process] = number
    while running:
        _end_of_one(running, folder)


def _end_of_one(running: dict[int, int], folder: Path) -> None:
    """Wait until one of the runs ends, and write down how."""
    process, status = os.wait()
    number = running.pop(process)
    (folder / f"{number}.code").write_text(str(os.waitstatus_to_exitcode(status)))
    shutil.rmtree(folder / str(number))


if __name__ == "__main__":
    os.environ["NUMBA_NUM_THREADS"] = "1"
    main(Path(sys.argv[1]), [int(word) for word in sys.argv[2:]])
