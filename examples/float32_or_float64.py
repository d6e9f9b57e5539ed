"""Single or double precision: where digits are lost, against the exact value, and where it does not matter.

A number is stored with a relative error of up to half of epsilon, which is 1.2e-7 in single and 2.2e-16 in double
precision. What each task makes of it, to the order of magnitude:

    sum of n numbers, one by one        up to n epsilon; numpy's sum, in pairs, log2(n) epsilon (Higham 1993)
    variance as <x^2> - <x>^2           epsilon (1 + mean^2 / variance), 1e6 in the table; in two passes epsilon
    ln sum exp(z)                       infinite for z > ln(largest number), 88.7 and 709.8; less max z, epsilon
    slope by forward differences        epsilon^(1/2) at the best step
    slope by central differences        epsilon^(2/3)
    curvature by second differences     epsilon^(1/2); of the loss, not of its slopes
    slope and curvature by autograd     epsilon, times the numbers that are added

Claim: these powers of epsilon are what one sees, and training does not notice. From the same weights and with the same
batches of MNIST, networks of both precisions end at accuracies that differ less than those of two seeds.

Exact values: rational arithmetic, or sums that round once, of the numbers as they are stored; for derivatives of a
network's loss of 500 digits, autograd in double precision at the same weights, as single precision stores them.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from classified_digits import pixels

import models
from models import datasets

Line = Callable[[torch.Tensor], torch.Tensor]  # the loss at distances from a network's weights
PRECISIONS: dict[str, Any] = {"float32": np.float32, "float64": np.float64}
STEPS = 10.0 ** -np.arange(0.5, 9.6, 0.5)  # of differences
HALF_UNIT = 2.0**-53  # the relative rounding of a number in double precision
VARIANCES = {  # and how the figure writes them
    "variance, <x^2> - <x>^2": "$\\langle x^2\\rangle - \\langle x\\rangle^2$",
    "variance, in two passes": "in two passes",
}
MEANS = (1.0, 10.0, 100.0, 1000.0)  # the table has the last
DERIVATIVES = (
    "slope, forward differences", "slope, central differences", "curvature, second differences",
    "slope, autograd", "curvature, autograd",
)  # fmt: skip
POWERS = dict(zip(DERIVATIVES, ("1/2", "2/3", "1/2", "1", "1"), strict=True))  # of epsilon; of all others 1
PICTURES = {
    "precision.png": "Left: relative error of the slope and of the curvature of a network's loss along a random "
    "direction, by differences of the loss, over the step: geometric mean over directions. Right: error of the "
    "variance of numbers of variance 1, over their mean; lines: epsilon (1 + mean^2)."
}


def relative(found: Any, exact: float) -> float:
    """Return the relative error of a number; below the rounding of the exact value itself nothing is to be seen."""
    return max(abs(float(found) - exact) / abs(exact), HALF_UNIT)


def sums(n: int, kind: Any, rng: np.random.Generator) -> dict[str, float]:
    """Return relative errors of the sum of n numbers between 0 and 1, one by one and by numpy's pairs."""
    x = rng.random(n).astype(kind)
    exact = math.fsum(x.tolist())
    return {"sum, one by one": relative(np.cumsum(x)[-1], exact), "sum, in pairs": relative(x.sum(), exact)}


def variances(mean: float, n: int, kind: Any, rng: np.random.Generator) -> dict[str, float]:
    """Return relative errors of the variance of n numbers near a mean, naively and in two passes."""
    x = (mean + rng.standard_normal(n)).astype(kind)
    parts = [Fraction(number) for number in x.tolist()]
    exact = float(sum(part * part for part in parts) / n - (sum(parts) / n) ** 2)
    guesses = (x * x).mean() - x.mean() ** 2, np.square(x - x.mean()).mean()
    return {name: relative(guess, exact) for name, guess in zip(VARIANCES, guesses, strict=True)}


def log_sums(size: float, n: int, kind: Any, rng: np.random.Generator) -> dict[str, float]:
    """Return relative errors of ln sum exp z of n numbers z up to a size, naively and with the largest taken out."""
    z = (size - rng.exponential(3.0, n)).astype(kind)
    top = float(z.max())
    exact = top + math.log(math.fsum(math.exp(number - top) for number in z.tolist()))
    with np.errstate(over="ignore"):  # what is to be shown
        naive = np.log(np.exp(z).sum())
    stable = z.max() + np.log(np.exp(z - z.max()).sum())
    return {
        f"ln sum exp near {size:g}, naive": relative(naive, exact),
        f"ln sum exp near {size:g}": relative(stable, exact),
    }


def line(network: torch.nn.Module, x: np.ndarray, y: np.ndarray, seed: int) -> Line:
    """Return the loss at a distance from the weights along a random direction, in the precision of the distance."""
    generator = torch.Generator().manual_seed(seed)
    start = {name: p.detach().double() for name, p in network.named_parameters()}
    direction = {name: torch.randn(p.shape, generator=generator, dtype=torch.float64) for name, p in start.items()}
    length = math.sqrt(sum(float(v.square().sum()) for v in direction.values()))

    def loss(t: torch.Tensor) -> torch.Tensor:
        w = {name: p.to(t.dtype) + t * (direction[name] / length).to(t.dtype) for name, p in start.items()}
        logits = torch.func.functional_call(network, w, torch.as_tensor(x).to(t.dtype))
        return torch.nn.functional.cross_entropy(logits, torch.as_tensor(y))

    return loss


def derivatives(loss: Line, kind: torch.dtype) -> tuple[float, float]:
    """Return slope and curvature at zero by autograd."""
    t = torch.zeros((), dtype=kind, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(t), t, create_graph=True)
    return float(slope.detach()), float(torch.autograd.grad(slope, t)[0])


def slopes(loss: Line) -> dict[str, dict[str, np.ndarray]]:
    """Return relative errors of derivatives along a line, by differences for each step and by autograd (1,)."""
    slope, curvature = derivatives(loss, torch.float64)
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in DERIVATIVES}
    for name, kind in (("float32", torch.float32), ("float64", torch.float64)):
        with torch.no_grad():
            up, down = ([float(loss(torch.tensor(sign * h, dtype=kind))) for h in STEPS] for sign in (1.0, -1.0))
            middle = float(loss(torch.zeros((), dtype=kind)))
        up, down = np.array(up), np.array(down)
        automatic = derivatives(loss, kind)
        guesses = (
            ((up - middle) / STEPS, slope), ((up - down) / (2.0 * STEPS), slope),
            ((up - 2.0 * middle + down) / STEPS**2, curvature),
            ([automatic[0]], slope), ([automatic[1]], curvature),
        )  # fmt: skip
        for task, (values, exact) in zip(DERIVATIVES, guesses, strict=True):
            found[task][name] = np.array([relative(value, exact) for value in values])
    for task in DERIVATIVES[3:]:
        found[task]["float64"][:] = np.nan  # it is the exact value of all others
    return found


def train(data: datasets.Split, hidden: int, epochs: int, seed: int) -> dict[str, list[float]]:
    """Train in each precision from the same weights with the same batches; return accuracy and seconds of each."""
    found: dict[str, list[float]] = {}
    for name in PRECISIONS:
        model = models.MLP(784, classes=10, hidden=(hidden,), seed=seed)
        model = model.double() if name == "float64" else model
        history = models.fit(
            model, (data.train_images, data.train_labels), epochs=epochs, batch_size=100, seed=seed, progress=False
        )
        right = float(np.mean(model.predict(data.test_images) == data.test_labels))
        found[name] = [right, float(history["seconds"][-1])]
    return found


def draw(lines: list[dict[str, dict[str, np.ndarray]]], by_mean: dict[float, Any], path: Path) -> None:
    """Draw errors of derivatives over the step, and of variances over the mean."""
    picture, axes = report.figure(1, 2, 15, 6)
    left, right = axes[0]
    for k, name in enumerate(PRECISIONS):
        colour = report.COLOURS[k]
        for j, task in enumerate(DERIVATIVES[:3]):
            values = np.exp(np.mean([np.log(found[task][name]) for found in lines], 0))
            left.plot(STEPS, values, ("--", "-", ":")[j], color=colour, label=f"{task.partition(', ')[2]}, {name}")
        means = np.array(list(by_mean))
        for j, (task, words) in enumerate(VARIANCES.items()):
            values = np.exp([np.log(runs[task, name]).mean() for runs in by_mean.values()])
            label = f"{words}, {name}"
            right.plot(means, values, report.MARKERS[j], color=colour, label=label, mfc="none" if j else colour)
        right.plot(means, np.finfo(PRECISIONS[name]).eps * (1.0 + means**2), "-", color=colour, lw=1.2)
    left.set(xscale="log", yscale="log", xlabel="step h", ylabel="relative error", ylim=(1e-12, 1e15))
    left.set_title("derivatives along a line")
    left.legend(fontsize=11, ncols=2, loc="upper center")
    right.set(xscale="log", yscale="log", xlabel="mean", ylabel="relative error", title="variance of numbers")
    right.legend()
    report.save(picture, path)


def tell(errors: dict[str, list[dict[str, float]]], trained: list[dict[str, list[float]]]) -> Any:
    """Return the tables, what they say of the claim, and the numbers."""
    ratio = math.log(np.finfo(np.float32).eps / np.finfo(np.float64).eps)
    rows, numbers, off = [], {}, []
    for task, runs in errors.items():
        logs = np.log([[run[name] for name in PRECISIONS] for run in runs])
        sizes = np.exp(logs.mean(0))
        cells = ["reference" if np.isnan(e) else f"{e:.0e}" if np.isfinite(e) else "infinite" for e in sizes]
        finite = bool(np.isfinite(logs).all())
        power = report.mean_and_error((logs[:, 0] - logs[:, 1]) / ratio) if finite else None
        numbers[task] = {"errors": np.exp(logs), "power": power}
        if power and abs(power[0] - float(Fraction(POWERS.get(task, "1")))) > 2 * power[1]:
            off.append(task)
        rows.append([task, *cells, "{:.2f} ± {:.2f}".format(*power) if power else "-", POWERS.get(task, "1")])
    head = ["task", "error, single", "error, double", "power of epsilon", "theory"]
    right = np.array([[run[name] for name in PRECISIONS] for run in trained])  # (seeds, precisions, 2)
    gap, gap_error = report.mean_and_error(right[:, 0, 0] - right[:, 1, 0])
    pairs = [
        [name, "{:.2%} ± {:.2%}".format(*report.mean_and_error(right[:, k, 0])), f"{right[:, k, 1].mean():.1f}"]
        for k, name in enumerate(PRECISIONS)
    ]
    numbers["training"] = {"runs": right, "gap": [gap, gap_error], "spread": right[:, 0, 0].std(ddof=1)}
    powers = (
        f"More than two errors from theory: {'; '.join(off) or 'none'}. Where errors are of the size of epsilon, the "
        "rounding of the result itself is seen, and the best of a few steps h is luck: neither is in the theory."
    )
    verdict = (
        f"Training in single less double precision: {100 * gap:+.3f} ± {100 * gap_error:.3f} points of test accuracy, "
        f"at most {100 * np.abs(right[:, 0, 0] - right[:, 1, 0]).max():.2f} for one seed; accuracies of single "
        f"precision spread by {100 * right[:, 0, 0].std(ddof=1):.2f} over seeds."
    )
    tables = [report.table(head, rows), powers, report.table(["training", "test accuracy", "seconds"], pairs), verdict]
    return tables, numbers


def main(
    folder: Path = report.RESULTS / "float32_or_float64", n: int = 300_000, digits: int = 5000, rows: int = 500,
    hidden: int = 128, epochs: int = 3, seeds: int = 6,
) -> dict[str, Any]:  # fmt: skip
    """Measure errors of each task for each seed, train in both precisions, and write the folder."""
    clock = report.begin(folder)
    data = pixels(digits)
    x, y = data.train_images[:rows], data.train_labels[:rows]
    errors: dict[str, list[dict[str, float]]] = {}
    by_mean: dict[float, dict[tuple[str, str], list[float]]] = {mean: {} for mean in MEANS}
    lines = []
    for seed in range(1, seeds + 1):
        network = models.MLP(
            784, classes=10, hidden=(32,), activation="Tanh", initialisation="xavier", seed=seed
        ).network
        lines.append(slopes(line(network, x, y, seed)))
        found: dict[str, dict[str, float]] = {}
        for name, kind in PRECISIONS.items():
            rng = np.random.default_rng(seed)
            for mean, runs in by_mean.items():
                near = variances(mean, 2000, kind, rng)
                for task, error in near.items():
                    runs.setdefault((task, name), []).append(error)
            exact = sums(n, kind, rng) | near | log_sums(60.0, 1000, kind, rng) | log_sums(120.0, 1000, kind, rng)
            for task, error in exact.items():
                found.setdefault(task, {})[name] = error
        for task, pair in found.items():
            errors.setdefault(task, []).append(pair)
    for task in DERIVATIVES:  # by differences: at the step that is best for most
        best = {name: int(np.mean([np.log(found[task][name]) for found in lines], 0).argmin()) for name in PRECISIONS}
        errors[task] = [{name: float(found[task][name][best[name]]) for name in PRECISIONS} for found in lines]
    print(f"errors: {clock():.0f} s", flush=True)
    trained = [train(data, hidden, epochs, seed) for seed in range(1, seeds + 1)]
    draw(lines, by_mean, folder / "precision.png")
    told, numbers = tell(errors, trained)
    print(*told, sep="\n\n")
    settings = {
        "n": n, "digits": digits, "rows": rows, "hidden": hidden, "epochs": epochs, "seeds": seeds,
        "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
