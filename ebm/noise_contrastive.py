"""Noise-contrastive estimation (Gutmann and Hyvarinen 2012): learn a density by telling data from noise.

With nu noise points y ~ p_n for every point of data and ln p_m(x) = -E(x) - ln Z, the loss is that of a classifier,

    J = -<ln h>_data - nu <ln(1 - h)>_noise,        h(x) = sigmoid(ln p_m(x) - ln p_n(x) - ln nu)

which is least at p_m = p_data: it learns ln Z as one more parameter, so that the energy comes normalised.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ebm.autograd import TorchObjective
from ebm.centring import Centre
from ebm.objectives import Gradient, State
from samplers import protocols


@dataclass(frozen=True)
class NoiseContrastive(TorchObjective):
    """Noise-contrastive estimation against a Gaussian that is fitted to the data. The history's "log_z" is ln Z.

    Args:
        ratio: noise points nu for each point of data.
        widen: factor of the width of the Gaussian beyond the data's, positive; above 1 it covers tails.

    Example:
        >>> NoiseContrastive(ratio=4)
        NoiseContrastive(ratio=4, widen=1.0)
    """

    ratio: int = 1
    widen: float = 1.0
    learned: ClassVar[tuple[str, ...]] = ("log_z",)  # type: ignore[misc]

    def check(self, energy: Any) -> None:
        """Raise if a setting is out of range, or this is no torch energy."""
        protocols.check_positive(self.ratio, "ratio", integer=True)
        protocols.check_positive(self.widen, "widen")
        super().check(energy)
        if not protocols.has_energy(energy):
            raise TypeError(f"NoiseContrastive needs an energy, got {protocols.name_of(energy)}, which is a score")

    def start(self, energy: Any, data: np.ndarray, batch_size: int, entropy: int) -> State:
        """Return the noise's mean and Cholesky factor, ln Z, and what every torch objective keeps."""
        flat = data.reshape(len(data), -1)
        covariance = self.widen**2 * np.atleast_2d(np.cov(flat.T))
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError as error:
            raise ValueError("data must vary in every direction to be told from Gaussian noise") from error
        noise = {"noise_mean": flat.mean(0), "noise_factor": factor, "noise_inverse": np.linalg.inv(factor)}
        log_z = {"log_z": np.zeros(1), "log_z_slope": np.zeros(1)}
        return {**super().start(energy, data, batch_size, entropy), **noise, **log_z}

    def gradient(self, energy: Any, batch: np.ndarray, state: State, centre: Centre | None) -> Gradient:
        """Return the direction of ascent for a batch (n, *shape), of the parameters and of ln Z."""
        direction = super().gradient(energy, batch, state, centre)
        return {**direction, "log_z": -state["log_z_slope"]}

    def loss(self, energy: Any, x: Any, state: State, generator: Any) -> Any:
        """Return -<ln h>_data - nu <ln(1 - h)>_noise."""
        import torch

        n, d = len(x), state["noise_mean"].size
        names = "noise_mean", "noise_factor", "noise_inverse"
        mean, factor, inverse = (torch.as_tensor(state[name], dtype=x.dtype) for name in names)
        z = torch.randn((self.ratio * n, d), generator=generator, dtype=x.dtype)
        white = (x.flatten(1) - mean) @ inverse.T
        both = torch.cat([x, (mean + z @ factor.T).reshape(-1, *x.shape[1:])])
        shift = float(np.log(state["noise_factor"].diagonal()).sum()) + 0.5 * d * math.log(2.0 * math.pi)
        shift -= float(state["log_z"][0]) + math.log(self.ratio)
        logit = 0.5 * torch.cat([white, z]).square().sum(1) + shift - energy(both)
        # d J / d ln Z = <1 - h>_data - nu <h>_noise, by hand: ln Z is no parameter of the module.
        of_data, of_noise = logit.detach().split([n, self.ratio * n])
        state["log_z_slope"][0] = torch.sigmoid(-of_data).mean() - self.ratio * torch.sigmoid(of_noise).mean()
        softplus = torch.nn.functional.softplus
        return softplus(-logit[:n]).mean() + self.ratio * softplus(logit[n:]).mean()
