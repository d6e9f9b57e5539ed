"""Denoising diffusion (Sohl-Dickstein et al. 2015; Ho, Jain and Abbeel 2020): data out of noise in many small steps.

With y the data in units of their width, from their mean, and T levels of noise (`models.noise_schedules`),

    x_t = sqrt(abar_t) y + sqrt(1 - abar_t) epsilon,      loss = <|F(x_t, lambda_t) - target|^2> over t, y and epsilon

where the target is epsilon, y or v (`models.predictions`). The network F is told the level as lambda, the logarithm of
the signal-to-noise ratio, so that what it has learned does not depend on the schedule that named the levels.

Seen from the data, a level is noise of width sigma = data_width exp(-lambda / 2), and the network gives the score of
the density of x + sigma xi at each sigma (`at_noise`). The probability flow turns it into ln p of that density, exactly
normalised (`log_prob`, `as_energy`). The least noise is that of the first level; its density stands for that of the
data.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ebm import TorchEnergy
from ebm.energy import check_shape, finite_number
from ebm.networks import check_activation, check_sizes
from models.batches import as_tensors, check_shape_of
from models.diffusion_chains import Ancestral
from models.diffusion_walk import Sampler
from models.importance import LogProbability
from models.model import Model
from models.noise_conditioned import NoiseConditionedMLP
from models.noise_schedules import noise_schedule
from models.noisy_score import NoisyScore
from models.predictions import PREDICTIONS, Prediction, prediction, scales, target
from models.probability_flow import estimate_log_prob, exact_divergence, log_density, log_prob
from models.streams import seeded
from models.unet import UNet
from samplers import protocols

RANGE = (0.1, 10.0)  # of the root mean square of data in units of data_width


class DDPM(Model):
    """A diffusion model with discrete levels of noise.

    Args:
        shape: shape of one configuration; (height, width) or (channels, height, width) with `channels`.
        steps: levels of noise T.
        schedule: "linear" or "cosine".
        predict: what the network says: "epsilon", "x0" or "v".
        hidden: units of the hidden layers of a fully connected network (`models.noise_conditioned`).
        waves: frequencies at which that network sees every number, doubling from 1 / data_width; 0: it sees only x.
        channels: channels of a U-Net at each resolution, which the network then is.
        network: a torch module of your own instead, from x_t (n, *shape) and lambda (n,) to (n, *shape); such a model
            cannot be saved.
        data_mean: mean of the data, a number.
        data_width: standard deviation of the data, positive.
        activation: SiLU, Tanh, Softplus, Sigmoid, ELU or ReLU; an energy needs a smooth one.
        seed: seed of the weights.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> model = DDPM((2,), steps=100, hidden=(16,), seed=0)
        >>> model.sample(3, seed=1).shape
        (3, 2)
        >>> model.at_noise(0.5).grad(np.zeros((3, 2))).shape
        (3, 2)
    """

    domain = "real"
    score_only = True  # a family of densities, one for each noise: none of them is this object's own

    def __init__(
        self, shape: Any, *, steps: int = 1000, schedule: str = "cosine", predict: str = "v",
        hidden: Sequence[int] = (128, 128), waves: int = 5, channels: Sequence[int] | None = None,
        network: torch.nn.Module | None = None, data_mean: float = 0.0, data_width: float = 1.0,
        activation: str = "SiLU", seed: int | None = None,
    ) -> None:  # fmt: skip
        shape, hidden = check_shape(shape), check_sizes(hidden, "hidden")
        channels = None if channels is None else check_sizes(channels, "channels")
        if predict not in PREDICTIONS:
            raise ValueError(f'predict must be "epsilon", "x0" or "v", got {predict!r}')
        check_activation(activation)
        data_mean = finite_number(data_mean, "data_mean")
        protocols.check_positive(data_width, "data_width")
        protocols.check_positive(waves, "waves", integer=True, zero=True)
        super().__init__({
            "shape": shape, "steps": steps, "schedule": schedule, "predict": predict, "hidden": hidden,
            "waves": waves, "channels": channels, "data_mean": data_mean, "data_width": float(data_width),
            "activation": activation,
        })  # fmt: skip
        self.levels = noise_schedule(schedule, steps)
        self.shape, self.predict, self.data_mean, self.data_width = shape, predict, data_mean, float(data_width)
        self.saved = network is None
        with seeded(seed):
            if network is None and channels is not None:
                network = UNet(shape, channels, activation)
            elif network is None:
                network = NoiseConditionedMLP(shape, hidden, waves, activation)
            self.network: Any = network

    @property
    def noise(self) -> np.ndarray:
        """The widths sigma of the levels seen from the data, (T,), rising, in the unit of the data."""
        return self.data_width * self.levels.noise

    def check(self, data: Any) -> None:
        """Raise unless these are configurations of the right shape, and about as wide as the model was told."""
        check_shape_of(data, self.shape)
        width = float(self.standardised(data).square().mean().sqrt())
        if not RANGE[0] < width < RANGE[1]:
            raise ValueError(
                f"data must lie about data_width={self.data_width:g} from data_mean={self.data_mean:g}, got a root "
                f"mean square distance of {width * self.data_width:g}"
            )

    def standardised(self, x: torch.Tensor) -> torch.Tensor:
        """Return data in units of their width, from their mean."""
        return (x.to(self.dtype) - self.data_mean) / self.data_width

    def seen(self, x: torch.Tensor, log_snr: float) -> torch.Tensor:
        """Return x_t of data with noise, x_0 + sigma xi in their unit, at the level of that noise."""
        return self.standardised(x) * math.sqrt(1.0 / (1.0 + math.exp(-log_snr)))

    def prediction(self, x: torch.Tensor, log_snr: torch.Tensor | float) -> Prediction:
        """Return what is known of x_t (n, *shape), of standardised data, at levels lambda (n,), or at one."""
        levels = torch.as_tensor(log_snr, dtype=x.dtype, device=x.device).expand(len(x))
        return prediction(self.predict, self.network(x, levels), x, levels)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the mean square error of the prediction of a batch (n, *shape), over all numbers.

        The steps t of a batch are spread evenly over 1 ... T (each alone is uniform): the mean then fluctuates less.
        """
        n, y = len(batch), self.standardised(batch)
        steps = len(self.levels.beta)
        spread = (torch.rand((), dtype=torch.float64) + torch.arange(n, dtype=torch.float64) / n) % 1.0
        spread = spread[torch.randperm(n)]
        log_snr = torch.as_tensor(self.levels.log_snr)[(steps * spread).long()].to(y)
        epsilon = torch.randn_like(y)
        alpha, sigma = scales(log_snr, y)
        output = self.network(alpha * y + sigma * epsilon, log_snr)
        return (output - target(self.predict, y, epsilon, log_snr)).square().mean()

    @torch.no_grad()
    def sample(self, n: int, seed: int | None = None, sampler: Sampler | None = None) -> np.ndarray:
        """Return n configurations drawn from the model, (n, *shape).

        Args:
            n: how many.
            seed: of all random numbers.
            sampler: Ancestral (with its defaults if None), DDIM, ReverseSDE, ProbabilityFlow or PredictorCorrector.

        Raises:
            ValueError: n is not a positive integer, or the sampler has more steps than the model.
        """
        protocols.check_positive(n, "n", integer=True)
        with seeded(seed):
            x = torch.randn(n, *self.shape, dtype=self.dtype, device=self.device)
            y = (sampler or Ancestral()).run(self, x)
        return (self.data_mean + self.data_width * y).cpu().numpy()

    def log_prob(self, x: Any, sigma: float | None = None, steps: int = 64) -> np.ndarray:
        """Return ln p, (n,), of the density of the probability flow, smoothed by noise sigma, in nats.

        The divergence is exact: one derivative along each number of a configuration.

        Args:
            x: configurations (n, *shape).
            sigma: width of the noise in the unit of the data; default: that of the first level, the least.
            steps: of the Runge-Kutta method; twice as many tell how good they are.

        Raises:
            ValueError: x does not fit, or sigma is beyond the levels.
        """
        protocols.check_positive(steps, "steps", integer=True)
        return log_prob(self, self._configurations(x), self.level(sigma), steps)

    def log_prob_estimate(
        self, x: Any, probes: int = 10, seed: int | None = None, sigma: float | None = None, steps: int = 64
    ) -> LogProbability:
        """Return ln p as `log_prob` does, but with the divergence estimated by random signs, and the error of that.

        It is unbiased, and needs one derivative a probe (Hutchinson 1990; Grathwohl et al. 2019).

        Args:
            probes: vectors of signs a configuration, at least 2.
            seed: of the signs. The others are those of `log_prob`.

        Raises:
            ValueError: an argument is out of range.
        """
        protocols.check_positive(probes, "probes", integer=True)
        if probes < 2:
            raise ValueError(f"probes must be at least 2, for an error, got {probes}")
        protocols.check_positive(steps, "steps", integer=True)
        with seeded(seed):
            return estimate_log_prob(self, self._configurations(x), self.level(sigma), steps, probes)

    def at_noise(self, sigma: float) -> NoisyScore:
        """Return the score of the density of x + sigma xi, with x from the data; sigma in their unit.

        Raises:
            ValueError: sigma is beyond the levels that the network has learned.
        """
        return NoisyScore(self, float(sigma), self.level(sigma))

    def as_energy(self, sigma: float | None = None, steps: int = 64) -> TorchEnergy:
        """Return E(x) = -ln p(x) by the probability flow, smoothed by noise sigma; ln Z = 0. See `log_prob`."""
        level = self.level(sigma)
        protocols.check_positive(steps, "steps", integer=True)

        def energy(x: torch.Tensor) -> torch.Tensor:
            return -log_density(self, x, level, steps, exact_divergence).double()

        return TorchEnergy(energy, shape=self.shape, device=self.device)

    def save(self, path: str | Path) -> None:
        """Write settings and weights to a new file, which `models.load` reads."""
        if not self.saved:
            raise TypeError("a DDPM with a network of your own cannot be saved: a file of numbers holds no code")
        super().save(path)

    def velocity(self, x: torch.Tensor, log_snr: float) -> torch.Tensor:
        """Return dx/dlambda of the probability flow, (n, *shape), for x_t of standardised data."""
        alpha, sigma = scales(torch.as_tensor(log_snr, dtype=x.dtype, device=x.device), x)
        return -0.5 * alpha * sigma * self.prediction(x, log_snr).v

    def level(self, sigma: float | None) -> float:
        """Return lambda of noise of width sigma; of None, that of the first level.

        Raises:
            ValueError: sigma is beyond the levels.
        """
        if sigma is None:
            return float(self.levels.log_snr[0])
        protocols.check_positive(sigma, "sigma")
        least, most = self.noise[0], self.noise[-1]
        if not least <= sigma * (1 + 1e-12) or not sigma <= most * (1 + 1e-12):
            raise ValueError(f"sigma must be within the model's levels, from {least:.4g} to {most:.4g}, got {sigma!r}")
        return 2.0 * math.log(self.data_width / sigma)

    def _configurations(self, x: Any) -> torch.Tensor:
        (tensor,) = as_tensors(x, self.dtype, "x")
        check_shape_of(tensor, self.shape, "x")
        return tensor.to(dtype=self.dtype, device=self.device)
