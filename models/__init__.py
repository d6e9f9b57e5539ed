"""The networks of machine learning, each also an energy, and the data they learn from.

    generative          VAE, DDPM
    diffusion           Ancestral, DDIM, ReverseSDE, ProbabilityFlow, PredictorCorrector
    training            fit
    files               model.save(path), load(path)
    models.datasets     toy densities known exactly, and handwritten digits

Everything is loaded on first use.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "fit": "training",
    "Model": "model",
    "load": "model",
    "VAE": "vae",
    "DDPM": "ddpm",
    "Ancestral": "diffusion_chains",
    "DDIM": "diffusion_chains",
    "ReverseSDE": "diffusion_equations",
    "ProbabilityFlow": "diffusion_equations",
    "PredictorCorrector": "predictor_corrector",
}
SAVED = ("VAE", "DDPM")  # the models that `load` knows

__all__ = [*_HOME, "datasets"]


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return import_module("models.datasets")
    if name in _HOME:
        return getattr(import_module(f"models.{_HOME[name]}"), name)
    raise AttributeError(f"module 'models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
