"""Multilayer perceptron: linear layers with an activation between them.

    a_0 = x,      a_l = dropout(f(norm(W_l a_{l-1} + b_l))),      output = W_L a_{L-1} + b_L

Dropout (Srivastava et al. 2014) sets each number of a layer to zero with probability p and divides the others by 1 - p,
in training only. Batch norm (Ioffe and Szegedy 2015) gives each unit zero mean and unit variance over the batch, in
evaluation over running means of what was seen; layer norm (Ba, Kiros and Hinton 2016) does so over the units of each
row, which ties no row to another. Both then learn a scale and a shift a unit.
"""

import itertools
from collections.abc import Sequence
from typing import Any

from torch import nn

from ebm.networks import sites
from models.decoders import layers
from models.initialisation import initialise
from models.streams import seeded
from models.supervised import Supervised, check_settings, outputs_of


class MLP(Supervised):
    """A fully connected network for regression or classification; without hidden layers, a linear or logistic one.

    Args:
        shape: shape of one input, such as a number of features or (height, width); it is flattened.
        classes: number of classes, or None for a regression of one number.
        hidden: units of the hidden layers.
        activation: Sigmoid, Tanh, ReLU, LeakyReLU, ELU, GELU, Softplus or SiLU.
        norm: "batch" or "layer", before each activation, or None.
        dropout: probability of a hidden unit to be left out in training, from 0 to below 1.
        initialisation: "zeros", "constant", "normal", "xavier", "he" or "orthogonal" (see `models.initialise`).
        scale: factor of the first weights, their value for "constant", their standard deviation for "normal".
        seed: seed of the weights.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> import models, numpy as np
        >>> x = np.linspace(-1.0, 1.0, 40)[:, None]
        >>> model = MLP(1, classes=2, hidden=(8,), activation="Tanh", seed=0)
        >>> history = models.fit(model, (x, (x[:, 0] > 0).astype(int)), epochs=50, learning_rate=0.1, seed=1)
        >>> model.predict([[-0.5], [0.5]])
        array([0, 1])
        >>> model.predict_probability([[0.5]]).shape
        (1, 2)
    """

    def __init__(
        self, shape: Any, *, classes: int | None = None, hidden: Sequence[int] = (256,), activation: str = "ReLU",
        norm: str | None = None, dropout: float = 0.0, initialisation: str = "he", scale: float = 1.0,
        seed: int | None = None,
    ) -> None:  # fmt: skip
        shape, hidden = check_settings(shape, activation, norm, dropout), layers(hidden, "hidden")
        with seeded(seed):
            parts = fully_connected(sites(shape), hidden, outputs_of(classes), activation, norm, dropout)
            network = nn.Sequential(nn.Flatten(), *parts)
            initialise(network, initialisation, scale)
        super().__init__({
            "shape": shape, "classes": classes, "hidden": hidden, "activation": activation, "norm": norm,
            "dropout": dropout, "initialisation": initialisation, "scale": scale,
        }, network)  # fmt: skip


def fully_connected(
    inputs: int, hidden: Sequence[int], outputs: int, activation: str, norm: str | None, dropout: float
) -> list[nn.Module]:
    """Return linear layers (n, inputs) -> (n, outputs), each but the last with norm, activation and dropout."""
    parts: list[nn.Module] = []
    for a, b in itertools.pairwise([inputs, *hidden]):
        parts.append(nn.Linear(a, b))
        if norm:
            parts.append(nn.BatchNorm1d(b) if norm == "batch" else nn.LayerNorm(b))
        parts.append(getattr(nn, activation)())
        if dropout:
            parts.append(nn.Dropout(dropout))
    return [*parts, nn.Linear([inputs, *hidden][-1], outputs)]
