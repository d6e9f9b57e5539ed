"""Small files that are there as a whole or not at all, whenever the process dies, however full the disk."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from samplers.store import StoreError


def write_whole(path: Path, kind: str, fill: Callable[[Any], None], replace: bool) -> None:
    """Write an HDF5 file in one step.

    Args:
        path: where it is to be.
        kind: the attribute `format`, which tells readers what the file holds.
        fill: called with the open h5py file, to write into it.
        replace: whether a file of that name may be replaced; if not, it is an error and stays.

    Raises:
        StoreError: there is such a file, or it cannot be written; what was there stays.
    """
    import h5py

    # The image is made in memory and written at once: a full disk must not be met inside HDF5.
    with h5py.File(f".{path.name}", "w", driver="core", backing_store=False) as file:
        file.attrs["format"] = kind
        fill(file)
        file.flush()
        image = file.id.get_file_image()
    write_bytes(path, image, replace)


def write_bytes(path: Path, image: bytes, replace: bool) -> None:
    """Write a file of these bytes in one step; arguments and errors are those of `write_whole`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as out:
            out.write(image)
            out.flush()
            os.fsync(out.fileno())
        # Unlike a rename a link never replaces a file that has come meanwhile.
        (os.replace if replace else os.link)(temporary, path)
    except FileExistsError:
        raise StoreError(f"{path} exists already: choose another name") from None
    except OSError as error:
        raise StoreError(f"{path} could not be written ({error.strerror or error}); what was there stays") from error
    finally:
        temporary.unlink(missing_ok=True)
