"""Annealed importance sampling, forward and in reverse (Neal 2001; Burda, Grosse, Salakhutdinov 2015; Crooks 1999).

Along times 0 = t_0 < ... < t_K = 1 a chain gathers ln w = sum_k ln f_k(x_k) - ln f_{k-1}(x_k), x_k drawn by a kernel
that leaves p_{k-1} invariant, and the reverse run goes the same way back. With R = Z / Z_0:

    forward, started exactly at p_0:              E[w] = R,         E[ln w] <= ln R
    reverse, started in equilibrium at p_1:       E[1 / w] = 1 / R,     E[ln w] >= ln R

The first holds however badly the chains mix. The second needs equilibrium starts: neither training chains nor data
are. Either it starts from draws of tempered chains, which have found the modes by another way; or the ends of the
forward run are resampled in proportion to their weights, which makes them draws from p_1 as the number of chains grows,
however slowly the kernel mixes between modes, and then run on at p_1, which parts the copies. The reverse run uses the
reverse kernels, as Crooks' relation demands.
"""

from typing import Any, NamedTuple

import numpy as np

from ebm.annealing_paths import Path
from ebm.products import one_blas_thread
from samplers.blocks import SamplingError
from samplers.progress import progress_bar
from samplers.sampler import State

BLOCK = 50  # steps between two looks at the clock and the keyboard
EQUILIBRATION = 0.2  # sweeps at the end, as a share of the steps


class Annealing(NamedTuple):
    """Log weights of both runs, each an estimate of ln Z: forward and reverse, (chains,)."""

    forward: np.ndarray
    reverse: np.ndarray


def anneal(
    path: Path, times: np.ndarray, chains: int, entropy: int, progress: bool, starts: np.ndarray | None = None
) -> Annealing:
    """Run AIS forward and in reverse.

    Args:
        path: the distributions.
        times: rising from 0 to 1, (steps + 1,).
        chains: number of chains of each run.
        entropy: seed of both.
        progress: show a progress bar on a terminal.
        starts: equilibrium draws (n, sites) with n >= chains, of which the reverse run takes its starts; None takes the
            ends of the forward run.

    Raises:
        SamplingError: the energy stopped being a number.
    """
    children = np.random.SeedSequence(entropy).spawn(4)
    rng = np.random.default_rng(children[0])
    seeds = [int(child.generate_state(1, np.uint64)[0]) for child in children[1:]]
    sweeps = max(10, int(EQUILIBRATION * len(times)))
    total = 2 * (len(times) - 1) + sweeps
    with one_blas_thread(), progress_bar(progress, total, "step") as bar:
        state = path.start(chains, rng, seeds[0])
        bar.set_description("forward", refresh=False)
        _walk(path, state, times, True, bar)
        forward = path.log_z_start + state["log_weight"]
        bar.set_description("equilibrium", refresh=False)
        if starts is None:
            resample(state, rng)
        else:
            state["x"][...] = starts[rng.permutation(len(starts))[:chains]]
        for done in range(0, sweeps, BLOCK):
            n = min(BLOCK, sweeps - done)
            path.equilibrate(state, n)
            bar.update(n)
        state["log_weight"][:] = 0.0
        bar.set_description("reverse", refresh=False)
        _walk(path, state, times[::-1], False, bar)
        reverse = path.log_z_start - state["log_weight"]
    for name, log_weight in (("forward", forward), ("reverse", reverse)):
        if np.isnan(log_weight).any():
            raise SamplingError(
                f"{np.isnan(log_weight).sum()} of {chains} log weights of the {name} run are not numbers"
            )
    return Annealing(forward, reverse)


def _walk(path: Path, state: State, times: np.ndarray, forward: bool, bar: Any) -> None:
    for k in range(0, len(times) - 1, BLOCK):
        path.anneal(state, times[k : k + BLOCK + 1], forward)
        bar.update(len(times[k : k + BLOCK + 1]) - 1)


def resample(state: State, rng: np.random.Generator) -> None:
    """Replace x by draws in proportion to the weights: systematic resampling (Kitagawa 1996); streams stay."""
    log_weight = state["log_weight"]
    edges = np.cumsum(np.exp(log_weight - log_weight.max()))
    places = (np.arange(len(edges)) + rng.random()) / len(edges) * edges[-1]
    state["x"][...] = state["x"][np.minimum(np.searchsorted(edges, places, side="right"), len(edges) - 1)]


def effective_sample_size(log_weight: np.ndarray) -> float:
    """Return (sum w)^2 / sum w^2, between 1 and the number of weights."""
    w = np.exp(log_weight - log_weight.max())
    return float(w.sum() ** 2 / (w @ w))


def log_mean_exp(log_weight: np.ndarray) -> tuple[float, float]:
    """Return ln mean w and its standard error by the delta method, sd(w) / (mean(w) sqrt(n)); NaN for one weight."""
    highest, n = log_weight.max(), len(log_weight)
    w = np.exp(log_weight - highest)
    error = w.std(ddof=1) / (w.mean() * np.sqrt(n)) if n > 1 else np.nan
    return float(highest + np.log(w.mean())), float(error)
