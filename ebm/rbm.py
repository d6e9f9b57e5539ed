"""The restricted Boltzmann machine with binary units (Smolensky 1986; Hinton 2002).

    E(v, h) = -b.v - c.h - v W h,        p(v, h) = exp(-beta E(v, h)) / Z(beta),        v and h in {0, 1}

The energy of v alone is its free energy, with the hidden units summed out AT beta:

    u(v, beta) = -beta b.v - sum_j ln(1 + exp(beta (c_j + (v W)_j))),        p(v) = exp(-u) / Z(beta)

This is beta times the free energy at beta = 1 only when beta = 1; `0.5 * rbm` is another model than the RBM at
beta = 0.5. Given one layer the units of the other are independent, so a whole layer is drawn at once.
"""

from typing import Any

import numpy as np
from scipy.special import expit

from ebm.centring import Centre
from ebm.energy import Energy
from ebm.layers import draw_units, softplus_rows, store_units, sum_softplus, sum_softplus_moved
from ebm.parameter import Parameter
from ebm.products import over_rows
from ebm.two_layers import (
    centred,
    check_layer,
    check_units,
    create_layers,
    layer_gradient,
    means_over_hidden,
    persistent_sums,
)
from samplers import protocols
from samplers.compiled import Cached, Functions
from samplers.inner import inline


@inline
def _fill_fields(x, p, theta):
    """Set theta_j = c_j + sum_i x_i W_ij in double precision, skipping the units that are off."""
    weights, _, c = p
    for j in range(c.shape[0]):
        theta[j] = c[j]
    for i in range(x.shape[0]):
        if x[i] != 0:
            for j in range(c.shape[0]):
                theta[j] += weights[i, j]


@inline
def _hidden_fields(x, p):
    theta = np.empty(p[2].shape[0])
    _fill_fields(x, p, theta)
    return theta


@inline
def _reduced(x, beta, p):
    bias = 0.0
    for i in range(x.shape[0]):
        bias += x[i] * p[1][i]
    return -beta * bias - sum_softplus(_hidden_fields(x, p), beta)


@inline
def _change(x, site, value, beta, p):
    step = float(value) - x[site]
    theta = _hidden_fields(x, p)
    u = sum_softplus(theta, beta)
    return u - sum_softplus_moved(theta, step, p[0][site], beta) - beta * step * p[1][site]


# The cache: theta, then the inverse temperature at which the sum over its softplus was last taken, and that sum.


@inline
def _start_cache(x, p, cache):
    m = p[2].shape[0]
    _fill_fields(x, p, cache[:m])
    cache[m], cache[m + 1] = np.nan, 0.0  # no sum yet


@inline
def _cached_change(x, site, value, beta, p, cache):
    m = p[2].shape[0]
    theta, step = cache[:m], float(value) - x[site]
    if cache[m] != beta:
        cache[m], cache[m + 1] = beta, sum_softplus(theta, beta)
    return cache[m + 1] - sum_softplus_moved(theta, step, p[0][site], beta) - beta * step * p[1][site]


@inline
def _update_cache(x, site, value, p, cache):
    m, row, step = p[2].shape[0], p[0][site], float(value) - x[site]
    for j in range(m):
        cache[j] += step * row[j]
    cache[m], cache[m + 1] = np.nan, 0.0


_FUNCTIONS = Functions(_reduced, None, _change, (), Cached(_start_cache, _cached_change, _update_cache))


class RBM(Energy):
    """A restricted Boltzmann machine over binary visible units, hidden units summed out.

    Args:
        n_visible: number of visible units.
        n_hidden: number of hidden units.
        W: weights (n_visible, n_hidden); default: normal with standard deviation 0.01 from `seed`.
        b: visible biases (n_visible,); default zero.
        c: hidden biases (n_hidden,); default zero.
        seed: seed of the default weights.
        dtype: "float32" or "float64", of the parameters and of the matrix products of sampling. Energies are float64.

    Raises:
        ValueError: a number of units is not positive, an array has a wrong shape or is not finite.

    Example:
        >>> rbm = RBM(2, 3, W=np.zeros((2, 3)))
        >>> rbm(np.array([[0, 1]])).round(4)  # -3 ln 2
        array([-2.0794])
    """

    domain = "binary"
    linear_in_beta = False
    n_visible: int
    n_hidden: int
    W, b, c = Parameter(), Parameter(), Parameter()

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        *,
        W: Any = None,
        b: Any = None,
        c: Any = None,
        seed: int | None = None,
        dtype: str = "float32",
    ) -> None:
        create_layers(self, n_visible, n_hidden, W, b, c, seed, dtype)

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        return _FUNCTIONS.holding((self.W, self.b, self.c), size=self.n_hidden + 2)

    def parameters(self) -> dict[str, Any]:
        """Return sizes, weights, biases and dtype."""
        sizes = {"n_visible": self.n_visible, "n_hidden": self.n_hidden}
        return {**sizes, "W": self.W, "b": self.b, "c": self.c, "dtype": self.W.dtype.name}

    def reduced(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return u(v, beta) = -beta b.v - sum_j ln(1 + exp(beta (c_j + (v W)_j))), (n,), in double precision."""
        betas = np.broadcast_to(np.asarray(beta, np.float64), (len(x),))
        return self.reduced_at(x, betas[:, None])[:, 0]

    def reduced_at(self, x: np.ndarray, betas: np.ndarray) -> np.ndarray:
        """Return u of each configuration (n, n_visible) at its own inverse temperatures (n, k): one product for all."""
        x = protocols.check_configurations(x, self)
        columns = np.ascontiguousarray(np.asarray(betas, np.float64).T)  # (k, n)
        out = np.empty(columns.shape)
        W, b, c = (a.astype(np.float64) for a in (self.W, self.b, self.c))

        def part(rows: slice) -> None:
            v = x[rows].astype(np.float64)
            theta, bias = v @ W + c, v @ b
            for beta, u in zip(columns[:, rows], out[:, rows], strict=True):
                softplus_rows(theta, beta, u)
                u += beta * bias

        over_rows(part, len(x))
        return -out.T

    def hidden(self, v: np.ndarray, beta: float = 1.0) -> np.ndarray:
        """Return P(h_j = 1 | v) = sigmoid(beta (c_j + (v W)_j)), (n, n_hidden), for v (n, n_visible)."""
        protocols.check_positive(beta, "beta", zero=True)
        v = check_layer(v, self.n_visible, "v", self.W.dtype)
        return expit(self.W.dtype.type(beta) * (v @ self.W + self.c))

    def visible(self, h: np.ndarray, beta: float = 1.0) -> np.ndarray:
        """Return P(v_i = 1 | h) = sigmoid(beta (b_i + (W h)_i)), (n, n_visible), for h (n, n_hidden)."""
        protocols.check_positive(beta, "beta", zero=True)
        h = check_layer(h, self.n_hidden, "h", self.W.dtype)
        return expit(self.W.dtype.type(beta) * (h @ self.W.T + self.b))

    def block_gibbs(self, x: np.ndarray, beta: np.ndarray, streams: np.ndarray, sweeps: int) -> None:
        """Run `sweeps` times h ~ p(h | v), v ~ p(v | h) in place (Geman and Geman 1984; exact at any beta).

        Args:
            x: visible configurations (chains, n_visible), int8, replaced by the new ones.
            beta: inverse temperature of each chain, (chains,).
            streams: random streams (chains, 4), advanced.
            sweeps: number of updates of both layers.

        Raises:
            SamplingError: an activation became NaN (weights were made NaN in place, or are too large for their dtype).
        """

        def part(rows: slice) -> None:
            v = x[rows].astype(self.W.dtype)
            h = np.empty((len(v), self.n_hidden), self.W.dtype)
            for _ in range(sweeps):
                np.matmul(v, self.W, out=h)
                draw_units(h, self.c, beta[rows], streams[rows])
                np.matmul(h, self.W.T, out=v)
                draw_units(v, self.b, beta[rows], streams[rows])
            check_units(self, store_units(v, x[rows]), rows.start)

        over_rows(part, len(x))

    def inputs(self, x: np.ndarray, out: np.ndarray) -> None:
        """Set out (n, n_visible) to what the hidden units see of x: x itself."""
        out[...] = x

    def draw_visible(self, h: np.ndarray, y: np.ndarray, x: np.ndarray, beta: np.ndarray, streams: np.ndarray) -> None:
        """Draw x ~ p(v | h) in place, and set y to its inputs."""
        np.matmul(h, self.W.T, out=y)
        draw_units(y, self.b, beta, streams)
        store_units(y, x)  # NaN is seen in what follows: it spreads over the next layer

    def persistent_gradient(
        self, data: np.ndarray, state: dict[str, np.ndarray], sweeps: int, centre: Centre | None
    ) -> dict[str, np.ndarray]:
        """Move persistent chains of both layers and return the direction of ascent (ebm.two_layers)."""
        y, gradient, h, weights = persistent_sums(self, data, state, sweeps)
        return gradient if centre is None else centred(y, gradient, h, weights, centre)

    def learnable(self) -> dict[str, np.ndarray]:
        """Return the arrays that learning changes in place: W, b, c."""
        return {"W": self.W, "b": self.b, "c": self.c}

    def parameter_gradient(self, x: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return sum_i weights_i dE(x_i)/dparameter: dE/dW = -v P(h=1|v)^T, dE/db = -v, dE/dc = -P(h=1|v) at beta = 1.

        Args:
            x: visible configurations (n, n_visible).
            weights: weight of each configuration, (n,).
        """
        v = x.astype(self.W.dtype)
        return layer_gradient(v, self.W, self.c, weights)[0]

    def centred_gradient(self, x: np.ndarray, weights: np.ndarray, centre: Centre) -> dict[str, np.ndarray]:
        """Return the centred direction; the centre follows the rows of negative weight, the data."""
        v = x.astype(self.W.dtype)
        return centred(v, *layer_gradient(v, self.W, self.c, weights), weights, centre)

    def model_gradient(self) -> dict[str, np.ndarray]:
        """Return <dE/dparameter>_model exactly at beta = 1, by a sum over all states of the hidden layer."""
        W, b, c = (a.astype(np.float64) for a in (self.W, self.b, self.c))
        return {name: -mean for name, mean in means_over_hidden(W, b, c).items()}

    def log_z(self, beta: float = 1.0) -> float:
        """Return ln Z(beta) exactly, by a sum over all states of the smaller layer (at most 24 units)."""
        from ebm.exact import rbm_log_z

        return rbm_log_z(self, beta=beta)

    def __repr__(self) -> str:
        return f"RBM({self.n_visible}, {self.n_hidden})"
