"""Energies in HDF5 files: the class by name and its parameters, readable without this library."""

from pathlib import Path
from typing import Any

import numpy as np

from ebm.whole_file import write_whole
from samplers.store import StoreError

SCHEMA_VERSION = 1


def _classes() -> dict[str, Any]:
    """The energies that a file can hold, by name."""
    import ebm

    names = (
        "Gaussian", "GaussianMixture", "DoubleWell", "MullerBrown", "Rosenbrock", "Ising", "Potts", "XY", "CurieWeiss",
        "BoltzmannMachine", "Hopfield", "RBM", "GaussianRBM", "RBMWaveFunction", "ComplexRBMWaveFunction",
        "NeuralEnergy", "ScoreModel",
    )  # fmt: skip
    from ebm.algebra import Scaled, Sum

    return {**{name: getattr(ebm, name) for name in names}, "Sum": Sum, "Scaled": Scaled}


def save(energy: Any, path: str | Path) -> None:
    """Write an energy with its parameters to a new HDF5 file.

    Raises:
        StoreError: the file exists, or cannot be written; an existing file is never replaced.
        TypeError: the energy is made of code (a function, a network), which a file of numbers cannot hold.

    Example:
        >>> import tempfile, ebm
        >>> path = Path(tempfile.mkdtemp()) / "model.h5"
        >>> save(ebm.Ising((4, 4), field=0.5), path)
        >>> ebm.load(path)
        Ising(shape=(4, 4), coupling=1.0, field=0.5)
    """

    def fill(file: Any) -> None:
        file.attrs["schema_version"] = SCHEMA_VERSION
        _write(file, energy)

    path = Path(path)
    if path.exists():
        raise StoreError(f"{path} exists already: choose another name")
    write_whole(path, "ebmlab energy", fill, replace=False)


def load(path: str | Path) -> Any:
    """Read an energy from an HDF5 file that `save` wrote.

    Raises:
        StoreError: no such file, another kind of file, or one of a newer version.
    """
    import h5py

    path = Path(path)
    if not path.exists():
        raise StoreError(f"{path} does not exist")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise StoreError(f"{path} is not a readable HDF5 file: {error}") from error
    with file:
        if file.attrs.get("format") != "ebmlab energy":
            raise StoreError(f"{path} is not an energy file (chain files are read by samplers.load)")
        if int(file.attrs["schema_version"]) > SCHEMA_VERSION:
            raise StoreError(
                f"{path} was written by a newer version (schema {file.attrs['schema_version']}, this one reads "
                f"{SCHEMA_VERSION}): update ebmlab"
            )
        return _read(file, path)


def _write(group: Any, energy: Any) -> None:
    name = type(energy).__name__
    if _classes().get(name) is not type(energy) or not getattr(energy, "saved", True):
        raise TypeError(
            f"{name} is made of code, which a file of numbers cannot hold: only built-in energies are saved"
        )
    group.attrs["class"] = name
    for key, value in energy.parameters().items():
        if value is None:
            continue
        if hasattr(value, "tocoo"):
            matrix, inner = value.tocsr(), group.create_group(key)
            inner.attrs["kind"] = "csr"
            inner.attrs["shape"] = matrix.shape
            for part in ("data", "indices", "indptr"):
                inner[part] = getattr(matrix, part)
        elif hasattr(value, "parameters"):
            _write(group.create_group(key), value)
        elif isinstance(value, np.ndarray) and value.ndim:
            group[key] = value
        else:
            group.attrs[f"parameter.{key}"] = value


def _read(group: Any, path: Path) -> Any:
    from scipy.sparse import csr_array

    name, known = str(group.attrs["class"]), _classes()
    if name not in known:
        raise StoreError(f"{path} holds an energy of class {name!r}, which this version does not know")
    parameters: dict[str, Any] = {}
    for key, value in group.attrs.items():
        if key.startswith("parameter."):
            plain = value.item() if isinstance(value, np.generic) else value
            parameters[key.removeprefix("parameter.")] = tuple(plain.tolist()) if np.ndim(plain) else plain
    for key, item in group.items():
        if not hasattr(item, "keys"):
            parameters[key] = item[()]
        elif item.attrs.get("kind") == "csr":
            parts = (item["data"][()], item["indices"][()], item["indptr"][()])
            parameters[key] = csr_array(parts, shape=tuple(item.attrs["shape"]))
        else:
            parameters[key] = _read(item, path)
    return known[name](**parameters)
