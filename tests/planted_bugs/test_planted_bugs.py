"""The power of the tests: each planted bug, put into a copy of the library, makes the tests that are to see it fail."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
import bugs  # noqa: E402  (a module beside this one)

# How pytest shows that a test found something wrong, and not that it could not run.
SEEN = re.compile(r"^E +(AssertionError|assert |ValueError: .* must (be|give|have) )", re.MULTILINE)


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what the tests said to each bug that is asked about."""
    asked = [item.callspec.params.get("number") for item in request.session.items if hasattr(item, "callspec")]
    numbers = [str(number) for number in asked if number is not None]
    folder = tmp_path_factory.mktemp("planted")
    environment = {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
    subprocess.run([sys.executable, str(HERE / "runner.py"), str(folder), *numbers], env=environment, check=True)
    return folder


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, id=bug.name, marks=[pytest.mark.slow] if bug.slow else [])
        for number, bug in enumerate(bugs.BUGS)
    ],
)
def test_a_planted_bug_is_seen(number: int, folder: Path) -> None:
    output = (folder / f"{number}.txt").read_text()
    assert (folder / f"{number}.code").read_text() == "1", output  # 1: tests ran, and one failed
    assert "error" not in output.splitlines()[-1], output
    assert SEEN.search(output), output


@pytest.mark.slow  # each of them runs by itself in the quick tests as well
def test_without_bugs_the_same_tests_pass() -> None:
    selected = sorted({test for bug in bugs.BUGS for test in bug.tests})
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *selected]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_there_are_enough_kinds_of_bugs() -> None:
    assert len({bug.name for bug in bugs.BUGS}) == len(bugs.BUGS) >= 14
    assert all(bug.old != bug.new for bug in bugs.BUGS)
