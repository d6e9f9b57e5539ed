"""Are the intervals of a network sampled over its weights as wide as they should be, and those of dropout?

Concrete (Yeh 1998): strength in MPa of 1,030 samples from eight features, the age by its logarithm, all standardised.
With 200 rows to learn from there is much to be unsure of, and 830 others tell how sure a method may be. Three methods
give a law of each answer:

    HMC             the posterior of all weights of a network of tanh units, E(w) = -ln p(y | X, w) - ln p(w), by
                    Hamiltonian Monte Carlo from fresh networks; weights ~ N(0, 1 / inputs of their layer), biases
                    ~ N(0, 1), and the logarithm of the noise ~ N(ln 0.5, 1) is one more coordinate
    MC dropout      the same network with dropout, which stays on when it predicts (Gal and Ghahramani 2016); the rate
                    and the noise are those of the best ln p(y | x) in cross-validation within the 200 rows
    linear          the posterior of a linear model, in closed form (Bishop 2006); weights ~ N(0, 1), the noise is its
                    error in cross-validation

A law is judged by its mean (RMSE), by ln p(y | x) in nats, and by how often an answer lies in its central intervals.
Chains must agree on every prediction (R-hat); weights themselves need not, since units can change places. The same HMC
on the linear model is compared with its closed form.

Published, for 927 rows to learn from: 5.67 MPa and -3.16 nats by probabilistic backpropagation (Hernandez-Lobato and
Adams 2015), 5.23 and -3.04 by dropout (Gal and Ghahramani 2016).
"""

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import report
import torch
from scipy.stats import norm

import models
import samplers
from models import datasets
from samplers.diagnosis import diagnose

LEVELS, CURVE = (0.5, 0.8, 0.95), np.linspace(0.05, 0.95, 19)
RATES = (0.02, 0.05, 0.1, 0.2)
NOISES = np.geomspace(0.15, 0.7, 15)  # in deviations of the strength
FOLDS = 4
PICTURES = {
    "bayesian_regression.png": "Left: strengths predicted by HMC with their 95 % intervals over true ones, 60 test "
    "rows of the first split. Middle: how much more often than asked an answer lies in the central interval, with "
    "standard errors over splits. Right: root mean square error of test rows in fifths by predicted deviation; the "
    "line is where they are equal.",
}


class Split(NamedTuple):
    """Standardised rows to learn from and to judge by; `unit` is the deviation of the strength in MPa."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    unit: float


class Law(NamedTuple):
    """What a method says of the test rows: draws of the mean (draws, n), and the noise of each, (draws, 1)."""

    draws: np.ndarray
    noise: np.ndarray

    def log_p(self, y: np.ndarray) -> np.ndarray:
        """Return ln p(y | x), (n,), of answers (n,): the mean over draws is within the logarithm."""
        each = norm.logpdf(y, self.draws, self.noise)
        return np.logaddexp.reduce(each, 0) - np.log(len(each))

    def answers(self, seed: int) -> np.ndarray:
        """Return draws of the answers (draws, n): of the mean, and of the noise."""
        return self.draws + self.noise * np.random.default_rng(seed).standard_normal(self.draws.shape)

    def deviation(self) -> np.ndarray:
        """Return the standard deviation of the answers, (n,)."""
        return np.sqrt(self.draws.var(0) + np.mean(self.noise**2))


def split(table: Any, rows: int, seed: int) -> Split:
    """Draw rows to learn from; the scales are theirs alone."""
    x = np.c_[table.x[:, :-1], np.log(table.x[:, -1])]
    order = np.random.default_rng(seed).permutation(len(x))
    train, test = order[:rows], order[rows:]
    z = (x - x[train].mean(0)) / x[train].std(0)
    unit = float(table.y[train].std())
    y = (table.y - table.y[train].mean()) / unit
    return Split(z[train], y[train], z[test], y[test], unit)


def folds(rows: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return rows to learn from and rows left out, so that each is left out once."""
    every = np.arange(rows)
    return [(every[every % FOLDS != k], every[every % FOLDS == k]) for k in range(FOLDS)]


def linear(x: np.ndarray, y: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and covariance of the weights, the bias last, of a linear model with the prior N(0, 1)."""
    design = np.c_[x, np.ones(len(x))]
    covariance = np.linalg.inv(design.T @ design / noise**2 + np.eye(design.shape[1]))
    return covariance @ design.T @ y / noise**2, covariance


def linear_law(data: Split, draws: int, seed: int) -> tuple[Law, np.ndarray, np.ndarray]:
    """Return the law of the linear model, and mean and covariance of its weights."""
    errors = []
    for train, left in folds(len(data.y)):
        w, _ = linear(data.x[train], data.y[train], 1.0)
        errors.append(data.y[left] - data.x[left] @ w[:-1] - w[-1])
    noise = float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))
    mean, covariance = linear(data.x, data.y, noise)
    w = np.random.default_rng(seed).multivariate_normal(mean, covariance, draws)
    return Law(w[:, :-1] @ data.x_test.T + w[:, -1:], np.full((draws, 1), noise)), mean, covariance


def dropout_draws(
    x: np.ndarray, y: np.ndarray, x_test: np.ndarray, rate: float, hidden: int, epochs: int, draws: int, seed: int
) -> np.ndarray:
    """Return passes (draws, n) of a network that learned with dropout and keeps it."""
    network = models.MLP(x.shape[1], hidden=(hidden,), activation="Tanh", dropout=rate, seed=seed)
    models.fit(
        network, (x, y), epochs=epochs, batch_size=50, learning_rate=0.01, seed=seed, progress=False,
        optimiser=partial(torch.optim.AdamW, weight_decay=0.01), schedule=models.one_cycle(epochs),
    )  # fmt: skip
    network.train()
    inputs = torch.as_tensor(x_test, dtype=torch.float32)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.stack([network(inputs) for _ in range(draws)]).double().numpy()


def dropout_law(data: Split, hidden: int, epochs: int, draws: int, seed: int) -> tuple[Law, dict[str, float]]:
    """Return the law of dropout at the rate and noise of the best ln p in cross-validation, and what they are."""
    tried = {}
    for rate in RATES:
        left_out = []
        for train, left in folds(len(data.y)):
            passes = dropout_draws(data.x[train], data.y[train], data.x[left], rate, hidden, epochs, 200, seed)
            left_out.append([Law(passes, np.full((200, 1), noise)).log_p(data.y[left]) for noise in NOISES])
        for noise, log_p in zip(NOISES, np.concatenate(left_out, 1).mean(1), strict=True):
            tried[rate, noise] = float(log_p)
    rate, noise = max(tried, key=lambda pair: tried[pair])
    passes = dropout_draws(data.x, data.y, data.x_test, rate, hidden, epochs, draws, seed)
    return Law(passes, np.full((draws, 1), noise)), {"rate": rate, "noise": float(noise), "log_p": tried[rate, noise]}


def sampled_law(
    data: Split, hidden: int, chains: int, draws: int, warmup: int, steps: int, seed: int
) -> tuple[Law, dict[str, float]]:
    """Return the law of the network's posterior, and how well its chains agree on the predictions."""
    inputs = data.x.shape[1]
    widths = np.concatenate([
        np.full(inputs * hidden, inputs**-0.5), np.ones(hidden), np.full(hidden, hidden**-0.5), np.ones(1),
    ])  # fmt: skip

    def posterior(seed: int) -> models.Posterior:
        network = models.MLP(inputs, hidden=(hidden,), activation="Tanh", initialisation="xavier", seed=seed)
        return models.Posterior(network, data.x, data.y, prior_width=widths, noise=0.5, noise_width=1.0)

    energy = posterior(seed)
    sampler = samplers.HMC(0.02, steps=steps, target_acceptance=0.6)
    run = samplers.sample(
        energy, sampler, chains=chains, draws=draws, warmup=warmup, seed=seed,
        init=np.stack([posterior(1000 * seed + k).weights for k in range(chains)]),
    )  # fmt: skip
    predictions = energy.predict(data.x_test, run.x)  # (chains, draws, n)
    rows = [diagnose(series) for series in np.moveaxis(predictions, 2, 0)]
    found = {
        "r_hat": max(row.r_hat for row in rows),
        "r_hat_energy": diagnose(run.energy).r_hat,
        "r_hat_noise": diagnose(run.x[:, :, -1]).r_hat,
        "least_ess": min(row.ess for row in rows),
        "acceptance": float(run.acceptance.mean()),
    }
    return Law(predictions.reshape(-1, len(data.y_test)), np.exp(run.x[:, :, -1]).reshape(-1, 1)), found


def closed_form_z(data: Split, noise: float, mean: np.ndarray, covariance: np.ndarray, seed: int) -> np.ndarray:
    """Return by how many standard errors HMC misses the means and the variances of the linear model's weights."""
    network = models.MLP(data.x.shape[1], hidden=(), seed=seed)
    energy = models.Posterior(network, data.x, data.y, noise=noise)
    run = samplers.sample(energy, samplers.HMC(), chains=16, draws=200, warmup=200, seed=seed)
    values, vectors = np.linalg.eigh(covariance)
    z = (np.asarray(run.x) - mean) @ vectors / np.sqrt(values)
    means = np.concatenate([z, z**2 - 1.0], 2).mean(1)  # of each chain
    return means.mean(0) / (means.std(0, ddof=1) / np.sqrt(len(means)))


def judged(law: Law, data: Split, seed: int) -> dict[str, Any]:
    """Return RMSE (MPa), mean ln p(y | x) (nats, y in MPa), coverages, and errors in fifths by predicted deviation."""
    error, deviation = data.y_test - law.draws.mean(0), law.deviation()
    rank = (law.answers(seed) < data.y_test).mean(0)  # uniform, if the law is right
    off = np.abs(2.0 * rank - 1.0)
    fifths = np.array_split(np.argsort(deviation), 5)
    return {
        "rmse": data.unit * float(np.sqrt(np.mean(error**2))),
        "log_p": float(law.log_p(data.y_test).mean() - np.log(data.unit)),
        "coverage": [float((off < level).mean()) for level in LEVELS], "curve": [(off < p).mean() for p in CURVE],
        "deviation": [data.unit * deviation[part].mean() for part in fifths],
        "fifths": [data.unit * np.sqrt(np.mean(error[part] ** 2)) for part in fifths],
    }  # fmt: skip


def draw(found: dict[str, list[dict]], law: Law, data: Split, path: Path) -> None:
    """Draw intervals of HMC, coverage and the errors by predicted deviation."""
    picture, axes = report.figure(1, 3, 19, 6)
    few = slice(0, 60)
    low, high = (data.unit * np.quantile(law.answers(0)[:, few], q, axis=0) for q in (0.025, 0.975))
    middle, true = data.unit * law.draws.mean(0)[few], data.unit * data.y_test[few]
    axes[0, 0].errorbar(true, middle, (middle - low, high - middle), fmt="o", color=report.COLOURS[0], elinewidth=1)
    axes[0, 0].axline((0.0, 0.0), slope=1.0, color="0.6", linewidth=1)
    axes[0, 0].set(xlabel="true strength above the mean (MPa)", ylabel="predicted (MPa)", title="HMC, 95 % intervals")
    for k, (name, runs) in enumerate(found.items()):
        curves = 100 * (np.array([run["curve"] for run in runs]) - CURVE)
        error = curves.std(0, ddof=1) / np.sqrt(len(runs)) if len(runs) > 1 else None
        style = {"color": report.COLOURS[k], "marker": report.MARKERS[k], "label": name}
        axes[0, 1].errorbar(100 * CURVE, curves.mean(0), error, **style)
        axes[0, 2].plot(*(np.mean([run[what] for run in runs], 0) for what in ("deviation", "fifths")), **style)
    axes[0, 1].axhline(0.0, color="0.6", linewidth=1)
    axes[0, 1].set(xlabel="interval asked for (%)", ylabel="answers within, more than that (%)", title="calibration")
    axes[0, 2].axline((8.0, 8.0), slope=1.0, color="0.6", linewidth=1)
    axes[0, 2].set(xlabel="predicted deviation (MPa)", ylabel="error (MPa)", title="who knows what they do not know")
    axes[0, 1].legend()
    report.save(picture, path)


def tell(found: dict[str, list[dict]], agreed: list[dict], z: np.ndarray) -> list[str]:
    """Return the table, and sentences on the chains."""
    rows = []
    for name, runs in found.items():
        columns = [[run["rmse"] for run in runs], [run["log_p"] for run in runs]]
        columns += [[100 * run["coverage"][k] for run in runs] for k in range(len(LEVELS))]
        rows.append([name, *(report.with_error(*report.mean_and_error(column)) for column in columns)])
    head = ["", "RMSE (MPa)", "ln p(y given x) (nats)", *(f"in {100 * level:g} % intervals (%)" for level in LEVELS)]
    worst = {what: [run[what] for run in agreed] for what in agreed[0]}
    return [
        report.table(head, rows),
        f"Means over {len(agreed)} splits with standard errors. HMC: the largest R-hat of any prediction is "
        f"{max(worst['r_hat']):.4f} (of the energy {max(worst['r_hat_energy']):.4f}, of the noise "
        f"{max(worst['r_hat_noise']):.4f}), the least effective number of "
        f"draws {min(worst['least_ess']):.0f}, acceptance {np.mean(worst['acceptance']):.2f}.",
        f"HMC on the linear model against its closed form: {len(z)} means and variances, of whose z-scores the largest "
        f"is {np.abs(z).max():.2f} and the root mean square {np.sqrt(np.mean(z**2)):.2f}.",
    ]


def main(
    folder: Path = report.RESULTS / "bayesian_regression", rows: int = 200, hidden: int = 30, epochs: int = 300,
    chains: int = 12, draws: int = 700, warmup: int = 300, steps: int = 40, splits: int = 3, seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Learn from every split by every method, judge them, and write the folder."""
    clock, table = report.begin(folder), datasets.concrete()
    found: dict[str, list[dict]] = {"HMC": [], "MC dropout": [], "linear": []}
    agreed, rates, first = [], [], None
    for s in range(seed, seed + splits):
        data = split(table, rows, s)
        line, mean, covariance = linear_law(data, 2000, s)
        dropped, chosen = dropout_law(data, hidden, epochs, 1000, s)
        sampled, agreement = sampled_law(data, hidden, chains, draws, warmup, steps, s)
        for name, law in zip(found, (sampled, dropped, line), strict=True):
            found[name].append({**judged(law, data, s), "noise": data.unit * float(law.noise.mean())})
        agreed.append(agreement)
        rates.append(chosen)
        first = first or (sampled, data, closed_form_z(data, line.noise[0, 0], mean, covariance, s))
        print(
            f"split {s}: {agreement}, RMSE {[round(runs[-1]['rmse'], 2) for runs in found.values()]} ({clock():.0f} s)"
        )
    draw(found, *first[:2], folder / "bayesian_regression.png")
    told = tell(found, agreed, first[2])
    print(*told, sep="\n\n")
    numbers = {"judged": found, "chains": agreed, "dropout": rates, "z": first[2]}
    settings = {
        "rows": rows, "hidden": hidden, "epochs": epochs, "chains": chains, "draws": draws, "warmup": warmup,
        "steps": steps, "splits": splits, "seed": seed, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
