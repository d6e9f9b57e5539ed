"""Stored arrays behave like numpy's, stay what they were, and can be read while a writer goes on."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from samplers import chainfile, layout, store
from samplers.store import Store, read


def _random_entry(rng: np.random.Generator, size: int) -> int | slice:
    if rng.random() < 0.35:
        return int(rng.integers(-size, size))
    ends = [None if rng.random() < 0.3 else int(end) for end in rng.integers(-size - 2, size + 3, 2)]
    return slice(*ends, int(rng.choice([-7, -2, -1, 1, 2, 5, 31])) if rng.random() < 0.7 else None)


def _random_index(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    index = [_random_entry(rng, size) for size in shape[: rng.integers(1, len(shape) + 1)]]
    if rng.random() < 0.3:
        kept = rng.integers(0, len(shape) + 1)
        index = [*index[:kept], ..., *(_random_entry(rng, size) for size in shape[max(kept, len(index)) :])]
    return index[0] if len(index) == 1 else tuple(index)


def test_indexing_is_numpys(known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "CHUNK_BYTES", 1024)
    monkeypatch.setattr("samplers.stored.READ_BYTES", 4096)
    with known.create(tmp_path / "run.h5") as writer:
        known.extend(writer, 150)
    with Store.open(tmp_path / "run.h5") as writer:  # now a part is in the file and a part in the journal
        for count in (1, 60, 0, 33):
            known.extend(writer, count)
        run, expected = read(tmp_path / "run.h5"), known.arrays(0, 244)
        rng = np.random.default_rng(20)
        for name, array in run.variables.items():
            for _ in range(150):
                index = _random_index(rng, array.shape)
                mine, numpys = array[index], expected[name][index]
                assert np.shape(mine) == np.shape(numpys), (name, index)
                assert mine.dtype == numpys.dtype, (name, index)
                assert np.array_equal(mine, numpys), (name, index)
        x = run.variables["x"]
        assert (len(x), x.ndim, x.shape, x.dtype) == (3, 4, (3, 244, 3, 7), np.int8)
        assert isinstance(run.variables["energy"][0, 0], np.float64)
        assert np.asarray(run.variables["state"], np.float64).dtype == np.float64
        assert np.array_equal(run.variables["energy"][np.int64(1)], expected["energy"][1])
        assert [row.shape for row in run.variables["energy"]] == [(244,)] * 3


def test_a_bad_index_is_refused(known: ModuleType, tmp_path: Path) -> None:
    with known.create(tmp_path / "run.h5") as writer:
        known.extend(writer, 3)
    energy = read(tmp_path / "run.h5").variables["energy"]
    for index in (3, (0, -4), (0, 0, 0), (..., 0, ...)):
        with pytest.raises(IndexError):
            energy[index]
    for index in ([0, 1], None, True, np.array([True, False, True]), 1.0):
        with pytest.raises(TypeError, match="integers, slices"):
            energy[index]
    with pytest.raises(ValueError, match="copy must not be False"):
        energy.__array__(copy=False)


def test_only_the_draws_asked_for_are_read(known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "CHUNK_BYTES", 1024)
    with known.create(tmp_path / "run.h5") as writer:
        known.extend(writer, 2000)
    energy = read(tmp_path / "run.h5").variables["energy"]
    sizes, original = [], chainfile.read_at

    def counting(file: int, offset: int, size: int) -> bytes:
        sizes.append(size)
        return original(file, offset, size)

    monkeypatch.setattr(chainfile, "read_at", counting)
    energy[:, 1000:1010]
    assert 0 < sum(sizes) <= 2 * 1024


def test_a_run_that_was_read_stays_as_it_was(
    known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "FOLD_BYTES", 1)
    path = tmp_path / "run.h5"
    writer = known.create(path)
    runs, inodes = [], set()
    for _ in range(12):
        known.extend(writer, 150)
        runs.append(read(path))
        inodes.add(path.stat().st_ino)
    writer.close()
    assert len(inodes) > 2  # files were replaced under the readers
    path.unlink()
    for number, run in enumerate(runs):
        assert run.draws == 150 * (number + 1)
        known.check(run)


def test_a_fold_replaces_the_file_and_never_changes_it(known: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with known.create(path) as writer:
        known.extend(writer, 10)
    content = path.read_bytes()
    os.link(path, tmp_path / "old.h5")
    with Store.open(path) as writer:
        known.extend(writer, 10)
    assert (tmp_path / "old.h5").read_bytes() == content
    assert not path.samefile(tmp_path / "old.h5")


def test_folds_between_the_two_files_a_reader_opens_lose_no_draw(
    known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    monkeypatch.setattr(store, "FOLD_BYTES", 1)
    writer = known.create(path)
    known.extend(writer, 10)

    def open_file_later(path: str) -> chainfile.ChainFile:
        if writer.draws == 10:
            for count in (1000, 1200, 1, 3000):
                known.extend(writer, count)
        return chainfile.open_file(path)

    monkeypatch.setattr("samplers.snapshot.open_file", open_file_later)
    run = read(path)
    assert run.draws >= 5000
    known.check(run)
    writer.close()


def test_another_process_reads_while_this_one_writes(
    known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_script: Callable[..., Any]
) -> None:
    monkeypatch.setattr(store, "FOLD_BYTES", 1)
    path = tmp_path / "run.h5"
    inodes = set()
    known.create(path).close()
    with start_script("reader.py", path, 2500) as reader:
        assert reader.stdout.readline() == "ready\n"
        writer = Store.open(path)
        rng = np.random.default_rng(3)
        while writer.draws < 2500:
            known.extend(writer, min(int(rng.integers(0, 30)), 2500 - writer.draws))
            inodes.add(path.stat().st_ino)
            if rng.random() < 0.1:
                writer.close()
                writer = Store.open(path)
        writer.close()
        output, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0, output
    reads, different = map(int, output.split())
    assert reads >= 5
    assert different >= 3
    assert len(inodes) >= 5


def test_stored_arrays_cannot_be_sent_to_another_process(known: ModuleType, tmp_path: Path) -> None:
    known.create(tmp_path / "run.h5").close()
    with pytest.raises(TypeError, match="in the other process"):
        pickle.dumps(read(tmp_path / "run.h5").variables["x"])


@pytest.mark.parametrize("draws", [0, 70])
def test_xarray_opens_the_file_with_chain_and_draw(known: ModuleType, tmp_path: Path, draws: int) -> None:
    pytest.importorskip("h5netcdf")
    xarray = pytest.importorskip("xarray")
    path = tmp_path / "run.h5"
    with known.create(path) as writer:
        known.extend(writer, draws)
    expected = known.arrays(0, draws)
    with xarray.open_dataset(path, group="posterior", engine="h5netcdf") as posterior:
        assert posterior["angle"].dims == ("chain", "draw", "angle_dim_0")
        assert posterior["x"].dims == ("chain", "draw", "x_byte")
        assert np.array_equal(posterior["angle"], expected["angle"])
        assert np.array_equal(posterior["draw"], np.arange(draws))
        assert np.array_equal(posterior["chain"], np.arange(known.CHAINS))
        bits = np.unpackbits(posterior["x"].values, axis=-1, count=21).reshape(expected["x"].shape)
        assert np.array_equal(bits * 2.0 - 1.0, expected["x"])
        assert posterior["x"].attrs["packing"] == "spin"
    with xarray.open_dataset(path, group="sample_stats", engine="h5netcdf") as statistics:
        assert np.array_equal(statistics["energy"], expected["energy"])
        assert statistics["diverging"].dtype == bool
        assert np.array_equal(statistics["diverging"], expected["diverging"])
    with xarray.open_datatree(path, engine="h5netcdf") as tree:
        assert set(tree.children) == {"posterior", "sample_stats", "tempering", "checksums"}
        assert tree.attrs["format"] == "ebmlab chains"
        assert tree.attrs["beta"] == 0.25
        assert tree.attrs["sampler"] == "Métropolis"
        assert {"numpy_version", "h5py_version", "numba_version", "python_version", "ebmlab_version"} <= set(tree.attrs)


def test_memory_stays_flat_however_long_the_run(run_script: Callable[..., str], tmp_path: Path) -> None:
    writing, reading = map(float, run_script("memory.py", tmp_path / "run.h5").split())  # MiB above the idle process
    assert writing < 60
    assert reading < 60
