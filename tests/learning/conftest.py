"""What holds for the tests of learning: torch works on one thread."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def _on_one_thread(one_torch_thread: None) -> None:
    pass
