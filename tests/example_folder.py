"""What the tests of examples share: the folder that an example has written."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

Load = Callable[[str], ModuleType]  # the fixture `load` of tests/conftest.py


def results(folder: Path, pictures: dict[str, str], width: int = 1000) -> dict[str, Any]:
    """The figures are there, small and shown in the README; return the results in metrics.json."""
    story = (folder / "README.md").read_text("utf-8")
    for name in pictures:
        content = (folder / name).read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n" and struct.unpack(">I", content[16:20])[0] >= width
        assert len(content) < 200 * 1024
        assert f"]({name})" in story
    record = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert {"seed", "seeds"} & set(record["settings"])
    assert {"command", "versions", "results"} <= set(record)
    return record["results"]
