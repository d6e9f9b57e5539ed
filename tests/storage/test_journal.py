"""The journal drops what a kill has torn, and refuses to pass over what something else has damaged."""

import os
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from samplers import journal, store
from samplers.snapshot import Snapshot
from samplers.store import Store, StoreError, read

RECORDS = (3, 0, 5, 2)


def _journal(path: Path) -> Path:
    return path.with_name(path.name + ".journal")


@pytest.fixture
def killed(known: ModuleType, tmp_path: Path) -> tuple[Path, list[int]]:
    """A store as a kill leaves it: 4 draws in the file, RECORDS in the journal; and where each record ends."""
    folder = tmp_path / "work"
    folder.mkdir()
    path = folder / "run.h5"
    with known.create(path) as writer:
        known.extend(writer, 4)
    writer = Store.open(path)
    ends = [_journal(path).stat().st_size]
    for count in RECORDS:
        known.extend(writer, count)
        ends.append(_journal(path).stat().st_size)
    shutil.copytree(folder, tmp_path / "killed")
    writer.close()
    return tmp_path / "killed" / "run.h5", ends


def test_a_last_record_torn_at_any_byte_is_dropped(killed: tuple[Path, list[int]], known: ModuleType) -> None:
    path, ends = killed
    whole = _journal(path).read_bytes()
    assert len(whole) == ends[-1]
    file, description = path.read_bytes(), Snapshot(str(path)).description
    for size in range(ends[-2], ends[-1]):
        _journal(path).write_bytes(whole[:size])
        with _journal(path).open("rb") as torn:
            assert journal.scan(torn.fileno(), str(path), description).draws == 4 + sum(RECORDS[:-1])
        if size % 50 == 0 or size > ends[-1] - 3:
            run = read(path)
            assert run.draws == 4 + sum(RECORDS[:-1])
            known.check(run)
            with Store.open(path) as writer:
                assert _journal(path).stat().st_size == ends[-2]
                known.extend(writer, 2)
            known.check(read(path))
            path.write_bytes(file)
    _journal(path).write_bytes(whole)
    assert read(path).draws == 4 + sum(RECORDS)


def test_a_record_that_is_completed_while_it_is_read_is_not_taken_for_damage(
    killed: tuple[Path, list[int]], known: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ends = killed
    whole = _journal(path).read_bytes()
    parse = journal._parse_head

    def parse_while_the_writer_goes_on(data: bytes) -> object:
        _journal(path).write_bytes(whole)
        return parse(data)

    monkeypatch.setattr(journal, "_parse_head", parse_while_the_writer_goes_on)
    for record in range(len(RECORDS) - 1):
        for size in range(ends[record] + 1, ends[record + 1], 31):
            _journal(path).write_bytes(whole[:size])
            run = read(path)
            assert run.draws == 4 + sum(RECORDS[:record])
    known.check(run)


@pytest.mark.parametrize("garbage", [b"\0" * 1000, b"\xebBLOCK\r\n" * 40, bytes(range(256))])
def test_a_last_record_that_is_garbage_is_dropped(
    garbage: bytes, killed: tuple[Path, list[int]], known: ModuleType
) -> None:
    path, ends = killed
    with _journal(path).open("ab") as file:
        file.write(garbage)
    known.check(read(path))
    with Store.open(path) as writer:
        assert writer.draws == 4 + sum(RECORDS)
        assert _journal(path).stat().st_size == ends[-1]


@pytest.mark.parametrize(("record", "read_bytes"), [(0, 2**22), (1, 2**22), (2, 2**22), (0, 29)])
def test_damage_with_good_records_after_it_says_where(
    record: int, read_bytes: int, killed: tuple[Path, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "READ_BYTES", read_bytes)
    path, ends = killed
    whole = bytearray(_journal(path).read_bytes())
    safe = 4 + sum(RECORDS[:record])
    for place in np.linspace(ends[record], ends[record + 1] - 1, 40).astype(int):
        damaged = whole.copy()
        damaged[place] ^= 0x10
        _journal(path).write_bytes(damaged)
        words = f"damaged at byte {ends[record]} with good records from byte {ends[record + 1]} on"
        for action in (read, Store.open):
            with pytest.raises(StoreError, match=words) as caught:
                action(path)
            assert (f"draws 0 to {safe - 1} are safe" if record else "in the file itself are safe") in str(caught.value)
            assert f"cut it to {ends[record]} bytes" in str(caught.value)
        assert _journal(path).read_bytes() == damaged  # nothing was touched


def test_the_advice_to_cut_a_damaged_journal_works(killed: tuple[Path, list[int]], known: ModuleType) -> None:
    path, ends = killed
    damaged = bytearray(_journal(path).read_bytes())
    damaged[ends[2] + 60] ^= 1
    _journal(path).write_bytes(damaged[: ends[2]])
    with Store.open(path) as writer:
        assert writer.draws == 7
        known.extend(writer, 9)
    known.check(read(path))


def test_a_kill_between_the_two_renames_of_a_fold_gives_no_draw_twice(
    killed: tuple[Path, list[int]], known: ModuleType
) -> None:
    path, _ = killed
    journal = _journal(path).read_bytes()
    Store.open(path).close()
    _journal(path).write_bytes(journal)  # the new file with the old journal
    known.check(read(path))
    with Store.open(path) as writer:
        assert writer.draws == 4 + sum(RECORDS)
        known.extend(writer, 3)
        known.check(read(path))
    known.check(read(path))


def test_a_journal_of_another_run_is_refused(killed: tuple[Path, list[int]], tmp_path: Path) -> None:
    path, _ = killed
    Store.create(tmp_path / "other.h5", 1, {}, {"seed": 1}, b"").close()
    shutil.copy(_journal(path), tmp_path / "other.h5.journal")
    for action in (read, Store.open):
        with pytest.raises(StoreError, match="belongs to another run"):
            action(tmp_path / "other.h5")


def test_a_file_older_than_its_journal_is_refused(killed: tuple[Path, list[int]], known: ModuleType) -> None:
    path, _ = killed
    path.unlink()
    journal = _journal(path).read_bytes()
    _journal(path).unlink()
    known.create(path).close()
    _journal(path).write_bytes(journal)
    for action in (read, Store.open):
        with pytest.raises(StoreError, match="holds 0 draws and its journal starts at draw 4"):
            action(path)


@pytest.mark.parametrize("start", [b"no journal at all, but long enough to have a header, as it seems to be. " * 2])
def test_a_foreign_journal_is_refused_and_kept(start: bytes, killed: tuple[Path, list[int]]) -> None:
    path, _ = killed
    _journal(path).write_bytes(start)
    for action in (read, Store.open):
        with pytest.raises(StoreError, match="is no journal"):
            action(path)
    assert _journal(path).read_bytes() == start


@pytest.mark.parametrize("size", [0, 1, 75])
def test_a_journal_torn_in_its_header_is_empty(size: int, killed: tuple[Path, list[int]], known: ModuleType) -> None:
    path, _ = killed
    _journal(path).write_bytes(_journal(path).read_bytes()[:size])
    assert read(path).draws == 4
    with Store.open(path) as writer:
        known.extend(writer, 6)
        known.check(read(path))
    known.check(read(path))


def test_short_writes_are_continued(known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system_write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: system_write(file, data[:100], offset))
    with known.create(tmp_path / "run.h5") as writer:
        for count in (20, 1, 30):
            known.extend(writer, count)
            known.check(read(tmp_path / "run.h5"))
    known.check(read(tmp_path / "run.h5"))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_interrupt_in_an_append_stores_all_of_it_or_nothing(
    number: int, known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    writer = known.create(path)
    known.extend(writer, 10)
    content = _journal(path).read_bytes()
    system_write, calls = os.pwrite, 0

    def interrupted(file: int, data: bytes, offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls == number:
            raise KeyboardInterrupt
        return system_write(file, data[:1000], offset)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "pwrite", interrupted)
        known.extend(writer, 20)
    assert writer.draws == 10
    assert _journal(path).read_bytes() == content
    known.extend(writer, 1)
    writer.close()
    known.check(read(path))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("target", ["run.h5", "run.h5.journal"])
def test_an_interrupt_in_a_fold_loses_nothing_and_the_store_asks_to_be_opened_again(
    target: str, after: bool, known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    monkeypatch.setattr(store, "FOLD_BYTES", 1)
    system_replace = os.replace
    writer = known.create(path)

    def interrupted(source: str, destination: str) -> None:
        if Path(destination).name == target:
            if after:
                system_replace(source, destination)
            raise KeyboardInterrupt
        system_replace(source, destination)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", interrupted)
        known.extend(writer, 1000)
    known.check(read(path))
    with pytest.raises(StoreError, match="interrupted while it was put in order: open it again"):
        known.extend(writer, 1)
    with pytest.raises(StoreError, match="is being written by another process"):
        Store.open(path)
    writer.close()
    assert os.listdir(tmp_path) == ["run.h5"]
    with Store.open(path) as writer:
        assert writer.draws == 1000
    known.check(read(path))


def test_a_lock_on_a_journal_that_its_owner_has_just_removed_does_not_count(
    known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    owner = known.create(path)
    known.extend(owner, 5)
    system_lock = journal.fcntl.flock

    def owner_closes_first(file: int, kind: int) -> None:
        owner.close()
        system_lock(file, kind)

    monkeypatch.setattr(journal.fcntl, "flock", owner_closes_first)
    with Store.open(path) as writer:
        known.extend(writer, 5)
        with pytest.raises(StoreError, match="is being written by another process"):
            Store.open(path)
        assert read(path).draws == 10
    known.check(read(path))
