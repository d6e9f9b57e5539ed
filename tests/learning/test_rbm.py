"""The RBM's law: its free energy at every beta, its conditionals, and whole-layer Gibbs sampling. alpha = 1e-6."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import samplers
from ebm import exact
from ebm.layers import draw_units, exp_minus32
from ebm.rbm import RBM
from samplers import random
from samplers.elementary import exp_minus64
from samplers.inner import OPTIONS

ALPHA = 1e-6
V, H = (np.concatenate(list(exact.states((n,), "binary"))).astype(float) for n in (5, 3))


def small_rbm(scale: float = 1.0, dtype: str = "float64") -> RBM:
    rng = np.random.default_rng(5)
    W, b, c = (scale * rng.standard_normal(shape) for shape in ((5, 3), 5, 3))
    return RBM(5, 3, W=W, b=b, c=c, dtype=dtype)


def joint_energy(rbm: RBM) -> np.ndarray:
    """E(v, h) of all states, (32, 8), written out."""
    return -(V @ rbm.b)[:, None] - H @ rbm.c - np.einsum("vi,ij,hj->vh", V, rbm.W, H)


def sweep_matrix(rbm: RBM, beta: float) -> np.ndarray:
    """The transition matrix v -> h -> v' from the joint law alone."""
    p = np.exp(-beta * joint_energy(rbm))
    return (p / p.sum(1, keepdims=True)) @ (p / p.sum(0)).T


def end_counts(rbm: RBM, start: np.ndarray, beta: float, sweeps: int, seed: int) -> np.ndarray:
    x = V[start].astype(np.int8)
    rbm.block_gibbs(x, np.full(len(x), beta), random.make_streams(seed, len(x)), sweeps)
    return np.bincount(exact.state_index(x, "binary"), minlength=32)


@pytest.mark.parametrize("beta", [0.25, 1.0, 2.0])
def test_reduced_energy_sums_hidden_units_out_at_beta(beta):
    rbm = small_rbm()
    need = -np.log(np.exp(-beta * joint_energy(rbm)).sum(1))
    np.testing.assert_allclose(rbm.reduced(V, beta), need, rtol=1e-13)
    assert rbm.log_z(beta) == pytest.approx(np.log(np.exp(-need).sum()), rel=1e-13)
    if beta != 1.0:
        assert np.abs(rbm.reduced(V, beta) - beta * rbm(V)).max() > 0.1


def test_reduced_takes_one_beta_a_configuration():
    rbm, betas = small_rbm(), np.linspace(0.1, 2, 32)
    need = [rbm.reduced(V[i : i + 1], betas[i])[0] for i in range(32)]
    np.testing.assert_allclose(rbm.reduced(V, betas), need, rtol=1e-14)


def test_compiled_tier_agrees():
    samplers.check(small_rbm())
    samplers.check(RBM(30, 600, seed=1))


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_conditionals_are_those_of_the_joint_law(beta):
    rbm = small_rbm()
    p = np.exp(-beta * joint_energy(rbm))
    np.testing.assert_allclose(rbm.hidden(V, beta), (p / p.sum(1, keepdims=True)) @ H, rtol=1e-12)
    np.testing.assert_allclose(rbm.visible(H, beta), (p / p.sum(0)).T @ V, rtol=1e-12)


@pytest.mark.parametrize(("beta", "dtype"), [(1.0, "float32"), (0.5, "float64")])
def test_block_gibbs_from_exact_start_stays_exact(beta, dtype):
    rbm, chains = small_rbm(dtype=dtype), 60_000
    p = exact.probabilities(rbm, beta)
    start = np.random.default_rng(1).choice(32, chains, p=p)
    assert stats.chisquare(end_counts(rbm, start, beta, 3, 2), chains * p).pvalue > ALPHA


@pytest.mark.parametrize(("beta", "state"), [(1.0, 0), (0.5, 21)])
def test_block_gibbs_moves_by_its_transition_matrix(beta, state):
    rbm, chains = small_rbm(), 60_000
    p = sweep_matrix(rbm, beta)[state]
    assert stats.chisquare(end_counts(rbm, np.full(chains, state), beta, 1, 3), chains * p).pvalue > ALPHA


def test_block_gibbs_is_in_detailed_balance():
    rbm, beta = small_rbm(), 0.7
    flow = exact.probabilities(rbm, beta)[:, None] * sweep_matrix(rbm, beta)
    np.testing.assert_allclose(flow, flow.T, atol=1e-15)


def test_metropolis_samples_the_marginal_at_beta():
    rbm, chains = small_rbm(), 20_000
    p = exact.probabilities(rbm, 0.6)
    start = V[np.random.default_rng(2).choice(32, chains, p=p)].astype(np.int8)
    run = samplers.sample(
        rbm, samplers.Metropolis(), chains=chains, draws=1, warmup=1, beta=0.6, init=start, seed=4, progress=False
    )
    counts = np.bincount(exact.state_index(run.x[:, 0], "binary"), minlength=32)
    assert stats.chisquare(counts, chains * p).pvalue > ALPHA


@pytest.mark.parametrize("rare", [1e-6, 2e-8])
@pytest.mark.parametrize("sign", [-1, 1])
def test_rare_events_are_not_quantised(rare, sign):
    rows, n, repeats = 500, 1000, 400 if rare > 1e-7 else 1600
    streams, count = random.make_streams(7, rows), 0
    units = np.empty((rows, n), np.float32)
    bias, scale = np.full(n, sign * np.log(1 / rare - 1), np.float32), np.ones(rows)
    for _ in range(repeats):
        units[...] = 0
        draw_units(units, bias, scale, streams)
        count += np.count_nonzero(units != (sign > 0))
    # 24-bit uniforms would give 6e-8 for 2e-8: 48 events instead of 16, beyond alpha.
    assert stats.binomtest(count, rows * n * repeats, rare).pvalue > ALPHA


def test_saturated_units_are_certain():
    units = np.full((200, 500), 40.0, np.float32)
    units[:, ::2] = -40.0
    draw_units(units, np.zeros(500, np.float32), np.ones(200), random.make_streams(1, 200))
    assert not units[:, ::2].any() and units[:, 1::2].all()


def test_exponentials_meet_their_stated_accuracy():
    from numba import njit

    for function, dtype, most, error in ((exp_minus32, np.float32, 86, 3e-7), (exp_minus64, np.float64, 700, 1e-14)):

        @njit(**OPTIONS)
        def over(x, out, function=function):
            for i in range(len(x)):
                out[i] = function(x[i])

        x = np.linspace(0, most, 200_001).astype(dtype)
        out = np.empty_like(x)
        over(x, out)
        assert np.abs(out / np.exp(-x.astype(np.float64)) - 1).max() < error


SCRIPT = """
import hashlib, sys, numpy as np, samplers, ebm.rbm
samplers.set_threads(int(sys.argv[1]))
rbm = ebm.rbm.RBM(130, 70, W=np.random.default_rng(0).standard_normal((130, 70)) / 5)
run = samplers.sample(rbm, samplers.Gibbs(), chains=600, draws=3, warmup=2, seed=3, progress=False)
print(hashlib.sha256(run.x.tobytes() + run.energy.tobytes()).hexdigest())
"""


def test_bits_do_not_depend_on_threads():
    root = Path(__file__).parents[2]
    outputs = []
    for ours, blas in ((1, 1), (2, 2)):
        env = {**os.environ, "PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": str(blas), "OMP_NUM_THREADS": str(blas)}
        command = [sys.executable, "-c", SCRIPT, str(ours)]
        outputs.append(subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_visible": 0, "n_hidden": 2}, "n_visible must be a positive integer, got 0"),
        ({"n_visible": 2, "n_hidden": -1}, "n_hidden must be a positive integer, got -1"),
        ({"n_visible": 2, "n_hidden": 2, "W": np.ones((2, 3))}, r"W must have shape \(2, 2\), got \(2, 3\)"),
        ({"n_visible": 2, "n_hidden": 1, "W": [[1.0], [np.nan]]}, "W must be finite, got nan"),
        ({"n_visible": 2, "n_hidden": 1, "b": [1.0]}, r"b must have shape \(2\), got \(1,\)"),
        ({"n_visible": 2, "n_hidden": 1, "dtype": "float16"}, 'dtype must be "float32" or "float64"'),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        RBM(**arguments)


def test_parameters_are_checked_when_set():
    rbm = RBM(3, 2, seed=0)
    rbm.b = [1.0, 2.0, 3.0]
    assert rbm.b.tolist() == [1.0, 2.0, 3.0] and rbm.b.dtype == np.float32
    with pytest.raises(ValueError, match="c must be finite, got nan"):
        rbm.c = [0.0, np.nan]
    with pytest.raises(ValueError, match=r"v must have shape \(n, 3\), got \(1, 2\)"):
        rbm.hidden([[0, 1]])
    with pytest.raises(ValueError, match="x must hold 0 and 1"):
        rbm(np.full((1, 3), 2))
