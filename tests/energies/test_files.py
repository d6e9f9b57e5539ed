"""Energies in files: what is saved and loaded is the same energy, and nothing is lost or replaced on the way."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from laws import ENERGIES

import ebm
from samplers import StoreError
from samplers.identity import fingerprint_energy
from samplers.initial import initial

MORE: dict[str, Any] = {
    "rosenbrock in four dimensions": ebm.Rosenbrock(4, a=0.5, b=7.0),
    "ising with integer couplings": ebm.Ising((2, 3), coupling=np.arange(12).reshape(2, 2, 3)),
    "ising with nested lists": ebm.Ising((3,), coupling=[[1.0, 2.0, 3.0]], field=[0.1, 0.2, 0.3]),
    "sum of sums": 0.5 * (ebm.Ising((4,)) + 2 * ebm.CurieWeiss(4)) + ebm.Ising((4,), field=0.1),
    "a large lattice with random bonds": ebm.Ising((80, 80), np.random.default_rng(1).normal(size=(2, 80, 80))),
    "rbm": ebm.RBM(4, 3, W=np.linspace(-1.0, 1.0, 12).reshape(4, 3), b=np.arange(4.0), c=np.arange(3.0)),
}
ALL = {**ENERGIES, **MORE}
del ALL["score model's level"]  # it is its model that is saved


@pytest.mark.parametrize("name", ALL)
def test_a_loaded_energy_is_the_saved_one(name: str, tmp_path: Path) -> None:
    energy, path = ALL[name], tmp_path / "energy.h5"
    energy.save(path)
    loaded = ebm.load(path)
    x = initial(energy, 5, 2).reshape(5, *energy.shape)
    assert type(loaded) is type(energy) and loaded.shape == energy.shape and loaded.domain == energy.domain
    for beta in (1.0, 0.3):
        np.testing.assert_array_equal(loaded.reduced(x, beta), energy.reduced(x, beta))
    assert fingerprint_energy(loaded) == fingerprint_energy(energy)
    loaded.save(tmp_path / "again.h5")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.h5", "energy.h5"]


def test_saving_does_not_replace_a_file(tmp_path: Path) -> None:
    path = tmp_path / "energy.h5"
    path.write_text("mine")
    with pytest.raises(StoreError, match=r"energy.h5 exists already: choose another name"):
        ebm.Ising((4,)).save(path)
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"could not be written \(No such file"):
        ebm.Ising((4,)).save(tmp_path / "missing" / "energy.h5")


def test_what_is_no_energy_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with pytest.raises(StoreError, match=r"other.h5 does not exist"):
        ebm.load(path)
    path.write_bytes(b"not HDF5 at all")
    with pytest.raises(StoreError, match=r"other.h5 is not a readable HDF5 file"):
        ebm.load(path)
    path.unlink()
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(StoreError, match=r"other.h5 is not an energy file"):
        ebm.load(path)


def test_a_newer_schema_and_an_unknown_class_are_told(tmp_path: Path) -> None:
    path = tmp_path / "energy.h5"
    ebm.Ising((4,)).save(path)
    with h5py.File(path, "a") as file:
        file.attrs["schema_version"] = 99
    with pytest.raises(StoreError, match=r"energy.h5 was written by a newer version .schema 99, this one reads 1"):
        ebm.load(path)
    with h5py.File(path, "a") as file:
        file.attrs["schema_version"] = 1
        file.attrs["class"] = "Tachyon"
    with pytest.raises(StoreError, match="holds an energy of class 'Tachyon', which this version does not know"):
        ebm.load(path)


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "energy.h5"
    ALL["a large lattice with random bonds"].save(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(StoreError, match=r"energy.h5"):
        ebm.load(path)


def test_an_energy_made_of_code_is_not_saved(tmp_path: Path) -> None:
    def f(x, params):
        return x[0] ** 2

    own = ebm.CompiledEnergy(f, shape=(2,))
    torch_energy = ebm.TorchEnergy(lambda x: (x**2).sum(1), shape=(2,))
    for energy in (own, torch_energy, ebm.DoubleWell(2) + torch_energy):
        with pytest.raises(TypeError, match="Energy is made of code, which a file of numbers cannot hold"):
            energy.save(tmp_path / "energy.h5")
    assert list(tmp_path.iterdir()) == []
