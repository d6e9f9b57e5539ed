"""Times our engine beside others, and against physical limits: `make bench`, or `run.py NAME...` for some lines.

Each line runs in a process of its own, started from this one, since libraries disagree about threads and precision that
a process can choose only once. Writes results/benchmarks/, where lines that were not run stay as they were.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import boltzmann_machines
import clusters
import gaussians
import langevin
import lattices
import learning
import quantum
import scaling
import start_up
import streaming
import tables
import wavefunctions
from timing import Line, Missing

TOPICS = (
    lattices, clusters, boltzmann_machines, langevin, gaussians, wavefunctions, quantum, learning, streaming, start_up,
    scaling,
)  # fmt: skip
LINES: dict[str, Callable[[], Line]] = {name: line for topic in TOPICS for name, line in topic.LINES.items()}
FOLDER = Path(__file__).resolve().parents[2] / "results" / "benchmarks"
TIMEOUT = 600.0  # seconds a line


def measure(name: str) -> Line:
    """Measure one line here and now; what is missing or fails becomes a line that says so."""
    try:
        return LINES[name]()
    except Missing as error:
        return Line(name, "", math.nan, note=f"not there: {error}")
    except ImportError as error:
        return Line(name, "", math.nan, note=f"peer cannot be imported: {error}")
    except Exception as error:
        return Line(name, "", math.nan, right=False, note=f"failed: {type(error).__name__}: {error}")


def measure_apart(name: str) -> Line:
    """Measure one line in a process of its own."""
    command = [sys.executable, __file__, "--here", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return Line(name, "", math.nan, right=False, note=f"took longer than {TIMEOUT:g} s")
    if done.returncode:
        tail = done.stderr.strip().splitlines()[-1:]
        return Line(name, "", math.nan, right=False, note=f"died with code {done.returncode}: {' '.join(tail)}")
    return Line(**json.loads(done.stdout.splitlines()[-1]))


def main(arguments: list[str]) -> None:
    """Measure all lines, or those named, print their table and write all that is known."""
    if arguments[:1] == ["--here"]:
        print(json.dumps(measure(arguments[1])._asdict()))
        return
    unknown = [name for name in arguments if name not in LINES]
    if unknown:
        sys.exit(f"lines must be among {', '.join(LINES)}, got {', '.join(unknown)}")
    load = os.getloadavg()[0]
    lines = {}
    for name in arguments or LINES:
        lines[name] = measure_apart(name)
        print(f"{name}: {tables.row(lines[name])}\n    {lines[name].note}", flush=True)
    print(tables.table(list(lines.values())))
    known = tables.stored(FOLDER) | lines
    if all(name in known for name in LINES):
        tables.write({name: known[name] for name in LINES}, load, FOLDER)


if __name__ == "__main__":
    main(sys.argv[1:])
