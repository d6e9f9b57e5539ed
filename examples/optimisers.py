"""How fast do optimisers go down a ravine, and does the way down matter for what was not learned?

In a ravine E = (x^2 + kappa y^2) / 2 the error shrinks by a factor a step that is known, at the best settings:

    gradient descent    rate 2 / (1 + kappa)                                    (kappa - 1) / (kappa + 1)
    momentum            rate (2 / (1 + r))^2, beta = ((r - 1) / (r + 1))^2      (r - 1) / (r + 1),    r = sqrt(kappa)
    Nesterov            rate 1 / kappa, beta = (r - 1) / (r + 1)                1 - 1 / r

(Polyak 1964, Nesterov 2004). The last two settings are critically damped: the error is t times the t-th power of the
factor, and its t is divided out. What is stepped is torch's SGD, as in training.

A network of 49-10-10 tanh units then learns 300 digits of 7 x 7 pixels by every optimiser, each at the rate that made
the training loss least in a sweep of its own. Does the optimiser decide which of the solutions without a training error
is found, and so the error on 10,000 test digits? It is said that noisy steps generalise best (Keskar et al. 2017), and
adaptive ones worst (Wilson et al. 2017).
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import classified_digits as cd
import numpy as np
import report
import torch
from scipy.optimize import minimize

import models
from ebm import LearningError
from ebm.landscape import NetworkLoss

SGD, HIDDEN, REFERENCE = torch.optim.SGD, 10, "SGD, batches of 30"
PICTURES = {
    "optimisers.png": "Left: factor of the error a step in a ravine, theory (lines) and measured. Middle: training "
    "loss over the learning rate after the same epochs; rates at which learning diverged have no point. Right: error "
    "on test digits, dots: seeds, lines: means; pale where not every run ended without a training error.",
}


class Way(NamedTuple):
    """An optimiser, the size of its batches (None: all), and its share of the epochs."""

    optimiser: Callable[..., torch.optim.Optimizer]
    batch: int | None
    rates: tuple[float, ...]
    share: float = 1.0


STEEP = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
GENTLE = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
WAYS = {
    "gradient descent": Way(SGD, None, STEEP, 4.0),
    "momentum, full batch": Way(partial(SGD, momentum=0.9), None, STEEP, 4.0),
    "single examples": Way(SGD, 1, GENTLE, 0.25),
    REFERENCE: Way(SGD, 30, STEEP),
    "momentum": Way(partial(SGD, momentum=0.9), 30, GENTLE),
    "Nesterov": Way(partial(SGD, momentum=0.9, nesterov=True), 30, GENTLE),
    "RMSprop": Way(torch.optim.RMSprop, 30, GENTLE),
    "Adam": Way(torch.optim.Adam, 30, GENTLE),
    "L-BFGS": Way(partial(torch.optim.LBFGS, line_search_fn="strong_wolfe"), None, (1.0,), 0.25),
}


def best_settings(kappa: float) -> dict[str, tuple[dict[str, Any], float]]:
    """Return SGD's arguments for a ravine, and the factor a step of the theory."""
    r = np.sqrt(kappa)
    slow = (r - 1) / (r + 1)
    return {
        "gradient descent": ({"lr": 2 / (1 + kappa)}, (kappa - 1) / (kappa + 1)),
        "momentum": ({"lr": (2 / (1 + r)) ** 2, "momentum": slow**2}, slow),
        "Nesterov": ({"lr": 1 / kappa, "momentum": slow, "nesterov": True}, 1 - 1 / r),
    }


def factor(kappa: float, name: str, arguments: dict[str, Any]) -> float:
    """Return the factor a step, from the lengths of the error after 40 and 80 times sqrt(kappa) steps, or kappa."""
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    sgd, half = SGD([x], **arguments), int(4 * kappa if name == "gradient descent" else 40 * np.sqrt(kappa))
    lengths = []
    for t in range(1, 2 * half + 1):
        x.grad = torch.tensor([1.0, kappa], dtype=torch.float64) * x.detach()
        sgd.step()
        if t in (half, 2 * half):
            lengths.append(float(x.detach().norm()))
    critical = 1.0 if name == "gradient descent" else 2.0
    return (lengths[1] / lengths[0] / critical) ** (1 / half)


def small(data: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return digits as means of 4 x 4 pixels, (n, 49), and their labels."""
    return data[0].reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(-1, 49), data[1]


def blank(seed: int) -> models.MLP:
    """Return the network before it learns, in double precision: BFGS needs it near its minimum."""
    return models.MLP(49, classes=10, hidden=(HIDDEN,), activation="Tanh", initialisation="xavier", seed=seed).double()


def learn(way: Way, rate: float, data: tuple[np.ndarray, np.ndarray], epochs: int, seed: int) -> models.MLP | None:
    """Return a network that learned, or None if its loss became infinite."""
    model = blank(seed)
    try:
        models.fit(
            model, data, epochs=max(1, round(way.share * epochs)), batch_size=way.batch or len(data[1]),
            learning_rate=rate, optimiser=way.optimiser, seed=seed,
        )  # fmt: skip
    except LearningError:
        return None
    return model


def bfgs(data: tuple[np.ndarray, np.ndarray], steps: int, seed: int) -> models.MLP:
    """Return a network that learned by scipy's BFGS."""
    batch = (torch.as_tensor(data[0], dtype=torch.float64), torch.as_tensor(data[1]))
    energy = NetworkLoss(blank(seed), lambda model: model.loss(batch))

    def loss_and_slope(w: np.ndarray) -> tuple[float, np.ndarray]:
        return float(energy(w[None])[0]), energy.grad(w[None])[0]

    found = minimize(loss_and_slope, energy.weights, jac=True, method="BFGS", options={"maxiter": steps, "gtol": 1e-4})
    energy.assign(found.x)
    return energy.module


def judged(model: models.MLP, train: tuple, test: tuple) -> list[float]:
    """Return training loss (nats), training error and test error."""
    logits = torch.as_tensor(model.logits(train[0]))
    loss = float(torch.nn.functional.cross_entropy(logits, torch.as_tensor(train[1])))
    return [loss, *(float((model.predict(x) != y).mean()) for x, y in (train, test))]


def sweep(data: tuple[np.ndarray, np.ndarray], epochs: int, seed: int) -> dict[str, list[float]]:
    """Return the training loss at each rate of each optimiser; infinity where it diverged or grew."""
    found = {}
    for name, way in WAYS.items():
        runs = [learn(way, rate, data, epochs, seed) for rate in way.rates]
        found[name] = [np.inf if model is None else judged(model, data, data)[0] for model in runs]
        print(f"{name}: " + ", ".join(f"{v:.2g}" for v in found[name]))
    return found


def draw(ravine: dict, swept: dict, errors: dict[str, np.ndarray], path: Path) -> None:
    """Draw factors, losses over learning rates, and test errors."""
    picture, axes = report.figure(1, 3, 19, 6.2)
    for k, (name, rows) in enumerate(ravine.items()):
        kappa, theory, measured = np.array(rows).T
        axes[0, 0].plot(kappa, 1 - theory, color=report.COLOURS[k])
        axes[0, 0].plot(kappa, 1 - measured, report.MARKERS[k], color=report.COLOURS[k], label=name)
    axes[0, 0].set(xscale="log", yscale="log", xlabel="kappa", ylabel="1 - factor of a step", title="ravine")
    axes[0, 0].legend()
    for k, (name, losses) in enumerate(pair for pair in swept.items() if len(pair[1]) > 1):
        style = report.MARKERS[k % 6] + ("-" if k < 6 else "--")
        losses = np.where(np.isfinite(losses), losses, np.nan)
        axes[0, 1].plot(WAYS[name].rates, losses, style, color=report.COLOURS[k % 6], label=name)
    axes[0, 1].set(xscale="log", yscale="log", xlabel="learning rate", ylabel="training loss (nats)", title="sweep")
    axes[0, 1].set_ylim(1e-3, 6.0)  # chance is ln 10 = 2.3
    axes[0, 1].legend(fontsize=10, ncols=2, loc="lower center")
    for k, values in enumerate(errors.values()):
        whole = bool((values[:, 1] == 0).all())
        colour = report.COLOURS[0] if whole else report.COLOURS[5]
        axes[0, 2].plot([100 * values[:, 2].mean()] * 2, [k - 0.35, k + 0.35], color=colour)
        axes[0, 2].plot(100 * values[:, 2], [k] * len(values), "o", color=colour, markersize=4)
    axes[0, 2].set_yticks(range(len(errors)), list(errors), fontsize=12)
    axes[0, 2].set(xlabel="test error (%)", title="solutions")
    axes[0, 2].invert_yaxis()
    report.save(picture, path)


def tell(ravine: dict, chosen: dict[str, float], errors: dict[str, np.ndarray]) -> tuple[list[str], dict[str, Any]]:
    """Return the tables with sentences, and the paired differences from batches of 30."""
    factors = [
        [name, f"{kappa:g}", f"{theory:.6f}", f"{measured:.6f}", f"{measured - theory:.0e}"]
        for name, rows in ravine.items()
        for kappa, theory, measured in rows
    ]
    rows, gaps = [], dict[str, Any]()
    for name, values in errors.items():
        n, (loss, train, _) = len(values), values.mean(0)
        gap = values[:, 2] - errors[REFERENCE][:, 2]
        solved = int((values[:, 1] == 0).sum())
        gaps[name] = {"gap": gap.mean(), "error": gap.std(ddof=1) / np.sqrt(n), "solved": solved}
        told = cd.mean_told(gap) if name != REFERENCE else ""
        reached = [f"{loss:.1e}", f"{100 * train:.2f}", f"{solved} of {n}"]
        rows.append([name, chosen.get(name, ""), *reached, cd.mean_told(values[:, 2]), told])
    whole = {name: gap for name, gap in gaps.items() if gap["solved"] == n and name != REFERENCE}
    apart = [f"{name} ({g['gap'] / g['error']:+.1f})" for name, g in whole.items() if abs(g["gap"]) > 4 * g["error"]]
    head = ["optimiser", "rate", "loss (nats)", "training error (%)", "solved", "test error (%)", "more than SGD (%)"]
    return [
        report.table(["ravine", "kappa", "theory", "measured", "difference"], factors),
        report.table(head, rows),
        f"Means over {n} sets of digits and first weights with standard errors; differences are paired. Of the other "
        f"{len(whole)} optimisers that always end without a training error, {len(apart)} differ from {REFERENCE} by "
        f"more than four standard errors{': ' + ', '.join(apart) if apart else ''}.",
    ], gaps


def main(
    folder: Path = report.RESULTS / "optimisers", kappas: tuple[float, ...] = (10.0, 100.0, 1000.0), digits: int = 300,
    epochs: int = 120, steps: int = 150, seeds: int = 6, seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Go down the ravine, sweep the rates, learn from all seeds, and write the folder."""
    clock = report.begin(folder)
    ravine: dict[str, list] = {}
    for kappa in kappas:
        for name, (arguments, theory) in best_settings(kappa).items():
            ravine.setdefault(name, []).append((kappa, theory, factor(kappa, name, arguments)))
    train, test = small(cd.digits("train")), small(cd.digits("test"))
    swept = sweep(cd.drawn(train, digits, seed + seeds), epochs // 4, seed + seeds)
    chosen = {name: WAYS[name].rates[int(np.argmin(losses))] for name, losses in swept.items()}
    found: dict[str, list[list[float]]] = {name: [] for name in (*WAYS, "BFGS")}
    for s in range(seed, seed + seeds):
        data = cd.drawn(train, digits, s)
        for name, way in WAYS.items():
            model = learn(way, chosen[name], data, epochs, s)
            found[name].append([np.inf, 0.9, 0.9] if model is None else judged(model, data, test))
        found["BFGS"].append(judged(bfgs(data, steps, s), data, test))
        print(f"seed {s}: {clock():.0f} s")
    errors = {name: np.array(values) for name, values in found.items()}
    draw(ravine, swept, errors, folder / "optimisers.png")
    told, gaps = tell(ravine, chosen, errors)
    print(*told, sep="\n\n")
    numbers = {"ravine": ravine, "sweep": swept, "rates": chosen, "judged": errors, "gaps": gaps}
    settings = {
        "digits": digits, "epochs": epochs, "steps": steps, "seeds": seeds, "seed": seed, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
