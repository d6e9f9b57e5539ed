"""Learning from pairs of an input and an answer: what `MLP` and `CNN` have in common.

    regression          f(x) is a number,                        loss = <(f(x) - y)^2>
    two classes         f(x) is a number, logits (0, f),         p(1 | x) = sigmoid f(x)
    K > 2 classes       f(x) are K logits,                       p(k | x) = exp f_k(x) / sum_j exp f_j(x)

The loss of classes is the cross entropy -<ln p(y | x)>, in nats. With logits (0, f) the softmax of two classes is the
sigmoid, so that one formula serves both. Up to a constant the squared error is minus the logarithm of a Gaussian's
density, too, of any one width: training finds the parameters of the largest likelihood in each case (Bishop 2006).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ebm.energy import check_shape, finite_array
from ebm.own import TorchEnergy
from models.batches import as_tensors, check_shape_of
from models.model import Model
from samplers import protocols

ACTIVATIONS = ("Sigmoid", "Tanh", "ReLU", "LeakyReLU", "ELU", "GELU", "Softplus", "SiLU")
NORMS = ("batch", "layer")
ROWS = 1024  # that go through the network at a time when it predicts


class Supervised(Model):
    """A network from x to an answer y.

    Data of `models.fit` are a tuple (X, y) of inputs (n, *shape) and answers (n,): integers from 0 to classes - 1, or
    any numbers for a regression. Inputs may be integers, such as grey levels: they take the model's precision when they
    enter the network.

    Args:
        settings: the arguments that make this model anew.
        network: from inputs (n, *shape) to `outputs_of(classes)` numbers, (n, outputs).
    """

    shape: tuple[int, ...]
    classes: int | None

    def __init__(self, settings: dict[str, Any], network: nn.Module) -> None:
        super().__init__(settings)
        self.shape, self.classes, self.norm = settings["shape"], settings["classes"], settings["norm"]
        self.network = network

    def check(self, data: Any) -> None:
        """Raise unless these are pairs that fit the model; in training mode also unless the answers differ."""
        if not isinstance(data, tuple) or len(data) != 2:
            got = f"a tuple of {len(data)}" if isinstance(data, tuple) else type(data).__name__
            raise TypeError(f"data must be a tuple (X, y) of inputs and answers, got {got}")
        x, y = data
        check_shape_of(x, self.shape, "X")
        if y.ndim != 1:
            raise ValueError(f"y must have shape (n,), one answer an input, got {tuple(y.shape)}")
        if self.classes is not None:
            _check_labels(y, self.classes)
        if self.training and (y == y[0]).all():
            what = "be a target that varies" if self.classes is None else "hold two classes at least"
            raise ValueError(f"y must {what}, got {y[0].item():g} in every row")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, classes) of inputs (n, *shape), or the values (n,) of a regression."""
        f = self.network(x.to(self.dtype))
        if self.classes is None:
            return f.squeeze(1)
        return torch.cat([torch.zeros_like(f), f], 1) if self.classes == 2 else f

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the mean squared error, or the mean cross entropy in nats, of a batch of inputs and answers."""
        x, y = batch
        if self.training and self.norm == "batch" and len(x) == 1:
            raise ValueError("batch norm needs two rows a batch at least, got 1: choose a batch_size that leaves none")
        f = self(x)
        return (f - y.to(f.dtype)).square().mean() if self.classes is None else cross_entropy(f, y.long())

    def logits(self, x: Any) -> np.ndarray:
        """Return the logits (n, classes), float64, of inputs (n, *shape); for gradients, call the model itself.

        Raises:
            ValueError: x does not fit, has a number that is not finite, or the model is a regression.
        """
        return self._class_logits(x).numpy()

    def predict_probability(self, x: Any) -> np.ndarray:
        """Return the probability of each class, (n, classes), float64, of inputs (n, *shape).

        Raises:
            ValueError: x does not fit, has a number that is not finite, or the model is a regression.
        """
        return self._class_logits(x).softmax(1).numpy()

    def predict(self, x: Any) -> np.ndarray:
        """Return the most probable labels (n,), int64, of inputs (n, *shape), or the values (n,), float64.

        Raises:
            ValueError: x does not fit, or has a number that is not finite.
        """
        f = self._outputs(x)
        return (f if self.classes is None else f.argmax(1)).numpy()

    def as_energy(self, *, mean: float | np.ndarray = 0.0, width: float) -> TorchEnergy:
        """Return E(x) = -ln sum_k exp f_k(x) + |x - mean|^2 / 2 width^2 of a classifier, at its present weights.

        That of a joint density p(x, k) ~ exp f_k(x), the classes summed out (Grathwohl et al. 2020). It is low where a
        classifier is sure of a class and high, one hopes, where it has learned nothing: a score of what is out of
        distribution (Liu et al. 2020). The cross entropy asks for no such thing, `models.JointEnergy` does; and nothing
        but the quadratic keeps E from falling without end.

        Args:
            mean: centre of the quadratic, a number or an array of the model's shape.
            width: its width in units of x, positive: that of the data, or wider.

        Returns:
            An energy of the model's shape. Torch in, torch out, with a graph that reaches the weights.

        Raises:
            ValueError: the model is a regression, or an argument is out of range.

        Example:
            >>> from models import MLP
            >>> energy = MLP(2, classes=3, seed=0).as_energy(width=2.0)
            >>> energy(np.zeros((5, 2))).shape
            (5,)
        """
        if self.classes is None:
            raise ValueError("logits have an energy with classes, this model is a regression (classes=None)")
        protocols.check_positive(width, "width")
        mean = np.full(self.shape, mean) if np.ndim(mean) == 0 else mean
        centre = torch.as_tensor(finite_array(mean, "mean", self.shape).copy())

        def logit_energy(x: torch.Tensor) -> torch.Tensor:
            x = x.double()
            with self._evaluation():
                wells = self(x).double().logsumexp(1)
            return (x - centre.to(x.device)).flatten(1).square().sum(1) / (2.0 * width**2) - wells

        return TorchEnergy(logit_energy, shape=self.shape, device=self.device)

    def _class_logits(self, x: Any) -> torch.Tensor:
        if self.classes is None:
            raise ValueError("logits and probabilities are of classes, this model is a regression (classes=None)")
        return self._outputs(x)

    @torch.no_grad()
    def _outputs(self, x: Any) -> torch.Tensor:
        """Return what the network gives in evaluation mode, in double precision; its mode stays as it was."""
        (inputs,) = as_tensors(x, self.dtype, "x")
        check_shape_of(inputs, self.shape, "x")
        with self._evaluation():
            return torch.cat([self(part.to(self.device)).double().cpu() for part in inputs.split(ROWS)])

    @contextmanager
    def _evaluation(self) -> Iterator[None]:
        """Be in evaluation mode for a while; the mode is then what it was."""
        mode = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(mode)


def _check_labels(y: torch.Tensor, classes: int) -> None:
    if y.is_floating_point():
        raise TypeError(f"y must be integers from 0 to {classes - 1}, the labels of {classes} classes, got {y.dtype}")
    outside = (y.long() < 0) | (y.long() >= classes)
    if outside.any():
        row = int(outside.nonzero()[0, 0])
        raise ValueError(f"y must be integers from 0 to {classes - 1}, got {y[row].item()} in row {row}")


def outputs_of(classes: int | None) -> int:
    """Return how many numbers a network gives: one for a regression or two classes, else one a class.

    Raises:
        ValueError: classes is no integer of at least two.
    """
    if classes is None:
        return 1
    protocols.check_positive(classes, "classes", integer=True)
    if classes < 2:
        raise ValueError(f"classes must be at least 2, or None for a regression, got {classes}")
    return 1 if classes == 2 else int(classes)


def check_settings(shape: Any, activation: str, norm: str | None, dropout: float) -> tuple[int, ...]:
    """Return the shape of an input as a tuple, or raise for a setting that no network can have."""
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    if norm is not None and norm not in NORMS:
        raise ValueError(f'norm must be "batch", "layer" or None, got {norm!r}')
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout must lie between 0 and below 1, got {dropout}")
    return check_shape(shape)
