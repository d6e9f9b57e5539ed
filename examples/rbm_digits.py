"""A Boltzmann machine learns handwritten digits, and how well is known: its log Z is bracketed.

5,000 genuine MNIST digits of 28 x 28 pixels, binarised stochastically once (a pixel is 1 with probability grey/255), in
4,000 to learn from and 1,000 to be tested on. A restricted Boltzmann machine is learned by persistent contrastive
divergence with centred gradients. Then everything a sceptic asks for: chains of fantasies at temperature 1 from random
starts, with R-hat, effective draws and autocorrelation times; log Z by annealed importance sampling from both sides; the
log-likelihood of the test digits beside two baselines, pixels that know nothing of each other, and a machine with one
hidden unit, whose exact log Z also checks the annealing.

All log-likelihoods are in nats a digit, of this one binarisation.
"""

import warnings
from pathlib import Path

import numpy as np
import report

import ebm
import samplers
from models import datasets

PICTURES = {
    "training.png": "Left: mean log-likelihood along training, from annealed log Z; the shaded band is the final bracket. "
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
        rbm, train, ebm.PersistentCD(k=1, chains=100), epochs=epochs, batch_size=100, learning_rate=0.1, seed=seed,
        centred=True, weight_decay=1e-4, schedule=lambda epoch: 1.0 - epoch / epochs, validation=test,
    )  # fmt: skip
    for record in steps:
        records.append(record)
        if int(record["epoch"]) in marks:
            with warnings.catch_warnings():  # a rough look along the way: its bracket is not used
                warnings.simplefilter("ignore", RuntimeWarning)
                log_z = ebm.log_z(rbm, "ais", chains=100, steps=300, data=train, seed=seed, progress=False)
            curve.append((record["epoch"], *(ebm.log_likelihood(rbm, v, log_z).value for v in (train, test))))
            print("epoch {:3.0f}   log-likelihood: train {:8.2f}   test {:8.2f}".format(*curve[-1]), flush=True)
    return records, np.array(curve)


def one_hidden_unit(train: np.ndarray, test: np.ndarray, epochs: int, seed: int) -> tuple[float, ebm.LogZ, float]:
    """Learn a machine of one hidden unit by its exact likelihood; return exact and annealed ln Z, and its test score."""
    rbm = ebm.RBM(784, 1, b=pixel_logits(train), seed=seed)
    ebm.fit(
        rbm, train, ebm.ExactLikelihood(), epochs=epochs, batch_size=100, learning_rate=0.05, seed=seed, progress=False
    )
    exact = ebm.log_z(rbm).value
    annealed = ebm.log_z(rbm, "ais", chains=500, steps=300, data=train, seed=seed, progress=False)
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
    report.save(picture, path)


def mosaic(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return images (rows * columns, 784) side by side, with a line between them."""
    tiles = np.pad(images.reshape(rows, columns, 28, 28), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    return tiles.transpose(0, 2, 1, 3).reshape(rows * 30, columns * 30)


def draw_images(
    images: np.ndarray, rows: int, columns: int, title: str, path: Path, limit: float | None = None
) -> None:
    """Draw a mosaic: grey from 0 to 1, or, with a limit, blue to red from -limit to limit."""
    picture, axes = report.figure(1, 1, 0.62 * columns, 0.62 * rows + 0.6)
    colours = (
        {"cmap": "gray_r", "vmin": 0, "vmax": 1} if limit is None else {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    )
    axes[0, 0].imshow(mosaic(images, rows, columns), interpolation="nearest", **colours)
    axes[0, 0].set(title=title, xticks=[], yticks=[])
    axes[0, 0].spines[:].set_visible(False)
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "rbm_digits", hidden: int = 500, epochs: int = 100, looks: int = 9,
    chains: int = 1000, steps: int = 5000, draws: int = 1000, thin: int = 20, seed: int = 1,
) -> dict:  # fmt: skip
    """Learn the digits, sample, diagnose and weigh what was learned, and write the folder."""
    clock = report.begin(folder)
    images, labels = datasets.digits()
    data = datasets.split(datasets.binarise(images, "stochastic", seed=seed).reshape(len(images), 784), labels)
    train, test = data.train_images, data.test_images

    print(f"Learning {len(train)} digits with {hidden} hidden units, {epochs} epochs")
    rbm = ebm.RBM(784, hidden, b=pixel_logits(train), seed=seed)
    records, curve = learn(rbm, train, test, epochs, looks, seed)
    learned = clock()
    report.new_file(folder / "rbm.h5")
    rbm.save(folder / "rbm.h5")

    print(f"Fantasies at temperature 1 from random starts ({learned:.0f} s so far)")
    run = samplers.sample(
        rbm, samplers.Gibbs(), chains=8, draws=draws, warmup=draws * thin // 5, thin=thin, seed=seed,
        observables={"pixels on": lambda v: v.mean(1)}, store=report.new_file(folder / "chains.h5"),
    )  # fmt: skip
    diagnosis = samplers.summary(run)
    print(diagnosis)

    print(f"log Z by annealing {chains} chains over {steps} temperatures, forward and back ({clock():.0f} s so far)")
    log_z = ebm.log_z(rbm, "ais", chains=chains, steps=steps, data=train, seed=seed)
    learned_train, learned_test = (ebm.log_likelihood(rbm, v, log_z) for v in (train, test))
    independent = independent_pixels(train, test)
    exact, annealed, single = one_hidden_unit(train, test, max(1, epochs // 10), seed)
    rows = [
        ["independent pixels", f"{independent.mean():.2f}", "exact"],
        ["one hidden unit", f"{single:.2f}", "exact"],
        [
            f"{hidden} hidden units",
            f"{learned_test.value:.2f}",
            f"{learned_test.lower:.2f} to {learned_test.upper:.2f}",
        ],
        [
            f"the same, training digits",
            f"{learned_train.value:.2f}",
            f"{learned_train.lower:.2f} to {learned_train.upper:.2f}",
        ],
    ]
    scores = report.table(["model", "log-likelihood (nats a digit)", "bracket"], rows)
    verdict = (
        f"ln Z = {log_z.value:.2f} ± {log_z.error:.2f}, between {log_z.lower:.2f} and {log_z.upper:.2f}; the spread of the "
        f"{len(test)} test digits makes their mean uncertain by ± {learned_test.error:.2f}. Check of the annealing on one hidden unit: "
        f"ln Z = {annealed.value:.3f} ± {annealed.error:.3f}, exactly {exact:.3f}."
    )
    print(f"{scores}\n{verdict}")

    draw_training(records, curve, [learned_test.lower, learned_test.upper], folder / "training.png")
    order = np.argsort(-np.square(rbm.W).sum(0))[:100]
    limit = float(np.quantile(np.abs(rbm.W[:, order]), 0.995))
    draw_images(rbm.W.T[order], len(order) // 10, 10, "weights of hidden units", folder / "weights.png", limit)
    shown = np.linspace(0, draws - 1, 12).astype(int)
    fantasies = rbm.visible(rbm.hidden(np.asarray(run.x)[:, shown].reshape(-1, 784)))
    pictures = np.concatenate([test[:12].astype(float), fantasies])
    draw_images(pictures, 9, 12, "test digits (top row), and eight chains at T = 1", folder / "fantasies.png")
    report.save(samplers.plot_overview(run), folder / "diagnosis.png")
    numbers = {
        "test_log_likelihood": learned_test._asdict(), "train_log_likelihood": learned_train._asdict(),
        "log_z": {"value": log_z.value, "error": log_z.error, "lower": log_z.lower, "upper": log_z.upper},
        "independent_pixels": independent.mean(), "one_hidden_unit": single,
        "one_hidden_unit_log_z": {"exact": exact, "annealed": annealed.value, "error": annealed.error},
        "curve": curve, "energy": diagnosis.rows["energy"]._asdict(), "trustworthy": diagnosis.trustworthy,
    }  # fmt: skip
    settings = {
        "hidden": hidden, "epochs": epochs, "chains": chains, "steps": steps, "draws": draws, "thin": thin, "seed": seed,
        "seconds": round(clock()), "seconds_learning": round(learned),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, [scores, verdict, f"```\n{diagnosis}\n```"], PICTURES, numbers, settings)
    print(f"Figures and numbers: {folder}. Look further:")
    print(f"  python -m samplers {folder / 'chains.h5'} --plot")
    print(f"  python -c \"import ebm; print(ebm.load('{folder / 'rbm.h5'}'))\"")
    print(
        f"Test log-likelihood {learned_test.value:.2f} nats, independent pixels {independent.mean():.2f}; {clock():.0f} s"
    )
    return numbers


if __name__ == "__main__":
    main()
