"""L1 by its proximal operator (Daubechies, Defrise and De Mol 2004; Parikh and Boyd 2014): zeros that are exactly zero.

A penalty l1 sum |W| has no gradient at zero, and steps along its subgradient only jump about it. After each step of the
loss alone, of a rate r,

    W <- sign(W) max(|W| - r l1, 0)

is the exact step of the penalty. Together they end at the minimum of loss + l1 sum |W|, in gradient descent.
"""

from dataclasses import dataclass

import torch

from samplers import protocols


@dataclass(frozen=True)
class SoftThreshold:
    """The step of an L1 penalty, to be given to `models.fit` as `after_step`.

    It acts on matrices and filters, not on biases or the scales of a norm. The minimum is that of l1 with plain SGD;
    with a momentum m the steps of the loss add up to r / (1 - m), and the penalty counts as (1 - m) l1. Adam's steps
    have a rate of their own for each weight, of which the threshold does not know.

    Args:
        l1: weight of the penalty, in units of the loss.

    Raises:
        ValueError: l1 is negative or not finite.

    Example:
        >>> import models, numpy as np
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> line = models.MLP(3, hidden=(), seed=0)
        >>> sgd = torch.optim.SGD
        >>> shrink = SoftThreshold(0.1)
        >>> _ = models.fit(line, (x, x[:, 0]), epochs=50, learning_rate=0.1, optimiser=sgd, after_step=shrink, seed=1)
        >>> (line.network[1].weight != 0).tolist()
        [[True, False, False]]
    """

    l1: float

    def __post_init__(self) -> None:
        protocols.check_positive(self.l1, "l1", zero=True)

    @torch.no_grad()
    def __call__(self, model: torch.nn.Module, rate: float) -> None:
        """Shrink the weights after a step of this rate, in place."""
        for w in model.parameters():
            if w.requires_grad and w.ndim > 1:
                w.copy_(w.sign() * (w.abs() - rate * self.l1).clamp_min(0.0))
