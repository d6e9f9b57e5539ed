"""A Boltzmann machine of 500 hidden units learns all of MNIST, and its log-likelihood is bracketed from both sides.

60,000 digits to learn from and 10,000 to be tested on. Pixels are binarised stochastically, 1 with probability grey
level / 255: anew for every batch of training, once and for all for the test digits. Learning is persistent contrastive
divergence with centred gradients, and what is judged is the moving average of the parameters.

ln Z comes by annealed importance sampling from independent pixels, and in reverse from chains of parallel tempering
that started at random and saw no digit. Both sides are bounds in the mean; the log-likelihood that is claimed is the
pessimistic one. Published with 500 hidden units: -86.34 (Salakhutdinov and Murray 2008, CD-25, by annealing from one
side), -84.86 with a reverse estimate of -96.61 (PyDeep's documentation, 200 epochs).

Small machines, of 16 hidden units and hence of exact ln Z, show what centring is good for: with it digits and their
negatives are learned alike; without it, from the same start and at the same rate, digits are learned less well and
their negatives, whose pixels are mostly on, far worse (published for digits: -142.56 with, -149.05 without).
"""

from pathlib import Path

import numpy as np
import report

import ebm
import samplers
from models import datasets

PICTURES = {
    "training.png": "Left: log-likelihood of the test digits along training, by short annealing; the final bracket. "
    "Right: machines of 16 hidden units, exactly, on digits and on their negatives, with and without centring.",
    "fantasies.png": "Top row: test digits. Below: each row one chain of parallel tempering at temperature 1, "
    "started at random (probabilities of the pixels given the hidden units), a hundred sweeps between pictures.",
}


def digits(part: str) -> np.ndarray:
    """Return MNIST's grey levels, (n, 784), from 0 to 255."""
    images = datasets.mnist(part)[0]
    return images.reshape(len(images), 784)


def binarised(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return pixels that are 1 with probability grey level / 255."""
    return (rng.random(grey.shape, np.float32) * 255 < grey).astype(np.int8)


def pixel_logits(grey: np.ndarray) -> np.ndarray:
    """Return the biases of independent pixels, ln(p / (1 - p)), as if there were one more digit on and one more off."""
    p = (grey.sum(0) / 255 + 1.0) / (len(grey) + 2.0)
    return np.log(p) - np.log1p(-p)


def learn(grey: np.ndarray, test: np.ndarray, hidden: int, epochs: int, looks: int, seed: int) -> tuple[ebm.RBM, list]:
    """Learn the large machine; return it and (epoch, seconds, rough log-likelihood of test digits) at a few epochs."""
    rbm, curve, seconds = ebm.RBM(784, hidden, b=pixel_logits(grey), seed=seed), [], 0.0
    marks = set(np.linspace(epochs / looks, epochs, looks).astype(int))
    steps = ebm.training(
        rbm, grey, ebm.PersistentCD(chains=100), epochs=epochs, batch_size=100, learning_rate=0.05, centred=True,
        averaging=0.9995, schedule=lambda epoch: 1.0 - epoch / epochs, augment=binarised, seed=seed,
    )  # fmt: skip
    for record in steps:
        seconds += record["seconds"]
        if int(record["epoch"]) in marks:
            log_z = ebm.log_z(rbm, "ais", chains=100, steps=2000, data=test, seed=seed, progress=False)
            curve.append((record["epoch"], seconds, ebm.log_likelihood(rbm, test, log_z).value))
            print("epoch {:3.0f}  {:5.0f} s  log-likelihood of the test digits {:8.2f}".format(*curve[-1]), flush=True)
    return rbm, curve


def small(grey: np.ndarray, test: np.ndarray, centred: bool, epochs: int, seed: int) -> float:
    """Return the exact log-likelihood of the test digits by a machine of 16 hidden units."""
    rbm = ebm.RBM(784, 16, b=pixel_logits(grey), seed=seed)
    ebm.fit(
        rbm, grey, ebm.PersistentCD(chains=100), epochs=epochs, batch_size=100, learning_rate=0.05, centred=centred,
        averaging=0.999, schedule=lambda epoch: 1.0 - epoch / epochs, augment=binarised, seed=seed, progress=False,
    )  # fmt: skip
    return ebm.log_likelihood(rbm, test, ebm.log_z(rbm, "exact")).value


def tempered(rbm: ebm.RBM, ladders: int, rungs: int, draws: int, seed: int) -> samplers.Chains:
    """Run parallel tempering from random starts, so that equilibrium is found without any digit."""
    ladder = samplers.ParallelTempering(samplers.Gibbs(), betas=np.linspace(0.0, 1.0, rungs))
    return samplers.sample(rbm, ladder, chains=ladders, draws=draws, warmup=4 * draws, thin=5, seed=seed)


def draw_training(curve: list, bounds: tuple[float, float], exact: dict[str, dict[str, float]], path: Path) -> None:
    """Draw the log-likelihood along training, and those of the small machines."""
    picture, axes = report.figure(1, 2, 14, 5.4)
    epochs, _, values = np.transpose(curve)
    axes[0, 0].plot(epochs, values, "o-", color=report.COLOURS[0], label="short annealing")
    axes[0, 0].axhspan(*bounds, color=report.COLOURS[1], alpha=0.4, linewidth=0, label="final bracket")
    axes[0, 0].axhline(-86.34, color="0.5", linestyle=":", label="published, CD-25")
    axes[0, 0].set(xlabel="epoch", ylabel="log-likelihood (nats a digit)", title="500 hidden units, test digits")
    axes[0, 0].legend(loc="lower right")
    for (kind, values), colour, marker in zip(exact.items(), report.COLOURS, report.MARKERS, strict=False):
        axes[0, 1].plot(range(len(values)), values.values(), marker, color=colour, markersize=12, label=kind)
        axes[0, 1].set(xticks=range(len(values)), xticklabels=list(values), xlim=(-0.5, len(values) - 0.5))
    axes[0, 1].set(title="16 hidden units, exactly")
    axes[0, 1].set_ylabel("log-likelihood (nats a digit)")
    axes[0, 1].legend(loc="center")
    report.save(picture, path)


def draw_fantasies(run: samplers.Chains, rbm: ebm.RBM, test: np.ndarray, path: Path) -> None:
    """Draw test digits, and what chains at temperature 1 have become along their runs."""
    shown = np.linspace(0, run.shape[1] - 1, 12).astype(int)
    rows = [test[:12].astype(float)]
    rows += [rbm.visible(rbm.hidden(np.stack([run.x[chain, k] for k in shown]))) for chain in range(min(7, len(run.x)))]
    tiles = np.pad(np.reshape(rows, (-1, 12, 28, 28)), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    picture, axes = report.figure(1, 1, 10.4, 7.4)
    axes[0, 0].imshow(tiles.transpose(0, 2, 1, 3).reshape(-1, 360), cmap="gray_r", vmin=0, vmax=1)
    axes[0, 0].set(title="test digits (top row), and chains at temperature 1", xticks=[], yticks=[])
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "rbm_mnist", hidden: int = 500, epochs: int = 300, looks: int = 6,
    small_epochs: int = 120, chains: int = 200, steps: int = 20_000, ladders: int = 20, rungs: int = 40,
    draws: int = 240, images: int = 60_000, seed: int = 1,
) -> dict:  # fmt: skip
    """Learn the large machine and the small ones, weigh them, and write the folder."""
    clock = report.begin(folder)
    grey, test = digits("train")[:images], binarised(digits("test"), np.random.default_rng(seed))
    rbm, curve = learn(grey, test, hidden, epochs, looks, seed)
    learned = clock()
    run = tempered(rbm, ladders, rungs, draws, seed)
    print(f"{samplers.summary(run)}\n{clock():.0f} s. ln Z: {chains} chains over {steps:,} temperatures, both ways")
    picks = np.linspace(0, draws, -(-chains // len(run.x)) + 1).astype(int)[1:] - 1  # draws far apart, of each ladder
    starts = np.asarray(run.x)[:, picks].reshape(-1, 784)
    log_z = ebm.log_z(
        rbm, "ais", chains=chains, steps=steps, data=binarised(grey, np.random.default_rng(seed + 1)), seed=seed,
        starts=starts,
    )  # fmt: skip
    found = ebm.log_likelihood(rbm, test, log_z)
    print(f"{log_z}\n{found}\n{clock():.0f} s. Machines of 16 hidden units")
    sides = {"digits": (grey, test), "negatives": (255 - grey, 1 - test)}
    exact = {
        kind: {name: small(*pair, centred, small_epochs, seed) for name, pair in sides.items()}
        for kind, centred in (("centred", True), ("not centred", False))
    }
    tables = tell(found, log_z, exact, run, hidden)
    print("\n".join(tables))
    draw_training(curve, (found.lower, found.upper), exact, folder / "training.png")
    draw_fantasies(run, rbm, test, folder / "fantasies.png")
    numbers = {
        "log_likelihood": found._asdict(), "log_z": log_z._asdict() | {"details": None}, "exact_16": exact,
        "curve": curve, "swap_rates": run.tempering.swap_rates,
        "energy": samplers.summary(run).rows["energy"]._asdict(),
    }  # fmt: skip
    settings = {
        "hidden": hidden, "epochs": epochs, "small_epochs": small_epochs, "chains": chains, "steps": steps,
        "ladders": ladders, "rungs": rungs, "draws": draws, "images": images, "seed": seed,
        "seconds_learning": round(learned), "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, tables, PICTURES, numbers, settings)
    return numbers


def tell(
    found: ebm.LogLikelihood, log_z: ebm.LogZ, exact: dict[str, dict[str, float]], run: samplers.Chains, hidden: int
) -> list[str]:
    """Return the tables of log-likelihoods and the sentences that say how well they are known."""
    large = [[f"{hidden} hidden units", f"{found.value:.2f}", f"{found.lower:.2f}", f"{found.upper:.2f}"]]
    rows = [[kind, *(f"{v:.2f}" for v in values.values())] for kind, values in exact.items()]
    return [
        report.table(["test digits (nats a digit)", "log-likelihood", "pessimistic", "optimistic"], large),
        f"{log_z} The mean over 10,000 test digits has an error of its own of {found.data_error:.2f}.",
        report.table(["16 hidden units, exact", *next(iter(exact.values()))], rows),
        f"```\n{samplers.summary(run)}\n```",
    ]


if __name__ == "__main__":
    main()
