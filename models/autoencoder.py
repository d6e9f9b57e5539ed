"""Autoencoders without a density, beside the VAE: plain, sparse and denoising.

    loss = <-ln p(x | z)> + sparsity sum_k KL(activity || <z_k>),      z = f(x + noise e),      e ~ N(0, 1)

    plain       neither: the code is as narrow as the network's neck; a linear one finds the plane of PCA (Baldi and
                Hornik 1989)
    sparse      sparsity > 0: codes between 0 and 1, each of which is on in a share `activity` of the data (Ng 2011);
                KL is that of two coins, and <z_k> the mean over a batch
    denoising   noise > 0: x is made again from what it is when noise was added (Vincent et al. 2008). If noise is small
                and the likelihood Gaussian, the way back is noise^2 times the score of p(x) (Alain and Bengio 2014)

A Gaussian likelihood has a standard deviation of one: minus its logarithm is half the squared error, and a constant.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch

from ebm.networks import fully_connected, sites
from models import convolutional
from models.decoders import Decoder, layers
from models.latent import Codes, as_codes
from models.model import Model
from models.streams import seeded
from samplers import protocols


class Autoencoder(Model):
    """An encoder z = f(x) and a decoder.

    Args:
        shape, latent, hidden, channels, likelihood, activation: as of `models.VAE`.
        sparsity: weight of the term that makes codes sparse; 0: there is none, and codes are any real numbers.
        activity: share of the data in which a sparse code is to be on, between 0 and 1.
        noise: standard deviation of what is added to x before it is encoded in training, in units of x.
        seed: seed of the weights.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> import models, numpy as np
        >>> model = Autoencoder((4,), latent=2, hidden=(8,), likelihood="gaussian", noise=0.1, seed=0)
        >>> history = models.fit(model, np.eye(4), epochs=2, seed=1)
        >>> models.reconstructed(model, np.eye(4)).shape
        (4, 4)
    """

    def __init__(
        self, shape: Any, *, latent: int, hidden: Sequence[int] = (256,), channels: Sequence[int] = (),
        likelihood: str = "bernoulli", sparsity: float = 0.0, activity: float = 0.05, noise: float = 0.0,
        activation: str = "SiLU", seed: int | None = None,
    ) -> None:  # fmt: skip
        hidden, channels = layers(hidden, "hidden"), layers(channels, "channels")
        protocols.check_positive(sparsity, "sparsity", zero=True)
        protocols.check_positive(noise, "noise", zero=True)
        if not 0.0 < activity < 1.0:
            raise ValueError(f"activity must lie between 0 and 1, got {activity}")
        with seeded(seed):
            sigma = 1.0 if likelihood == "gaussian" else None
            decoder = Decoder(shape, latent, hidden, channels, likelihood, sigma, activation)
            if channels:
                encoder = convolutional.encoder(decoder.shape, channels, hidden, latent, activation)
            else:
                encoder = fully_connected(sites(decoder.shape), hidden, latent, activation)
        super().__init__({
            "shape": decoder.shape, "latent": latent, "hidden": hidden, "channels": channels, "likelihood": likelihood,
            "sparsity": sparsity, "activity": activity, "noise": noise, "activation": activation,
        })  # fmt: skip
        self.shape, self.latent, self.sparsity, self.activity, self.noise = (
            decoder.shape, latent, sparsity, activity, noise
        )  # fmt: skip
        self.encoder, self.decoder = encoder, decoder

    def check(self, data: Any) -> None:
        """Raise unless these are configurations of the right shape and range."""
        self.decoder.check(data)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the codes (n, latent) of configurations (n, *shape)."""
        z = self.encoder(x.flatten(1))
        return z.sigmoid() if self.sparsity else z

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return the mean of x at codes z (n, latent): (n, *shape)."""
        return self.decoder(z)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of a batch (n, *shape); without noise in evaluation."""
        seen = batch + self.noise * torch.randn_like(batch) if self.training and self.noise else batch
        z = self.encode(seen)
        loss = -self.decoder.log_likelihood(batch, z).mean()
        return loss + self.sparsity * self._inactivity(z.mean(0)) if self.sparsity else loss

    def _inactivity(self, mean: torch.Tensor) -> torch.Tensor:
        """Return the sum of KL(activity || mean) over the numbers of a code."""
        on, off = self.activity, 1.0 - self.activity
        constant = self.latent * (on * math.log(on) + off * math.log(off))
        return constant - (on * mean.log() + off * (1.0 - mean).log()).sum()

    @torch.no_grad()
    def infer(self, x: Any) -> Codes:
        """Return the codes of configurations (n, *shape), of width zero."""
        mean = self.encode(self.decoder.configurations(x))
        return as_codes(mean, torch.zeros_like(mean))
