"""Our compiled chains as a sampler of NetKet's: what MetropolisLocal and MetropolisExchange do, from kept fields.

NetKet evaluates the whole network at every proposal; here a proposal costs one pass over the hidden units. The chains
are those of `samplers`, on host arrays: NetKet calls a sampler outside of jit, and so must anybody else. The beginning
of a call takes as long as thousands of proposals, so the state stays in numpy's arrays between calls, and what was
compiled of the parameters is kept until they are others.
"""

import operator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from netket.sampler import Sampler, SamplerState
from netket.utils import struct

from ebm.quantum.wave_function import Compiled, check_finite, check_hilbert, compiled_rbm
from samplers import Metropolis, ParallelTempering, SamplingError, protocols
from samplers.replicas import PREFIX


class NumbaMetropolisState(SamplerState):
    """Where the chains are: a pytree of numpy arrays, which NetKet and flax can store.

    Attributes:
        σ: configurations at every rung of each chain's ladder, (chains, rungs, spins); one rung without tempering.
        rng: the random stream of each chain, (chains, 4).
        sweeps: sweeps done, which say whose turn it is to swap.
        n_steps_proc, n_accepted_proc: proposals and accepted ones since the last reset, the latter of each chain.
    """

    σ: np.ndarray
    rng: np.ndarray
    sweeps: np.int64
    n_steps_proc: np.int64
    n_accepted_proc: np.ndarray

    def __init__(self, σ: Any, rng: Any) -> None:
        self.σ, self.rng = σ, rng
        self.sweeps = self.n_steps_proc = np.int64(0)
        self.n_accepted_proc = np.zeros(len(σ), np.int64)
        super().__init__()

    @property
    def n_steps(self) -> np.int64:
        """Proposals of all chains since the last reset."""
        return self.n_steps_proc

    @property
    def n_accepted(self) -> np.int64:
        """Accepted proposals of all chains since the last reset."""
        return self.n_accepted_proc.sum()

    @property
    def acceptance(self) -> np.float64 | None:
        """The share of accepted proposals since the last reset, at the rung of the draws; None before the first."""
        return self.n_accepted / self.n_steps if self.n_steps else None


class _Last(NamedTuple):
    """The model and parameters of the last call, and what was compiled of them."""

    model: Any
    leaves: list
    structure: Any
    psi: Compiled | None


_last = _Last(None, [], None, None)


def _compiled(model: Any, parameters: Any) -> Compiled | None:
    """Return the compiled twin of an RBM: that of the last call if the model and the arrays are the very same objects.

    Only JAX's arrays cannot have changed since.
    """
    global _last
    leaves, structure = jax.tree_util.tree_flatten(parameters)
    last = _last
    if last.model is model and last.structure == structure and all(map(operator.is_, last.leaves, leaves)):
        return last.psi
    check_finite(parameters)
    psi = compiled_rbm(model, parameters)
    if all(isinstance(leaf, jax.Array) for leaf in leaves):
        _last = _Last(model, leaves, structure, psi)
    return psi


def _check_host(*arrays: Any) -> None:
    if any(isinstance(array, jax.core.Tracer) for array in arrays):
        raise TypeError("NumbaMetropolis runs on the host and cannot be called within jax.jit or jax.vmap")


def _words(words: Any, chains: int) -> np.ndarray:
    """Return two sets of streams of as many chains, (2, chains, 4), that grow from other random words."""
    sequence = np.random.SeedSequence(np.asarray(words).reshape(-1).tolist())
    return sequence.generate_state(8 * chains, np.uint64).reshape(2, chains, 4)


class NumbaMetropolis(Sampler):
    """A NetKet sampler that runs `samplers.Metropolis`, or parallel tempering of it, on RBMs (nk.models.RBM).

    In the place of nk.sampler.MetropolisLocal (move "single") or MetropolisExchange ("exchange", of any two spins).
    Sites are visited in order, where NetKet draws them at random; both leave |psi|^2 as it is. The parameters of the
    RBM are real or complex.

    Args:
        hilbert: nk.hilbert.Spin(0.5, n); with a fixed total_sz the move must be "exchange".
        move: "single", "exchange", or None: what fits the space.
        betas: temperatures of parallel tempering, rising: rungs follow |psi|^(2 beta), and samples come from the rung
            beta = machine_pow / 2, which must be among them. None: no tempering.
        n_chains: number of chains.
        sweep_size: proposals between two samples, a multiple of n; default n.
        reset_chains: whether to start anew at each reset.
        machine_pow: the samples are distributed as |psi|^machine_pow.
        dtype: of the samples; default int8.

    Raises:
        TypeError: the space is not of spins 1/2, single flips would leave it, or `dtype` cannot hold -1; when sampling,
            the model is not an RBM, or the call comes from within jit.
        ValueError: an argument is out of range; when sampling, parameters are not finite.

    Example:
        >>> import netket as nk
        >>> hilbert = nk.hilbert.Spin(0.5, 8)
        >>> state = nk.vqs.MCState(NumbaMetropolis(hilbert), nk.models.RBM(), n_samples=64, seed=1)
        >>> state.samples.shape
        (16, 4, 8)
    """

    n_chains: int = struct.field(pytree_node=False, default=16)
    sweep_size: int = struct.field(pytree_node=False, default=1)
    reset_chains: bool = struct.field(pytree_node=False, default=False)
    move: str = struct.field(pytree_node=False, default="single")
    betas: tuple[float, ...] | None = struct.field(pytree_node=False, default=None)

    def __init__(
        self, hilbert: Any, *, move: str | None = None, betas: Any = None, n_chains: int = 16,
        sweep_size: int | None = None, reset_chains: bool = False, machine_pow: float = 2.0, dtype: Any = np.int8,
    ) -> None:  # fmt: skip
        check_hilbert(hilbert)
        move = ("exchange" if hilbert.constrained else "single") if move is None else move
        if move not in ("single", "exchange"):
            raise ValueError(f'move must be "single" or "exchange", got {move!r}')
        if hilbert.constrained and move == "single":
            raise TypeError(
                f'move must be "exchange" where total_sz is fixed, since flips leave {hilbert}; got "single"'
            )
        sweep_size = hilbert.size if sweep_size is None else sweep_size
        protocols.check_positive(n_chains, "n_chains", integer=True)
        protocols.check_positive(sweep_size, "sweep_size", integer=True)
        protocols.check_positive(machine_pow, "machine_pow")
        if sweep_size % hilbert.size:
            raise ValueError(f"sweep_size must be a multiple of the {hilbert.size} spins, got {sweep_size}")
        if np.dtype(dtype).kind not in "if":
            raise TypeError(f"dtype must be a signed integer or real type, which holds -1, got {np.dtype(dtype)}")
        super().__init__(hilbert, machine_pow=machine_pow, dtype=dtype)
        self.n_chains, self.sweep_size, self.reset_chains, self.move = n_chains, sweep_size, bool(reset_chains), move
        self.betas = None if betas is None else tuple(ParallelTempering(Metropolis(move), betas).betas)
        if self.betas is not None and machine_pow / 2.0 not in self.betas:
            raise ValueError(f"betas must contain machine_pow / 2 = {machine_pow / 2.0:g}, got {self.betas}")

    def _init_state(self, machine: Any, parameters: Any, seed: Any) -> NumbaMetropolisState:
        _check_host(seed)
        rng, key = jax.random.split(seed)
        return NumbaMetropolisState(self._fresh(key), _words(np.asarray(jax.random.key_data(rng)), self.n_chains)[0])

    def _fresh(self, key: Any) -> np.ndarray:
        """Return random configurations of the space, (chains, rungs, spins)."""
        rungs = 1 if self.betas is None else len(self.betas)
        return np.asarray(self.hilbert.random_state(key, (self.n_chains, rungs), dtype=np.int8))

    def _reset(self, machine: Any, parameters: Any, state: NumbaMetropolisState) -> NumbaMetropolisState:
        if self.reset_chains:
            rng, words = _words(state.rng, self.n_chains)
            state = state.replace(σ=self._fresh(jax.random.key(words[0, 0] >> np.uint64(1))), rng=rng)
        return state.replace(n_steps_proc=np.int64(0), n_accepted_proc=np.zeros(self.n_chains, np.int64))

    def _sample_chain(
        self, machine: Any, parameters: Any, state: NumbaMetropolisState, chain_length: int,
        return_log_probabilities: bool = False,
    ) -> Any:  # fmt: skip
        _check_host(state.σ, *jax.tree_util.tree_leaves(parameters))
        psi = _compiled(machine, parameters)
        if psi is None:
            raise TypeError(
                f"NumbaMetropolis needs an nk.models.RBM with log_cosh units, got {type(machine).__name__}: use "
                "nk.sampler.MetropolisLocal or MetropolisExchange, or samplers.sample(ebm.WaveFunction(...))"
            )
        if psi.shape != (self.hilbert.size,):
            raise ValueError(f"the model must have as many spins as the space, {self.hilbert.size}, got {psi.shape[0]}")
        x, last, rng, acceptance = self._run(psi, state, chain_length)
        thin, n = self.sweep_size // self.hilbert.size, self.hilbert.size
        state = state.replace(
            σ=last,
            rng=rng,
            sweeps=state.sweeps + chain_length * thin,
            n_steps_proc=state.n_steps_proc + self.n_chains * chain_length * self.sweep_size,
            n_accepted_proc=state.n_accepted_proc + np.rint(acceptance.sum(1) * n).astype(int),
        )
        samples = jnp.asarray(x.astype(self.dtype, copy=False))
        if return_log_probabilities:
            u = psi.reduced(x.reshape(-1, n), float(self.machine_pow) / 2.0)
            return (samples, jnp.asarray(-u.reshape(x.shape[:2]))), state
        return samples, state

    def _run(self, psi: Compiled, start: NumbaMetropolisState, draws: int) -> tuple[np.ndarray, ...]:
        """Return draws (chains, draws, spins), configurations at all rungs, streams, acceptances (chains, draws)."""
        ladders, rng = np.asarray(start.σ), np.array(start.rng)
        chains, rungs, n = ladders.shape
        beta, inner = float(self.machine_pow) / 2.0, Metropolis(self.move)
        streams = rng
        if self.betas is not None:  # replicas grow new streams at each call
            rng, streams = _words(rng, chains)
        state = {"x": ladders[:, 0].copy(), "beta": np.full(chains, beta), "stream": streams}
        sampler = inner if self.betas is None else ParallelTempering(inner, self.betas, adapt=False)
        sampler.start(psi, state)
        if self.betas is not None:  # replicas go on from where they were
            rows = {name.removeprefix(PREFIX): array for name, array in state.items() if name.startswith(PREFIX)}
            rows["x"][:] = ladders.reshape(-1, n)
            inner.start(psi, rows)
            state.update({PREFIX + name: array for name, array in rows.items()})
            state["sweep"][:] = int(start.sweeps)
        out = np.empty((chains, draws, n), np.int8)
        thin = self.sweep_size // n
        acceptance = sampler.advance(psi, state, sampler.settings(psi, 0), draws, thin, out)
        if not np.isfinite(acceptance).all():
            raise SamplingError(f"psi became NaN in chain {int(np.argmin(np.isfinite(acceptance).all(1)))}")
        if self.betas is None:
            return out, state["x"][:, None], rng, acceptance
        at = np.arange(chains)[:, None] * rungs + state["replica"]
        return out, state[PREFIX + "x"][at], rng, acceptance

    def __repr__(self) -> str:
        return (
            f"NumbaMetropolis(hilbert={self.hilbert}, move={self.move!r}, betas={self.betas}, "
            f"n_chains={self.n_chains}, sweep_size={self.sweep_size}, machine_pow={float(self.machine_pow):g})"
        )
