"""The best denoiser of a mixture of round Gaussians, as a network: what a diffusion model does with it is exact."""

from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import nn


def variance_p(x: np.ndarray, expected: float) -> float:
    """The p-value of independent Gaussian draws of mean zero under a variance, in both directions."""
    statistic = float((x**2).sum() / expected)
    return 2 * float(min(stats.chi2.sf(statistic, x.size), stats.chi2.cdf(statistic, x.size)))


class BestDenoiser(nn.Module):
    """What a network should say of x_t = alpha x_0 + sigma epsilon, with x_0 from sum_k w_k N(mean_k, variance_k).

    From the chance r_k of each component given x_t, <epsilon | x_t> = sigma sum_k r_k (x_t - alpha mean_k) / v_k with
    v_k = alpha^2 variance_k + sigma^2.
    """

    def __init__(self, means: Any, variances: Any, weights: Any = (1.0,), predict: str = "epsilon") -> None:
        super().__init__()
        self.means, self.variances, self.weights = (
            nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in (means, variances, weights)
        )
        self.predict = predict

    def forward(self, x: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        """Return the best output at x (n, d) and levels (n,)."""
        abar = torch.sigmoid(log_snr)[:, None]  # (n, 1)
        v = abar * self.variances + 1 - abar  # (n, k)
        offset = x[:, None] - abar.sqrt()[:, :, None] * self.means  # (n, k, d)
        logs = self.weights.log() - 0.5 * offset.square().sum(2) / v - 0.5 * x.shape[1] * v.log()
        epsilon = (1 - abar).sqrt() * (torch.softmax(logs, 1)[:, :, None] * offset / v[:, :, None]).sum(1)
        x0 = (x - (1 - abar).sqrt() * epsilon) / abar.sqrt()
        outputs = {"epsilon": epsilon, "x0": x0, "v": abar.sqrt() * epsilon - (1 - abar).sqrt() * x0}
        return outputs[self.predict]
