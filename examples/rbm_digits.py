"""A Boltzmann machine learns handwritten digits, and its log-likelihood is bracketed.

5,000 genuine MNIST digits of 28 x 28 pixels: 4,000 to learn from, 1,000 to be tested on. Pixels are binarised
stochastically: 1 with probability grey level / 255, drawn once for each test digit and 20 times for each training
digit, so that the machine learns the grey levels and not one throw of the dice. It is a restricted Boltzmann machine,
learned by persistent contrastive divergence with centred gradients.

Then what a sceptic asks for: fantasies from a long run at temperature 1 from random starts, with R-hat, effective draws
and autocorrelation times; log Z by annealed importance sampling from both sides; the log-likelihood of the test digits
beside two baselines: pixels that know nothing of each other, and a machine with one hidden unit, whose exact log Z also
checks the annealing. Log-likelihoods are in nats a digit.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import report
from matplotlib.ticker import MaxNLocator

import ebm
import samplers
from models import datasets

PICTURES = {
    "training.png": "Left: mean log-likelihood along training, by short annealing (rough by a nat or two); the band is "
    "the final bracket. "
    "Right: pseudo-log-likelihood of the training digits, and the free-energy gap, which grows on overfitting.",
    "weights.png": "What hidden units look for: the weights of 100 of them (blue negative, red positive).",
    "fantasies.png": "Fantasies: each row one chain at temperature 1 from a random start, many sweeps between pictures "
    "(probabilities of the pixels given the hidden units). Top row: test digits.",
    "diagnosis.png": "The energy of these chains: trace, autocorrelation, ranks, histogram.",
}


def independent_pixels(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return ln p of each test digit if pixels are independent, with frequencies as in one more digit on, one off."""
    p = (train.sum(0) + 1.0) / (len(train) + 2.0)
    return test @ np.log(p) + (1 - test) @ np.log1p(-p)


def learn(
    rbm: ebm.RBM, train: np.ndarray, test: np.ndarray, epochs: int, looks: int, seed: int
) -> tuple[list[dict[str, float]], np.ndarray]:
    """Learn the machine; return the record of each epoch, and (epoch, train, test) log-likelihoods of a few of them."""
    records, curve, marks = [], [], set(np.linspace(1, epochs, looks).astype(int))
    steps = ebm.training(
        rbm, train, ebm.PersistentCD(chains=100), epochs=epochs, batch_size=100, learning_rate=0.05, centred=True,
        schedule=lambda epoch: 1.0 - epoch / epochs, validation=test, seed=seed,
    )  # fmt: skip
    for record in steps:
        records.append(record)
        if int(record["epoch"]) in marks:
            with warnings.catch_warnings():  # a rough look along the way: its bracket is not used
                warnings.simplefilter("ignore", RuntimeWarning)
                log_z = ebm.log_z(rbm, "ais", chains=100, steps=1000, data=train, seed=seed, progress=False)
            curve.append((record["epoch"], *(ebm.log_likelihood(rbm, v, log_z).value for v in (train, test))))
            print("epoch {:3.0f}   log-likelihood: train {:8.2f}   test {:8.2f}".format(*curve[-1]), flush=True)
    return records, np.array(curve)


def one_hidden_unit(train: np.ndarray, test: np.ndarray, seed: int) -> tuple[float, ebm.LogZ, float]:
    """Learn one hidden unit by its exact likelihood; return exact and annealed ln Z, and the log-likelihood of test."""
    rbm = ebm.RBM(784, 1, b=pixel_logits(train), seed=seed)
    ebm.fit(
        rbm, train[:4000], ebm.ExactLikelihood(), epochs=20, batch_size=100, learning_rate=0.1,
        optimiser=ebm.SGD(momentum=0.9), seed=seed, progress=False,
    )  # fmt: skip
    exact = ebm.log_z(rbm).value
    annealed = ebm.log_z(rbm, "ais", chains=500, steps=4000, data=train[:4000], seed=seed, progress=False)
    return exact, annealed, ebm.log_likelihood(rbm, test, exact).value


def pixel_logits(train: np.ndarray) -> np.ndarray:
    """Return the biases of independent pixels, ln(p / (1 - p)), with p as in `independent_pixels`."""
    p = (train.sum(0) + 1.0) / (len(train) + 2.0)
    return np.log(p) - np.log1p(-p)


def draw_training(records: list[dict[str, float]], curve: np.ndarray, bounds: list[float], path: Path) -> None:
    """Draw log-likelihoods along training with the final bracket, and what each epoch tells for free."""
    picture, axes = report.figure(1, 2, 14, 5.4)
    for column, name, colour, marker in ((1, "train", report.COLOURS[0], "o"), (2, "test", report.COLOURS[1], "s")):
        axes[0, 0].plot(curve[:, 0], curve[:, column], marker=marker, color=colour, label=name)
    axes[0, 0].axhspan(*bounds, color=report.COLOURS[1], alpha=0.35, linewidth=0, label="final bracket (test)")
    axes[0, 0].set(xlabel="epoch", ylabel="log-likelihood (nats a digit)", title="how probable are digits?")
    axes[0, 0].legend(loc="lower right")
    epochs = [record["epoch"] for record in records]
    axes[0, 1].plot(epochs, [r["pseudo_log_likelihood"] for r in records], color=report.COLOURS[0])
    axes[0, 1].set(
        xlabel="epoch", ylabel="pseudo-log-likelihood (nats a digit)", title="what each epoch tells for free"
    )
    axes[0, 1].yaxis.label.set_color(report.COLOURS[0])
    gap = axes[0, 1].twinx()
    gap.plot(epochs, [r["free_energy_gap"] for r in records], "--", color=report.COLOURS[1])
    gap.set_ylabel("free-energy gap, test - train (nats)", color=report.COLOURS[1])
    gap.spines["right"].set_visible(True)
    for panel in axes.flat:
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    report.save(picture, path)


def mosaic(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return images (rows * columns, 784) side by side, with a line between them."""
    tiles = np.pad(images.reshape(rows, columns, 28, 28), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    return tiles.transpose(0, 2, 1, 3).reshape(rows * 30, columns * 30)


def draw_images(
    images: np.ndarray, rows: int, columns: int, title: str, path: Path, limit: float | None = None
) -> None:
    """Draw a mosaic: grey from 0 to 1, or, with a limit, blue to red from -limit to limit."""
    width = 10.4
    picture, axes = report.figure(1, 1, width, width * rows / columns + 0.4)
    colours = (
        {"cmap": "gray_r", "vmin": 0, "vmax": 1} if limit is None else {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    )
    axes[0, 0].imshow(mosaic(images, rows, columns), interpolation="nearest", **colours)
    axes[0, 0].set(title=title, xticks=[], yticks=[])
    axes[0, 0].spines[:].set_visible(False)
    report.save(picture, path)


def draw_run(run: samplers.Chains, rbm: ebm.RBM, test: np.ndarray, folder: Path) -> None:
    """Draw the weights, the fantasies of every chain along its run, and the diagnosis of their energies."""
    order = np.argsort(-np.square(rbm.W).sum(0))[: min(100, rbm.n_hidden // 10 * 10)]  # the strongest, in full rows
    limit = float(np.quantile(np.abs(rbm.W[:, order]), 0.995))
    draw_images(rbm.W.T[order], len(order) // 10, 10, "weights of hidden units", folder / "weights.png", limit)
    shown = np.linspace(0, run.shape[1] - 1, 12).astype(int)
    fantasies = [rbm.visible(rbm.hidden(np.stack([run.x[chain, k] for k in shown]))) for chain in range(run.shape[0])]
    pictures = np.concatenate([test[:12].astype(float), *fantasies])
    title = "test digits (top row), and eight chains at temperature 1"
    draw_images(pictures, len(pictures) // 12, 12, title, folder / "fantasies.png")
    report.save(samplers.plot_overview(run), folder / "diagnosis.png")


def main(
    folder: Path = report.RESULTS / "rbm_digits", hidden: int = 300, copies: int = 20, epochs: int = 20, looks: int = 8,
    draws: int = 1000, thin: int = 200, chains: int = 200, steps: int = 10_000, seed: int = 1,
) -> dict:  # fmt: skip
    """Learn the digits, sample, diagnose and weigh what was learned, and write the folder."""
    clock = report.begin(folder)
    images, labels = datasets.digits()
    data = datasets.split(images.reshape(len(images), 784), labels)
    rng = np.random.default_rng(seed)
    test = datasets.binarise(data.test_images, "stochastic", seed=rng)
    train = datasets.binarise(np.tile(data.train_images, (copies, 1)), "stochastic", seed=rng)

    print(f"Learning {len(data.train_images):,} digits, binarised {copies} times, with {hidden} hidden units")
    rbm = ebm.RBM(784, hidden, b=pixel_logits(train), seed=seed)
    records, curve = learn(rbm, train, test, epochs, looks, seed)
    report.new_file(folder / "rbm.hdf5")
    rbm.save(folder / "rbm.hdf5")
    learned = clock()

    print(f"{learned:.0f} s. Fantasies: 8 chains from random starts, {draws * thin:,} sweeps each")
    run = samplers.sample(
        rbm, samplers.Gibbs(), chains=8, draws=draws, warmup=draws * thin // 10, thin=thin, seed=seed,
        observables={"pixels on": lambda v: v.mean(1)}, store=report.new_file(folder / "chains.h5"),
    )  # fmt: skip
    diagnosis = samplers.summary(run)
    print(f"{diagnosis}\n{clock():.0f} s. log Z: {chains} chains over {steps:,} temperatures, forward and back")

    log_z = ebm.log_z(rbm, "ais", chains=chains, steps=steps, data=train, seed=seed)
    scores = {name: ebm.log_likelihood(rbm, v, log_z) for name, v in (("test", test), ("train", train[:4000]))}
    baselines = independent_pixels(train, test).mean(), *one_hidden_unit(train, test, seed)
    tables = tell(scores, log_z, baselines, hidden)
    print("\n".join(tables))

    draw_training(records, curve, [scores["test"].lower, scores["test"].upper], folder / "training.png")
    draw_run(run, rbm, test, folder)
    numbers = {
        "log_likelihood": {name: score._asdict() for name, score in scores.items()}, "log_z": log_z._asdict(),
        "independent_pixels": baselines[0], "one_hidden_unit": baselines[3],
        "one_hidden_unit_log_z": {"exact": baselines[1], "annealed": baselines[2]._asdict()}, "curve": curve,
        "energy": diagnosis.rows["energy"]._asdict(), "verdict": diagnosis.verdict,
    }  # fmt: skip
    settings = {
        "hidden": hidden, "copies": copies, "epochs": epochs, "draws": draws, "thin": thin, "chains": chains,
        "steps": steps, "seed": seed, "seconds_learning": round(learned), "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, [*tables, f"```\n{diagnosis}\n```"], PICTURES, numbers, settings)
    print(f"{clock():.0f} s. Figures and numbers: {folder}. Look further:")
    print(f"  {sys.executable} -m samplers {folder / 'chains.h5'} --plot")
    print(f"  {sys.executable} -c \"import ebm; print(ebm.load('{folder / 'rbm.hdf5'}').W.std())\"")
    return numbers


def tell(
    scores: dict[str, ebm.LogLikelihood], log_z: ebm.LogZ, baselines: tuple[float, float, ebm.LogZ, float], hidden: int
) -> list[str]:
    """Return the table of log-likelihoods and the sentences that say how well they are known."""
    independent, exact, annealed, single = baselines
    rows = [
        ["independent pixels", "test", f"{independent:.2f}", "exact"],
        ["1 hidden unit", "test", f"{single:.2f}", "exact"],
    ]
    rows += [
        [f"{hidden} hidden units", name, f"{score.value:.2f}", f"{score.lower:.2f} to {score.upper:.2f}"]
        for name, score in scores.items()
    ]
    return [
        report.table(["model", "digits", "log-likelihood (nats a digit)", "bracket"], rows),
        f"ln Z is {log_z.value:.2f} ± {log_z.error:.2f}, bracketed by {log_z.lower:.2f} and {log_z.upper:.2f}. That "
        f"the test digits are but a sample makes their mean uncertain by ± {scores['test'].error:.2f}.",
        f"Check of the annealing, with one hidden unit: ln Z is {annealed.value:.3f} ± {annealed.error:.3f} "
        f"by annealing, and {exact:.3f} exactly.",
    ]


if __name__ == "__main__":
    main()
