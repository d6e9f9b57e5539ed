"""Born's law of twelve spins: every way to sample it, ours and NetKet's, from exact starts over all states.

60,000 chains expect 20 or more in each of several hundred states (laws.chi_square_p merges the others). Each test sees
that its own samples do not have the power 1.85 of psi: by about that much a temperature or a factor may be wrong.
"""

from collections.abc import Callable
from typing import Any

import netket as nk
import numpy as np
import pytest
from laws import ALPHA, chi_square_p
from states import count, draw_exactly, law, rbm

import ebm
import samplers
from ebm.quantum import NumbaMetropolis, rbm_of

N, SPINS, SWEEPS = 60_000, 12, 3
SPACES = {"free": nk.hilbert.Spin(0.5, SPINS), "fixed magnetisation": nk.hilbert.Spin(0.5, SPINS, total_sz=0)}
SCALES = {float: 0.15, complex: 0.1}  # of the weights: most moves are accepted, and the law is spread over many states


def _inside(hilbert: Any, model: Any, variables: Any, begin: np.ndarray) -> np.ndarray:
    sampler = NumbaMetropolis(hilbert, n_chains=len(begin))
    state = sampler.init_state(model, variables, seed=3).replace(σ=begin[:, None])
    return np.asarray(sampler.sample(model, variables, state=state, chain_length=SWEEPS)[0])[:, -1]


def _run(energy: Any, sampler: samplers.Sampler, begin: np.ndarray) -> np.ndarray:
    run = samplers.sample(
        energy, sampler, chains=len(begin), draws=1, warmup=0, thin=SWEEPS, init=begin, seed=5, progress=False
    )
    return np.asarray(run.x)[:, 0]


def _outside(sampler: samplers.Sampler) -> Callable[..., np.ndarray]:
    return lambda hilbert, model, variables, begin: _run(ebm.WaveFunction(model, variables), sampler, begin)


def _block_gibbs(hilbert: Any, model: Any, variables: Any, begin: np.ndarray) -> np.ndarray:
    return 2 * _run(rbm_of(ebm.WaveFunction(model, variables).rbm), samplers.Gibbs(), (begin + 1) // 2) - 1


WAYS: dict[str, Callable[..., np.ndarray]] = {
    "inside NetKet": _inside,
    "Metropolis": _outside(samplers.Metropolis()),
    "Gibbs": _outside(samplers.Gibbs()),
    "block Gibbs": _block_gibbs,  # of real wavefunctions
    "exchange": _outside(samplers.Metropolis("exchange")),
}
QUICK = ("inside NetKet", "block Gibbs")
CASES = [
    *[("free", dtype, way) for dtype in (float, complex) for way in WAYS if (dtype, way) != (complex, "block Gibbs")],
    *[("fixed magnetisation", dtype, way) for dtype in (float, complex) for way in ("inside NetKet", "exchange")],
]


def _case(space: str, dtype: type, way: str) -> Any:
    marks = [] if way in QUICK else [pytest.mark.slow]
    return pytest.param(space, dtype, way, marks=marks, id=f"{space}-{dtype.__name__}-{way}")


@pytest.mark.parametrize(("space", "dtype", "way"), [_case(*case) for case in CASES])
def test_every_way_keeps_the_born_law(space: str, dtype: type, way: str) -> None:
    hilbert, (model, variables) = SPACES[space], rbm(dtype, SCALES[dtype], SPINS, seed=4)
    p = law(hilbert, model, variables)
    begin = draw_exactly(hilbert, p, N, seed=2)
    end = WAYS[way](hilbert, model, variables, begin)
    assert (end != begin).any(1).mean() > 0.9
    assert chi_square_p(count(hilbert, end), p) > ALPHA
    assert chi_square_p(count(hilbert, end), law(hilbert, model, variables, power=1.85)) < ALPHA  # it is able to fail


@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize("space", SPACES)
def test_netkets_exact_sampler_draws_from_the_same_law(space: str, dtype: type) -> None:
    hilbert, (model, variables) = SPACES[space], rbm(dtype, SCALES[dtype], SPINS, seed=4)
    exact = nk.sampler.ExactSampler(hilbert)
    state = exact.reset(model, variables, exact.init_state(model, variables, 1))
    x, _ = exact.sample(model, variables, state=state, chain_length=N // 3)
    assert chi_square_p(count(hilbert, np.asarray(x).reshape(-1, SPINS)), law(hilbert, model, variables)) > ALPHA
