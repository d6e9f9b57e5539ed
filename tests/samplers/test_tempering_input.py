"""Ladders that do not fit, and replicas that fail, are told."""

from typing import Any

import numpy as np
import pytest
from ladders import RUN, Tempered
from laws import ArrayTier

import ebm
import samplers
from samplers.sampler import Sampler

WELL, MAGNET = ebm.DoubleWell(2), ebm.Ising((2, 3))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: Tempered(samplers.MALA(), [1.0]), ValueError, r"betas must be .* at least 2 numbers, got \[1.0\]"),
        (lambda: Tempered(samplers.MALA(), "ab"), ValueError, "betas must be a sequence"),
        (lambda: Tempered(samplers.MALA(), [1.0, 0.5]), ValueError, r"rise strictly, got \[1.0, 0.5\]"),
        (lambda: Tempered(samplers.MALA(), [-0.1, 0.5]), ValueError, "betas must be finite, non-negative"),
        (lambda: Tempered(samplers.MALA(), [0.1, np.nan]), ValueError, "betas must be finite"),
        (lambda: Tempered("mala", [0.1, 1.0]), TypeError, "sampler must be a sampler such as .*got 'mala'"),
        (lambda: Tempered(Tempered(samplers.MALA(), [0.1, 1.0]), [0.1, 1.0]), TypeError, "sampler must be"),
        (lambda: Tempered(samplers.MALA(), [0.1, 1.0], swap_every=0), ValueError,
         "swap_every must be a positive integer, got 0"),
        (lambda: _run(WELL, samplers.MALA(), [0.1, 0.9]), ValueError, r"beta must be one of betas \(0.1, 0.9\), got 1"),
        (lambda: _run(WELL, samplers.MALA(), [0.0, 1.0]), ValueError,
         "betas must be positive for a continuous energy .*got 0"),
        (lambda: _run(MAGNET, samplers.Metropolis(), [0.0, 1.0]), ValueError,
         "betas must be positive for Metropolis.*use Gibbs"),
        (lambda: _run(MAGNET, samplers.MALA(), [0.1, 1.0]), TypeError, "MALA needs a real or angle energy"),
        (lambda: _run(WELL, samplers.MALA(), [0.1, 1.0], observables={"energies": len}), ValueError,
         "must not use the name 'energies'"),
    ],
)  # fmt: skip
def test_an_error_names_argument_value_and_need(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def _run(energy: Any, inner: Sampler, betas: Any, **changes: Any) -> samplers.Chains:
    return samplers.sample(energy, Tempered(inner, betas), **{**RUN, **changes})


def test_a_score_cannot_be_tempered() -> None:
    class Score:
        shape, domain = (2,), "real"

        def grad(self, x: np.ndarray) -> np.ndarray:
            return x

    with pytest.raises(TypeError, match="ParallelTempering needs an energy to accept or reject, got Score"):
        _run(Score(), samplers.Langevin(0.1), [0.1, 1.0])


def test_beta_may_miss_a_rung_by_a_rounding() -> None:
    betas = np.geomspace(0.1, 0.7, 5)
    chains = _run(WELL, samplers.MALA(), betas * (1.0 + 1e-14), beta=0.7)
    assert chains.tempering.betas[-1] == chains.beta == 0.7


@pytest.mark.parametrize("fused", [True, False])
def test_a_replica_that_fails_is_seen(fused: bool) -> None:
    class Broken(ArrayTier):
        def reduced(self, x: np.ndarray, beta: float) -> np.ndarray:
            u = self._energy.reduced(x, beta)
            return np.where((np.abs(x) > 4.0).any(1), np.nan, u)

    energy: Any = Broken(ebm.Gaussian(np.zeros(2), 4.0 * np.eye(2)))
    sampler: Sampler = samplers.Metropolis("gaussian", 2.0, target_acceptance=None)
    if fused:  # a step that diverges at the hot rung alone
        energy, sampler = ebm.DoubleWell(2), samplers.UnderdampedLangevin(1.2)
    with pytest.raises(samplers.SamplingError, match=r"NaN|not finite"):
        samplers.sample(energy, Tempered(sampler, (0.02, 1.0)), chains=3, draws=2000, seed=1, progress=False)
