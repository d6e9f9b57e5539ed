"""What codes without an encoder say and show: their tables and pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import report
from codes import draw_images

import models

COLUMNS, CODE, SEEDS = 10, 16, 3  # CODE: numbers of a code where collapse is studied, on SEEDS seeds


def tell(
    found: dict[str, Any], along: dict[str, list[float]], cases: dict[str, list[list[float]]], first: float,
    digits: dict[str, np.ndarray], read: float,
) -> list[str]:  # fmt: skip
    """Return the tables, and the sentences about them."""

    def percent(pair: tuple[float, float]) -> str:
        return report.with_error(100 * pair[0], 100 * pair[1])

    rows = [
        [
            name, f"{along[name][-1]:.3g}", percent(values["probe"]), percent(values["probe, drawn"]),
            *(report.with_error(*values[key]) for key in ("missed, training", "missed, new", "nll")),
        ]
        for name, values in found["models"].items()
    ]  # fmt: skip
    rows += [[name, "", percent(found[name]), "", "", "", ""] for name in ("components", "pixels")]
    ends = [[name, f"{runs[0][0]:.3g}", " ".join(f"{run[-1]:.3g}" for run in runs)] for name, runs in cases.items()]
    spread = [[name, f"{10 * v.min():.2f}", f"{10 * v.max():.2f}"] for name, v in digits.items()]
    return [
        report.table(
            ["codes", "KL", "probe: means (%)", "drawn (%)", "-ln p(x\\|z), training", "-ln p(x\\|z), new", "NLL, new"],
            rows,
        ),
        "KL, -ln p(x|z) and NLL in nats a digit; z is drawn from the code of x. New digits have codes searched to the "
        "end, which naive ones of training digits are not. *components* are the principal components that ours begin "
        "as.",
        report.table(["loss and beginning", "KL at first", f"KL at last, {SEEDS} seeds"], ends),
        f"The largest eigenvalue of the correlation matrix of these pixels is {first:.1f}: between beta = 1, where "
        f"collapse is a saddle, and beta = {784 / CODE:g}, where it is a minimum.",
        report.table(["prior", "rarest digit, over a tenth", "most frequent"], spread),
        f"The classifier that counts the digits among samples reads {100 * read:.1f} % of test digits.",
    ]


def draw(
    learned: dict[str, Any], x: np.ndarray, test: np.ndarray, drawings: dict[str, np.ndarray], seed: int, folder: Path
) -> None:
    """Draw reconstructions of the first training digits and of new ones, and samples."""
    back, again = [x], [test]
    for model in learned.values():
        amortised = isinstance(model, models.VAE)
        codes = model.infer(x) if amortised else model.training_codes()
        new = model.infer(test) if amortised else model.infer(test, seed=seed)
        back.append(models.decoded(model, codes.mean[: len(x)]))
        again.append(models.decoded(model, new.mean))
    panels = {"training digits": np.array(back), "new digits": np.array(again)}
    draw_images(panels, ["digits", *learned], COLUMNS, folder / "reconstructions.png")
    rows = np.array([pictures[: 2 * COLUMNS] for pictures in drawings.values()])
    draw_images({"samples": rows}, list(drawings), 2 * COLUMNS, folder / "samples.png")


def draw_collapse(along: dict[str, list[float]], cases: dict[str, list[list[float]]], path: Path) -> None:
    """Draw what codes tell along training, of the three models and of the four cases."""
    picture, axes = report.figure(1, 2, 14, 5.6)
    for j, (name, values) in enumerate(along.items()):
        axes[0, 0].plot(values, report.MARKERS[j] + "-", color=report.COLOURS[j], label=name)
    for j, (name, runs) in enumerate(cases.items()):
        low, mean, high = np.min(runs, 0), np.mean(runs, 0), np.max(runs, 0)
        axes[0, 1].plot(mean, "--" if "noise" in name else "-", color=report.COLOURS[j // 2], label=name)
        axes[0, 1].fill_between(np.arange(len(mean)), low, high, color=report.COLOURS[j // 2], alpha=0.3, linewidth=0)
    for panel, title in zip(axes[0], ("three models", f"codes of {CODE} numbers"), strict=True):
        panel.set(xlabel="epoch", ylabel="KL (nats a digit)", yscale="log", ylim=(1e-3, 2e3), title=title)
        panel.legend(ncols=1 if panel is axes[0, 0] else 2, loc="upper center", fontsize=11)
    report.save(picture, path)


def draw_digits(found: dict[str, np.ndarray], path: Path) -> None:
    """Draw the share of each digit among samples."""
    picture, axes = report.figure(1, 1, 10, 5)
    axes[0, 0].axhspan(0.05, 0.2, color="0.5", alpha=0.2, linewidth=0)
    for j, (name, values) in enumerate(found.items()):
        at = np.arange(10) + 0.16 * (j - 1.5)
        axes[0, 0].plot(at, values, report.MARKERS[j], color=report.COLOURS[j], markersize=8, label=name)
    axes[0, 0].set(xlabel="digit", ylabel="share of samples", xticks=range(10), ylim=(-0.02, 1.02))
    axes[0, 0].legend(loc="center left")
    report.save(picture, path)
