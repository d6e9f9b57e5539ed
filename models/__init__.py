"""The networks of machine learning, each also an energy, and the data they learn from.

    generative          VAE, LatentOptimisation, LinearGaussian, DDPM, CNF, GAN
    without a density   Autoencoder
    supervised          MLP, CNN: regression and classification; JointEnergy, Posterior
    codes               interpolate, traverse, decoded, reconstructed, pullback_metric, log_volume, geodesic
    ways from noise     Ancestral, DDIM, ReverseSDE, ProbabilityFlow, PredictorCorrector of a DDPM
    training            fit, fit_linear_gaussian; one_cycle, SoftThreshold, RigidMotion, initialise
    files               model.save(path), load(path)
    models.datasets     toy densities known exactly, handwritten digits, images and tables
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
    "LatentOptimisation": "latent_optimisation",
    "LinearGaussian": "linear_gaussian",
    "LinearFit": "linear_gaussian",
    "fit_linear_gaussian": "linear_gaussian",
    "Autoencoder": "autoencoder",
    "interpolate": "latent",
    "traverse": "latent",
    "decoded": "latent",
    "reconstructed": "latent",
    "pullback_metric": "latent_geometry",
    "log_volume": "latent_geometry",
    "geodesic": "latent_geometry",
    "DDPM": "ddpm",
    "Ancestral": "diffusion_chains",
    "DDIM": "diffusion_chains",
    "ReverseSDE": "diffusion_equations",
    "ProbabilityFlow": "diffusion_equations",
    "PredictorCorrector": "predictor_corrector",
    "CNF": "cnf",
    "GAN": "gan",
    "MLP": "mlp",
    "CNN": "cnn",
    "Posterior": "posterior",
    "JointEnergy": "joint_energy",
    "initialise": "initialisation",
    "one_cycle": "schedules",
    "SoftThreshold": "soft_threshold",
    "RigidMotion": "rigid_motion",
}
SAVED = ("VAE", "LatentOptimisation", "Autoencoder", "DDPM", "CNF", "GAN", "MLP", "CNN")  # the models that `load` knows

__all__ = [*_HOME, "datasets", "metrics"]


def __getattr__(name: str) -> Any:
    if name in ("datasets", "metrics"):
        return import_module(f"models.{name}")
    if name in _HOME:
        return getattr(import_module(f"models.{_HOME[name]}"), name)
    raise AttributeError(f"module 'models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
