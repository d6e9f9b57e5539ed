"""Networks learn noise by heart: labels that mean nothing, pixels in disorder, images of noise.

A network of 784-512-10 ReLU units learns 2,000 digits of MNIST by SGD with momentum, without any regularisation, all in
the same number of epochs (Zhang et al. 2017):

    share q             labels replaced, with probability q, by any digit, the right one among them
    one order           pixels of all images in one random order
    orders              pixels of each image in a random order of its own
    Gaussian images     pixels drawn from N(0, 1), with the labels of digits

The network has 407,050 weights; 2 n + d = 4,784 are enough to fit any labels of n = 2,000 points in d = 784 dimensions
(their theorem 1). So the size of the network, and the training error, cannot be what decides how well it generalises.

What is known: labels that are independent of the images are met on test digits with probability 1/10 exactly, so the
error is 90 % in the mean over sets. An MLP whose first weights are independent does not see one order of the pixels:
its errors have the same distribution. The test images are changed as the training ones are, their labels never.

Then labels of a few q are learned with weight decay and with early stopping by 400 of the 2,000 digits, whose labels
are as noisy as the others; the decay was not searched for.
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

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
ORDER, ORDERS, NOISE = "one order of pixels", "orders of their own", "Gaussian images"
PLAIN, DECAY, EARLY = "nothing", "weight decay", "early stopping"
GUARDED = (0.0, 0.5, 1.0)  # shares of random labels that are also learned with decay and by early stopping
L2, PATIENCE, CLASSES = 0.03, 8, 10
PICTURES = {
    "random_labels.png": "Left: training error along learning, first seed. Middle: epochs until no training label is "
    "wrong, relative to true labels, over the share of random labels. Right: test error over that share, dots: seeds; "
    "dotted: chance; dashed: the share of labels that are wrong.",
}
Data = tuple[np.ndarray, np.ndarray]


def noisy(y: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Return labels of which each is replaced by any digit with probability `share`."""
    return np.where(rng.random(len(y)) < share, rng.integers(CLASSES, size=len(y)), y)


def changed(kind: str, x: np.ndarray, order: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return images (n, 784) with pixels in one order, each in its own, or of noise."""
    if kind == ORDER:
        return x[:, order]
    return rng.permuted(x, axis=1) if kind == ORDERS else rng.standard_normal(x.shape).astype(x.dtype)


def tasks(digits: Data, test: Data, seed: int) -> dict[str, tuple[Data, Data]]:
    """Return training and test data of each kind of disorder, by name."""
    (x, y), (fresh, answers) = digits, test
    order = np.random.default_rng([seed, 1]).permutation(x.shape[1])
    found = {of(q): ((x, noisy(y, q, np.random.default_rng([seed, 2]))), test) for q in SHARES}
    for k, kind in enumerate((ORDER, ORDERS, NOISE)):
        rng = np.random.default_rng([seed, 3 + k])
        found[kind] = (changed(kind, x, order, rng), y), (changed(kind, fresh, order, rng), answers)
    return found


def of(share: float) -> str:
    """Return the name of labels of which a share is random."""
    return "true labels" if share == 0.0 else f"random labels, {share:.0%}"


def learn(data: Data, test: Data, guard: str, hidden: int, epochs: int, seed: int) -> dict[str, Any]:
    """Return errors, losses (nats), weights and the training error along learning of a network."""
    model = models.MLP(784, classes=CLASSES, hidden=(hidden,), seed=seed)
    first, more, learned = flat(model), dict[str, Any](), data
    if guard == DECAY:
        more["l2"] = L2
    elif guard == EARLY:
        kept = len(data[1]) // 5
        more |= {"validation": (data[0][:kept], data[1][:kept]), "patience": PATIENCE}
        learned = data[0][kept:], data[1][kept:]
    history = models.fit(
        model, learned, epochs=epochs, batch_size=50, learning_rate=0.02, seed=seed,
        optimiser=partial(torch.optim.SGD, momentum=0.9), progress=False,
        measure=lambda model: {"error": float((model.predict(learned[0]) != learned[1]).mean())}, **more,
    )  # fmt: skip
    last = flat(model)
    found: dict[str, Any] = {
        "curve": history["error"],
        "norm": float(last.norm()),
        "moved": float((last - first).norm()),
    }
    for part, (x, y) in (("train", learned), ("test", test)):
        found[f"{part}_error"] = float((model.predict(x) != y).mean())
        found[f"{part}_loss"] = float(cross_entropy(torch.as_tensor(model.logits(x)), torch.as_tensor(y)))
    solved = np.flatnonzero(history["error"] == 0)
    return {**found, "epochs": float(solved[0] + 1) if len(solved) else np.inf}


def flat(model: models.MLP) -> torch.Tensor:
    """Return all weights in one vector."""
    return torch.cat([p.detach().flatten() for p in model.parameters()]).double().clone()


def draw(found: dict[tuple[str, str], list[dict]], path: Path) -> None:
    """Draw training errors along learning, times to learn, and test errors over the share of random labels."""
    picture, axes = report.figure(1, 3, 19, 6)
    names = [name for name, guard in found if guard == PLAIN]
    for k, name in enumerate(names):
        curve = found[name, PLAIN][0]["curve"]
        style = {"color": report.COLOURS[k % 6], "linestyle": "-" if k < 5 else "--"}
        axes[0, 0].plot(np.arange(1, len(curve) + 1), 100 * curve, label=name, **style)
    axes[0, 0].set(xlabel="epoch", ylabel="training error (%)", title="learned by heart")
    axes[0, 0].legend()
    epochs = np.array([[run["epochs"] for run in found[of(q), PLAIN]] for q in SHARES])
    axes[0, 1].plot(SHARES, epochs / epochs[0], "o", color=report.COLOURS[0])
    axes[0, 1].plot(SHARES, (epochs / epochs[0]).mean(1), color=report.COLOURS[0])
    axes[0, 1].set(xlabel="share of random labels", ylabel="epochs, true labels = 1", title="time to learn")
    for k, guard in enumerate((PLAIN, DECAY, EARLY)):
        shares = [q for q in SHARES if (of(q), guard) in found]
        errors = 100 * np.array([[run["test_error"] for run in found[of(q), guard]] for q in shares])
        axes[0, 2].plot(shares, errors, report.MARKERS[k], color=report.COLOURS[k], alpha=0.6)
        axes[0, 2].plot(shares, errors.mean(1), color=report.COLOURS[k], label=guard)
    axes[0, 2].axhline(90, color="black", linestyle=":", linewidth=1)
    axes[0, 2].plot([0, 1], [0, 90], "--", color="0.5", linewidth=1)
    axes[0, 2].set(xlabel="share of random labels", ylabel="test error (%)", title="generalisation")
    axes[0, 2].legend()
    report.save(picture, path)


def percent(mean: float, error: float) -> str:
    """Return a share with its error in percent."""
    return f"{report.with_error(100 * mean, 100 * error)} %"


def tell(found: dict[tuple[str, str], list[dict]]) -> tuple[list[str], dict[str, Any]]:
    """Return the table with sentences, and what is compared with theory."""
    rows = []
    for (name, guard), runs in found.items():
        v = {what: np.array([float(run[what]) for run in runs]) for what in runs[0] if what != "curve"}
        epochs = f"{v['epochs'].mean():.0f}" if np.isfinite(v["epochs"]).all() else "not all"
        errors = [cd.mean_told(c) for c in (v["train_error"], v["test_error"], v["test_error"] - v["train_error"])]
        rows.append([name, guard, *errors, f"{v['test_loss'].mean():.2f}", epochs])
        rows[-1] += [f"{v['norm'].mean():.1f}", f"{v['moved'].mean():.1f}"]
    head = [
        "", "against it", "training error (%)", "test error (%)", "gap (%)", "test loss (nats)", "epochs to learn all",
        "norm of weights", "moved by",
    ]  # fmt: skip
    error = {key: np.array([run["test_error"] for run in runs]) for key, runs in found.items()}
    chance = {name: report.mean_and_error(error[name, PLAIN]) for name in (of(1.0), NOISE)}
    unseen = report.mean_and_error(error[ORDER, PLAIN] - error[of(0.0), PLAIN])
    plain = {name: runs for (name, guard), runs in found.items() if guard == PLAIN}
    kept = [name for name, runs in plain.items() if any(run["train_error"] > 0 for run in runs)]
    times = [[run["epochs"] for run in plain[of(q)]] for q in (0.0, 1.0)]
    slow = report.mean_and_error(np.divide(times[1], times[0]))
    against = {guard: report.mean_and_error(error[of(0.5), PLAIN] - error[of(0.5), guard]) for guard in (DECAY, EARLY)}
    told = [
        f"{len(plain) - len(kept)} of {len(plain)} kinds end without a training error for every seed"
        + (f" (not: {', '.join(kept)})." if kept else "."),
        "Theory, 90 %: "
        + ", ".join(f"{name} {percent(m, e)} ({(m - 0.9) / e:+.1f})" for name, (m, e) in chance.items())
        + f". Theory, 0 %: {ORDER} less true labels {percent(*unseen)} "
        f"({unseen[0] / unseen[1]:+.1f}). In brackets: deviations in standard errors over seeds.",
        f"Wholly random labels need {report.with_error(*slow)} times the epochs of true ones. With half of the labels "
        "random, the test error is less by "
        + ", ".join(f"{percent(m, e)} with {guard}" for guard, (m, e) in against.items())
        + ".",
    ]
    numbers = {"chance": chance, "order": unseen, "slower": slow, "against": against}
    return [
        report.table(head, rows),
        f"Means over {len(error[NOISE, PLAIN])} seeds with standard errors.",
        *told,
    ], numbers


def main(
    folder: Path = report.RESULTS / "random_labels", digits: int = 2000, hidden: int = 512, epochs: int = 50,
    seeds: int = 4, seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Learn every kind of disorder from all seeds, and write the folder."""
    clock = report.begin(folder)
    split = cd.pixels()
    found: dict[tuple[str, str], list[dict]] = {}
    for s in range(seed, seed + seeds):
        few = cd.drawn((split.train_images, split.train_labels), digits, s)
        every = tasks(few, (split.test_images, split.test_labels), s)
        plans = [(name, PLAIN) for name in every] + [(of(q), guard) for q in GUARDED for guard in (DECAY, EARLY)]
        for name, guard in plans:
            run = learn(*every[name], guard, hidden, epochs, s)
            found.setdefault((name, guard), []).append(run)
            print(f"seed {s}, {name}, {guard}: {run['train_error']:.2%}, {run['test_error']:.2%}, {clock():.0f} s")
    draw(found, folder / "random_labels.png")
    told, compared = tell(found)
    print(*told, sep="\n\n")
    numbers = {"runs": {f"{name}; {guard}": runs for (name, guard), runs in found.items()}, **compared}
    settings = {
        "digits": digits, "hidden": hidden, "epochs": epochs, "seeds": seeds, "seed": seed, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
