"""Latent optimisation beside a variational autoencoder: codes without an encoder, and why naive ones collapse.

Each training digit has a Gaussian code of its own, q_i = N(m_i, s_i^2), learned beside the decoder:

    loss = mean_i [ beta KL(q_i || N(0, 1)) - <ln p(x_i | z)>_{q_i} ]

A code has one gradient an epoch. Naive codes begin as noise (m_i of width 0.01, s_i = 1) and learn by Adam at the
decoder's own rate, with beta = 1. The decoder learns from thousands of noises before a code has moved, and learns to do
without. That state is a saddle of the loss for beta < lambda, the largest eigenvalue of the pixels' correlation matrix,
and a local minimum above (`models.latent_optimisation` has the argument). Codes do leave a saddle, but slowly. They
cannot leave a minimum, and it is one in the loss that is often written, where pixels and the numbers of a code are
averaged: that is beta = 784 / latent, here 49 for codes of 16 numbers. All four cases are run on few digits, for many
epochs.

Ours are summed, begin as principal components, stand still for the first epoch, and have ten times the decoder's rate.
The autoencoder has the same decoder, and an encoder. All three learn from the same threshold-binarised digits as many
epochs. A new digit gets its code from the encoder there; here by climbing the bound with the decoder as it is. Samples
come from one Gaussian, or from a mixture, fitted to the codes of the training digits; the NLL is of the same law.

Asked for: a linear probe that reads the digit off the codes of training digits with more than 90 % (fitted to five
sixths of them, judged on the rest, which learning saw without labels), and samples among which a classifier finds every
digit within a factor of two of a tenth. The probe reads the means of codes, however little they rise above their own
noise, and codes drawn from q_i, which are what the decoder is given.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from codes import binarised, rates
from collapse_told import CODE, COLUMNS, SEEDS, draw, draw_collapse, draw_digits, tell
from sklearn.linear_model import LogisticRegression
from torch import nn

import models
from models import datasets
from models.latent import Codes
from models.streams import seeded

OURS, NAIVE, VAE = "latent optimisation", "naive", "autoencoder"
COMPONENTS = 10  # of the mixture
FUSED = partial(torch.optim.Adam, fused=True)  # one pass over the codes, which are most of the parameters
PICTURES = {
    "collapse.png": "What codes tell of a digit (KL) along training. Left: the three models. Right: codes of 16 "
    "numbers of few digits, with logarithms summed (beta = 1) or averaged (beta = 49), from noise or from principal "
    "components; mean and range of three seeds.",
    "reconstructions.png": "Digits, and what comes back from the means of their codes.",
    "samples.png": "Samples (the decoder's means) from each prior.",
    "digits.png": "Share of each digit among samples, read by a classifier; the band is a factor of two around a "
    "tenth.",
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


def begin(model: models.LatentOptimisation, x: np.ndarray, naive: bool) -> None:
    """Let codes begin as the prior's noise, to learn at the decoder's rate, or as principal components."""
    if naive:
        model.paces, model.hold = {}, 0
        with torch.no_grad():
            model.codes.weight.mul_(0.1)  # of means of width 0.1
            model.codes.weight[:, model.latent :] = 0.0
    else:
        model.start(x)


def told(model: Any, x: np.ndarray) -> float:
    """Return the mean KL of the codes of training digits, in nats."""
    return float(rates(model.infer(x[:1000]) if isinstance(model, models.VAE) else model.training_codes()).mean())


def learn(
    model: Any, x: np.ndarray, epochs: int, seed: int, rate: float = 1e-3, batch: int = 200, name: str = ""
) -> list[float]:
    """Learn at a rate that falls linearly to zero; return what the codes tell before learning and after each epoch."""
    values = [told(model, x)]

    def look(record: dict[str, float]) -> None:
        values.append(told(model, x))
        if name:
            text = "{name}: epoch {epoch:3.0f}   loss {loss:7.2f}   KL {told:7.3f}   {seconds:5.1f} s"
            print(text.format(name=name, told=values[-1], **record), flush=True)

    models.fit(
        model, x if isinstance(model, models.VAE) else (np.arange(len(x)), x), epochs=epochs, batch_size=batch,
        learning_rate=rate, optimiser=FUSED, schedule=lambda time: 1.0 - time / epochs, seed=seed, callback=look,
        progress=False,
    )  # fmt: skip
    return values


def collapse(x: np.ndarray, hidden: tuple[int, ...], epochs: int, seed: int) -> dict[str, list[list[float]]]:
    """Return what codes tell along training, for each seed, of both losses and both beginnings."""
    found: dict[str, list[list[float]]] = {}
    for weight, beta in (("summed", 1.0), ("averaged", 784 / CODE)):
        for beginning in ("components", "noise"):
            runs = found.setdefault(f"{weight}, from {beginning}", [])
            for k in range(SEEDS):
                model = models.LatentOptimisation(
                    (28, 28), len(x), latent=CODE, hidden=hidden, beta=beta, hold=1, seed=seed + k
                )
                begin(model, x, beginning == "noise")
                runs.append(learn(model, x, epochs, seed + k, 3e-3, 100))
            print(f"{weight}, from {beginning}: KL", *(f"{run[-1]:.4f}" for run in runs), flush=True)
    return found


def first_eigenvalue(x: np.ndarray) -> float:
    """Return the largest eigenvalue of the correlation matrix of the pixels that vary."""
    bits = x.reshape(len(x), -1)
    return float(np.linalg.eigvalsh(np.corrcoef(bits[:, bits.std(0) > 0], rowvar=False))[-1])


def probe(codes: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the share of digits that a linear probe reads off codes, on the last sixth of them, and its error."""
    scaled, cut = (codes - codes.mean(0)) / codes.std(), len(codes) * 5 // 6
    share = LogisticRegression(max_iter=300).fit(scaled[:cut], labels[:cut]).score(scaled[cut:], labels[cut:])
    return float(share), float(np.sqrt(share * (1.0 - share) / (len(codes) - cut)))


def draw_codes(codes: Codes, seed: int) -> np.ndarray:
    """Return a z of each code, (n, latent)."""
    return codes.mean + codes.sigma * np.random.default_rng(seed).standard_normal(codes.mean.shape)


def missed(model: Any, x: np.ndarray, z: np.ndarray) -> tuple[float, float]:
    """Return the mean of -ln p(x | z) over pairs, in nats, and its error."""
    with torch.no_grad():
        logs = model.decoder.log_likelihood(torch.as_tensor(x), torch.as_tensor(z, dtype=torch.float32))
    return report.mean_and_error(-logs.double().numpy())


def judge(
    model: Any, x: np.ndarray, labels: np.ndarray, test: np.ndarray, samples: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Return how well a probe reads a model's codes, what reconstructions miss, and the NLL of new digits."""
    amortised = isinstance(model, models.VAE)
    codes = model.infer(x) if amortised else model.training_codes()
    new = model.infer(test) if amortised else model.infer(test, seed=seed)
    drawn = draw_codes(codes, seed)
    found = {
        "probe": probe(codes.mean, labels),
        "probe, drawn": probe(drawn, labels),
        "missed, training": missed(model, x[: len(test)], drawn[: len(test)]),
        "missed, new": missed(model, test, draw_codes(new, seed)),
        "nll": report.mean_and_error(-model.log_prob(test, samples, seed).value),
    }
    print({name: report.with_error(*pair) for name, pair in found.items()}, flush=True)
    return found


def imagine(learned: dict[str, Any], drawn: int, seed: int) -> dict[str, np.ndarray]:
    """Return images, the means of the decoder, at codes drawn from each prior."""
    ours, naive, vae = (learned[name] for name in (OURS, NAIVE, VAE))
    return {
        "one Gaussian": models.decoded(ours, ours.fitted_prior().sample(drawn, seed)),
        f"{COMPONENTS} Gaussians": models.decoded(ours, ours.fitted_prior(COMPONENTS).sample(drawn, seed)),
        NAIVE: models.decoded(naive, naive.fitted_prior().sample(drawn, seed)),
        VAE: models.decoded(vae, np.random.default_rng(seed).standard_normal((drawn, vae.latent))),
    }


def shares(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """Return the share of each digit among images, (10,)."""
    return np.bincount(classifier.read(images), minlength=10) / len(images)


def main(
    folder: Path = report.RESULTS / "latent_optimisation", images: int = 60_000, hidden: tuple[int, ...] = (256,),
    latent: int = 100, epochs: int = 10, few: int = 1000, few_hidden: tuple[int, ...] = (128,), few_epochs: int = 100,
    judged: int = 300, samples: int = 1000, drawn: int = 5000, seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Learn all of them, judge them, and write the folder."""
    clock = report.begin(folder)
    (grey, labels), (unseen, unseen_labels) = datasets.mnist("train"), datasets.mnist("test")
    x, labels, test = binarised(grey[:images], "threshold"), labels[:images], binarised(unseen, "threshold")
    cases, first = collapse(x[:few], few_hidden, few_epochs, seed), first_eigenvalue(x[:few])
    print(f"{clock():.0f} s. The largest eigenvalue is {first:.1f}", flush=True)
    options: dict[str, Any] = {"latent": latent, "hidden": hidden, "seed": seed}
    learned: dict[str, Any] = {
        OURS: models.LatentOptimisation((28, 28), images, hold=1, **options),
        NAIVE: models.LatentOptimisation((28, 28), images, **options), VAE: models.VAE((28, 28), **options),
    }  # fmt: skip
    begin(learned[NAIVE], x, naive=True)
    begin(learned[OURS], x, naive=False)
    found: dict[str, Any] = {"pixels": probe(x.reshape(images, -1), labels)}
    found["components"] = probe(learned[OURS].training_codes().mean, labels)
    along = {name: learn(model, x, epochs, seed, name=name) for name, model in learned.items()}
    print(f"{clock():.0f} s. New digits", flush=True)
    new = test[np.random.default_rng(seed).choice(len(test), judged, replace=False)]
    found["models"] = {name: judge(model, x, labels, new, samples, seed) for name, model in learned.items()}
    classifier = Classifier(seed)
    models.fit(classifier, (x, labels), epochs=5, seed=seed, progress=False)
    read = float((classifier.read(test) == unseen_labels).mean())
    drawings = imagine(learned, drawn, seed)
    digits = {name: shares(classifier, pictures) for name, pictures in drawings.items()}
    tables = tell(found, along, cases, first, digits, read)
    print("\n".join(tables))
    draw(learned, x[:COLUMNS], test[:COLUMNS], drawings, seed, folder)
    draw_collapse(along, cases, folder / "collapse.png")
    draw_digits(digits, folder / "digits.png")
    numbers = {**found, "kl": along, "collapse": cases, "eigenvalue": first, "shares": digits, "classifier": read}
    settings = {
        "images": images, "hidden": hidden, "latent": latent, "epochs": epochs, "few": few, "few_hidden": few_hidden,
        "few_epochs": few_epochs, "judged": judged, "samples": samples, "drawn": drawn, "seed": seed,
        "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, tables, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
