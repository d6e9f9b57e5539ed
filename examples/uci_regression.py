"""Do small ensembles of networks beat MC-dropout and boosted trees on three tables of the UCI repository?

Strength of concrete (Yeh 1998, MPa), heating load of buildings (Tsanas and Xifara 2012, kWh/m^2) and quality of red
wine (Cortez et al. 2009, grades): 20 random splits of 90:10, the s-th by numpy's generator of seed s = 0 ... 19. What
is given is the root mean square error on the 10 %, a mean over splits; differences are paired.

An ensemble is five MLPs of two hidden layers that learn side by side from different first weights, by AdamW with one
cycle of the learning rate; the prediction is their mean (Lakshminarayanan, Pritzel and Blundell 2017). Each sees the
standardised features z and waves of its own, sin(2 pi f . z) and cos(2 pi f . z), f ~ N(0, sigma^2) (random Fourier
features, Rahimi and Recht 2007): large sigma for what changes from row to row. Of the wines 240 repeat another row, in
all features: what is learned by heart is of use there. The age of concrete enters by its logarithm.

Sigma is chosen in each split by the error on a sixth of its training part, from a few values that were found on the
training part of the first split. Beside the ensembles, on the same splits: the mean, a linear regression, and
scikit-learn's gradient boosting as it comes and with more and deeper trees. Published, on 20 other splits: MC-dropout
and a linear regression (Gal's repository of Gal and Ghahramani 2016).
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import report
import torch
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from torch import nn

import models
from models import datasets
from models.streams import seeded

OURS, ONE, DEEP = "five MLPs with waves", "one of them", "GradientBoosting, more and deeper trees"
UNITS, WAVES, MEMBERS = 64, 32, 5
PICTURES = {
    "uci.png": "Error on the test part of each method, points: splits, lines: means. Dotted: MC-dropout, published.",
}


class Task(NamedTuple):
    """A table, its unit, columns that enter by their logarithm, what is chosen from, and published errors."""

    read: Callable[[], datasets.Table]
    unit: str
    logarithmic: tuple[int, ...]
    sigmas: tuple[float, ...]
    dropout: float
    epochs: int
    published: float
    linear: float


TASKS = {
    "concrete": Task(datasets.concrete, "MPa", (7,), (0.02, 0.05), 0.0, 200, 4.83, 10.31),
    "energy": Task(datasets.energy_efficiency, "kWh/m^2", (), (0.01, 0.03), 0.0, 250, 0.54, 3.06),
    "wine": Task(datasets.wine_quality, "grades", (), (0.2, 0.4), 0.3, 40, 0.622, 0.654),
}


class Ensemble(nn.Module):
    """MLPs side by side: every layer is one product of stacked matrices, (members, inputs, outputs).

    Args:
        features: number of features of a row.
        sigma: deviation of the frequencies of the waves, in waves a unit of a feature.
        dropout: probability of a hidden unit to be left out in training.
        seed: of the first weights and of the waves.
    """

    def __init__(self, features: int, sigma: float, dropout: float, seed: int) -> None:
        super().__init__()
        hidden = (UNITS, UNITS)
        members = [models.MLP(features + 2 * WAVES, hidden=hidden, seed=seed + k) for k in range(MEMBERS)]
        stacked = [
            torch.stack([p.detach() for p in alike]) for alike in zip(*(m.parameters() for m in members), strict=True)
        ]
        self.matrices = nn.ParameterList([w.transpose(1, 2).contiguous() for w in stacked[::2]])
        self.biases = nn.ParameterList([b[:, None] for b in stacked[1::2]])
        self.dropout = nn.Dropout(dropout)
        with seeded(seed, 1):
            self.register_buffer("phases", 2 * torch.pi * sigma * torch.randn(MEMBERS, features, WAVES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the answers (members, n) to rows (n, features)."""
        angles = x @ self.phases  # (members, n, waves)
        a = torch.cat([x.expand(MEMBERS, *x.shape), angles.sin(), angles.cos()], 2)
        for weights, bias in zip(self.matrices[:-1], self.biases[:-1], strict=True):
            a = self.dropout(nn.functional.silu(torch.baddbmm(bias, a, weights)))
        return torch.baddbmm(self.biases[-1], a, self.matrices[-1]).squeeze(2)

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the sum over members of the mean squared error, so that each learns as it would alone."""
        x, y = batch
        return (self(x) - y).square().mean(1).sum()


def predicted(
    task: Task, table: datasets.Table, train: np.ndarray, sigma: float, share: float, seed: int
) -> np.ndarray:
    """Return answers (members, n) to all rows by an ensemble that learned the rows `train`."""
    x, y = table.x.copy(), table.y
    x[:, task.logarithmic] = np.log(x[:, task.logarithmic])
    z = torch.as_tensor((x - x[train].mean(0)) / x[train].std(0), dtype=torch.float32)
    mean, deviation = y[train].mean(), y[train].std()
    ensemble, epochs = Ensemble(x.shape[1], sigma, task.dropout, seed), max(1, round(share * task.epochs))
    models.fit(
        ensemble, (z[train], (y[train] - mean) / deviation), epochs=epochs, batch_size=64, learning_rate=0.01,
        optimiser=partial(torch.optim.AdamW, weight_decay=0.01), schedule=models.one_cycle(epochs, rise=0.2),
        seed=seed, progress=False,
    )  # fmt: skip
    with torch.no_grad():
        return mean + deviation * ensemble(z).double().numpy()


def chosen(task: Task, table: datasets.Table, train: np.ndarray, share: float, seed: int) -> float:
    """Return the sigma of the least error on a sixth of the rows `train` from which nothing was learned."""
    held, errors = len(train) // 6, {}
    for sigma in task.sigmas:
        answers = predicted(task, table, train[held:], sigma, share, seed).mean(0)
        errors[sigma] = root_mean_squared_error(table.y[train[:held]], answers[train[:held]])
    return min(errors, key=errors.__getitem__)


def baselines(trees: int, seed: int) -> dict[str, Any]:
    """Return scikit-learn's regressors by name."""
    deep = {"n_estimators": trees, "max_depth": 4, "learning_rate": 0.05, "subsample": 0.5}
    return {
        "mean": DummyRegressor(), "linear regression": LinearRegression(),
        "GradientBoosting": GradientBoostingRegressor(random_state=seed),
        DEEP: GradientBoostingRegressor(random_state=seed, **deep),
    }  # fmt: skip


def one(job: tuple[str, int], share: float, trees: int) -> dict[str, float]:
    """Return the test error of each method on a split of a table, and the sigma that was chosen."""
    (name, split), threads = job, torch.get_num_threads()
    task, table = TASKS[name], TASKS[name].read()
    order, cut = np.random.default_rng(split).permutation(len(table.y)), round(0.9 * len(table.y))
    train, test = order[:cut], order[cut:]
    answers = {
        method: r.fit(table.x[train], table.y[train]).predict(table.x) for method, r in baselines(trees, split).items()
    }
    torch.set_num_threads(1)  # one a process: the same bits on every machine
    try:
        sigma = chosen(task, table, train, share, 1000 * split)
        each = predicted(task, table, train, sigma, share, 1000 * split)
    finally:
        torch.set_num_threads(threads)
    answers |= {ONE: each[0], OURS: each.mean(0)}
    errors = {method: float(root_mean_squared_error(table.y[test], y[test])) for method, y in answers.items()}
    print(f"{name}, split {split}: " + ", ".join(f"{method} {v:.4g}" for method, v in errors.items()), flush=True)
    return {**errors, "sigma": sigma}


def draw(found: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Draw the errors of each method on each table."""
    picture, axes = report.figure(1, len(found), 6.3 * len(found), 5.6)
    for column, (panel, (name, splits)) in enumerate(zip(axes[0], found.items(), strict=True)):
        methods = [method for method in splits[0] if method not in ("sigma", "mean")]
        for k, method in enumerate(methods):
            errors, colour = [one[method] for one in splits], report.COLOURS[method in (ONE, OURS)]
            panel.plot(errors, [k] * len(errors), "o", color=colour, markersize=4, alpha=0.6)
            panel.plot([np.mean(errors)] * 2, [k - 0.35, k + 0.35], color=colour)
        panel.axvline(TASKS[name].published, color="black", linestyle=":", linewidth=1)
        panel.set_yticks(range(len(methods)), [m.replace(", ", ",\n") for m in methods] if column == 0 else [])
        panel.set(xlabel=f"test error ({TASKS[name].unit})", title=name)
        panel.invert_yaxis()
    report.save(picture, path)


def tell(found: dict[str, list[dict[str, float]]]) -> tuple[list[str], dict[str, Any]]:
    """Return a table for each data set, with sentences, and the paired differences from the ensembles."""
    told, gaps, verdicts = list[str](), dict[str, Any](), list[str]()
    for name, splits in found.items():
        rows, task, ours = [], TASKS[name], np.array([one[OURS] for one in splits])
        gaps[name] = {}
        for method in splits[0]:
            if method == "sigma":
                continue
            errors = np.array([one[method] for one in splits])
            gaps[name][method] = gap = report.mean_and_error(errors - ours)
            won = f"{(ours < errors).sum()} of {len(ours)}"
            more = ["", ""] if method == OURS else [report.with_error(*gap), won]
            rows.append([method, report.with_error(*report.mean_and_error(errors)), *more])
        rows += [["MC-dropout, published", task.published, "", ""], ["linear, published", task.linear, "", ""]]
        told.append(report.table([name, f"RMSE ({task.unit})", "more than five MLPs", "worse on splits"], rows))
        mean, error = report.mean_and_error(ours)
        times = ", ".join(f"{s:g} in {sum(one['sigma'] == s for one in splits)}" for s in task.sigmas)
        verdicts.append(
            f"{name} {report.with_error(mean, error)}, {'less' if mean < task.published else 'NOT less'} than "
            f"{task.published} ({(mean - task.published) / error:+.1f} standard errors; sigma {times} splits)"
        )
    told.append(f"Means over {len(ours)} splits with standard errors. Beside MC-dropout: {'; '.join(verdicts)}.")
    return told, {"gaps": gaps}


def main(
    folder: Path = report.RESULTS / "uci_regression", splits: int = 20, share: float = 1.0, trees: int = 1000,
    workers: int = 2,
) -> dict[str, Any]:  # fmt: skip
    """Learn from all splits of all tables, with a share of the epochs, and write the folder."""
    clock = report.begin(folder)
    jobs = [(name, split) for name in TASKS for split in range(splits)]
    work = partial(one, share=share, trees=trees)
    if workers == 1:
        outcomes = list(map(work, jobs))
    else:
        for name in TASKS:
            TASKS[name].read()  # fetched once, before two processes would
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            outcomes = list(pool.map(work, jobs))
    found = {name: [o for job, o in zip(jobs, outcomes, strict=True) if job[0] == name] for name in TASKS}
    draw(found, folder / "uci.png")
    told, gaps = tell(found)
    print(*told, sep="\n\n")
    settings = {"seeds": list(range(splits)), "share": share, "trees": trees, "seconds": round(clock())}
    report.write(folder, __file__, __doc__, told, PICTURES, {"errors": found, **gaps}, settings)
    return found


if __name__ == "__main__":
    main()
