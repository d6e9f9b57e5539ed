"""Single-spin Metropolis on |psi|^2 of a real restricted Boltzmann machine: netket."""

import itertools
from functools import partial
from typing import Any

import numpy as np
from timing import Line, Missing, Side, compare, same

import ebm
import samplers

CHECK_CHAINS, CHECK_SWEEPS = 128, 400  # at N = 400 the chains take a hundred sweeps to settle
CHAINS = 1024  # of ours; of the peer, what is fastest


def parameters(sites: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of a wavefunction N = M: W (N, M), visible biases a, hidden biases b."""
    rng = np.random.default_rng(0)
    return rng.normal(scale=0.05, size=(sites, sites)), rng.normal(scale=0.05, size=sites), np.full(sites, 0.05)


class NetKet:
    """netket's MetropolisLocal on nk.models.RBM(alpha=1).

    Each proposal runs the whole network, in one compiled scan over all chains; what matters is the number of chains and
    the precision. float32 parameters and int8 or float32 spins are the fastest, 256 chains about the best; chunks only
    save memory. Those settings are tried.
    """

    def __init__(self, sites: int, chains: int, dtype: str) -> None:
        import jax
        import jax.numpy as jnp
        import netket as nk

        W, a, b = parameters(sites)
        self.sites, self.chains, self.dtype = sites, chains, dtype
        self.machine = nk.models.RBM(alpha=1, param_dtype=np.float32)
        self.variables = {
            "params": {
                "Dense": {"kernel": jnp.asarray(W, jnp.float32), "bias": jnp.asarray(b, jnp.float32)},
                "visible_bias": jnp.asarray(a, jnp.float32),
            }
        }
        self.sampler = nk.sampler.MetropolisLocal(nk.hilbert.Spin(0.5, sites), n_chains=chains, dtype=np.dtype(dtype))
        self.state = self.sampler.init_state(self.machine, self.variables, seed=1)
        self.state = self.sampler.reset(self.machine, self.variables, self.state)
        self.block_until_ready = jax.block_until_ready

    def run(self, sweeps: int) -> np.ndarray:
        """Run sweeps of `sites` proposals a chain; return the last configurations."""
        x, self.state = self.sampler.sample(self.machine, self.variables, state=self.state, chain_length=sweeps)
        return np.asarray(self.block_until_ready(x))[:, -1]

    def side(self) -> Side:
        """One setting; units are proposals. A call is 10 sweeps, so that one program is compiled."""

        def work(n: int) -> float:
            for _ in range(n):
                self.run(10)
            return float(n * 10 * self.chains * self.sites)

        return Side(f"netket ({self.chains} chains, float32, {self.dtype} spins)", work)


def _sample(energy: Any, chains: int, sweeps: int, keep_x: bool) -> samplers.Chains:
    return samplers.sample(
        energy, samplers.Metropolis(), chains=chains, draws=1, thin=sweeps, warmup=0, seed=1, keep_x=keep_x,
        progress=False,
    )  # fmt: skip


def wavefunction(sites: int, goal: float) -> Line:
    """One line; the check compares the energies -ln |psi|^2 of both sides' last states."""
    if "RBMWaveFunction" not in dir(ebm):
        raise Missing("ebm.RBMWaveFunction")
    energy = ebm.RBMWaveFunction(*parameters(sites))
    mine = np.asarray(_sample(energy, CHECK_CHAINS, CHECK_SWEEPS, True).x)[:, 0]
    peer = NetKet(sites, CHECK_CHAINS, "int8")
    for _ in range(CHECK_SWEEPS // 10):
        theirs = peer.run(10)
    check = same("-ln |psi|^2", log_psi(sites, mine) * -2.0, log_psi(sites, theirs) * -2.0)
    settings = itertools.product((16, 256, 1024), ("int8", "float32"))
    sides = [NetKet(sites, chains, dtype).side() for chains, dtype in settings]

    def work(n: int) -> float:
        _sample(energy, CHAINS, n, False)
        return float(n * CHAINS * sites)

    ours = Side("ebmlab", work)
    return compare(f"RBM wavefunction, N = M = {sites}", "proposals/s", goal, [ours], sides, [check])


def log_psi(sites: int, x: np.ndarray) -> np.ndarray:
    """ln psi = a.s + sum_j ln cosh(b_j + (s W)_j), written once more for the check."""
    W, a, b = parameters(sites)
    theta = np.abs(x @ W + b)
    return x @ a + (theta + np.log1p(np.exp(-2.0 * theta)) - np.log(2.0)).sum(1)


LINES = {
    "wavefunction-100": partial(wavefunction, 100, 20.0),
    "wavefunction-400": partial(wavefunction, 400, 60.0),
}
