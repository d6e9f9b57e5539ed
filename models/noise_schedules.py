"""How much noise each step of a diffusion adds: x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) epsilon, t = 1 ... T.

    abar_t = prod_{s <= t} (1 - beta_s),      signal-to-noise ratio abar / (1 - abar),      lambda = its logarithm

A level of noise is named by lambda, which means the same in every schedule: abar = sigmoid(lambda), and seen from the
data, x_0 + sigma xi with sigma = exp(-lambda / 2).

    linear (Ho, Jain and Abbeel 2020)       beta_t rises linearly from 0.1 / T to 20 / T, for T = 1000 from 1e-4 to 0.02
    cosine (Nichol and Dhariwal 2021)       abar_t = f(t) / f(0),  f(t) = cos^2(pi/2 (t/T + s) / (1 + s)),  s = 0.008,
                                            but for beta_t at most 0.999
"""

from typing import Any, NamedTuple

import numpy as np

from samplers import protocols

OFFSET = 0.008  # s of the cosine
LARGEST = 0.999  # beta of the cosine, whose last would be 1
LINEAR = (0.1, 20.0)  # T beta at both ends


class NoiseSchedule(NamedTuple):
    """The levels of a diffusion, by step t = 1 ... T: arrays (T,) whose element t - 1 belongs to step t."""

    beta: np.ndarray
    alpha_bar: np.ndarray

    @property
    def log_snr(self) -> np.ndarray:
        """lambda, the logarithm of the signal-to-noise ratio, (T,), falling."""
        return np.log(self.alpha_bar) - np.log1p(-self.alpha_bar)

    @property
    def noise(self) -> np.ndarray:
        """sigma = sqrt((1 - abar) / abar), (T,), rising: the width of the noise where x_0 has its own size."""
        return np.exp(-0.5 * self.log_snr)

    def spaced(self, steps: int) -> "NoiseSchedule":
        """Return the schedule of `steps` of these levels, evenly spaced in t, the last of them T.

        Raises:
            ValueError: steps is not an integer from 1 to T.

        Example:
            >>> noise_schedule("linear", 1000).spaced(10).alpha_bar.round(3).tolist()
            [0.897, 0.659, 0.396, 0.195, 0.079, 0.026, 0.007, 0.002, 0.0, 0.0]
        """
        total = len(self.beta)
        protocols.check_positive(steps, "steps", integer=True)
        if steps > total:
            raise ValueError(f"steps must be at most the {total} of the model's schedule, got {steps}")
        kept = self.alpha_bar[np.round(np.linspace(0, total, steps + 1)[1:]).astype(int) - 1]
        return NoiseSchedule(1.0 - kept / np.concatenate([[1.0], kept[:-1]]), kept)


def noise_schedule(schedule: Any, steps: int) -> NoiseSchedule:
    """Return the schedule of this name, "linear" or "cosine", with T = steps.

    Raises:
        ValueError: no such schedule, or too few steps for it.

    Example:
        >>> noise_schedule("linear", 1000).beta[[0, -1]].round(6).tolist()
        [0.0001, 0.02]
    """
    protocols.check_positive(steps, "steps", integer=True)
    if schedule == "linear":
        if steps <= LINEAR[1]:
            raise ValueError(f'steps must be at least 21 for schedule="linear", whose last beta is 20/T, got {steps}')
        beta = np.linspace(*LINEAR, steps) / steps
    elif schedule == "cosine":
        if steps < 2:
            raise ValueError(f'steps must be at least 2 for schedule="cosine", got {steps}')
        f = np.cos(0.5 * np.pi * (np.arange(steps + 1) / steps + OFFSET) / (1.0 + OFFSET)) ** 2
        beta = np.minimum(1.0 - f[1:] / f[:-1], LARGEST)
    else:
        raise ValueError(f'schedule must be "linear" or "cosine", got {schedule!r}')
    return NoiseSchedule(beta, np.cumprod(1.0 - beta))
