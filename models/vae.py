"""Variational autoencoder (Kingma and Welling 2014; Rezende, Mohamed and Wierstra 2014): a code z behind every x.

    p(z) = N(0, 1),      p(x | z) = Bernoulli(sigmoid f(z))   or   N(f(z), sigma^2),      q(z | x) = N(m(x), s(x)^2)

    ln p(x) >= ELBO = <ln p(x | z)>_q - KL(q || p),       KL = 1/2 sum_i (m_i^2 + s_i^2 - 1 - ln s_i^2)

The bound of k importance samples (Burda, Grosse and Salakhutdinov 2016) lies between the ELBO and ln p(x), to which it
tends as k grows:

    ln 1/k sum_j w_j,      w_j = p(x, z_j) / q(z_j | x),      z_j ~ q(z | x)

All are in nats a configuration, summed over its numbers; of Gaussian decoders they are densities.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import Parameter
from torch.nn.functional import softplus

from ebm import TorchEnergy
from ebm.energy import check_shape
from ebm.networks import check_activation, check_sizes, fully_connected, sites
from models.batches import as_tensors
from models.model import Model
from models.streams import seeded
from samplers import protocols

LIKELIHOODS = ("bernoulli", "gaussian")
ROWS = 20_000  # decoded at once by importance sampling


class LogProbability(NamedTuple):
    """ln p of each configuration, (n,), and the standard error of each estimate, (n,)."""

    value: np.ndarray
    error: np.ndarray


class VAE(Model):
    """A variational autoencoder of fully connected networks.

    Args:
        shape: shape of one configuration.
        latent: numbers of the code.
        hidden: units of the hidden layers of the encoder; the decoder has them in reverse. () is a linear VAE, whose
            best likelihood is that of probabilistic PCA (Lucas et al. 2019).
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
    """

    def __init__(
        self, shape: Any, *, latent: int, hidden: Sequence[int] = (256,), likelihood: str = "bernoulli",
        sigma: float | None = None, beta: float = 1.0, warmup: int = 0, activation: str = "SiLU",
        seed: int | None = None,
    ) -> None:  # fmt: skip
        shape, hidden = check_shape(shape), check_sizes(hidden, "hidden") if len(hidden) else ()
        if likelihood not in LIKELIHOODS:
            raise ValueError(f'likelihood must be "bernoulli" or "gaussian", got {likelihood!r}')
        protocols.check_positive(latent, "latent", integer=True)
        protocols.check_positive(beta, "beta", zero=True)
        protocols.check_positive(warmup, "warmup", integer=True, zero=True)
        check_activation(activation)
        if sigma is not None:
            protocols.check_positive(sigma, "sigma")
            if likelihood == "bernoulli":
                raise ValueError(f'sigma is of likelihood="gaussian", got sigma={sigma} with "bernoulli"')
        super().__init__({
            "shape": shape, "latent": latent, "hidden": hidden, "likelihood": likelihood, "sigma": sigma, "beta": beta,
            "warmup": warmup, "activation": activation,
        })  # fmt: skip
        self.shape, self.latent, self.likelihood, self.beta, self.warmup = shape, latent, likelihood, beta, warmup
        self.weight = beta  # of KL, now
        with seeded(seed):
            self.encoder = fully_connected(sites(shape), hidden, 2 * latent, activation)
            self.decoder = fully_connected(latent, hidden[::-1], sites(shape), activation)
        start = torch.tensor(0.0 if sigma is None else math.log(sigma))
        self.log_sigma = Parameter(start, requires_grad=sigma is None and likelihood == "gaussian")

    def begin_epoch(self, epoch: int) -> None:
        """Set the weight of KL in the loss for an epoch, from 0."""
        self.weight = self.beta * min(1.0, (epoch + 1) / (self.warmup + 1))

    def check(self, data: Any) -> None:
        """Raise unless these are configurations of the right shape and range."""
        shape = tuple(data.shape[1:]) if isinstance(data, torch.Tensor) else "several arrays"
        if shape != self.shape:
            raise ValueError(
                f"data must be configurations of shape (n, {', '.join(map(str, self.shape))}), got {shape}"
            )
        if self.likelihood == "bernoulli" and not ((data >= 0) & (data <= 1)).all():
            raise ValueError(
                f"data must lie in [0, 1] for a Bernoulli decoder, got {data.min().item():g} to {data.max().item():g}"
            )

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and logarithm of the variance of q(z | x), (n, latent) each."""
        mean, log_variance = self.encoder(x.flatten(1)).chunk(2, 1)
        return mean, log_variance

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return the mean of x at codes z (n, latent): (n, *shape)."""
        f = self.decoder(z)
        return (torch.sigmoid(f) if self.likelihood == "bernoulli" else f).reshape(-1, *self.shape)

    def log_likelihood(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Return ln p(x | z), (n,), of configurations (n, *shape) and codes (n, latent)."""
        x, f = x.flatten(1), self.decoder(z)
        if self.likelihood == "bernoulli":
            return (x * f - softplus(f)).sum(1)
        square = ((x - f) / self.log_sigma.exp()).square() + math.log(2.0 * math.pi) + 2.0 * self.log_sigma
        return -0.5 * square.sum(1)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        """Return minus the mean ELBO of a batch (n, *shape), with KL at its present weight."""
        mean, log_variance = self.encode(batch)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        weight = self.weight if self.training else self.beta
        return (weight * divergence(mean, log_variance) - self.log_likelihood(batch, z)).mean()

    def joint(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Return ln p(x, z), (n,)."""
        return self.log_likelihood(x, z) + standard_normal(z)

    @torch.no_grad()
    def elbo(self, x: Any, seed: int | None = None) -> np.ndarray:
        """Return the bound ELBO, (n,), of configurations (n, *shape), by one code each and KL in closed form."""
        x = self._configurations(x)
        with seeded(seed):
            mean, log_variance = self.encode(x)
            z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
            return (self.log_likelihood(x, z) - divergence(mean, log_variance)).double().cpu().numpy()

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
        protocols.check_positive(samples, "samples", integer=True)
        x = self._configurations(x)
        with seeded(seed):
            pairs = [self._weigh(row, samples) for row in x]
        value, error = np.transpose(pairs)
        return LogProbability(value, error)

    def _weigh(self, x: torch.Tensor, samples: int) -> tuple[float, float]:
        """Return ln of the mean weight of one configuration, and its error."""
        mean, log_variance = self.encode(x[None])
        logs = []
        for count in _pieces(samples):
            noise = torch.randn(count, self.latent, dtype=mean.dtype, device=mean.device)
            z = mean + (0.5 * log_variance).exp() * noise
            log_q = standard_normal(noise) - 0.5 * log_variance.sum()
            logs.append((self.joint(x.expand(count, *self.shape), z) - log_q).double())
        log_w = torch.cat(logs)
        value = torch.logsumexp(log_w, 0) - math.log(samples)
        relative = (log_w - value).exp()  # weights over their mean
        error = relative.std() / math.sqrt(samples) if samples > 1 else torch.tensor(math.nan)
        return float(value), float(error)

    @torch.no_grad()
    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """Return n configurations drawn from the model, (n, *shape): bits of a Bernoulli decoder."""
        protocols.check_positive(n, "n", integer=True)
        with seeded(seed):
            mean = self.decode(torch.randn(n, self.latent, dtype=self.dtype, device=self.device))
            if self.likelihood == "bernoulli":
                return torch.bernoulli(mean).cpu().numpy()
            return (mean + self.log_sigma.exp() * torch.randn_like(mean)).cpu().numpy()

    def as_energy(self, x: Any) -> TorchEnergy:
        """Return E(z; x) = -ln p(x, z) of one configuration: at beta = 1 its law is the posterior of the code.

        Args:
            x: one configuration, of the model's shape.

        Returns:
            An energy of shape (latent,) whose ln Z is ln p(x).
        """
        one = self._configurations(np.asarray(x)[None])

        def energy(z: torch.Tensor) -> torch.Tensor:
            return -self.joint(one.expand(len(z), *self.shape), z.to(self.dtype)).double()

        return TorchEnergy(energy, shape=(self.latent,), device=self.device)

    def _configurations(self, x: Any) -> torch.Tensor:
        (tensor,) = as_tensors(x, self.dtype, "x")
        tensor = tensor.to(self.dtype)
        self.check(tensor)
        return tensor.to(self.device)


def divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return KL(N(mean, exp(log_variance)) || N(0, 1)), (n,), of means and logarithms (n, latent), in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1)


def standard_normal(z: torch.Tensor) -> torch.Tensor:
    """Return ln N(z; 0, 1), (n,), of z (n, latent)."""
    return -0.5 * (z.square() + math.log(2.0 * math.pi)).sum(1)


def _pieces(samples: int) -> Iterator[int]:
    for start in range(0, samples, ROWS):
        yield min(ROWS, samples - start)
