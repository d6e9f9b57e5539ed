"""How well are fours told from nines: at all thresholds, and do the probabilities mean what they say?

A classifier gives a score s, and a threshold makes a decision of it. Over all thresholds the area under the curve of
true against false positives is

    AUC = P(s of a nine > s of a four),

the statistic of Mann and Whitney, and its standard error over test digits, with the covariance of two classifiers on
the same digits, that of DeLong, DeLong and Clarke-Pearson (1988). It says nothing about probabilities: these are
judged by Brier's score <(p - y)^2>, and by how many digits of the probability p are nines.

A network with one hidden layer and one without learn from 1,000 fours and nines of MNIST, beside chance and
scikit-learn's logistic regression and gradient boosting; the decay of the weights is that of scikit-learn's
regression, to which the network without hidden layers must be equal. All test fours and nines are used. Another
training set is another result: the spread over random ones is given as well.
"""

from functools import partial
from pathlib import Path
from typing import Any

import classified_digits as cd
import numpy as np
import report
import torch
from scipy.stats import rankdata
from sklearn import metrics
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import models

NEGATIVE, POSITIVE = 4, 9
LINEAR, NETWORK, REGRESSION = "network, no hidden layer", "network, 64 hidden units", "logistic regression"
THRESHOLDS = (0.01, 0.1, 0.5, 0.9, 0.99)
PICTURES = {
    "roc.png": "Left: ROC of the first training set, false positives on a logarithmic scale. Middle: precision, recall "
    "and weighted F1 of the network with 64 hidden units over the threshold, on the scale of log odds. Right: share of "
    "nines among test digits over the probability that was given, with binomial errors (calibrated: the diagonal); "
    "points of fewer than ten digits are left out.",
}


def pairs(data: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the fours and nines of a set as pixels (n, 784), float64, and labels (n,): 1 is a nine."""
    images, labels = data
    kept = (labels == NEGATIVE) | (labels == POSITIVE)
    return images[kept].reshape(-1, 784).astype(np.float64), (labels[kept] == POSITIVE).astype(np.int64)


def delong(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return AUCs (k,) of scores (k, n) for labels y (n,) of 0 and 1, and their covariance (k, k) over test sets.

    Of each positive the share of negatives below it, and of each negative the share of positives above it, have the
    AUC for mean; the covariance is the sum of those of the two means.
    """
    yes, no = scores[:, y == 1], scores[:, y == 0]
    ranks = rankdata(np.hstack([yes, no]), axis=1)
    m, n = yes.shape[1], no.shape[1]
    below = (ranks[:, :m] - rankdata(yes, axis=1)) / n
    above = 1.0 - (ranks[:, m:] - rankdata(no, axis=1)) / m
    return below.mean(1), np.atleast_2d(np.cov(below) / m + np.cov(above) / n)


def network(x: np.ndarray, y: np.ndarray, hidden: tuple[int, ...], epochs: int, seed: int) -> models.MLP:
    """Return a network that learned by L-BFGS (no hidden layer: to the minimum), or by Adam."""
    model, n = models.MLP(784, classes=2, hidden=hidden, seed=seed), len(y)
    if hidden:
        models.fit(
            model, (x, y), epochs=epochs, batch_size=50, learning_rate=1e-3, schedule=models.one_cycle(epochs),
            l2=1.0 / n, seed=seed,
        )  # fmt: skip
    else:
        newton = partial(
            torch.optim.LBFGS, max_iter=500, tolerance_grad=1e-10, tolerance_change=0.0, line_search_fn="strong_wolfe"
        )  # fmt: skip
        models.fit(
            model.double(), (x, y), epochs=3, batch_size=n, learning_rate=1.0, optimiser=newton, l2=1.0 / n, seed=seed
        )
    return model


def probabilities(
    train: tuple[np.ndarray, np.ndarray], x: np.ndarray, epochs: int, trees: int, seed: int
) -> dict[str, np.ndarray]:
    """Return the probability of a nine of each test digit, by each method."""
    regression = LogisticRegression(C=1.0, tol=1e-10, solver="newton-cholesky")  # minimises sum of losses + |w|^2 / 2C
    outsiders = {
        "chance": DummyClassifier(), REGRESSION: regression,
        "gradient boosting": HistGradientBoostingClassifier(max_iter=trees, random_state=seed),
    }  # fmt: skip
    found = {name: model.fit(*train).predict_proba(x)[:, 1] for name, model in outsiders.items()}
    for name, hidden in ((LINEAR, ()), (NETWORK, (64,))):
        found[name] = network(*train, hidden, epochs, seed).predict_probability(x)[:, 1]
    return found


def judged(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Return what scikit-learn says of probabilities p of the labels y."""
    return {
        "auc": metrics.roc_auc_score(y, p), "accuracy": metrics.accuracy_score(y, p > 0.5),
        "f1": metrics.f1_score(y, p > 0.5, average="weighted"), "brier": metrics.brier_score_loss(y, p),
        "nats": metrics.log_loss(y, p),
    }  # fmt: skip


def at_threshold(y: np.ndarray, p: np.ndarray, threshold: float) -> list[float]:
    """Return precision, recall, false positives' rate, weighted F1 and accuracy of the decision p > threshold."""
    called = p > threshold
    return [
        metrics.precision_score(y, called, zero_division=1.0), metrics.recall_score(y, called),
        float(called[y == 0].mean()), metrics.f1_score(y, called, average="weighted"),
        metrics.accuracy_score(y, called),
    ]  # fmt: skip


def bootstrap(y: np.ndarray, p: np.ndarray, repeats: int, seed: int) -> float:
    """Return the standard deviation of the AUC over test sets drawn again from each class."""
    rng, values = np.random.default_rng(seed), []
    parts = [np.flatnonzero(y == label) for label in (0, 1)]
    for _ in range(repeats):
        rows = np.concatenate([rng.choice(part, len(part)) for part in parts])
        values.append(delong(y[rows], p[None, rows])[0][0])
    return float(np.std(values, ddof=1))


def calibration(y: np.ndarray, p: np.ndarray, bins: int = 8) -> np.ndarray:
    """Return mean probability, share of nines, its binomial error and the number of digits of bins, (4, <= bins)."""
    place = np.minimum((p * bins).astype(int), bins - 1)
    rows = []
    for k in np.unique(place):
        inside = place == k
        mean, share, n = p[inside].mean(), y[inside].mean(), int(inside.sum())
        rows.append([mean, share, np.sqrt(mean * (1 - mean) / n), n])
    return np.array(rows).T


def draw(y: np.ndarray, found: dict[str, np.ndarray], path: Path) -> None:
    """Draw ROC, the decision over the threshold, and calibration."""
    picture, axes = report.figure(1, 3, 19, 5.8)
    shown = {name: p for name, p in found.items() if name != REGRESSION}  # the same curve as of the linear network
    for k, (name, p) in enumerate(shown.items()):
        if name == "chance":
            axes[0, 0].plot(np.geomspace(5e-4, 1), np.geomspace(5e-4, 1), color=report.COLOURS[k], label=name)
            continue
        wrong, right, _ = metrics.roc_curve(y, p, drop_intermediate=False)
        axes[0, 0].step(np.maximum(wrong, 5e-4), right, where="post", color=report.COLOURS[k], label=name)
        mean, share, error, n = calibration(y, p)
        many = n >= 10
        shift = 0.008 * (k - 2)  # so that points do not hide each other
        style = {"fmt": report.MARKERS[k] + "-", "color": report.COLOURS[k]}
        axes[0, 2].errorbar(mean[many] + shift, share[many], error[many], **style)
    axes[0, 0].set(xscale="log", xlabel="false positives", ylabel="true positives", title="ROC", xlim=(5e-4, 1))
    axes[0, 0].legend(loc="lower left", bbox_to_anchor=(0.03, 0.12))
    odds = np.linspace(-7, 7, 141)
    curves = np.array([at_threshold(y, found[NETWORK], 1 / (1 + np.exp(-t))) for t in odds])
    for k, (column, name) in enumerate(((0, "precision"), (1, "recall"), (3, "weighted F1"))):
        axes[0, 1].plot(odds, curves[:, column], color=report.COLOURS[k], label=name)
    axes[0, 1].set(xlabel="log odds of the threshold", title=NETWORK, ylim=(None, 1.005))
    axes[0, 1].legend(loc="lower center")
    axes[0, 2].plot([0, 1], [0, 1], color="black", linewidth=1)
    axes[0, 2].set(xlabel="probability of a nine", ylabel="share of nines", title="calibration", ylim=(-0.05, 1.05))
    report.save(picture, path)


def tell(y: np.ndarray, runs: list[dict[str, np.ndarray]], repeats: int, seed: int) -> tuple[list[str], dict[str, Any]]:
    """Return the tables with sentences, and their numbers."""
    first, names = runs[0], list(runs[0])
    all_judged = {name: [judged(y, run[name]) for run in runs] for name in names}
    auc, covariance = delong(y, np.array([first[name] for name in names]))
    rows = []
    for k, name in enumerate(names):
        mean = {what: np.mean([j[what] for j in all_judged[name]]) for what in all_judged[name][0]}
        spread = np.std([j["auc"] for j in all_judged[name]], ddof=1)
        ours = report.with_error(auc[k], np.sqrt(covariance[k, k])) if covariance[k, k] > 1e-20 else f"{auc[k]:.4f}"
        row = [f"{mean['auc']:.4f}", f"{spread:.4f}", *(f"{mean[w]:.4f}" for w in ("accuracy", "f1", "brier", "nats"))]
        rows.append([name, ours, *row])
    a, b = names.index(NETWORK), names.index(REGRESSION)
    gain, error = auc[a] - auc[b], np.sqrt(covariance[a, a] + covariance[b, b] - 2 * covariance[a, b])
    gains = np.array([j["auc"] - l["auc"] for j, l in zip(all_judged[NETWORK], all_judged[REGRESSION], strict=True)])
    again = bootstrap(y, first[NETWORK], repeats, seed)
    same = max(float(np.abs(run[LINEAR] - run[REGRESSION]).max()) for run in runs)
    numbers = {
        "judged": all_judged, "auc": dict(zip(names, auc, strict=True)), "covariance": covariance,
        "gain": [gain, error], "gains": gains, "bootstrap": again, "linear_apart": same,
        "calibration": {name: calibration(y, p) for name, p in first.items() if name != "chance"},
    }  # fmt: skip
    thresholds = [[t, *(f"{v:.4f}" for v in at_threshold(y, first[NETWORK], t))] for t in THRESHOLDS]
    head = ["method", "AUC, first set", "AUC, mean", "deviation", "accuracy", "weighted F1", "Brier", "nats"]
    return [
        report.table(head, rows),
        "In brackets the error of DeLong, of the test digits; means and standard deviations are over training sets. "
        f"Bootstrap of the test digits gives {again:.5f} for {NETWORK}, DeLong {np.sqrt(covariance[a, a]):.5f}.",
        f"Hidden units give {report.with_error(gain, error)} of AUC more than the logistic regression on the first "
        f"set ({gain / error:.1f} errors, paired), and {gains.mean():.4f} with a standard deviation of "
        f"{gains.std(ddof=1):.4f} over sets. The network without them gives the probabilities of scikit-learn's "
        f"regression to {same:.0e}.",
        f"Thresholds of {NETWORK}, first set:",
        report.table(["threshold", "precision", "recall", "false positives", "weighted F1", "accuracy"], thresholds),
    ], numbers


def main(
    folder: Path = report.RESULTS / "binary_roc", digits: int = 1000, sets: int = 5, epochs: int = 30,
    trees: int = 100, repeats: int = 1000, seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Learn from all training sets, judge, and write the folder."""
    clock = report.begin(folder)
    train, (x, y) = pairs(cd.digits("train")), pairs(cd.digits("test"))
    runs = [probabilities(cd.drawn(train, digits, s), x, epochs, trees, s) for s in range(seed, seed + sets)]
    draw(y, runs[0], folder / "roc.png")
    told, numbers = tell(y, runs, repeats, seed)
    print(*told, sep="\n\n")
    settings = {
        "digits": digits, "test_digits": len(y), "sets": sets, "epochs": epochs, "trees": trees, "repeats": repeats,
        "seed": seed, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
