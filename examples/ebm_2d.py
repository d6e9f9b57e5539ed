"""Neural energies learn densities in the plane, and the truth says how far they are from it.

A fully connected network, confined by a quadratic well, learns four toy densities from 2,000 points each, by
noise-contrastive estimation and by persistent contrastive divergence with adjusted Langevin chains. The densities are
known exactly, and in the plane ln Z of the network comes from quadrature, so the gap

    <ln p_true(x) - ln p_model(x)>,    x ~ p_true

is measured by pairs on 20,000 fresh points: it is the Kullback-Leibler divergence in nats, zero for a perfect model.
Then chains at temperature 1 run for 100,000 steps from the data: a model whose chains leave the data when they run
longer than in training has learned a sampler and no density.
"""

from pathlib import Path
from typing import Any

import numpy as np
import report
from plane import SETS, grid, log_z
from scipy.special import logsumexp

import ebm
import samplers

# Gap of the best kernel density estimate on one such draw, its width chosen on held-out points.
KERNELS = {"8 gaussians": 0.034, "checkerboard": 0.168, "pinwheel": 0.115, "2 spirals": 0.099}
PICTURES = {
    "densities.png": "Columns: data sets. Rows: 2,000 training points; the model's density by noise-contrastive "
    "estimation; ends of chains of 100,000 steps at temperature 1 on that model; its energy.",
    "gaps.png": "Gap to the truth of every run (a point a seed), and of the best kernel density estimate.",
}


def objectives(epochs: int) -> dict[str, tuple[Any, float, int]]:
    """Return each objective, its learning rate and its epochs: half for chains, which cost more than twice as much.

    Without the penalty, which keeps energies near zero, they grow until chains of a fixed step stand still.
    """
    chains = ebm.PersistentCD(k=10, chains=400, sampler=samplers.MALA(0.02), reinitialise=0.01, energy_penalty=0.01)
    noise = ebm.NoiseContrastive(ratio=8, widen=1.2)
    return {"noise-contrastive": (noise, 0.002, epochs), "persistent CD": (chains, 0.001, max(epochs // 2, 1))}


def learn(objective: Any, data: np.ndarray, rate: float, epochs: int, seed: int) -> ebm.NeuralEnergy:
    """Return the energy learned from data (n, 2)."""
    energy = ebm.NeuralEnergy((2,), hidden=(128, 128, 128), width=1.5 * float(data.std()), seed=seed)
    ebm.fit(
        energy, data, objective, epochs=epochs, batch_size=200, learning_rate=rate, seed=seed, averaging=0.99,
        optimiser=ebm.Adam(weight_decay=0.05), schedule=lambda epoch: 1.0 - epoch / epochs, progress=False,
    )  # fmt: skip
    return energy


def gap(energy: Any, truth: Any, fresh: int, seed: int) -> tuple[float, float]:
    """Return the mean of ln p_true - ln p_model on fresh points, and its standard error."""
    x = truth.sample(fresh, seed)
    pairs = truth.log_prob(x) + energy(x) + log_z(energy)
    return float(pairs.mean()), float(pairs.std(ddof=1) / np.sqrt(fresh))


def long_run(energy: Any, data: np.ndarray, chains: int, steps: int, seed: int) -> tuple[samplers.Chains, float]:
    """Run chains at temperature 1 from points of the data; return them and the exact mean energy, by quadrature."""
    run = samplers.sample(
        energy, samplers.MALA(0.05), chains=chains, draws=100, thin=steps // 100, init=data[:chains], seed=seed,
        progress=False,
    )  # fmt: skip
    _, x, _ = grid(500)
    u = energy(x)
    return run, float(np.exp(-u - logsumexp(-u)) @ u)


def draw_densities(
    models: dict[str, Any], data: dict[str, np.ndarray], ends: dict[str, np.ndarray], path: Path
) -> None:
    """Draw training points, density, ends of chains and energy of each data set."""
    picture, axes = report.figure(4, len(models), 4.4 * len(models), 15)
    picture.set_layout_engine("compressed")  # squares side by side, and colour bars as tall as they
    axis, x, _ = grid(300)
    for column, (name, energy) in enumerate(models.items()):
        u = energy(x).reshape(len(axis), -1).T + log_z(energy)
        panels = axes[:, column]
        for panel, points in ((panels[0], data[name]), (panels[2], ends[name])):
            panel.plot(*points[:2000].T, ".", markersize=2, color=report.COLOURS[0])
        dense = panels[1].pcolormesh(axis, axis, np.exp(-u), cmap="viridis", rasterized=True)
        levels = np.arange(np.floor(u.min()), u.min() + 12.5, 1.0)
        high = panels[3].contourf(axis, axis, u, levels=levels, cmap="magma_r", extend="max")
        picture.colorbar(dense, ax=panels[1], label="density" if column == len(models) - 1 else None)
        picture.colorbar(high, ax=panels[3], label="-ln p (nats)" if column == len(models) - 1 else None)
        panels[0].set_title(name)
        for panel in panels:
            panel.set(xlim=(-5, 5), ylim=(-5, 5), aspect="equal")
        panels[3].set_xlabel("x1")
    for panel, text in zip(axes[:, 0], ("training points", "model", "ends of long chains", "energy"), strict=True):
        panel.set_ylabel(f"{text}\nx2")
    report.save(picture, path)


def draw_gaps(gaps: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Draw the gap of each run, by data set and objective."""
    picture, axes = report.figure(1, 1, 9, 5.5)
    panel = axes[0, 0]
    for k, (name, runs) in enumerate(gaps.items()):
        for j, (objective, values) in enumerate(runs.items()):
            places = k + 0.12 * (2 * j - 1) + 0.02 * np.arange(len(values))
            style = {"color": report.COLOURS[j], "marker": report.MARKERS[j], "linestyle": "none"}
            panel.plot(places, values, **style, label=objective if k == 0 else None)
        panel.plot([k - 0.3, k + 0.3], [KERNELS[name]] * 2, "k--", linewidth=1, label="kernels" if k == 0 else None)
    panel.axhline(0.2, color="0.6", linewidth=1)
    panel.set(xticks=range(len(gaps)), xticklabels=list(gaps), ylabel="gap to the truth (nats)", ylim=(0, None))
    panel.legend()
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "ebm_2d", points: int = 2000, epochs: int = 480, seeds: int = 3,
    fresh: int = 20_000, chains: int = 64, steps: int = 100_000, names: tuple[str, ...] = tuple(SETS),
) -> dict:  # fmt: skip
    """Learn every data set by every objective and seed, measure the gaps, run long chains, and write the folder."""
    clock = report.begin(folder)
    methods, gaps = objectives(epochs), dict[str, dict[str, list[float]]]()
    errors, models, data, ends, rows, runs = {}, {}, {}, {}, [], []
    for name in names:
        gaps[name], cells = {}, []
        for objective, (method, rate, passes) in methods.items():
            found = []
            for seed in range(1, seeds + 1):
                x = SETS[name].sample(points, seed)
                energy = learn(method, x, rate, passes, seed)
                found.append(gap(energy, SETS[name], fresh, 1000 + seed))
                if seed == 1 and objective == "noise-contrastive":
                    models[name], data[name] = energy, x
            gaps[name][objective] = [value for value, _ in found]
            errors[name] = max(error for _, error in found)
            cells.append("  ".join(f"{value:.3f}" for value, _ in found))
            print(f"{name}, {objective}: {cells[-1]}   ({clock():.0f} s)", flush=True)
        run, exact = long_run(models[name], data[name], chains, steps, 7)
        ends[name] = np.asarray(run.x)[:, -len(run.x[0]) // 2 :].reshape(-1, 2)
        mean, hat = samplers.estimate("energy", run), samplers.summary(run).rows["energy"].r_hat
        runs.append([name, report.with_error(mean.value, mean.error), f"{exact:.3f}", f"{hat:.3f}"])
        rows.append([name, *cells, f"{errors[name]:.3f}", f"{KERNELS[name]:.3f}"])
    gap_table = report.table(["gap (nats), a number a seed", *methods, "error of each", "best kernels"], rows)
    run_table = report.table([f"chains of {steps:,} steps", "mean energy", "exact", "R-hat of the energy"], runs)
    print(f"{gap_table}\n{run_table}\n{clock():.0f} s")
    draw_densities(models, data, ends, folder / "densities.png")
    draw_gaps(gaps, folder / "gaps.png")
    numbers = {"gaps": gaps, "errors": errors, "long_runs": runs}
    settings = {"points": points, "epochs": epochs, "seeds": seeds, "fresh": fresh, "chains": chains, "steps": steps}
    settings["seconds"] = round(clock())
    report.write(folder, __file__, __doc__, [gap_table, run_table], PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
