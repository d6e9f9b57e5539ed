"""Latent optimisation beside a variational autoencoder: codes without an encoder, and why naive ones collapse.

Each training digit has a Gaussian code of its own, learned beside the decoder. What keeps codes from collapsing is the
weight of their cost. A loss in which pixels and the numbers of a code are averaged, as is often written, is that of
beta = 784 / latent, at which a code costs more than it can tell; here both are summed. Codes begin as principal
components, and for two epochs stand still.

The autoencoder has the same decoder and learns from the same digits as many epochs. A new digit gets its code from an
encoder there; here by climbing the bound with the decoder as it is. Samples come from one Gaussian, or from a mixture,
fitted to the codes of the training digits.

What is asked for: a linear probe reads the digit off the codes of training digits with more than 90 % (it is fitted to
five sixths of them and judged on the rest; the principal components that codes begin as are read beside it), and among
the samples a classifier finds every digit, within a factor of two of a tenth. Pixels are threshold-binarised.
"""

from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from codes import binarised, draw_images, rates, with_mean_error
from sklearn.linear_model import LogisticRegression
from torch import nn

import models
from models import datasets
from models.streams import seeded

OURS, NAIVE = "latent optimisation", "naive: averaged"
COLUMNS, COMPONENTS, HOLD = 12, 20, 2
PICTURES = {
    "training.png": "Left: what codes tell of a digit (KL) along training. Right: share of each digit among samples, "
    "read by a classifier; the band is a factor of two around a tenth.",
    "reconstructions.png": "Test digits, and what comes back from their codes.",
    "samples.png": "Samples (the decoder's means) from each prior.",
}


class Classifier(nn.Sequential):
    """A small network that reads digits."""

    def __init__(self, seed: int) -> None:
        with seeded(seed):
            layers = nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10)
            super().__init__(nn.Flatten(), *layers)

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the mean cross entropy of (images, labels)."""
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    @torch.no_grad()
    def read(self, images: np.ndarray) -> np.ndarray:
        """Return the digit in each image."""
        return self.eval()(torch.as_tensor(images, dtype=torch.float32)).argmax(1).numpy()


def learn(model: Any, data: Any, epochs: int, seed: int) -> list[float]:
    """Learn at a rate that falls linearly to zero; return the mean KL of the codes after each epoch."""
    told: list[float] = []

    def look(record: dict[str, float]) -> None:
        codes = model.infer(data[:1000]) if isinstance(model, models.VAE) else model.training_codes()
        told.append(float(rates(codes).mean()))
        text = "epoch {epoch:3.0f}   loss {loss:7.2f}   KL {told:6.2f}   {seconds:5.1f} s"
        print(text.format(told=told[-1], **record), flush=True)

    models.fit(
        model, data, epochs=epochs, batch_size=200, schedule=lambda time: 1.0 - time / epochs, seed=seed,
        callback=look, progress=False,
    )  # fmt: skip
    return told


def probe(mean: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of digits that a linear probe reads off codes, on the last sixth of them."""
    scaled, cut = (mean - mean.mean(0)) / mean.std(), len(mean) * 5 // 6
    return float(LogisticRegression(max_iter=1000).fit(scaled[:cut], labels[:cut]).score(scaled[cut:], labels[cut:]))


def shares(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """Return the share of each digit among images, (10,)."""
    return np.bincount(classifier.read(images), minlength=10) / len(images)


def draw_training(told: dict[str, list[float]], found: dict[str, np.ndarray], path: Path) -> None:
    """Draw the KL of codes along training, and the digits among samples."""
    picture, axes = report.figure(1, 2, 14, 5.4)
    for j, (name, values) in enumerate(told.items()):
        style = {"color": report.COLOURS[j], "marker": report.MARKERS[j], "label": name}
        axes[0, 0].plot(np.arange(1, len(values) + 1), values, **style)
    axes[0, 0].set(xlabel="epoch", ylabel="KL (nats a digit)", ylim=(0, None), title="what codes tell")
    axes[0, 0].legend()
    axes[0, 1].axhspan(0.05, 0.2, color="0.5", alpha=0.2, linewidth=0)
    for j, (name, values) in enumerate(found.items()):
        at = np.arange(10) + 0.2 * (j - 1)
        axes[0, 1].plot(at, values, report.MARKERS[j], color=report.COLOURS[j], markersize=9, label=name)
    axes[0, 1].set(xlabel="digit", ylabel="share", ylim=(0, 0.3), xticks=range(10), title="digits among samples")
    axes[0, 1].legend(loc="upper right")
    report.save(picture, path)


def teach(
    x: np.ndarray, hidden: tuple[int, ...], latent: int, epochs: int, naive_epochs: int, seed: int
) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Return the three models after learning from images x, and what their codes told along the way."""
    options: dict[str, Any] = {"latent": latent, "hidden": hidden, "seed": seed}
    learned = {
        OURS: models.LatentOptimisation((28, 28), len(x), hold=HOLD, **options),
        NAIVE: models.LatentOptimisation((28, 28), len(x), hold=HOLD, beta=784 / latent, **options),
        "autoencoder": models.VAE((28, 28), **options),
    }
    told = {}
    for name, model in learned.items():
        print(name, flush=True)
        data: Any = x
        if isinstance(model, models.LatentOptimisation):
            model.start(x)
            data = np.arange(len(x)), x
        told[name] = learn(model, data, naive_epochs if name == NAIVE else epochs, seed)
    return learned, told


def judge(
    learned: dict[str, Any], x: np.ndarray, labels: np.ndarray, test: np.ndarray, samples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Return of each model how well a probe reads its codes, and the negative log-likelihood of new digits."""
    found = {}
    for name, model in learned.items():
        codes = model.infer(x) if name == "autoencoder" else model.training_codes()
        value, error = with_mean_error(-model.log_prob(test, samples, seed).value)
        found[name] = {"probe": probe(codes.mean, labels), "nll": value, "error": error}
        print(f"{name}: probe {found[name]['probe']:.3f}, NLL {value:.2f} +- {error:.2f}", flush=True)
    return found


def imagine(learned: dict[str, Any], drawn: int, seed: int) -> dict[str, np.ndarray]:
    """Return images, the means of the decoder, at codes drawn from each prior."""
    ours, vae = learned[OURS], learned["autoencoder"]
    codes = {
        "one Gaussian": ours.fitted_prior().sample(drawn, seed),
        f"{COMPONENTS} Gaussians": ours.fitted_prior(COMPONENTS, seed=seed).sample(drawn, seed),
        "autoencoder": np.random.default_rng(seed).standard_normal((drawn, vae.latent)),
    }
    return {name: models.decoded(vae if name == "autoencoder" else ours, z) for name, z in codes.items()}


def tell(
    found: dict[str, dict[str, Any]], told: dict[str, list[float]], digits: dict[str, np.ndarray], read: float,
    untouched: float,
) -> list[str]:  # fmt: skip
    """Return the tables, and the sentences about them."""
    rows = [
        [name, f"{told[name][-1]:.2f}", f"{100 * v['probe']:.1f} %", report.with_error(v["nll"], v["error"])]
        for name, v in found.items()
    ]
    spread = [[name, f"{10 * v.min():.2f}", f"{10 * v.max():.2f}"] for name, v in digits.items()]
    return [
        report.table(["codes", "KL (nats)", "linear probe", "NLL of new digits (nats)"], rows),
        f"Of the principal components that codes begin as, the probe reads {100 * untouched:.1f} %.",
        report.table(["prior", "rarest digit, over a tenth", "most frequent"], spread),
        f"The classifier that counts the digits among samples reads {100 * read:.1f} % of test digits.",
    ]


def main(
    folder: Path = report.RESULTS / "latent_optimisation", images: int = 60_000, hidden: tuple[int, ...] = (512, 256),
    latent: int = 64, epochs: int = 12, naive_epochs: int = 6, judged: int = 500, samples: int = 1000,
    drawn: int = 10_000, seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Learn all three, judge them, and write the folder."""
    clock = report.begin(folder)
    (grey, labels), (unseen, unseen_labels) = datasets.mnist("train"), datasets.mnist("test")
    x, labels, test = binarised(grey[:images], "threshold"), labels[:images], binarised(unseen, "threshold")
    learned, told = teach(x, hidden, latent, epochs, naive_epochs, seed)
    print(f"{clock():.0f} s. New digits", flush=True)
    few = test[np.random.default_rng(seed).choice(len(test), judged, replace=False)]
    found = judge(learned, x, labels, few, samples, seed)
    classifier = Classifier(seed)
    models.fit(classifier, (x, labels), epochs=5, seed=seed, progress=False)
    read = float((classifier.read(test) == unseen_labels).mean())
    drawings = imagine(learned, drawn, seed)
    digits = {name: shares(classifier, pictures) for name, pictures in drawings.items()}
    beginning = models.LatentOptimisation((28, 28), len(x), latent=latent, hidden=hidden, seed=seed)
    beginning.start(x)
    untouched = probe(beginning.training_codes().mean, labels)
    tables = tell(found, told, digits, read, untouched)
    print("\n".join(tables))
    draw_training(told, digits, folder / "training.png")
    shown = test[:COLUMNS]
    back = [models.decoded(model, model.infer(shown, **_seeded(model, seed)).mean) for model in learned.values()]
    draw_images({"": np.array([shown, *back])}, ["test digits", *learned], COLUMNS, folder / "reconstructions.png")
    rows = np.array([pictures[:COLUMNS] for pictures in drawings.values()])
    draw_images({"": rows}, list(drawings), COLUMNS, folder / "samples.png")
    numbers = {"models": found, "kl": told, "shares": digits, "classifier": read, "untouched": untouched}
    settings = {
        "images": images, "hidden": hidden, "latent": latent, "epochs": epochs, "naive_epochs": naive_epochs,
        "judged": judged, "samples": samples, "drawn": drawn, "seed": seed, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, tables, PICTURES, numbers, settings)
    return numbers


def _seeded(model: Any, seed: int) -> dict[str, int]:
    """Return the seed of an inference that has noise."""
    return {"seed": seed} if isinstance(model, models.LatentOptimisation) else {}


if __name__ == "__main__":
    main()
