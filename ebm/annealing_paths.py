"""Paths of distributions from one whose ln Z is known to the model at beta, for annealed importance sampling.

    any discrete energy    p_t ~ exp(-u(x, t beta)), from uniform; moved by one sweep of Gibbs, or of another sampler
    RBM                    p_t(v, h) ~ exp((1-t) a.v + t beta (b.v + c.h + v W h)), from independent pixels of biases a
                           (Salakhutdinov and Murray 2008); moved by v -> h -> v', in detailed balance with p_t(v)
    GaussianRBM            p_t(v, h) ~ exp(-beta sum (v - b)^2 / 2 sigma^2 + t beta (c.h + sum (v / sigma^2) W h))
    any continuous energy  p_t ~ exp(-(1-t) u_base(x) - t u(x, beta)): ebm.bridge_path

A path works in place on a state, arrays with one row a chain: x, stream, and the log weight gathered so far.
"""

from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from ebm.bridge import check_kernel
from ebm.bridge_path import BridgePath
from ebm.gaussian_rbm import GaussianRBM, draw_normal
from ebm.layers import draw_units, reweight
from ebm.products import over_rows
from ebm.rbm import RBM
from samplers import protocols, random
from samplers.blocks import SamplingError
from samplers.gibbs import Gibbs
from samplers.sampler import Sampler, State


class Path(Protocol):
    """Distributions p_t ~ f_t with 0 <= t <= 1; the ln Z of f_0 is `log_z_start`."""

    log_z_start: float

    def times(self, steps: int) -> np.ndarray:
        """Return steps + 1 times from 0 to 1 that suit the path."""

    def start(self, chains: int, rng: np.random.Generator, entropy: int) -> State:
        """Return independent draws from p_0 with log weight 0."""

    def anneal(self, state: State, times: np.ndarray, forward: bool) -> None:
        """Walk along times (rising if forward, else falling) and gather log weights in place.

        Each step from s to t adds ln f_t(x) - ln f_s(x) and then moves x with a kernel that leaves p_t invariant, the
        reverse one of it if not forward. Nothing moves at t = 0.
        """

    def equilibrate(self, state: State, sweeps: int) -> None:
        """Move x by sweeps at t = 1."""


def path_of(
    energy: Any, beta: float, data: np.ndarray | None, base: Any = None, sampler: Sampler | None = None,
    entropy: int = 0,
) -> Path:  # fmt: skip
    """Return the path for an energy; `data` (n, n_visible) sets where the path of an RBM starts.

    With a base or a sampler of the user's it is the general path; entropy is the seed of what that learns beforehand.
    """
    if sampler is not None:
        check_kernel(sampler, energy)
    if isinstance(energy, RBM) and sampler is None and base is None:
        return RBMPath(energy, beta, data)
    if data is not None:
        raise ValueError(
            f"data is used for the path of an RBM without base or sampler only, got it with {protocols.name_of(energy)}"
        )
    if isinstance(energy, GaussianRBM) and sampler is None and base is None:
        return GaussianRBMPath(energy, beta)
    if energy.domain in protocols.CONTINUOUS:
        return BridgePath(energy, beta, base, sampler, entropy)
    if base is not None:
        raise ValueError(f"base is for continuous energies; a discrete one starts at beta = 0, got {base!r}")
    return SitePath(energy, beta, sampler)


class SitePath:
    """From uniform to any discrete energy at beta, through all temperatures between."""

    def __init__(self, energy: Any, beta: float, sampler: Sampler | None = None) -> None:
        self.energy, self.beta, self.sampler = energy, beta, Gibbs() if sampler is None else sampler
        self.settings = self.sampler.settings(energy, 0)
        self.values, self.sites = protocols.values(energy), int(np.prod(energy.shape))
        self.log_z_start = float(self.sites * np.log(len(self.values)))

    def times(self, steps: int) -> np.ndarray:
        """Return times that are evenly spaced."""
        return np.linspace(0.0, 1.0, steps + 1)

    def start(self, chains: int, rng: np.random.Generator, entropy: int) -> State:
        """Return uniform configurations."""
        x = rng.choice(self.values, (chains, self.sites))
        state = {"x": x, "beta": np.zeros(chains), "stream": random.make_streams(entropy, chains)}
        return {**state, "log_weight": np.zeros(chains)}

    def anneal(self, state: State, times: np.ndarray, forward: bool) -> None:
        """Reweight and sweep; the reverse of a sweep visits the sites in the reverse order."""
        settings = self.settings if forward else self.sampler.backwards(self.settings)
        self.sampler.start(self.energy, state)  # x may have been replaced
        for old, new in pairwise(times):
            state["log_weight"] += self._log_f(state["x"], new) - self._log_f(state["x"], old)
            if new > 0:
                self._move(state, new, 1, settings)

    def _log_f(self, x: np.ndarray, t: float) -> np.ndarray:
        # Uniform at t = 0 whatever the energy says: hidden units, once summed out, leave a constant there.
        if t == 0:
            return np.zeros(len(x))
        return -protocols.reduced(self.energy, x, np.full(len(x), t * self.beta))

    def equilibrate(self, state: State, sweeps: int) -> None:
        """Sweep at beta."""
        self.sampler.start(self.energy, state)
        self._move(state, 1.0, sweeps, self.settings)

    def _move(self, state: State, t: float, sweeps: int, settings: tuple) -> None:
        state["beta"][:] = t * self.beta
        if "u" in state:
            self.sampler.retemper(self.energy, state, np.arange(len(state["x"])))
        acceptance = self.sampler.advance(self.energy, state, settings, 1, sweeps)
        if not np.isfinite(acceptance).all():
            raise SamplingError(
                f"the energy of {protocols.name_of(self.energy)} is not a number at beta = {t * self.beta:.4g}"
            )


class RBMPath:
    """From independent pixels to an RBM at beta; hidden units are summed out at every step.

    ln f_t(v) = ((1-t) a + t beta b).v + sum_j ln(1 + exp(t beta theta_j)) with theta = c + v W.

    Args:
        rbm: the RBM.
        beta: inverse temperature at the end of the path.
        data: configurations whose mean sets the biases a; without them a = 0, which starts further away.
    """

    def __init__(self, rbm: RBM, beta: float, data: np.ndarray | None) -> None:
        self.rbm, self.beta = rbm, beta
        self.start_bias = np.zeros(rbm.n_visible)
        if data is not None:
            x = protocols.check_configurations(data, rbm, "data")
            if not len(x):
                raise ValueError("data must hold at least one configuration, got none")
            mean = (x.sum(0) + 1.0) / (len(x) + 2.0)  # one more of each value: no pixel is impossible
            self.start_bias = np.log(mean) - np.log1p(-mean)
        self.log_z_start = float(np.logaddexp(0.0, self.start_bias).sum() + rbm.n_hidden * np.log(2.0))

    def times(self, steps: int) -> np.ndarray:
        """Return times that are denser towards 1: 1 - (1 - s)^2 with s evenly spaced."""
        return late_times(steps)

    def start(self, chains: int, rng: np.random.Generator, entropy: int) -> State:
        """Return independent pixels."""
        p = 1.0 / (1.0 + np.exp(-self.start_bias))
        x = (rng.random((chains, len(p))) < p).astype(self.rbm.W.dtype)
        return {"x": x, "stream": random.make_streams(entropy, chains), "log_weight": np.zeros(chains)}

    def anneal(self, state: State, times: np.ndarray, forward: bool) -> None:
        """Reweight and move; one product v W serves both."""
        W, c = self.rbm.W, self.rbm.c
        b, a, beta = self.rbm.b.astype(np.float64), self.start_bias, self.beta
        slope = (beta * b - a).astype(W.dtype)

        def part(rows: slice) -> None:
            v, stream, log_weight = state["x"][rows], state["stream"][rows], state["log_weight"][rows]
            h, scale = np.empty((len(v), len(c)), W.dtype), np.empty(len(v))
            for old, new in pairwise(times):
                np.matmul(v, W, out=h)
                log_weight += (new - old) * (v @ slope)
                reweight(h, c, old * beta, new * beta, log_weight)
                if new == 0:
                    continue
                scale[:] = new * beta
                draw_units(h, c, scale, stream)
                np.matmul(h, W.T, out=v)
                draw_units(v, (((1 - new) * a + new * beta * b) / (new * beta)).astype(W.dtype), scale, stream)

        over_rows(part, len(state["x"]))

    def equilibrate(self, state: State, sweeps: int) -> None:
        """Draw both layers by turns at beta."""
        x = state["x"].astype(np.int8)
        self.rbm.block_gibbs(x, np.full(len(x), self.beta), state["stream"], sweeps)
        state["x"][...] = x


class GaussianRBMPath:
    """From independent normal units to a Gaussian RBM at beta: the hidden layer is coupled in step by step.

    ln f_t(v) = -beta sum (v - b)^2 / 2 sigma^2 + sum_j ln(1 + exp(t beta theta_j)) with theta = c + (v / sigma^2) W.
    """

    def __init__(self, rbm: GaussianRBM, beta: float) -> None:
        self.rbm, self.beta = rbm, beta
        self.sigma = rbm.sigma.astype(np.float64)
        normal = np.log(2 * np.pi * self.sigma**2 / beta).sum() / 2
        self.log_z_start = float(normal + rbm.n_hidden * np.log(2.0))

    def times(self, steps: int) -> np.ndarray:
        """Return times that are denser towards 1: 1 - (1 - s)^2 with s evenly spaced."""
        return late_times(steps)

    def start(self, chains: int, rng: np.random.Generator, entropy: int) -> State:
        """Return independent normal units."""
        x = self.rbm.b + self.sigma / np.sqrt(self.beta) * rng.standard_normal((chains, len(self.sigma)))
        return {"x": x, "stream": random.make_streams(entropy, chains), "log_weight": np.zeros(chains)}

    def anneal(self, state: State, times: np.ndarray, forward: bool) -> None:
        """Reweight and move; one product serves both."""
        rbm, beta = self.rbm, self.beta

        def part(rows: slice) -> None:
            v, stream, log_weight = state["x"][rows], state["stream"][rows], state["log_weight"][rows]
            h, scale = np.empty((len(v), rbm.n_hidden), rbm.W.dtype), np.full(len(v), beta)
            for old, new in pairwise(times):
                np.matmul((v / self.sigma**2).astype(rbm.W.dtype), rbm.W, out=h)
                reweight(h, rbm.c, old * beta, new * beta, log_weight)
                if new > 0:
                    draw_units(h, rbm.c, new * scale, stream)
                    mean = rbm.W.dtype.type(new) * (h @ rbm.W.T)
                    draw_normal(mean, rbm.b, rbm.sigma, scale, stream, v)

        over_rows(part, len(state["x"]))

    def equilibrate(self, state: State, sweeps: int) -> None:
        """Draw both layers by turns at beta."""
        self.rbm.block_gibbs(state["x"], np.full(len(state["x"]), self.beta), state["stream"], sweeps)


def late_times(steps: int) -> np.ndarray:
    """Return 1 - (1 - s)^2 with s evenly spaced from 0 to 1."""
    # A trained machine mixes slowest at the end: with even times half of the variance of the weights came from the last
    # twentieth of them (RBM of 300 hidden units, handwritten digits).
    return 1.0 - np.linspace(1.0, 0.0, steps + 1) ** 2
