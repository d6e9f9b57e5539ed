"""Write until a limit on the size of a file stops it, then go on without the limit: full_disk.py FOLDER.

Prints the error of the append, the error of the fold, and the draws that were safe.
"""

import resource
import sys
from pathlib import Path

import known

from samplers.store import Store, StoreError, read


def limit(size: int) -> None:
    """Let no file of this process grow beyond this size; writes beyond it fail as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def error_of(action: object, *arguments: object) -> str:
    """What the StoreError of an action says."""
    try:
        action(*arguments)
    except StoreError as error:
        return str(error)
    raise AssertionError("no error")


folder = Path(sys.argv[1])
path = folder / "run.h5"
limit(10_000)
print(error_of(known.create, path))
assert list(folder.iterdir()) == []

limit(200_000)
writer = known.create(path)
while writer.draws < 10**6:
    try:
        known.extend(writer, 100)
    except StoreError as error:
        print(error)
        break
safe = writer.draws
known.check(read(path))
assert read(path).draws == safe > 0
before = path.read_bytes()
limit(100_000)
print(error_of(writer.close))
assert path.read_bytes() == before
known.check(read(path))
assert read(path).draws == safe
assert sorted(entry.name for entry in folder.iterdir()) == ["run.h5", "run.h5.journal"]

limit(resource.RLIM_INFINITY)
with Store.open(path) as writer:
    assert writer.draws == safe
    known.extend(writer, 50)
known.check(read(path))
assert [entry.name for entry in folder.iterdir()] == ["run.h5"]
print(safe)
