"""The sliced Wasserstein distance of two sets of samples (Rabin et al. 2012; Bonneel et al. 2015).

    SW^2 = < W_2^2(u . x, u . y) >    over directions u, uniform on the sphere

In one dimension W_2^2 is the mean squared difference of the sorted samples.
"""

from typing import Any

import numpy as np

from models.metrics.samples import Estimate, as_pair, mean_of
from samplers import protocols


def sliced_wasserstein(x: Any, y: Any, directions: int = 500, seed: int | None = None) -> Estimate:
    """Return SW^2 of as many x as y, (n, d), in the squared unit of x.

    The error is that of the choice of directions. Of samples of one law SW^2 is not zero but of the order of 1/n: what
    two sets of data give is the number to compare with.

    Args:
        x, y: samples.
        directions: how many, at random.
        seed: of the directions.

    Raises:
        ValueError: an argument is out of range, or there are not as many x as y.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 1))
        >>> round(sliced_wasserstein(x, x + 3.0).value, 6)
        9.0
    """
    x, y = as_pair(x, y)
    if len(x) != len(y):
        raise ValueError(f"x and y must be equally many, got {len(x)} and {len(y)}")
    protocols.check_positive(directions, "directions", integer=True)
    u = np.random.default_rng(seed).normal(size=(directions, x.shape[1]))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    squares = [np.square(np.sort(x @ one) - np.sort(y @ one)).mean() for one in u]  # one at a time: little memory
    return mean_of(np.array(squares))
