"""Any NetKet wavefunction of spins 1/2 as an energy: E(s) = -2 Re ln psi(s), so that |psi|^2 is its law at beta = 1."""

from functools import partial
from typing import Any

import jax
import netket as nk
import numpy as np

from ebm.complex_wavefunction import ComplexRBMWaveFunction
from ebm.wavefunction import RBMWaveFunction
from samplers import protocols
from samplers.compiled import Functions

Compiled = RBMWaveFunction | ComplexRBMWaveFunction


class WaveFunction:
    """A NetKet model with its parameters, or an MCState, as an energy of spins: E(s) = -2 Re ln psi(s).

    RBMs with real or complex parameters (nk.models.RBM) are compiled, their fields kept; any other model is in the
    array tier, one batched call for all chains at every proposal. An MCState of fixed magnetisation gives an energy of
    spins whose sum is conserved: it needs `Metropolis("exchange")`, and chains start at random among them. In any other
    case psi is taken on all spin configurations.

    Args:
        model: a NetKet or flax model, or an `nk.vqs.MCState`, which brings its variables.
        variables: the model's variables, {"params": ...}.
        spins: number of spins; known to an MCState and to RBMs.

    Raises:
        TypeError: the Hilbert space is not of spins 1/2, or parameters are no numbers.
        ValueError: parameters are not finite, `variables` or `spins` is missing.

    Example:
        >>> import netket as nk, samplers
        >>> state = nk.vqs.MCState(nk.sampler.MetropolisLocal(nk.hilbert.Spin(0.5, 6)), nk.models.RBM(), seed=1)
        >>> psi = WaveFunction(state)
        >>> samplers.sample(psi, samplers.Metropolis(), draws=50, seed=1, progress=False)
        Chains(4 chains, 50 draws, x (6,) spin, beta 1)
    """

    domain = "spin"
    linear_in_beta = True

    def __init__(self, model: Any, variables: Any = None, spins: int | None = None) -> None:
        self.conserved_sum: int | None = None
        if isinstance(model, nk.vqs.VariationalState):
            check_hilbert(model.hilbert)
            if model.hilbert.constrained:
                self.conserved_sum = int(np.asarray(model.hilbert.random_state(jax.random.key(0))).sum())
            model, variables, spins = model._model, model.variables, model.hilbert.size
        if variables is None:
            raise ValueError("variables must be given with a model, got None")
        check_finite(variables)
        self.model, self.variables = model, variables
        self.rbm = compiled_rbm(model, variables)
        if self.rbm is None and spins is None:
            raise ValueError(f"spins must be given for {type(model).__name__}, got None")
        if self.rbm is not None and spins not in (None, self.rbm.shape[0]):
            raise ValueError(f"spins must be that of the weights, {self.rbm.shape[0]}, got {spins!r}")
        protocols.check_positive(spins if self.rbm is None else self.rbm.shape[0], "spins", integer=True)
        self.shape = (int(spins),) if self.rbm is None else self.rbm.shape  # type: ignore[arg-type]

    @property
    def compiled(self) -> Functions | None:
        """The numba functions of an RBM, and None for any other model."""
        return None if self.rbm is None else self.rbm.compiled

    def log_psi(self, x: np.ndarray) -> np.ndarray:
        """Return ln psi(s) of spin configurations x (n, spins), (n,), in the model's own precision."""
        x = protocols.check_configurations(x, self)
        return np.asarray(_apply(_Hashable(self.model), self.variables, x))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return E(s), (n,), of spin configurations x (n, spins)."""
        if self.rbm is not None:
            return self.rbm(x)
        return -2.0 * np.real(self.log_psi(x)).astype(np.float64)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the model's parameters by their path, by which a run knows its energy again."""
        leaves = jax.tree_util.tree_leaves_with_path(self.variables)
        return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}

    def __repr__(self) -> str:
        return f"WaveFunction({type(self.model).__name__}, {self.shape[0]} spins)"


class _Hashable:
    """A model as a static argument of jit: equal if the models are, or are one object where they cannot be compared."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __hash__(self) -> int:
        return hash(type(self.model))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashable) and (self.model is other.model or bool(self.model == other.model))


@partial(jax.jit, static_argnums=0)
def _apply(model: _Hashable, variables: Any, x: Any) -> Any:
    return model.model.apply(variables, x)


def check_hilbert(hilbert: Any) -> None:
    """Raise unless a Hilbert space is that of spins 1/2, with local states -1 and +1."""
    if not isinstance(hilbert, nk.hilbert.Spin) or sorted(hilbert.local_states) != [-1, 1]:
        raise TypeError(f"hilbert must be nk.hilbert.Spin(0.5, n), with local states -1 and +1, got {hilbert}")


def check_finite(variables: Any) -> None:
    """Raise unless all variables are finite real or complex numbers; an error names the one that is not."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        name, array = jax.tree_util.keystr(path), np.asarray(leaf)
        if array.dtype.kind == "V":  # bfloat16 and its like
            array = array.astype(np.float64)
        if array.dtype.kind not in "biufc":
            raise TypeError(f"variables{name} must hold numbers, got dtype {array.dtype}")
        if not np.isfinite(array).all():
            raise ValueError(f"variables{name} must be finite, got {array[~np.isfinite(array)][0]}")


def compiled_rbm(model: Any, variables: Any) -> Compiled | None:
    """Return the compiled twin of an RBM with ln cosh hidden units, or None for any other model."""
    if type(model) is not nk.models.RBM or model.activation is not nk.nn.activation.log_cosh:
        return None
    parameters = variables["params"]
    W = np.asarray(parameters["Dense"]["kernel"])
    a, b = parameters.get("visible_bias"), parameters["Dense"].get("bias")
    kind = ComplexRBMWaveFunction if np.iscomplexobj(W) else RBMWaveFunction
    return kind(W, None if a is None else np.asarray(a), None if b is None else np.asarray(b))
