"""Kill writers with SIGKILL and check what is left: kills.py random|calls FOLDER.

Each writer is a fork, so that a kill costs milliseconds. It tells through a pipe which draws it was promised to keep.
"""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py  # noqa: F401  (here, or each fork would spend its time on loading it)
import known

from samplers import store
from samplers.store import Store, read, save

LENGTHS = (7, 90, 0, 2, 300)
ROUNDS = 40
SYSTEM_CALLS = ("open", "pwrite", "replace", "fsync", "ftruncate", "unlink", "posix_fallocate", "close")


def write(path: Path, draws: int, promise: Callable[[int], None]) -> None:
    """Start the run or go on with it up to so many draws, with folds, and closing it now and then."""
    store.FOLD_BYTES = 1
    writer = Store.open(path) if path.exists() else known.create(path)
    promise(writer.draws)
    appended = 0
    while writer.draws < draws:
        known.extend(writer, min(LENGTHS[appended % len(LENGTHS)], draws - writer.draws))
        promise(writer.draws)
        appended += 1
        if appended % 4 == 0:
            writer.close()
            writer = Store.open(path)
    writer.close()


def fork(action: Callable[[Callable[[int], None]], None]) -> tuple[int, int]:
    """Run an action in a fork; return its process and the pipe with its promises."""
    receiving, sending = os.pipe()
    system_write = os.write
    process = os.fork()
    if process == 0:
        status = 1
        try:
            action(lambda draws: system_write(sending, draws.to_bytes(8, "little")) and None)
            status = 0
        finally:
            os._exit(status)
    os.close(sending)
    return process, receiving


def promised(receiving: int) -> int:
    """The last number of draws that a writer was told are stored; 0 without any."""
    data = b""
    while part := os.read(receiving, 65536):
        data += part
    os.close(receiving)
    return int.from_bytes(data[-8:], "little")


def check_what_is_left(path: Path, promise: int) -> int:
    """Assert that the run can be read and gone on with, and that no promised draw is missing."""
    if not path.exists():
        assert promise == 0
        return 0
    run = read(path)
    known.check(run)
    assert run.draws >= promise, f"{promise - run.draws} draws were lost"
    return run.draws


def kill_at_random_moments(folder: Path) -> None:
    """Kill the writer of one long run again and again, and compare its end with an uncut run."""
    rng = random.Random(4)
    path = folder / "run.h5"
    stopped_at, with_journal = [], 0
    began = time.perf_counter()
    write(folder / "trial.h5", 400, lambda _: None)
    usual = time.perf_counter() - began
    for _ in range(ROUNDS):
        process, receiving = fork(lambda promise: write(path, 10**9, promise))
        time.sleep(rng.uniform(0.0, 2 * usual))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        stopped_at.append(check_what_is_left(path, promised(receiving)))
        with_journal += path.with_name("run.h5.journal").exists()
    assert stopped_at == sorted(stopped_at)
    end = stopped_at[-1] + 100
    write(path, end, lambda _: None)
    uncut = folder / "uncut.h5"
    save(uncut, known.CHAINS, known.VARIABLES, known.arrays(0, end), known.ATTRIBUTES, known.checkpoint(end))
    assert path.read_bytes() == uncut.read_bytes()
    assert not path.with_name("run.h5.journal").exists()
    print(len(set(stopped_at)), with_journal, end)


def die_at_call(target: int) -> None:
    """Let this process die just before its system call number `target`, or half-way through it if it writes."""
    count = 0

    def dying(name: str, call: Callable) -> Callable:
        def replacement(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == target:
                if name == "pwrite":
                    file, data, offset = arguments
                    call(file, data[: len(data) // 2], offset)
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return replacement

    for name in SYSTEM_CALLS:
        setattr(os, name, dying(name, getattr(os, name)))


def kill_at_every_call(folder: Path) -> None:
    """Kill a short run at its first system call, at its second, and so on to the last."""
    draws = 410
    write(folder / "uncut.h5", draws, lambda _: None)
    target, killed = 1, True
    while killed:
        path = folder / "cut" / "run.h5"
        path.parent.mkdir()

        def act(promise: Callable[[int], None], path: Path = path, target: int = target) -> None:
            die_at_call(target)
            write(path, draws, promise)

        process, receiving = fork(act)
        status = os.waitpid(process, 0)[1]
        killed = os.WIFSIGNALED(status)
        assert killed or status == 0
        check_what_is_left(path, promised(receiving))
        write(path, draws, lambda _: None)
        assert path.read_bytes() == (folder / "uncut.h5").read_bytes(), target
        shutil.rmtree(path.parent)
        target += 1
    print(target - 2)


if __name__ == "__main__":
    known.VARIABLES = {name: known.VARIABLES[name] for name in ("x", "label", "energy")}
    os.fsync = lambda file: None  # a killed process loses nothing that it has written, a power cut is not tested
    {"random": kill_at_random_moments, "calls": kill_at_every_call}[sys.argv[1]](Path(sys.argv[2]))
