"""The same seed gives the same bits: with any number of threads, cut anywhere and resumed, extended, from anywhere."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from laws import DISCRETE, PLANES, ArrayTier
from rows import ROWS

import ebm
import samplers
from samplers import blocks
from samplers.store import Store

ROOT = Path(__file__).resolve().parents[2]
RUN = {"chains": 3, "draws": 7, "warmup": 25, "thin": 3, "beta": 0.8, "seed": 17, "progress": False}
CASES: dict[str, tuple[Any, samplers.Sampler]] = {
    "ising metropolis": (ebm.Ising((2, 3), coupling=0.4, field=0.3), samplers.Metropolis()),
    "potts gibbs": (ebm.Potts((2, 2), 3, coupling=0.6), samplers.Gibbs()),
    "wolff": (ebm.Ising((4, 5)), samplers.Wolff()),
    "swendsen-wang": (ebm.Potts((4, 5), 3, coupling=0.6), samplers.SwendsenWang()),
    "adaptive metropolis of angles": (PLANES["xy ring"].energy, samplers.Metropolis()),
    "adaptive hmc": (PLANES["double well"].energy, samplers.HMC(steps=3)),
    "adaptive mala": (PLANES["xy ring"].energy, samplers.MALA()),
    "langevin": (PLANES["double well"].energy, samplers.Langevin(0.02)),
    "underdamped": (PLANES["double well"].energy, samplers.UnderdampedLangevin(0.1)),
    "sgld": (ROWS, samplers.SGLD(0.05, batch_size=4)),
    "array tier, adaptive hmc": (ArrayTier(PLANES["double well"].energy), samplers.HMC(steps=3)),
    "array tier, ising metropolis": (ArrayTier(ebm.Ising((2, 3), field=0.3)), samplers.Metropolis()),
    "metropolis with a cache that rounds": (DISCRETE["rbm wavefunction"], samplers.Metropolis()),
    "tempered adaptive mala": (
        PLANES["double well"].energy, samplers.ParallelTempering(samplers.MALA(), (0.2, 0.8, 1.5))),
    "tempered rbm": (
        ebm.RBM(4, 3, W=np.linspace(-1.0, 1.0, 12).reshape(4, 3)),
        samplers.ParallelTempering(samplers.Gibbs(), (0.0, 0.4, 0.8), swap_every=2)),
    "array tier, tempered metropolis": (
        ArrayTier(ebm.Ising((2, 3), field=0.3)), samplers.ParallelTempering(samplers.Metropolis(), (0.5, 0.8))),
    "rbm": (ebm.RBM(4, 3, W=np.linspace(-1.0, 1.0, 12).reshape(4, 3)), samplers.Gibbs()),
}  # fmt: skip


def _first(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)[:, 0].astype(float)


def _sample(name: str, **changes: Any) -> samplers.Chains:
    energy, sampler = CASES[name]
    return samplers.sample(energy, sampler, **{**RUN, "observables": {"first": _first}, **changes})


def _bits(chains: samplers.Chains) -> str:
    digest = hashlib.sha256()
    ladder = [] if chains.tempering is None else [array for _, array in sorted(chains.tempering.arrays.items())]
    for array in (chains.x, chains.energy, chains.acceptance, chains.observables["first"], *ladder):
        digest.update(np.ascontiguousarray(np.asarray(array)).tobytes())
    return digest.hexdigest()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block one sweep or draw, and every piece of a long draw one sweep."""
    monkeypatch.setattr(blocks, "BLOCK_SECONDS", 1e-9)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Set the number of threads, and put it back."""
    before = samplers.get_threads()
    yield samplers.set_threads
    samplers.set_threads(before)


@pytest.mark.parametrize("name", CASES)
def test_bits_do_not_depend_on_threads(name: str, threads: Callable[[int], None]) -> None:
    found = set()
    for number in (1, 2, 3):
        threads(number)
        found.add(_bits(_sample(name)))
    assert len(found) == 1


@pytest.mark.parametrize("name", CASES)
def test_bits_do_not_depend_on_progress_store_or_blocks(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    plain = _sample(name)
    assert _bits(plain) == _bits(_sample(name, progress=True))
    stored = _sample(name, store=tmp_path / "run.h5")
    assert _bits(plain) == _bits(stored) == _bits(samplers.load(tmp_path / "run.h5"))
    assert plain.attributes["seed"] == stored.attributes["seed"] == 17
    assert plain.attributes.get("step_size") == stored.attributes.get("step_size")
    request.getfixturevalue("small_blocks")
    assert _bits(plain) == _bits(_sample(name))
    assert _bits(plain) == _bits(_sample(name, store=tmp_path / "again.h5"))
    assert _bits(plain) != _bits(_sample(name, seed=18))


def test_a_progress_bar_is_drawn_on_a_terminal_and_changes_no_bit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tqdm import tqdm

    monkeypatch.setattr(tqdm, "monitor_interval", 0)  # no thread that would outlive this test
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with_bar = _sample("langevin", progress=True, draws=50)
    assert "75/75" in capsys.readouterr().err
    assert _bits(with_bar) == _bits(_sample("langevin", draws=50))
    assert capsys.readouterr().err == ""


def test_a_run_without_a_bar_starts_no_thread_and_takes_no_lock() -> None:
    # A lock of tqdm is shared by forks: one that is killed while it holds it would stop all others.
    code = (
        "import sys, threading, ebm, samplers; samplers.set_threads(1);"
        "samplers.sample(ebm.DoubleWell(2), samplers.Langevin(0.01), draws=3, seed=1);"
        "print(threading.active_count(), 'tqdm' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1", "False"]


class _Cut(Exception):
    """The end of a run before its time."""


@pytest.mark.parametrize("name", CASES)
def test_a_run_cut_at_any_append_resumes_to_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_blocks: None
) -> None:
    uncut, append = _bits(_sample(name, warmup=23, draws=4)), Store.append
    cuts = 0
    for number in (0, 3, 8, 15, 22, 23, 26):
        for stored in (False, True):  # before the block is written, or just after
            path, count = tmp_path / f"{number}{stored}.h5", 0

            def cut(self: Store, *arguments: Any, number: int = number, stored: bool = stored) -> None:
                nonlocal count
                count += 1
                if count - 1 != number:
                    return append(self, *arguments)
                if stored:
                    append(self, *arguments)
                raise _Cut

            monkeypatch.setattr(Store, "append", cut)
            with pytest.raises(_Cut):
                _sample(name, warmup=23, draws=4, store=path)
            monkeypatch.setattr(Store, "append", append)
            assert _bits(_sample(name, warmup=23, draws=4, store=path, resume=True)) == uncut
            cuts += 1
    assert cuts == 14


@pytest.mark.parametrize("name", CASES)
def test_an_extended_run_is_the_longer_run(name: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    for draws in (1, 3, 7):
        chains = _sample(name, draws=draws, store=path, resume=True)
        assert _bits(chains) == _bits(_sample(name, draws=draws))


def test_a_finished_run_is_returned_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.h5"
    first = _sample("adaptive hmc", store=path)
    content = path.read_bytes()
    monkeypatch.setattr(samplers.HMC, "advance", None)  # sampling would raise
    assert _bits(_sample("adaptive hmc", store=path, resume=True)) == _bits(first)
    assert path.read_bytes() == content


def test_a_seed_that_is_drawn_is_recorded_and_taken_up_again(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    chains = _sample("langevin", seed=None, draws=3, store=path)
    seed = chains.attributes["seed"]
    longer = _sample("langevin", seed=None, draws=7, store=path, resume=True)
    assert longer.attributes["seed"] == seed
    assert _bits(longer) == _bits(_sample("langevin", seed=seed))
    assert _bits(_sample("langevin", seed=None)) != _bits(_sample("langevin", seed=None))


@pytest.mark.parametrize("name", ["adaptive hmc", "adaptive mala", "adaptive metropolis of angles"])
def test_steps_stay_fixed_after_the_warm_up(name: str) -> None:
    short, long = _sample(name, draws=1), _sample(name, draws=40)
    assert short.attributes["step_size"] == long.attributes["step_size"]
    assert len(set(long.attributes["step_size"])) > 1  # each chain its own


def test_chains_are_independent_of_their_number() -> None:
    for name in ("ising metropolis", "adaptive hmc", "array tier, adaptive hmc", "tempered adaptive mala"):
        few, many = _sample(name), _sample(name, chains=5)
        assert np.array_equal(few.x, np.asarray(many.x)[:3])
        assert not np.array_equal(many.x[0], many.x[1])


def test_bits_do_not_depend_on_the_folder_or_the_process(tmp_path: Path) -> None:
    names = ["ising metropolis", "adaptive hmc", "array tier, adaptive hmc"]
    code = (
        "import importlib.util, sys; spec = importlib.util.spec_from_file_location('cases', sys.argv[1]);"
        "cases = importlib.util.module_from_spec(spec); spec.loader.exec_module(cases);"
        f"print(*[cases._bits(cases._sample(name)) for name in {names}])"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests"))),
        "NUMBA_NUM_THREADS": "1",
    }
    run = subprocess.run(
        [sys.executable, "-c", code, __file__],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [_bits(_sample(name)) for name in names]


def _parts() -> Any:
    """A sum of energies, made anew at every call."""
    return ebm.DoubleWell(2) + 0.5 * ebm.DoubleWell(2, barrier=0.7)


class _Plain:
    """A user's energy without a repr of its own, and whose `parameters` is what a torch module has by that name."""

    shape, domain = (2,), "real"

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return 0.5 * (x**2).sum(1)

    def grad(self, x: np.ndarray) -> np.ndarray:
        return x

    def parameters(self) -> Iterator[float]:
        yield 1.0


@pytest.mark.parametrize("make", [_parts, _Plain])
def test_a_run_resumes_with_an_energy_that_was_made_anew(make: Callable[[], Any], tmp_path: Path) -> None:
    run = {**RUN, "store": tmp_path / "run.h5", "resume": True}
    samplers.sample(ArrayTier(make()) if make is _parts else make(), samplers.MALA(), **{**run, "draws": 2})
    again = ArrayTier(make()) if make is _parts else make()
    assert samplers.sample(again, samplers.MALA(), **run).shape == (3, 7)
    assert samplers.identity.fingerprint_energy(make()) == samplers.identity.fingerprint_energy(make())
    keep = make()  # at another address than the next
    assert samplers.identity.describe(keep, samplers.MALA(), None, [], 1, 1, 1, 1.0, 1, True) == (
        samplers.identity.describe(make(), samplers.MALA(), None, [], 1, 1, 1, 1.0, 1, True)
    )


def test_other_parameters_inside_a_sum_are_another_energy() -> None:
    fingerprint = samplers.identity.fingerprint_energy
    sums = [ebm.Ising((4,)) + ebm.Ising((4,), coupling=c) for c in (0.5, 0.6)]
    assert fingerprint(sums[0]) != fingerprint(sums[1])
    assert fingerprint(2.0 * sums[0]) != fingerprint(2.5 * sums[0])
