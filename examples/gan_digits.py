"""A game of two networks learns digits, and its discriminator is an energy that the library's chains walk on.

A generator G makes images of 28 x 28 pixels from codes z ~ N(0, 1), and a discriminator of logit d tells them from
MNIST's training digits (Goodfellow et al. 2014; convolutions as in the DCGAN, Radford, Metz and Chintala 2016), each
with layers of 8, 16 and 32 channels. If the game comes to its optimum, d = 0 everywhere and its value V is -2 ln 2. If
not, the best d is ln p/q of data and samples, and V + 2 ln 2 is then twice the divergence of Jensen and Shannon; with
any other d, on digits that it has not learned, it is a lower bound of that, but for the error of the mean.

What is left over in d can correct the generator: chains on the energy of codes

    E(z) = |z|^2 / 2 - d(G(z))

give samples nearer to the data (discriminator-driven latent sampling, Che et al. 2020), as far as d is ln p/q. The
discriminator of the game is held down by its penalty (R1, gamma 0.1) and runs after a generator that moves. A second
one starts from it and goes on learning alone, without the penalty, while the generator stands still. Hamiltonian Monte
Carlo walks on both, from codes of N(0, 1). What comes of it is looked at in three ways:

- the mean of d along the chains, beside that of codes from N(0, 1) weighted by exp(d), which needs no chains; and
  ln <exp d> over N(0, 1), which is 0 if d is ln p/q;
- the squared Frechet distance to test digits in 32 features, the last hidden layer of a small classifier that has
  learned MNIST's training digits, in units of the variance of these features. It is no FID: another classifier gives
  other numbers, and none sees all. Other test digits give the floor. Training digits the classifier knows. Pixels drawn
  each by itself from those of the training digits are what knows no shapes;
- what the classifier reads: how sure it is, and how unequal the shares of the ten digits are.

Few samples, or correlated ones, make a distance larger, so all kinds have as many and the draws of a chain are kept 16
trajectories apart. Errors are standard errors over eight parts of the samples and of the test digits, each part with
chains of its own, or over chains; they are those of one learning.
"""

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from digit_reader import Jury, independent, learned_reader
from game_told import ALONE, GAME, PRIOR, REAL, TEST, TRAINING, draw, gains, tell
from torch import nn

import models
import samplers
from ebm import History
from models import datasets

PARTS = 8  # of samples and test digits: distances and their errors
GAMMA = 0.1  # of the penalty R1
PICTURES = {
    "samples.png": "The first of each kind, none chosen: test digits; samples of z from N(0, 1); ends of chains on the "
    "energy of the discriminator that went on alone; three of these chains along their draws.",
    "learning.png": "Left: losses of the two players (the discriminator's with its penalty), and what they are at the "
    "optimum. Right: Frechet distance of samples after each epoch, with averaged parameters, and the floor.",
    "logits.png": "Left: logits of the discriminator that went on alone. Right: shares of the digits that the "
    "classifier reads, and the uniform share.",
}


class Alone(nn.Module):
    """The discriminator of a game in which the generator stands still."""

    def __init__(self, gan: models.GAN) -> None:
        super().__init__()
        self.gan = gan

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return self.gan.loss(batch, "discriminator")


def play(gan: models.GAN, grey: np.ndarray, epochs: int, seed: int, measure: Any) -> History:
    """Make a GAN learn images (n, 28, 28); return its history."""
    return models.fit(
        gan, grey, epochs=epochs, batch_size=64, learning_rate=1e-3, averaging=0.995, seed=seed, progress=False,
        optimiser=functools.partial(torch.optim.Adam, betas=(0.5, 0.99)),
        schedule=lambda time: 1.0 - 0.9 * time / epochs, measure=measure,
        callback=lambda record: print(record, flush=True),
    )  # fmt: skip


def gone_on(gan: models.GAN, grey: np.ndarray, epochs: int, seed: int) -> models.GAN:
    """Return a GAN of the same generator, whose discriminator has gone on learning without a penalty."""
    other = models.GAN(**(gan.settings | {"gradient_penalty": 0.0}))
    other.load_state_dict(gan.state_dict())
    models.fit(
        Alone(other), grey, epochs=epochs, batch_size=64, learning_rate=1e-3, averaging=0.995, seed=seed,
        schedule=lambda time: 1.0 - time / epochs, progress=False,
    )  # fmt: skip
    return other


def walk(gan: models.GAN, chains: int, draws: int, thin: int, seed: int) -> samplers.Chains:
    """Return chains of codes on the energy of a GAN, which start from N(0, 1)."""
    return samplers.sample(
        gan.as_energy(), samplers.HMC(steps=5), chains=chains, draws=draws, thin=thin, warmup=40, seed=seed,
        init=np.random.default_rng(seed).standard_normal((chains, gan.latent)), progress=False,
    )  # fmt: skip


def told_by(run: samplers.Chains) -> np.ndarray:
    """Return d(G(z)) = |z|^2 / 2 - E(z) along chains, (chains, draws)."""
    return 0.5 * np.square(run.x).sum(2) - run.energy


def weighted(gan: models.GAN, n: int, seed: int) -> dict[str, Any]:
    """Return what n codes from N(0, 1), weighted by exp(d), say of the law of the chains.

    `effective` is (sum w)^2 / n sum w^2, the share of the codes that are worth something.
    """
    z = np.random.default_rng(seed).standard_normal((n, gan.latent))
    d = 0.5 * np.square(z).sum(1) - gan.as_energy()(z)
    w = np.exp(d - d.max())
    mean = float(w @ d / w.sum())
    return {
        "log_mean": (float(d.max() + np.log(w.mean())), float(w.std(ddof=1) / w.mean() / math.sqrt(n))),
        "mean": (mean, float(np.sqrt(np.square(w * (d - mean)).sum()) / w.sum())),
        "effective": float(w.sum() ** 2 / np.square(w).sum() / n),
    }


@torch.no_grad()
def logits(gan: models.GAN, images: np.ndarray) -> np.ndarray:
    """Return d of images (parts, n, 28, 28), in one row."""
    return torch.cat([gan.logit(torch.as_tensor(part)) for part in images]).numpy()


def values(gan: models.GAN, images: np.ndarray) -> tuple[float, float]:
    """Return V on images (parts, n, 28, 28), and its standard error."""
    return report.mean_and_error(np.array([gan.value(part, seed) for seed, part in enumerate(images)]))


def examined(gan: models.GAN, run: samplers.Chains, drawn: dict[str, np.ndarray], seed: int) -> dict[str, Any]:
    """Return what a discriminator says of real digits, in parts by kind, and how its chains went."""
    means = {name: report.mean_and_error(logits(gan, drawn[name])) for name in REAL}
    (a, e), (b, f) = means[TRAINING], means[TEST]
    rows = samplers.summary(run).rows.values()
    return {
        "value": {name: values(gan, drawn[name]) for name in REAL},
        "mean_d": means | {"difference": (a - b, math.hypot(e, f))},
        "chains": report.mean_and_error(told_by(run).mean(1)), "weighted": weighted(gan, 3 * run.energy.size, seed),
        "acceptance": float(run.acceptance.mean()), "r_hat": max(row.r_hat for row in rows),
        "tau": max(row.tau for row in rows),
    }  # fmt: skip


def in_parts(images: np.ndarray) -> np.ndarray:
    """Return images (PARTS * n, 28, 28) as (PARTS, n, 28, 28)."""
    return images.reshape(PARTS, -1, 28, 28)


def gathered(images: int, judged: int, epochs: int, seed: int) -> tuple[np.ndarray, np.ndarray, Jury, float]:
    """Return training digits, `judged` of them in parts, a reader with as many test digits, and its accuracy."""
    rng = np.random.default_rng(seed)
    (train, labels), (test, truth) = datasets.mnist("train"), datasets.mnist("test")
    order, grey = rng.permutation(len(test))[:judged], (train[:images] / 255).astype(np.float32)
    held, reader = (test[order] / 255).astype(np.float32), learned_reader(grey, labels[:images], epochs, seed)
    right = float((reader.probabilities(held).argmax(1) == truth[order]).mean())
    return grey, in_parts(grey[rng.permutation(len(grey))[:judged]]), Jury(reader, in_parts(held)), right


def main(
    folder: Path = report.RESULTS / "gan_digits", images: int = 60_000, epochs: int = 5, alone: int = 1,
    channels: tuple[int, ...] = (8, 16, 32), latent: int = 16, reading: int = 2, chains: int = 240, draws: int = 20,
    thin: int = 16, seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Learn to read, play, go on alone, walk, judge, and write the folder."""
    clock, judged = report.begin(folder), chains * draws
    grey, known, jury, right = gathered(images, judged, reading, seed)
    print(f"{right:.2%} of the test digits are read rightly; {clock():.0f} s", flush=True)
    gan = models.GAN((28, 28), latent=latent, channels=channels, output="unit", gradient_penalty=GAMMA, seed=seed)

    def distance(model: models.GAN) -> dict[str, float]:
        return {"distance": jury(in_parts(model.sample(judged, seed)))["distance"][0]}

    history = play(gan, grey, epochs, seed, distance)
    judges = {GAME: gan, ALONE: gone_on(gan, grey, alone, seed)}
    print(f"{clock():.0f} s. Chains", flush=True)
    runs = {name: walk(model, chains, draws, thin, seed) for name, model in judges.items()}
    drawn = {TEST: jury.digits, TRAINING: known, PRIOR: in_parts(gan.sample(judged, seed))}
    # Each part has chains of its own.
    drawn |= {name: in_parts(gan.generate(np.asarray(run.x).reshape(-1, latent))) for name, run in runs.items()}
    drawn["pixels, each by itself"] = in_parts(independent(grey, judged, seed))
    scores = {name: jury(made) for name, made in drawn.items()}
    found = {name: examined(judges[name], run, drawn, seed) for name, run in runs.items()}
    tables = [f"The classifier reads {right:.1%} of the test digits rightly.", *tell(scores, found)]
    print("\n\n".join(tables))
    draw(drawn, {k: logits(judges[ALONE], drawn[k]) for k in (*REAL, PRIOR, ALONE)}, scores, history, chains, folder)
    numbers = {
        "scores": scores, "gains": gains(scores), "discriminators": found, "read_rightly": right,
        "learning": {name: history[name] for name in ("discriminator_loss", "generator_loss", "distance", "seconds")},
    }  # fmt: skip
    settings = {
        "images": images, "epochs": epochs, "alone": alone, "channels": channels, "latent": latent, "reading": reading,
        "chains": chains, "draws": draws, "thin": thin, "seed": seed, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, tables, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
