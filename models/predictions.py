"""What a network may predict of x_t = alpha x_0 + sigma epsilon, alpha^2 + sigma^2 = 1, and what follows from it.

    "epsilon"    the noise (Ho, Jain and Abbeel 2020)
    "x0"         the data without it
    "v"          alpha epsilon - sigma x_0 (Salimans and Ho 2022), whose size is that of the data at every level

Each gives the others, and the score of the density of x_t, of which the best epsilon is a multiple (Vincent 2011):

    x_0 = (x_t - sigma epsilon) / alpha = alpha x_t - sigma v
    epsilon = (x_t - alpha x_0) / sigma = sigma x_t + alpha v
    epsilon* = <epsilon | x_t> = -sigma d ln p_t(x_t) / dx_t
"""

from typing import NamedTuple

import torch

PREDICTIONS = ("epsilon", "x0", "v")


class Prediction(NamedTuple):
    """Expectations given x_t, all of the shape of x_t."""

    x0: torch.Tensor
    epsilon: torch.Tensor
    v: torch.Tensor
    score: torch.Tensor


def scales(log_snr: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return alpha and sigma of levels (n,), or of one level (), to be multiplied with x (n, ...)."""
    log_snr = log_snr.reshape(-1, *[1] * (x.ndim - 1))
    return torch.sigmoid(log_snr).sqrt(), torch.sigmoid(-log_snr).sqrt()


def target(predict: str, x0: torch.Tensor, epsilon: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
    """Return what the network should say."""
    if predict == "v":
        alpha, sigma = scales(log_snr, x0)
        return alpha * epsilon - sigma * x0
    return x0 if predict == "x0" else epsilon


def prediction(predict: str, output: torch.Tensor, x: torch.Tensor, log_snr: torch.Tensor) -> Prediction:
    """Return all that follows from the network's output at x = x_t."""
    alpha, sigma = scales(log_snr, x)
    if predict == "v":
        x0, epsilon, v = alpha * x - sigma * output, sigma * x + alpha * output, output
    elif predict == "x0":
        x0, epsilon, v = output, (x - alpha * output) / sigma, (alpha * x - output) / sigma
    else:
        x0, epsilon, v = (x - sigma * output) / alpha, output, (output - sigma * x) / alpha
    return Prediction(x0, epsilon, v, -epsilon / sigma)
