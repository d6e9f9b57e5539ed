"""A network that gives the score of a density, -dE/dx, at every level of noise or at none.

At noise sigma, with w the width of the data and F the network, the score is (Karras et al. 2022, with their scalings)

    s(x, sigma) = -x / (sigma^2 + w^2) + w / (sigma sqrt(sigma^2 + w^2)) F(x / sqrt(sigma^2 + w^2), ln sigma / 4)

so that F has an input and a target of about unit size at all levels, and F = 0 is right for a Gaussian of width w. The
energy-parametrised form has the energy of which this is the score, F being minus the gradient of a network g by its
first argument:

    E(x, sigma) = |x|^2 / 2 (sigma^2 + w^2) + (w / sigma) g(x / sqrt(sigma^2 + w^2), ln sigma / 4)

Without noise the score is s(x) = -x / w^2 + F(x / w) / w, the energy E(x) = |x|^2 / 2 w^2 + g(x / w).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ebm.energy import check_shape
from ebm.networks import build, check_activation, check_sizes, flat_weights, fully_connected, sites
from ebm.own import TorchEnergy
from samplers import protocols


class ScoreModel:
    """The score of a density over real configurations, learned by score matching.

    With noise_conditional=True (the default) it is a family, one density for each level of noise: learn it by
    DenoisingScoreMatching over a ladder, and sample it by AnnealedLangevin, or one level by `at_noise(sigma)`. Without
    it, it is one score with a `grad`. A score alone suits the unadjusted samplers; with energy=True there is an energy
    too, which suits them all.

    Args:
        shape: shape of one configuration.
        hidden: units of the hidden layers.
        noise_conditional: whether the score depends on a level of noise.
        energy: whether the network is the energy, of which the score is minus the gradient.
        data_width: width w of the data, about their standard deviation, positive.
        network: a torch module of your own instead: from (n, numbers of x, + 1 for the noise) to (n, numbers of x), or
            to (n, 1) with energy=True; it cannot be saved.
        activation: SiLU, Tanh, Softplus, Sigmoid, ELU or ReLU; an energy needs a smooth one.
        seed: seed of the weights.
        dtype: "float32" or "float64", of the network.
        device: where torch keeps it.
        weights: all weights in one flat array, in the order of the module's parameters.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> model = ScoreModel((2,), hidden=(16,), seed=0)
        >>> model.at_noise(0.5).grad(np.zeros((3, 2))).shape
        (3, 2)
    """

    domain = "real"

    def __init__(
        self,
        shape: Any,
        *,
        hidden: Sequence[int] = (128, 128),
        noise_conditional: bool = True,
        energy: bool = False,
        data_width: float = 1.0,
        network: Any = None,
        activation: str = "SiLU",
        seed: int | None = None,
        dtype: str = "float32",
        device: Any = "cpu",
        weights: Any = None,
    ) -> None:
        self.shape, self.hidden = check_shape(shape), check_sizes(hidden, "hidden")
        check_activation(activation)
        protocols.check_positive(data_width, "data_width")
        self.noise_conditional, self.energy = bool(noise_conditional), bool(energy)
        self.data_width, self.activation, self.dtype, self.device = float(data_width), activation, dtype, device
        self.saved = network is None  # a module of code does not fit into a file of numbers
        if network is None:
            n = sites(self.shape)
            outputs = 1 if energy else n
            make = lambda: fully_connected(n + self.noise_conditional, self.hidden, outputs, activation)  # noqa: E731
            network = build(make, seed, dtype, device, weights)
        self.module = network

    @property
    def score_only(self) -> bool:
        """Whether there is no energy to be had of this object: it is a score, or a family of densities."""
        return not self.energy or self.noise_conditional

    def tensor(self, x: np.ndarray) -> Any:
        """Return configurations (n, *shape) as a tensor where the module lives, in its precision."""
        import torch

        return torch.as_tensor(x, dtype=getattr(torch, self.dtype), device=self.device)

    def _inputs(self, x: Any, sigma: Any) -> tuple[Any, Any, Any]:
        """Return the network's inputs (n, ...), the width sqrt(sigma^2 + w^2) (n, 1) and w / sigma (n, 1)."""
        import torch

        flat, w = x.flatten(1), self.data_width
        if not self.noise_conditional:
            ones = torch.ones_like(flat[:, :1])
            return flat / w, w * ones, ones
        if sigma is None:
            raise TypeError("this ScoreModel is noise-conditional: ask for at_noise(sigma)")
        sigma = sigma.reshape(-1, 1)
        total = (sigma.square() + w * w).sqrt()
        return torch.cat([flat / total, 0.25 * sigma.log()], 1), total, w / sigma

    def energy_at(self, x: Any, sigma: Any = None) -> Any:
        """Return E(x, sigma), (n,), of tensors x (n, *shape) and sigma (n,); needs energy=True."""
        inputs, total, ratio = self._inputs(x, sigma)
        well = (x.flatten(1) / total).square().sum(1) / 2.0
        return well + (ratio * self.module(inputs))[:, 0]

    def score(self, x: Any, sigma: Any = None) -> Any:
        """Return s(x, sigma), (n, *shape), at tensors x (n, *shape) and sigma (n,), with its graph."""
        import torch

        if self.energy:
            x = x if x.requires_grad else x.detach().requires_grad_(True)
            return -torch.autograd.grad(self.energy_at(x, sigma).sum(), x, create_graph=True)[0]
        inputs, total, ratio = self._inputs(x, sigma)
        return ((ratio * self.module(inputs) - x.flatten(1) / total) / total).reshape(x.shape)

    def grad(self, x: np.ndarray) -> np.ndarray:
        """Return minus the score, (n, *shape), of a model without noise levels."""
        return self._gradient(x, None)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return E(x), (n,), of an energy without noise levels."""
        if self.score_only:
            raise TypeError("this ScoreModel has no energy: it is a score, or needs at_noise(sigma)")
        return TorchEnergy(self.energy_at, shape=self.shape)(self.tensor(x)).detach().double().cpu().numpy()

    def _gradient(self, x: np.ndarray, sigma: float | None) -> np.ndarray:
        import torch

        tensor = self.tensor(protocols.check_configurations(x, self))
        levels = None if sigma is None else torch.full((len(x),), sigma, dtype=tensor.dtype, device=self.device)
        with torch.set_grad_enabled(self.energy):
            score = self.score(tensor, levels)
        return -score.detach().to(torch.float64).cpu().numpy()

    def at_noise(self, sigma: float) -> Any:
        """Return the score, or the energy, of the density smoothed by noise of width sigma."""
        if not self.noise_conditional:
            raise TypeError("at_noise needs a ScoreModel with noise_conditional=True")
        protocols.check_positive(sigma, "sigma")
        return EnergyLevel(self, float(sigma)) if self.energy else ScoreLevel(self, float(sigma))

    def learnable(self) -> dict[str, np.ndarray]:
        """Return the network's parameters by name: arrays that share its memory."""
        from ebm.autograd import learnable

        return learnable(self.module)

    def save(self, path: str | Path) -> None:
        """Write the model with its weights to a new HDF5 file, which `ebm.load` reads."""
        from ebm.files import save

        save(self, path)

    def parameters(self) -> dict[str, Any]:
        """Return the arguments that make this model anew."""
        return {
            "shape": self.shape, "hidden": self.hidden, "noise_conditional": self.noise_conditional,
            "energy": self.energy, "data_width": self.data_width, "activation": self.activation, "dtype": self.dtype,
            "weights": flat_weights(self.module),
        }  # fmt: skip

    def __repr__(self) -> str:
        kind = "energy" if self.energy else "score"
        noise = "at every noise" if self.noise_conditional else "without noise"
        return f"ScoreModel({self.shape}, {kind} {noise}, data_width={self.data_width:g})"


class ScoreLevel:
    """The score of a `ScoreModel` at one level of noise: shape, domain and `grad`, and no energy."""

    domain = "real"

    def __init__(self, model: ScoreModel, sigma: float) -> None:
        self.model, self.sigma, self.shape = model, sigma, model.shape

    def grad(self, x: np.ndarray) -> np.ndarray:
        """Return minus the score, (n, *shape)."""
        return self.model._gradient(x, self.sigma)


class EnergyLevel(TorchEnergy):
    """The energy of an energy-parametrised `ScoreModel` at one level of noise."""

    def __init__(self, model: ScoreModel, sigma: float) -> None:
        self.model, self.sigma = model, sigma
        super().__init__(model.module, shape=model.shape, device=model.device)

    def _value(self, x: Any) -> Any:
        return self.model.energy_at(x, x.new_full((len(x),), self.sigma))
