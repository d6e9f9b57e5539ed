"""CIFAR-10 (Krizhevsky 2009): 60,000 colour images of ten kinds of animals and vehicles, in its binary version.

The archive is kept as its source serves it, `cifar10/cifar-10-binary.tar.gz` in `data_folder`. Its files are checked by
their own SHA-256 whenever they are read; nothing is unpacked to the disk, and no pickle is loaded.
"""

import math
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.datasets.download import archived, data_folder, fetch_once

SOURCES = ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",)
SHA256 = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
SHAPE = (3, 32, 32)  # red, green, blue; each image follows one byte with its label


def cifar10(split: Literal["train", "test"] = "train") -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read CIFAR-10, fetching it (170 MB) on first use.

    Arguments:
        split: "train" (50,000 images) or "test" (10,000)
    Returns: images (n, 3, 32, 32) of levels 0 to 255 of red, green and blue, uint8, and labels (n,): 0 airplane,
        1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck.
    Raises: ``ValueError`` for another split; `DatasetError` where the archive is corrupt, or not to be had.
    """
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test", got {split!r}')
    path = data_folder() / "cifar10" / "cifar-10-binary.tar.gz"

    def as_served(arrived: Path) -> bytes:
        archived(arrived, SHA256)
        return arrived.read_bytes()

    fetch_once(path, SOURCES, as_served)
    wanted = {name: sha256 for name, sha256 in SHA256.items() if name.startswith("test") == (split == "test")}
    content = archived(path, wanted)
    rows = np.frombuffer(b"".join(content[name] for name in wanted), np.uint8).reshape(-1, 1 + math.prod(SHAPE))
    return rows[:, 1:].reshape(-1, *SHAPE).copy(), rows[:, 0].astype(np.int64)
