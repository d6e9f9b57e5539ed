"""Data sets: toy densities that are known exactly, and handwritten digits.

    toy densities in the plane, each with ``sample``, exact ``log_prob`` and ``entropy`` (natural logarithms, nats)
        gaussian_mixture    eight round Gaussians on a circle         toy_mixture.py
        checkerboard        uniform on the dark squares of a board    toy_checkerboard.py
        pinwheel            five twisted arms                         toy_pinwheel.py
        spiral              two spiral arms                           toy_spiral.py
    patterns of bits, with the same three members
        bars_and_stripes                                              bars.py
    real images
        digits              5,000 MNIST digits, no download           handwritten.py
        mnist               all 70,000, from their public source      download.py
        cifar10             60,000 colour images                      cifar.py
        binarise, split     grey levels to bits; training and test    handwritten.py
    real tables for regression, `Table`
        california_housing  prices of 20,640 districts                tables.py
        concrete, energy_efficiency, wine_quality                     tables.py

The toy densities are those of FFJORD's experiments (Grathwohl et al., 2019), to the same scale, so figures compare.
"""

from models.datasets.bars import BarsAndStripes, bars_and_stripes
from models.datasets.cifar import cifar10
from models.datasets.download import DatasetError, data_folder, mnist
from models.datasets.handwritten import Split, binarise, digits, split
from models.datasets.tables import Table, california_housing, concrete, energy_efficiency, wine_quality
from models.datasets.toy_checkerboard import Checkerboard, checkerboard
from models.datasets.toy_mixture import GaussianRing, gaussian_mixture
from models.datasets.toy_pinwheel import Pinwheel, pinwheel
from models.datasets.toy_spiral import TwoSpirals, spiral

__all__ = [
    "BarsAndStripes",
    "Checkerboard",
    "DatasetError",
    "GaussianRing",
    "Pinwheel",
    "Split",
    "Table",
    "TwoSpirals",
    "bars_and_stripes",
    "binarise",
    "california_housing",
    "checkerboard",
    "cifar10",
    "concrete",
    "data_folder",
    "digits",
    "energy_efficiency",
    "gaussian_mixture",
    "mnist",
    "pinwheel",
    "spiral",
    "split",
    "wine_quality",
]
