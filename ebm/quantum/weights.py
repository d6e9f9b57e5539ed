"""Weights from NetKet's RBM wavefunctions to our machines and back.

With s = 2 v - 1, Born's law of a real RBM wavefunction is the law of a binary RBM that has each hidden unit twice:

    |psi(s)|^2 = exp(2 a.s) prod_j cosh^2 theta_j  ~  exp(b'.v) prod_j (1 + exp(c_j + (v W')_j))^2,
    W' = 4 W,      c_j = 2 (b_j - sum_i W_ij),      b'_i = 4 (a_i - sum_j W_ij)

so block Gibbs applies, at beta = 1 only: at another beta an RBM's law is not the power of the one at beta = 1. A binary
RBM is such a square if its hidden units come in equal pairs; any other has the amplitude psi = exp(-F/2), F being its
free energy, which `RBMAmplitude` is as a NetKet model.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from ebm.complex_wavefunction import ComplexRBMWaveFunction
from ebm.rbm import RBM
from ebm.wavefunction import RBMWaveFunction


def rbm_of(psi: RBMWaveFunction) -> RBM:
    """Return the binary RBM whose law at beta = 1 is |psi(2 v - 1)|^2; see the module for its weights.

    Example:
        >>> psi = RBMWaveFunction([[0.5], [-0.3]], a=[0.1, 0.0], b=[0.2])
        >>> v = np.array([[0, 0], [0, 1], [1, 1]])
        >>> difference = rbm_of(psi)(v) - psi(2 * v - 1)  # the same energy but for a constant
        >>> bool(np.ptp(difference) < 1e-14)
        True
    """
    if not isinstance(psi, RBMWaveFunction):
        raise TypeError(f"rbm_of needs a real RBM wavefunction, got {type(psi).__name__}")
    n, m = psi.W.shape
    c = 2.0 * (psi.b - psi.W.sum(0))
    return RBM(n, 2 * m, W=np.tile(4.0 * psi.W, 2), b=4.0 * (psi.a - psi.W.sum(1)), c=np.tile(c, 2), dtype="float64")


def wavefunction_of(rbm: RBM) -> RBMWaveFunction:
    """Return the RBM wavefunction with |psi(2 v - 1)|^2 = p(v), for an RBM whose hidden units come in equal pairs.

    Raises:
        ValueError: they do not; then use RBMAmplitude.
    """
    units = np.vstack([rbm.W, rbm.c]).astype(np.float64)
    units = units[:, np.lexsort(units)]
    if units.shape[1] % 2 or not np.array_equal(units[:, ::2], units[:, 1::2]):
        raise ValueError(
            f"rbm must have hidden units in equal pairs, got {units.shape[1]} that are not: its amplitude exp(-F/2) is "
            "ebm.quantum.RBMAmplitude"
        )
    W = units[:-1, ::2] / 4.0
    return RBMWaveFunction(W, a=rbm.b.astype(np.float64) / 4.0 + W.sum(1), b=units[-1, ::2] / 2.0 + W.sum(0))


def netket_variables(psi: RBMWaveFunction | ComplexRBMWaveFunction) -> dict[str, Any]:
    """Return the variables of nk.models.RBM(alpha=m / n) for this wavefunction.

    Its param_dtype is float or complex, as that of psi.
    """
    dense = {"kernel": jnp.asarray(psi.W), "bias": jnp.asarray(psi.b)}
    return {"params": {"Dense": dense, "visible_bias": jnp.asarray(psi.a)}}


class RBMAmplitude(nn.Module):
    """The positive amplitude psi(s) = exp(-F(v)/2), v = (s + 1)/2, of a binary RBM, as a NetKet model.

    ln psi = (b.v + sum_j ln(1 + exp(c_j + (v W)_j))) / 2; the variables of an RBM are `RBMAmplitude.variables_of(rbm)`.

    Args:
        hidden: number of hidden units.
    """

    hidden: int

    @staticmethod
    def variables_of(rbm: RBM) -> dict[str, Any]:
        """Return the variables that make this model the amplitude of an RBM."""
        return {"params": {name: jnp.asarray(array, float) for name, array in rbm.learnable().items()}}

    @nn.compact
    def __call__(self, s: Any) -> Any:
        """Return ln psi(s) of spins s (..., n)."""
        v, n, small = (s + 1) / 2, s.shape[-1], nn.initializers.normal(0.01)
        W = self.param("W", small, (n, self.hidden), float)
        b, c = self.param("b", small, (n,), float), self.param("c", small, (self.hidden,), float)
        return 0.5 * (v @ b + jax.nn.softplus(c + v @ W).sum(-1))
