"""Seven activations on MNIST, each at its own best learning rate, and how many ReLUs die at which rate.

Two hidden layers of 128 units learn 8,000 digits by Adam, from Xavier's weights for sigmoid, tanh and softplus and from
He's for the others. Since the activations differ in slope, and hence in the rate that suits them, each is tried at four
rates; the rate is chosen by 2,000 other digits, and MNIST's 10,000 test digits judge. All activations share seeds, so
that differences between them are paired.

A unit is dead if it is zero on all digits that the network learns from. The gradient with respect to its weights is
then zero, too: it stays dead, but for what the layer below may do. The larger the rate, the further a step may throw a
unit's weights, and the more units should die; a leaky ReLU, of slope 0.01 where ReLU has none, cannot.

Claim of the textbooks: ReLU and its kin beat sigmoid and tanh, and dead units cost accuracy, which leaky ones save. The
table says how much of it is seen in a network as shallow as this one.
"""

from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from classified_digits import pixels

import ebm
import models
from models import datasets

NAMES = {
    "Sigmoid": "xavier", "Tanh": "xavier", "Softplus": "xavier",
    "ReLU": "he", "LeakyReLU": "he", "ELU": "he", "GELU": "he",
}  # fmt: skip
RATES = (0.001, 0.003, 0.01, 0.03)
PICTURES = {
    "rates.png": "Left: test digits that are named wrong, over the learning rate, mean over seeds with two standard "
    "errors. Right: share of hidden units that are zero on all training digits, after training and before (dotted)."
}


@torch.no_grad()
def dead(model: models.MLP, x: np.ndarray) -> list[int]:
    """Return how many units of each hidden layer are zero on all inputs (n, d)."""
    a, counts = torch.as_tensor(x), []
    for layer in model.network[:-1]:
        a = layer(a)
        if not isinstance(layer, torch.nn.Flatten | torch.nn.Linear):
            counts.append(int((a == 0.0).all(0).sum()))
    return counts


def learn(
    name: str, rate: float, seed: int, data: datasets.Split, held_out: int, units: tuple[int, ...], epochs: int
) -> dict[str, Any]:  # fmt: skip
    """Train one network; return its validation and test accuracy and its dead units before and after."""
    x, y = data.train_images[:-held_out], data.train_labels[:-held_out]
    model = models.MLP(784, classes=10, hidden=units, activation=name, initialisation=NAMES[name], seed=seed)
    before = dead(model, x)
    try:
        models.fit(model, (x, y), epochs=epochs, batch_size=100, learning_rate=rate, seed=seed, progress=False)
    except ebm.LearningError:  # told in the table as NaN
        return {"validation": np.nan, "test": np.nan, "before": before, "dead": [np.nan] * len(units)}
    judges = {
        "validation": (data.train_images[-held_out:], data.train_labels[-held_out:]),
        "test": (data.test_images, data.test_labels),
    }
    right = {part: float(np.mean(model.predict(images) == labels)) for part, (images, labels) in judges.items()}
    return {**right, "before": before, "dead": dead(model, x)}


def draw(runs: dict[str, dict[float, list[dict[str, Any]]]], units: int, path: Path) -> None:
    """Draw errors and dead units over the rate."""
    picture, axes = report.figure(1, 2, 15, 6)
    left, right = axes[0]
    for k, (name, by_rate) in enumerate(runs.items()):
        style = {"color": (*report.COLOURS, "0.3")[k], "marker": (*report.MARKERS, "X")[k], "label": name}
        misses = np.array([[100.0 * (1.0 - run["test"]) for run in found] for found in by_rate.values()])
        error = 2.0 * misses.std(1, ddof=1) / np.sqrt(misses.shape[1])
        left.errorbar(np.array(RATES) * 1.03 ** (k - 3), misses.mean(1), error, **style)
        shares = np.array([[100.0 * sum(run["dead"]) / units for run in found] for found in by_rate.values()])
        if name == "ReLU" or shares.max() > 0.0:
            spread = 2.0 * shares.std(1, ddof=1) / np.sqrt(shares.shape[1])
            right.errorbar(RATES, shares.mean(1), spread, **style)
        if name == "ReLU":
            before = np.mean([100.0 * sum(run["before"]) / units for found in by_rate.values() for run in found])
            right.axhline(before, color=style["color"], ls=":")
    for panel in (left, right):
        panel.set(xscale="log", xlabel="learning rate")
        panel.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
        panel.minorticks_off()
    left.set(ylabel="test digits named wrong (%)", yscale="log", title="accuracy")
    ticks = (5, 7, 10, 15, 20, 30, 50, 90)
    left.set_yticks(ticks, [str(tick) for tick in ticks])
    left.minorticks_off()
    left.legend(ncols=2)
    right.set(ylabel="dead units (%)", title="dead on all training digits", ylim=(-2, None))
    right.legend()
    report.save(picture, path)


def tell(runs: dict[str, dict[float, list[dict[str, Any]]]], units: int) -> Any:
    """Return the table, what it says of the claims, and the numbers."""
    best, numbers, rows = {}, {}, []
    for name, by_rate in runs.items():
        scores = [np.nan_to_num(np.mean([run["validation"] for run in found])) for found in by_rate.values()]
        best[name] = RATES[int(np.argmax(scores))]
    tests = {name: np.array([run["test"] for run in runs[name][best[name]]]) for name in runs}
    for name, by_rate in runs.items():
        mean, error = report.mean_and_error(tests[name])
        gap, gap_error = report.mean_and_error(tests[name] - tests["ReLU"])
        dying = [report.mean_and_error([sum(run["dead"]) for run in found]) for found in by_rate.values()]
        numbers[name] = {"rate": best[name], "test": [mean, error], "minus_relu": [gap, gap_error], "dead": dying}
        rows.append([
            name, f"{best[name]:g}", f"{mean:.2%} ± {error:.2%}",
            "-" if name == "ReLU" else f"{100 * gap:+.2f} ± {100 * gap_error:.2f}",
            ", ".join(f"{count:.0f} ± {spread:.0f}" for count, spread in dying),
        ])  # fmt: skip
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    head = ["activation", "best rate", "test accuracy", "points above ReLU", f"dead of {units} at rates {rates}"]
    last = RATES[-1]
    saved = [
        leaky["test"] - relu["test"] for leaky, relu in zip(runs["LeakyReLU"][last], runs["ReLU"][last], strict=True)
    ]
    numbers["leaky_saves"] = report.mean_and_error(saved)
    apart = [name for name in runs if abs(numbers[name]["minus_relu"][0]) > 3.0 * numbers[name]["minus_relu"][1] > 0.0]
    verdict = (
        f"More than three standard errors from ReLU, each at its best rate: {', '.join(apart) or 'none'}. At the rate "
        f"{last:g}, where most units die, leaky ReLU is {100 * numbers['leaky_saves'][0]:+.1f} ± "
        f"{100 * numbers['leaky_saves'][1]:.1f} points above ReLU."
    )
    return [report.table(head, rows), verdict], numbers


def main(
    folder: Path = report.RESULTS / "activations", digits: int = 10_000, held_out: int = 2000,
    units: tuple[int, ...] = (128, 128), epochs: int = 3, seeds: int = 8,
) -> dict[str, Any]:  # fmt: skip
    """Train each activation at each rate from each seed, and write the folder."""
    clock = report.begin(folder)
    data = pixels(digits)
    runs: dict[str, dict[float, list[dict[str, Any]]]] = {}
    for name in NAMES:
        runs[name] = {
            rate: [learn(name, rate, seed, data, held_out, units, epochs) for seed in range(1, seeds + 1)]
            for rate in RATES
        }
        print(f"{name}: {clock():.0f} s", flush=True)
    draw(runs, sum(units), folder / "rates.png")
    told, numbers = tell(runs, sum(units))
    print(*told, sep="\n\n")
    settings = {
        "digits": digits, "held_out": held_out, "units": units, "epochs": epochs, "seeds": seeds,
        "seconds": round(clock()),
    }  # fmt: skip
    numbers["runs"] = {name: {f"{rate:g}": found for rate, found in by_rate.items()} for name, by_rate in runs.items()}
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
