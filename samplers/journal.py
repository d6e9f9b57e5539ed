"""The write-ahead journal beside a chain file: records of draws that the file does not hold yet.

`run.h5.journal` starts with a header that names the run (magic, fingerprint, CRC-32). Each record that follows is a
head (magic, CRC-32 of the rest of the head, CRC-32 of the body, first draw, draws, bytes of the checkpoint, bytes of
the body) and a body: for each variable its stored values (chain, draw, ...), then the checkpoint. A kill in the
middle of a write leaves a short last record, which is dropped. The journal also carries the lock of the store.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import numpy as np

from samplers.layout import StoreError
from samplers.schema import Description

SUFFIX = ".journal"
READ_BYTES = 4 * 1024 * 1024
WRITE_BYTES = 1 << 30  # some systems refuse to write 2 GiB or more at once
_HEADER = struct.Struct("<8s64sI")
_HEADER_MAGIC = b"EBMLABJ1"
_HEAD = struct.Struct("<8sIIqqqq")
_HEAD_MAGIC = b"\xebBLOCK\r\n"


class Records(NamedTuple):
    """The good records of a journal: first draw, draws and place of the body of each, and where the last one ends."""

    starts: np.ndarray
    counts: np.ndarray
    offsets: np.ndarray
    end: int
    checkpoint: bytes | None

    @property
    def draws(self) -> int:
        """Number of draws of the run up to the last record, 0 without records."""
        return int(self.starts[-1] + self.counts[-1]) if len(self.starts) else 0


_NOTHING = np.zeros(0, np.int64)
NO_RECORDS = Records(_NOTHING, _NOTHING, _NOTHING, 0, None)


class _Head(NamedTuple):
    body_crc: int
    start: int
    draws: int
    checkpoint_bytes: int
    body_bytes: int


@contextmanager
def explained(path: str, problem: str, advice: str) -> Iterator[None]:
    """Turn an OSError into a StoreError: one sentence with the path, the cause and the advice."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        cause = error.strerror or str(error)
        explanation = StoreError(f"{path} {problem} ({cause}): {advice}")
        explanation.errno = error.errno
        raise explanation from error


def read_at(file: int, offset: int, size: int) -> bytes:
    """Read `size` bytes at `offset`, fewer only at the end of the file."""
    parts = []
    while size > 0 and (part := os.pread(file, size, offset)):
        parts.append(part)
        offset, size = offset + len(part), size - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def write_at(file: int, offset: int, data: bytes) -> None:
    """Write all of `data` at `offset`; the system may write it in parts."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view[:WRITE_BYTES], offset)
        view, offset = view[written:], offset + written


def scan(file: int, path: str, description: Description) -> Records:
    """Find the good records of the open journal of `path`.

    Raises:
        StoreError: the journal is of another run, or a damaged record has records after it.
    """
    size = os.fstat(file).st_size
    starts: list[int] = []
    counts: list[int] = []
    offsets: list[int] = []
    checkpoint_place = None
    position = _HEADER.size
    if size >= _HEADER.size:
        _check_header(read_at(file, 0, _HEADER.size), path, description)
    while position + _HEAD.size <= size:
        head = _parse_head(read_at(file, position, _HEAD.size))
        body = position + _HEAD.size
        if head is None or body + head.body_bytes > size or _crc_at(file, body, head) != head.body_crc:
            _refuse_if_records_follow(file, path, position, size, starts[-1] + counts[-1] if starts else None)
            break
        _check_fit(head, path, position, description, starts[-1] + counts[-1] if starts else head.start)
        starts.append(head.start)
        counts.append(head.draws)
        offsets.append(body)
        position = body + head.body_bytes
        checkpoint_place = position - head.checkpoint_bytes, head.checkpoint_bytes
    checkpoint = read_at(file, *checkpoint_place) if checkpoint_place else None
    end = min(position, size) if size >= _HEADER.size else 0
    columns = np.array((starts, counts, offsets), np.int64)
    return Records(columns[0], columns[1], columns[2], end, checkpoint)


def _check_header(header: bytes, path: str, description: Description) -> None:
    magic, fingerprint, crc = _HEADER.unpack(header)
    if magic != _HEADER_MAGIC or zlib.crc32(header[:-4]) != crc:
        raise StoreError(f"{path}{SUFFIX} is no journal, or its start is damaged: move it away to use {path} alone")
    if fingerprint.decode() != description.fingerprint:
        raise StoreError(f"{path}{SUFFIX} belongs to another run than {path}: move it beside its own file")


def _parse_head(data: bytes) -> _Head | None:
    if len(data) < _HEAD.size:
        return None
    magic, crc, *fields = _HEAD.unpack(data)
    return _Head(*fields) if magic == _HEAD_MAGIC and zlib.crc32(data[12:]) == crc else None


def _check_fit(head: _Head, path: str, position: int, description: Description, draws: int) -> None:
    """Refuse a whole record that does not go on where the one before it ended: no kill can write it."""
    body_bytes = head.draws * description.draw_bytes + head.checkpoint_bytes
    if head.start != draws or head.body_bytes != body_bytes:
        raise StoreError(
            f"{path}{SUFFIX} has a record at byte {position} that starts at draw {head.start} where draw {draws} is "
            f"due, or has the wrong size: restore the journal from a copy, or cut it to {position} bytes"
        )


def _crc_at(file: int, offset: int, head: _Head) -> int:
    crc, end = 0, offset + head.body_bytes
    while offset < end and (part := os.pread(file, min(READ_BYTES, end - offset), offset)):
        crc, offset = zlib.crc32(part, crc), offset + len(part)
    return crc


def _refuse_if_records_follow(file: int, path: str, bad: int, size: int, draws: int | None) -> None:
    """Tell a torn last record, which may be dropped, from damage in the middle, which may not.

    Nothing beyond `size` counts: a writer may have completed the torn record since, and gone on.
    """
    position = bad + 1
    while position + _HEAD.size <= size:
        data = read_at(file, position, min(READ_BYTES, size - position))
        found = data.find(_HEAD_MAGIC)
        while found >= 0 and position + found + _HEAD.size <= size:
            if _parse_head(read_at(file, position + found, _HEAD.size)) is not None:
                safe = "the draws in the file itself" if draws is None else f"draws 0 to {draws - 1}"
                raise StoreError(
                    f"{path}{SUFFIX} is damaged at byte {bad} with good records from byte {position + found} on: "
                    f"{safe} are safe; restore the journal from a copy, or cut it to {bad} bytes to go on from there"
                )
            found = data.find(_HEAD_MAGIC, found + 1)
        position += max(1, len(data) - len(_HEAD_MAGIC) + 1)


class Journal:
    """The locked, append-only journal of the one writer of a store.

    Args:
        path: path of the chain file; the journal is `path` + ".journal", made if it is not there.

    Raises:
        StoreError: the folder cannot be written, or another writer holds the lock.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = path + SUFFIX
        self.end = 0
        with explained(path, "cannot be written", "check that the folder exists and that you may write in it"):
            self._file = _open_locked(path, self.name)

    def start(self, description: Description, end: int) -> None:
        """Cut the journal to its `end` good bytes; write the header if there is none."""
        with explained(self.path, "cannot be gone on with", "free some space and open it again; nothing is lost"):
            os.ftruncate(self._file, end)
            if end == 0:
                write_at(self._file, 0, _header(description))
                end = _HEADER.size
        self.end = end

    @property
    def empty(self) -> bool:
        """Whether there is no record, good or not."""
        return os.fstat(self._file).st_size <= _HEADER.size

    def append(self, start: int, count: int, parts: list[bytes], checkpoint: bytes) -> int:
        """Write one record and return where it ends; on any error the journal stays as it was."""
        body = b"".join((*parts, checkpoint))
        fields = (zlib.crc32(body), start, count, len(checkpoint), len(body))
        head_crc = zlib.crc32(_HEAD.pack(_HEAD_MAGIC, 0, *fields)[12:])
        write_at(self._file, self.end, _HEAD.pack(_HEAD_MAGIC, head_crc, *fields) + body)
        return self.end + _HEAD.size + len(body)

    def roll_back(self) -> None:
        """Cut off what a failed append has left behind the last good record."""
        os.ftruncate(self._file, self.end)

    def renew(self, description: Description) -> None:
        """Put an empty journal in place of this one; readers that have the old one open keep it."""
        fresh = self.name + ".new"
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # before the rename: the store is never without a lock
            write_at(file, 0, _header(description))
            os.fsync(file)
            os.replace(fresh, self.name)
        finally:
            if os.path.samestat(os.fstat(file), os.stat(self.name)):  # true also when interrupted after the rename
                file, self._file, self.end = self._file, file, _HEADER.size
            else:
                os.unlink(fresh)
            os.close(file)

    def remove(self) -> None:
        """Delete the journal from its folder; the lock stays until `release`."""
        with suppress(FileNotFoundError):
            os.unlink(self.name)

    def remove_if_empty(self) -> None:
        """Delete a journal that was made only for its lock."""
        if self.empty:
            self.remove()

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._file)


def _header(description: Description) -> bytes:
    text = struct.pack("<8s64s", _HEADER_MAGIC, description.fingerprint.encode())
    return text + struct.pack("<I", zlib.crc32(text))


def _open_locked(path: str, name: str) -> int:
    while True:
        file = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.stat(name)):
                    return file
        except OSError as error:
            os.close(file)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise StoreError(
                    f"{path} is being written by another process: wait for it, or choose another path"
                ) from None
            raise
        os.close(file)  # its owner renewed or removed it between our open and our lock
