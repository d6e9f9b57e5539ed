"""The examples of landscapes in a small size: they leave their files, and their numbers agree with theory."""

import importlib
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
LARGEST_Z = 5.0  # a false alarm for about one seed in a million, and the seeds are fixed

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Import a script as it would run: with its own folder first on the path."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    with matplotlib.rc_context():
        yield importlib.import_module


def results(folder: Path, pictures: dict[str, str]) -> dict[str, Any]:
    """The figures are there, small and shown; return what metrics.json holds."""
    story = (folder / "README.md").read_text("utf-8")
    for name in pictures:
        content = (folder / name).read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">I", content[16:20])[0] >= 1200
        assert len(content) < 200 * 1024 and f"]({name})" in story
    return json.loads((folder / "metrics.json").read_text("utf-8"))["results"]


def test_muller_brown_agrees_with_published_energies_and_with_itself(load: Load, tmp_path: Path) -> None:
    example = load("muller_brown")
    example.main(tmp_path, n=41, chains=16, draws=1000, tempered=1000)
    found = results(tmp_path, example.PICTURES)
    assert np.abs(np.subtract(found["energies"], found["published"])).max() < 6e-4  # they have three decimals
    assert abs(found["counted"][0] - found["rate"]) < LARGEST_Z * found["counted"][1]
    assert np.abs(found["free_energy"]["z"]).max() < LARGEST_Z
    assert sum(found["basins"]) == pytest.approx(1.0)


def test_loss_landscape_agrees_with_the_dense_hessian(load: Load, tmp_path: Path) -> None:
    example = load("loss_landscape")
    example.main(tmp_path, digits=200, steps=30, n=5, probes=8)
    found = results(tmp_path, example.PICTURES)
    np.testing.assert_allclose(*found["largest"], rtol=1e-6)
    assert found["curvature"] == pytest.approx(found["largest"][1][0], rel=1e-4)
    assert found["reordered"] == pytest.approx(found["losses"][0], rel=1e-12)
    for _, (value, error), exact in found["moments"]:
        assert abs(value - exact) < LARGEST_Z * 2.0 * error  # twice: eight probes know their error to a quarter
    assert min(found["barriers"].values()) > 0.0
