"""What a chain file holds: the description of a run, and the HDF5 names, dimensions and attributes that carry it.

`posterior/`, `sample_stats/` and, of parallel tempering, `tempering/` hold the variables with dimension scales (chain,
draw, ...) as xarray and ArviZ read them, `checksums/` the CRC-32 of each stored chunk, `checkpoint` the state from
which sampling goes on.
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import zlib
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from samplers.layout import PACKINGS, StoreError, Variable, chunk_shape

if TYPE_CHECKING:
    import h5py  # at run time inside the functions: it would double the time of `import samplers`

FORMAT = "ebmlab chains"
SCHEMA_VERSION = 1
DRAW_NUMBERS_CHUNK = 65536
HDF5_VERSION = ("v110", "v110")  # this format has checksums on all metadata; HDF5 1.10 of 2016 reads it
LIBRARIES = ("ebmlab", "numpy", "numba", "h5py")
ALWAYS = ("posterior", "sample_stats")
GROUPS = (*ALWAYS, "tempering")  # the last one only where something is in it
OWN_ATTRIBUTES = frozenset(f"{library}_version" for library in (*LIBRARIES, "python")) | {
    "format",
    "schema_version",
    "about",
    "fingerprint",
    "json_attributes",
    "stored_chains",
    "stored_draws",
    "checkpoint_checksum",
}
_BARE_DIMENSION = "This is a netCDF dimension but not a netCDF variable. {:10d}"
STORY = (
    "Markov chains sampled by ebmlab. posterior/ holds configurations and observables, sample_stats/ energies and "
    "statistics of the sampler, tempering/ what a temperature ladder records, all with axes (chain, draw, ...); the "
    "attributes of a dataset say how it is packed. "
    "The attributes here tell the run; those named in json_attributes are JSON text. checkpoint is the state of the "
    "sampler after the last draw. checksums/ holds zlib.crc32 of each stored chunk, axes (block of chains, of draws)."
)


class Description(NamedTuple):
    """What a store holds, fixed at creation: number of chains, variables, and the attributes of the run."""

    chains: int
    variables: dict[str, Variable]
    attributes: dict[str, Any]
    fingerprint: str

    @property
    def groups(self) -> tuple[str, ...]:
        """The HDF5 groups of this store."""
        used = set(ALWAYS) | {variable.group for variable in self.variables.values()}
        return tuple(group for group in GROUPS if group in used)

    @property
    def draw_bytes(self) -> int:
        """Bytes of one draw of all chains and variables, before compression."""
        return self.chains * sum(variable.stored_bytes for variable in self.variables.values())


def describe(chains: int, variables: Mapping[str, Variable], attributes: Mapping[str, Any]) -> Description:
    """Check and normalise what a new store is to hold.

    Raises:
        ValueError, TypeError: naming the argument that does not fit.
    """
    if int(chains) != chains or chains < 1:
        raise ValueError(f"chains must be a positive integer, got {chains}")
    ordered = sorted(variables.items(), key=lambda item: (item[1].group, item[0]))  # the order in which HDF5 lists them
    checked = {name: _checked_variable(name, variable) for name, variable in ordered}
    clash = sorted(OWN_ATTRIBUTES & set(attributes))
    if clash:
        raise ValueError(f"attributes must not use names that the file itself needs, got {', '.join(clash)}")
    try:
        text = json.dumps(dict(attributes))
    except (TypeError, ValueError) as error:
        raise TypeError(f"attributes must be what JSON can hold, got something else: {error}") from None
    parts = {name: (v.group, v.dtype.str, v.shape, v.packing) for name, v in checked.items()}
    fingerprint = hashlib.sha256(json.dumps([int(chains), parts, text]).encode()).hexdigest()
    return Description(int(chains), checked, json.loads(text), fingerprint)


def _checked_variable(name: str, variable: Variable) -> Variable:
    """Return the variable with plain types, or raise."""
    group, dtype, shape, packing = variable
    dtype = np.dtype(dtype).newbyteorder("=")
    if not name or set(name) & set("/\0") or name in (".", "chain", "draw"):
        raise ValueError(f"a variable's name must be text without '/', other than 'chain' and 'draw', got {name!r}")
    if group not in GROUPS:
        raise ValueError(f"group of {name} must be one of {', '.join(GROUPS)}, got {group!r}")
    if packing not in PACKINGS:
        raise ValueError(f"packing of {name} must be one of {', '.join(PACKINGS)}, got {packing!r}")
    if dtype.kind not in "biuf":
        raise TypeError(f"dtype of {name} must be bool, integer or real, got {dtype}")
    if packing in ("spin", "binary") and dtype != np.int8:
        raise TypeError(f"dtype of {name} must be int8 for packing {packing!r}, got {dtype}")
    if any(side < 1 for side in shape):
        raise ValueError(f"shape of {name} must have positive sides, got {shape}")
    return Variable(group, dtype, tuple(int(side) for side in shape), packing)


def image(description: Description, draws: int, checkpoint: bytes) -> bytes:
    """Make a chain file in memory, all but the chunks: names, dimensions, attributes and the checkpoint."""
    import h5py

    as_json = sorted(name for name, value in description.attributes.items() if not _is_plain(value))
    own: dict[str, Any] = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "about": STORY,
        "fingerprint": description.fingerprint,
        "json_attributes": json.dumps(as_json),
        "stored_chains": description.chains,
        "stored_draws": draws,
        "checkpoint_checksum": zlib.crc32(checkpoint),
        **_versions(),
    }
    with h5py.File("image", "w", driver="core", backing_store=False, libver=HDF5_VERSION) as file:
        for name, value in sorted((own | description.attributes).items()):
            _set_attribute(file, name, json.dumps(value) if name in as_json else value)
        file["checkpoint"] = np.frombuffer(checkpoint, np.uint8)
        file["checkpoint"].dims[0].attach_scale(_bare_dimension(file, "checkpoint_byte", len(checkpoint)))
        file.create_group("checksums")
        for group in description.groups:
            _define_coordinates(file.create_group(group), description.chains, draws)
        for name, variable in description.variables.items():
            _define_variable(file, name, variable, description.chains, draws)
        file.flush()
        return file.id.get_file_image()


def _define_coordinates(group: h5py.Group, chains: int, draws: int) -> None:
    """Create the dimensions chain and draw; the numbers of the draws are written with the chunks."""
    group["chain"] = np.arange(chains)
    group.create_dataset("draw", (draws,), np.int64, **_storage((draws and min(draws, DRAW_NUMBERS_CHUNK),), True))
    for name in ("chain", "draw"):
        group[name].make_scale(name)


def _define_variable(file: h5py.File, name: str, variable: Variable, chains: int, draws: int) -> None:
    """Create one empty variable and room for its checksums."""
    group, checksums = file[variable.group], file["checksums"]
    chunk = chunk_shape(variable, chains, draws)
    storage = _storage((*chunk, *variable.stored_shape), variable.packing == "gzip")
    shape = (chains, draws, *variable.stored_shape)
    dataset = group.create_dataset(name, shape, variable.stored_dtype, **storage)
    dataset.dims[0].attach_scale(group["chain"])
    dataset.dims[1].attach_scale(group["draw"])
    for axis, size in enumerate(variable.stored_shape):
        scale = _bare_dimension(group, f"{name}_byte" if variable.in_bits else f"{name}_dim_{axis}", size)
        dataset.dims[2 + axis].attach_scale(scale)
    _set_attribute(dataset, "dtype", variable.dtype.name)
    _set_attribute(dataset, "packing", variable.packing)
    _set_attribute(dataset, "packing_meaning", PACKINGS[variable.packing])
    dataset.attrs["shape_of_a_draw"] = np.array(variable.shape, np.int64)
    blocks = (chains // chunk[0], -(-draws // max(1, chunk[1])))
    crcs = checksums.create_dataset(name, blocks, np.uint32)
    for axis, part in enumerate(("chain_block", "draw_block")):
        crcs.dims[axis].attach_scale(_bare_dimension(checksums, f"{name}_{part}", blocks[axis]))


def _storage(chunks: tuple[int, ...], compressed: bool) -> dict[str, Any]:
    """Return how h5py is to store a dataset: in chunks, if there is anything to store."""
    if 0 in chunks:
        return {}
    return {"chunks": chunks} | ({"compression": "gzip", "compression_opts": 1, "shuffle": True} if compressed else {})


def _bare_dimension(group: h5py.Group, name: str, size: int) -> h5py.Dataset:
    """Create a dimension without coordinates as netCDF does; it takes no space."""
    dataset = group.create_dataset(name, (size,), ">f4")
    dataset.make_scale(_BARE_DIMENSION.format(size))
    return dataset


def _is_plain(value: Any) -> bool:
    """Whether HDF5 can hold the value as it is."""
    if isinstance(value, str):
        return "\0" not in value
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def _set_attribute(target: h5py.HLObject, name: str, value: str | int | float) -> None:
    """Write an attribute; text in a fixed length, since HDF5 keeps the other kind where no checksum covers it."""
    import h5py

    if isinstance(value, str):
        data = value.encode()
        target.attrs.create(name, np.array(data, h5py.string_dtype("utf-8", max(1, len(data)))))
    else:
        target.attrs[name] = value


@functools.cache
def _versions() -> dict[str, str]:
    """Versions of the libraries that write the file."""
    versions = {"python_version": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[f"{library}_version"] = metadata.version(library)
        except metadata.PackageNotFoundError:
            versions[f"{library}_version"] = "not installed as a package"
    return versions


def parse(source: h5py.File, path: str) -> tuple[Description, int, bytes]:
    """Read what an open chain file holds: its description, the number of draws, and the checkpoint.

    Raises:
        StoreError: the file is foreign, of a newer schema, or its checkpoint is damaged.
    """
    root = {name: _plain(value) for name, value in source.attrs.items()}
    if root.get("format") != FORMAT:
        raise StoreError(f"{path} is an HDF5 file but no chain file of ebmlab: give the path of a chain file")
    if root["schema_version"] > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {root['schema_version']} and this ebmlab reads up to {SCHEMA_VERSION}: "
            f"update ebmlab (the file was written by version {root['ebmlab_version']})"
        )
    checkpoint = source["checkpoint"][...].tobytes()
    if zlib.crc32(checkpoint) != root["checkpoint_checksum"]:
        raise StoreError(f"{path} is damaged: its checkpoint fails the checksum; restore it from a copy")
    as_json = json.loads(root["json_attributes"])
    attributes = {
        name: json.loads(value) if name in as_json else value
        for name, value in root.items()
        if name not in OWN_ATTRIBUTES
    }
    there = list(source)  # a damaged group is listed, and raises when it is opened
    variables = {
        name: _variable(group, dataset)
        for group in GROUPS
        if group in there or group in ALWAYS
        for name, dataset in source[group].items()
        if "packing" in dataset.attrs
    }
    description = Description(root["stored_chains"], variables, attributes, root["fingerprint"])
    return description, root["stored_draws"], checkpoint


def _plain(value: Any) -> Any:
    """Turn an attribute as h5py gives it into a plain str, int, float or list."""
    if isinstance(value, bytes):
        return value.decode()
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _variable(group: str, dataset: h5py.Dataset) -> Variable:
    attributes = {name: _plain(dataset.attrs[name]) for name in ("dtype", "packing", "shape_of_a_draw")}
    shape = tuple(attributes["shape_of_a_draw"])
    return Variable(group, np.dtype(attributes["dtype"]), shape, attributes["packing"])
