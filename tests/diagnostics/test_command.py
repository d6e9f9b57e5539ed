"""`python -m samplers FILE`: the story, the summary, the picture, and plain errors."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ebm
import samplers
from samplers.__main__ import main

Make = Callable[..., Any]


@pytest.fixture
def chain_file(make_chains: Make, tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "run.h5"
    energy, x, m = rng.normal(size=(4, 1000)), rng.normal(size=(4, 1000, 2)), rng.normal(size=(4, 1000))
    make_chains(energy=energy, x=x, m=m).save(path)
    return path


def test_the_story_and_the_summary(chain_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(chain_file)]) == 0
    printed = capsys.readouterr().out
    for words in ("Gaussian()", "HMC(step_size=0.1)", "4 of 1,000 draws", "finished", "real, shape (2,)"):
        assert words in printed
    assert f"numpy {np.__version__}" in printed
    lines = {line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.strip()}
    assert lines["beta"] == ["0.5"] and lines["seed"] == ["3"]
    assert printed.rstrip().endswith(str(samplers.summary(samplers.load(chain_file))))
    assert sorted(os.listdir(chain_file.parent)) == ["run.h5"]


def test_a_run_that_was_cut_short_says_so(
    make_chains: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chains = make_chains(energy=np.random.default_rng(0).normal(size=(4, 50)))
    chains.attributes["draws_requested"] = 2000
    chains.save(tmp_path / "cut.h5")
    assert main([str(tmp_path / "cut.h5")]) == 0
    assert "unfinished, 50 of 2,000 draws" in capsys.readouterr().out


@pytest.mark.parametrize("out", [None, "picture.png"])
def test_the_picture_is_drawn(chain_file: Path, capsys: pytest.CaptureFixture[str], out: str | None) -> None:
    picture = chain_file.with_suffix(".png") if out is None else chain_file.parent / out
    assert main([str(chain_file), "--plot", *([] if out is None else [str(picture)])]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in capsys.readouterr().out


def test_a_ladder_has_a_picture_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ladder, path = samplers.ParallelTempering(samplers.Gibbs(), (0.2, 1.0)), tmp_path / "run.h5"
    samplers.sample(ebm.RBM(3, 2, seed=1), ladder, draws=50, seed=1, store=path, progress=False)
    assert main([str(path), "--plot"]) == 0
    printed = capsys.readouterr().out
    assert "tempering: 2 rungs from beta 0.2 to 1, swap rates" in printed
    for name in ("run.png", "run_tempering.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG") and name in printed


def test_a_missing_or_foreign_file_is_one_plain_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = tmp_path / "letter.h5"
    foreign.write_text("dear sir")
    for path in (tmp_path / "nowhere.h5", foreign, tmp_path):
        assert main([str(path)]) == 1
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.startswith("error: ") and printed.err.count("\n") == 1
        assert str(path) in printed.err


def test_a_picture_that_cannot_be_written_is_an_error(chain_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(chain_file), "--plot", str(chain_file.parent / "no_folder" / "a.png")]) == 1
    assert "error: " in capsys.readouterr().err
    assert main([str(chain_file), "--plot", str(chain_file.parent / "a.doc")]) == 1
    assert "doc" in capsys.readouterr().err


def test_bad_words_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2 and "usage: python -m samplers" in capsys.readouterr().err


def test_as_a_command_from_a_foreign_directory(chain_file: Path) -> None:
    root = Path(samplers.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-m", "samplers", "run.h5"],
        cwd=chain_file.parent,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0 and run.stderr == "" and "verdict: good" in run.stdout
