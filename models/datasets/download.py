"""Data that must be fetched: where files are kept, how they are checked, and the whole of MNIST.

Files are kept as their source serves them, in the folder that the environment variable EBM_DATA names, or in the user's
cache. Each is checked by the SHA-256 of its uncompressed bytes every time it is read: compressed bytes differ between
mirrors, their content does not. A file that is there is used and never altered or deleted.
"""

import gzip
import hashlib
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

MNIST_SOURCES = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
SECONDS_TO_ANSWER = 30
ADVICE = "move it away to have it fetched again"


class DatasetError(OSError):
    """A data set cannot be had: its file is missing, cannot be fetched, or is not what it should be."""


def data_folder() -> Path:
    """Return the folder of downloaded data: ``$EBM_DATA``, or else ``ebmlab`` in the user's cache."""
    if folder := os.environ.get("EBM_DATA"):
        return Path(folder).expanduser()
    import pooch

    return Path(pooch.os_cache("ebmlab"))


def mnist(split: Literal["train", "test"] = "train") -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read MNIST (LeCun et al., 1998), fetching it on first use into the folder ``mnist`` of `data_folder`.

    Arguments:
        split: "train" (60,000 images) or "test" (10,000)
    Returns: images (n, 28, 28) of grey levels 0 to 255, uint8, and labels (n,) of 0 to 9.
    Raises: ``ValueError`` for another split; `DatasetError` where a file is corrupt, or neither there nor to be had.
    """
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test", got {split!r}')
    prefix = {"train": "train", "test": "t10k"}[split]
    images = _read_idx(f"{prefix}-images-idx3-ubyte")
    labels = _read_idx(f"{prefix}-labels-idx1-ubyte")
    return images, labels.astype(np.int64)


def _read_idx(name: str) -> NDArray[np.uint8]:
    """Read one file of MNIST: 0, 0, 8 (unsigned bytes), the number of dimensions, their lengths, the bytes."""
    path = data_folder() / "mnist" / f"{name}.gz"
    sources = tuple(f"{source}{path.name}" for source in MNIST_SOURCES)

    def as_served(arrived: Path) -> bytes:
        _checked_content(arrived, MNIST_SHA256[name])
        return arrived.read_bytes()

    fetch_once(path, sources, as_served)
    content = _checked_content(path, MNIST_SHA256[name])
    dimensions = content[3]
    shape = np.frombuffer(content, dtype=">u4", count=dimensions, offset=4).astype(int)
    return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()


def _checked_content(path: Path, sha256: str) -> bytes:
    """Return the uncompressed bytes of a gzip file, or raise `DatasetError` where they are not those expected."""
    try:
        content = gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} is corrupt ({error}); {ADVICE}") from error
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error}") from error
    check_sum(content, sha256, path)
    return content


def check_sum(content: bytes, sha256: str, path: Path) -> None:
    """Raise `DatasetError` where bytes read from a path are not those expected."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DatasetError(
            f"{path} is corrupt: the SHA-256 of its content is {found[:12]}..., expected {sha256[:12]}...; {ADVICE}"
        )


def archived(path: Path, sha256: Mapping[str, str]) -> dict[str, bytes]:
    """Return the checked contents of files in a compressed tar archive; `sha256` has their sums by name.

    Raises: `DatasetError` where one is missing or altered, or the archive cannot be read.
    """
    found = dict.fromkeys(sha256, b"")
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                file = archive.extractfile(member) if name in sha256 else None
                if file is not None:
                    found[name] = file.read()
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} is corrupt ({error}); {ADVICE}") from error
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error}") from error
    for name in sha256:
        check_sum(found[name], sha256[name], path / name)
    return found


def fetch_once(path: Path, sources: tuple[str, ...], kept: Callable[[Path], bytes]) -> None:
    """Fetch a file, unless it is there, from the first source that has it.

    It appears at its path complete and checked, or not at all.

    Arguments:
        path: where it is kept.
        sources: addresses that serve it, or an archive that holds it.
        kept: returns what is to be kept of a file that has arrived, or raises ``OSError`` where it is another one.
    Raises: `DatasetError` where it is neither there nor to be had.
    """
    if path.exists():
        return
    import pooch

    failures = []
    advice = (
        f"What {sources[0]} serves belongs there; or set EBM_DATA to the folder that holds "
        f"{path.relative_to(data_folder())}"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            for source in sources:
                arriving, complete = Path(folder, "arriving"), Path(folder, "complete")
                try:
                    pooch.HTTPDownloader(timeout=SECONDS_TO_ANSWER)(source, str(arriving), None)
                    complete.write_bytes(kept(arriving))
                except OSError as error:
                    failures.append(f"{source}: {type(error).__name__}")
                    continue
                os.replace(complete, path)
                return
    except OSError as error:
        raise DatasetError(
            f"{path.name} is not in {path.parent}, which cannot be written: {error}. {advice}"
        ) from error
    raise DatasetError(
        f"{path.name} is not in {path.parent} and could not be fetched ({'; '.join(failures)}). {advice}"
    )
