"""Energies of one's own: numba functions in every form they may take, torch callables, the cache of compiled loops."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from laws import ALPHA, ArrayTier, chi_square_p, count_states, exact_states
from numba import njit

import ebm
import samplers
from ebm import exact

ROOT = Path(__file__).resolve().parents[2]
RUN = {"chains": 3, "draws": 20, "warmup": 20, "seed": 5, "progress": False}


class Grid(NamedTuple):
    """Parameters of a small field on a grid."""

    stiffness: float
    centre: np.ndarray


@njit
def grid_energy(x, p):
    """A well at each site of a grid, and springs along its rows."""
    energy = 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            energy += 0.5 * (x[i, j] - p.centre[i, j]) ** 2
            if j + 1 < x.shape[1]:
                energy += 0.5 * p.stiffness * (x[i, j + 1] - x[i, j]) ** 2
    return energy


@njit
def grid_slope(x, p, out):
    """Its derivative, set and not added."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            slope = x[i, j] - p.centre[i, j]
            if j + 1 < x.shape[1]:
                slope -= p.stiffness * (x[i, j + 1] - x[i, j])
            if j > 0:
                slope += p.stiffness * (x[i, j] - x[i, j - 1])
            out[i, j] = slope


GRID = Grid(0.7, np.arange(6.0).reshape(2, 3))


def _grid(x: np.ndarray) -> np.ndarray:
    springs = 0.35 * (np.diff(x, axis=2) ** 2).sum((1, 2))
    return 0.5 * ((x - GRID.centre) ** 2).sum((1, 2)) + springs


def test_named_parameters_two_dimensions_and_a_gradient_that_sets() -> None:
    energy = ebm.CompiledEnergy(grid_energy, grid_slope, shape=(2, 3), params=GRID)
    x = np.random.default_rng(1).normal(size=(4, 2, 3))
    np.testing.assert_allclose(energy(x), _grid(x))
    samplers.check(energy)
    chains = samplers.sample(energy, samplers.Langevin(0.1), **RUN)
    array = samplers.sample(ArrayTier(energy), samplers.Langevin(0.1), **RUN)
    assert chains.x.shape == (3, 20, 2, 3)
    np.testing.assert_allclose(chains.x, array.x, atol=1e-8)


@pytest.mark.parametrize("domain", ["spin", "states"])
def test_discrete_energies_with_and_without_a_local_change(domain: str) -> None:
    def f(x, p):
        energy = 0.0
        for i in range(x.size):
            energy += p[0][i, x.flat[i] + 1]
        return energy

    def d(x, site, value, p):
        return p[0][site, value + 1] - p[0][site, x.flat[site] + 1]

    table = np.random.default_rng(3).normal(size=(4, 4))
    q = {"n_states": 3} if domain == "states" else {}
    with_delta, without = (
        ebm.CompiledEnergy(f, delta=delta, shape=(2, 2), domain=domain, params=(table,), **q) for delta in (d, None)
    )
    samplers.check(with_delta)
    begin = exact_states(without, 1.0, 6000, seed=1)
    run = {"chains": 6000, "draws": 1, "warmup": 0, "thin": 2, "init": begin, "seed": 2, "progress": False}
    for sampler in (samplers.Metropolis(),) if domain == "spin" else (samplers.Gibbs(),):
        ends = [samplers.sample(energy, sampler, **run).x[:, 0] for energy in (with_delta, without)]
        assert np.array_equal(*ends)
        assert chi_square_p(count_states(ends[0], without), exact.probabilities(without)) > ALPHA


def _f(x, p):
    return 0.5 * p[0] * x[0] * x[0]


BAD = [
    (lambda: ebm.CompiledEnergy(3, shape=(1,)), TypeError, r"energy must be a function f\(x, params\) -> float, got 3"),
    (lambda: ebm.CompiledEnergy(lambda x: 0.0, shape=(1,)), TypeError, r"energy must take 2 arguments.*got 1: \(x\)"),
    (lambda: ebm.CompiledEnergy(_f, lambda x, p: x, shape=(1,), params=(1.0,)), TypeError,
     "grad must take 3 arguments.*got 2"),
    (lambda: ebm.CompiledEnergy(_f, delta=lambda x, i, p: 0.0, shape=(1,), params=(1.0,)), TypeError,
     "delta must take 4 arguments.*got 3"),
    (lambda: ebm.CompiledEnergy(lambda x, p: x, shape=(1,)), TypeError, "energy must return one number, got ndarray"),
    (lambda: ebm.CompiledEnergy(lambda x, p: x.no_such_name, shape=(1,)), TypeError,
     "energy does not compile with numba"),
    (lambda: ebm.CompiledEnergy(lambda x, p: None, shape=(1,)), TypeError,
     "energy must return one number, got NoneType"),
    (lambda: ebm.CompiledEnergy(_f, shape=(1,), params=[1.0]), TypeError, "params must be a tuple .*got list"),
    (lambda: ebm.CompiledEnergy(_f, shape=(0,), params=(1.0,)), ValueError,
     "shape must be a tuple of positive integers"),
    (lambda: ebm.CompiledEnergy(_f, shape=(1,), domain="spins", params=(1.0,)), ValueError,
     "domain must be one of.*'spins'"),
    (lambda: ebm.CompiledEnergy(_f, shape=(1,), domain="states", params=(1.0,)), ValueError,
     "n_states must be a positive integer, got None"),
    (lambda: ebm.TorchEnergy(3, shape=(1,)), TypeError,
     "module must be a torch module or a function of tensors, got 3"),
    (lambda: ebm.TorchEnergy(torch.sum, shape=(1,), domain="states"), ValueError, "domain must be one of .*'states'"),
    (lambda: ebm.TorchEnergy(lambda x: x.sum(), shape=(2,))(np.ones((3, 2))), ValueError,
     r"module must return one energy a configuration, shape \(3,\), got \(\)"),
    (lambda: ebm.TorchEnergy(lambda x: x.sum(1), shape=(2,), domain="spin").grad(np.ones((3, 2))), TypeError,
     "TorchEnergy has no gradient on the domain 'spin'"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "match"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_what_is_wrong_with_an_own_energy_is_told(call: object, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


# --- torch ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_torch_module_is_an_energy(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).to(dtype)
    energy = ebm.TorchEnergy(module, shape=(2,)) + ebm.Gaussian([0.0, 0.0], np.eye(2))
    samplers.check(energy)
    x = np.random.default_rng(1).normal(size=(5, 2))
    network = ebm.TorchEnergy(module, shape=(2,))
    assert network(x).dtype == np.float64 and network(x).shape == (5,)
    tensor = torch.as_tensor(x, dtype=dtype).requires_grad_(True)
    value = network(tensor)
    assert isinstance(value, torch.Tensor) and value.requires_grad and value.dtype == dtype
    assert isinstance(network.grad(tensor), torch.Tensor)
    np.testing.assert_allclose(network.grad(x), network.grad(tensor).numpy(), atol=1e-6)
    assert all(parameter.grad is None for parameter in module.parameters())
    chains = samplers.sample(energy, samplers.MALA(), **RUN)
    assert np.array_equal(chains.x, samplers.sample(energy, samplers.MALA(), **RUN).x)


def test_energy_and_gradient_come_from_one_pass_through_a_network() -> None:
    passes = []

    def well(x: torch.Tensor) -> torch.Tensor:
        passes.append(len(x))
        return (x[:, 0] ** 2 - 1.0) ** 2 + 0.5 * x[:, 1] ** 2

    run = {"chains": 3, "draws": 1, "warmup": 0, "thin": 10, "seed": 5, "progress": False}
    for sampler, a_sweep in ((samplers.MALA(), 1), (samplers.HMC(steps=4), 4), (samplers.Langevin(0.01), 1)):
        counts = []
        for thin in (10, 20):
            passes.clear()
            samplers.sample(ebm.TorchEnergy(well, shape=(2,)), sampler, **{**run, "thin": thin})
            counts.append(len(passes))
        assert counts[1] - counts[0] == 10 * a_sweep


def test_the_gradient_of_a_network_leaves_its_argument_alone() -> None:
    energy = ebm.TorchEnergy(lambda x: (x**2).sum(1), shape=(2,))
    x = torch.ones(3, 2, dtype=torch.float64)
    assert torch.equal(energy.grad(x), 2.0 * x) and not x.requires_grad
    u, gradient = energy.reduced_and_grad(np.ones((3, 2)), 0.5)
    np.testing.assert_array_equal(u, np.ones(3))
    np.testing.assert_array_equal(gradient, np.ones((3, 2)))


def test_a_torch_twin_of_a_built_in_energy_gives_its_trajectory() -> None:
    def well(x: torch.Tensor) -> torch.Tensor:
        return (x[:, 0] ** 2 - 1.0) ** 2 + 0.5 * x[:, 1] ** 2

    twin = ebm.TorchEnergy(well, shape=(2,))
    ours, theirs = (samplers.sample(e, samplers.HMC(steps=3), **RUN) for e in (ebm.DoubleWell(2), twin))
    np.testing.assert_allclose(ours.x, theirs.x, atol=1e-8)


def test_a_torch_energy_of_spins() -> None:
    twin = ebm.TorchEnergy(lambda s: -(s.sum(1) ** 2) / 10.0, shape=(5,), domain="spin")
    ours, theirs = (samplers.sample(e, samplers.Metropolis(), **RUN) for e in (ebm.CurieWeiss(5), twin))
    assert np.array_equal(ours.x, theirs.x)


# --- the cache of compiled loops --------------------------------------------------------------------------------------


def _script(folder: Path, code: str, cache: Path) -> str:
    """Run a script in a process of its own with a cache of its own; return what it printed."""
    path = folder / "script.py"
    path.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(cache)}
    run = subprocess.run([sys.executable, str(path)], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


_OWN = """
import numpy as np
from numba import njit
import ebm, samplers
from samplers import sampler
SCALE = {scale}
@njit
def inner(x):
    return SCALE * x * x
@njit
def f(x, params):
    return inner(x[0])
energy = ebm.CompiledEnergy(f, shape=(1,))
chains = samplers.sample(energy, samplers.Metropolis("gaussian", 1.0), draws=5, warmup=0, seed=1, progress=False)
hits, misses = sampler.run._cached.stats.cache_hits, sampler.run._cached.stats.cache_misses
print(sum(hits.values()), sum(misses.values()), repr(chains.energy.sum()), energy(np.ones((1, 1)))[0])
"""


def test_loops_compile_once_per_machine_and_an_edited_function_is_seen(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = _script(tmp_path, _OWN.format(scale=0.5), cache).split()
    files = sorted(path.name for path in cache.rglob("*"))
    again = _script(tmp_path, _OWN.format(scale=0.5), cache).split()
    assert first[:2] == ["0", "1"] and again[:2] == ["1", "0"]
    assert first[2:] == again[2:]
    assert sorted(path.name for path in cache.rglob("*")) == files
    # The function that is edited is not the energy itself, but a number in what it calls.
    edited = _script(tmp_path, _OWN.format(scale=2.0), cache).split()
    assert edited[:2] == ["0", "1"]
    assert float(edited[3]) == 2.0 and edited[2] != first[2]


_NAMED = """
import sys, pathlib
folder = pathlib.Path({folder!r})
(folder / "mine.py").write_text("from typing import NamedTuple\\nclass P(NamedTuple):\\n    k: float\\n")
sys.path.insert(0, str(folder))
from numba import njit
import ebm, mine
@njit
def f(x, p):
    return p.k * x[0]
import numpy as np
print(ebm.CompiledEnergy(f, shape=(1,), params=mine.P(2.0))(np.ones((1, 1))))
"""


def test_a_class_that_another_process_cannot_import_does_not_spoil_the_cache(tmp_path: Path) -> None:
    cache, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert _script(tmp_path, _NAMED.format(folder=str(elsewhere)), cache).strip() == "[2.]"
    code = "import ebm, numpy as np; print(ebm.DoubleWell()(np.ones((1, 1))))"
    assert _script(tmp_path, code, cache).strip() == "[0.]"
