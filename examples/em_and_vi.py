"""Do EM, variational inference and maximum likelihood recover the truth, up to what cannot be known?

Probabilistic PCA and factor analysis: three codes behind ten numbers. The truth is known, so that everything can be
compared: the density learned with the true one, and the loadings W with the true loadings.

A rotation of the codes changes no density, so W can be known up to a rotation at best. EM and maximum likelihood end at
an arbitrary one; variational inference with independent codes ends at the axes in which the posterior is a product,
and finds the columns of W themselves, up to signs and order, since the columns here are orthogonal in the metric of the
noise. The best likelihood is the same for all three, and for scikit-learn's FactorAnalysis.

Theory: of a density with k free parameters, learned from n points, the Kullback-Leibler divergence from the truth is
k / 2n on average (Wilks 1938, Akaike 1974), k counting W without its rotations.
"""

from pathlib import Path
from typing import Any

import numpy as np
import report
from sklearn.decomposition import FactorAnalysis

import models

D, Q = 10, 3
METHODS = {"em": "EM", "vi": "variational", "ml": "maximum likelihood"}
PICTURES = {
    "divergence.png": "Kullback-Leibler divergence from the truth, mean over data sets with two standard errors, and "
    "k / 2n (lines). The three methods lie on top of each other: they end at the same density.",
    "loadings.png": "Diagonal noise. Left: distance of W from the true W, after the best rotation and after the best "
    "signs and order only. Right: the bound or likelihood below its maximum along one fit.",
}


def truths(seed: int) -> dict[str, models.LinearGaussian]:
    """Return a true model of each kind of noise, with columns of W that are orthogonal in the metric of the noise."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((D, Q)))[0] * [3.0, 2.0, 1.5]
    variances = {"isotropic": np.full(D, 0.5), "diagonal": np.exp(rng.uniform(-0.7, 0.7, D))}
    return {kind: models.LinearGaussian(np.sqrt(v)[:, None] * axes, np.zeros(D), v) for kind, v in variances.items()}


def free_parameters(kind: str) -> int:
    """Return how many numbers the density has: W up to a rotation, the mean, and the noise."""
    return D * Q - Q * (Q - 1) // 2 + D + (1 if kind == "isotropic" else D)


def divergence(truth: models.LinearGaussian, found: models.LinearGaussian) -> float:
    """Return KL(truth || found) in nats, in closed form."""
    ratio = np.linalg.solve(found.covariance, truth.covariance)
    step = truth.mean - found.mean
    square = step @ np.linalg.solve(found.covariance, step)
    return 0.5 * float(np.trace(ratio) - D + square - np.linalg.slogdet(ratio)[1])


def distances(truth: models.LinearGaussian, found: models.LinearGaussian) -> tuple[float, float]:
    """Return |W - W_true| / |W_true| after the best rotation, and after the best signs and order."""
    left, _, right = np.linalg.svd(found.W.T @ truth.W)  # Procrustes (Schoenemann 1966)
    rotated = found.W @ left @ right
    overlap = found.W.T @ truth.W
    best = np.inf
    for order in np.array(np.meshgrid(*[range(Q)] * Q)).reshape(Q, -1).T:
        if len(set(order)) == Q:
            signs = np.sign(overlap[order, range(Q)])
            best = min(best, float(np.linalg.norm(found.W[:, order] * signs - truth.W)))
    size = np.linalg.norm(truth.W)
    return float(np.linalg.norm(rotated - truth.W) / size), best / float(size)


def fit(x: np.ndarray, kind: str, method: str, seed: int) -> models.LinearFit:
    """Return a fit to where an iteration gains less than a billionth of a nat."""
    return models.fit_linear_gaussian(
        x, Q, noise=kind, method=method, tolerance=1e-9, iterations=100_000, seed=seed
    )  # fmt: skip


def study(truth: models.LinearGaussian, kind: str, n: int, repeats: int, seed: int) -> dict[str, np.ndarray]:
    """Return divergence and both distances of each method for each data set, (repeats, 3), and scikit-learn's gain."""
    found: dict[str, list[Any]] = {name: [] for name in (*METHODS, "outsider")}
    for k in range(repeats):
        x = truth.sample(n, seed=seed + k)
        fits = {name: fit(x, kind, name, seed + k).model for name in METHODS}
        for name, model in fits.items():
            found[name].append([divergence(truth, model), *distances(truth, model)])
        if kind == "diagonal":
            outsider = FactorAnalysis(Q, tol=1e-6, max_iter=100_000, svd_method="lapack").fit(x)
            found["outsider"].append([outsider.score(x) - model.log_prob(x).mean() for model in fits.values()])
    return {name: np.array(values) for name, values in found.items() if values}


def _ticks(panel: Any, n: np.ndarray) -> None:
    """Mark the sizes of the data sets on an axis."""
    panel.set_xticks(n, [f"{m:,}" for m in n])
    panel.minorticks_off()


def draw_divergences(results: dict[str, dict[int, dict[str, np.ndarray]]], path: Path) -> None:
    """Draw divergences over the size of the data, and theory."""
    picture, axes = report.figure(1, 2, 14, 5.4)
    for panel, (kind, sizes) in zip(axes[0], results.items(), strict=True):
        n = np.array(list(sizes))
        panel.plot(n, free_parameters(kind) / (2 * n), color="0.5", label="k / 2n")
        for j, (name, label) in enumerate(METHODS.items()):
            values = np.array([sizes[m][name][:, 0] for m in n])
            error = 2 * values.std(1, ddof=1) / np.sqrt(values.shape[1])
            panel.errorbar(
                n * 1.12 ** (j - 1), values.mean(1), error, fmt=report.MARKERS[j], color=report.COLOURS[j], label=label
            )
        panel.set(xscale="log", yscale="log", xlabel="n", ylabel="divergence (nats)", title=f"{kind} noise")
        _ticks(panel, n)
        panel.legend()
    report.save(picture, path)


def draw_loadings(
    results: dict[int, dict[str, np.ndarray]], truth: models.LinearGaussian, seed: int, path: Path
) -> None:
    """Draw distances of the loadings over the size of the data, and how the fits converge."""
    picture, axes = report.figure(1, 2, 14, 5.4)
    n = np.array(list(results))
    for j, (name, label) in enumerate(METHODS.items()):
        means = np.array([results[m][name][:, 1:].mean(0) for m in n])
        axes[0, 0].plot(n, means[:, 0], report.MARKERS[j] + "-", color=report.COLOURS[j], label=label)
        axes[0, 0].plot(n, means[:, 1], report.MARKERS[j] + ":", color=report.COLOURS[j])
    axes[0, 0].set(xscale="log", yscale="log", xlabel="n", ylabel="relative distance of W")
    axes[0, 0].set_title("solid: rotated, dotted: signs and order")
    _ticks(axes[0, 0], n)
    axes[0, 0].legend()
    x = truth.sample(int(n[-1]), seed=seed)
    fits = {name: fit(x, "diagonal", name, seed) for name in METHODS}
    best = max(found.bounds[-1] for found in fits.values())
    for j, (name, found) in enumerate(fits.items()):
        below = np.maximum(best - found.bounds, 1e-12)
        axes[0, 1].plot(np.arange(1, len(below) + 1), below, color=report.COLOURS[j], label=METHODS[name])
    axes[0, 1].set(xscale="log", yscale="log", xlabel="iteration", ylabel="nats below the best", title="one fit")
    axes[0, 1].legend()
    report.save(picture, path)


def tell(results: dict[str, dict[int, dict[str, np.ndarray]]]) -> tuple[list[str], dict[str, Any]]:
    """Return the tables with sentences, and their numbers."""
    rows, numbers = [], dict[str, Any]()
    for kind, sizes in results.items():
        for n, found in sizes.items():
            for name in METHODS:
                scaled = found[name] * [2 * n, 1, 1]
                mean, error = scaled.mean(0), scaled.std(0, ddof=1) / np.sqrt(len(scaled))
                numbers[f"{kind}, n {n}, {name}"] = {"twice_n_divergence": mean[0], "error": error[0], "W": mean[1:]}
                cells = [report.with_error(m, e) for m, e in zip(mean, error, strict=True)]
                rows.append([kind, n, METHODS[name], free_parameters(kind), *cells])
    head = ["noise", "n", "method", "k", "2n KL", "W, rotated", "W, signs and order"]
    apart = np.abs(np.concatenate([found["outsider"] for found in results["diagonal"].values()]))
    numbers["scikit_learn"] = worst = dict(zip(METHODS, apart.max(0), strict=True))
    local = int((apart[:, 1] > 1e-3).sum())
    return [
        report.table(head, rows),
        "From the likelihood that scikit-learn's FactorAnalysis reaches EM is at most "
        f"{worst['em']:.1e} nats a point away, maximum likelihood {worst['ml']:.1e}; the variational fit ends at a "
        f"local maximum of its bound, more than 0.001 nats below, for {local} of {len(apart)} data sets.",
    ], numbers


def main(
    folder: Path = report.RESULTS / "em_and_vi", sizes: tuple[int, ...] = (200, 1000, 5000), repeats: int = 20,
    seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Fit all data sets in all ways, and write the folder."""
    clock = report.begin(folder)
    true = truths(seed)
    results = {kind: {n: study(truth, kind, n, repeats, 1000 * seed) for n in sizes} for kind, truth in true.items()}
    tables, numbers = tell(results)
    print("\n".join(tables))
    draw_divergences(results, folder / "divergence.png")
    draw_loadings(results["diagonal"], true["diagonal"], seed, folder / "loadings.png")
    settings = {"d": D, "latent": Q, "repeats": repeats, "seed": seed, "seconds": round(clock())}
    report.write(folder, __file__, __doc__, tables, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
