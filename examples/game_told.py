"""What the game of two networks says and shows: its tables, its verdict and its pictures."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import report
from codes import draw_images

from ebm import History

TEST, TRAINING = REAL = "other test digits", "training digits"
PRIOR, GAME, ALONE = "z from N(0, 1)", "chains, D of the game", "chains, D gone on alone"


def tell(scores: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return the tables of what was found, and a verdict."""
    short = report.with_error
    first = report.table(
        ["digits", "Frechet distance", "the classifier is sure by", "largest factor of a share from uniform"],
        [[name, short(*s["distance"]), short(*s["sure"]), f"{s['factor']:.2f}"] for name, s in scores.items()],
    )
    lines: dict[str, Any] = {
        "V, training digits": lambda f: short(*f["value"][TRAINING]),
        "V, test digits (-1.386 at the optimum)": lambda f: short(*f["value"][TEST]),
        "lower bound of the divergence (V + 2 ln 2) / 2": lambda f: short(
            f["value"][TEST][0] / 2 + math.log(2), f["value"][TEST][1] / 2
        ),
        "d of training digits less that of test digits": lambda f: short(*f["mean_d"]["difference"]),
        "ln of the mean of exp d, N(0, 1)": lambda f: short(*f["weighted"]["log_mean"]),
        "mean of d, chains": lambda f: short(*f["chains"]),
        "mean of d, weighted codes": lambda f: short(*f["weighted"]["mean"]),
        "share of weighted codes that counts": lambda f: f"{f['weighted']['effective']:.3f}",
        "acceptance of HMC": lambda f: f"{f['acceptance']:.2f}",
        "R-hat, at most": lambda f: f"{f['r_hat']:.3f}",
        "tau in draws, at most": lambda f: f"{f['tau']:.1f}",
    }
    second = report.table(
        ["discriminator", "of the game", "gone on alone"],
        [[name, *(line(found[kind]) for kind in (GAME, ALONE))] for name, line in lines.items()],
    )
    return [first, verdict(scores), second]


def gains(scores: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Return by how much chains lessen the distance of N(0, 1), paired by parts of the test digits, with errors."""
    differences = {name: np.subtract(scores[PRIOR]["distances"], scores[name]["distances"]) for name in (GAME, ALONE)}
    return {name: report.mean_and_error(difference) for name, difference in differences.items()}


def verdict(scores: dict[str, Any]) -> str:
    """Return in words what the chains gain."""
    sentences = []
    for name, (gain, error) in gains(scores).items():
        said = "nearer" if gain > 4 * error else "farther" if gain < -4 * error else "no difference that is sure"
        less = report.with_error(gain, error)
        sentences.append(f"Distance of {PRIOR} less that of {name}: {less}, {said}.")
    return " ".join(sentences)


def draw(drawn: dict[str, np.ndarray], found: dict[str, Any], scores: dict[str, Any], history: History,
         chains: int, folder: Path) -> None:  # fmt: skip
    """Draw the figures of samples in parts, by kind, of discriminators and of learning."""
    walks = drawn[ALONE].reshape(chains, -1, 28, 28)
    draw_samples(drawn[TEST][0], drawn[PRIOR][0], walks[:, -1], walks[:3, :20], folder / "samples.png")
    draw_learning(history, scores[TEST]["distance"][0], folder / "learning.png")
    draw_logits(found, {name: scores[name]["counts"] for name in (PRIOR, GAME, ALONE)}, folder / "logits.png")


def draw_samples(test: np.ndarray, prior: np.ndarray, ends: np.ndarray, chains: np.ndarray, path: Path) -> None:
    """Draw rows of 20 test digits, samples, ends of chains, and chains (3, 20, 28, 28) along their draws."""
    kinds = {
        "test digits": test[:40],
        PRIOR: prior[:60],
        "ends of chains": ends[:60],
        "a chain": np.concatenate(chains),
    }
    labels = [label for label, images in kinds.items() for _ in range(len(images) // 20)]
    draw_images({"": np.concatenate([images[: len(images) // 20 * 20] for images in kinds.values()])}, labels, 20, path)


def draw_learning(history: History, floor: float, path: Path) -> None:
    """Draw losses and distances against the epoch."""
    picture, axes = report.figure(1, 2, 14, 5.2)
    for k, (player, best) in enumerate({"discriminator": 2 * math.log(2), "generator": math.log(2)}.items()):
        axes[0, 0].plot(history["epoch"], history[f"{player}_loss"], report.MARKERS[k] + "-", color=report.COLOURS[k],
                        label=player)  # fmt: skip
        axes[0, 0].axhline(best, color=report.COLOURS[k], linestyle="--", linewidth=1.2, label=f"{best:.3f}, optimum")
    axes[0, 0].set(xlabel="epoch", ylabel="loss (nats)")
    axes[0, 1].plot(history["epoch"], history["distance"], "o-", color=report.COLOURS[0], label="z from N(0, 1)")
    axes[0, 1].axhline(floor, color="0.4", linestyle="--", linewidth=1.2, label="other test digits")
    axes[0, 1].set(xlabel="epoch", ylabel="Frechet distance", yscale="log")
    for panel in axes[0]:
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.legend()
    report.save(picture, path)


def draw_logits(told: dict[str, np.ndarray], counts: dict[str, np.ndarray], path: Path) -> None:
    """Draw densities of the logits by kind, and shares of the digits by kind."""
    picture, axes = report.figure(1, 2, 14, 5.2)
    edges = np.linspace(*np.quantile(np.concatenate(list(told.values())), [0.001, 0.999]), 60)
    for k, (name, d) in enumerate(told.items()):
        axes[0, 0].hist(d, edges, density=True, histtype="step", linewidth=2, color=report.COLOURS[k], label=name)
    axes[0, 0].set(xlabel="d (nats)", ylabel="density")
    for k, (name, n) in enumerate(counts.items()):
        axes[0, 1].bar(np.arange(10) + 0.27 * (k - 1), 100 * n / n.sum(), 0.25, color=report.COLOURS[k], label=name)
    axes[0, 1].axhline(10, color="0.4", linewidth=1)
    axes[0, 1].set(xlabel="digit that the classifier reads", ylabel="share (%)", xticks=range(10))
    for panel in axes[0]:
        panel.margins(y=0.35)  # for the legends
        panel.legend(loc="upper left")
    report.save(picture, path)
