"""Backpropagation by hand: the gradients of a two-layer network derived, coded in numpy, and equal to autograd's.

The network takes a digit x to the probabilities p of its ten labels; its loss is the mean cross entropy of n digits:

    z1 = W1 x + b1,    a = tanh z1,    z2 = W2 a + b2,    p_k = exp z2_k / sum_j exp z2_j,    L = -<ln p_y>

The chain rule runs through these lines backwards. Of ln p_y = z2_y - ln sum_j exp z2_j the derivative with respect to
z2_k is [k = y] - p_k, and the mean over digits divides by n. Call the derivatives of L with respect to what a layer
forms, before its activation, its errors d:

    d2 = (p - [k = y]) / n                        (of each digit, 10 numbers)
    dL/dW2 = sum d2 a^T,    dL/db2 = sum d2       (over digits: z2 is linear in W2, with slope a)
    d1 = (W2^T d2) * (1 - a^2)                    (z2 is linear in a, with slope W2; tanh' = 1 - tanh^2)
    dL/dW1 = sum d1 x^T,    dL/db1 = sum d1

Claim: that is all that automatic differentiation does. In double precision both gradients agree to 1e-12 of the largest
component, before training and after. Central differences (L(w + h) - L(w - h)) / 2h agree as far as they can: their
error, a sum of terms of order h^2 and epsilon / h, is least at h of order epsilon^(1/3), where it is of order
epsilon^(2/3) = 4e-11. Trained by these lines from the same weights and on the same batches (plain gradient descent,
batches of 100), the network by hand and `models.MLP` end at the same accuracy.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import report
import torch
from classified_digits import pixels

import models
from models import datasets

EPSILON = float(np.finfo(float).eps)
STEPS = 10.0 ** -np.arange(1.0, 11.0, 0.5)  # h of central differences
LONG = (STEPS > 1e-4) & (STEPS < 2e-2)  # where h^2 rules
PICTURES = {
    "gradients.png": "Left: largest error of central differences, over random components of all four arrays, relative "
    "to the largest component of the array; the gradient by hand against autograd's below. Right: test digits that "
    "are named wrong, by the network by hand (lines) and by models.MLP (signs), of each seed."
}


class Weights(NamedTuple):
    """The parameters of the network, or the gradient with respect to them; h hidden units, K labels."""

    W1: np.ndarray  # (h, d)
    b1: np.ndarray  # (h,)
    W2: np.ndarray  # (K, h)
    b2: np.ndarray  # (K,)


def forward(w: Weights, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return activations (n, h) and log-probabilities (n, K) of digits (n, d)."""
    a = np.tanh(x @ w.W1.T + w.b1)
    z2 = a @ w.W2.T + w.b2
    z2 -= z2.max(1, keepdims=True)  # the same probabilities, and no exponential overflows
    return a, z2 - np.log(np.exp(z2).sum(1, keepdims=True))


def loss(w: Weights, x: np.ndarray, y: np.ndarray) -> float:
    """Return the mean cross entropy in nats."""
    return -float(forward(w, x)[1][np.arange(len(y)), y].mean())


def gradient(w: Weights, x: np.ndarray, y: np.ndarray) -> Weights:
    """Return the derivative of the loss with respect to each parameter."""
    a, log_p = forward(w, x)
    d2 = np.exp(log_p)
    d2[np.arange(len(y)), y] -= 1.0
    d2 /= len(y)
    d1 = (d2 @ w.W2) * (1.0 - a**2)
    return Weights(d1.T @ x, d1.sum(0), d2.T @ a, d2.sum(0))


def of(model: models.MLP) -> Weights:
    """Return a copy of the weights of a network with one hidden layer."""
    return Weights(*(p.detach().numpy().copy() for p in model.parameters()))


def by_autograd(model: models.MLP, x: np.ndarray, y: np.ndarray) -> Weights:
    """Return the gradient that torch finds."""
    loss = model.loss((torch.as_tensor(x), torch.as_tensor(y)))
    return Weights(*(g.numpy() for g in torch.autograd.grad(loss, list(model.parameters()))))


def difference(found: Weights, right: Weights) -> float:
    """Return the largest difference of a component, relative to the largest component of its array."""
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, right, strict=True))


def central(w: Weights, x: np.ndarray, y: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the largest relative error of central differences for each step, over components of all four arrays."""
    exact, errors = gradient(w, x, y), np.zeros(len(STEPS))
    for array, slope in zip(w, exact, strict=True):
        places = np.argwhere(slope != 0.0)  # pixels that are blank in all these digits have none
        for place in map(tuple, rng.choice(places, min(count, len(places)), replace=False)):
            value, values = array[place], []
            for w_h in (value + STEPS, value - STEPS):
                values.append([])
                for array[place] in w_h:
                    values[-1].append(loss(w, x, y))
            array[place] = value
            h = ((value + STEPS) - (value - STEPS)) / 2.0  # the step that was taken: numbers are rounded
            slopes = (np.array(values[0]) - values[1]) / (2.0 * h)
            errors = np.maximum(errors, np.abs(slopes - slope[place]) / np.abs(slope).max())
    return errors


def wrong(w: Weights, x: np.ndarray, y: np.ndarray) -> float:
    """Return the share of digits that are named wrong."""
    return float(np.mean(forward(w, x)[1].argmax(1) != y))


def train_both(data: datasets.Split, hidden: int, epochs: int, rate: float, seed: int) -> dict[str, Any]:
    """Train by hand and by `models.fit` from the same weights on the same batches, and compare."""
    x, fresh = data.train_images.astype(float), data.test_images.astype(float)
    model = models.MLP(
        784, classes=10, hidden=(hidden,), activation="Tanh", initialisation="xavier", seed=seed
    ).double()
    w, part = of(model), (x[:200], data.train_labels[:200])
    before = difference(gradient(w, *part), by_autograd(model, *part))
    errors = central(w, *part, 10, np.random.default_rng(seed))
    misses: list[tuple[float, float]] = []
    latest: list[np.ndarray] = []

    def keep(batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        latest[:] = [part.numpy() for part in batch]
        return batch

    def learn(_: Any, rate: float) -> None:
        """Let the network by hand learn from the batch that `models.fit` has just used."""
        for array, slope in zip(w, gradient(w, *latest), strict=True):
            array -= rate * slope

    def look(_: Any) -> None:
        misses.append((wrong(w, fresh, data.test_labels), float(np.mean(model.predict(fresh) != data.test_labels))))
        print(f"seed {seed}, epoch {len(misses)}: wrong by hand {misses[-1][0]:.2%}, by models.MLP {misses[-1][1]:.2%}")

    models.fit(
        model, (x, data.train_labels), epochs=epochs, batch_size=100, learning_rate=rate, optimiser=torch.optim.SGD,
        augment=keep, after_step=learn, callback=look, seed=seed, progress=False,
    )  # fmt: skip
    after = difference(gradient(w, *part), by_autograd(model, *part))
    apart = max(float(np.abs(a - b).max()) for a, b in zip(w, of(model), strict=True))
    order = np.polyfit(np.log(STEPS[LONG]), np.log(errors[LONG]), 1)[0]
    return {
        "before": before, "after": after, "central": errors, "order": order, "wrong": misses, "apart": apart,
    }  # fmt: skip


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    """Draw the errors of gradients, and those of both networks along training."""
    picture, axes = report.figure(1, 2, 14, 5.4)
    left, right = axes[0]
    for k, run in enumerate(runs):
        label = {"label": "central differences"} if k == 0 else {}
        left.plot(STEPS, run["central"], report.MARKERS[k % 6] + "-", color=report.COLOURS[0], **label)
        for name, shift in (("before", 1.0), ("after", 2.0)):
            label = {"label": f"by hand, {name} training (any h)"} if k == 0 else {}
            left.axhline(run[name], color=report.COLOURS[int(shift)], lw=1.2, ls=("--", ":")[int(shift) - 1], **label)
        epochs = np.arange(1, len(run["wrong"]) + 1)
        hand, library = 100.0 * np.array(run["wrong"]).T
        colour = report.COLOURS[k % 6]
        right.plot(epochs, hand, "-", color=colour, label=f"by hand, seed {k + 1}")
        right.plot(epochs, library, report.MARKERS[k % 6], color=colour, ms=10, mfc="none", label="models.MLP")
    first = runs[0]["central"]
    left.plot(STEPS[:9], first[2] * (STEPS[:9] / STEPS[2]) ** 2, color="0.5", lw=1.2, label="$h^2$ and $\\epsilon/h$")
    left.plot(STEPS[6:], first[-1] * STEPS[-1] / STEPS[6:], color="0.5", lw=1.2)
    left.set(xscale="log", yscale="log", xlabel="step h", ylabel="largest relative error", ylim=(1e-17, 1e2))
    left.set_title("gradients")
    left.legend(loc="upper center")
    right.set(xlabel="epoch", ylabel="test digits named wrong (%)", title="training", ylim=(0, None), xticks=epochs)
    right.legend()
    report.save(picture, path)


def tell(runs: list[dict[str, Any]]) -> list[str]:
    """Return the table, and what it says of the claim."""
    rows = []
    for k, run in enumerate(runs, 1):
        best = int(run["central"].argmin())
        hand, library = run["wrong"][-1]
        rows.append([
            k, f"{run['before']:.1e}", f"{run['after']:.1e}", f"{run['central'][best]:.0e} at {STEPS[best]:.0e}",
            f"{run['order']:.3f}", f"{1 - hand:.2%}", f"{1 - library:.2%}", f"{run['apart']:.0e}",
        ])  # fmt: skip
    head = [
        "seed", "hand - autograd", "after training", "best central difference", "its order in h (theory 2)",
        "test accuracy by hand", "by models.MLP", "weights apart",
    ]  # fmt: skip
    worst = max(max(run["before"], run["after"]) for run in runs)
    same = all(run["wrong"][-1][0] == run["wrong"][-1][1] for run in runs)
    best = [float(run["central"].min()) / EPSILON ** (2 / 3) for run in runs]
    verdict = (
        f"By hand and by autograd agree to {worst:.1e} (claim: 1e-12). The best central differences come to "
        f"{min(best):.1f} to {max(best):.1f} times epsilon^(2/3). Both networks name "
        f"{'the same number of' if same else 'different numbers of'} test digits right, with every seed."
    )
    return [report.table(head, rows), verdict]


def main(
    folder: Path = report.RESULTS / "backpropagation_by_hand", digits: int = 20_000, test: int = 10_000,
    hidden: int = 100, epochs: int = 5, rate: float = 0.1, seeds: int = 3,
) -> list[dict[str, Any]]:  # fmt: skip
    """Compare gradients and trainings for each seed, and write the folder."""
    clock = report.begin(folder)
    data = pixels(digits, test)
    runs = [train_both(data, hidden, epochs, rate, seed) for seed in range(1, seeds + 1)]
    draw(runs, folder / "gradients.png")
    told = tell(runs)
    print(*told, sep="\n\n")
    settings = {
        "digits": digits, "test": test, "hidden": hidden, "epochs": epochs, "rate": rate, "seeds": seeds,
        "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, told, PICTURES, {"h": STEPS, "runs": runs}, settings)
    return runs


if __name__ == "__main__":
    main()
