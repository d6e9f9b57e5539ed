"""A diffusion model of handwritten digits, with a likelihood: small images, a small U-Net, minutes of one core.

The 1,797 digits of scikit-learn have 8 x 8 pixels of 17 grey levels, 0 to 16. Uniform noise as wide as a level makes a
density of them (Uria, Murray and Larochelle 2013); the U-Net learns it by predicting v along a cosine schedule, from
1,500 images. The other 297 judge it:

- ln p of the probability flow (its divergence by random signs), in bits a pixel, beside that of the Gaussian with the
  mean and covariance of the training images, which is the best that knows pairs of pixels only;
- a logistic regression that was trained on real digits reads the samples: how sure it is, beside real images, and how
  often it reads each digit, beside one in ten.
"""

import itertools
import math
from pathlib import Path

import numpy as np
import report
import torch
from scipy.stats import chi2, multivariate_normal
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import models
from ebm import History

PICTURES = {
    "digits.png": "Left: test images. Middle: samples by DDIM in 50 steps. Right: six of them on their way from noise.",
    "training.png": "Loss of v of training and test images against the epoch.",
}


def data(train: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training images (n, 8, 8), test images, and their digits, in an order of no meaning."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    x, y = digits.images[order], digits.target[order]
    return x[:train], x[train:], y[:train], y[train:]


def widened(x: torch.Tensor) -> torch.Tensor:
    """Return grey levels 0 to 16 with uniform noise as wide as a level."""
    return x + torch.rand_like(x)


def learn(
    x: np.ndarray, test: np.ndarray, channels: tuple[int, ...], epochs: int, seed: int
) -> tuple[models.DDPM, History]:
    """Return a model that learned from images x, and the history of its losses."""
    model = models.DDPM(
        (8, 8), channels=channels, data_mean=float(x.mean() + 0.5), data_width=float(x.std()), seed=seed
    )
    history = models.fit(
        model, x, epochs=epochs, batch_size=100, learning_rate=2e-3, averaging=0.995, augment=widened, seed=seed,
        validation=np.repeat(test, 4, axis=0) + 0.5, schedule=lambda time: 1.0 - time / epochs, progress=False,
    )  # fmt: skip
    return model, history


def bits(model: models.DDPM, x: np.ndarray, test: np.ndarray, seed: int) -> dict[str, tuple[float, float]]:
    """Return -log2 p a pixel of test images, of the model and of a Gaussian, and the gain of the model, with errors."""
    rng, unit = np.random.default_rng(seed), 64.0 * math.log(2.0)
    wide, wide_test = (images.reshape(len(images), -1) + rng.random((len(images), 64)) for images in (x, test))
    gaussian = -multivariate_normal(wide.mean(0), np.cov(wide.T)).logpdf(wide_test) / unit
    flow = -model.log_prob_estimate(wide_test.reshape(-1, 8, 8), probes=2, seed=seed, steps=24).value / unit
    values = {"diffusion": flow, "Gaussian": gaussian, "gain": gaussian - flow}
    return {name: (float(v.mean()), float(v.std(ddof=1) / math.sqrt(len(v)))) for name, v in values.items()}


def way(model: models.DDPM, digits: int, stops: int, seed: int) -> np.ndarray:
    """Return DDIM's images between noise and digit, (digits, stops, 8, 8)."""
    sampler, seen = models.DDIM(50), []
    x = torch.as_tensor(np.random.default_rng(seed).standard_normal((digits, 8, 8)), dtype=torch.float32)
    path = sampler.path(model.levels).tolist()
    with torch.no_grad():
        for now, then in itertools.pairwise(path):
            seen.append(x)
            x = sampler.step(model, x, now, then)
    chosen = [*seen, x][:: -(50 // (stops - 1))][:stops][::-1]
    return torch.stack(chosen, 1).numpy() * model.data_width + model.data_mean


def tiled(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return images (rows * columns, 8, 8) side by side, with a gap of one pixel, (9 rows - 1, 9 columns - 1)."""
    page = np.full((9 * rows, 9 * columns), 17.0)
    for k, image in enumerate(images[: rows * columns]):
        i, j = divmod(k, columns)
        page[9 * i : 9 * i + 8, 9 * j : 9 * j + 8] = image
    return page[:-1, :-1]


def draw(test: np.ndarray, samples: np.ndarray, ways: np.ndarray, history: History, folder: Path) -> None:
    """Draw real digits, samples and the way from noise, and the losses."""
    picture, axes = report.figure(1, 3, 16, 6)
    pages = tiled(test, 6, 8), tiled(samples, 6, 8), tiled(ways.reshape(-1, 8, 8), *ways.shape[:2])
    for panel, page, title in zip(axes[0], pages, ("test images", "samples", "from noise to a digit"), strict=True):
        panel.imshow(page, cmap="gray_r", vmin=0.0, vmax=17.0)
        panel.set(title=title, xticks=[], yticks=[])
    report.save(picture, folder / "digits.png")
    picture, axes = report.figure(1, 1, 8, 5.5)
    for name, label, colour in (("loss", "training", 0), ("validation_loss", "test", 1)):
        axes[0, 0].plot(history["epoch"], history[name], color=report.COLOURS[colour], label=label)
    axes[0, 0].set(xlabel="epoch", ylabel="loss of v", yscale="log")
    axes[0, 0].legend()
    report.save(picture, folder / "training.png")


def main(
    folder: Path = report.RESULTS / "ddpm_digits", train: int = 1500, channels: tuple[int, ...] = (16, 32),
    epochs: int = 150, drawn: int = 1000, judged: int = 297, seed: int = 1,
) -> dict:  # fmt: skip
    """Learn, draw, judge by likelihood and by a classifier, and write the folder."""
    clock, (x, test, y, y_test) = report.begin(folder), data(train)
    model, history = learn(x, test, channels, epochs, seed)
    print(f"loss {history['loss'][-1]:.4f}, of test images {history['validation_loss'][-1]:.4f}; {clock():.0f} s")
    samples = model.sample(drawn, seed, models.DDIM(50))
    found = bits(model, x, test[:judged], seed)
    likelihood = report.table(
        ["bits a pixel", "of test images"], [[k, report.with_error(*v)] for k, v in found.items()]
    )
    print(f"{likelihood}\n{clock():.0f} s")
    reader = LogisticRegression(max_iter=5000).fit(x.reshape(len(x), -1), y)
    real, made = (reader.predict_proba(images.reshape(len(images), -1)) for images in (test, samples))
    sure = {"test images": float(real.max(1).mean()), "samples": float(made.max(1).mean())}
    counts = np.bincount(made.argmax(1), minlength=10)
    p_value = float(chi2.sf(((counts - drawn / 10) ** 2 / (drawn / 10)).sum(), 9))
    readings = report.table(["digit", *map(str, range(10))], [["samples read as it", *counts]])
    verdict = (
        f"The classifier reads {(real.argmax(1) == y_test).mean():.1%} of the test images right and is sure by "
        f"{sure['test images']:.3f} on average, of samples by {sure['samples']:.3f}."
    )
    print(f"{readings}\n{verdict}")
    draw(test, samples, way(model, 6, 8, seed), history, folder)
    numbers = {"bits": found, "sure": sure, "counts": counts, "p_value": p_value}
    numbers |= {"loss": history["loss"][-1], "validation_loss": history["validation_loss"][-1]}
    settings = {"train": train, "channels": channels, "epochs": epochs, "drawn": drawn, "seed": seed}
    settings["seconds"] = round(clock())
    report.write(folder, __file__, __doc__, [likelihood, readings, verdict], PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
