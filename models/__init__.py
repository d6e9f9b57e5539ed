"""The networks of machine learning, each also an energy, and the data they learn from.

    generative          VAE, LatentOptimisation, LinearGaussian
    without a density   Autoencoder
    codes               interpolate, traverse, decoded, reconstructed, pullback_metric, log_volume, geodesic
    training            fit, fit_linear_gaussian
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
    "Autoencoder": "autoencoder",
    "LatentOptimisation": "latent_optimisation",
    "LinearGaussian": "linear_gaussian",
    "LinearFit": "linear_gaussian",
    "fit_linear_gaussian": "linear_gaussian",
    "interpolate": "latent",
    "traverse": "latent",
    "decoded": "latent",
    "reconstructed": "latent",
    "pullback_metric": "latent_geometry",
    "log_volume": "latent_geometry",
    "geodesic": "latent_geometry",
}
SAVED = ("VAE", "LatentOptimisation", "Autoencoder")  # the models that `load` knows

__all__ = [*_HOME, "datasets"]


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return import_module("models.datasets")
    if name in _HOME:
        return getattr(import_module(f"models.{_HOME[name]}"), name)
    raise AttributeError(f"module 'models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
