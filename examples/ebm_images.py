"""A convolutional energy learns digits, and its chains are run for as long as it takes at the temperature it claims.

In the setting of Du and Mordatch (2019) chains of a replay buffer make short runs of Langevin dynamics whose noise is
far too small for their step, which is a temperature far below 1: pictures get sharp, but no density is learned, and
longer chains saturate or freeze (Nijkamp et al. 2020). Here nothing is out of scale. MNIST, averaged to 14 x 14 pixels
with grey levels from 0 to 1, gets Gaussian noise of width 0.3, anew in every batch, so that the density to be learned
is a smooth one; the chains of the buffer are moved by Hamiltonian Monte Carlo, exact at temperature 1; and then the
same kernel runs for 100,000 gradients from noise and from test digits.

If the density has been learned, then along such runs (a) the energy of chains is that of test digits, (b) it is the
same in all of them, R-hat below 1.1, and (c) a classifier finds every digit among their ends, none more than three
times as often as it should be, or as rarely. The ends are few; where chains go on changing from digit to digit, which
is told too, the shares along their second halves say the same with less noise.

Noise of known width is taken away by the energy itself, <clean x | noisy x> = x - sigma^2 dE/dx (Tweedie), which is
how the pictures below have been made readable.
"""

from pathlib import Path
from typing import Any

import numpy as np
import report
from sklearn.neural_network import MLPClassifier

import ebm
import samplers
from models import datasets

SIGMA = 0.3  # of the noise, in units of the whole range of grey
KERNEL = samplers.HMC(step_size=0.12, steps=8, target_acceptance=None)
PICTURES = {
    "digits.png": "Test digits with noise, and the same without it, by the learned energy; chains from noise and from "
    "test digits along their runs, without noise: a row is a chain, and time goes to the right.",
    "energy.png": "Left: energy along the chains, and its mean and standard deviation over test digits (band). Right: "
    "what a classifier sees along their second halves, with a third of the uniform share and three times it.",
}


def digits(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return MNIST averaged over 2 x 2 pixels, (n, 14, 14) from 0 to 1, and its labels."""
    images, labels = datasets.mnist(part)
    return images.reshape(-1, 14, 2, 14, 2).mean((2, 4)) / 255, labels


def noisy(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return images with noise."""
    return x + SIGMA * rng.standard_normal(x.shape)


def cleaned(energy: ebm.NeuralEnergy, x: np.ndarray) -> np.ndarray:
    """Return the expected image without noise, for each image (n, 14, 14)."""
    return x - SIGMA**2 * energy.grad(x)


def learn(x: np.ndarray, epochs: int, chains: int, seed: int) -> ebm.NeuralEnergy:
    """Return the energy learned from images without noise, by persistent chains at temperature 1.

    The penalty holds the energies near zero, which the likelihood leaves free; without it they drift by hundreds.
    """
    width = float(np.sqrt(x.var() + SIGMA**2))
    energy = ebm.NeuralEnergy((14, 14), channels=(16, 32, 64), mean=x.mean(0), width=width, seed=seed)
    steps = ebm.training(
        energy, x, ebm.PersistentCD(k=2, chains=chains, sampler=KERNEL, energy_penalty=1e-4), epochs=epochs,
        batch_size=128, learning_rate=0.0005, optimiser=ebm.Adam(), averaging=0.99, augment=noisy,
        schedule=lambda epoch: 1.0 - epoch / epochs, seed=seed,
    )  # fmt: skip
    for record in steps:
        print("epoch {epoch:3.0f}  gradient {gradient_norm:7.2f}  {seconds:5.0f} s".format(**record), flush=True)
    return energy


def reader(x: np.ndarray, labels: np.ndarray, passes: int, seed: int) -> MLPClassifier:
    """Return a classifier of noisy images, which has seen every image with new noise in each pass."""
    rng, classifier = np.random.default_rng(seed), MLPClassifier((512,), batch_size=200, random_state=seed)
    for _ in range(passes):
        classifier.partial_fit(noisy(x, rng).reshape(len(x), -1), labels, classes=np.arange(10))
    return classifier


def long_chains(
    energy: ebm.NeuralEnergy, test: np.ndarray, classifier: MLPClassifier, chains: int, draws: int, thin: int, seed: int
) -> samplers.Chains:
    """Run half of the chains from the confining Gaussian, which is noise, and half from noisy test digits."""
    rng = np.random.default_rng(seed)
    noise = energy.mean + energy.width * rng.standard_normal((chains // 2, *energy.shape))
    digit = lambda x: classifier.predict(x.reshape(len(x), -1)).astype(float)  # noqa: E731
    return samplers.sample(
        energy, KERNEL, chains=chains, draws=draws, thin=thin, warmup=0, seed=seed, observables={"digit": digit},
        init=np.concatenate([noise, noisy(test[: chains - chains // 2], rng)]),
    )  # fmt: skip


def draw_digits(energy: ebm.NeuralEnergy, run: samplers.Chains, test: np.ndarray, path: Path) -> None:
    """Draw test digits with and without noise, and chains of both kinds of start along their runs."""
    half, x = len(run.x) // 2, np.asarray(run.x)
    rows = [test[:12], cleaned(energy, test[:12])]
    times = np.unique(np.round(np.geomspace(1, x.shape[1], 12)).astype(int)) - 1
    times = np.concatenate([times, np.full(12 - len(times), x.shape[1] - 1)])
    rows += [cleaned(energy, x[chain, times]) for chain in (*range(4), *range(half, half + 4))]
    tiles = np.pad(np.array(rows), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    picture, axes = report.figure(1, 1, 10.4, 9)
    panel = axes[0, 0]
    panel.imshow(tiles.transpose(0, 2, 1, 3).reshape(-1, 12 * 16), cmap="gray_r", vmin=-0.2, vmax=1.2)
    names = ["test digits, noisy", "without noise", *["chain from noise"] * 4, *["from a digit"] * 4]
    panel.set(xticks=[], yticks=16 * np.arange(len(rows)) + 8, yticklabels=names, xlabel="time, in equal ratios")
    report.save(picture, path)


def draw_energy(run: samplers.Chains, found: dict[str, Any], thin: int, path: Path) -> None:
    """Draw energies along the chains over those of test digits, and the digits along their second halves."""
    picture, axes = report.figure(1, 2, 14, 5.4)
    gradients = thin * KERNEL.steps * np.arange(1, run.energy.shape[1] + 1)
    half = len(run.energy) // 2
    for k, (name, part) in enumerate({"from noise": run.energy[:half], "from digits": run.energy[half:]}.items()):
        axes[0, 0].plot(gradients, part[:8].T, color=report.COLOURS[k], alpha=0.35, linewidth=0.8)
        axes[0, 0].plot(gradients, part.mean(0), color=report.COLOURS[k], label=name)
    mean, spread = found["test"]
    axes[0, 0].axhspan(mean - spread, mean + spread, color="0.5", alpha=0.25, linewidth=0, label="test digits")
    axes[0, 0].set(xlabel="gradients", ylabel="energy (nats)")
    axes[0, 0].legend()
    axes[0, 1].bar(range(10), 100 * found["shares"], color=report.COLOURS[0])
    for percent in (100 / 30, 10.0, 30.0):
        axes[0, 1].axhline(percent, color="0.4", linestyle="-" if percent == 10 else "--", linewidth=1)
    axes[0, 1].set(xlabel="digit, second halves of the chains", ylabel="share (%)", xticks=range(10))
    report.save(picture, path)


def judged(run: samplers.Chains, of_test: np.ndarray, accuracy: float) -> dict[str, Any]:
    """Return what the chains came to, beside the energies of test digits."""
    draws, digit = run.energy.shape[1], np.asarray(run.observables["digit"])
    second, late = run.energy[:, draws // 2 :], digit[:, draws // 2 :].astype(int)
    counts = np.bincount(digit[:, -1].astype(int), minlength=10)
    shares = np.bincount(late.ravel(), minlength=10) / late.size
    return {
        "test": [of_test.mean(), of_test.std()], "chains": [second.mean(), second.std()],
        "r_hat": samplers.summary(run).rows["energy"].r_hat, "acceptance": run.acceptance.mean(),
        "counts": counts, "shares": shares,
        "factors": [max(a.max() / a.mean(), a.mean() / a.min() if a.min() else np.inf) for a in (counts, shares)],
        "changed": float((digit[:, -1] != digit[:, draws // 10]).mean()), "accuracy": accuracy,
    }  # fmt: skip


def tell(found: dict[str, Any], gradients: int) -> str:
    """Return the table of what was found and what was wanted."""
    (of_test, spread), (mean, width), counts = found["test"], found["chains"], found["counts"]
    rows = [
        ["energy of test digits (nats)", f"{of_test:.1f} ± {spread:.1f}", ""],
        ["energy of chains, second half", f"{mean:.1f} ± {width:.1f}", "the same"],
        [f"R-hat of the energy, {gradients:,} gradients", f"{found['r_hat']:.3f}", "< 1.1"],
        ["acceptance", f"{found['acceptance']:.3f}", ""],
        ["digits 0 to 9 at the ends", " ".join(map(str, counts)), f"{counts.mean():.1f} each"],
        ["largest factor from uniform", f"{found['factors'][0]:.2f}", "< 3"],
        ["shares along the second half (%)", " ".join(f"{100 * share:.1f}" for share in found["shares"]), "10 each"],
        ["largest factor from uniform", f"{found['factors'][1]:.2f}", "< 3"],
        ["chains that became another digit", f"{100 * found['changed']:.0f} %", ""],
        ["the classifier reads rightly", f"{100 * found['accuracy']:.1f} %", ""],
    ]
    return report.table(["", "found", "wanted"], rows)


def main(
    folder: Path = report.RESULTS / "ebm_images", images: int = 60_000, epochs: int = 12, buffer: int = 128,
    passes: int = 10, chains: int = 128, draws: int = 125, thin: int = 100, seed: int = 1,
) -> dict:  # fmt: skip
    """Learn the energy, run long chains on it, read their ends, and write the folder."""
    clock, rng = report.begin(folder), np.random.default_rng(seed)
    (x, labels), (clean, truth) = digits("train"), digits("test")
    x, labels = x[:images], labels[:images]
    test = noisy(clean, rng)
    energy = learn(x, epochs, buffer, seed)
    learned = clock()
    classifier = reader(x, labels, passes, seed)
    accuracy = float(classifier.score(test.reshape(len(test), -1), truth))
    print(f"classifier: {100 * accuracy:.1f} % of noisy test digits are read rightly ({clock():.0f} s)", flush=True)
    run = long_chains(energy, clean, classifier, chains, draws, thin, seed)
    numbers = judged(run, energy(test), accuracy)
    found = tell(numbers, draws * thin * KERNEL.steps)
    print(f"{found}\n{clock():.0f} s")
    draw_digits(energy, run, test, folder / "digits.png")
    draw_energy(run, numbers, thin, folder / "energy.png")
    energy.save(report.new_file(folder / "energy.h5"))
    settings = {
        "images": images, "epochs": epochs, "buffer": buffer, "chains": chains, "draws": draws, "thin": thin,
        "seed": seed, "seconds_learning": round(learned), "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, [found], PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
