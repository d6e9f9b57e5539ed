"""The loss of a torch network as an energy of its weights, and directions in which to look at it.

    E(w) = loss(network with weights w),      w all its trainable parameters in one vector (sites,)

So the grids, slices, searches, paths and spectra of this package apply, and so do the samplers of the array tier. E has
the unit of the loss (nats) and no prior: add one for a Bayesian posterior. Nothing here touches torch's global random
numbers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ebm.exact.arguments import integer
from ebm.landscape import derivatives
from ebm.landscape.grids import Grid, Interval, slice_through

if TYPE_CHECKING:
    import torch


class NetworkLoss:
    """The loss of a network over its data, as an energy of domain "real" and shape (number of weights,).

    Args:
        module: a torch module. Its own weights are put back after every call. Layers that draw random numbers or keep
            running means (dropout, batch normalisation) should be in evaluation mode, or E is not a function of w.
        loss: a function of the module that returns its loss over all data, a tensor with one element.

    Raises:
        TypeError: module is not a torch module.
        ValueError: it has no trainable parameters, or the loss is not one number.

    Example:
        >>> import torch
        >>> layer = torch.nn.Linear(1, 1, bias=False).double()
        >>> square = NetworkLoss(layer, lambda module: (module(torch.ones(1, 1).double()) - 3.0).square().mean())
        >>> square(np.array([[1.0], [3.0]])), square.grad(np.array([[1.0]]))
        (array([4., 0.]), array([[-4.]]))
    """

    domain = "real"
    linear_in_beta = True

    def __init__(self, module: "torch.nn.Module", loss: "Callable[[torch.nn.Module], torch.Tensor]") -> None:
        import torch

        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"module must be a torch module, got {type(module).__name__}")
        self.module, self.loss = module, loss
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        if not self._parameters:
            raise ValueError("module must have trainable parameters, got none")
        self.shape = (sum(p.numel() for p in self._parameters),)

    @property
    def compiled(self) -> None:
        """None: a network runs in the array tier."""
        return None

    @property
    def weights(self) -> np.ndarray:
        """The weights that the module holds now, (sites,) float64."""
        return np.concatenate([p.detach().cpu().double().numpy().ravel() for p in self._parameters])

    def assign(self, w: np.ndarray) -> None:
        """Put weights (sites,) into the module."""
        import torch

        place = 0
        with torch.no_grad():
            for p in self._parameters:
                p.copy_(torch.as_tensor(w[place : place + p.numel()]).reshape(p.shape))
                place += p.numel()

    def __call__(self, w: np.ndarray) -> np.ndarray:
        """Return the loss, (n,), at weights (n, sites)."""
        import torch

        with torch.no_grad():
            return np.array(self._at(w, lambda: float(self._value())))

    def grad(self, w: np.ndarray) -> np.ndarray:
        """Return dE/dw, (n, sites), by autograd."""
        import torch

        return np.array(
            self._at(
                w, lambda: self._vector(torch.autograd.grad(self._value(), self._parameters, materialize_grads=True))
            )
        )

    def hessian_vector(self, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return H v, (sites,), at weights w along v, exactly, by two passes of autograd (Pearlmutter 1994)."""
        import torch

        def product() -> np.ndarray:
            slopes = torch.autograd.grad(self._value(), self._parameters, create_graph=True, materialize_grads=True)
            parts = np.split(v, np.cumsum([p.numel() for p in self._parameters])[:-1])
            along = [
                (slope * torch.as_tensor(part).to(slope).reshape(slope.shape)).sum()
                for slope, part in zip(slopes, parts, strict=True)
            ]
            total = torch.stack(along).sum()
            if not total.requires_grad:  # a loss linear in all weights
                return np.zeros(self.shape)
            return self._vector(torch.autograd.grad(total, self._parameters, materialize_grads=True))

        return self._at(w[None], product)[0]

    def _at(self, w: np.ndarray, f: Callable[[], Any]) -> list[Any]:
        """Call f with each of the weights in the module, and put its own back whatever happens."""
        rows = np.asarray(w, np.float64)
        if rows.ndim != 2 or rows.shape[1:] != self.shape:
            raise ValueError(f"w must have shape (n, {self.shape[0]}), got {rows.shape}")
        own, found = [p.detach().clone() for p in self._parameters], []
        try:
            for row in rows:
                self.assign(row)
                found.append(f())
        finally:
            for p, value in zip(self._parameters, own, strict=True):
                p.data.copy_(value)
        return found

    def _value(self) -> "torch.Tensor":
        value = self.loss(self.module)
        if value.numel() != 1:
            raise ValueError(f"loss must return one number, got shape {tuple(value.shape)}")
        return value.reshape(())

    def _vector(self, parts: "tuple[torch.Tensor, ...]") -> np.ndarray:
        return np.concatenate([part.detach().cpu().double().numpy().ravel() for part in parts])

    def filters(self, w: np.ndarray) -> list[np.ndarray]:
        """Return views of a vector w, for each parameter (filters, weights); biases have one weight a filter."""
        parts = np.split(w, np.cumsum([p.numel() for p in self._parameters])[:-1])
        return [part.reshape(len(p) if p.ndim else 1, -1) for p, part in zip(self._parameters, parts, strict=True)]


def filter_directions(network: NetworkLoss, count: int = 2, *, seed: int) -> np.ndarray:
    """Draw random directions whose filters have the norms of the network's own filters (Li et al. 2018).

        d_i <- d_i |w_i| / |d_i|      for the weights w_i into unit or channel i; zero for biases

    so that one unit along the direction changes each filter by as much as it is, whatever the scale of its layer.

    Args:
        network: the network at the weights it holds now.
        count: how many directions.
        seed: of the normal numbers.
    Returns:
        directions (count, sites).

    Example:
        >>> import torch
        >>> layer = torch.nn.Linear(3, 2)
        >>> network = NetworkLoss(layer, lambda module: module.weight.sum())
        >>> v = filter_directions(network, 1, seed=0)[0]
        >>> np.allclose(np.linalg.norm(v[:3]), layer.weight[0].norm().item()), v[6:]
        (True, array([0., 0.]))
    """
    rng, own = np.random.default_rng(seed), network.weights
    directions = rng.standard_normal((integer(count, "count", 1), len(own)))
    for v in directions:
        for d, w in zip(network.filters(v), network.filters(own), strict=True):
            if d.shape[1] == 1:
                d[:] = 0.0
            else:
                d *= np.linalg.norm(w, axis=1, keepdims=True) / np.linalg.norm(d, axis=1, keepdims=True)
    return directions


def interpolation(
    energy: Any, first: np.ndarray, last: np.ndarray, reach: Interval = (-0.25, 1.25), n: int = 61
) -> Grid:
    """Evaluate an energy on the straight line between two configurations, E((1 - a) first + a last).

    For the weights of two networks: a barrier between 0 and 1 says that they lie in different valleys along the line
    (Goodfellow et al. 2015).

    Args:
        energy: the energy.
        first: the configuration at a = 0.
        last: the configuration at a = 1.
        reach: the range of a.
        n: number of points.
    Returns:
        a `Grid` in one dimension.

    Example:
        >>> import ebm
        >>> interpolation(ebm.DoubleWell(), np.array([-1.0]), np.array([1.0]), reach=(0.0, 1.0), n=3).energies
        array([0., 1., 0.])
    """
    derivatives.check_energy(energy, "interpolation")
    ends = [
        derivatives.check_point(energy, x, name).reshape(energy.shape) for x, name in ((first, "first"), (last, "last"))
    ]
    return slice_through(energy, ends[0], (ends[1] - ends[0])[None], reach, n, names=("interpolation a",))
