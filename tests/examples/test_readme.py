"""The README is true: its Python runs as printed, its commands work, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

from samplers.__main__ import main as tell

pytestmark = pytest.mark.usefixtures("one_torch_thread")

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
PAGES = [ROOT / "README.md", ROOT / "results" / "README.md"]


def run(block: str) -> None:
    """Run a block as a script of its own."""
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})


def test_the_quick_start_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS[0].splitlines()) <= 15
    run(BLOCKS[0])
    printed = capsys.readouterr().out
    assert "verdict: good" in printed
    value, error = map(float, re.search(r"energy per spin (\S+) \+- (\S+)", printed).groups())
    theory = float(re.search(r"Kaufman, exact  (\S+)", printed).group(1))
    assert abs(value - theory) < 5 * error + 1e-4  # five standard errors, and the rounding of what is printed
    words = re.search(r"python -m samplers (\S+) --plot", README)
    assert tell([words.group(1), "--plot"]) == 0
    assert (tmp_path / words.group(1)).with_suffix(".png").exists()


@pytest.mark.parametrize("block", BLOCKS[1:], ids=["samplers", "your own energy", "learning", "networks", "models"])
def test_every_other_block_runs_as_printed(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
    assert links
    assert [link for link in links if not link.startswith("https:") and not (page.parent / link).exists()] == []
