"""The networks of machine learning, each also an energy, and the data they learn from.

    generative          CNF, GAN, VAE
    training            fit
    files               model.save(path), load(path)
    models.datasets     toy densities known exactly, and handwritten digits
    models.metrics      how far samples are from others, or from a density

Everything is loaded on first use.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "fit": "training",
    "Model": "model",
    "load": "model",
    "VAE": "vae",
    "CNF": "cnf",
    "GAN": "gan",
}
SAVED = ("VAE", "CNF", "GAN")  # the models that `load` knows

__all__ = [*_HOME, "datasets", "metrics"]


def __getattr__(name: str) -> Any:
    if name in ("datasets", "metrics"):
        return import_module(f"models.{name}")
    if name in _HOME:
        return getattr(import_module(f"models.{_HOME[name]}"), name)
    raise AttributeError(f"module 'models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
