"""Samples and local estimators of a NetKet state as Chains: our diagnostics and files beside NetKet's statistics."""

from typing import Any

import numpy as np

from ebm.quantum.wave_function import WaveFunction
from samplers import Chains


def chains_of(state: Any, **operators: Any) -> Chains:
    """Return the samples of an MCState as Chains, with the local estimators of operators as observables.

        O_loc(s) = sum_t <s|O|t> psi(t) / psi(s),        <O> = the mean of Re O_loc over |psi|^2

    Args:
        state: an nk.vqs.MCState of spins 1/2, sampled by any sampler with machine_pow = 2.
        operators: NetKet operators by the name their observable shall have.
    Returns:
        Chains with x, energy = -2 Re ln psi and the real parts of the estimators; its `save` writes the usual file.
    Raises:
        TypeError: the Hilbert space is not of spins 1/2.
        ValueError: the sampler samples another power of psi.

    Example:
        >>> import netket as nk, samplers
        >>> hilbert = nk.hilbert.Spin(0.5, 6)
        >>> ising = nk.operator.Ising(hilbert, nk.graph.Chain(6), h=1.0, J=-1.0)
        >>> sampler = nk.sampler.MetropolisLocal(hilbert)
        >>> state = nk.vqs.MCState(sampler, nk.models.RBM(), n_samples=800, seed=1)
        >>> chains = chains_of(state, H=ising)
        >>> abs(samplers.estimate("H", chains).value - float(state.expect(ising).mean.real)) < 1e-9
        True
    """
    power = float(state.sampler.machine_pow)
    if power != 2.0:
        raise ValueError(f"machine_pow must be 2, so that samples are of |psi|^2, got {power:g}")
    psi = WaveFunction(state)
    x = np.asarray(state.samples).astype(np.int8)
    chains, draws = x.shape[:2]
    observables = {
        name: np.real(np.asarray(state.local_estimators(operator).data)).reshape(chains, draws).astype(np.float64)
        for name, operator in operators.items()
    }
    acceptance = getattr(state.sampler_state, "acceptance", None)
    return Chains(
        x=x,
        energy=psi(x.reshape(chains * draws, -1)).reshape(chains, draws),
        observables=observables,
        acceptance=np.full((chains, draws), 1.0 if acceptance is None else float(acceptance)),
        beta=1.0,
        domain="spin",
        attributes={"energy": repr(psi), "sampler": repr(state.sampler)},
    )
