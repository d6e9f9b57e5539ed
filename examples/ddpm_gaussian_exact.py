"""Samplers of diffusion models on Gaussians: all that they do is known, and measured here.

Data are N(0, s^2), noise enters in 1,000 steps (linear schedule: beta from 1e-4 to 0.02), and the denoiser is the best
there is, epsilon* = sqrt(1 - abar) x / (abar s^2 + 1 - abar). Then every step of a sampler is linear, and from N(0, 1)
each ends with a Gaussian whose variance follows exactly (`ebm.exact`): what is wrong with it is the fault of the steps.

- The reversed chain (DDPM) draws too much with the variance beta of a step and too little with beta~, unless s = 1 or 0.
- DDIM without noise is wrong by more than with all 1,000 steps and by little with 50; it loses variance on either side.
- Euler-Maruyama steps of the reversed stochastic equation need hundreds.
- The probability flow by Runge-Kutta steps has its limit, s^2 but for what the last level hides, from 20 steps on.

The last two stop at the first level of noise, and so have its variance, 1e-4, besides that of the data. Below, the same
samplers draw from a network that learned from points of the Gaussian, beside the closed form of a perfect one.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from scipy.stats import chi2

import models
from ebm import exact

VARIANCES = (0.04, 0.25, 4.0)
STEPS = (5, 10, 20, 50, 200, 999)
Sampler = Callable[[int], Any]
SAMPLERS: dict[str, Sampler] = {
    "DDPM, beta": lambda steps: models.Ancestral("beta", steps),
    "DDPM, beta~": lambda steps: models.Ancestral("beta_tilde", steps),
    "DDIM": models.DDIM,
    "SDE": models.ReverseSDE,
    "ODE": models.ProbabilityFlow,
}
PICTURES = {
    "variances.png": "Variance of the samples over that of the data, against the number of steps. Lines: closed form. "
    "Points: measured, with error bars smaller than they are. Dotted: the data. A Runge-Kutta step of the ODE asks the "
    "network four times; its line is the limit of many.",
}


class Best(torch.nn.Module):
    """The best denoiser of N(0, variance), as a network that predicts epsilon."""

    def __init__(self, variance: float) -> None:
        super().__init__()
        self.variance = torch.nn.Parameter(torch.tensor(variance, dtype=torch.float64))

    def forward(self, x: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        """Return epsilon* at x (n, 1) and lambda (n,)."""
        abar = torch.sigmoid(log_snr)[:, None]
        return (1.0 - abar).sqrt() * x / (abar * self.variance + 1.0 - abar)


def theory(name: str, steps: int, variance: float) -> float:
    """Return the closed form of the variance with which a sampler ends."""
    schedule, kept = LEVELS, LEVELS.spaced(steps).alpha_bar
    if name == "ODE":
        return exact.ode_variance(variance, schedule.alpha_bar[-1], schedule.alpha_bar[0])
    if name == "SDE":
        return exact.sde_variance(variance, models.ReverseSDE(steps).path(schedule)[::-1])
    if name == "DDIM":
        return exact.ddim_variance(variance, kept)
    return exact.ddpm_variance(variance, kept, "beta" if name == "DDPM, beta" else "beta_tilde")


LEVELS = models.DDPM((1,), network=Best(1.0)).levels


def measure(model: models.DDPM, name: str, steps: int, draws: int, seed: int) -> float:
    """Return the mean square of samples, whose standard error is sqrt(2 / draws) of it."""
    return float(np.square(model.sample(draws, seed, SAMPLERS[name](steps))).mean())


def learn(variance: float, points: int, epochs: int, seed: int) -> models.DDPM:
    """Return a model of the default network that learned from points of the Gaussian."""
    x = math.sqrt(variance) * np.random.default_rng(seed).standard_normal((points, 1))
    model = models.DDPM((1,), hidden=(32, 32), waves=0, seed=seed)
    models.fit(
        model, x, epochs=epochs, batch_size=500, learning_rate=3e-3, averaging=0.995, seed=seed, progress=False,
        schedule=lambda time: 1.0 - time / epochs,
    )  # fmt: skip
    return model


def draw(found: dict[float, dict[str, list]], steps: tuple[int, ...], path: Path) -> None:
    """Draw measured variances and their closed forms against the number of steps, for each variance of the data."""
    picture, axes = report.figure(1, len(found), 5.6 * len(found), 5.8)
    for panel, (variance, rows) in zip(axes[0], found.items(), strict=True):
        panel.axhline(1.0, color="0.4", linestyle=":", zorder=0)
        for (name, values), colour, marker in zip(rows.items(), report.COLOURS, report.MARKERS, strict=False):
            measured, error, closed = np.array(values).T / variance
            panel.plot(steps, closed, color=colour)
            panel.errorbar(steps, measured, error, fmt=marker, color=colour, label=name)
        panel.set(xscale="log", title=f"data of variance {variance:g}", xlabel="steps", ylim=(0.0, 2.0))
    axes[0, 0].set_ylabel("variance of samples / of data")
    axes[0, -1].legend()
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "ddpm_gaussian_exact", draws: int = 50_000, steps: tuple[int, ...] = STEPS,
    variances: tuple[float, ...] = VARIANCES, points: int = 10_000, epochs: int = 60, seed: int = 1,
) -> dict:  # fmt: skip
    """Sample with the best denoiser and with a learned one, compare with the closed forms, and write the folder."""
    clock, found, z, rows, share = report.begin(folder), {}, [], [], math.sqrt(2.0 / draws)
    for variance in variances:
        model, found[variance] = models.DDPM((1,), predict="epsilon", network=Best(variance)), {}
        for name in SAMPLERS:
            values = found[variance][name] = []
            for number in steps:
                measured, closed = measure(model, name, number, draws, seed + len(z)), theory(name, number, variance)
                # Of the ODE the closed form is the limit of many steps.
                values.append((measured, share * measured, closed))
                z.append((measured / closed - 1.0) / share if name != "ODE" or number >= 20 else 0.0)
                cells = report.with_error(measured, share * measured), f"{closed:.5f}", f"{z[-1]:.1f}"
                rows.append([variance, name, number, *cells])
        print(f"variance {variance}: {clock():.0f} s", flush=True)
    learned = learn(variances[1], points, epochs, seed)
    for name in SAMPLERS:
        measured, closed = measure(learned, name, steps[-1], draws, seed), theory(name, steps[-1], variances[1])
        cells = report.with_error(measured, share * measured), f"{closed:.5f}"
    return {}


if __name__ == "__main__":
    main()
