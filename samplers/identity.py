"""The story of a run: what made it, in words and numbers that are stored with it and compared before it is resumed."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from samplers import protocols
from samplers.initial import initial

PROBES = 3


def fingerprint_energy(energy: Any, noise: float = 1.0) -> str:
    """Hash an energy: its class, space and parameters, and its values (or gradients) at a few fixed configurations.

    The probes tell energies apart that say nothing of their parameters, such as a network or a bare function. `noise`
    is the level at which a score that is known at many is probed.
    """
    digest = hashlib.sha256(repr((protocols.name_of(energy), tuple(energy.shape), energy.domain)).encode())
    _hash_parameters(energy, digest)
    probes = initial(energy, PROBES, 0)
    beta = np.ones(PROBES)
    if protocols.has_energy(energy):
        value = protocols.reduced(energy, probes, beta)
    else:
        noisy = isinstance(energy, protocols.NoiseConditional)
        value = protocols.reduced_gradient(energy.at_noise(noise) if noisy else energy, probes, beta)
    digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def _hash_parameters(energy: Any, digest: Any) -> None:
    """Add an energy's parameters and those of its parts; `parameters` of a torch module is something else."""
    own = getattr(energy, "parameters", None)
    parameters = own() if callable(own) else own
    for name, value in parameters.items() if isinstance(parameters, Mapping) else ():
        if isinstance(value, protocols.Space):
            digest.update(f"{name}:{protocols.name_of(value)}".encode())
            _hash_parameters(value, digest)
            continue
        array = np.ascontiguousarray(value.toarray() if hasattr(value, "toarray") else value)
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode() + array.tobytes())


def _story_of(energy: Any) -> str:
    """Return the repr of an energy; of a class without one only its name, since Python would add an address."""
    return protocols.name_of(energy) if type(energy).__repr__ is object.__repr__ else repr(energy)


def describe(
    energy: Any, sampler: Any, init: np.ndarray | None, observables: list[str], chains: int, warmup: int, thin: int,
    beta: float, seed: int, keep_x: bool,
) -> dict[str, Any]:  # fmt: skip
    """Return all that decides a run's bits, except its length: numbers, strings and lists, ready for a file."""
    return {
        "energy": _story_of(energy),
        "energy_fingerprint": fingerprint_energy(energy, getattr(sampler, "sigmas", (1.0,))[-1]),
        "sampler": repr(sampler),
        "beta": beta,
        "seed": seed,
        "chains": chains,
        "warmup": warmup,
        "thin": thin,
        "init": "default" if init is None else hashlib.sha256(init.tobytes()).hexdigest()[:16],
        "observables": observables,
        "keep_x": keep_x,
    }


def differences(stored: dict[str, Any], now: dict[str, Any], ignore: tuple[str, ...]) -> list[tuple[str, Any, Any]]:
    """Return (name, stored value, present value) of every setting in which two stories differ."""
    return [
        (name, stored.get(name), value)
        for name, value in now.items()
        if name not in ignore and stored.get(name) != value
    ]
