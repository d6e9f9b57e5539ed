"""What does batch norm change: the loss as a function of the weights, the rates that work, and the batches?

Each number before an activation is taken from its mean over the batch, in units of its deviation. So a layer's weights
W before a norm have no length that matters (biases there have no effect at all):

    loss(a W) = loss(W),      W . grad = 0,      grad(a W) = grad(W) / a

exactly, but for what is added to the variance against a division by zero (1e-5). Gradient descent then can only turn
W: |W|^2 grows by rate^2 |grad|^2 each step, and what turns it is the effective rate, rate / |W|^2 (van Laarhoven 2017).
Steps from a W at the rate a^2 rate are the steps from W, seen from further away. That is measured first.

Then networks of six hidden layers learn 1,000 digits of MNIST by plain SGD at rates over four decades, with batch norm,
layer norm and none. The textbook says that batch norm works at larger rates, and learns faster (Ioffe and Szegedy
2015); and that it fails for small batches, whose means are noise, where layer norm does not care.
"""

import math
from pathlib import Path
from typing import Any

import classified_digits as cd
import numpy as np
import report
import torch
from torch import nn

import models
from ebm import LearningError

NORMS = {"none": None, "batch norm": "batch", "layer norm": "layer"}
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
BATCHES = (2, 4, 8, 32, 128)
FACTOR = 10.0  # a, in the laws of scale
WORKS = 0.5  # test error below which a rate works
TOP = 10.0  # nats, at which runs that diverged are drawn
PICTURES = {
    "batch_normalisation.png": "Left: training loss over the learning rate, dots: seeds, lines: medians; runs that "
    "diverged, or ended above 10 nats, are at the top. Middle: error on test digits over the rate. Right: test error "
    "over the size of the batches, from the best rate of the left panel in proportion to the size; means with standard "
    "errors.",
}
Data = tuple[np.ndarray, np.ndarray]


def network(norm: str | None, depth: int, seed: int) -> models.MLP:
    """Return a network of hidden layers of 64 ReLU units before it learns."""
    return models.MLP((28, 28), classes=10, hidden=(64,) * depth, norm=norm, seed=seed)


def normed_weights(model: models.MLP) -> list[nn.Parameter]:
    """Return the matrices that a norm follows."""
    return [a.weight for a, b in zip(model.network, model.network[1:], strict=False) if isinstance(b, nn.BatchNorm1d)]


def without_margin(model: models.MLP) -> models.MLP:
    """Return the model with nothing to speak of added to the variances, so that the laws of scale are exact."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eps = 1e-30  # torch refuses zero
    return model


def slopes(model: models.MLP, batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[float, list[torch.Tensor]]:
    """Return the loss in training mode and its gradients in the matrices before a norm."""
    model.train()
    loss = model.loss(batch)
    return float(loss.detach()), list(torch.autograd.grad(loss, normed_weights(model)))


@torch.no_grad()
def scaled(model: models.MLP, factor: float) -> models.MLP:
    """Return the model with the matrices before a norm made longer."""
    for w in normed_weights(model):
        w.mul_(factor)
    return model


def laws_of_scale(data: Data, steps: int, seed: int) -> dict[str, float]:
    """Return by how much the laws fail, in double precision, relative to the loss or gradient, and with the margin."""
    batch = (torch.as_tensor(data[0], dtype=torch.float64), torch.as_tensor(data[1]))
    found: dict[str, float] = {}
    for label, prepare in (("exact", without_margin), ("with 1e-5", lambda model: model)):
        model = prepare(network("batch", 3, seed).double())
        loss, gradients = slopes(model, batch)
        weights = zip([w.detach() for w in normed_weights(model)], gradients, strict=True)
        along = max(float((w * g).sum().abs() / (w.norm() * g.norm())) for w, g in weights)
        longer_loss, longer = slopes(scaled(model, FACTOR), batch)
        pairs = list(zip(gradients, longer, strict=True))
        found[f"loss, {label}"] = abs(longer_loss - loss) / loss
        found[f"W . grad, {label}"] = along
        found[f"gradient, {label}"] = max(float((FACTOR * b - a).norm() / a.norm()) for a, b in pairs)
    found |= laws_of_learning(batch, steps, seed)
    return found


def laws_of_learning(batch: tuple[torch.Tensor, torch.Tensor], steps: int, seed: int) -> dict[str, float]:
    """Return how far apart the losses are of descents from W and from a W at a^2 of the rate; and how |W|^2 fails."""
    twins = [without_margin(network("batch", 3, seed).double()), without_margin(network("batch", 3, seed).double())]
    scaled(twins[1], FACTOR)
    apart = pythagoras = 0.0
    for _ in range(steps):
        losses = []
        for model, rate in zip(twins, (0.1, 0.1 * FACTOR**2), strict=True):
            loss, gradients = slopes(model, batch)
            losses.append(loss)
            for w, g in zip(normed_weights(model), gradients, strict=True):
                before = float(w.detach().square().sum() + rate**2 * g.square().sum())
                w.data.sub_(rate * g)
                pythagoras = max(pythagoras, abs(float(w.detach().square().sum()) / before - 1.0))
        apart = max(apart, abs(losses[1] / losses[0] - 1.0))
    return {"descents": apart, "|W|^2": pythagoras, "loss at the end": losses[0]}


def learn(norm: str | None, rate: float, batch: int, data: Data, test: Data, epochs: int, seed: int) -> list[float]:
    """Return training loss and test error of a network that learned by SGD, (infinity, 0.9) if it diverged."""
    model = network(norm, 6, seed)
    try:
        models.fit(
            model, data, epochs=epochs, batch_size=batch, learning_rate=rate, optimiser=torch.optim.SGD, seed=seed
        )  # fmt: skip
    except LearningError:
        return [np.inf, 0.9]
    logits = torch.as_tensor(model.logits(data[0]))
    loss = float(nn.functional.cross_entropy(logits, torch.as_tensor(data[1])))
    return [loss, float((model.predict(test[0]) != test[1]).mean())]


def sweep(data: list[Data], test: Data, rates: tuple[float, ...], epochs: int, seed: int) -> dict[str, np.ndarray]:
    """Return training loss and test error by norm, rate and seed, (rates, seeds, 2)."""
    found = {}
    for name, norm in NORMS.items():
        runs = [[learn(norm, rate, 32, part, test, epochs, seed + s) for s, part in enumerate(data)] for rate in rates]
        found[name] = np.array(runs)
        print(f"{name}: " + ", ".join(f"{loss:.2g}" for loss in np.median(found[name][:, :, 0], 1)))
    return found


def by_batch(
    data: list[Data], test: Data, best: dict[str, float], batches: tuple[int, ...], epochs: int, seed: int
) -> dict[str, np.ndarray]:
    """Return test errors by norm, size of the batches and seed, (sizes, seeds)."""
    return {
        name: np.array([
            [learn(norm, best[name] * n / 32, n, part, test, epochs, seed + s)[1] for s, part in enumerate(data)]
            for n in batches
        ])
        for name, norm in NORMS.items()
    }  # fmt: skip


def draw(swept: dict, batches: dict, rates: tuple[float, ...], sizes: tuple[int, ...], path: Path) -> None:
    """Draw losses and errors over the rate, and errors over the size of the batches."""
    picture, axes = report.figure(1, 3, 19, 5.6)
    for k, (name, values) in enumerate(swept.items()):
        style = {"color": report.COLOURS[k], "markersize": 5}
        for j, shown in enumerate((np.minimum(values[..., 0], TOP), 100 * values[..., 1])):
            axes[0, j].plot(rates, np.median(shown, 1), color=report.COLOURS[k], label=name)
            axes[0, j].plot(rates, shown, report.MARKERS[k], alpha=0.6, **style)
        mean, error = 100 * batches[name].mean(1), 100 * batches[name].std(1, ddof=1) / np.sqrt(batches[name].shape[1])
        axes[0, 2].errorbar(sizes, mean, error, fmt=report.MARKERS[k] + "-", label=name, **style)
    axes[0, 0].set(yscale="log", ylabel="training loss (nats)", title="rate and training loss")
    axes[0, 1].set(yscale="log", ylabel="test error (%)", title="rate and test error")
    axes[0, 2].set(yscale="log", xlabel="digits a batch", ylabel="test error (%)", title="batches")
    for panel in axes[0]:
        panel.set_xscale("log")
        panel.legend()
    for panel in axes[0, :2]:
        panel.set_xlabel("learning rate")
    for panel in axes[0, 1:]:
        panel.set_yticks(*[[5, 10, 20, 40, 90]] * 2)
        panel.minorticks_off()
    axes[0, 2].set_xticks(sizes, [str(n) for n in sizes])
    report.save(picture, path)


def tell(laws: dict, swept: dict, best: dict, batches: dict, rates: tuple, sizes: tuple) -> tuple[list[str], dict]:
    """Return the tables with sentences, and the widths of the ranges of rates that work."""
    rows, ranges = [], dict[str, Any]()
    for name, values in swept.items():
        fine = [rate for rate, seeds in zip(rates, values, strict=True) if (seeds[:, 1] < WORKS).all()]
        k = rates.index(best[name])
        ranges[name] = fine
        rows.append([
            name, f"{fine[0]:g} to {fine[-1]:g}" if fine else "none", best[name],
            f"{np.median(values[k, :, 0]):.1e}", cd.mean_told(values[k, :, 1]),
        ])  # fmt: skip
    head = [
        "norm",
        f"rates with test error < {WORKS:.0%} for all seeds",
        "best rate",
        "training loss (nats)",
        "test error (%)",
    ]
    cells = [[name, *(cd.mean_told(errors) for errors in values)] for name, values in batches.items()]
    failures = [
        [law, f"{laws[f'{law}, exact']:.0e}", f"{laws[f'{law}, with 1e-5']:.0e}"]
        for law in ("loss", "W . grad", "gradient")
    ]
    return [
        "How far the laws of scale fail, relative, with a = 10, nothing added to variances and 1e-5 added:",
        report.table(["law", "exact", "with 1e-5"], failures),
        f"Descents from W and from a W at a^2 of the rate have losses that differ by {laws['descents']:.0e}, and |W|^2 "
        f"grows as it must to {laws['|W|^2']:.0e}.",
        report.table(head, rows),
        "The best rate is that of the least training loss, batches of 32. Test errors (%) over the size of batches:",
        report.table(["norm", *map(str, sizes)], cells),
        verdict(ranges, swept, best, batches, rates, sizes),
    ], ranges


def verdict(ranges: dict, swept: dict, best: dict, batches: dict, rates: tuple, sizes: tuple) -> str:
    """Return what became of the textbook's three claims."""
    most = {name: max(works, default=math.nan) for name, works in ranges.items()}
    loss = {name: float(np.median(swept[name][rates.index(best[name]), :, 0])) for name in swept}
    small = {name: 100.0 * float(np.mean(batches[name][0])) for name in batches}
    faster = "yes" if loss["batch norm"] < loss["none"] else "not here"
    return (
        f"Larger rates: batch norm works up to {most['batch norm']:g}, the network without up to {most['none']:g}. "
        f"Learns faster: {faster}, the training losses at their best rates are {loss['batch norm']:.2g} and "
        f"{loss['none']:.2g} nats. Small batches: of {sizes[0]} digits, the test error is {small['batch norm']:.0f} % "
        f"with batch norm, {small['layer norm']:.0f} % with layer norm, {small['none']:.0f} % with none."
    )


def main(
    folder: Path = report.RESULTS / "batch_normalisation", digits: int = 1000, epochs: int = 10, steps: int = 50,
    rates: tuple[float, ...] = RATES, batches: tuple[int, ...] = BATCHES, seeds: int = 3, seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Measure the laws, sweep the rates and the batches, and write the folder."""
    clock = report.begin(folder)
    train, test = cd.digits("train"), cd.digits("test")
    laws = laws_of_scale(cd.drawn(train, 200, seed), steps, seed)
    data = [cd.drawn(train, digits, seed + s) for s in range(seeds)]
    swept = sweep(data, test, rates, epochs, seed)
    best = {name: rates[int(np.argmin(np.median(values[..., 0], 1)))] for name, values in swept.items()}
    found = by_batch(data, test, best, batches, epochs, seed)
    draw(swept, found, rates, batches, folder / "batch_normalisation.png")
    told, ranges = tell(laws, swept, best, found, rates, batches)
    print(*told, sep="\n\n")
    numbers = {"laws": laws, "sweep": swept, "best": best, "rates": ranges, "batches": found}
    settings = {
        "digits": digits, "epochs": epochs, "steps": steps, "rates": rates, "batches": batches, "seeds": seeds,
        "seed": seed, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
