"""A variational autoencoder learns MNIST: bounds, likelihoods, and what its codes are good for.

60,000 digits to learn from, MNIST's 10,000 others to be judged on: they are the validation of the threshold figures,
since the size and the rate of that network were chosen by them. Pixels become bits, and likelihoods depend on how:

- threshold (1 where the grey level is above 127), a fully connected network, whose bound is to beat the figures that a
  university course states for its own network: -ELBO 95.6 after 5 epochs and 86.2 after 24;
- resampled (1 with probability grey level / 255, anew in each batch; once for each digit that is judged), a
  convolutional network, whose negative log-likelihood by 5,000 importance samples is to beat the 86.76 of Burda, Grosse
  and Salakhutdinov (2016) for a VAE with one stochastic layer.

5,000 samples for each of 10,000 digits are many. The bound of 50 samples is taken of all of them, and what 5,000 add to
it is measured on a random subset: the sum is the estimate, with both errors.

Then the codes: a map of a two-dimensional latent space with its volume element, a shortest path through it and a
straight line; lines and arcs in many dimensions; what the weight beta of KL trades; and ln p by digit, of the fully
connected network. A "1" has few pixels that could be otherwise, so that it is the most probable digit; digits that were
learned from are more probable than others.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from codes import binarised, draw_images, rates

import models
from models import datasets

MARKS = (1, 5, 10, 20, 30)
BETAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
COURSE, BURDA, SAMPLES = {5: 95.6, 24: 86.2}, 86.76, 5000
COLUMNS, PAIR = 8, (7, 0)  # digits in a row of pictures; the two between which paths lead
PICTURES = {
    "training.png": "Left: -ELBO of threshold-binarised digits along training, and the course's figures (crosses). "
    "Right: rate (KL) and distortion (-<ln p(x|z)>) of test digits for several weights of KL; their sum is -ELBO.",
    "reconstructions.png": "Digits and what comes back from the means of their codes after 1, 5, 10, 20 and 30 epochs: "
    "left training digits, right test digits.",
    "samples.png": "Images from the same sixteen codes of the prior, along training.",
    "latent_map.png": "A latent space of two dimensions. Left: means of the codes of test digits; a straight line "
    "(dashed) and the shortest path (solid) between two of them. Right: logarithm of the volume element.",
    "interpolation.png": "Between two test digits: straight and shortest in two dimensions; line and arc in many.",
    "by_digit.png": "Mean ln p of each digit (bound of 50 samples), of training and of test digits, with two standard "
    "errors.",
}


def learn(
    vae: models.VAE, train: np.ndarray, test: np.ndarray, epochs: int, seed: int, rate: float = 1e-3,
    augment: Any = None, look: Callable[[int], None] | None = None,
) -> Any:  # fmt: skip
    """Learn at a rate that falls linearly to zero; print each epoch and call `look` with its number."""

    def told(record: dict[str, float]) -> None:
        text = "epoch {epoch:3.0f}   -ELBO: train {loss:7.2f}   test {validation_loss:7.2f}   {seconds:5.1f} s"
        print(text.format(**record), flush=True)
        if look is not None:
            look(int(record["epoch"]))

    return models.fit(
        vae, train, epochs=epochs, batch_size=100, learning_rate=rate, schedule=lambda time: 1.0 - time / epochs,
        averaging=0.99, validation=test, augment=augment, seed=seed, callback=told, progress=False,
    )  # fmt: skip


def tradeoff(train: np.ndarray, test: np.ndarray, hidden: Any, epochs: int, seed: int) -> dict[float, list[float]]:
    """Return rate and distortion of test digits, in nats, for each weight of KL."""
    found = {}
    for beta in BETAS:
        vae = models.VAE((28, 28), latent=16, hidden=hidden, beta=beta, seed=seed)
        models.fit(vae, train, epochs=epochs, batch_size=100, averaging=0.99, seed=seed, progress=False)
        rate, bound = float(rates(vae.infer(test)).mean()), float(-vae.elbo(test, seed).mean())
        found[beta] = [rate, bound - rate]
        print(f"beta {beta:5.2f}   rate {rate:6.2f}   distortion {bound - rate:6.2f}   -ELBO {bound:7.2f}", flush=True)
    return found


def likelihood(vae: models.VAE, test: np.ndarray, bound: np.ndarray, subset: int, seed: int) -> dict[str, float]:
    """Return the mean negative log-likelihood by 5,000 samples: that by the bound of 50, less what 5,000 add to it."""
    few = np.random.default_rng(seed).choice(len(test), subset, replace=False)
    fine = vae.log_prob(test[few], SAMPLES, seed + 1)
    gain, error = report.mean_and_error(fine.value - bound[few])
    return {
        "elbo": float(-vae.elbo(test, seed).mean()), "bound": float(-bound.mean()), "nll": float(-bound.mean() - gain),
        "error": error, "error_of_sampling": float(np.sqrt((fine.error**2).sum()) / subset),
        "data_error": report.mean_and_error(bound)[1],
    }  # fmt: skip


def by_digit(logs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean of each digit and its standard error, (10, 2)."""
    return np.array([report.mean_and_error(logs[labels == digit]) for digit in range(10)])


def draw_training(history: Any, found: dict[float, list[float]], path: Path) -> None:
    """Draw the bound along training, and rate against distortion."""
    picture, axes = report.figure(1, 2, 14, 5.4)
    for name, label, k in (("loss", "training digits", 0), ("validation_loss", "test digits", 1)):
        axes[0, 0].plot(history["epoch"], history[name], report.MARKERS[k] + "-", color=report.COLOURS[k], label=label)
    axes[0, 0].plot(*zip(*COURSE.items(), strict=True), "kx", markersize=11, markeredgewidth=2.5, label="the course's")
    axes[0, 0].set(xlabel="epoch", ylabel="-ELBO (nats a digit)", ylim=(None, 130), title="threshold-binarised")
    axes[0, 0].legend()
    points = np.array(list(found.values()))
    axes[0, 1].plot(*points.T, "o-", color=report.COLOURS[2])
    for beta, point in found.items():
        axes[0, 1].annotate(f"beta {beta:g}", point, xytext=(6, 6), textcoords="offset points", fontsize=13)
    axes[0, 1].set(xlabel="rate (nats)", ylabel="distortion (nats)", title="what beta trades")
    axes[0, 1].set_xlim(right=points[:, 0].max() * 1.25)
    report.save(picture, path)


def draw_map(vae: models.VAE, test: np.ndarray, labels: np.ndarray, ends: np.ndarray, path: Path) -> Any:
    """Draw the codes of test digits with a path between two of them, and the volume element; return the path."""
    picture, axes = report.figure(1, 2, 14, 6.4)
    way = models.geodesic(vae, *ends, points=24)
    mean = vae.infer(test[:5000]).mean
    dots = axes[0, 0].scatter(*mean.T, c=labels[:5000], cmap="tab10", vmin=-0.5, vmax=9.5, s=3)
    picture.colorbar(dots, ax=axes[0, 0], ticks=range(10), label="digit", shrink=0.8)
    side = float(np.quantile(np.abs(mean), 0.999))
    axis = np.linspace(-side, side, 100)
    volume = models.log_volume(vae, np.stack([a.ravel() for a in np.meshgrid(axis, axis)], 1)).reshape(100, 100)
    image = axes[0, 1].imshow(volume, origin="lower", extent=(-side, side, -side, side), cmap="cividis")
    picture.colorbar(image, ax=axes[0, 1], label="ln sqrt(det M)", shrink=0.8)
    for panel, colour in zip(axes[0], ("k", "w"), strict=True):
        panel.plot(*way.codes.T, "-", color=colour)
        panel.plot(*ends.T, "o--", color=colour)
        panel.set(xlabel="$z_1$", ylabel="$z_2$", xlim=(-side, side), ylim=(-side, side), aspect="equal")
    axes[0, 0].set_title("codes of test digits")
    axes[0, 1].set_title("volume element of the decoder")
    report.save(picture, path)
    return way


def draw_digits(table: dict[str, np.ndarray], path: Path) -> None:
    """Draw the mean ln p of each digit, of training and of test digits."""
    picture, axes = report.figure(1, 1, 10, 5)
    for k, (name, values) in enumerate(table.items()):
        axes[0, 0].errorbar(
            np.arange(10) + 0.16 * k - 0.08, values[:, 0], 2 * values[:, 1], fmt=report.MARKERS[k], label=name,
            color=report.COLOURS[k],
        )  # fmt: skip
    axes[0, 0].set(xlabel="digit", ylabel="ln p (nats)", xticks=range(10))
    axes[0, 0].legend()
    report.save(picture, path)


def threshold(
    train: np.ndarray, test: np.ndarray, hidden: tuple[int, ...], latent: int, epochs: int, seed: int, folder: Path
) -> tuple[Any, models.VAE]:
    """Learn threshold-binarised digits, and draw what comes of it along training."""
    vae = models.VAE((28, 28), latent=latent, hidden=hidden, seed=seed)
    shown = [train[:COLUMNS], test[:COLUMNS]]
    rows: list[list[np.ndarray]] = [[shown[0]], [shown[1]], []]
    codes, marks = np.random.default_rng(seed).standard_normal((2 * COLUMNS, latent)), list[int]()

    def look(epoch: int) -> None:
        if epoch in MARKS:
            marks.append(epoch)
            for row, images in zip(rows, (*shown, None), strict=True):
                row.append(models.decoded(vae, codes) if images is None else models.reconstructed(vae, images))

    history = learn(vae, train, test, epochs, seed, look=look)
    labels = [f"epoch {epoch}" for epoch in marks]
    panels = {"training digits": np.array(rows[0]), "test digits": np.array(rows[1])}
    draw_images(panels, ["digits", *labels], COLUMNS, folder / "reconstructions.png")
    draw_images({"samples": np.array(rows[2])}, labels, 2 * COLUMNS, folder / "samples.png")
    return history, vae


def paths(flat: models.VAE, vae: models.VAE, test: np.ndarray, labels: np.ndarray, folder: Path) -> dict[str, float]:
    """Draw the map of two dimensions and all ways between two test digits; return lengths in the space of images."""
    pair = test[[np.flatnonzero(labels == digit)[0] for digit in PAIR]]
    way = draw_map(flat, test, labels, flat.infer(pair).mean, folder / "latent_map.png")
    picks = np.linspace(0, len(way.codes) - 1, 12).round().astype(int)
    ends = vae.infer(pair).mean
    rows = [
        models.decoded(flat, models.interpolate(*flat.infer(pair).mean, 12)),
        models.decoded(flat, way.codes[picks]),
    ]
    rows += [models.decoded(vae, models.interpolate(*ends, 12, kind)) for kind in ("linear", "spherical")]
    names = ["2-d, straight", "2-d, shortest", f"{vae.latent}-d, line", f"{vae.latent}-d, arc"]
    title = f"from a {PAIR[0]} to a {PAIR[1]}"
    draw_images({title: np.array(rows)}, names, 12, folder / "interpolation.png")
    return {"straight": way.straight, "shortest": way.length}


def tell(
    history: Any, scores: dict[str, float], found: dict[float, list[float]], digits: Any, lengths: Any
) -> list[str]:
    """Return the tables and the sentences about them."""
    reached = {epoch: history["validation_loss"][epoch - 1] for epoch in COURSE if epoch <= len(history["epoch"])}
    rows = [[f"-ELBO after {e} epochs", "threshold", f"{value:.2f}", COURSE[e]] for e, value in reached.items()]
    total = float(np.hypot(scores["error"], scores["data_error"]))
    rows += [
        ["-ELBO at the end", "threshold", f"{history['validation_loss'][-1]:.2f}", ""],
        ["-ELBO at the end", "resampled", f"{scores['elbo']:.2f}", ""],
        ["NLL, 5,000 samples", "resampled", report.with_error(scores["nll"], total), BURDA],
    ]
    seconds = np.median(history["seconds"])
    gaps = digits["training"] - digits["test"]
    apart = int((gaps[:, 0] > 2 * np.hypot(digits["training"][:, 1], digits["test"][:, 1])).sum())
    least = min(found, key=lambda beta: sum(found[beta]))
    best = {name: int(values[:, 0].argmax()) for name, values in digits.items()}
    return [
        report.table(["10,000 test digits (nats a digit)", "bits", "ours", "published"], rows),
        f"An epoch of the fully connected network took {seconds:.1f} s (median, one thread of a busy machine). Of the "
        f"error of the NLL, {scores['data_error']:.2f} is that the test digits are but a sample, and "
        f"{scores['error']:.2f} that 5,000 samples were taken of a subset.",
        report.table(
            ["beta", "rate", "distortion", "-ELBO"],
            [[f"{beta:g}", f"{r:.2f}", f"{d:.2f}", f"{r + d:.2f}"] for beta, (r, d) in found.items()],
        ),
        f"After these epochs -ELBO of test digits is least at beta = {least:g}. It is sure to be least at 1 only for "
        "the digits learned from, and once learning has ended.",
        report.table(
            ["digit", *(f"ln p, {name}" for name in digits)],
            [[k, *(report.with_error(*values[k]) for values in digits.values())] for k in range(10)],
        ),
        f"The most probable digit is {best['training']} in training and {best['test']} in the test. Of "
        f"{int((gaps[:, 0] > 0).sum())} of the ten digits training images are more probable, of {apart} by more than "
        f"two errors. In two dimensions the straight line between the codes of a {PAIR[0]} and a {PAIR[1]} is "
        f"{lengths['straight']:.1f} long in the space of images, the shortest path found {lengths['shortest']:.1f}.",
    ]


def main(
    folder: Path = report.RESULTS / "vae_mnist", hidden: tuple[int, ...] = (512, 256), latent: int = 32,
    epochs: int = 30, channels: tuple[int, ...] = (32, 64), deep_latent: int = 40, deep_epochs: int = 30,
    flat_epochs: int = 15, beta_images: int = 60_000, beta_epochs: int = 10, images: int = 60_000,
    judged: int = 10_000, subset: int = 200, seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Learn all of it, judge it, and write the folder."""
    clock = report.begin(folder)
    (grey, labels), (unseen, unseen_labels) = datasets.mnist("train"), datasets.mnist("test")
    grey, labels, unseen, unseen_labels = grey[:images], labels[:images], unseen[:judged], unseen_labels[:judged]
    train, test = binarised(grey, "threshold"), binarised(unseen, "threshold")
    print("Threshold-binarised digits, fully connected")
    history, vae = threshold(train, test, hidden, latent, epochs, seed, folder)
    print(f"{clock():.0f} s. A latent space of two dimensions")
    flat = models.VAE((28, 28), latent=2, hidden=hidden, seed=seed)
    learn(flat, train, test, flat_epochs, seed)
    lengths = paths(flat, vae, test, unseen_labels, folder)
    print(f"{clock():.0f} s. The weight of KL")
    found = tradeoff(train[:beta_images], test, hidden, beta_epochs, seed)
    print(f"{clock():.0f} s. Resampled bits, convolutional")
    deep = models.VAE((28, 28), latent=deep_latent, hidden=(256,), channels=channels, seed=seed)
    bits = binarised(unseen, "stochastic", seed)
    deep_history = learn(deep, (grey / 255).astype(np.float32), bits, deep_epochs, seed, augment=torch.bernoulli)
    print(f"{clock():.0f} s. Importance samples")
    bound = deep.log_prob_bound(bits, 50, seed)
    scores = likelihood(deep, bits, bound, subset, seed)
    known = np.random.default_rng(seed).permutation(images)[:judged]
    logs = {"training": vae.log_prob_bound(train[known], 50, seed), "test": vae.log_prob_bound(test, 50, seed)}
    digits = {name: by_digit(logs[name], of) for name, of in (("training", labels[known]), ("test", unseen_labels))}
    tables = tell(history, scores, found, digits, lengths)
    print("\n".join(tables))
    draw_training(history, found, folder / "training.png")
    draw_digits(digits, folder / "by_digit.png")
    numbers = {
        "test_elbo": [-v for v in history["validation_loss"]], "resampled": scores, "rate_distortion": found,
        "test_elbo_resampled": [-v for v in deep_history["validation_loss"]], "ln_p_by_digit": digits,
        "mean_ln_p": {name: report.mean_and_error(of) for name, of in logs.items()}, "lengths": lengths,
        "seconds_an_epoch": {"fully connected": history["seconds"], "convolutional": deep_history["seconds"]},
    }  # fmt: skip
    settings = {
        "hidden": hidden, "latent": latent, "epochs": epochs, "channels": channels, "deep_latent": deep_latent,
        "deep_epochs": deep_epochs, "flat_epochs": flat_epochs, "beta_images": beta_images, "beta_epochs": beta_epochs,
        "images": images, "judged": judged, "subset": subset, "seed": seed, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, tables, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
