"""MNIST in numbers that networks like: what the examples of classifiers learn from."""

import numpy as np

from models import datasets


def standardised(train: int = 60_000, test: int = 10_000) -> datasets.Split:
    """Return the first digits of MNIST's two parts, pixels (n, 784) in single precision and labels (n,).

    The pixels of the training digits have zero mean and unit variance over all of them; the test digits are shifted
    and scaled by the same two numbers.
    """
    (x, y), (fresh, answers) = datasets.mnist("train"), datasets.mnist("test")
    x, fresh = (part.reshape(len(part), -1).astype(np.float32) for part in (x[:train], fresh[:test]))
    mean, deviation = x.mean(dtype=np.float64), x.std(dtype=np.float64)
    x, fresh = ((part - np.float32(mean)) / np.float32(deviation) for part in (x, fresh))
    return datasets.Split(x, y[:train], fresh, answers[:test])


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Return the mean over seeds and its standard error."""
    values = np.asarray(values, float)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
