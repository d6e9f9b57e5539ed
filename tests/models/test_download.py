"""MNIST is fetched from a server of the test's own, checked, kept, and never trusted or lost."""

import gzip
import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from models.datasets import DatasetError, data_folder, download, mnist

IMAGES = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, *range(12)])  # two images of two rows of three
LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 4])
CONTENT = {"train-images-idx3-ubyte": IMAGES, "train-labels-idx1-ubyte": LABELS}


class Server:
    """A web server of gzip files: what it serves, how it lies, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.files = {f"/good/{name}.gz": gzip.compress(content) for name, content in CONTENT.items()}
        self.files |= {f"/wrong/{name}.gz": gzip.compress(content + b"!") for name, content in CONTENT.items()}
        self.files |= {f"/page/{name}.gz": b"<html>Log in to this network</html>" for name in CONTENT}
        self.files |= {f"/cut/{name}.gz": gzip.compress(content) for name, content in CONTENT.items()}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                body = server.files.get(self.path)
                self.send_response(404 if body is None else 200)
                body = body or b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:-9] if self.path.startswith("/cut/") else body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two images stand for MNIST, its folder is new, and no source answers."""
    monkeypatch.setenv("EBM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "MNIST_SOURCES", ("http://127.0.0.1:9/mnist/",))
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    monkeypatch.setattr(download, "MNIST_SHA256", sums)


@pytest.fixture
def server(small_mnist: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A source that answers, over the loopback interface."""
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setattr(download, "MNIST_SOURCES", (f"{server.url}/good/",))
    try:
        try:
            socket.create_connection(server.http.server_address, timeout=5).close()
        except OSError:
            pytest.skip("this machine has no loopback interface up")
        yield server
    finally:
        server.http.shutdown()
        thread.join()
        server.http.server_close()


def _put(folder: Path, **changed: bytes) -> Path:
    """Put the two files of the training set into a folder; `images` or `labels` says other bytes."""
    (folder / "mnist").mkdir(parents=True)
    for name, content in CONTENT.items():
        kind = name.split("-")[1]
        (folder / "mnist" / f"{name}.gz").write_bytes(changed.get(kind, gzip.compress(content)))
    return folder / "mnist"


def test_mnist_is_fetched_once_and_kept_as_served(server: Server) -> None:
    images, labels = mnist()
    assert np.array_equal(images, np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    assert np.array_equal(labels, [7, 4])
    folder = data_folder() / "mnist"
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.gz" for name in CONTENT]  # nothing else left
    assert (folder / "train-labels-idx1-ubyte.gz").read_bytes() == server.files["/good/train-labels-idx1-ubyte.gz"]
    mnist()
    assert len(server.asked) == 2


def test_a_file_already_there_is_used_untouched(small_mnist: None) -> None:
    recompressed = gzip.compress(LABELS, compresslevel=0)  # other bytes, same content
    folder = _put(data_folder(), labels=recompressed)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert np.array_equal(mnist()[1], [7, 4])
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


@pytest.mark.parametrize("bad", ["none", "wrong", "page", "cut"])
def test_a_source_that_fails_or_lies_is_passed_over(bad: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MNIST_SOURCES", (f"{server.url}/{bad}/", f"{server.url}/good/"))
    assert np.array_equal(mnist()[1], [7, 4])
    assert sum(path.startswith(f"/{bad}/") for path in server.asked) == 2


@pytest.mark.parametrize("bad", ["none", "wrong", "page", "cut"])
def test_without_a_good_source_nothing_is_kept(bad: str, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MNIST_SOURCES", (f"{server.url}/{bad}/",))
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte\.gz is not in .* could not be fetched"):
        mnist()
    assert list((data_folder() / "mnist").iterdir()) == []


def test_no_network_and_no_file_names_file_folder_and_source(small_mnist: None, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        mnist()
    assert str(tmp_path / "data" / "mnist") in str(caught.value)
    assert "http://127.0.0.1:9/mnist/train-images-idx3-ubyte.gz" in str(caught.value)
    assert "EBM_DATA" in str(caught.value)


@pytest.mark.parametrize(
    "corrupt",
    [
        gzip.compress(IMAGES)[:-3],
        gzip.compress(IMAGES[:-1] + b"!"),
        b"",
        b"<html>",
        gzip.compress(IMAGES)[:10] + b"\xff" * 20,
    ],
    ids=["truncated", "other content", "empty", "not gzip", "bad stream"],
)
def test_a_corrupt_file_is_said_to_be_and_stays(corrupt: bytes, small_mnist: None) -> None:
    path = _put(data_folder(), images=corrupt) / "train-images-idx3-ubyte.gz"
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte\.gz is corrupt.*move it away"):
        mnist()
    assert path.read_bytes() == corrupt


def test_a_folder_that_cannot_be_written_is_named(
    small_mnist: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("EBM_DATA", str(tmp_path / "file"))
    with pytest.raises(DatasetError, match=r"train-images.* is not in .*file/mnist, which cannot be written"):
        mnist()


def test_the_folder_is_ebm_data_or_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EBM_DATA", "~/digits")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder() == tmp_path / "digits"
    monkeypatch.setenv("EBM_DATA", "")
    assert data_folder().name == "ebmlab"


def test_another_split_is_refused() -> None:
    with pytest.raises(ValueError, match='split must be "train" or "test", got \'validation\''):
        mnist("validation")
