"""Stochastic-gradient Langevin dynamics samples its own law, known on wells, and the right one as steps vanish."""

from typing import Any

import numpy as np
import pytest
from laws import ALPHA, chi_square_p, mean_p
from rows import ROWS

import ebm
import samplers
from ebm.exact import sgld_variance, ula_variance
from samplers import random
from samplers.sgld import draw_batches

CHAINS, BETA = 20_000, 0.6


def _end(step: float, batch_size: int, sweeps: int = 40) -> tuple[np.ndarray, list[float]]:
    """Ends (CHAINS, 2), less the mean, of chains that start at the law of SGLD; and its variances."""
    noise = [ROWS.gradient_variance(batch_size), 0.0]
    law = [sgld_variance(step, v, k, BETA) for v, k in zip(noise, ROWS.stiffness, strict=True)]
    begin = ROWS.mean + np.random.default_rng(1).normal(size=(CHAINS, 2)) * np.sqrt(law)
    chains = samplers.sample(
        ROWS, samplers.SGLD(step, batch_size), chains=CHAINS, draws=1, warmup=0, thin=sweeps, beta=BETA, init=begin,
        seed=2, progress=False,
    )  # fmt: skip
    return chains.x[:, 0] - ROWS.mean, law


@pytest.mark.parametrize(("step", "batch_size"), [(0.02, 1), (0.1, 4), (0.2, 12)])
def test_the_variance_is_its_biased_closed_form(step: float, batch_size: int) -> None:
    x, law = _end(step, batch_size)
    for axis in (0, 1):
        assert mean_p(x[:, axis], 0.0) > ALPHA  # chains that share their batches would miss it together
        assert mean_p(x[:, axis] ** 2, law[axis]) > ALPHA
    assert mean_p(x[:, 0] ** 2, ula_variance(step, ROWS.stiffness[0], BETA)) < ALPHA  # the heat of the batches shows
    assert mean_p(x[:, 0] ** 2, 1.0 / (BETA * ROWS.stiffness[0])) < ALPHA


def test_all_rows_in_a_batch_are_langevin_dynamics() -> None:
    x, law = _end(0.1, ROWS.n_data)
    assert law[0] == ula_variance(0.1, ROWS.stiffness[0], BETA)
    assert mean_p(x[:, 0] ** 2, law[0]) > ALPHA


def test_the_temperature_is_right_as_the_step_vanishes() -> None:
    exact, bias = 1.0 / (BETA * ROWS.stiffness[0]), []
    for step in (0.04, 0.02, 0.01):
        x, law = _end(step, 2)
        bias.append((np.mean(x[:, 0] ** 2) - exact, np.std(x[:, 0] ** 2) / np.sqrt(CHAINS)))
        assert abs(bias[-1][0] - (law[0] - exact)) < 5.0 * bias[-1][1]  # 5 sigma: alpha = 6e-7
    assert bias[0][0] > 5.0 * bias[0][1]
    # The closed form is of first order: halving the step halves the bias but for k step / 2.
    k = ROWS.stiffness[0]
    for (coarse, error), (fine, fine_error), step in ((bias[0], bias[1], 0.04), (bias[1], bias[2], 0.02)):
        ratio = 2.0 * (1.0 - k * step / 4.0) / (1.0 - k * step / 2.0)
        assert abs(coarse - ratio * fine) < 5.0 * np.hypot(error, ratio * fine_error)


def test_batches_are_uniform_without_replacement_and_each_chain_has_its_own() -> None:
    chains, n, m = 60_000, 5, 3
    batches, streams = np.empty((chains, m), np.int64), random.make_streams(7, chains)
    draw_batches(n, streams, batches)
    assert (np.diff(np.sort(batches, 1), axis=1) > 0).all()
    number = batches @ [25, 5, 1]
    ordered = np.array(
        [a * 25 + b * 5 + c for a in range(5) for b in range(5) for c in range(5) if len({a, b, c}) == 3]
    )
    counts = np.array([(number == k).sum() for k in ordered])
    assert counts.sum() == chains
    assert chi_square_p(counts, np.full(60, 1 / 60)) > ALPHA
    alone = np.empty((1, m), np.int64)  # the same rows whatever other chains there are
    draw_batches(n, random.make_streams(7, chains)[41:42], alone)
    assert np.array_equal(alone[0], batches[41])


class _NoRows:
    shape, domain = (2,), "real"

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return 0.5 * (x**2).sum(1)

    def grad(self, x: np.ndarray) -> np.ndarray:
        return x


class _Counted(_NoRows):
    n_data: Any = 10


class _Wrong(_Counted):
    def __init__(self, n_data: Any = 10) -> None:
        self.n_data = n_data

    def grad(self, x: np.ndarray, batch: np.ndarray | None = None) -> np.ndarray:
        return x if batch is None else x[:, :1]


@pytest.mark.parametrize(
    ("energy", "step", "batch_size", "error", "message"),
    [
        (ROWS, -0.1, 2, ValueError, r"step_size must be a positive finite number, got -0\.1"),
        (ROWS, 0.1, 0, ValueError, "batch_size must be a positive integer, got 0"),
        (ROWS, 0.1, 2.0, ValueError, r"batch_size must be a positive integer, got 2\.0"),
        (ROWS, 0.1, 24, ValueError, "batch_size must be at most n_data = 23, got 24"),
        (_NoRows(), 0.1, 2, TypeError, r"SGLD needs an energy with `n_data` and `grad\(x, batch\)`.*got _NoRows"),
        (_Counted(), 0.1, 2, TypeError, r"SGLD needs an energy with `n_data` and `grad\(x, batch\)`.*got _Counted"),
        (_Wrong(2.5), 0.1, 2, ValueError, r"_Wrong\.n_data must be a positive integer, got 2\.5"),
        (_Wrong(), 0.1, 2, ValueError, r"_Wrong\.grad must return shape \(4, 2\), got \(4, 1\)"),
        (ebm.DoubleWell(), 0.1, 2, TypeError, "SGLD needs an energy with `n_data`.*got DoubleWell"),
        (ebm.Ising((3,)), 0.1, 2, TypeError, "SGLD needs a real or angle energy with a gradient, got Ising"),
        (ROWS, 0.5, 4, samplers.SamplingError, "SGLD diverged .*a smaller step_size is needed"),
    ],
)
def test_errors_name_what_is_wrong(energy: Any, step: Any, batch_size: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message), np.errstate(over="ignore", invalid="ignore"):
        samplers.sample(energy, samplers.SGLD(step, batch_size), draws=1, warmup=2000, seed=1, progress=False)


def test_exact_methods_refuse_it() -> None:
    with pytest.raises(TypeError, match=r"noise of SGLD's batches heats all rungs.*got SGLD\(step_size=0\.1"):
        samplers.ParallelTempering(samplers.SGLD(0.1, 2), (0.5, 1.0))
    with pytest.raises(TypeError, match=r"sampler must leave p\(x\) unchanged by every sweep.*got SGLD"):
        ebm.log_z(ROWS, "ais", sampler=samplers.SGLD(0.1, 2), seed=1)
