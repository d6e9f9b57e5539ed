"""The posterior of a network's weights as an energy, so that every sampler of the house draws from it.

    E(w) = -ln p(y | X, w) - ln p(w),      w: all trainable weights in one vector

    regression      y_i = f(x_i) + noise xi_i,  xi_i ~ N(0, 1); noise is given, or ln noise is one more coordinate
    classes         p(y_i | x_i, w) = exp f_{y_i} / sum_k exp f_k, of two classes with the logits (0, f)
    prior           w_j ~ N(0, prior_width_j^2), independent

All terms are normalised: exp(-E) integrates to the evidence p(y | X), so that ln Z at beta = 1 compares models (MacKay
1992). Other beta give the posteriors called cold or hot. Units of a hidden layer can be exchanged, and with tanh also
change sign: weights have many modes alike, so judge chains by their predictions (Neal 1996).
"""

import copy
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

from ebm.own import TorchEnergy
from models.batches import as_tensors, check_shape_of
from models.supervised import ROWS, Supervised
from samplers import protocols

NUMBERS = 2**15  # weight vectors times rows that go through the network in one call
RANDOM = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


class Posterior(TorchEnergy):
    """The energy of a network's weights given data; of domain "real" and shape (number of trainable weights,).

    With a noise that is learned the last coordinate of a draw is ln noise, and the shape (number of weights + 1,).

    It holds a copy of the network in double precision. `samplers.SGLD` estimates its gradient from a few rows; its
    other calls run over all of them.

    Args:
        model: an `MLP` or `CNN`, without dropout and batch norm: with them E is not a function of the weights and rows.
            Parameters that do not require a gradient keep their values.
        x: inputs (n, *shape).
        y: answers (n,), as in `models.fit`.
        prior_width: standard deviation of the weights under the prior, positive: a number, or (n_weights,).
        noise: standard deviation of a regression's answers, in their unit; None for classes.
        noise_width: 0: the noise is known; else it is learned, with the prior ln noise' ~ N(ln noise, noise_width^2).

    Raises:
        TypeError: model is none of these networks, or x and y are not numbers.
        ValueError: model has dropout or batch norm, the data do not fit it, or a width is not positive.

    Example:
        >>> import models, samplers
        >>> x = np.linspace(-1.0, 1.0, 20)[:, None]
        >>> posterior = Posterior(models.MLP(1, hidden=(), seed=0), x, 2.0 * x[:, 0] + 1.0, noise=0.5)
        >>> chains = samplers.sample(posterior, samplers.HMC(steps=5), draws=100, seed=1, progress=False)
        >>> posterior.predict([[0.0], [0.5]], chains.x).mean((0, 1)).round(1)
        array([1., 2.])
    """

    def __init__(
        self, model: Supervised, x: Any, y: Any, *, prior_width: float | np.ndarray = 1.0, noise: float | None = None,
        noise_width: float = 0.0,
    ) -> None:  # fmt: skip
        _check_model(model)
        self.model = copy.deepcopy(model).double().train()
        data = as_tensors((x, y), torch.float64)
        self.model.check(data)
        self.model.eval()
        _check_noise(model, noise, noise_width)
        self._convolves = any(isinstance(layer, nn.Conv2d) for layer in self.model.modules())
        self.noise, self.noise_width = noise, float(noise_width)
        self._log_noise = np.log(noise or 1.0)
        self._trainable = {name: p.shape for name, p in self.model.named_parameters() if p.requires_grad}
        if not self._trainable:
            raise ValueError("model must have trainable parameters, got none")
        n_weights = sum(shape.numel() for shape in self._trainable.values())
        self.prior_width = _widths(prior_width, n_weights)
        learned = [self.noise_width] if noise_width else []
        widths = np.concatenate([self.prior_width, learned])
        super().__init__(self._value, shape=(len(widths),), device=self.model.device)
        self._x, self._y = (part.to(self.device) for part in data)
        self._precision = torch.as_tensor(widths**-2.0, device=self.device)
        self._log_prior = -0.5 * len(widths) * np.log(2.0 * np.pi) - float(np.log(widths).sum())
        self.n_data = len(self._x)

    @property
    def weights(self) -> np.ndarray:
        """The weights of the network as it was given, and ln noise if that is learned: where chains may begin."""
        named = dict(self.model.named_parameters())
        own = [named[name].detach().cpu().numpy().ravel() for name in self._trainable]
        return np.concatenate([*own, [self._log_noise]] if self.noise_width else own)

    def grad(self, x: Any, batch: np.ndarray | None = None) -> Any:
        """Return dE/dw, of the shape of x, at weights x (n, n_weights); one number more if the noise is learned.

        Args:
            x: weights (n, n_weights).
            batch: rows for each of them, (n, rows), or the same for all, (rows,), integers from 0 to n_data - 1; their
                terms count n_data / rows times, which makes an estimate without bias.

        Raises:
            ValueError: batch has another shape or a row that does not exist.
        """
        if batch is None:
            return super().grad(x)
        rows = torch.as_tensor(_rows(batch, len(x), self.n_data), device=self.device)
        w = self.tensor(protocols.check_configurations(x, self)).requires_grad_(True)
        terms = vmap(self._log_likelihood)(w, self._x[rows], self._y[rows])  # (n, rows)
        value = -terms.sum() * (self.n_data / rows.shape[1]) - self._log_priors(w).sum()
        return torch.autograd.grad(value, w)[0].cpu().numpy()

    def log_likelihood(self, x: Any, y: Any, draws: Any) -> np.ndarray:
        """Return ln p(y_i | x_i, w) of every row and draw: log predictive densities are means of its exponential.

        Args:
            x: inputs (n, *shape).
            y: answers (n,).
            draws: weights (..., n_weights), such as `chains.x`.

        Returns:
            (..., n), in nats.

        Raises:
            ValueError, TypeError: the rows do not fit the model, or the draws its weights.
        """
        data = as_tensors((x, y), torch.float64)
        self.model.check(data)
        x, y = (part.to(self.device) for part in data)
        return self._of_draws(lambda w: vmap(self._log_likelihood, (0, None, None))(w, x, y), draws, len(x))

    def predict(self, x: Any, draws: Any) -> np.ndarray:
        """Return what the network gives under each draw: values of a regression, or probabilities of the classes.

        Args:
            x: inputs (n, *shape).
            draws: weights (..., n_weights), such as `chains.x`.

        Returns:
            (..., n), or (..., n, classes), float64. For intervals of a regression add the noise.

        Raises:
            ValueError: x does not fit the model, or the draws its weights.
        """
        (inputs,) = as_tensors(x, torch.float64, "x")
        check_shape_of(inputs, self.model.shape, "x")
        inputs = inputs.to(self.device)

        def outputs(w: torch.Tensor) -> torch.Tensor:
            f = vmap(self._outputs, (0, None))(w, inputs)
            return f if self.model.classes is None else f.softmax(2)

        return self._of_draws(outputs, draws, len(inputs))

    def parameters(self) -> dict[str, Any]:
        """Return the data, the widths and the network's weights: what tells this energy from others."""
        data = {"x": self._x.cpu().numpy(), "y": self._y.cpu().numpy(), "prior_width": self.prior_width}
        data["noise_width"] = np.array(self.noise_width)
        state = {f"model.{name}": value.cpu().numpy() for name, value in self.model.state_dict().items()}
        return {**data, **({} if self.noise is None else {"noise": self.noise}), **state}

    def __repr__(self) -> str:
        width = f"{self.prior_width.flat[0]:g}" if np.ptp(self.prior_width) == 0 else "array"
        noise = "" if self.noise is None else f", noise={self.noise:g}"
        noise += f", noise_width={self.noise_width:g}" if self.noise_width else ""
        return f"Posterior({type(self.model).__name__}, {self.n_data} rows, prior_width={width}{noise})"

    def _outputs(self, w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return the network's outputs of rows x with one vector of weights."""
        named, place = {}, 0
        for name, shape in self._trainable.items():
            named[name] = w[place : place + shape.numel()].reshape(shape)
            place += shape.numel()
        return functional_call(self.model, named, (x,))

    def _log_likelihood(self, w: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return ln p(y_i | x_i, w), (rows,), with one vector of weights."""
        f = self._outputs(w, x)
        if self.noise is None:
            return -cross_entropy(f, y.long(), reduction="none")
        log_noise = w[-1] if self.noise_width else torch.as_tensor(self._log_noise, device=w.device)
        return -0.5 * ((f - y) * torch.exp(-log_noise)).square() - log_noise - 0.5 * np.log(2.0 * np.pi)

    def _log_priors(self, w: torch.Tensor) -> torch.Tensor:
        away = w
        if self.noise_width:
            away = torch.cat([w[:, :-1], w[:, -1:] - self._log_noise], 1)
        return self._log_prior - 0.5 * (away.square() * self._precision).sum(1)

    def _value(self, w: torch.Tensor) -> torch.Tensor:
        """Return E of weights (n, n_weights), over pieces of the data that fit into memory."""
        pieces = list(zip(self._x.split(ROWS), self._y.split(ROWS), strict=True))
        found = []
        for part in w.split(self._at_once(self.n_data)):
            log_p = self._log_priors(part)
            for x, y in pieces:
                log_p = log_p + vmap(self._log_likelihood, (0, None, None))(part, x, y).sum(1)
            found.append(-log_p)
        return torch.cat(found)

    def _at_once(self, rows: int) -> int:
        """Return how many vectors of weights go through the network together.

        Convolutions of several round as their number has it, and an energy must have the same bits in any company.
        """
        return 1 if self._convolves else max(1, NUMBERS // min(rows, ROWS))

    @torch.no_grad()
    def _of_draws(self, f: Any, draws: Any, rows: int) -> np.ndarray:
        """Return f of weights (n, n_weights), in pieces that fit into memory, for draws (..., n_weights)."""
        draws = np.asarray(draws)
        if not draws.ndim or draws.shape[-1:] != self.shape:
            raise ValueError(f"draws must have shape (..., {self.shape[0]}), got {draws.shape}")
        flat = self.tensor(protocols.check_configurations(draws.reshape(-1, *self.shape), self, "draws"))
        found = torch.cat([f(part) for part in flat.split(self._at_once(rows))]).cpu().numpy()
        return found.reshape(*draws.shape[:-1], *found.shape[1:])


def _check_model(model: Any) -> None:
    if not isinstance(model, Supervised):
        raise TypeError(f"model must be an MLP or CNN, got {type(model).__name__}")
    for layer in model.modules():
        if isinstance(layer, RANDOM):
            raise ValueError(
                "model must have no dropout and no batch norm, with which its loss is no function of weights and rows "
                f"alone, got {type(layer).__name__}"
            )


def _check_noise(model: Supervised, noise: Any, noise_width: Any) -> None:
    protocols.check_positive(noise_width, "noise_width", zero=True)
    if model.classes is None:
        protocols.check_positive(noise, "noise of a regression")
    elif noise is not None or noise_width:
        raise ValueError(f"noise must be None for classes, whose answers have none, got {noise!r}, {noise_width!r}")


def _widths(value: Any, n_weights: int) -> np.ndarray:
    """Return the prior's standard deviation of every weight, (n_weights,), read-only."""
    widths = np.asarray(value, np.float64)
    if widths.shape not in ((), (n_weights,)):
        raise ValueError(f"prior_width must be a number or have shape ({n_weights},), got {widths.shape}")
    if not (np.isfinite(widths) & (widths > 0.0)).all():
        raise ValueError(f"prior_width must be positive and finite, got {value!r}")
    return np.broadcast_to(widths, n_weights)


def _rows(batch: Any, n: int, n_data: int) -> np.ndarray:
    """Return batch as rows for each of n vectors of weights, (n, rows)."""
    rows = np.asarray(batch)
    rows = np.broadcast_to(rows, (n, len(rows))) if rows.ndim == 1 else rows
    if rows.ndim != 2 or len(rows) != n or not rows.shape[1] or rows.dtype.kind not in "iu":
        raise ValueError(f"batch must be integers of shape ({n}, rows) or (rows,), got {rows.dtype} {rows.shape}")
    if rows.min() < 0 or rows.max() >= n_data:
        raise ValueError(f"batch must hold rows from 0 to {n_data - 1}, got {rows.min()} to {rows.max()}")
    return np.array(rows, np.int64)
