"""Codes of new configurations without an encoder: the bound is climbed for each, with the decoder as it is.

    q(z) = N(m, s^2) of largest  <ln p(x | z)>_q - KL(q || p)

The bound of a decoder that is a network has many maxima: a search begins at the code of an example that looks alike.
"""

import math

import torch

from models.decoders import Decoder, divergence
from models.streams import seeded
from samplers import protocols


def losses(
    decoder: Decoder, x: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor, noise: torch.Tensor,
    beta: float = 1.0,
) -> torch.Tensor:  # fmt: skip
    """Return beta KL(q || p) - ln p(x | z), (n,), at z = mean + sigma noise, all (n, latent)."""
    z = mean + (0.5 * log_variance).exp() * noise
    return beta * divergence(mean, log_variance) - decoder.log_likelihood(x, z)


def search(
    decoder: Decoder, x: torch.Tensor, known: torch.Tensor, *, steps: int, learning_rate: float, candidates: int,
    seed: int | None,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Return means and logarithms of the variances, (n, latent) each, of the codes of configurations.

    Args:
        decoder: stays as it is.
        x: configurations (n, *shape).
        known: mean and logarithm of the variance of the codes of examples, side by side, (m, 2 latent).
        steps: of Adam, each with a pair of opposite noises.
        learning_rate: of the first step; it falls to zero.
        candidates: examples to begin at, at most.
        seed: seed of the candidates and of the noise.

    Raises:
        ValueError: an argument is out of range.
    """
    protocols.check_positive(steps, "steps", integer=True)
    protocols.check_positive(candidates, "candidates", integer=True)
    protocols.check_positive(learning_rate, "learning_rate")
    with seeded(seed, 1), torch.enable_grad():
        first = _alike(decoder, x, known, candidates)
        mean, log_variance = (part.clone().requires_grad_() for part in first.chunk(2, 1))
        adam = torch.optim.Adam([mean, log_variance], lr=learning_rate)
        for step in range(steps):
            adam.param_groups[0]["lr"] = learning_rate * 0.5 * (1.0 + math.cos(math.pi * step / steps))
            noise = torch.randn_like(mean)
            pair = losses(decoder, x, mean, log_variance, noise) + losses(decoder, x, mean, log_variance, -noise)
            mean.grad, log_variance.grad = torch.autograd.grad(0.5 * pair.sum(), [mean, log_variance])
            adam.step()
    return mean.detach(), log_variance.detach()


@torch.no_grad()
def _alike(decoder: Decoder, x: torch.Tensor, known: torch.Tensor, candidates: int) -> torch.Tensor:
    """Return, for each x, the known code whose mean is decoded to what is nearest to x."""
    known = known[torch.randperm(len(known))[:candidates].to(known.device)]
    images = decoder(known.chunk(2, 1)[0])
    return known[torch.cdist(x.flatten(1), images.flatten(1)).argmin(1)]
