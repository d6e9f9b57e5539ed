"""From a code z to a law of x: what a VAE and latent optimisation share.

    p(z) = N(0, 1),      p(x | z) = Bernoulli(sigmoid f(z))   or   N(f(z), sigma^2)

f is a network, fully connected or convolutional. Logarithms are in nats a configuration, summed over its numbers (not
their mean: that would weigh the code's terms by the number of pixels); of Gaussian decoders they are densities.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import softplus

from ebm import TorchEnergy
from ebm.energy import check_shape
from ebm.networks import check_activation, check_sizes, fully_connected, sites
from models import convolutional
from models.batches import as_tensors, check_shape_of, check_unit
from samplers import protocols

LIKELIHOODS = ("bernoulli", "gaussian")


class Decoder(nn.Module):
    """The law of x given a code.

    Args:
        shape: shape of one configuration.
        latent: numbers of the code.
        hidden: units of the fully connected layers, in the order of an encoder: here they come in reverse.
        channels: of convolutional layers, in the order of an encoder; () has none.
        likelihood: "bernoulli" for numbers in [0, 1], or "gaussian".
        sigma: standard deviation of a Gaussian decoder, positive; None: it is learned (one for all numbers).
        activation: SiLU, Tanh, Softplus, Sigmoid, ELU or ReLU.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> decoder = Decoder((4,), 2, (8,))
        >>> decoder.log_likelihood(torch.zeros(3, 4), torch.zeros(3, 2)).shape
        torch.Size([3])
    """

    def __init__(
        self, shape: Any, latent: int, hidden: Sequence[int] = (256,), channels: Sequence[int] = (),
        likelihood: str = "bernoulli", sigma: float | None = None, activation: str = "SiLU",
    ) -> None:  # fmt: skip
        super().__init__()
        self.shape, self.latent, self.likelihood = check_shape(shape), latent, likelihood
        hidden, channels = layers(hidden, "hidden"), layers(channels, "channels")
        protocols.check_positive(latent, "latent", integer=True)
        check_activation(activation)
        if likelihood not in LIKELIHOODS:
            raise ValueError(f'likelihood must be "bernoulli" or "gaussian", got {likelihood!r}')
        if sigma is not None:
            protocols.check_positive(sigma, "sigma")
            if likelihood == "bernoulli":
                raise ValueError(f'sigma is of likelihood="gaussian", got sigma={sigma} with "bernoulli"')
        if channels:
            self.network = convolutional.decoder(latent, hidden, channels, self.shape, activation)
        else:
            self.network = fully_connected(latent, hidden[::-1], sites(self.shape), activation)
        start = torch.tensor(0.0 if sigma is None else math.log(sigma))
        self.log_sigma = nn.Parameter(start, requires_grad=sigma is None and likelihood == "gaussian")

    def check(self, data: Any) -> None:
        """Raise unless these are configurations of the right shape and range."""
        check_shape_of(data, self.shape)
        if self.likelihood == "bernoulli":
            check_unit(data, "a Bernoulli decoder")

    def configurations(self, x: Any) -> torch.Tensor:
        """Return configurations (n, *shape) as a tensor of this precision, on this device.

        Raises:
            ValueError: x does not fit, or has a number that is not finite.
        """
        (tensor,) = as_tensors(x, self.log_sigma.dtype, "x")
        tensor = tensor.to(self.log_sigma.dtype)
        self.check(tensor)
        return tensor.to(self.log_sigma.device)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return the mean of x at codes z (n, latent): (n, *shape)."""
        f = self.network(z)
        return (torch.sigmoid(f) if self.likelihood == "bernoulli" else f).reshape(-1, *self.shape)

    def log_likelihood(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Return ln p(x | z), (n,), of configurations (n, *shape) and codes (n, latent)."""
        x, f = x.flatten(1), self.network(z)
        if self.likelihood == "bernoulli":
            return (x * f - softplus(f)).sum(1)
        square = ((x - f) / self.log_sigma.exp()).square() + math.log(2.0 * math.pi) + 2.0 * self.log_sigma
        return -0.5 * square.sum(1)

    def joint(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Return ln p(x, z), (n,)."""
        return self.log_likelihood(x, z) + standard_normal(z)

    def draw(self, z: torch.Tensor) -> torch.Tensor:
        """Return configurations drawn given codes z (n, latent), (n, *shape): bits of a Bernoulli decoder."""
        mean = self(z)
        if self.likelihood == "bernoulli":
            return torch.bernoulli(mean)
        return mean + self.log_sigma.exp() * torch.randn_like(mean)

    def energy(self, x: torch.Tensor) -> TorchEnergy:
        """Return E(z; x) = -ln p(x, z) of one configuration (1, *shape), an energy of shape (latent,)."""

        def energy(z: torch.Tensor) -> torch.Tensor:
            return -self.joint(x.expand(len(z), *self.shape), z.to(x.dtype)).double()

        return TorchEnergy(energy, shape=(self.latent,), device=x.device)


def layers(sizes: Sequence[int], name: str) -> tuple[int, ...]:
    """Return the sizes of layers as a tuple of positive integers, which may be empty."""
    return check_sizes(sizes, name) if len(sizes) else ()


def standard_normal(z: torch.Tensor) -> torch.Tensor:
    """Return ln N(z; 0, 1), (n,), of z (n, latent)."""
    return -0.5 * (z.square() + math.log(2.0 * math.pi)).sum(1)


def divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return KL(N(mean, exp(log_variance)) || N(0, 1)), (n,), of means and logarithms (n, latent), in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1)
