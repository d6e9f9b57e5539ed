"""ebm: the energies of ebmlab, how they are learned, and what is exactly known about them.

    wells and valleys   Gaussian, GaussianMixture, DoubleWell, MullerBrown, Rosenbrock
    magnets             Ising, Potts, XY, CurieWeiss; magnetisation, absolute_magnetisation
    machines            BoltzmannMachine, Hopfield, RBM, GaussianRBM
    networks            NeuralEnergy, ScoreModel
    wavefunctions       RBMWaveFunction, ComplexRBMWaveFunction, WaveFunction of NetKet's models; ebm.quantum
    your own            CompiledEnergy, TorchEnergy, CompiledNetwork; E1 + E2, 0.5 * E
    learning            fit, training; SGD, Adam; Equilibrium, a monitor that warns
    objectives          ContrastiveDivergence, PersistentCD, ParallelTemperingCD, ExactLikelihood, ScoreMatching,
                        SlicedScoreMatching, DenoisingScoreMatching, NoiseContrastive
    log Z               log_z(energy, method="exact" | "ais" | "ti" | "bar" | "mbar"), log_likelihood, mbar_weights
    exact results       ebm.exact
    landscapes          ebm.landscape
    files               energy.save(path), load(path)

Everything is loaded on first use.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "Gaussian": "gaussian",
    "GaussianMixture": "gaussian",
    "DoubleWell": "wells",
    "MullerBrown": "wells",
    "Rosenbrock": "wells",
    "Ising": "lattice",
    "Potts": "lattice",
    "XY": "lattice",
    "magnetisation": "lattice",
    "absolute_magnetisation": "lattice",
    "CurieWeiss": "mean_field",
    "BoltzmannMachine": "mean_field",
    "Hopfield": "mean_field",
    "RBM": "rbm",
    "GaussianRBM": "gaussian_rbm",
    "RBMWaveFunction": "wavefunction",
    "ComplexRBMWaveFunction": "complex_wavefunction",
    "WaveFunction": "quantum.wave_function",
    "NeuralEnergy": "neural",
    "ScoreModel": "score_model",
    "CompiledEnergy": "own",
    "TorchEnergy": "own",
    "CompiledNetwork": "compiled_network",
    "Energy": "energy",
    "fit": "learning",
    "training": "learning",
    "History": "history",
    "LearningError": "training_run",
    "SGD": "optimisers",
    "Adam": "optimisers",
    "ContrastiveDivergence": "contrastive",
    "PersistentCD": "contrastive",
    "ParallelTemperingCD": "tempered_divergence",
    "ExactLikelihood": "exact_likelihood",
    "Equilibrium": "equilibrium",
    "EquilibriumWarning": "equilibrium",
    "ScoreMatching": "score_matching",
    "SlicedScoreMatching": "score_matching",
    "DenoisingScoreMatching": "score_matching",
    "NoiseContrastive": "noise_contrastive",
    "log_z": "partition",
    "LogZ": "bracket",
    "LogZWarning": "bracket",
    "LogLikelihood": "likelihood",
    "log_likelihood": "likelihood",
    "mbar_weights": "reweighting",
    "load": "files",
}

__all__ = [*_HOME, "exact", "landscape", "quantum"]


def __getattr__(name: str) -> Any:
    if name in ("exact", "landscape", "quantum"):
        return import_module(f"ebm.{name}")
    if name in _HOME:
        return getattr(import_module(f"ebm.{_HOME[name]}"), name)
    raise AttributeError(f"module 'ebm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
