"""Five models of machine learning, each an energy: one call samples them all, one table and one picture compare them.

    variational autoencoder     E(z; x) = -ln p(x, z)              the posterior of the code of one point
    continuous flow             E(x) = -ln p(x)
    adversarial network         E(z) = |z|^2 / 2 - logit D(G(z))   codes that the discriminator likes
    diffusion                   E(x) = -ln p(x), by its ordinary differential equation
    classifier                  E(x) = -ln sum_k exp f_k(x) + |x|^2 / 2 s^2            (Grathwohl et al. 2020)

All have learned 2,000 points of the pinwheel, whose five arms are the classifier's classes. In the plane an integral
over a grid gives the mean energy of each, and ln Z, which is zero for the two densities; chains of Hamiltonian Monte
Carlo, whose code knows nothing of any of these models, must find the same. The diffusion model's score at one level of
noise has no energy, and so is sampled by Langevin dynamics: its samples are compared with the points seen through as
much noise.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from scipy.stats import ks_2samp

import models
import samplers
from ebm import landscape
from models import datasets

NOISE = 0.3  # of the level whose score is sampled
CONFINEMENT = 0.7  # of the classifier's chains, which would leave the box in a wider well
BOX = [(-5.0, 5.0), (-5.0, 5.0)]
PICTURES = {
    "landscapes.png": "Energies above their lowest, in nats, and the ends of chains on them. The last panel: chains on "
    "the score at one level of noise, over the points seen through as much noise.",
}


def arms(x: np.ndarray) -> np.ndarray:
    """Return the arm of the pinwheel that each point (n, 2) lies nearest to: the sector of its untwisted angle."""
    radius = np.hypot(*x.T) / 2.0
    angle = np.arctan2(-x[:, 1], x[:, 0]) - 0.25 * np.exp(radius)
    return np.round(angle / (2.0 * np.pi / 5.0)).astype(int) % 5


def learn(x: np.ndarray, epochs: int, seed: int) -> tuple[dict[str, Any], Any]:
    """Return the energies by name, and the diffusion model itself."""
    width, settings = float(x.std()), {"batch_size": 250, "seed": seed, "progress": False}
    decay = partial(torch.optim.AdamW, weight_decay=1.0)  # without it the logits, and the wells, are far deeper
    falling = lambda epoch: max(1.0 - epoch / epochs, 0.01)  # noqa: E731
    vae = models.VAE((2,), latent=2, hidden=(64, 64), likelihood="gaussian", sigma=0.3, seed=seed)
    flow = models.CNF((2,), hidden=(64, 64), mean=x.mean(0), width=width, seed=seed)
    gan = models.GAN((2,), latent=2, hidden=(64, 64), gradient_penalty=0.3, seed=seed)
    diffusion = models.DDPM((2,), hidden=(64, 64), data_width=width, seed=seed)
    classifier = models.MLP(2, classes=5, hidden=(64, 64), activation="SiLU", seed=seed)
    for model in (vae, flow, gan, diffusion):
        models.fit(model, x, epochs=epochs, learning_rate=2e-3, schedule=falling, averaging=0.99, **settings)
    models.fit(classifier, (x, arms(x)), epochs=max(epochs // 10, 1), learning_rate=2e-3, optimiser=decay, **settings)
    for model in (vae, flow, gan, diffusion, classifier):
        model.eval()
    energies = {
        "autoencoder, code of a point": vae.as_energy(x[0]),
        "flow": flow.as_energy(tolerance=1e-4),
        "adversarial, codes": gan.as_energy(),
        "diffusion": diffusion.as_energy(steps=12),
        "classifier": classifier.as_energy(width=CONFINEMENT),
    }
    return energies, diffusion


def integrated(energy: Any, points: int) -> tuple[float, float]:
    """Return the mean energy at beta = 1 and ln Z, by the midpoint rule over the box."""
    axis = -5.0 + 10.0 * (np.arange(points) + 0.5) / points
    x = np.stack([a.ravel() for a in np.meshgrid(axis, axis, indexing="ij")], 1)
    u = np.concatenate([energy(part) for part in np.array_split(x, max(1, len(x) // 2000))])
    weight = np.exp(u.min() - u)
    return float(weight @ u / weight.sum()), float(np.log(weight.sum()) - u.min() + 2.0 * np.log(10.0 / points))


def draw(energies: dict[str, Any], ends: dict[str, np.ndarray], seen: np.ndarray, points: int, path: Path) -> None:
    """Draw every landscape with its chains, and the chains on the score over noisy points."""
    picture, axes = report.figure(2, 3, 16.5, 10)
    picture.set_layout_engine("compressed")
    for panel, (name, energy) in zip(axes.flat, energies.items(), strict=False):
        landscape.grid(energy, BOX, n=points).plot(panel, highest=12.0)
        panel.plot(*ends[name].T, ".", markersize=3, color=report.COLOURS[2])
        panel.set(title=name, xlabel="z1" if "code" in name else "x1", ylabel="z2" if "code" in name else "x2")
    axes[1, 2].plot(*seen.T, ".", markersize=2, color="0.75", label="points with noise")
    axes[1, 2].plot(*ends["score"].T, ".", markersize=3, color=report.COLOURS[2], label="chains")
    axes[1, 2].set(xlim=BOX[0], ylim=BOX[1], aspect="equal", title="score of the diffusion", xlabel="x1", ylabel="x2")
    axes[1, 2].legend(loc="upper right")
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "models_as_energies", points: int = 2000, epochs: int = 300, chains: int = 32,
    draws: int = 960, warmup: int = 300, grid: int = 120, seed: int = 1,
) -> dict:  # fmt: skip
    """Learn every model, run the same call on every energy, compare with the integral, and write the folder."""
    clock, rows, ends, numbers = report.begin(folder), [], {}, {}
    x = datasets.pinwheel().sample(points, seed)
    energies, diffusion = learn(x, epochs, seed)
    print(f"learned ({clock():.0f} s)", flush=True)
    for name, energy in energies.items():
        run = samplers.sample(
            energy, samplers.HMC(steps=5), chains=chains, draws=draws, warmup=warmup, seed=seed, progress=False
        )
        line, found = samplers.summary(run).rows["energy"], samplers.estimate("energy", run)
        exact, log_z = integrated(energy, grid)
        ends[name] = np.asarray(run.x)[:, -draws // 2 :: 5].reshape(-1, 2)
        rows.append([
            name, report.with_error(found.value, found.error), f"{exact:.3f}",
            f"{(found.value - exact) / found.error:.1f}", f"{line.r_hat:.3f}", f"{line.ess_bulk:.0f}",
            f"{run.acceptance.mean():.2f}", f"{log_z:.3f}",
        ])  # fmt: skip
        numbers[name] = {"mean": found[:2], "exact": exact, "r_hat": line.r_hat, "log_z": log_z}
        print(f"{' | '.join(rows[-1])}   ({clock():.0f} s)", flush=True)
    level, rng = diffusion.at_noise(NOISE), np.random.default_rng(seed)
    seen = x + NOISE * rng.standard_normal(x.shape)
    run = samplers.sample(
        level, samplers.Langevin(0.05 * NOISE**2), chains=len(x) // 4, draws=1, warmup=4000, init=seen[: len(x) // 4],
        seed=seed, progress=False,
    )  # fmt: skip
    ends["score"] = np.asarray(run.x)[:, -1]
    radii = [np.hypot(*points.T) for points in (ends["score"], seen[len(x) // 4 :])]
    p = float(ks_2samp(*radii).pvalue)
    numbers["score"] = {"p_value": p, "radius": [float(r.mean()) for r in radii]}
    head = ["energy", "mean, HMC", "integral", "sigmas apart", "R-hat", "ESS", "acceptance", "ln Z"]
    told = (
        f"Radii of {len(radii[0])} chains on the score at noise {NOISE} and of points as noisy: means "
        f"{radii[0].mean():.3f} and {radii[1].mean():.3f}, p = {p:.2f} (Kolmogorov and Smirnov)."
    )
    slow = [f"{name} ({one['r_hat']:.3f})" for name, one in numbers.items() if one.get("r_hat", 1.0) > 1.01]
    tables = [report.table(head, rows), told]
    if slow:
        tables.append(f"R-hat above 1.01: {', '.join(slow)}. Arms are changed seldom there, and errors are rough.")
    print("\n".join(tables))
    draw(energies, ends, seen, min(grid, 80), folder / "landscapes.png")
    settings = {
        "points": points, "epochs": epochs, "chains": chains, "draws": draws, "warmup": warmup, "grid": grid,
        "seed": seed, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, tables, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
