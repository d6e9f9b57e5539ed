"""What the table of generative models in the plane says and shows: its gaps, its verdict and its pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import report
from models_in_the_plane import BASELINES, WAYS
from plane import SETS, grid

GOAL = {"8 gaussians": 0.05}  # of the gap of flows and diffusion where kernels are that good
MOST = {"EBM": 0.3, "denoising score matching": 0.3, "VAE": 0.3}
BEST = ("DDPM", "CNF, likelihood", "CNF, flow matching")
DRAWN = 150  # points along a side of the pictures of densities


def gap_table(found: dict[str, dict[str, Any]]) -> str:
    """Return the table of gaps: a row a model, a column a data set."""
    rows = [
        [way, *(report.with_error(*report.mean_and_error(one["gaps"])) for one in of_way.values())]
        for way, of_way in found.items()
    ]
    return report.table(["gap to the truth (nats)", *next(iter(found.values()))], rows)


def effort_table(found: dict[str, dict[str, Any]]) -> str:
    """Return the table of what validation chose, and of how long learning took."""
    rows = []
    for way, of_way in found.items():
        picks = ", ".join(f"{one['setting']:.3g}" for one in of_way.values() if one["validation"])
        total = sum(sum(one["seconds"]) + one["seconds_of_choice"] for one in of_way.values())
        rows.append(
            [way, WAYS[way].what, picks, f"{np.median([s for one in of_way.values() for s in one['seconds']]):.0f}"]
        )
        rows[-1].append(f"{total / 60.0:.1f}")
    return report.table(
        ["model", "setting", "chosen, by data set", "seconds to learn", "minutes of the row, one process"], rows
    )


def verdict(found: dict[str, dict[str, Any]]) -> list[str]:
    """Return sentences on what was to be shown and whether it was."""
    beaten, within, least = [], [], np.inf
    names = list(next(iter(found.values())))
    for name in names:
        gaps = {way: float(np.mean(of_way[name]["gaps"])) for way, of_way in found.items()}
        least = min(least, *(gaps["one Gaussian"] - gaps[way] for way in found if way not in BASELINES))
        limit = max(gaps["kernels"], GOAL.get(name, 0.0))
        beaten += [f"{way} on {name} ({gaps[way]:.3f}, kernels {limit:.3f})" for way in BEST if gaps[way] > limit]
        within += [f"{way} on {name} ({gaps[way]:.3f})" for way, most in MOST.items() if gaps[way] > most]
    cases = len(names)
    told = [
        "Diffusion and both flows are nearer to the truth than kernels over the same points (or than .05, on the "
        f"mixture) in {len(BEST) * cases - len(beaten)} of {len(BEST) * cases} cases",
        "The energies by contrast and by denoising and the VAE are within .30 of it in "
        f"{len(MOST) * cases - len(within)} of {len(MOST) * cases}",
    ]
    for k, fails in enumerate((beaten, within)):
        told[k] += f"; not so: {', '.join(fails)}." if fails else "."
    if least > 0:
        told.append(f"Every model is nearer than one Gaussian, by {least:.2f} nats or more.")
    else:
        told.append(f"Not every model is nearer than one Gaussian: one is {-least:.2f} nats farther.")
    return [" ".join(told)]


def draw_densities(found: dict[str, dict[str, Any]], points: int, path: Path) -> None:
    """Draw the density of the truth and of each model on each data set, with training points on it."""
    ways, names = ["truth", *found], list(next(iter(found.values())))
    picture, axes = report.figure(len(ways), len(names), 3.1 * len(names), 3.0 * len(ways))
    axis, x, _ = grid(DRAWN)
    for column, name in enumerate(names):
        true, data = SETS[name].log_prob(x), SETS[name].sample(points, 1)[:400]
        for row, way in enumerate(ways):
            panel, log_p = axes[row, column], true if row == 0 else found[way][name]["density"]
            p = np.exp(log_p).reshape(DRAWN, DRAWN).T
            panel.pcolormesh(axis, axis, p, cmap="viridis", vmax=1.2 * np.exp(true.max()), rasterized=True)
            panel.plot(*data.T, "w.", markersize=1.5)
    name_panels(axes, ways, names)
    report.save(picture, path)


def draw_samples(found: dict[str, dict[str, Any]], points: int, path: Path) -> None:
    """Draw samples of each model over the training points."""
    ways, names = [way for way in found if way not in BASELINES], list(next(iter(found.values())))
    picture, axes = report.figure(len(ways), len(names), 3.1 * len(names), 3.0 * len(ways))
    for column, name in enumerate(names):
        data = SETS[name].sample(points, 1)
        for row, way in enumerate(ways):
            axes[row, column].plot(*data.T, ".", color="0.75", markersize=2)
            axes[row, column].plot(*found[way][name]["points"].T, ".", color=report.COLOURS[0], markersize=2)
    name_panels(axes, ways, names)
    report.save(picture, path)


def name_panels(axes: np.ndarray, ways: list[str], names: list[str]) -> None:
    """Write the data set above each column and the model beside each row, and make all panels alike."""
    for panel in axes.ravel():
        panel.set(xlim=(-4.5, 4.5), ylim=(-4.5, 4.5), aspect="equal", xticks=(-4, 0, 4), yticks=(-4, 0, 4))
    for panel, name in zip(axes[0], names, strict=True):
        panel.set_title(name)
    for panel in axes[-1]:
        panel.set_xlabel("$x_1$")
    for panel, way in zip(axes[:, 0], ways, strict=True):
        panel.set_ylabel(f"{way}\n$x_2$")


def draw_curves(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw -ln p of training and of held-out points along learning, above the entropy."""
    ways = [way for way in found if way not in BASELINES]
    picture, axes = report.figure(2, (len(ways) + 1) // 2, 3.8 * ((len(ways) + 1) // 2), 8.4)
    for panel, way in zip(axes.ravel(), ways, strict=False):
        for k, (name, of_set) in enumerate(found[way].items()):
            epochs, training, held_out = np.array(of_set["curve"]).T
            entropy = SETS[name].entropy
            panel.plot(epochs, training - entropy, "--", color=report.COLOURS[k], linewidth=1.4)
            panel.plot(epochs, held_out - entropy, "-", color=report.COLOURS[k], label=name)
        panel.set(title=way, xlabel="epoch", ylim=(-0.3, 1.2))
    for panel in axes[:, 0]:
        panel.set_ylabel("-ln p above the entropy (nats)")
    axes[0, 0].legend()
    report.save(picture, path)


def draw_gaps(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the gap of every model, data set and seed."""
    ways, names = [way for way in found if way not in BASELINES], list(next(iter(found.values())))
    picture, axes = report.figure(1, len(names), 3.8 * len(names), 5.6)
    widest = max(max(found[way][name]["gaps"]) for way in ways for name in names)
    for column, (panel, name) in enumerate(zip(axes[0], names, strict=True)):
        for k, way in enumerate(ways):
            values = found[way][name]["gaps"]
            panel.plot(values, [k] * len(values), report.MARKERS[k % 6], color=report.COLOURS[k % 6])
        panel.axvline(np.mean(found["kernels"][name]["gaps"]), color="k", linestyle="--", linewidth=1.2)
        panel.set(title=name, xlabel="gap (nats)", xscale="log", ylim=(len(ways) - 0.5, -0.5))
        panel.set_xlim(0.012, 1.4 * widest)
        panel.set_xticks([0.02, 0.05, 0.1, 0.2], ["0.02", "0.05", "0.1", "0.2"])
        panel.minorticks_off()
        panel.set_yticks(range(len(ways)), ways if column == 0 else [])
    report.save(picture, path)
