"""What keeps a network that could learn 500 digits by heart from doing so, and which weights does it leave?

A network of 784-256-10 ReLU units has 203,530 weights for 500 digits of MNIST. It learns them by SGD with momentum, all
in the same number of epochs, with

    nothing         the loss alone
    L2              + (l2 / 2) sum W^2
    L1              + l1 sum |W|, by soft thresholds: weights become exactly zero
    dropout         half of the hidden units left out at random
    early stopping  100 of the 500 digits are kept to stop by, the best epoch is taken (training error: of all)
    augmentation    digits turned and shifted a little, anew each time

Each strength is the one of a few with the least error on 2,000 other digits of the training set, for one further
seed. The textbook says that each makes the gap between training and test smaller, and the test error too; and that L1
makes sparse matrices, L2 small ones.
"""

from functools import partial
from pathlib import Path
from typing import Any

import classified_digits as cd
import numpy as np
import report
import torch
from torch.nn.functional import cross_entropy

import models

NOTHING, HIDDEN, MOMENTUM = "nothing", 256, 0.9
CHOICES: dict[str, tuple[float, ...]] = {
    NOTHING: (0.0,), "L2": (1e-3, 1e-2, 3e-2), "L1": (1e-4, 3e-4, 1e-3), "dropout": (0.5,), "early stopping": (8,),
    "augmentation": (1.0, 2.0, 3.0),
}  # fmt: skip
PICTURES = {
    "regularisation.png": "Left: error on training and test digits, dots: seeds. Middle: share of the weights of the "
    "first layer below a size, first seed; L1 has a step at zero, drawn at the left edge. Right: the test loss along "
    "training, first seed.",
}
Data = tuple[np.ndarray, np.ndarray]


def learn(name: str, strength: float, data: Data, test: Data, epochs: int, seed: int) -> tuple[models.MLP, np.ndarray]:
    """Return a network that learned, and the test loss (nats) after each epoch, which nothing is decided by."""
    dropout = strength if name == "dropout" else 0.0
    model = models.MLP((28, 28), classes=10, hidden=(HIDDEN,), dropout=dropout, seed=seed)
    more: dict[str, Any] = {}
    if name == "L2":
        more["l2"] = strength
    elif name == "L1":
        more["after_step"] = models.SoftThreshold(strength / (1 - MOMENTUM))  # of momentum's steps one counts for ten
    elif name == "augmentation":
        more["augment"] = models.RigidMotion(shift=strength, angle=5 * strength)
    elif name == "early stopping":
        kept = len(data[1]) // 5
        more |= {"validation": (data[0][:kept], data[1][:kept]), "patience": int(strength)}
        data = data[0][kept:], data[1][kept:]
    x, y = test[0][:300], torch.as_tensor(test[1][:300])
    history = models.fit(
        model, data, epochs=epochs, batch_size=25, learning_rate=0.01, seed=seed,
        optimiser=partial(torch.optim.SGD, momentum=MOMENTUM),
        measure=lambda model: {"test": float(cross_entropy(torch.as_tensor(model.logits(x)), y))}, **more,
    )  # fmt: skip
    return model, history["test"]


def judged(model: models.MLP, data: Data, test: Data) -> dict[str, float]:
    """Return errors and losses (nats) on both sets, and of the first layer the exact zeros and the root mean square."""
    found = {}
    for part, (x, y) in (("train", data), ("test", test)):
        found[f"{part}_error"] = float((model.predict(x) != y).mean())
        found[f"{part}_loss"] = float(cross_entropy(torch.as_tensor(model.logits(x)), torch.as_tensor(y)))
    first = model.network[1].weight.detach()
    return {**found, "zeros": float((first == 0).float().mean()), "size": float(first.square().mean().sqrt())}


def choose(train: Data, digits: int, epochs: int, seed: int) -> dict[str, dict[float, float]]:
    """Return for each kind the error of each strength on other digits."""
    x, y = cd.drawn(train, digits + 2000, seed)
    data, held = (x[:digits], y[:digits]), (x[digits:], y[digits:])
    found: dict[str, dict[float, float]] = {}
    for name, strengths in CHOICES.items():
        found[name] = {}
        for strength in strengths if len(strengths) > 1 else ():
            model, _ = learn(name, strength, data, held, epochs, seed)
            found[name][strength] = judged(model, data, held)["test_error"]
            print(f"{name} {strength:g}: {100 * found[name][strength]:.2f} % of held-out digits")
    return found


def draw(
    found: dict[str, list[dict]], weights: dict[str, np.ndarray], curves: dict[str, np.ndarray], path: Path
) -> None:
    """Draw errors, the sizes of the weights, and the test loss along training."""
    picture, axes = report.figure(1, 3, 19, 5.8)
    for k, (name, runs) in enumerate(found.items()):
        for j, part in enumerate(("train_error", "test_error")):
            values = 100 * np.array([run[part] for run in runs])
            style = {"color": report.COLOURS[j], "markersize": 5, "alpha": 0.7}
            label = ("training", "test")[j] if k == 0 else None
            axes[0, 0].plot(values, [k] * len(values), report.MARKERS[j], label=label, **style)
        size = np.sort(np.abs(weights[name]))
        axes[0, 1].plot(np.maximum(size, 1e-6), np.linspace(0, 1, len(size)), color=report.COLOURS[k], label=name)
        axes[0, 2].plot(np.arange(1, len(curves[name]) + 1), curves[name], color=report.COLOURS[k], label=name)
    axes[0, 0].set_yticks(range(len(found)), list(found))
    axes[0, 0].set(xlabel="error (%)", title="the gap")
    axes[0, 0].invert_yaxis()
    axes[0, 0].legend()
    axes[0, 1].set(xscale="log", xlabel="|W| of the first layer", ylabel="share of weights below", title="weights")
    axes[0, 1].legend(loc="upper left")
    axes[0, 2].set(xlabel="epoch", ylabel="test loss (nats)", yscale="log", title="along training")
    report.save(picture, path)


def tell(found: dict[str, list[dict]], strengths: dict[str, float]) -> tuple[list[str], dict[str, Any]]:
    """Return the table with sentences, and the paired differences from nothing."""
    rows, gains = [], dict[str, Any]()
    for name, runs in found.items():
        v = {what: np.array([run[what] for run in runs]) for what in runs[0]}
        n = len(runs)
        less = np.array([run["test_error"] for run in found[NOTHING]]) - v["test_error"]
        gains[name] = {"less_test_error": less.mean(), "error": less.std(ddof=1) / np.sqrt(n)}
        means = [cd.mean_told(c) for c in (v["train_error"], v["test_error"], v["test_error"] - v["train_error"])]
        told = cd.mean_told(less) if name != NOTHING else ""
        loss = f"{v['test_loss'].mean():.3f}"
        rows.append(
            [name, strengths[name], *means, told, loss, f"{100 * v['zeros'].mean():.1f}", f"{v['size'].mean():.4f}"]
        )
    head = [
        "", "strength", "training error (%)", "test error (%)", "gap (%)", "less than nothing (%)", "test loss (nats)",
        "exact zeros (%)", "root mean square W",
    ]  # fmt: skip
    helped = [name for name, gain in gains.items() if gain["less_test_error"] > 4 * gain["error"] > 0]
    others = [name for name in found if name not in (*helped, NOTHING)]
    return [
        report.table(head, rows),
        f"Means over {n} seeds (digits, first weights, batches) with standard errors; differences are paired. By more "
        f"than four standard errors a lower test error has: {', '.join(helped) or 'none'}; the data do not show it "
        f"of: {', '.join(others) or 'none'}.",
    ], gains


def main(
    folder: Path = report.RESULTS / "regularisation", digits: int = 500, epochs: int = 80, seeds: int = 5,
    seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Choose strengths, learn from all seeds, and write the folder."""
    clock = report.begin(folder)
    train, test = cd.digits("train"), cd.digits("test")
    tried = choose(train, digits, epochs, seed + seeds)
    strengths = {name: min(values, key=lambda v: tried[name].get(v, 0.0)) for name, values in CHOICES.items()}
    found: dict[str, list[dict]] = {name: [] for name in CHOICES}
    weights, curves = dict[str, np.ndarray](), dict[str, np.ndarray]()
    for s in range(seed, seed + seeds):
        data = cd.drawn(train, digits, s)
        for name, strength in strengths.items():
            model, curve = learn(name, strength, data, test, epochs, s)
            found[name].append(judged(model, data, test))
            if s == seed:
                weights[name], curves[name] = model.network[1].weight.detach().numpy().ravel(), curve
        print(f"seed {s}: {clock():.0f} s")
    draw(found, weights, curves, folder / "regularisation.png")
    told, gains = tell(found, strengths)
    print(*told, sep="\n\n")
    numbers = {"judged": found, "gains": gains, "tried": tried, "strengths": strengths}
    settings = {"digits": digits, "epochs": epochs, "seeds": seeds, "seed": seed, "seconds": round(clock())}
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
