"""Latent optimisation: a Gaussian code for each example, learned beside the decoder, and no encoder.

    p(x | z) as in models.decoders,      q_i(z) = N(m_i, s_i^2) for example i

    loss = mean_i [ beta KL(q_i || N(0, 1)) - <ln p(x_i | z)>_{q_i} ]

This is generative latent optimisation (Bojanowski et al. 2018) with a width for each code: variational inference that
is not amortised. Codes that tell nothing, q_i = N(0, 1), with a decoder that does not hear them, are a stationary point
of this loss. Let a decoder f = b + W z of bits of mean p begin to hear them. The codes that are then best,
m_i = W^T (x_i - p) / beta, change the loss, to second order in W, by

    tr W^T (D - C / beta) W / 2,      C the covariance of the pixels, D = diag p (1 - p) its diagonal

so that collapse is a local minimum if beta exceeds the largest eigenvalue of the pixels' correlation matrix (33.5 for
threshold-binarised MNIST), and a saddle below (Lucas et al. 2019 have the Gaussian case). Three things keep codes away
from it:

- Logarithms are summed over pixels and over the numbers of a code. Averaged over each, the loss would be that of
  beta = pixels / latent (784 / 16 = 49).
- Codes learn faster than the decoder, since each is seen once an epoch.
- Codes begin narrow, or, by `start`, as principal components, so that the decoder hears them before it has learned to
  do without: a saddle is left slowly.

Once they are learned, the law of the model is that of a prior fitted to the codes, by default the Gaussian under which
the mean bound is highest: samples are drawn from it, `log_prob` is its logarithm, and `as_energy` has it too.

An example is known by its row: the data of `models.fit` are a tuple (rows, x).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

import ebm
from models.code_search import losses, search
from models.decoders import Decoder, layers
from models.importance import LogProbability, log_probability
from models.latent import Codes, as_codes
from models.model import Model
from models.streams import seeded
from samplers import protocols

PACE = 10.0  # of codes, in learning rates of the decoder
START = 0.1  # standard deviation of the first means, and first width of every code
WIDTH = 0.5  # of codes that begin as principal components, in their standard deviations


class LatentOptimisation(Model):
    """A decoder and the codes of n examples.

    Args:
        shape: shape of one configuration.
        n: examples to learn from; their rows are 0 to n - 1.
        latent, hidden, channels, likelihood, sigma, activation: as of `models.VAE`, whose decoder this is.
        beta: weight of KL in the loss.
        hold: epochs at the beginning in which the codes stand still, while the decoder learns what they mean.
        seed: seed of the weights and of the first codes.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> import models
        >>> model = LatentOptimisation((4,), 50, latent=2, hidden=(8,), seed=0)
        >>> x = np.eye(4)[np.arange(50) % 4]
        >>> history = models.fit(model, (np.arange(50), x), epochs=2, seed=1)
        >>> model.training_codes().mean.shape, model.sample(3, seed=1).shape
        ((50, 2), (3, 4))
    """

    paces = {"codes": PACE}  # noqa: RUF012

    def __init__(
        self, shape: Any, n: int, *, latent: int, hidden: Sequence[int] = (256,), channels: Sequence[int] = (),
        likelihood: str = "bernoulli", sigma: float | None = None, beta: float = 1.0, hold: int = 0,
        activation: str = "SiLU", seed: int | None = None,
    ) -> None:  # fmt: skip
        hidden, channels = layers(hidden, "hidden"), layers(channels, "channels")
        protocols.check_positive(n, "n", integer=True)
        protocols.check_positive(beta, "beta", zero=True)
        protocols.check_positive(hold, "hold", integer=True, zero=True)
        with seeded(seed):
            decoder = Decoder(shape, latent, hidden, channels, likelihood, sigma, activation)
            means = START * torch.randn(n, latent)
            first = torch.cat([means, torch.full_like(means, 2.0 * math.log(START))], 1)
        super().__init__({
            "shape": decoder.shape, "n": n, "latent": latent, "hidden": hidden, "channels": channels,
            "likelihood": likelihood, "sigma": sigma, "beta": beta, "hold": hold, "activation": activation,
        })  # fmt: skip
        self.shape, self.latent, self.beta, self.hold = decoder.shape, latent, beta, hold
        self.held = False
        self.decoder = decoder
        self.codes = nn.Embedding(n, 2 * latent, _weight=first)

    @torch.no_grad()
    def start(self, x: Any) -> None:
        """Let the codes of the n examples x (n, *shape) begin as their principal components, of variance one.

        Similar examples then have similar codes from the beginning, as an encoder would give them.

        Raises:
            ValueError: x does not fit, or has fewer components than a code has numbers.
        """
        x = self.decoder.configurations(x).flatten(1).double()
        count = self.codes.num_embeddings
        if len(x) != count or self.latent > min(x.shape[1], count - 1):
            raise ValueError(
                f"x must be the {count} examples, of at least {self.latent} components, got {tuple(x.shape)}"
            )
        centred = x - x.mean(0)
        values, vectors = torch.linalg.eigh(centred.T @ centred / count)
        values, vectors = values[-self.latent :].flip(0), vectors[:, -self.latent :].flip(1)
        if not values[-1] > 1e-12 * values[0]:
            raise ValueError(
                f"x must have at least {self.latent} components that vary, got one of variance {values[-1]:g}"
            )
        self.codes.weight[:, : self.latent] = (centred @ vectors / values.sqrt()).to(self.dtype)
        self.codes.weight[:, self.latent :] = 2.0 * math.log(WIDTH)

    def begin_epoch(self, epoch: int) -> None:
        """Hold or release the codes for an epoch, from 0."""
        self.held = epoch < self.hold

    def check(self, data: Any) -> None:
        """Raise unless these are rows (n,) and configurations (n, *shape) of the right range."""
        if not isinstance(data, tuple) or len(data) != 2:
            raise ValueError("data must be a tuple (rows, configurations): a code belongs to a row")
        rows, x = data
        self.decoder.check(x)
        count = self.codes.num_embeddings
        if rows.is_floating_point() or rows.ndim != 1 or rows.min() < 0 or rows.max() >= count:
            raise ValueError(f"rows must be integers from 0 to {count - 1}, got {rows.min()} to {rows.max()}")

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return the mean of x at codes z (n, latent): (n, *shape)."""
        return self.decoder(z)

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return minus the mean bound of a batch (rows, x), with KL at its weight."""
        rows, x = batch
        codes = self.codes(rows)
        mean, log_variance = (codes.detach() if self.held else codes).chunk(2, 1)
        return losses(self.decoder, x, mean, log_variance, torch.randn_like(mean), self.beta).mean()

    @torch.no_grad()
    def training_codes(self) -> Codes:
        """Return mean and standard deviation of the codes of the n examples."""
        mean, log_variance = self.codes.weight.chunk(2, 1)
        return as_codes(mean, (0.5 * log_variance).exp())

    def infer(
        self, x: Any, *, steps: int = 300, learning_rate: float = 0.05, candidates: int = 1000, seed: int | None = None
    ) -> Codes:
        """Return the codes of new configurations: the bound (beta = 1) is climbed with the decoder as it is.

        They have the prior of the loss, N(0, 1), as those of the examples do.

        Args:
            x: configurations (n, *shape).
            steps: of Adam, each with a pair of opposite noises; the learning rate falls to zero.
            learning_rate: of the first step.
            candidates: codes of examples, at most; a search begins at the one whose image is nearest.
            seed: seed of candidates and noise.

        Raises:
            ValueError: an argument is out of range, or x does not fit.
        """
        mean, log_variance = self._search(self.decoder.configurations(x), seed, steps, learning_rate, candidates)
        return as_codes(mean, (0.5 * log_variance).exp())

    def _search(
        self, x: torch.Tensor, seed: int | None, steps: int = 300, learning_rate: float = 0.05, candidates: int = 1000
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return search(
            self.decoder, x, self.codes.weight.detach(), steps=steps, learning_rate=learning_rate,
            candidates=candidates, seed=seed,
        )  # fmt: skip

    def log_prob_bound(
        self, x: Any, k: int = 50, seed: int | None = None, prior: ebm.GaussianMixture | None = None
    ) -> np.ndarray:
        """Return the bound of k importance samples from the inferred codes, (n,), in nats a configuration."""
        return self.log_prob(x, k, seed, prior).value

    def log_prob(
        self, x: Any, samples: int = 5000, seed: int | None = None, prior: ebm.GaussianMixture | None = None
    ) -> LogProbability:
        """Return ln p(x) by importance sampling from the inferred codes, with the error of each by the delta method.

        Args:
            x: configurations (n, *shape).
            samples: codes a configuration.
            seed: seed of the inference and of the codes.
            prior: of the codes; None: `fitted_prior()`.

        Raises:
            ValueError: samples is not a positive integer, or x or the prior does not fit.
        """
        x = self.decoder.configurations(x)
        return log_probability(self._joint(prior), x, *self._search(x, seed), samples, seed)

    def fitted_prior(self, components: int = 1, seed: int | None = 0) -> ebm.GaussianMixture:
        """Return a mixture of Gaussians fitted to the codes of the examples, widths included: an energy of codes.

        One component has the mean and covariance of all codes: of all Gaussians its mean KL(q_i || p) is the smallest.
        More are fitted by EM to a code drawn for each example.

        Raises:
            ValueError: components is not a positive integer.
        """
        protocols.check_positive(components, "components", integer=True)
        mean, sigma = self.training_codes()
        if components == 1:
            covariance = np.cov(mean.T, bias=True).reshape(self.latent, self.latent) + np.diag((sigma**2).mean(0))
            return ebm.GaussianMixture([mean.mean(0)], [covariance])
        from sklearn.mixture import GaussianMixture

        drawn = mean + sigma * np.random.default_rng(seed).standard_normal(mean.shape)
        found = GaussianMixture(components, random_state=seed).fit(drawn)
        return ebm.GaussianMixture(found.means_, found.covariances_, found.weights_)

    @torch.no_grad()
    def sample(self, n: int, seed: int | None = None, prior: ebm.GaussianMixture | None = None) -> np.ndarray:
        """Return n configurations, (n, *shape), from codes of a prior; None: `fitted_prior()`."""
        protocols.check_positive(n, "n", integer=True)
        z = self._prior(prior).sample(n, seed)
        with seeded(seed, 2):
            return self.decoder.draw(torch.as_tensor(z, dtype=self.dtype, device=self.device)).cpu().numpy()

    def as_energy(self, x: Any, prior: ebm.GaussianMixture | None = None) -> ebm.TorchEnergy:
        """Return E(z; x) = -ln p(x, z) of one configuration: at beta = 1 its law is the posterior of the code.

        Args:
            x: one configuration, of the model's shape.
            prior: of the codes; None: `fitted_prior()`.

        Returns:
            An energy of shape (latent,) whose ln Z is ln p(x).
        """
        one, joint = self.decoder.configurations(np.asarray(x)[None]), self._joint(prior)

        def energy(z: torch.Tensor) -> torch.Tensor:
            return -joint(one.expand(len(z), *self.shape), z)

        return ebm.TorchEnergy(energy, shape=(self.latent,), device=self.device)

    def _prior(self, prior: ebm.GaussianMixture | None) -> ebm.GaussianMixture:
        """Return a prior of codes, the fitted one for None."""
        prior = self.fitted_prior() if prior is None else prior
        if prior.shape != (self.latent,):
            raise ValueError(f"prior must be of codes of {self.latent} numbers, got one of shape {prior.shape}")
        return prior

    def _joint(self, prior: ebm.GaussianMixture | None) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Return the function ln p(x, z), (n,), of configurations (n, *shape) and codes (n, latent)."""
        of_codes = _density(self._prior(prior), self.device)

        def joint(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
            return self.decoder.log_likelihood(x, z.to(self.dtype)).double() + of_codes.log_prob(z.double())

        return joint


def _density(prior: ebm.GaussianMixture, device: torch.device) -> torch.distributions.Distribution:
    """Return a mixture as torch knows it, in double precision."""
    means, covariances, weights = (
        torch.tensor(value, device=device) for value in (prior.means, prior.covariances, prior.weights)
    )
    gaussians = torch.distributions.MultivariateNormal(means, scale_tril=torch.linalg.cholesky(covariances))
    return torch.distributions.MixtureSameFamily(torch.distributions.Categorical(weights), gaussians)
