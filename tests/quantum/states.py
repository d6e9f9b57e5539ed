"""What the tests of the quantum room share: random RBMs of NetKet, and exact laws by way of NetKet's own states."""

from typing import Any

import jax
import netket as nk
import numpy as np

SPINS = 8


def rbm(dtype: Any, scale: float = 0.3, spins: int = SPINS, seed: int = 1) -> tuple[Any, Any]:
    """A NetKet RBM with two hidden units a spin, and random variables of a given type and strength."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        values = rng.normal(0.0, scale, shape)
        return (values + 1j * rng.normal(0.0, scale, shape) if np.dtype(dtype).kind == "c" else values).astype(dtype)

    dense = {"kernel": draw(spins, 2 * spins), "bias": draw(2 * spins)}
    variables = {"params": {"Dense": dense, "visible_bias": draw(spins)}}
    return nk.models.RBM(alpha=2, param_dtype=dtype), jax.tree.map(jax.numpy.asarray, variables)


def law(hilbert: Any, model: Any, variables: Any, power: float = 2.0) -> np.ndarray:
    """|psi|^power of all states of the space in NetKet's order, normalised."""
    log_psi = np.asarray(model.apply(variables, hilbert.all_states())).real
    p = np.exp(power * (log_psi - log_psi.max()))
    return p / p.sum()


def draw_exactly(hilbert: Any, p: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Independent draws (n, spins) of a law of the states of the space."""
    return np.asarray(hilbert.all_states())[np.random.default_rng(seed).choice(len(p), n, p=p)].astype(np.int8)


def count(hilbert: Any, x: np.ndarray) -> np.ndarray:
    """How often each state of the space occurs among x (n, spins)."""
    powers = 1 << np.arange(hilbert.size)
    number = np.full(1 << hilbert.size, -1)  # of each pattern of bits; states_to_numbers takes a second for 200,000
    number[(np.asarray(hilbert.all_states()) > 0) @ powers] = np.arange(hilbert.n_states)
    found = number[(np.asarray(x) > 0) @ powers]
    assert (found >= 0).all(), "a state is not in the space"
    return np.bincount(found, minlength=hilbert.n_states)
