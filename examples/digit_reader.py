"""A small classifier of digits judges samples: how far they are from real digits, and what it reads in them."""

import math
from typing import Any

import numpy as np
import report
import torch
from torch import nn

import models
from models import metrics
from models.convolutional import encoder
from models.streams import seeded


class Reader(nn.Module):
    """A small classifier of digits, whose last hidden layer of 32 units gives the features."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with seeded(seed):
            self.network = encoder((28, 28), (8, 16), (32,), 10, "SiLU")

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        images, labels = batch
        return nn.functional.cross_entropy(self.network(images.flatten(1)), labels)

    @torch.no_grad()
    def features(self, images: np.ndarray) -> torch.Tensor:
        """Return the features, (n, 32), of images (n, 28, 28)."""
        return self.network[:-1](torch.as_tensor(images).flatten(1))

    @torch.no_grad()
    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of the digits, (n, 10), of images (n, 28, 28)."""
        return self.network(torch.as_tensor(images).flatten(1)).softmax(1).numpy()


def learned_reader(grey: np.ndarray, labels: np.ndarray, epochs: int, seed: int) -> Reader:
    """Return a classifier that has learned images (n, 28, 28) and their labels."""
    reader = Reader(seed)
    models.fit(
        reader, (grey, labels), epochs=epochs, batch_size=100, learning_rate=3e-3, averaging=0.99, seed=seed,
        schedule=lambda time: 1.0 - time / epochs, progress=False,
    )  # fmt: skip
    return reader


def independent(grey: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Return images whose pixels are drawn each by itself from those of images (m, 28, 28)."""
    rng, pixels = np.random.default_rng(seed), np.arange(784)
    return grey.reshape(-1, 784)[rng.integers(len(grey), size=(n, 784)), pixels].reshape(-1, 28, 28)


class Jury:
    """A reader, and real digits in parts, (parts, n, 28, 28), none of which it has learned.

    Samples in as many parts are compared part by part, each with the digits of the other parts: so a part of the real
    digits themselves can be judged in the same way, which gives the floor.
    """

    def __init__(self, reader: Reader, digits: np.ndarray) -> None:
        self.reader, self.digits = reader, digits
        self.others = [np.delete(digits, k, 0).reshape(-1, 28, 28) for k in range(len(digits))]
        self.spreads = [float(reader.features(part).var(0).sum()) for part in self.others]

    def __call__(self, images: np.ndarray) -> dict[str, Any]:
        """Return how far images (parts, n, 28, 28) are from real digits, how sure the reader is, and its readings.

        A distance is the squared Frechet distance of features in units of their variance among real digits. `factor`
        is the largest by which the share of a digit is above or below one in ten.
        """
        pairs = zip(images, self.others, self.spreads, strict=True)
        distances = [metrics.frechet_distance(a, b, self.reader.features) / spread for a, b, spread in pairs]
        p = np.stack([self.reader.probabilities(part) for part in images])
        counts = np.bincount(p.argmax(2).ravel(), minlength=10)
        return {
            "distances": distances, "distance": report.mean_and_error(np.array(distances)),
            "sure": report.mean_and_error(p.max(2).mean(1)), "counts": counts,
            "factor": max(counts.max() / counts.mean(), counts.mean() / counts.min() if counts.min() else math.inf),
        }  # fmt: skip
