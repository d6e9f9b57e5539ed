"""Generative adversarial network (Goodfellow et al. 2014): a generator G, and a D that tells its samples from data.

    V(D, G) = <ln D(x)>_data + <ln(1 - D(G(z)))>_z,      D = sigmoid(d),      z ~ N(0, 1)

D climbs V; its best is D* = p / (p + q) for data of density p and samples of density q, where V = -2 ln 2 + 2 JS(p, q).
G descends -<ln D(G(z))>, the loss that does not saturate. R1 (Mescheder, Geiger and Nowozin 2018) adds
gamma/2 <|dd/dx|^2>_data to the discriminator's loss, without which the two circle each other for long.

Since d* = ln p/q, the discriminator corrects its generator: the law of codes

    E(z) = |z|^2 / 2 - d(G(z))

gives samples G(z) of density p (discriminator-driven latent sampling, Che et al. 2020), if d is d* and q is not zero
where p is not. Logarithms are in nats.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus
from torch.nn.utils.parametrizations import spectral_norm

from ebm import TorchEnergy
from ebm.energy import check_shape
from ebm.networks import check_activation, check_image, check_sizes, convolutional, fully_connected, sites
from models.batches import as_tensors, check_shape_of, check_unit
from models.dcgan import image_generator
from models.model import Model
from models.streams import seeded
from samplers import protocols

OUTPUTS = ("real", "unit")


class GAN(Model):
    """A generator and a discriminator, fully connected or convolutional, that learn from each other by `models.fit`.

    Args:
        shape: shape of one configuration; (height, width) or (channels, height, width) with `channels`.
        latent: numbers of the code z.
        hidden: units of the hidden layers of a fully connected discriminator; the generator has them in reverse.
        channels: of the layers of a convolutional discriminator; the generator has them in reverse. Each after the
            first halves the image, whose sides must allow it.
        activation: SiLU, Tanh, Softplus, Sigmoid, ELU or ReLU. ELU is smooth enough for chains; ReLU learns fine detail
            in far fewer steps. All but SiLU change no difference by more than itself, as `spectral_norm` needs.
        output: "real", or "unit" for numbers in [0, 1].
        spectral_norm: divide each weight of the discriminator by its largest singular value (Miyato et al. 2018). That
            of a filter is taken of its matrix (outputs, inputs x height x width).
        gradient_penalty: gamma of R1, in the squared unit of x; 0 for none.
        seed: seed of the weights.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> gan = GAN((2,), latent=3, hidden=(8,), seed=0)
        >>> gan.sample(5, seed=1).shape
        (5, 2)
    """

    def __init__(
        self, shape: Any, *, latent: int, hidden: Sequence[int] = (128, 128), channels: Sequence[int] | None = None,
        activation: str = "ELU", output: str = "real", spectral_norm: bool = False, gradient_penalty: float = 0.0,
        seed: int | None = None,
    ) -> None:  # fmt: skip
        shape, hidden = check_shape(shape), check_sizes(hidden, "hidden") if len(hidden) else ()
        protocols.check_positive(latent, "latent", integer=True)
        protocols.check_positive(gradient_penalty, "gradient_penalty", zero=True)
        if output not in OUTPUTS:
            raise ValueError(f'output must be "real" or "unit", got {output!r}')
        check_activation(activation)
        if channels is not None:
            channels = check_sizes(channels, "channels")
            check_image(shape, channels)
        super().__init__({
            "shape": shape, "latent": latent, "hidden": hidden, "channels": channels, "activation": activation,
            "output": output, "spectral_norm": spectral_norm, "gradient_penalty": gradient_penalty,
        })  # fmt: skip
        self.shape, self.latent, self.output, self.gradient_penalty = shape, latent, output, gradient_penalty
        with seeded(seed):
            if channels is None:
                discriminator = nn.Sequential(nn.Flatten(), *fully_connected(sites(shape), hidden, 1, activation))
                generator = nn.Sequential(
                    *fully_connected(latent, hidden[::-1], sites(shape), activation), nn.Unflatten(1, shape)
                )
            else:
                discriminator = convolutional(shape, channels, activation)
                generator = image_generator(latent, channels[::-1], shape, activation)
            if output == "unit":
                generator.append(nn.Sigmoid())
            if spectral_norm:
                bound(discriminator)
        # In this order: a step of the generator follows one of the discriminator.
        self.players = nn.ModuleDict({"discriminator": discriminator, "generator": generator})

    def check(self, data: Any) -> None:
        """Raise unless these are configurations of the right shape and range."""
        check_shape_of(data, self.shape)
        if self.output == "unit":
            check_unit(data, 'output="unit"')

    def logit(self, x: torch.Tensor) -> torch.Tensor:
        """Return d(x), (n,), the logit of D, of configurations (n, *shape)."""
        return self.players["discriminator"](x).squeeze(1)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return G(z), (n, *shape), of codes (n, latent)."""
        return self.players["generator"](z)

    def loss(self, batch: torch.Tensor, player: str = "generator") -> torch.Tensor:
        """Return the loss of a player on a batch (n, *shape), with new codes, as many as there are rows."""
        z = self._codes(len(batch))
        if player == "generator":
            return softplus(-self.logit(self.decode(z))).mean()
        batch = batch.to(self.dtype)  # bits may come as integers
        with torch.no_grad():
            made = self.decode(z)
        loss = softplus(-self.logit(batch)).mean() + softplus(self.logit(made)).mean()
        return loss + self._penalty(batch) if self.gradient_penalty and self.training else loss

    def _penalty(self, x: torch.Tensor) -> torch.Tensor:
        """Return R1 of configurations (n, *shape)."""
        x = x.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(self.logit(x).sum(), x, create_graph=True)
        return 0.5 * self.gradient_penalty * slope.flatten(1).square().sum(1).mean()

    @torch.no_grad()
    def value(self, x: Any, seed: int | None = None) -> float:
        """Return V(D, G), the mean over configurations (n, *shape) and as many samples: -2 ln 2 at the optimum.

        The model is put in evaluation mode.

        Raises:
            ValueError: x does not fit.
        """
        (tensor,) = as_tensors(x, self.dtype, "x")
        tensor = tensor.to(self.dtype)
        self.check(tensor)
        self.eval()
        with seeded(seed):
            return -float(self.loss(tensor.to(self.device), "discriminator"))

    @torch.no_grad()
    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """Return n configurations G(z), (n, *shape), of codes z ~ N(0, 1)."""
        protocols.check_positive(n, "n", integer=True)
        with seeded(seed):
            return self.decode(self._codes(n)).cpu().numpy()

    @torch.no_grad()
    def generate(self, z: Any) -> np.ndarray:
        """Return G(z), (n, *shape), of codes (n, latent), such as those of chains.

        Raises:
            ValueError: z does not fit.
        """
        (tensor,) = as_tensors(z, self.dtype, "z")
        if tensor.shape[1:] != (self.latent,):
            raise ValueError(f"z must be codes of shape (n, {self.latent}), got {tuple(tensor.shape)}")
        return self.decode(tensor.to(self.device, self.dtype)).cpu().numpy()

    def as_energy(self) -> TorchEnergy:
        """Return E(z) = |z|^2 / 2 - d(G(z)) of codes, shape (latent,); the model is put in evaluation mode.

        At beta = 1 the samples G(z) of its chains are nearer to the data than those of z ~ N(0, 1), as far as the
        discriminator tells them apart.
        """
        self.eval()  # in training the spectral norms move with every call

        def energy(z: torch.Tensor) -> torch.Tensor:
            return (0.5 * z.square().sum(1) - self.logit(self.decode(z.to(self.dtype)))).double()

        return TorchEnergy(energy, shape=(self.latent,), device=self.device)

    def _codes(self, n: int) -> torch.Tensor:
        return torch.randn(n, self.latent, dtype=self.dtype, device=self.device)


def bound(network: nn.Module) -> None:
    """Divide each weight of a network by its largest singular value, which power iteration follows in training."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            spectral_norm(layer)
