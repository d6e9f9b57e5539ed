"""Is learning in equilibrium? The memory of the model's chains beside the sweeps that the objective lets them make.

Chains of k sweeps give the model's term of the gradient only if they forget where they began: k must be well above the
integrated autocorrelation time tau = 1 + 2 sum rho, in sweeps. Below it, what is learned is not the energy of the data
but a process that makes something like them in k sweeps (Nijkamp et al. 2020; Decelle, Furtlehner, Seoane 2021): its
long-run chains leave the data, and log Z and likelihoods mean nothing.
"""

import hashlib
import math
import warnings
from typing import Any

import numpy as np

from ebm.contrastive import check_moved
from ebm.history import ROWS, Record
from ebm.objectives import Learnable
from ebm.products import one_blas_thread
from samplers import protocols
from samplers.autocorrelation import AutocorrelationTime, integrated_autocorrelation_time
from samplers.gibbs import Gibbs
from samplers.run import check_init, check_sampler, start
from samplers.sampler import Sampler

BLOCK_BYTES = 8 * 2**20  # configurations that are held at a time
CLEARLY = 2.0  # standard errors by which tau must exceed k


class EquilibriumWarning(RuntimeWarning):
    """Learning is out of equilibrium, or the monitor's chains are too short to tell."""


class Equilibrium:
    """A monitor for `ebm.fit(..., measure=...)`: after an epoch it runs chains of the energy and compares tau with k.

    The record has "tau", that of the slowest of the energy and the projection on the data's first principal component,
    "tau_error" (inf: the chains are too short to tell, and tau is mostly too low; nan: they stand still) and
    "tau_over_k". If that is above one, by more than two errors, an EquilibriumWarning says what to do; once. What no
    chain visits is not seen: give data of all kinds. The chains have streams of their own, which follow from the seed
    and the parameters alone: learning keeps its bits.

    Args:
        k: sweeps that the objective's chains have: k of ContrastiveDivergence; of persistent chains those during which
            the parameters hardly change, for instance k times the batches of an epoch at a small learning_rate.
        sampler: the objective's sampler, of whose steps nothing adapts; default Gibbs(). For ParallelTemperingCD
            samplers.ParallelTempering(sampler, betas).
        data: configurations (n, *shape) at which chains start, and which give the component; default: random starts.
        chains: number of chains.
        sweeps: length of each, after a quarter more that is not looked at; 50 tau or more tell tau.
        every: epochs between two measurements, by the calls of this object; nan in between.
        seed: of the chains.

    Raises:
        ValueError: an argument is not a positive integer, or data is empty.

    Example:
        >>> import ebm
        >>> rbm = ebm.RBM(3, 2, seed=0)
        >>> Equilibrium(5, sweeps=400)(rbm)["tau_over_k"] < 1.0
        True
    """

    def __init__(
        self,
        k: int,
        *,
        sampler: Sampler | None = None,
        data: np.ndarray | None = None,
        chains: int = 20,
        sweeps: int = 1000,
        every: int = 1,
        seed: int = 0,
    ) -> None:
        for value, name in ((k, "k"), (chains, "chains"), (sweeps, "sweeps"), (every, "every")):
            protocols.check_positive(value, name, integer=True)
        protocols.check_positive(seed, "seed", integer=True, zero=True)
        self.k, self.chains, self.sweeps, self.every, self.seed = k, chains, sweeps, every, seed
        self.sampler = Gibbs() if sampler is None else sampler
        self._rows = self._component = None
        if data is not None:
            self._rows, self._component = _principal(np.asarray(data), np.random.default_rng(seed))
        self._calls, self._warned = 0, set[str]()

    def __call__(self, energy: Any) -> Record:
        """Return tau, its error and tau / k of the energy as it is now, or nan between two measurements.

        Raises:
            TypeError: the sampler does not fit the energy, or a score is to be measured without data.
            SamplingError: a chain diverged.
        """
        self._calls += 1
        if (self._calls - 1) % self.every:
            return dict.fromkeys(("tau", "tau_error", "tau_over_k"), math.nan)
        if not isinstance(energy, Learnable):
            raise TypeError(f"Equilibrium needs an energy that learns, got {protocols.name_of(energy)}")
        check_sampler(energy, self.sampler)
        self.sampler.check_run(energy, 0, 1.0)
        if self._rows is None and not protocols.has_energy(energy):
            raise TypeError(f"Equilibrium needs data for {protocols.name_of(energy)}, a score without energies")
        name, tau, error = self._slowest(self._run(energy))
        self._judge(name, tau, error)
        return {"tau": tau, "tau_error": error, "tau_over_k": tau / self.k}

    def _run(self, energy: Any) -> dict[str, np.ndarray]:
        """Return each observable along the chains, (chains, sweeps)."""
        entropy, begin = self._entropy(energy), None
        if self._rows is not None:
            chosen = np.random.default_rng(entropy).integers(0, len(self._rows), self.chains)
            begin = check_init(self._rows[chosen], energy, self.chains)
        state = start(energy, self.sampler, begin, self.chains, 1.0, entropy)
        settings, done = self.sampler.settings(energy, 0), -(self.sweeps // 4)
        sites = state["x"].shape[1]
        block = max(1, BLOCK_BYTES // (self.chains * sites * state["x"].itemsize))
        parts: dict[str, list[np.ndarray]] = {}
        while done < self.sweeps:
            draws = min(block, (0 if done < 0 else self.sweeps) - done)
            out = np.empty((self.chains, draws, sites), state["x"].dtype)
            check_moved(self.sampler, state, self.sampler.advance(energy, state, settings, draws, 1, out))
            if done >= 0:
                for name, values in self._observed(energy, out.reshape(-1, sites)).items():
                    parts.setdefault(name, []).append(values.reshape(self.chains, draws))
            done += draws
        return {name: np.concatenate(values, axis=1) for name, values in parts.items()}

    def _observed(self, energy: Any, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return the observables of configurations (n, sites), (n,) each."""
        observed = {}
        if protocols.has_energy(energy):
            observed["the energy"] = np.asarray(energy(x.reshape(-1, *energy.shape)), np.float64)
        if self._component is not None:
            with one_blas_thread():
                observed["the data's first component"] = x @ self._component
        return observed

    def _entropy(self, energy: Any) -> int:
        """Return what the streams grow from: not the epoch, which a resumed run would have to remember."""
        digest = hashlib.sha256(b"".join(array.tobytes() for array in energy.learnable().values())).digest()
        mixed = np.random.SeedSequence([self.seed, int.from_bytes(digest[:8], "little")])
        return int(mixed.generate_state(1, np.uint64)[0])

    def _slowest(self, observed: dict[str, np.ndarray]) -> tuple[str, float, float]:
        """Return the name, tau and error of the slowest observable; the error is inf if that of any is.

        An observable without a tau, a constant, is left out while another one moves.
        """
        times: dict[str, AutocorrelationTime] = {}
        for name, values in observed.items():
            time = integrated_autocorrelation_time(values)
            if not math.isnan(time.tau):
                times[name] = time
        if not times:
            return next(iter(observed)), math.nan, math.nan
        name = max(times, key=lambda n: times[n].tau)
        unknown = any(math.isinf(time.error) for time in times.values())
        return name, times[name].tau, math.inf if unknown else times[name].error

    def _judge(self, name: str, tau: float, error: float) -> None:
        if math.isfinite(error) and tau - CLEARLY * error > self.k:
            self._warn("out", f"tau of {name} is {tau:.3g} +- {error:.2g} sweeps")
        elif math.isinf(error) and tau > self.k:
            self._warn("out", f"tau of {name} is at least about {tau:.3g} sweeps")
        elif not math.isfinite(error):
            self._warn("short", "")

    def _warn(self, kind: str, what: str) -> None:
        if kind in self._warned:
            return
        self._warned.add(kind)
        if kind == "out":
            message = (
                f"learning is out of equilibrium: {what}, and k is {self.k}. More sweeps are needed (k), chains that "
                "cross barriers (ParallelTemperingCD), or a smaller learning_rate"
            )
        else:
            message = (
                f"{self.chains} chains of {self.sweeps} sweeps are too short, or stand still: they cannot tell whether "
                f"learning with k = {self.k} is in equilibrium. More sweeps are needed (of Equilibrium)"
            )
        warnings.warn(message, EquilibriumWarning, stacklevel=4)


def _principal(data: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return some rows of the data, and the first principal component of these, (sites,)."""
    if data.ndim < 2 or not data.size:
        raise ValueError(f"data must have shape (n, *shape) with at least one configuration, got {data.shape}")
    rows = data[rng.permutation(len(data))[:ROWS]]
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    with one_blas_thread():
        return rows, np.linalg.svd(flat - flat.mean(0), full_matrices=False)[2][0]
