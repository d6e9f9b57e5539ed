"""Scores learned from noisy points sample densities in the plane, and the truth says how well.

A noise-conditional network learns the score of four toy densities from 2,000 points each by denoising score matching
over a ladder of noise levels, and annealed Langevin dynamics turns noise into samples with it. Nothing in this needs an
energy or a Z. The densities are known exactly, so the samples are judged twice:

- by the exact density: the mean of -ln p_true over the samples, beside the entropy, which it equals for perfect ones
  (of the checkerboard, where p is zero off the squares, the share of samples off them);
- by a kernel estimate from the samples, whose mean ln p on fresh points is set against that of the same estimate from
  as many true points: the gap is what the model lost, and not what kernels lose.

The energy-parametrised form of the network has an energy as well. At each level of noise its ln Z comes from
quadrature, and so the gap to the truth smoothed by that noise is measured by pairs, as for any energy. The energy of
the lowest noise is the worse one where the density falls into parts: a score says nothing about the weights of islands
that no path of fair probability joins (Wenliang and Kanagawa 2020). Samples do not suffer, as wider noise has weighed
the islands before they part.
"""

from pathlib import Path
from typing import Any

import numpy as np
import report
from plane import SETS, grid, log_z
from scipy.stats import gaussian_kde

import ebm
import samplers
from models import datasets

SIGMAS = tuple(np.geomspace(2.0, 0.03, 14))
SHOWN = SIGMAS[len(SIGMAS) // 2], SIGMAS[-1]  # levels whose energy is drawn and judged
BANDWIDTH = 0.15  # of the kernels, in the unit of x
PICTURES = {
    "samples.png": "Columns: data sets. Rows: 2,000 training points; samples by annealed Langevin dynamics; the "
    "learned score at two levels of noise (arrows, not to scale), over the energy of the energy-parametrised network.",
}


def learn(data: np.ndarray, energy: bool, epochs: int, seed: int) -> ebm.ScoreModel:
    """Return the score, or the energy, learned from data (n, 2) over the ladder of noise."""
    model = ebm.ScoreModel((2,), hidden=(128, 128, 128), energy=energy, data_width=float(data.std()), seed=seed)
    ebm.fit(
        model, data, ebm.DenoisingScoreMatching(SIGMAS, noises=2), epochs=epochs, batch_size=250, learning_rate=2e-3,
        optimiser=ebm.Adam(), averaging=0.99, schedule=lambda epoch: 1.0 - epoch / epochs, seed=seed, progress=False,
    )  # fmt: skip
    return model


def sample(model: ebm.ScoreModel, chains: int, steps: int, seed: int) -> np.ndarray:
    """Return the ends of annealed Langevin chains, (chains, 2), started from the widest noise."""
    init = SIGMAS[0] * np.random.default_rng(seed).standard_normal((chains, 2))
    sampler = samplers.AnnealedLangevin(SIGMAS, step_size=0.1 * SIGMAS[-1] ** 2, steps=steps)
    run = samplers.sample(
        model, sampler, chains=chains, draws=1, warmup=len(SIGMAS) * steps, init=init, seed=seed, progress=False
    )
    return np.asarray(run.x)[:, -1]


def by_density(truth: Any, x: np.ndarray) -> tuple[float, float]:
    """Return the mean of -ln p_true over samples with its error; of a p that may be zero, the share of zeros."""
    log_p = truth.log_prob(x)
    values = np.isinf(log_p).astype(float) if isinstance(truth, datasets.Checkerboard) else -log_p
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(x)))


def by_kernels(truth: Any, x: np.ndarray, seed: int) -> tuple[float, float]:
    """Return what kernels over samples lose on fresh points beside kernels over as many true points, with its error.

    Fresh points, true points and samples all fluctuate. The share of the latter two is by jackknife over ten blocks,
    which is cheap because the estimate is a mean of kernels.
    """
    fresh, pairs, variance = truth.sample(5000, seed), 0.0, 0.0
    for sign, points in ((1.0, truth.sample(len(x), seed + 1)), (-1.0, x)):
        blocks = np.array(
            [gaussian_kde(part.T, BANDWIDTH / part.std())(fresh.T) for part in np.array_split(points, 10)]
        )
        log = lambda density: np.log(np.maximum(density, np.exp(-50.0)))  # noqa: E731  (far from all kernels it is 0)
        without = [log(np.delete(blocks, k, 0).mean(0)).mean() for k in range(10)]
        pairs, variance = pairs + sign * log(blocks.mean(0)), variance + 9.0 * np.var(without)
    return float(np.mean(pairs)), float(np.sqrt(np.var(pairs, ddof=1) / len(fresh) + variance))


def gap_of_energy(level: Any, truth: Any, sigma: float, seed: int) -> tuple[float, float]:
    """Return the gap of an energy at one noise level to the truth smoothed by it, on 20,000 points, with its error.

    The smoothed truth is the true density on a grid, blurred: ln p_true(x + noise) by quadrature over the noise.
    """
    rng = np.random.default_rng(seed)
    fresh = truth.sample(20_000, seed) + sigma * rng.standard_normal((20_000, 2))
    # A density with edges needs many nodes: 80 are good for .003 nats, as 16 are for smooth ones.
    nodes, weights = np.polynomial.hermite_e.hermegauss(80 if isinstance(truth, datasets.Checkerboard) else 16)
    offsets = sigma * np.stack([a.ravel() for a in np.meshgrid(nodes, nodes, indexing="ij")], 1)
    weight = np.outer(weights, weights).ravel() / (2.0 * np.pi)
    smooth = np.zeros(len(fresh))
    for offset, w in zip(offsets, weight, strict=True):
        smooth += w * np.exp(truth.log_prob(fresh - offset))
    pairs = np.log(smooth) + level(fresh) + log_z(level)
    return float(pairs.mean()), float(pairs.std(ddof=1) / np.sqrt(len(pairs)))


def draw(models: dict[str, list], data: dict[str, np.ndarray], ends: dict[str, np.ndarray], path: Path) -> None:
    """Draw training points, samples, and the score at two noise levels over the energy, of each data set."""
    picture, axes = report.figure(4, len(models), 4.4 * len(models), 15)
    picture.set_layout_engine("compressed")  # squares side by side, and colour bars as tall as they
    axis, x, _ = grid(120)
    arrows = np.stack([a.ravel() for a in np.meshgrid(*[np.linspace(-4.5, 4.5, 19)] * 2, indexing="ij")], 1)
    for column, (name, (score, energy)) in enumerate(models.items()):
        panels = axes[:, column]
        for panel, points in ((panels[0], data[name]), (panels[1], ends[name])):
            panel.plot(*points[:2000].T, ".", markersize=2, color=report.COLOURS[0])
        for panel, sigma in zip(panels[2:], SHOWN, strict=True):
            u = energy.at_noise(sigma)(x).reshape(len(axis), -1).T
            shown = panel.contourf(axis, axis, u - u.min(), levels=np.linspace(0, 10, 11), cmap="magma_r", extend="max")
            s = -score.at_noise(sigma).grad(arrows)
            s /= np.linalg.norm(s, axis=1, keepdims=True) ** 0.7
            panel.quiver(*arrows.T, *s.T, color="0.3", width=0.004)
            last = column == len(models) - 1
            picture.colorbar(shown, ax=panel, label="energy above the lowest (nats)" if last else None)
        panels[0].set_title(name)
        for panel in panels:
            panel.set(xlim=(-5, 5), ylim=(-5, 5), aspect="equal")
        panels[3].set_xlabel("x1")
    names = "training points", "samples", *(f"noise {sigma:.2f}" for sigma in SHOWN)
    for panel, text in zip(axes[:, 0], names, strict=True):
        panel.set_ylabel(f"{text}\nx2")
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "score_2d", points: int = 2000, epochs: int = 1600, chains: int = 5000,
    steps: int = 200, seed: int = 1, names: tuple[str, ...] = tuple(SETS),
) -> dict:  # fmt: skip
    """Learn scores and energies, sample, judge the samples and the energies, and write the folder."""
    clock, models, data, ends, rows, numbers = report.begin(folder), {}, {}, {}, [], {}
    for name in names:
        truth, data[name] = SETS[name], SETS[name].sample(points, seed)
        models[name] = [learn(data[name], energy, epochs, seed) for energy in (False, True)]
        ends[name] = sample(models[name][0], chains, steps, seed)
        density, kernels = by_density(truth, ends[name]), by_kernels(truth, ends[name], 100 + seed)
        gaps = [gap_of_energy(models[name][1].at_noise(sigma), truth, sigma, 200 + seed) for sigma in SHOWN]
        exact = "0 (share off the squares)" if isinstance(truth, datasets.Checkerboard) else f"{truth.entropy:.4f}"
        rows.append([name, report.with_error(*density), exact, report.with_error(*kernels)])
        rows[-1] += [report.with_error(*gap) for gap in gaps]
        numbers[name] = {"density": density, "entropy": truth.entropy, "kernels": kernels, "gaps_of_energy": gaps}
        print(f"{' | '.join(rows[-1])}   ({clock():.0f} s)", flush=True)
    head = ["data", "samples: -ln p_true", "exact", "samples: loss by kernels (nats)"]
    head += [f"energy: gap at noise {sigma:.2f} (nats)" for sigma in SHOWN]
    found = report.table(head, rows)
    print(found)
    draw(models, data, ends, folder / "samples.png")
    settings = {"points": points, "epochs": epochs, "chains": chains, "steps": steps, "seed": seed}
    report.write(folder, __file__, __doc__, [found], PICTURES, numbers, {**settings, "seconds": round(clock())})
    return numbers


if __name__ == "__main__":
    main()
