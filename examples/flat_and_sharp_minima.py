"""Do large batches end in sharper minima, and do sharper minima generalise worse?

Networks of 196-64-64-10 ReLU units learn 2,000 digits of 14 x 14 pixels by SGD, each from the same first weights with

    small batches            of 32
    large, equal epochs      batches of 1,000 at the same learning rate: fewer steps
    large, equal steps       the same for as many steps as the small batches make
    large, rate scaled       in equal epochs at a rate times sqrt(batch / 32) (Hoffer, Hubara and Soudry 2017)

It is said that large batches end in sharp minima, and that these generalise worse (Keskar et al. 2017). Sharpness is
here the largest eigenvalue of the Hessian of the training loss (mean cross entropy, nats), by Lanczos, and the trace,
from random probes. Gradient descent at a rate r is stable below 2 / r, and often comes to be near there (Cohen et al.
2021). The rank correlation of sharpness with the errors, and with the gap between training and test, is given over all
runs, over those that end without a training error, and over those of small batches alone, with errors by a bootstrap
over seeds. A correlation between ways of learning says little of cause: other things differ between them too.

Sharpness has no meaning of its own, either (Dinh et al. 2017). A ReLU layer times alpha and the next one over alpha are
the same function, but with D the diagonal matrix of 1/alpha for the first layer, alpha for the next one's weights and 1
for the others, the Hessian becomes D H D, with another largest eigenvalue: the theory for the changed weights.
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import classified_digits as cd
import numpy as np
import report
import torch
from scipy.stats import spearmanr

import models
from ebm import landscape

SMALL, LARGE, RATE, PIXELS = 32, 1000, 0.1, 196
ALPHAS = (0.2, 0.4, 1.0, 2.5, 5.0)  # no powers of two: by these all numbers would be scaled without rounding
PICTURES = {
    "minima.png": "Test error over the largest eigenvalue of the Hessian, a point a run; filled: without a training "
    "error. Right: the spectrum's largest eigenvalue of one network whose layers are scaled by alpha and 1 / alpha: "
    "the same function, measured (points) and theory (line).",
    "slices.png": "Training loss of the first seed's networks: along a filter-normalised random direction, along the "
    "eigenvector of the largest eigenvalue (unit vector), and on the straight line from the small batches' network "
    "(a = 0) to the others (a = 1).",
}
ERRORS = ("train_error", "train_loss", "test_error", "test_loss", "gap")
NUMBERS = ("largest", "residual", "trace", "trace_error", "norm", *ERRORS)
Data = tuple[np.ndarray, np.ndarray]


class Way(NamedTuple):
    """Batch, factor of the learning rate, and factor of the epochs."""

    batch: int
    rate: float = 1.0
    epochs: float = 1.0


FIRST = "small batches"
AMONG = ("all runs", "runs without a training error", "small batches alone")
WAYS = {
    FIRST: Way(SMALL),
    "large, equal epochs": Way(LARGE),
    "large, equal steps": Way(LARGE, epochs=LARGE / SMALL),
    "large, rate scaled": Way(LARGE, rate=float(np.sqrt(LARGE / SMALL))),
}


def small(data: Data) -> Data:
    """Return digits as means of 2 x 2 pixels, (n, 196), and their labels."""
    return data[0].reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(-1, PIXELS), data[1]


def learn(way: Way, data: Data, hidden: int, epochs: int, seed: int) -> models.MLP:
    """Return a network that learned by SGD, in double precision."""
    model = models.MLP(PIXELS, classes=10, hidden=(hidden, hidden), seed=seed)
    models.fit(
        model, data, epochs=max(1, round(way.epochs * epochs)), batch_size=way.batch, learning_rate=way.rate * RATE,
        optimiser=torch.optim.SGD, seed=seed, progress=False,
    )  # fmt: skip
    return model.double()


def energy_of(model: models.MLP, data: Data) -> landscape.NetworkLoss:
    """Return the training loss as an energy of the weights."""
    x, y = torch.as_tensor(data[0], dtype=torch.float64), torch.as_tensor(data[1])
    return landscape.NetworkLoss(model, lambda module: module.loss((x, y)))


def judged(model: models.MLP, data: Data, test: Data, steps: int, probes: int, seed: int) -> dict[str, Any]:
    """Return losses (nats), errors and the sharpness of a network, with the direction of the largest eigenvalue."""
    energy = energy_of(model, data)
    w = energy.weights
    _, high = landscape.extreme_eigenvalues(energy, w, steps=steps, seed=seed)
    trace, error = landscape.hessian_spectrum(energy, w, probes=probes, steps=1, seed=seed).moment(1)
    found: dict[str, Any] = {"vector": high.vectors[0], "weights": w, "norm": float(np.linalg.norm(w))}
    found |= {"largest": float(high.values[0]), "residual": float(high.residuals[0]), "trace": trace * len(w)}
    found["trace_error"] = error * len(w)
    for part, (x, y) in (("train", data), ("test", test)):
        found[f"{part}_error"] = float((model.predict(x) != y).mean())
        found[f"{part}_loss"] = float(torch.nn.functional.cross_entropy(*map(torch.as_tensor, (model.logits(x), y))))
    return {**found, "gap": found["test_error"] - found["train_error"]}


def scaling(energy: landscape.NetworkLoss, alpha: float) -> np.ndarray:
    """Return what each weight is multiplied by: the first layer by alpha, the second layer's matrix by 1 / alpha."""
    factors = np.ones(energy.shape)
    first, bias, second, *_ = energy.filters(factors)
    first[:], bias[:], second[:] = alpha, alpha, 1.0 / alpha
    return factors


def rescaled(energy: landscape.NetworkLoss, w: np.ndarray, steps: int, seed: int) -> list[dict[str, float]]:
    """Return of each alpha the loss, and the largest eigenvalue with that of D H D."""
    rows, rng = [], np.random.default_rng(seed + 1)  # another first vector than that of the comparison
    for alpha in ALPHAS:
        factors = scaling(energy, alpha)
        _, high = landscape.extreme_eigenvalues(energy, factors * w, steps=steps, seed=seed)
        product = partial(lambda v, d: d * energy.hessian_vector(w, d * v), d=1.0 / factors)
        theory = landscape.lanczos(product, rng.standard_normal(len(w)), steps).values[-1]
        loss = float(energy((factors * w)[None])[0])
        rows.append({"alpha": alpha, "loss": loss, "largest": float(high.values[0]), "theory": float(theory)})
    return rows


def spearman(x: list[float], y: list[float]) -> float:
    """Return the correlation of ranks, NaN where there are none."""
    return float(spearmanr(x, y).statistic) if len(set(x)) > 2 and len(set(y)) > 1 else np.nan


def correlations(runs: dict[str, list[dict]], sharpness: str, what: str, repeats: int = 500) -> dict[str, Any]:
    """Return Spearman's correlation over some of the runs, by their name, with errors by a bootstrap over seeds."""
    seeds, rng = len(runs[FIRST]), np.random.default_rng(0)
    draws, found = [np.arange(seeds), *rng.integers(seeds, size=(repeats, seeds))], {}
    for name, ways, most in zip(AMONG, (runs, runs, (FIRST,)), (1.0, 0.0, 1.0), strict=True):
        kept = [[run for w in ways for k in rows if (run := runs[w][k])["train_error"] <= most] for rows in draws]
        values = np.array([spearman([run[sharpness] for run in some], [run[what] for run in some]) for some in kept])
        # Few runs in perfect order are so in every bootstrap: the error is at least that of no correlation.
        error = max(np.std(values[np.isfinite(values)]), (len(kept[0]) - 1) ** -0.5) if len(kept[0]) > 2 else np.inf
        found[name] = (float(values[0]), float(error))
    return found


def draw_minima(runs: dict[str, list[dict]], scaled: list[dict], path: Path) -> None:
    """Draw test errors over sharpness, and sharpness over alpha."""
    picture, axes = report.figure(1, 2, 15, 6)
    for k, (name, of_way) in enumerate(runs.items()):
        for run in of_way:
            full = report.COLOURS[k] if run["train_error"] == 0 else "none"
            style = {"color": report.COLOURS[k], "markerfacecolor": full, "label": name if run is of_way[0] else None}
            axes[0, 0].plot(run["largest"], 100 * run["test_error"], report.MARKERS[k], **style)
    axes[0, 0].set(xscale="log", xlabel="largest eigenvalue (nats)", ylabel="test error (%)", title="minima")
    axes[0, 0].legend()
    for what, style in (("theory", "-"), ("largest", "o")):
        axes[0, 1].plot(ALPHAS, [row[what] for row in scaled], style, color=report.COLOURS[what == "theory"])
    axes[0, 1].set(xscale="log", yscale="log", xlabel="alpha", ylabel="largest eigenvalue", title="the same function")
    axes[0, 1].set_xticks(ALPHAS, [f"{alpha:g}" for alpha in ALPHAS])
    for axis in (axes[0, 0].xaxis, axes[0, 1].xaxis, axes[0, 1].yaxis):
        axis.set_minor_formatter("")
    report.save(picture, path)


def draw_slices(energy: landscape.NetworkLoss, runs: dict[str, list[dict]], n: int, seed: int, path: Path) -> None:
    """Draw the loss around the networks of the first seed, and between them."""
    picture, axes = report.figure(1, 3, 19, 6)
    for k, (name, of_way) in enumerate(runs.items()):
        w = of_way[0]["weights"]
        energy.assign(w)
        lines = [
            landscape.slice_through(energy, w, landscape.filter_directions(energy, 1, seed=seed), (-1.0, 1.0), n),
            landscape.slice_through(energy, w, of_way[0]["vector"][None], (-2.0, 2.0), n),
        ]
        lines += [landscape.interpolation(energy, runs[FIRST][0]["weights"], w, n=n)] if name != FIRST else []
        for panel, line in zip(axes[0], lines, strict=False):
            panel.plot(line.axes[0], line.energies, color=report.COLOURS[k], label=name)
    for panel, title in zip(axes[0], ("random direction", "stiffest direction", "from small batches"), strict=True):
        panel.set(xlabel="a", yscale="log", title=title)
    axes[0, 0].set_ylabel("training loss (nats)")
    axes[0, 0].legend()
    report.save(picture, path)


def tell(runs: dict[str, list[dict]], scaled: list[dict]) -> tuple[list[str], dict[str, Any]]:
    """Return the tables with sentences, and the correlations."""
    rows, less = [], {}
    for name, of_way in runs.items():
        v = {what: np.array([run[what] for run in of_way]) for what in NUMBERS}
        gap = v["test_error"] - np.array([run["test_error"] for run in runs[FIRST]])
        less[name] = report.mean_and_error(gap)
        largest, trace = (report.with_error(*report.mean_and_error(v[what])) for what in ("largest", "trace"))
        solved, limit = f"{(v['train_error'] == 0).sum()} of {len(gap)}", f"{2 / (WAYS[name].rate * RATE):.1f}"
        rows.append([name, f"{v['train_loss'].mean():.4f}", solved, largest, limit, trace, f"{v['norm'].mean():.1f}"])
        rows[-1] += [cd.mean_told(v["test_error"]), cd.mean_told(gap), f"{v['test_loss'].mean():.3f}"]
    head = [
        "", "training loss (nats)", "solved", "largest eigenvalue", "2 / rate", "trace", "norm of weights",
        "test error (%)", "more than small (%)", "test loss (nats)",
    ]  # fmt: skip
    pairs = ((sharpness, what) for sharpness in ("largest", "trace") for what in ("test_error", "gap", "test_loss"))
    found = {f"{a} and {b.replace('_', ' ')}": correlations(runs, a, b) for a, b in pairs}
    lines = [[name, *(f"{r:.2f} +- {e:.2f}" for r, e in of_name.values())] for name, of_name in found.items()]
    verdicts = [f"{name}: {verdict(*pair)}" for name, pair in found["largest and gap"].items()]
    worst = max(abs(row["largest"] / row["theory"] - 1) for row in scaled)
    apart = max(abs(row["loss"] / scaled[0]["loss"] - 1) for row in scaled)
    alphas = [[row["alpha"], f"{row['loss']:.12f}", f"{row['largest']:.6g}", f"{row['theory']:.6g}"] for row in scaled]
    return [
        report.table(head, rows),
        f"Means over {len(runs[FIRST])} seeds (digits, first weights, batches) with standard errors, paired.",
        report.table(["Spearman's correlation of", *AMONG], lines),
        f"Sharper minima have a larger gap? {'; '.join(verdicts)}.",
        report.table(["alpha", "loss (nats)", "largest eigenvalue", "theory, D H D"], alphas),
        f"The same function to {apart:.0e} of its loss; theory is met to {worst:.0e}.",
    ], {"correlations": found, "more than small": less, "theory": worst}


def verdict(correlation: float, error: float) -> str:
    """Return what a correlation says, at three standard errors."""
    if abs(correlation) > 3 * error:
        return "yes" if correlation > 0 else "no, a smaller one"
    return "the data do not show it"


def main(
    folder: Path = report.RESULTS / "flat_and_sharp_minima", digits: int = 2000, hidden: int = 64, epochs: int = 40,
    seeds: int = 8, steps: int = 40, probes: int = 20, n: int = 41, seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Learn in four ways from all seeds, look at the minima, and write the folder."""
    clock = report.begin(folder)
    train, test = small(cd.digits("train")), small(cd.digits("test"))
    runs: dict[str, list[dict]] = {name: [] for name in WAYS}
    for s in range(seed, seed + seeds):
        data = cd.drawn(train, digits, s)
        for name, way in WAYS.items():
            runs[name].append(judged(learn(way, data, hidden, epochs, s), data, test, steps, probes, s))
            told = ", ".join(f"{what} {runs[name][-1][what]:.4g}" for what in ("largest", "train_loss", "test_error"))
            print(f"seed {s}, {name}: {told}, {clock():.0f} s")
    energy = energy_of(models.MLP(PIXELS, classes=10, hidden=(hidden,) * 2).double(), cd.drawn(train, digits, seed))
    draw_slices(energy, runs, n, seed, folder / "slices.png")
    scaled = rescaled(energy, runs[FIRST][0]["weights"], steps, seed)
    draw_minima(runs, scaled, folder / "minima.png")
    told, compared = tell(runs, scaled)
    print(*told, sep="\n\n")
    kept = {name: [{k: run[k] for k in NUMBERS} for run in of_way] for name, of_way in runs.items()}
    settings = {
        "digits": digits, "hidden": hidden, "epochs": epochs, "seeds": seeds, "seed": seed, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, told, PICTURES, {"runs": kept, "scaled": scaled, **compared}, settings)
    return kept


if __name__ == "__main__":
    main()
