"""`sample`: one call from an energy and a sampler to chains, in memory or streamed to a file that survives anything."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from samplers import checkpoint, protocols, random
from samplers.blocks import Blocks, Memory, Observables, observe
from samplers.chains import Chains, from_arrays, load, variables
from samplers.identity import describe, differences
from samplers.initial import initial
from samplers.interrupt import InterruptFlag
from samplers.layout import Variable
from samplers.sampler import Sampler, State
from samplers.store import Store, StoredRun, StoreError, read


def sample(
    energy: Any,
    sampler: Sampler,
    *,
    chains: int = 4,
    draws: int = 1000,
    warmup: int = 500,
    thin: int = 1,
    beta: float = 1.0,
    init: np.ndarray | None = None,
    seed: int | None = None,
    observables: Observables | None = None,
    keep_x: bool = True,
    store: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Chains:
    """Sample p(x) = exp(-beta E(x)) / Z with several independent chains.

    The same seed gives the same bits with any number of threads, with or without a file, and however often the run was
    cut and resumed.

    Args:
        energy: anything with `shape`, `domain` and a call E(x): (n, *shape) -> (n,); see samplers.protocols.
        sampler: Metropolis, Gibbs, Wolff, SwendsenWang, Langevin, UnderdampedLangevin, SGLD, MALA, HMC,
            AnnealedLangevin or ParallelTempering(sampler, betas).
        chains: number of independent chains.
        draws: configurations kept a chain.
        warmup: sweeps before the first draw; the only ones in which step sizes adapt.
        thin: sweeps a draw.
        beta: inverse temperature 1 / T, positive (k_B = 1).
        init: starting configurations (chains, *shape); default: uniform for discrete sites and angles, N(0, 1)
            for real numbers.
        seed: non-negative integer; None takes one from the operating system and records it. Runs of different samplers
            with the same seed share their random numbers: give runs to be compared seeds of their own.
        observables: functions (n, *shape) -> (n,) recorded at every draw, by name.
        keep_x: whether configurations are kept; observables and energies are recorded either way.
        store: file to stream to (HDF5); without it the chains stay in memory.
        resume: go on with the file if it exists: finish it, extend it to more draws, or return it if it is complete.
        progress: show a progress bar on a terminal.

    Returns:
        Chains; with `store` their configurations are read lazily from the file.

    Raises:
        ValueError, TypeError: an argument is out of range, or the sampler does not fit the energy.
        SamplingError: a chain diverged, or its energy became NaN or infinite.
        StoreError: the file exists already (without `resume`), holds another run, or cannot be written.

    Example:
        >>> import ebm, samplers
        >>> chains = sample(ebm.DoubleWell(), samplers.MALA(), draws=100, beta=2.0, seed=1, progress=False)
        >>> chains
        Chains(4 chains, 100 draws, x (1,) real, beta 2)
    """
    _check(energy, sampler, chains, draws, warmup, thin, beta, seed, observables, resume, store)
    begin = None if init is None else check_init(init, energy, chains)
    entropy = random.fresh_entropy() if seed is None else int(seed)
    names = list(observables or {})
    story = describe(energy, sampler, begin, names, chains, warmup, thin, float(beta), entropy, keep_x)
    if store is not None and Path(store).exists():
        if not resume:
            raise StoreError(f"{store} exists already: choose another name, or resume=True to go on with it")
        _check_resume(read(store), story, draws, seed is None)  # only looks: a refusal changes nothing on disk
        file = Store.open(store)
        state, warmed = checkpoint.unpack(file.checkpoint)
        with file:
            complete = _run(energy, sampler, state, warmed, warmup, draws, thin, observables, file, progress)
    else:
        state = start(energy, sampler, begin, chains, float(beta), entropy)
        for name, function in (observables or {}).items():
            observe(name, function, state["x"].reshape(chains, *energy.shape))  # a fault shows before there is a file
        layout = _layout(energy, sampler, state, names, keep_x)
        story["domain"] = energy.domain
        if store is None:
            memory = Memory(chains, draws, layout)
            complete = _run(energy, sampler, state, 0, warmup, draws, thin, observables, memory, progress)
        else:
            with Store.create(store, chains, layout, story, checkpoint.pack(state, 0, draws)) as file:
                complete = _run(energy, sampler, state, 0, warmup, draws, thin, observables, file, progress)
    if not complete:
        _say_how_to_go_on(store)
        raise KeyboardInterrupt
    if store is not None:
        return load(store)
    return from_arrays(memory.arrays, layout, {**story, **checkpoint.settled(state)})


def _layout(energy: Any, sampler: Sampler, state: State, names: list[str], keep_x: bool) -> dict[str, Variable]:
    """Return what a run records, by name."""
    shape = tuple(energy.shape) if keep_x else None
    layout = variables(energy.domain, shape, state["x"].dtype, protocols.has_energy(energy), names)
    return {**layout, **sampler.recorded(energy)}


def _run(
    energy: Any, sampler: Sampler, state: State, warmed: int, warmup: int, draws: int, thin: int,
    observables: Observables | None, record: Store | Memory, progress: bool,
) -> bool:  # fmt: skip
    blocks = Blocks(energy, sampler, state, warmed, warmup, draws, thin, observables or {}, record)
    with InterruptFlag() as interrupted:
        return blocks.run(interrupted, progress)


def start(energy: Any, sampler: Sampler, begin: np.ndarray | None, chains: int, beta: float, entropy: int) -> State:
    """Return the state of a run before its first sweep: x (chains, sites), beta, stream, and what the sampler keeps."""
    x = initial(energy, chains, entropy) if begin is None else begin.reshape(chains, -1).copy()
    state = {"x": x, "beta": np.full(chains, beta), "stream": random.make_streams(entropy, chains)}
    if protocols.has_energy(energy):
        u = protocols.reduced(energy, x, state["beta"])
        if not np.isfinite(u).all():
            chain = int(np.argmax(~np.isfinite(u)))
            raise ValueError(f"the energy of init must be finite, got {u[chain] / beta} in chain {chain}")
    sampler.start(energy, state)
    return state


def _check(
    energy: Any, sampler: Any, chains: Any, draws: Any, warmup: Any, thin: Any, beta: Any, seed: Any,
    observables: Any, resume: bool, store: Any,
) -> None:  # fmt: skip
    check_sampler(energy, sampler)
    protocols.check_positive(chains, "chains", integer=True)
    protocols.check_positive(draws, "draws", integer=True)
    protocols.check_positive(warmup, "warmup", integer=True, zero=True)
    protocols.check_positive(thin, "thin", integer=True)
    protocols.check_positive(beta, "beta")
    sampler.check_run(energy, int(warmup), float(beta))
    if seed is not None:
        protocols.check_positive(seed, "seed", integer=True, zero=True)
    for name, function in (observables or {}).items():
        if not callable(function):
            raise TypeError(f"observables[{name!r}] must be a function (n, *shape) -> (n,), got {function!r}")
        if name in ("x", "energy", "acceptance", *sampler.recorded(energy)):
            raise ValueError(f"observables must not use the name {name!r}: it is recorded anyway")
    if resume and store is None:
        raise ValueError("resume=True needs store, the file to go on with, got store=None")


def check_sampler(energy: Any, sampler: Any) -> None:
    """Raise unless the energy has a space, the sampler is one, and it fits the energy."""
    protocols.check_space(energy)
    if not isinstance(sampler, Sampler):
        raise TypeError(f"sampler must be a sampler such as samplers.MALA(), got {sampler!r}")
    if sampler.needs_energy and not protocols.has_energy(energy):
        raise TypeError(
            f"{type(sampler).__name__} needs an energy to accept or reject, got {protocols.name_of(energy)}, "
            "which has a gradient only: use Langevin or UnderdampedLangevin"
        )
    sampler.check(energy)


def check_init(init: Any, energy: Any, chains: int) -> np.ndarray:
    """Return init as configurations, one a chain, or raise an error that says what is wrong with it."""
    array = protocols.check_configurations(init, energy, "init")
    if len(array) != chains:
        raise ValueError(f"init must hold one configuration a chain ({chains}), got {len(array)}")
    if not np.isfinite(array).all():
        raise ValueError("init must be finite, got NaN or infinity in it")
    return array


def _check_resume(file: StoredRun, story: dict[str, Any], draws: int, any_seed: bool) -> None:
    other = differences(file.attributes, story, ignore=("seed",) if any_seed else ())
    if other:
        raise StoreError(
            f"{file.path} holds another run, so it cannot be resumed with these settings: "
            + "; ".join(f"{name} was {was}, now {now}" for name, was, now in other)
        )
    if file.draws > draws:
        raise StoreError(f"{file.path} already holds {file.draws} draws a chain, more than draws={draws}")


def _say_how_to_go_on(store: str | Path | None) -> None:
    if store is None:
        print("Interrupted. Nothing was stored: pass store=... to keep what was drawn.", file=sys.stderr)
    else:
        print(
            f"Interrupted. {store} holds {read(store).draws} draws of each chain; "
            "the same call with resume=True goes on from there.",
            file=sys.stderr,
        )
