"""What holds for every test: figures are drawn without a screen; examples are imported as they would run."""

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from example_folder import Load

os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Import a script with its own folder first on the path."""
    import matplotlib

    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1] / "examples"))
    with matplotlib.rc_context():  # the large letters of the examples are not for the tests that follow
        yield importlib.import_module


@pytest.fixture(scope="module")
def one_torch_thread() -> Iterator[None]:
    """Torch on one thread: small products only wait for a second one, and for long if the machine is busy."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the digits that are installed in the place of all of MNIST."""
    from models import datasets

    images, labels = datasets.digits()
    order = np.random.default_rng(0).permutation(5000)
    parts = {"train": order[:4000], "test": order[4000:]}
    monkeypatch.setattr(datasets, "mnist", lambda part: (images[parts[part]], labels[parts[part]]))
