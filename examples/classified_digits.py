"""What examples of classifiers share: MNIST's pixels of zero mean and unit variance, random parts, means of seeds."""

import numpy as np
import report

from models import datasets

MEAN, DEVIATION = 33.3, 78.6  # of the training set's grey levels, 0 to 255


def digits(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return MNIST's "train" or "test" images (n, 28, 28), standardised, in single precision, and labels (n,)."""
    images, labels = datasets.mnist(part)
    return standardised(images), labels


def standardised(grey: np.ndarray) -> np.ndarray:
    """Return grey levels in units of their standard deviation over the training set, from their mean."""
    return ((grey - np.float32(MEAN)) / np.float32(DEVIATION)).astype(np.float32)


def drawn(data: tuple[np.ndarray, np.ndarray], n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n random pairs, all different."""
    rows = np.random.default_rng(seed).permutation(len(data[1]))[:n]
    return data[0][rows], data[1][rows]


def mean_told(values: np.ndarray, scale: float = 100.0) -> str:
    """Return the mean of values (seeds,) times a scale, with its standard error in units of the last digits."""
    error = scale * float(values.std(ddof=1)) / len(values) ** 0.5
    return report.with_error(scale * float(values.mean()), error) if error else f"{scale * values.mean():g}"
