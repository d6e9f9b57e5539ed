"""Autoregressive series of known autocorrelation, and chains made of given arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter

from samplers.chains import Chains


@pytest.fixture
def ar1() -> Callable[..., np.ndarray]:
    """AR(1): x' = r x + sqrt(1 - r^2) xi, stationary from the start, with unit variance; rho(t) = r^t."""

    def draw(r: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        noise = rng.normal(size=shape)
        noise[:, 1:] *= np.sqrt(1.0 - r * r)
        return lfilter([1.0], [1.0, -r], noise, axis=1)

    return draw


@pytest.fixture
def make_chains() -> Callable[..., Chains]:
    """Chains of given arrays; seven proposals in ten are accepted unless told otherwise."""

    def make(
        energy: Any = None, x: Any = None, domain: str = "real", acceptance: Any = None, **observables: Any
    ) -> Chains:
        shape = next(np.shape(a)[:2] for a in (energy, x, *observables.values()) if a is not None)
        if acceptance is None:
            acceptance = np.full(shape, 0.7)
        attributes = {"sampler": "HMC(step_size=0.1)", "energy": "Gaussian()", "seed": 3, "settings": {"thin": [1, 2]}}
        return Chains(x, energy, observables, acceptance, 0.5, domain, attributes)

    return make
