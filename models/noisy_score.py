"""The score of a diffusion model at one noise, as the samplers see it."""

from typing import Any

import numpy as np
import torch

from samplers import protocols


class NoisyScore:
    """The score of the density of x + sigma xi, with x from the data: shape, domain and `grad`, and no energy.

    Args:
        model: a `DDPM`.
        sigma: width of the noise, in the unit of the data.
        log_snr: lambda of that noise.
    """

    domain = "real"

    def __init__(self, model: Any, sigma: float, log_snr: float) -> None:
        self.model, self.sigma, self.log_snr, self.shape = model, sigma, log_snr, model.shape

    @torch.no_grad()
    def grad(self, x: np.ndarray) -> np.ndarray:
        """Return minus the score, epsilon / sigma, (n, *shape)."""
        model = self.model
        tensor = torch.as_tensor(protocols.check_configurations(x, self), dtype=model.dtype, device=model.device)
        epsilon = model.prediction(model.seen(tensor, self.log_snr), self.log_snr).epsilon
        return epsilon.double().cpu().numpy() / self.sigma
