"""Times our engine beside others, and against physical limits: `make bench`.

Each line is the median of pairs, ours and the other taken in turn in one run, since machines are noisy and shared: look
at the ratios. Writes results/benchmarks/.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import ebm
import samplers
from samplers.random import make_streams

FOLDER = Path(__file__).resolve().parents[2] / "results" / "benchmarks"
PAIRS = 7


class Line(NamedTuple):
    """One comparison: rates of ours and of the other, and their ratio, medians over pairs."""

    work: str
    unit: str
    ours: float
    other: str
    theirs: float
    ratio: float
    goal: str


def rate(work: Callable[[], float]) -> float:
    """Return units of work a second; `work` does it and returns how many units it was."""
    began = time.perf_counter()
    units = work()
    return units / (time.perf_counter() - began)


def compare(
    title: str, unit: str, ours: Callable[[], float], other: str, theirs: Callable[[], float], goal: str
) -> Line:
    """Warm both up, then time them in turn."""
    ours(), theirs()
    pairs = np.array([(rate(ours), rate(theirs)) for _ in range(PAIRS)])
    middle = np.median(pairs, axis=0)
    line = Line(title, unit, middle[0], other, middle[1], float(np.median(pairs[:, 0] / pairs[:, 1])), goal)
    print(
        f"{title}: {line.ours:.4g} {unit}; {other} {line.theirs:.4g}; ratio {line.ratio:.3g} (goal {goal})", flush=True
    )
    return line


def langevin(chains: int, goal: str) -> Line:
    """Compiled against array tier on a double well in the plane; the array tier computes its gradient by numpy."""
    well = ebm.DoubleWell(2)

    class Plain:
        shape, domain = (2,), "real"

        def __call__(self, x: np.ndarray) -> np.ndarray:
            return (x[:, 0] ** 2 - 1) ** 2 + 0.5 * x[:, 1] ** 2

        def grad(self, x: np.ndarray) -> np.ndarray:
            return np.stack([4 * x[:, 0] * (x[:, 0] ** 2 - 1), x[:, 1]], axis=1)

    def run(energy: object, steps: int) -> float:
        thin = steps // chains
        samplers.sample(
            energy, samplers.Langevin(0.01), chains=chains, draws=1, thin=thin, warmup=0, seed=1, progress=False
        )
        return thin * chains

    return compare(
        f"Langevin, 2-D double well, {chains} chains", "steps/s", lambda: run(well, 4_000_000), "array tier (numpy)",
        lambda: run(Plain(), 100_000), goal,
    )  # fmt: skip


def rbm_gibbs(other: str) -> Line:
    """Block Gibbs of a 784 x 500 machine with 1,000 chains, against scikit-learn or the two bare matrix products."""
    from sklearn.neural_network import BernoulliRBM

    rng = np.random.default_rng(0)
    W = rng.normal(scale=0.05, size=(784, 500)).astype(np.float32)
    rbm = ebm.RBM(784, 500, W=W)
    v = rng.integers(0, 2, (1000, 784)).astype(np.int8)
    beta, streams = np.ones(1000), make_streams(1, 1000)

    def ours() -> float:
        rbm.block_gibbs(v, beta, streams, 20)
        return 20 * 1000

    if other == "scikit-learn":
        peer = BernoulliRBM(500, random_state=0)
        peer.components_ = W.T.copy()
        peer.intercept_hidden_, peer.intercept_visible_ = np.zeros(500, np.float32), np.zeros(784, np.float32)
        peer.random_state_ = np.random.RandomState(0)
        state = v.astype(np.float32)

        def theirs() -> float:
            x = state
            for _ in range(5):
                x = peer.gibbs(x)
            return 5 * 1000

        return compare("RBM 784x500 block Gibbs, 1,000 chains", "chain-sweeps/s", ours, other, theirs, ">= 1.5")
    x, h, back = v.astype(np.float32), np.empty((1000, 500), np.float32), np.empty((1000, 784), np.float32)

    def products() -> float:
        for _ in range(20):
            np.matmul(x, W, out=h)
            np.matmul(h, W.T, out=back)
        return 20 * 1000

    return compare("RBM 784x500 block Gibbs, 1,000 chains", "chain-sweeps/s", ours, "its bare products", products, "-")


def start_up(code: str, title: str, goal: str) -> Line:
    """Time a fresh process with a warm cache; the bare interpreter is subtracted."""

    def seconds(text: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", text], check=True, env=os.environ)
        return time.perf_counter() - began

    seconds(code)
    took = float(np.median([seconds(code) - seconds("pass") for _ in range(PAIRS)]))
    print(f"{title}: {took:.2f} s (goal {goal})", flush=True)
    return Line(title, "s", took, "-", float("nan"), float("nan"), goal)


FIRST_DRAWS = """
import ebm, samplers
samplers.sample(ebm.Ising((16, 16)), samplers.Metropolis(), draws=10, warmup=10, seed=1, progress=False)
"""


def main() -> None:
    """Run all comparisons, print one table and write it."""
    lines = [
        langevin(10, ">= 20"),
        langevin(1000, "-"),
        rbm_gibbs("scikit-learn"),
        rbm_gibbs("bare products"),
        start_up("import samplers", "import samplers", "< 0.5 s"),
        start_up(FIRST_DRAWS, "imports and first draws of Ising 16x16, warm cache", "< 2 s"),
    ]
    head = "| work | unit | ours | other | theirs | ratio | goal |\n| --- | --- | --- | --- | --- | --- | --- |"
    rows = [
        f"| {x.work} | {x.unit} | {x.ours:.3g} | {x.other} | {_shown(x.theirs)} | {_shown(x.ratio)} | {x.goal} |"
        for x in lines
    ]
    table = "\n".join([head, *rows])
    print(table)
    FOLDER.mkdir(parents=True, exist_ok=True)
    python, threads = platform.python_version(), samplers.get_threads()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {python}, {threads} threads"
    (FOLDER / "README.md").write_text(
        f"# Benchmarks\n\nMedians of {PAIRS} pairs, taken in turn in one run ({machine}). Written by `make bench`.\n\n"
        f"{table}\n"
    )
    record = [{k: v for k, v in x._asdict().items() if v == v} for x in lines]
    (FOLDER / "metrics.json").write_text(json.dumps({"machine": machine, "lines": record}, indent=1) + "\n")


def _shown(value: float) -> str:
    return "-" if value != value else f"{value:.3g}"


if __name__ == "__main__":
    main()
