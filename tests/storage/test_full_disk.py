"""A full disk gives a clear error, keeps what was there, and the run goes on when there is space again."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from samplers import chainfile, store
from samplers.store import Store, StoreError, read


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB in memory; skipped where mounting is not permitted."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_limit_on_file_size_is_a_clear_error_and_loses_nothing(
    run_script: Callable[..., str], tmp_path: Path
) -> None:
    creation, append, close, safe = run_script("full_disk.py", tmp_path).splitlines()
    assert "cannot be written (File too large)" in creation
    assert f"cannot be extended (File too large): {safe} draws are safe" in append
    assert f"cannot take up its journal (File too large): all {safe} draws are safe" in close


def test_a_full_disk_loses_nothing(small_disk: Path, known: ModuleType) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(650_000))
    path = small_disk / "run.h5"
    writer = known.create(path)
    with pytest.raises(StoreError, match=r"cannot be extended \(No space left on device\): \d+ draws are safe"):
        while True:
            known.extend(writer, 100)
    safe = writer.draws
    known.check(read(path))
    with pytest.raises(StoreError, match=f"all {safe} draws are safe in it and its journal"):
        writer.close()
    known.check(read(path))
    with pytest.raises(StoreError, match=f"all {safe} draws are safe in it and its journal"):
        Store.open(path).close()
    ballast.unlink()
    with Store.open(path) as writer:
        assert writer.draws == safe
        known.extend(writer, 10)
    known.check(read(path))
    assert sorted(os.listdir(small_disk)) == ["run.h5"]


def test_a_fold_without_space_is_postponed_and_the_run_goes_on(
    small_disk: Path, known: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FOLD_BYTES", 100_000)
    (small_disk / "ballast").write_bytes(bytes(775_000))
    path = small_disk / "run.h5"
    writer = known.create(path)
    inode = path.stat().st_ino
    while path.with_name("run.h5.journal").stat().st_size < 220_000:
        known.extend(writer, 100)
    assert path.stat().st_ino == inode
    known.check(read(path))
    (small_disk / "ballast").unlink()
    writer.close()
    known.check(read(path))


@pytest.mark.parametrize("call", ["missing", "refused"])
def test_space_is_reserved_where_the_system_has_no_call_for_it(
    call: str, known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(95, "Operation not supported")

    with known.create(tmp_path / "usual.h5") as writer:
        known.extend(writer, 300)
    if call == "missing":
        monkeypatch.delattr(os, "posix_fallocate")
    else:
        monkeypatch.setattr(os, "posix_fallocate", refuse)
    with known.create(tmp_path / "run.h5") as writer:
        known.extend(writer, 300)
    assert (tmp_path / "run.h5").read_bytes() == (tmp_path / "usual.h5").read_bytes()
    with (tmp_path / "zeros").open("wb") as file:
        chainfile.reserve(file.fileno(), 10, 5_000_000)
    assert (tmp_path / "zeros").stat().st_size == 5_000_010


@pytest.mark.parametrize("draws", [0, 1, 1000, 70_000])
def test_hdf5_never_needs_more_than_was_reserved(
    draws: int, known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaces = []

    class Kept(chainfile._Space):
        def __init__(self, *arguments: int) -> None:
            super().__init__(*arguments)
            spaces.append(self)

    monkeypatch.setattr(chainfile, "_Space", Kept)
    path = tmp_path / "run.h5"
    store.save(path, known.CHAINS, known.VARIABLES, known.arrays(0, draws), known.ATTRIBUTES)
    (space,) = spaces
    assert path.stat().st_size < space.reserved - 16 * 1024
