"""Wide random networks: what the examples of signals through depth compare with.

Given the activations a of one layer, the numbers z = W a of the next are Gaussian and independent if the weights are,
of variance v: z ~ N(0, v |a|^2). In a wide network the mean square of a layer hence follows from that of the layer
before, by an integral over one Gaussian number (Poole et al. 2016); so does that of gradients, if those that come back
are taken to be independent of the activations that went forth (Schoenholz et al. 2017).
"""

from collections.abc import Callable

import numpy as np
from scipy.special import expit

_HALF, _WEIGHTS = np.polynomial.legendre.leggauss(200)  # of each half of the line: functions may have a kink at zero
NODES = np.concatenate([5.0 * (_HALF - 1.0), 5.0 * (_HALF + 1.0)])  # to ten standard deviations
WEIGHTS = 5.0 * np.tile(_WEIGHTS, 2) * np.exp(-0.5 * NODES**2) / np.sqrt(2.0 * np.pi)
FUNCTIONS: dict[str, tuple[Callable, Callable]] = {  # f and its derivative
    "Sigmoid": (expit, lambda z: expit(z) * expit(-z)),
    "Tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "ReLU": (lambda z: np.maximum(z, 0.0), lambda z: (z > 0.0).astype(float)),
}


def gaussian_mean(f: Callable, variance: float) -> float:
    """Return <f(z)> of z ~ N(0, variance), by Gauss and Legendre's quadrature."""
    return float(WEIGHTS @ f(np.sqrt(variance) * NODES))
