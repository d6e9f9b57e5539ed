"""A store gives back what was appended, in any blocks, and refuses what it cannot hold."""

import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from samplers import layout, store
from samplers.store import Store, StoreError, Variable, read, save

INT8, FLOAT = np.dtype(np.int8), np.dtype(np.float64)


@pytest.mark.parametrize("blocks", [[1] * 40, [40], [0, 13, 0, 26, 1, 0]])
def test_appended_draws_come_back(known: ModuleType, tmp_path: Path, blocks: list[int]) -> None:
    path = tmp_path / "run.h5"
    with known.create(path) as writer:
        for count in blocks:
            known.extend(writer, count)
            known.check(read(path))
    assert os.listdir(tmp_path) == ["run.h5"]
    run = read(path)
    assert run.draws == 40
    known.check(run)


@pytest.mark.parametrize("sites", [1, 7, 8, 9, 16, 129])
@pytest.mark.parametrize(("packing", "levels"), [("spin", (-1, 1)), ("binary", (0, 1))])
def test_any_number_of_sites_fits_into_bits(packing: str, levels: tuple[int, int], sites: int, tmp_path: Path) -> None:
    x = np.random.default_rng(sites).choice(np.array(levels, np.int8), (2, 30, sites))
    save(tmp_path / "run.h5", 2, {"x": Variable("posterior", INT8, (sites,), packing)}, {"x": x}, {})
    stored = read(tmp_path / "run.h5").variables["x"]
    assert np.array_equal(stored, x)
    assert Variable("posterior", INT8, (sites,), packing).stored_shape == (-(-sites // 8),)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "i4", "u8", "f4", "f8"])
@pytest.mark.parametrize("packing", ["raw", "gzip"])
def test_dtypes_come_back(dtype: str, packing: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 100, (2, 50, 3)).astype(dtype)
    save(tmp_path / "run.h5", 2, {"y": Variable("posterior", values.dtype, (3,), packing)}, {"y": values}, {})
    stored = np.asarray(read(tmp_path / "run.h5").variables["y"])
    assert stored.dtype == values.dtype
    assert np.array_equal(stored, values)


def test_special_floats_keep_their_bits(tmp_path: Path) -> None:
    values = np.array([[np.nan, -0.0, np.inf, 5e-324, -np.inf]])
    save(tmp_path / "run.h5", 1, {"energy": Variable("sample_stats", FLOAT, (), "raw")}, {"energy": values}, {})
    assert np.asarray(read(tmp_path / "run.h5").variables["energy"]).tobytes() == values.tobytes()


def test_file_does_not_depend_on_blocks_folds_or_reopening(
    known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "CHUNK_BYTES", 2048)  # many chunks, the last one not full
    contents = set()
    for number, (fold_bytes, reopen, seed) in enumerate([(2**26, False, 0), (1, False, 1), (1, True, 2)]):
        monkeypatch.setattr(store, "FOLD_BYTES", fold_bytes)
        path = tmp_path / f"{number}.h5"
        rng, writer = np.random.default_rng(seed), known.create(path)
        while writer.draws < 2500:
            known.extend(writer, min(int(rng.integers(0, 200)), 2500 - writer.draws))
            if reopen and rng.random() < 0.3:
                writer.close()
                writer = Store.open(path)
        writer.close()
        known.check(read(path))
        contents.add(path.read_bytes())
    path = tmp_path / "saved.h5"
    save(path, known.CHAINS, known.VARIABLES, known.arrays(0, 2500), known.ATTRIBUTES, known.checkpoint(2500))
    contents.add(path.read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize(("chains", "side"), [(7, 200), (6, 200), (2, 600), (5, 3)])
def test_large_draws_are_cut_by_chains(chains: int, side: int, tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(chains, 3, side, side))
    variables = {"x": Variable("posterior", FLOAT, (side, side), "raw")}
    with Store.create(tmp_path / "run.h5", chains, variables, {}, b"") as writer:
        for draw in range(3):
            writer.append({"x": x[:, draw : draw + 1]}, b"")
    assert np.array_equal(read(tmp_path / "run.h5").variables["x"], x)
    assert (tmp_path / "run.h5").stat().st_size < x.nbytes + 50_000


def test_spins_take_one_bit_and_a_short_run_no_more_space_than_it_needs(tmp_path: Path) -> None:
    x = np.random.default_rng(2).choice(np.array([-1, 1], np.int8), (4, 20_000, 16))
    save(tmp_path / "long.h5", 4, {"x": Variable("posterior", INT8, (16,), "spin")}, {"x": x}, {})
    assert (tmp_path / "long.h5").stat().st_size * 8 < 1.7 * x.size  # chunks are whole, and the draws are numbered
    save(tmp_path / "short.h5", 4, {"x": Variable("posterior", INT8, (16,), "spin")}, {"x": x[:, :10]}, {})
    assert (tmp_path / "short.h5").stat().st_size < 20_000


def test_a_run_without_variables_keeps_its_checkpoint_and_counts_nothing(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run.h5", 4, {}, {}, b"start") as writer:
        writer.append({}, b"later")
    run = read(tmp_path / "run.h5")
    assert (run.draws, run.checkpoint, run.variables) == (0, b"later", {})


def test_going_on_sees_checkpoint_attributes_and_variables(known: ModuleType, tmp_path: Path) -> None:
    known.create(tmp_path / "run.h5").close()
    for draws in (0, 20):
        with Store.open(tmp_path / "run.h5") as writer:
            assert (writer.draws, writer.chains) == (draws, known.CHAINS)
            assert writer.checkpoint == known.checkpoint(draws)
            assert writer.attributes == known.ATTRIBUTES
            assert writer.variables == known.VARIABLES
            known.extend(writer, 20)


def test_a_second_writer_is_refused_and_the_first_goes_on(known: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with known.create(path) as writer:
        known.extend(writer, 5)
        with pytest.raises(StoreError, match="is being written by another process"):
            Store.open(path)
        with pytest.raises(StoreError, match="exists already"):
            known.create(path)
        known.extend(writer, 5)
    Store.open(path).close()
    known.check(read(path))


def test_the_lock_outlives_a_fold(known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FOLD_BYTES", 1)
    with known.create(tmp_path / "run.h5") as writer:
        known.extend(writer, 2000)
        assert (tmp_path / "run.h5.journal").stat().st_size < 200  # folded
        with pytest.raises(StoreError, match="is being written by another process"):
            Store.open(tmp_path / "run.h5")


def test_nothing_is_ever_overwritten(known: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(b"thesis")
    with pytest.raises(StoreError, match="exists already"):
        known.create(path)
    with pytest.raises(StoreError, match="exists already"):
        save(path, 1, {}, {}, {})
    assert path.read_bytes() == b"thesis"
    assert os.listdir(tmp_path) == ["run.h5"]


def test_a_journal_with_draws_but_no_file_is_not_overwritten(known: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    writer = known.create(path)
    known.extend(writer, 5)
    journal = (tmp_path / "run.h5.journal").read_bytes()
    writer.close()
    path.unlink()
    (tmp_path / "run.h5.journal").write_bytes(journal)
    with pytest.raises(StoreError, match="holds draws but"):
        known.create(path)
    assert (tmp_path / "run.h5.journal").read_bytes() == journal


def test_an_empty_journal_left_by_a_kill_is_taken_over(known: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "run.h5.journal").write_bytes(b"")
    with known.create(tmp_path / "run.h5") as writer:
        known.extend(writer, 3)
    known.check(read(tmp_path / "run.h5"))


def test_missing_paths_are_named(known: ModuleType, tmp_path: Path) -> None:
    for action in (Store.open, read):
        with pytest.raises(StoreError, match=r"absent\.h5"):
            action(tmp_path / "absent.h5")
    with pytest.raises(StoreError, match="check that the folder exists"):
        known.create(tmp_path / "absent" / "run.h5")
    assert os.listdir(tmp_path) == []


def test_a_folder_without_permission_is_named(
    known: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    known.create(path).close()
    system_open = os.open

    def read_only(name: Any, flags: int, *rest: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(13, "Permission denied", name)
        return system_open(name, flags, *rest)

    monkeypatch.setattr(os, "open", read_only)
    for action in (Store.open, lambda path: known.create(path.with_name("new.h5"))):
        with pytest.raises(StoreError, match=r"cannot be written \(Permission denied\)"):
            action(path)
    known.check(read(path))


def test_a_closed_store_takes_nothing_and_closes_again(known: ModuleType, tmp_path: Path) -> None:
    writer = known.create(tmp_path / "run.h5")
    writer.close()
    writer.close()
    with pytest.raises(StoreError, match="closed"):
        known.extend(writer, 1)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"energy": None}, ValueError, "arrays must hold"),
        ({"energy": np.zeros((3, 4))}, ValueError, r"shape of energy must be \(3, 5\)"),
        ({"energy": np.zeros((2, 5))}, ValueError, r"shape of energy must be \(3, 5\)"),
        ({"energy": np.zeros((3, 5), np.float32)}, TypeError, "dtype of energy must be float64, got float32"),
        ({"x": np.zeros((3, 5, 3, 7), np.int8)}, ValueError, r"x must hold only -1 and \+1, got 0"),
        ({"x": np.full((3, 5, 3, 7), 3, np.int8)}, ValueError, r"x must hold only -1 and \+1, got 3"),
        ({"visible": np.full((3, 5, 5), -1, np.int8)}, ValueError, "visible must hold only 0 and 1, got -1"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_whole(
    change: dict[str, Any], error: type[Exception], words: str, known: ModuleType, tmp_path: Path
) -> None:
    with known.create(tmp_path / "run.h5") as writer:
        known.extend(writer, 4)
        block = {name: a for name, a in (known.arrays(4, 9) | change).items() if a is not None}
        with pytest.raises(error, match=words):
            writer.append(block, b"")
        known.extend(writer, 5)
    known.check(read(tmp_path / "run.h5"))


@pytest.mark.parametrize(
    ("chains", "variable", "attributes", "error", "words"),
    [
        (0, None, {}, ValueError, "chains must be a positive integer, got 0"),
        (1, Variable("prior", FLOAT, (), "raw"), {}, ValueError, "group of y must be"),
        (1, Variable("posterior", FLOAT, (), "zstd"), {}, ValueError, "packing of y must be one of"),
        (1, Variable("posterior", FLOAT, (3,), "spin"), {}, TypeError, "dtype of y must be int8"),
        (1, Variable("posterior", np.dtype(complex), (), "raw"), {}, TypeError, "dtype of y must be bool"),
        (1, Variable("posterior", FLOAT, (0,), "raw"), {}, ValueError, "shape of y must have positive sides"),
        (1, None, {"energy": object()}, TypeError, "attributes must be what JSON can hold"),
        (1, None, {"format": "mine"}, ValueError, "attributes must not use names that the file itself needs"),
    ],
)
def test_what_cannot_be_stored_is_refused_at_creation(
    chains: int, variable: Variable | None, attributes: dict, error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        Store.create(tmp_path / "run.h5", chains, {"y": variable} if variable else {}, attributes, b"")
    assert os.listdir(tmp_path) == []
