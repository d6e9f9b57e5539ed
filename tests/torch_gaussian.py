"""A Gaussian in five dimensions as a torch energy, E = x P x / 2 with P to be learned, and what is known of it."""

import numpy as np
import torch

import ebm

RNG = np.random.default_rng(11)
SPREAD = RNG.normal(size=(5, 9)) / 3.0
COVARIANCE = SPREAD @ SPREAD.T + 0.3 * np.eye(5)
PRECISION = np.linalg.inv(COVARIANCE)
LOG_Z = 2.5 * np.log(2.0 * np.pi) + 0.5 * np.linalg.slogdet(COVARIANCE)[1]


class Quadratic(torch.nn.Module):
    """E = x P x / 2, of which only the symmetric part of P matters."""

    def __init__(self, precision: np.ndarray) -> None:
        super().__init__()
        self.P = torch.nn.Parameter(torch.tensor(precision, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 * ((x @ self.P) * x).sum(1)


class QuadraticEnergy(ebm.TorchEnergy):
    """The energy, whose model expectation is known: <dE/dP> = C / 2."""

    n_hidden = 0  # no hidden states to sum over

    def __init__(self, precision: np.ndarray) -> None:
        super().__init__(Quadratic(precision), shape=(5,))

    def precision(self) -> np.ndarray:
        """The symmetric part of P."""
        P = self.module.P.detach().numpy()
        return (P + P.T) / 2

    def model_gradient(self) -> dict[str, np.ndarray]:
        """<dE/dP> = C / 2 exactly."""
        return {"P": np.linalg.inv(self.precision()) / 2}


def draws(n: int, seed: int) -> np.ndarray:
    """n independent points of the Gaussian."""
    return np.random.default_rng(seed).multivariate_normal(np.zeros(5), COVARIANCE, n)
