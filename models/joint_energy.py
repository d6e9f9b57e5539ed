"""Joint energy training: a classifier that also learns the density of its inputs (Grathwohl et al. 2020).

    p(x, k) ~ exp(f_k(x) - |x - mean|^2 / 2 width^2),    p(x) = sum_k p(x, k) ~ exp(-E(x)),    p(k | x) = softmax f(x)

    loss = <-ln p(k | x)>_data + density (<E>_data - <E>_chains)

whose second part has the gradient of -<ln p(x)>_data where the chains follow exp(-E) (persistent contrastive
divergence, Tieleman 2008). Chains are moved by the samplers of the house, at the temperature of the model.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from ebm.contrastive import move
from ebm.own import TorchEnergy
from models.supervised import Supervised
from samplers import protocols, random
from samplers.run import check_sampler
from samplers.sampler import Sampler


class JointEnergy(nn.Module):
    """Trains a classifier by `models.fit` so that `classifier.as_energy(mean=, width=)` is -ln p(x) up to a constant.

    The chains go on from batch to batch and belong to the module's state, so that a run that was cut goes on to the
    same bits. In evaluation mode they stand still.

    Args:
        classifier: an `MLP` or `CNN` with classes, learned in place; no batch norm and no dropout, with which the
            chains would follow another energy than the one that learns.
        mean: centre of the quadratic that confines the energy, a number or an array of the classifier's shape.
        width: its width in units of x, positive: that of the data, or wider. Chains begin at N(mean, width^2).
        density: weight of the density's part of the loss, positive; 1 is the joint likelihood ln p(x, k).
        sampler: what moves the chains, without adapting, such as samplers.MALA(0.1).
        sweeps: of the chains before each batch.
        chains: their number.
        seed: of the chains, a non-negative integer; None takes one from the operating system.

    Raises:
        ValueError, TypeError: an argument is out of range, or the sampler does not fit.

    Example:
        >>> import models, samplers
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 200)
        >>> x = rng.normal(2.0 * y[:, None] - 1.0, 0.5, (200, 1))
        >>> classifier = models.MLP(1, classes=2, hidden=(16,), activation="SiLU", seed=0)
        >>> joint = JointEnergy(classifier, width=1.5, sampler=samplers.MALA(0.3), chains=50, seed=1)
        >>> history = models.fit(joint, (x, y), epochs=3, batch_size=50, seed=2, progress=False)
        >>> classifier.as_energy(width=1.5)(np.zeros((1, 1))).shape
        (1,)
    """

    def __init__(
        self, classifier: Supervised, *, width: float, sampler: Sampler, mean: float | np.ndarray = 0.0,
        density: float = 1.0, sweeps: int = 10, chains: int = 100, seed: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not isinstance(classifier, Supervised) or classifier.classes is None:
            raise TypeError(f"classifier must be an MLP or CNN with classes, got {type(classifier).__name__}")
        if classifier.norm == "batch" or classifier.settings["dropout"]:
            raise ValueError(
                f"classifier must have no batch norm and no dropout, got norm={classifier.norm!r}, "
                f"dropout={classifier.settings['dropout']}"
            )
        protocols.check_positive(density, "density")
        protocols.check_positive(sweeps, "sweeps", integer=True)
        protocols.check_positive(chains, "chains", integer=True)
        if seed is not None:
            protocols.check_positive(seed, "seed", integer=True, zero=True)
        energy: TorchEnergy = classifier.as_energy(mean=mean, width=width)
        check_sampler(energy, sampler)
        self.classifier, self.sampler, self.sweeps, self.density = classifier, sampler, int(sweeps), float(density)
        self.mean, self.width = mean, float(width)
        entropy = random.fresh_entropy() if seed is None else int(seed)
        normal = np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=(0, 0, 0, 0)))  # not that of a chain
        x = np.asarray(mean) + self.width * normal.standard_normal((chains, *energy.shape))
        self.register_buffer("x", torch.as_tensor(x))
        self.register_buffer("stream", torch.as_tensor(random.make_streams(entropy, chains).view(np.int64)))

    @property
    def energy(self) -> TorchEnergy:
        """The energy at the present weights."""
        return self.classifier.as_energy(mean=self.mean, width=self.width)

    def check(self, data: Any) -> None:
        """Raise unless these are pairs that fit the classifier."""
        self.classifier.check(data)

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the loss of a batch of inputs and labels; in training mode the chains move first."""
        energy = self.energy
        if self.training:
            self._move(energy)
        contrast = energy(batch[0]).mean() - energy(self.x).mean()
        return self.classifier.loss(batch) + self.density * contrast.to(self.classifier.dtype)

    def _move(self, energy: TorchEnergy) -> None:
        """Move the chains in place."""
        x = self.x.double().cpu().numpy().reshape(len(self.x), -1).copy()
        streams = self.stream.cpu().numpy().view(np.uint64).copy()
        move(energy, self.sampler, {"x": x, "beta": np.ones(len(x)), "stream": streams}, self.sweeps)
        self.x.copy_(torch.as_tensor(x.reshape(self.x.shape)))
        self.stream.copy_(torch.as_tensor(streams.view(np.int64)))
