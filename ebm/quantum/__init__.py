"""ebm.quantum: wavefunctions of NetKet as energies, and our samplers inside NetKet. Only this room imports netket.

|psi(s)|^2 / <psi|psi> is the law exp(-E(s)) / Z of the energy E(s) = -2 Re ln psi(s), at beta = 1.

    wave_function.py    WaveFunction: any NetKet model and its parameters, or an MCState, as an energy
    netket_sampler.py   NumbaMetropolis: our compiled chains as a NetKet sampler, for MCState and VMC
    weights.py          netket_variables, rbm_of, wavefunction_of, RBMAmplitude: weights from one side to the other
    local_energies.py   chains_of: samples and local energies of an MCState as Chains, for summary, estimate and files

NetKet and JAX are loaded when the first of these names is.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "WaveFunction": "wave_function",
    "NumbaMetropolis": "netket_sampler",
    "RBMAmplitude": "weights",
    "netket_variables": "weights",
    "rbm_of": "weights",
    "wavefunction_of": "weights",
    "chains_of": "local_energies",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"ebm.quantum.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ebm.quantum' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
