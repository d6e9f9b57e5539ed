"""Nothing is lost: runs that are killed or interrupted go on to the bits of the run that was let alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ebm
import samplers

HERE = Path(__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE.parents[1]), str(HERE.parent)))}
RUN = {"chains": 2, "draws": 30, "warmup": 5, "seed": 3, "progress": False}


def _killed(tier: str, kills: int, folder: Path) -> list[int]:
    command = [sys.executable, "-W", "error", str(HERE / "killed.py"), tier, str(kills), str(folder)]
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return [int(word) for word in run.stdout.split()]


@pytest.mark.parametrize("tier", ["compiled", pytest.param("array", marks=pytest.mark.slow), "batches"])
def test_a_run_killed_25_times_is_the_run_that_was_not(tier: str, tmp_path: Path) -> None:
    warming, drawing, draws = _killed(tier, 25, tmp_path)
    assert warming + drawing == 25
    assert drawing > 0 and draws > 100


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["compiled", "array", "ladder"])
def test_a_run_killed_200_times_is_the_run_that_was_not(tier: str, tmp_path: Path) -> None:
    warming, drawing, _ = _killed(tier, 200, tmp_path)
    assert warming > 0 and drawing > 100


_ENDLESS = """
import sys, ebm, samplers
store = sys.argv[1] if len(sys.argv) > 1 else None
print("ready", flush=True)
samplers.sample(ebm.DoubleWell(2), samplers.HMC(steps=3), draws=10**8, warmup=50, keep_x=False, seed=3, store=store,
                progress=False)
"""


def _interrupted(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Start an endless run in a process of its own and press Ctrl-C when it has got under way."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, *arguments], env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True
    ) as process:
        process.stdout.readline()
        if arguments:
            journal, deadline = Path(arguments[0] + ".journal"), time.monotonic() + 60.0
            while not (journal.exists() and journal.stat().st_size > 200_000) and time.monotonic() < deadline:
                time.sleep(0.02)
        else:
            time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def test_ctrl_c_leaves_a_good_file_and_says_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    ended = _interrupted(str(path))
    assert ended.returncode == -signal.SIGINT, ended.stderr
    assert ended.stderr.strip().endswith("KeyboardInterrupt")
    chains = samplers.load(path)
    assert f"{path} holds {chains.shape[1]} draws of each chain" in ended.stderr
    assert "resume=True goes on" in ended.stderr
    assert not path.with_name("run.h5.journal").exists()
    settings = {"draws": chains.shape[1] + 10, "warmup": 50, "keep_x": False, "seed": 3, "progress": False}
    energy, sampler = ebm.DoubleWell(2), samplers.HMC(steps=3)
    resumed = samplers.sample(energy, sampler, **settings, store=path, resume=True)
    assert np.array_equal(resumed.energy, samplers.sample(energy, sampler, **settings).energy)


def _ctrl_c(times: int = 1) -> Callable[[np.ndarray], np.ndarray]:
    """An observable that presses Ctrl-C when it is asked about draws; before the run it is asked once, about init."""
    asked = []

    def observable(x: np.ndarray) -> np.ndarray:
        asked.append(len(x))
        for _ in range(times if len(asked) == 2 else 0):
            os.kill(os.getpid(), signal.SIGINT)
        return np.zeros(len(x))

    return observable


def test_ctrl_c_without_a_store_says_that_nothing_was_kept(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run = {**RUN, "draws": 10**7, "observables": {"press": _ctrl_c()}, "keep_x": False}
        samplers.sample(ebm.DoubleWell(), samplers.Langevin(0.01), **run)
    assert "Nothing was stored: pass store=" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_in_the_last_block_is_not_lost(tmp_path: Path) -> None:
    # Else a loop over many short runs could not be stopped.
    path = tmp_path / "run.h5"
    run = {**RUN, "draws": 1, "observables": {"press": _ctrl_c()}, "store": path}
    with pytest.raises(KeyboardInterrupt):
        samplers.sample(ebm.DoubleWell(), samplers.Langevin(0.01), **run)
    assert samplers.load(path).shape == (2, 1)
    assert samplers.sample(ebm.DoubleWell(), samplers.Langevin(0.01), **run, resume=True).shape == (2, 1)


def test_a_second_ctrl_c_interrupts_at_once_and_the_file_stays_good(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    run = {**RUN, "draws": 1000, "store": path}
    with pytest.raises(KeyboardInterrupt):
        samplers.sample(ebm.DoubleWell(), samplers.Langevin(0.01), **run, observables={"press": _ctrl_c(2)})
    assert samplers.load(path).shape[1] == 0  # the block in which it came is lost, as by a kill
    run["observables"] = {"press": lambda x: np.zeros(len(x))}
    resumed = samplers.sample(ebm.DoubleWell(), samplers.Langevin(0.01), **run, resume=True)
    uncut = samplers.sample(ebm.DoubleWell(), samplers.Langevin(0.01), **{**RUN, "draws": 1000})
    assert np.array_equal(resumed.x, uncut.x)


# --- resuming what cannot be resumed ----------------------------------------------------------------------------------


_BEGIN = np.zeros((2, 2))
_OTHER: dict[str, tuple[dict, str]] = {
    "energy": ({"energy": ebm.DoubleWell(2, barrier=1.1)}, "energy was .*barrier=1.0.* now .*barrier=1.1"),
    "class": ({"energy": ebm.Gaussian([0, 0], np.eye(2))}, "energy was DoubleWell.* now Gaussian"),
    "sampler": ({"sampler": samplers.MALA(0.2)}, r"sampler was MALA\(step_size=0.1.* now MALA\(step_size=0.2"),
    "beta": ({"beta": 0.5}, "beta was 1.0, now 0.5"),
    "chains": ({"chains": 3}, "chains was 2, now 3"),
    "thin": ({"thin": 2}, "thin was 1, now 2"),
    "warmup": ({"warmup": 6}, "warmup was 5, now 6"),
    "seed": ({"seed": 4}, "seed was 3, now 4"),
    "observables": ({"observables": {"r": lambda x: x[:, 0]}}, r"observables was \[\], now \['r'\]"),
    "keep_x": ({"keep_x": False}, "keep_x was True, now False"),
    "init": ({"init": _BEGIN}, "init was default, now"),
    "fewer draws": ({"draws": 29}, "already holds 30 draws a chain, more than draws=29"),
    "no resume": ({"resume": False}, "exists already: choose another name, or resume=True"),
}


def _call(store: Path, **changes: object) -> samplers.Chains:
    run = {"energy": ebm.DoubleWell(2), "sampler": samplers.MALA(), **RUN, "store": store, "resume": True, **changes}
    return samplers.sample(run.pop("energy"), run.pop("sampler"), **run)


@pytest.mark.parametrize("name", _OTHER)
def test_another_run_is_not_resumed_and_the_file_stays(name: str, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    _call(path)
    content, listing = path.read_bytes(), sorted(tmp_path.iterdir())
    changes, message = _OTHER[name]
    with pytest.raises(samplers.StoreError, match=message) as error:
        _call(path, **changes)
    assert str(path) in str(error.value)
    assert path.read_bytes() == content
    assert sorted(tmp_path.iterdir()) == listing
    assert _call(path).shape == (2, 30)


def test_a_foreign_file_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a chain file")
    for resume in (True, False):
        with pytest.raises(samplers.StoreError, match=r"notes.txt"):
            _call(path, resume=resume)
    assert path.read_text() == "not a chain file"


def test_a_store_in_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(samplers.StoreError, match="missing"):
        _call(tmp_path / "missing" / "run.h5")
    assert list(tmp_path.iterdir()) == []
