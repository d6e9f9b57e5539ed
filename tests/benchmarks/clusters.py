"""Cluster updates at T_c: peapods' Swendsen-Wang, by effective samples of |m| a second."""

from functools import partial
from typing import Any

import numpy as np
from lattices import BETA_C, peapods_model, peapods_sweeps
from timing import Check, Line, Missing, Side, compare

import ebm
import samplers

SIDE, CHAINS = 256, 2
WARM, DRAWS = 300, 2000  # steps of each chain
Tau = samplers.AutocorrelationTime


class Series:
    """Energies a spin and |m| of a run, (chains, draws)."""

    def __init__(self, energy: np.ndarray, magnetisation: np.ndarray) -> None:
        self.energy, self.magnetisation = energy, magnetisation
        self.tau = samplers.integrated_autocorrelation_time(magnetisation)

    def check(self, who: str) -> Check:
        """Check the mean energy at T_c against Kaufman's."""
        exact, tau = ebm.exact.kaufman_energy(SIDE, BETA_C), samplers.integrated_autocorrelation_time(self.energy)
        error = float(self.energy.std() * np.sqrt(tau.tau / self.energy.size))
        z = (float(self.energy.mean()) - exact) / error
        right = bool(abs(z) < 5.0)
        return Check(
            right,
            f"{who} e {self.energy.mean():.4f}, exact {exact:.4f} ({z:+.1f} sigma{'' if right else ', WRONG'}), "
            f"tau of |m| {self.tau.tau:.2f} +- {self.tau.error:.2f} steps",
        )


def ours(sampler: samplers.Sampler, sweeps: int) -> tuple[Side, Series]:
    """Our sampler; a step is `sweeps` of its updates."""
    energy = ebm.Ising((SIDE, SIDE))
    # From the ordered lattice: clusters of a random start are small, and Wolff's take thousands of steps to grow.
    begin = np.ones((CHAINS, SIDE, SIDE), np.int8)
    settings: dict[str, Any] = {"chains": CHAINS, "beta": BETA_C, "keep_x": False, "progress": False, "init": begin}
    chains = samplers.sample(
        energy, sampler, draws=DRAWS, warmup=WARM, thin=sweeps, seed=1,
        observables={"m": ebm.absolute_magnetisation}, **settings,
    )  # fmt: skip
    series = Series(np.asarray(chains.energy) / SIDE**2, np.asarray(chains.observables["m"]))

    def work(n: int) -> float:
        samplers.sample(energy, sampler, draws=1, warmup=WARM, thin=n * sweeps, seed=2, **settings)
        return n * CHAINS / series.tau.tau

    return Side("ebmlab", work), series


def peapods() -> tuple[Side, Series]:
    """peapods' Swendsen-Wang, a cluster update after each Metropolis sweep: it cannot leave the sweep out.

    Two temperatures alike, a thread each (measured: about 1.4 times one). tau comes from steps called one by one.
    """
    model = peapods_model((SIDE, SIDE), None, CHAINS, BETA_C)
    swendsen_wang = {"cluster_update_interval": 1, "cluster_mode": "sw"}
    peapods_sweeps(model, WARM, **swendsen_wang)
    energies, squares = np.empty((CHAINS, DRAWS)), np.empty((CHAINS, DRAWS))
    for k in range(DRAWS):
        result = peapods_sweeps(model, 1, measured=1, **swendsen_wang)
        energies[:, k], squares[:, k] = result["energies"], result["mags2"]
    series = Series(-energies, np.sqrt(squares))

    def work(n: int) -> float:
        peapods_sweeps(model, n, **swendsen_wang)
        return n * CHAINS / series.tau.tau

    return Side("peapods (Swendsen-Wang and a Metropolis sweep)", work), series


def cluster(name: str, sweeps: int) -> Line:
    """One of our cluster samplers beside peapods' Swendsen-Wang."""
    if not hasattr(samplers, name):
        raise Missing(f"samplers.{name}")
    mine, my_series = ours(getattr(samplers, name)(), sweeps)
    theirs, their_series = peapods()
    return compare(
        f"{name}, L = {SIDE}, T_c, {CHAINS} chains", "ESS of |m|/s", 3.0, [mine], [theirs],
        [my_series.check("ours"), their_series.check("peapods")], note=f"a step of ours is {sweeps} sweeps",
    )  # fmt: skip


LINES = {"wolff": partial(cluster, "Wolff", 4), "swendsen-wang": partial(cluster, "SwendsenWang", 1)}
