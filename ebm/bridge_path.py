"""The annealing path of continuous energies: straight from a base to the energy, moved by any exact sampler.

The size of its steps must not depend on the chains that are weighed, or the kernel would not leave p_t invariant. So it
is learned by a pilot of its own, once for the whole path, and then is a fixed function of t.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from ebm.bridge import Bridge, base_of, check_kernel, default_sampler
from ebm.gaussian import Gaussian
from samplers import protocols, random
from samplers.blocks import SamplingError
from samplers.sampler import Sampler, State

PILOT_CHAINS, PILOT_STEPS, LEARNING = 64, 200, 0.5
SETTLE = 30  # sweeps of the pilot at t = 0, by which it finds its first step


class BridgePath:
    """From a base to a continuous energy: ln f_t = -(1 - t) u_base - t u(., beta).

    Args:
        energy: the energy.
        beta: inverse temperature at the end of the path.
        base: energy with `log_z` and `sample`; None fits a normal law to a short run.
        sampler: what moves the chains; None is HMC, or a random walk where there is no gradient.
        entropy: seed of the pilot runs.
    """

    def __init__(self, energy: Any, beta: float, base: Any, sampler: Sampler | None, entropy: int) -> None:
        self.sampler = default_sampler(energy) if sampler is None else sampler
        check_kernel(self.sampler, energy)
        self.bridge = Bridge(base_of(energy, beta, base, self.sampler, entropy), energy, beta)
        self.settings = self.sampler.settings(self.bridge, 0)
        self.log_z_start = float(self.bridge.base.log_z(1.0))
        self._at, self._log_step = np.array([0.0]), np.log([getattr(self.sampler, "step_size", 1.0)])
        if getattr(self.sampler, "target_acceptance", None) is not None:
            self._tune(float(self.sampler.target_acceptance), entropy)  # type: ignore[attr-defined]

    def times(self, steps: int) -> np.ndarray:
        """Return times that are evenly spaced."""
        return np.linspace(0.0, 1.0, steps + 1)

    def start(self, chains: int, rng: np.random.Generator, entropy: int) -> State:
        """Return independent draws of the base."""
        x = self.bridge.base.sample(chains, int(rng.integers(2**63))).reshape(chains, -1)
        state = {"x": np.ascontiguousarray(x), "beta": np.ones(chains), "stream": random.make_streams(entropy, chains)}
        return {**state, "log_weight": np.zeros(chains)}

    def anneal(self, state: State, times: np.ndarray, forward: bool) -> None:
        """Reweight and move; the moves are in detailed balance, or run backwards."""
        self._start(state)  # x may have been replaced
        for old, new in pairwise(times):
            first, second = self.bridge.ends(state["x"])
            state["log_weight"] -= (new - old) * (second - first)
            if new > 0:
                self._move(state, new, 1, forward)

    def equilibrate(self, state: State, sweeps: int) -> None:
        """Move at t = 1."""
        self._start(state)
        self._move(state, 1.0, sweeps, True)

    def _start(self, state: State) -> None:
        self.sampler.start(self.bridge, state)
        if "inverse_mass" in state and isinstance(self.bridge.base, Gaussian):
            state["inverse_mass"][:] = np.diag(self.bridge.base.covariance)

    def _move(self, state: State, t: float, sweeps: int, forward: bool) -> np.ndarray:
        """Sweep all chains at t with its fixed step; return their mean acceptance."""
        state["beta"][:] = 1.0 + t
        if "step_size" in state:
            state["step_size"][:] = np.exp(np.interp(t, self._at, self._log_step))
        self.sampler.retemper(self.bridge, state, np.arange(len(state["x"])))
        settings = self.settings if forward else self.sampler.backwards(self.settings)
        acceptance = self.sampler.advance(self.bridge, state, settings, 1, sweeps)[:, 0] / sweeps
        if not np.isfinite(acceptance).all():
            chain = int(np.argmax(~np.isfinite(acceptance)))
            raise SamplingError(
                f"chain {chain} of the annealing failed at t = {t:.4g}: the energy of {protocols.name_of(self.bridge)} "
                f"is not a number near x = {state['x'][chain][:5]}"
            )
        return acceptance

    def _tune(self, target: float, entropy: int) -> None:
        """Learn the step at all times from a pilot that follows the path: too few accepted, a smaller step."""
        rng = np.random.default_rng([entropy, 1])
        state = self.start(PILOT_CHAINS, rng, int(rng.integers(2**63)))
        self._start(state)
        times = np.concatenate((np.zeros(SETTLE), np.linspace(0.0, 1.0, PILOT_STEPS)))
        log_steps = np.empty(len(times))
        for k, t in enumerate(times):
            log_steps[k] = self._log_step[0]
            accepted = self._move(state, t, 1, True).mean()
            self._log_step = self._log_step + LEARNING * (accepted - target)
        # A step of the pilot is as noisy as its last answer: the path takes the mean over neighbours.
        smooth = np.convolve(log_steps[SETTLE:], np.ones(9) / 9, "valid")
        self._at, self._log_step = times[SETTLE + 4 : len(times) - 4], smooth
