"""Samplers of diffusion models on Gaussians: what each does with few steps is known exactly, and measured here.

Data are N(0, s^2), noise enters in 1,000 steps (linear schedule: beta from 1e-4 to 0.02), and the denoiser is the best
there is, epsilon* = sqrt(1 - abar) x / (abar s^2 + 1 - abar). Then every step of a sampler is linear; from N(0, 1) each
ends with a Gaussian whose variance follows exactly (`ebm.exact`), and what is wrong with it is the fault of the steps.

- The reversed chain (DDPM) has too little variance with beta~ as that of a step, and with beta too much where s < 1 and
  steps are many; DDIM, without noise, lies between.
- Euler-Maruyama steps of the reversed stochastic equation (SDE) err the most where data are narrow: tenfold at first.
- All of these errors fall as 1 / steps. The probability flow (ODE) by Runge-Kutta steps, each of which asks the network
  four times, has none to be seen from 20 steps on.

The last two stop at the first level of noise, and so have its variance, 1e-4, besides that of the data. The last table
is of a network that learned from points, beside the closed form for a perfect one: learning leaves a few per cent.
"""

import itertools
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
from models.noise_schedules import noise_schedule

VARIANCES = (0.04, 0.25, 4.0)
STEPS = (5, 10, 20, 50, 200, 999)
SAMPLERS: dict[str, Callable[[int], Any]] = {
    "DDPM, beta": lambda steps: models.Ancestral("beta", steps),
    "DDPM, beta~": lambda steps: models.Ancestral("beta_tilde", steps),
    "DDIM": models.DDIM,
    "SDE": models.ReverseSDE,
    "ODE": models.ProbabilityFlow,
}
ENOUGH = 20  # Runge-Kutta steps, from which on the ODE is at its limit within the errors here
MOST = 50  # Runge-Kutta steps that are tried
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)  # of the ratio of variances
LEVELS = noise_schedule("linear", 1000)
PICTURES = {
    "variances.png": "Variance of the samples over that of the data, against the number of steps. Lines: closed form "
    "(of the ODE: its limit of many steps). Points: measured, with error bars, which are smaller than most of them.",
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
    kept = LEVELS.spaced(steps).alpha_bar
    if name == "ODE":
        return exact.ode_variance(variance, LEVELS.alpha_bar[-1], LEVELS.alpha_bar[0])
    if name == "SDE":
        return exact.sde_variance(variance, models.ReverseSDE(steps).path(LEVELS)[::-1])
    if name == "DDIM":
        return exact.ddim_variance(variance, kept)
    return exact.ddpm_variance(variance, kept, "beta" if name == "DDPM, beta" else "beta_tilde")


def measure(model: models.DDPM, name: str, steps: int, draws: int, seed: int) -> tuple[float, float]:
    """Return the variance of samples about their known mean of 0, and its standard error."""
    square = float(np.square(model.sample(draws, seed, SAMPLERS[name](steps))).mean())
    return square, square * math.sqrt(2.0 / draws)


def learn(variance: float, points: int, epochs: int, seed: int) -> tuple[models.DDPM, float]:
    """Return a model that learned from points of the Gaussian, and their variance about 0."""
    x = math.sqrt(variance) * np.random.default_rng(seed).standard_normal((points, 1))
    model = models.DDPM((1,), schedule="linear", hidden=(32,), waves=0, seed=seed)
    models.fit(
        model, x, epochs=epochs, batch_size=500, learning_rate=5e-3, averaging=0.99, seed=seed, progress=False,
        schedule=lambda time: 1.0 - time / epochs,
    )  # fmt: skip
    return model, float(np.square(x).mean())


def draw(found: dict[float, dict[str, dict]], path: Path) -> None:
    """Draw measured variances and their closed forms against the number of steps, for each variance of the data."""
    picture, axes = report.figure(1, len(found), 5.4 * len(found), 5.6)
    for panel, (variance, rows) in zip(axes[0], found.items(), strict=True):
        panel.axhline(1.0, color="0.4", linestyle=":", zorder=0, label="data")
        for (name, values), colour, marker in zip(rows.items(), report.COLOURS, report.MARKERS, strict=False):
            measured, error, closed = np.array(list(values.values())).T / variance
            panel.plot(list(values), closed, color=colour)
            panel.errorbar(list(values), measured, error, fmt=marker, color=colour, label=name)
        panel.set(xscale="log", yscale="log", title=f"data of variance {variance:g}", xlabel="steps", ylim=(0.05, 13.0))
        panel.set_yticks(TICKS, labels=map(str, TICKS))
    axes[0, 0].set_ylabel("variance of samples / of data")
    axes[0, -1].legend()
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "ddpm_gaussian_exact", draws: int = 20_000, steps: tuple[int, ...] = STEPS,
    variances: tuple[float, ...] = VARIANCES, points: int = 10_000, epochs: int = 60, seed: int = 1,
) -> dict:  # fmt: skip
    """Sample with the best denoiser and with a learned one, compare with the closed forms, and write the folder."""
    clock, found, z, tables, seeds = report.begin(folder), {}, [], [], itertools.count(seed)
    for variance in variances:
        model, rows = models.DDPM((1,), schedule="linear", predict="epsilon", network=Best(variance)), []
        found[variance] = {name: {} for name in SAMPLERS}
        for number in steps:
            rows.append([number])
            for name in SAMPLERS:
                if name == "ODE" and number > MOST:
                    rows[-1] += ["", ""]
                    continue
                value, error = measure(model, name, number, draws, next(seeds))
                closed = theory(name, number, variance)
                found[variance][name][number] = value, error, closed
                rows[-1] += [report.with_error(value, error), f"{closed:.5f}"]
                if name != "ODE" or number >= ENOUGH:
                    z.append((value / closed - 1.0) / math.sqrt(2.0 / draws))
        head = ["steps", *(cell for name in SAMPLERS for cell in (name, "exact"))]
        tables.append(f"Data of variance {variance:g}:\n\n{report.table(head, rows)}")
        print(f"{tables[-1]}\n{clock():.0f} s", flush=True)
    square = float(np.square(z).sum())
    p_value = float(chi2.sf(square, len(z)))
    verdict = (
        f"Chi-square of all measured variances about the closed forms: {square:.1f} for {len(z)} (p = {p_value:.2f})."
    )
    print(verdict)
    model, variance = learn(variances[-1] if len(variances) < 2 else variances[1], points, epochs, seed)
    learned = {name: (*measure(model, name, ENOUGH, draws, seed), theory(name, ENOUGH, variance)) for name in SAMPLERS}
    rows = [[name, report.with_error(*values[:2]), f"{values[2]:.5f}"] for name, values in learned.items()]
    tables += [
        verdict,
        f"A network that learned from {points} points of variance {variance:.4f}, {ENOUGH} steps:\n\n"
        + report.table(["sampler", "measured", "exact for the best denoiser"], rows),
    ]
    print(tables[-1])
    draw(found, folder / "variances.png")
    numbers = {"variances": found, "z": z, "chi_square": square, "p_value": p_value, "learned": learned}
    settings = {"draws": draws, "points": points, "epochs": epochs, "seed": seed, "seconds": round(clock())}
    report.write(folder, __file__, __doc__, tables, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
