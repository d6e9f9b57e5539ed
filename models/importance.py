"""ln p(x) by importance samples of a code: an estimate, its error, and a bound on the way.

    ln p(x) ~ ln 1/k sum_j w_j,      w_j = p(x, z_j) / q(z_j),      z_j ~ q = N(mean, variance)

Its mean rises with k from the ELBO, at k = 1, towards ln p(x) (Burda, Grosse and Salakhutdinov 2016).
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch

from models.decoders import standard_normal
from models.streams import seeded
from samplers import protocols

ROWS = 20_000  # codes at once
Joint = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class LogProbability(NamedTuple):
    """ln p of each configuration, (n,), and the standard error of each estimate, (n,)."""

    value: np.ndarray
    error: np.ndarray


@torch.no_grad()
def log_probability(
    joint: Joint, x: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor, samples: int, seed: int | None
) -> LogProbability:
    """Return ln p(x) by importance sampling, with the error of each by the delta method.

    Args:
        joint: ln p(x, z) of configurations (m, ...) and codes (m, latent), (m,).
        x: configurations (n, ...).
        mean: of q for each, (n, latent).
        log_variance: ln of the variance of q, (n, latent).
        samples: codes a configuration.
        seed: seed of the codes.

    Raises:
        ValueError: samples is not a positive integer.
    """
    protocols.check_positive(samples, "samples", integer=True)
    with seeded(seed):
        pairs = [_weigh(joint, *row, samples) for row in zip(x, mean, log_variance, strict=True)]
    value, error = np.transpose(pairs)
    return LogProbability(value, error)


def _weigh(
    joint: Joint, x: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor, samples: int
) -> tuple[float, float]:
    """Return ln of the mean weight of one configuration, and its error."""
    logs = []
    for count in _pieces(samples):
        noise = torch.randn(count, len(mean), dtype=mean.dtype, device=mean.device)
        log_q = standard_normal(noise) - 0.5 * log_variance.sum()
        z = mean + (0.5 * log_variance).exp() * noise
        logs.append((joint(x.expand(count, *x.shape), z) - log_q).double())
    log_w = torch.cat(logs)
    value = torch.logsumexp(log_w, 0) - math.log(samples)
    relative = (log_w - value).exp()  # weights over their mean
    error = relative.std() / math.sqrt(samples) if samples > 1 else torch.tensor(math.nan)
    return float(value), float(error)


def _pieces(samples: int) -> Iterator[int]:
    for start in range(0, samples, ROWS):
        yield min(ROWS, samples - start)
