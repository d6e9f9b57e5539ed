"""Variational autoencoder (Kingma and Welling 2014; Rezende, Mohamed and Wierstra 2014): a code z behind every x.

    p(z) = N(0, 1),      p(x | z) = Bernoulli(sigmoid f(z))   or   N(f(z), sigma^2),      q(z | x) = N(m(x), s(x)^2)

    ln p(x) >= ELBO = <ln p(x | z)>_q - KL(q || p),       KL = 1/2 sum_i (m_i^2 + s_i^2 - 1 - ln s_i^2)

The bound of k importance samples (Burda, Grosse and Salakhutdinov 2016) lies between the ELBO and ln p(x), to which it
tends as k grows:

    ln 1/k sum_j w_j,      w_j = p(x, z_j) / q(z_j | x),      z_j ~ q(z | x)

All are in nats a configuration, summed over its numbers; of Gaussian decoders they are densities.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ebm import TorchEnergy
from ebm.networks import fully_connected, sites
from models import convolutional
from models.decoders import Decoder, divergence, layers
from models.importance import LogProbability, log_probability
from models.latent import Codes, as_codes
from models.model import Model
from models.streams import seeded
from samplers import protocols


class VAE(Model):
    """A variational autoencoder of fully connected or convolutional networks.

    Args:
        shape: shape of one configuration.
        latent: numbers of the code.
        hidden: units of the hidden layers of the encoder; the decoder has them in reverse. () is a linear VAE, whose
            best likelihood is that of probabilistic PCA (Lucas et al. 2019).
        channels: channels of convolutional layers before them, each of which halves the image (h, w) or (c, h, w); the
            decoder has them in reverse. () has none.
        likelihood: "bernoulli" for numbers in [0, 1], or "gaussian".
        sigma: standard deviation of a Gaussian decoder, positive; None: it is learned (one for all numbers).
        beta: weight of KL in the loss (Higgins et al. 2017); the bound is that of beta = 1.
        warmup: epochs over which the weight of KL grows linearly from 0 to beta.
        activation: SiLU, Tanh, Softplus, Sigmoid, ELU or ReLU.
        seed: seed of the weights.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> vae = VAE((4,), latent=2, hidden=(8,), seed=0)
        >>> vae.sample(3, seed=1).shape
        (3, 4)
        >>> VAE((7, 9), latent=2, hidden=(), channels=(4, 8), seed=0).sample(3, seed=1).shape
        (3, 7, 9)
    """

    def __init__(
        self, shape: Any, *, latent: int, hidden: Sequence[int] = (256,), channels: Sequence[int] = (),
        likelihood: str = "bernoulli", sigma: float | None = None, beta: float = 1.0, warmup: int = 0,
        activation: str = "SiLU", seed: int | None = None,
    ) -> None:  # fmt: skip
        hidden, channels = layers(hidden, "hidden"), layers(channels, "channels")
        protocols.check_positive(beta, "beta", zero=True)
        protocols.check_positive(warmup, "warmup", integer=True, zero=True)
        with seeded(seed):
            decoder = Decoder(shape, latent, hidden, channels, likelihood, sigma, activation)
            if channels:
                encoder = convolutional.encoder(decoder.shape, channels, hidden, 2 * latent, activation)
            else:
                encoder = fully_connected(sites(decoder.shape), hidden, 2 * latent, activation)
        super().__init__({
            "shape": decoder.shape, "latent": latent, "hidden": hidden, "channels": channels, "likelihood": likelihood,
            "sigma": sigma, "beta": beta, "warmup": warmup, "activation": activation,
        })  # fmt: skip
        self.shape, self.latent, self.likelihood, self.beta, self.warmup = (
            decoder.shape, latent, likelihood, beta, warmup
        )  # fmt: skip
        self.weight = beta  # of KL, now
        self.encoder, self.decoder = encoder, decoder

    def begin_epoch(self, epoch: int) -> None:
        """Set the weight of KL in the loss for an epoch, from 0."""
        self.weight = self.beta * min(1.0, (epoch + 1) / (self.warmup + 1))

    def check(self, data: Any) -> None:
        """Raise unless these are configurations of the right shape and range."""
        self.decoder.check(data)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and logarithm of the variance of q(z | x), (n, latent) each."""
        mean, log_variance = self.encoder(x.flatten(1)).chunk(2, 1)
        return mean, log_variance

    @torch.no_grad()
    def infer(self, x: Any) -> Codes:
        """Return the codes of configurations (n, *shape): mean and standard deviation of q(z | x)."""
        mean, log_variance = self.encode(self.decoder.configurations(x))
        return as_codes(mean, (0.5 * log_variance).exp())

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return the mean of x at codes z (n, latent): (n, *shape)."""
        return self.decoder(z)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        """Return minus the mean ELBO of a batch (n, *shape), with KL at its present weight."""
        mean, log_variance = self.encode(batch)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        weight = self.weight if self.training else self.beta
        return (weight * divergence(mean, log_variance) - self.decoder.log_likelihood(batch, z)).mean()

    @torch.no_grad()
    def elbo(self, x: Any, seed: int | None = None) -> np.ndarray:
        """Return the bound ELBO, (n,), of configurations (n, *shape), by one code each and KL in closed form."""
        x = self.decoder.configurations(x)
        with seeded(seed):
            mean, log_variance = self.encode(x)
            z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
            return (self.decoder.log_likelihood(x, z) - divergence(mean, log_variance)).double().cpu().numpy()

    def log_prob_bound(self, x: Any, k: int = 50, seed: int | None = None) -> np.ndarray:
        """Return the bound of k importance samples, (n,); its mean rises with k towards ln p(x).

        Raises:
            ValueError: k is not a positive integer, or x does not fit.
        """
        return self.log_prob(x, k, seed).value

    @torch.no_grad()
    def log_prob(self, x: Any, samples: int = 5000, seed: int | None = None) -> LogProbability:
        """Return ln p(x) by importance sampling from q(z | x), with the error of each by the delta method.

        Args:
            x: configurations (n, *shape).
            samples: codes a configuration.
            seed: seed of the codes.

        Raises:
            ValueError: samples is not a positive integer, or x does not fit.
        """
        x = self.decoder.configurations(x)
        return log_probability(self.decoder.joint, x, *self.encode(x), samples, seed)

    @torch.no_grad()
    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """Return n configurations drawn from the model, (n, *shape): bits of a Bernoulli decoder."""
        protocols.check_positive(n, "n", integer=True)
        with seeded(seed):
            z = torch.randn(n, self.latent, dtype=self.dtype, device=self.device)
            return self.decoder.draw(z).cpu().numpy()

    def as_energy(self, x: Any) -> TorchEnergy:
        """Return E(z; x) = -ln p(x, z) of one configuration: at beta = 1 its law is the posterior of the code.

        Args:
            x: one configuration, of the model's shape.

        Returns:
            An energy of shape (latent,) whose ln Z is ln p(x).
        """
        return self.decoder.energy(self.decoder.configurations(np.asarray(x)[None]))
