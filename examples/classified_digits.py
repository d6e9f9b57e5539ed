"""What examples of classifiers share: MNIST's pixels in units of their deviation, random parts, means, calibration."""

import numpy as np
import report

from models import datasets

MEAN, DEVIATION = 33.3, 78.6  # of the training set's grey levels, 0 to 255


def digits(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return MNIST's "train" or "test" images (n, 28, 28), standardised, in single precision, and labels (n,)."""
    images, labels = datasets.mnist(part)
    return standardised(images), labels


def pixels(train: int = 60_000, test: int = 10_000) -> datasets.Split:
    """Return the first digits of both parts, with images (n, 784) in a row each."""
    (x, y), (fresh, answers) = digits("train"), digits("test")
    return datasets.Split(x[:train].reshape(-1, 784), y[:train], fresh[:test].reshape(-1, 784), answers[:test])


def standardised(grey: np.ndarray) -> np.ndarray:
    """Return grey levels in units of their standard deviation over the training set, from their mean."""
    return ((grey - np.float32(MEAN)) / np.float32(DEVIATION)).astype(np.float32)


def drawn(data: tuple[np.ndarray, np.ndarray], n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n random pairs, all different."""
    rows = np.random.default_rng(seed).permutation(len(data[1]))[:n]
    return data[0][rows], data[1][rows]


def mean_told(values: np.ndarray, scale: float = 100.0) -> str:
    """Return the mean of values (seeds,) times a scale, with its standard error in units of the last digits."""
    mean, error = report.mean_and_error(values)
    return report.with_error(scale * mean, scale * error)


def reliability(p: np.ndarray, right: np.ndarray, bins: int = 15) -> np.ndarray:
    """Return digits, mean p and the share that is right of each bin of p (n,) that holds any, (bins, 3)."""
    place = np.minimum((p * bins).astype(int), bins - 1)
    return np.array(
        [(np.sum(at), p[at].mean(), right[at].mean()) for at in (place == b for b in range(bins)) if at.any()]
    )


def calibration_error(p: np.ndarray, right: np.ndarray) -> float:
    """Return the mean of |share - p| over bins, weighted by their digits: the expected calibration error."""
    digits, mean, share = reliability(p, right).T
    return float(digits @ np.abs(share - mean) / len(p))
