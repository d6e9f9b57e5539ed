"""Fixtures of the storage tests: the known run, and scripts in a process of their own."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def known() -> ModuleType:
    """The module known.py; a test folder is no package, so it is loaded by its place."""
    spec = importlib.util.spec_from_file_location("known", HERE / "known.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def start_script() -> Callable[..., subprocess.Popen[str]]:
    """Start a script of this folder with warnings as errors; it may import known.py."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE.parents[1]), str(HERE)))}

    def start(name: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", str(HERE / name), *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True)

    return start


@pytest.fixture(scope="session")
def run_script(start_script: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Run a script of this folder to its end and return what it printed."""

    def run(name: str, *arguments: object) -> str:
        with start_script(name, *arguments) as process:
            output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        return output

    return run
