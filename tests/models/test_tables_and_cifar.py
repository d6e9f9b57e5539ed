"""Tables and CIFAR-10, by small files of their formats: read right, checked, fetched once, and never trusted."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import pytest

from models.datasets import (
    DatasetError,
    california_housing,
    cifar,
    cifar10,
    concrete,
    data_folder,
    energy_efficiency,
    tables,
    wine_quality,
)

HOUSES = b"-122.23,37.88,41,880,129,322,126,8.3252,452600\n-122.22,37.86,21,7099,1106,2401,1138,8.3014,358500\n"
CONCRETE = b"540.0 \t0.0 \t0.0 \t162.0 \t2.5 \t1040.0 \t676.0 \t28 \t79.99 \n332.5 142.5 0 228 0 932 594 270 40.27\n\n"
WINE = b"7.4 0.7 0 1.9 0.076 11 34 0.9978 3.51 0.56 9.4 5\n"


def batch(label: int) -> bytes:
    """Two images of one file of CIFAR-10: its label, then 1,024 bytes each of red, green and blue, row by row."""
    image = bytes([label, *([10] * 1024), *([20] * 1024), *(x for _ in range(32) for x in range(32))])
    return image + bytes([9, *([0] * 3072)])


def archive(files: dict[str, bytes]) -> bytes:
    """A tar file of these files, compressed."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


BATCHES = {name: batch(i) for i, name in enumerate(cifar.SHA256)}
CIFAR = archive({f"cifar-10-batches-bin/{name}": content for name, content in BATCHES.items()})
CALIFORNIA = archive({"CaliforniaHousing/cal_housing.domain": b"names", "CaliforniaHousing/cal_housing.data": HOUSES})


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, bytes]:
    """What the sources serve, by address: small files in the place of the genuine ones."""
    files = {
        tables.CALIFORNIA_SOURCES[0]: CALIFORNIA, cifar.SOURCES[0]: CIFAR,
        f"{tables.UCI_SOURCE}concrete/data/data.txt": CONCRETE, f"{tables.UCI_SOURCE}energy/data/data.txt": CONCRETE,
        f"{tables.UCI_SOURCE}wine-quality-red/data/data.txt": WINE,
    }  # fmt: skip

    class Downloader:
        def __init__(self, timeout: float) -> None:
            pass

        def __call__(self, address: str, path: str, _: Any) -> None:
            if address not in files:
                raise ConnectionError("no network")
            Path(path).write_bytes(files[address])

    def sha256(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()

    monkeypatch.setattr(pooch, "HTTPDownloader", Downloader)
    monkeypatch.setenv("EBM_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(tables, "CALIFORNIA_SHA256", sha256(HOUSES))
    uci = {"concrete": sha256(CONCRETE), "energy": sha256(CONCRETE), "wine-quality-red": sha256(WINE)}
    monkeypatch.setattr(tables, "UCI_SHA256", uci)
    monkeypatch.setattr(cifar, "SHA256", {name: sha256(content) for name, content in BATCHES.items()})
    return files


READ = {
    california_housing: "cal_housing.data",
    concrete: "uci/concrete.txt",
    energy_efficiency: "uci/energy.txt",
    wine_quality: "uci/wine-quality-red.txt",
    cifar10: "cifar10/cifar-10-binary.tar.gz",
}
every_set = pytest.mark.parametrize(("read", "kept"), READ.items(), ids=lambda value: getattr(value, "__name__", ""))


def test_houses_have_the_features_of_scikit_learn(served: dict[str, bytes]) -> None:
    table = california_housing()
    first = [8.3252, 41, 880 / 126, 129 / 126, 322, 322 / 126, 37.88, -122.23]
    assert np.allclose(table.x[0], first, rtol=1e-15)
    assert np.array_equal(table.y, [4.526, 3.585])
    assert table.x.shape == (2, 8) == (2, len(table.features))


def test_tables_end_with_their_target(served: dict[str, bytes]) -> None:
    assert np.array_equal(concrete().y, [79.99, 40.27])
    assert np.array_equal(concrete().x[0], [540, 0, 0, 162, 2.5, 1040, 676, 28])
    assert np.array_equal(energy_efficiency().y, [79.99, 40.27])
    assert wine_quality().x.shape == (1, 11) == (1, len(wine_quality().features))
    assert wine_quality().y.tolist() == [5.0]
    assert len(concrete().features) == len(energy_efficiency().features) == 8


def test_images_of_cifar_have_colours_rows_and_columns(served: dict[str, bytes]) -> None:
    images, labels = cifar10()
    assert images.shape == (10, 3, 32, 32) and images.dtype == np.uint8
    assert labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert (images[0, 0] == 10).all() and (images[0, 1] == 20).all()
    assert np.array_equal(images[0, 2], np.tile(np.arange(32), (32, 1)))
    images, labels = cifar10("test")
    assert images.shape == (2, 3, 32, 32) and labels.tolist() == [5, 9]
    with pytest.raises(ValueError, match='split must be "train" or "test", got \'all\''):
        cifar10("all")


@every_set
def test_it_is_fetched_once_and_kept(read: Callable[[], Any], kept: str, served: dict[str, bytes]) -> None:
    first = read()
    assert [str(path.relative_to(data_folder())) for path in data_folder().rglob("*.*")] == [kept]
    served.clear()
    assert np.array_equal(read()[0], first[0])


@every_set
def test_what_is_not_to_be_had_is_named(read: Callable[[], Any], kept: str, served: dict[str, bytes]) -> None:
    addresses = list(served)
    served.clear()
    with pytest.raises(DatasetError, match=r"could not be fetched .*ConnectionError.* set EBM_DATA") as caught:
        read()
    assert Path(kept).name in str(caught.value) and any(address in str(caught.value) for address in addresses)
    assert list((data_folder() / kept).parent.iterdir()) == []


@every_set
@pytest.mark.parametrize(
    "lie",
    [b"", b"<html>", gzip.compress(b"something"), archive({"other": b"1"}), CIFAR[:-20]],
    ids=["empty", "page", "another file", "another archive", "cut"],  # archives hold the second of their making
)
def test_a_source_that_lies_is_not_believed(
    read: Callable[[], Any], kept: str, lie: bytes, served: dict[str, bytes]
) -> None:
    served.update(dict.fromkeys(served, lie))
    with pytest.raises(DatasetError, match="could not be fetched"):
        read()
    assert list((data_folder() / kept).parent.iterdir()) == []


@every_set
@pytest.mark.parametrize(
    "damage",
    [b"", b"1 2 3", archive({"cifar-10-batches-bin/test_batch.bin": b"1"})],
    ids=["empty", "numbers", "archive"],
)
def test_a_corrupt_file_is_said_to_be_and_stays(
    read: Callable[[], Any], kept: str, damage: bytes, served: dict[str, bytes]
) -> None:
    path = data_folder() / kept
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    with pytest.raises(DatasetError, match=r"is corrupt.*move it away"):
        read()
    assert path.read_bytes() == damage
