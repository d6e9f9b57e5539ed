"""The restricted Boltzmann machine with Gaussian visible units (Cho, Ilin, Raiko 2011; Melchior, Wang, Wiskott 2017).

    E(v, h) = sum_i (v_i - b_i)^2 / 2 sigma_i^2 - c.h - sum_ij (v_i / sigma_i^2) W_ij h_j,    v real, h in {0, 1}

At beta the hidden units are summed out, theta_j = c_j + sum_i v_i W_ij / sigma_i^2:

    u(v, beta) = beta sum_i (v_i - b_i)^2 / 2 sigma_i^2 - sum_j ln(1 + exp(beta theta_j))

Given h, v_i is normal with mean b_i + (W h)_i and variance sigma_i^2 / beta; given v, h_j is 1 with probability
sigmoid(beta theta_j). The law of v is a mixture of 2^n_hidden Gaussians.

Widths are learned through ln sigma_i, so that they stay positive whatever the step (Cho, Ilin, Raiko 2011):

    dE/dln sigma_i = -(v_i - b_i)^2 / sigma_i^2 + 2 sum_j v_i W_ij h_j / sigma_i^2
                   = -(v_i - b_i)^2 / sigma_i^2 - 2 sum_j W_ij dE/dW_ij
"""

import math
from typing import Any

import numpy as np
from numba import njit
from scipy.special import expit

from ebm.centring import Centre
from ebm.energy import Energy, finite_array
from ebm.layers import draw_units, softplus_rows, sum_softplus
from ebm.parameter import Parameter
from ebm.products import over_rows
from ebm.two_layers import centred, check_layer, create_layers, layer_gradient, persistent_sums
from samplers import protocols, random
from samplers.compiled import Functions, difference
from samplers.inner import OPTIONS, inline


@inline
def _hidden_fields(x, p):
    """Return theta_j = c_j + sum_i x_i W_ij / sigma_i^2 in double precision."""
    weights, _, c, sigma = p
    theta = np.empty(c.shape[0])
    for j in range(c.shape[0]):
        theta[j] = c[j]
    for i in range(x.shape[0]):
        scaled = x[i] / (float(sigma[i]) * sigma[i])
        for j in range(c.shape[0]):
            theta[j] += scaled * weights[i, j]
    return theta


@inline
def _reduced(x, beta, p):
    square = 0.0
    for i in range(x.shape[0]):
        z = (x[i] - p[1][i]) / p[3][i]
        square += 0.5 * z * z
    return beta * square - sum_softplus(_hidden_fields(x, p), beta)


@inline
def _gradient(x, beta, weight, p, out, work):
    weights, b, _, sigma = p
    active = _hidden_fields(x, p)
    for j in range(active.shape[0]):
        active[j] = 1.0 / (1.0 + math.exp(-beta * active[j]))
    for i in range(x.shape[0]):
        mean = float(b[i])
        for j in range(active.shape[0]):
            mean += weights[i, j] * active[j]
        out[i] += weight * beta * (x[i] - mean) / (float(sigma[i]) * sigma[i])


_FUNCTIONS = Functions(_reduced, _gradient, difference(_reduced), ())


@njit(cache=True, **OPTIONS)
def draw_normal(mean, bias, sigma, scale, streams, out):
    """Set out[c, i] to a normal number with mean mean[c, i] + bias[i] and variance sigma[i]^2 / scale[c]."""
    for c in range(mean.shape[0]):
        stream, width = random.load(streams, c), 1.0 / math.sqrt(scale[c])
        for i in range(mean.shape[1]):
            z, stream = random.normal(stream)
            out[c, i] = mean[c, i] + bias[i] + width * sigma[i] * z
        random.save(streams, c, stream)


class GaussianRBM(Energy):
    """A restricted Boltzmann machine over real visible units, hidden units summed out.

    Args:
        n_visible: number of visible units.
        n_hidden: number of binary hidden units.
        W: weights (n_visible, n_hidden), in the unit of v; default: normal with standard deviation 0.01 from `seed`.
        b: visible biases (n_visible,), in the unit of v; default zero.
        c: hidden biases (n_hidden,), in the unit of the energy; default zero.
        sigma: widths of the visible units at beta = 1, (n_visible,) or one number, in the unit of v; default one. They
            stay as they are.
        log_sigma: their natural logarithms instead, (n_visible,) or one number: these widths are learned.
        seed: seed of the default weights.
        dtype: "float32" or "float64", of the parameters and of the matrix products of sampling. Energies are float64.

    Raises:
        ValueError: a number of units or a width is not positive, an array has a wrong shape or is not finite, or both
            sigma and log_sigma are given.

    Example:
        >>> GaussianRBM(2, 1, W=[[1.0], [0.0]])(np.array([[0.0, 2.0]])).round(4)  # 2^2 / 2 - ln 2
        array([1.3069])
        >>> list(GaussianRBM(2, 1, log_sigma=np.log(0.5)).learnable())
        ['W', 'b', 'c', 'log_sigma']
    """

    domain = "real"
    linear_in_beta = False
    n_visible: int
    n_hidden: int
    W, b, c, log_sigma = Parameter(), Parameter(), Parameter(), Parameter()

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        *,
        W: Any = None,
        b: Any = None,
        c: Any = None,
        sigma: Any = None,
        log_sigma: Any = None,
        seed: int | None = None,
        dtype: str = "float32",
    ) -> None:
        create_layers(self, n_visible, n_hidden, W, b, c, seed, dtype)
        if sigma is not None and log_sigma is not None:
            raise ValueError("sigma must be left out where log_sigma is given, got both")
        self.learns_widths = log_sigma is not None
        if self.learns_widths:
            widths = np.full(n_visible, log_sigma) if np.ndim(log_sigma) == 0 else log_sigma
            type(self).__dict__["log_sigma"].create(self, widths, (n_visible,), dtype)
        else:
            widths = np.full(n_visible, 1.0 if sigma is None else sigma) if np.ndim(sigma) == 0 else sigma
            self._sigma = _positive_widths(widths, n_visible, dtype)

    @property
    def sigma(self) -> np.ndarray:
        """The widths (n_visible,), read-only where they follow log_sigma. `rbm.sigma = value` sets them either way."""
        if not self.learns_widths:
            return self._sigma
        sigma = np.exp(self.log_sigma)
        sigma.flags.writeable = False
        return sigma

    @sigma.setter
    def sigma(self, value: Any) -> None:
        widths = _positive_widths(value, self.n_visible, self.W.dtype)
        if self.learns_widths:
            self.log_sigma = np.log(widths)
        else:
            self._sigma[...] = widths

    @property
    def compiled(self) -> Functions:
        """The numba functions of this energy."""
        # All writable, so that learned widths compile to the same loops as fixed ones.
        sigma = self.sigma.copy() if self.learns_widths else self._sigma
        return _FUNCTIONS._replace(params=(self.W, self.b, self.c, sigma))

    def parameters(self) -> dict[str, Any]:
        """Return sizes, weights, biases, widths or their logarithms, and dtype."""
        sizes = {"n_visible": self.n_visible, "n_hidden": self.n_hidden}
        widths = {"log_sigma": self.log_sigma} if self.learns_widths else {"sigma": self._sigma}
        return {**sizes, "W": self.W, "b": self.b, "c": self.c, **widths, "dtype": self.W.dtype.name}

    def reduced(self, x: np.ndarray, beta: float | np.ndarray) -> np.ndarray:
        """Return u(v, beta) = beta sum (v - b)^2 / 2 sigma^2 - sum_j ln(1 + exp(beta theta_j)), (n,)."""
        betas = np.broadcast_to(np.asarray(beta, np.float64), (len(x),))
        return self.reduced_at(x, betas[:, None])[:, 0]

    def reduced_at(self, x: np.ndarray, betas: np.ndarray) -> np.ndarray:
        """Return u of each configuration (n, n_visible) at its own inverse temperatures (n, k): one product for all."""
        x = protocols.check_configurations(x, self)
        columns = np.ascontiguousarray(np.asarray(betas, np.float64).T)  # (k, n)
        out = np.empty(columns.shape)
        W, b, c, sigma = (a.astype(np.float64) for a in (self.W, self.b, self.c, self.sigma))

        def part(rows: slice) -> None:
            theta, square = (x[rows] / sigma**2) @ W + c, (((x[rows] - b) / sigma) ** 2).sum(1) / 2
            for beta, u in zip(columns[:, rows], out[:, rows], strict=True):
                softplus_rows(theta, beta, u)
                u[:] = beta * square - u

        over_rows(part, len(x))
        return out.T

    def hidden(self, v: np.ndarray, beta: float = 1.0) -> np.ndarray:
        """Return P(h_j = 1 | v) = sigmoid(beta theta_j), (n, n_hidden), for v (n, n_visible)."""
        protocols.check_positive(beta, "beta", zero=True)
        v = check_layer(v, self.n_visible, "v", self.W.dtype)
        return expit(self.W.dtype.type(beta) * ((v / self.sigma**2) @ self.W + self.c))

    def visible(self, h: np.ndarray) -> np.ndarray:
        """Return the mean of v given h, b + W h, (n, n_visible), for h (n, n_hidden): the same at every beta."""
        return check_layer(h, self.n_hidden, "h", self.W.dtype) @ self.W.T + self.b

    def block_gibbs(self, x: np.ndarray, beta: np.ndarray, streams: np.ndarray, sweeps: int) -> None:
        """Run `sweeps` times h ~ p(h | v), v ~ p(v | h) in place (exact at any beta).

        Args:
            x: visible configurations (chains, n_visible), float64, replaced by the new ones.
            beta: inverse temperature of each chain, (chains,).
            streams: random streams (chains, 4), advanced.
            sweeps: number of updates of both layers.
        """

        def part(rows: slice) -> None:
            y, h = np.empty(x[rows].shape, self.W.dtype), np.empty((len(x[rows]), self.n_hidden), self.W.dtype)
            self.inputs(x[rows], y)
            for _ in range(sweeps):
                np.matmul(y, self.W, out=h)
                draw_units(h, self.c, beta[rows], streams[rows])
                self.draw_visible(h, y, x[rows], beta[rows], streams[rows])

        over_rows(part, len(x))

    def inputs(self, x: np.ndarray, out: np.ndarray) -> None:
        """Set out (n, n_visible) to what the hidden units see of x: x / sigma^2."""
        np.multiply(x, (1.0 / self.sigma.astype(np.float64) ** 2).astype(out.dtype), out=out, casting="same_kind")

    def draw_visible(self, h: np.ndarray, y: np.ndarray, x: np.ndarray, beta: np.ndarray, streams: np.ndarray) -> None:
        """Draw x ~ p(v | h) in place, and set y to its inputs."""
        np.matmul(h, self.W.T, out=y)
        draw_normal(y, self.b, self.sigma, beta, streams, x)
        self.inputs(x, y)

    def persistent_gradient(
        self, data: np.ndarray, state: dict[str, np.ndarray], sweeps: int, centre: Centre | None
    ) -> dict[str, np.ndarray]:
        """Move persistent chains of both layers and return the direction of ascent (ebm.two_layers)."""
        y, gradient, h, weights = persistent_sums(self, data, state, sweeps)
        if self.learns_widths:
            rows, (n, chains) = np.concatenate([data, state["x"]]), (len(data), len(state["x"]))
            gradient = self._with_widths(gradient, rows, np.repeat([-1.0 / n, 1.0 / chains], [n, chains]))
        return gradient if centre is None else centred(y, gradient, h, weights, centre)

    def learnable(self) -> dict[str, np.ndarray]:
        """Return the arrays that learning changes in place: W, b, c, and log_sigma if it was given."""
        arrays = {"W": self.W, "b": self.b, "c": self.c}
        return {**arrays, "log_sigma": self.log_sigma} if self.learns_widths else arrays

    def parameter_gradient(self, x: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return sum_i weights_i dE(x_i)/dparameter at beta = 1: with y = v / sigma^2 and h = P(h=1|v),

            dE/dW = -y h^T,    dE/db = -(y - b / sigma^2),    dE/dc = -h,    dE/dln sigma as above

        Args:
            x: visible configurations (n, n_visible).
            weights: weight of each configuration, (n,).
        """
        y = (x / self.sigma**2).astype(self.W.dtype)
        return self._completed(layer_gradient(y, self.W, self.c, weights)[0], x, weights)

    def centred_gradient(self, x: np.ndarray, weights: np.ndarray, centre: Centre) -> dict[str, np.ndarray]:
        """Return the centred direction; the centre follows y = v / sigma^2 of the rows of negative weight, the data."""
        y = (x / self.sigma**2).astype(self.W.dtype)
        gradient, h = layer_gradient(y, self.W, self.c, weights)
        return centred(y, self._completed(gradient, x, weights), h, weights, centre)

    def _completed(self, gradient: dict[str, np.ndarray], x: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        gradient["b"] += self.W.dtype.type(weights.sum()) * self.b / self.sigma**2
        return self._with_widths(gradient, x, weights)

    def _with_widths(
        self, gradient: dict[str, np.ndarray], x: np.ndarray, weights: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Return the gradient with that of log_sigma, if it is learned; takes the ordinary one of W."""
        if not self.learns_widths:
            return gradient
        square = weights @ (x - self.b.astype(np.float64)) ** 2 / self.sigma**2
        through_hidden = 2.0 * (self.W * gradient["W"]).sum(1)
        return {**gradient, "log_sigma": -(square + through_hidden).astype(self.W.dtype)}

    def model_gradient(self) -> dict[str, np.ndarray]:
        """Return <dE/dparameter>_model exactly at beta = 1, by a sum over all states of the hidden layer."""
        from ebm.exact import states

        W, b, c, sigma = (a.astype(np.float64) for a in (self.W, self.b, self.c, self.sigma))
        total, log_z = {name: np.zeros(a.shape) for name, a in self.learnable().items()}, self.log_z()
        log_norm = np.log(2 * np.pi * sigma**2).sum() / 2
        for block in states((self.n_hidden,), "binary"):
            h = block.astype(np.float64)
            mean = h @ W.T + b
            p = np.exp(h @ c + ((mean**2 - b**2) / (2 * sigma**2)).sum(1) + log_norm - log_z)
            total["W"] -= (mean / sigma**2).T @ (p[:, None] * h)
            total["b"] -= p @ ((mean - b) / sigma**2)
            total["c"] -= p @ h
            if self.learns_widths:  # <(v - b)^2> = sigma^2 + (mean - b)^2 given h
                total["log_sigma"] += p @ ((mean**2 - b**2) / sigma**2 - 1.0)
        return total

    def log_z(self, beta: float = 1.0) -> float:
        """Return ln Z(beta) exactly, by a sum over all states of the hidden layer (at most 24 units)."""
        from ebm.exact import gaussian_rbm_log_z

        return gaussian_rbm_log_z(self, beta=beta)

    def __repr__(self) -> str:
        widths = ", widths learned" if self.learns_widths else ""
        return f"GaussianRBM({self.n_visible}, {self.n_hidden}{widths})"


def _positive_widths(value: Any, n_visible: int, dtype: Any) -> np.ndarray:
    widths = finite_array(value, "sigma", (n_visible,), dtype)
    if not (widths > 0).all():
        raise ValueError(f"sigma must be positive, got {np.min(value)}")
    widths.flags.writeable = True
    return widths
