"""A file that is not what it should be gives one clear error, and stays as it was."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest

from samplers import layout
from samplers.store import Store, StoreError, read


@pytest.fixture
def finished(known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of 100 draws in small chunks."""
    monkeypatch.setattr(layout, "CHUNK_BYTES", 1024)
    with known.create(tmp_path / "run.h5") as writer:
        known.extend(writer, 100)
    return tmp_path / "run.h5"


def _refused(path: Path, words: str) -> None:
    """Assert that reading and going on are both refused with these words, the path, and no change."""
    before = path.read_bytes()
    for action in (read, Store.open):
        with pytest.raises(StoreError, match=words) as caught:
            action(path)
        assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert not path.with_name("run.h5.journal").exists()


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"\x89HD", np.random.default_rng(0).bytes(5000)):
        (tmp_path / "run.h5").write_bytes(content)
        _refused(tmp_path / "run.h5", "is not an HDF5 file")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    for action in (read, Store.open):
        with pytest.raises(StoreError, match="Is a directory"):
            action(tmp_path)


def test_a_foreign_hdf5_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["posterior/x"] = np.zeros((4, 10))
    _refused(tmp_path / "run.h5", "is an HDF5 file but no chain file of ebmlab")


def test_a_newer_schema_is_refused(finished: Path) -> None:
    with h5py.File(finished, "r+") as file:
        file.attrs["schema_version"] = 2
    _refused(finished, "has schema version 2 and this ebmlab reads up to 1: update ebmlab")


def test_a_truncated_file_is_refused(finished: Path) -> None:
    whole = finished.read_bytes()
    for size in (9, 100, len(whole) // 2, len(whole) - 1):
        finished.write_bytes(whole[:size])
        _refused(finished, "is truncated or damaged")


def test_a_damaged_chunk_says_which_draws_and_leaves_the_others_readable(finished: Path, known: ModuleType) -> None:
    with h5py.File(finished) as file:
        chunk = file["sample_stats/energy"].id.get_chunk_info_by_coord((0, 42))  # 42 draws in a chunk of 1024 bytes
        assert file["sample_stats/energy"].chunks == (3, 42)
    damaged = bytearray(finished.read_bytes())
    damaged[chunk.byte_offset + 500] ^= 4
    finished.write_bytes(damaged)
    energy = read(finished).variables["energy"]
    with pytest.raises(StoreError, match="energy of draws 42 to 83 of chains 0 to 2 fails its checksum"):
        energy[0, 50]
    expected = known.arrays(0, 100)["energy"]
    assert np.array_equal(energy[:, :42], expected[:, :42])
    assert np.array_equal(energy[:, 84:], expected[:, 84:])
    with pytest.raises(StoreError, match="energy of draws 42 to 83"):
        Store.open(finished)
    assert finished.read_bytes() == damaged


def test_a_damaged_chunk_stays_marked_when_a_running_writer_folds(finished: Path, known: ModuleType) -> None:
    writer = Store.open(finished)
    with h5py.File(finished) as file:
        place = file["posterior/angle"].id.get_chunk_info_by_coord((0, 0, 0)).byte_offset
    with finished.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff")
    known.extend(writer, 30)
    writer.close()
    with pytest.raises(StoreError, match="angle of draws 0 to 20"):
        np.asarray(read(finished).variables["angle"])
    assert np.array_equal(read(finished).variables["energy"], known.arrays(0, 130)["energy"])


def test_a_damaged_checkpoint_is_refused(finished: Path, known: ModuleType) -> None:
    content = finished.read_bytes()
    assert content.count(known.checkpoint(100)) == 1
    finished.write_bytes(content.replace(known.checkpoint(100), known.checkpoint(101)))
    _refused(finished, "checkpoint fails the checksum")


def test_a_flipped_bit_anywhere_never_gives_wrong_draws(
    finished: Path, known: ModuleType, run_script: Callable[..., str]
) -> None:
    refused, harmless = map(int, run_script("flips.py", finished).split())
    assert refused > 70
    assert refused + harmless == 200
