"""What learning needs of torch: a module's parameters as numpy arrays, and directions of ascent by autograd.

The arrays share the memory of the module's tensors, so that the compiled optimisers move the weights themselves.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from ebm.centring import Centre
from ebm.objectives import Gradient, State
from samplers import protocols


@runtime_checkable
class Scored(protocols.Space, Protocol):
    """A torch energy or score: its score -dE/dx as a tensor that autograd follows to the parameters."""

    module: Any

    def learnable(self) -> dict[str, np.ndarray]: ...

    def tensor(self, x: np.ndarray) -> Any:
        """Return configurations as a tensor (n, *shape)."""

    def score(self, x: Any, sigma: Any = None) -> Any:
        """Return -dE/dx, (n, *shape), at x (n, *shape) and, if it is noise-conditional, noise levels sigma (n,)."""


def learnable(module: Any) -> dict[str, np.ndarray]:
    """Return the parameters of a torch module by name, as arrays that share their memory.

    Raises:
        TypeError: there are none that are learned, or one is not an array of float32 or float64 on the CPU.
    """
    import torch

    named = dict(getattr(module, "named_parameters", dict)())
    named = {name: p for name, p in named.items() if p.requires_grad}
    if not named:
        raise TypeError(f"energy must have parameters to learn, got a {type(module).__name__} without any")
    for name, p in named.items():
        if p.device.type != "cpu" or p.dtype not in (torch.float32, torch.float64) or not p.is_contiguous():
            raise TypeError(
                f"parameter {name} must be contiguous, of float32 or float64 and on the CPU to be learned by ebm.fit, "
                f"got {p.dtype} on {p.device}"
            )
    return {name: p.detach().numpy() for name, p in named.items()}


def derivative(value: Any, module: Any) -> Gradient:
    """Return d(value)/d(parameter) by name, value a tensor of one number; zero where it does not depend on one."""
    import torch

    names, tensors = zip(*((n, p) for n, p in module.named_parameters() if p.requires_grad), strict=True)
    gradients = torch.autograd.grad(value, tensors, allow_unused=True)
    return {
        name: np.zeros(tuple(p.shape), p.detach().numpy().dtype) if g is None else g.numpy()
        for name, p, g in zip(names, tensors, gradients, strict=True)
    }


class TorchObjective:
    """Base of objectives that are a loss written in torch: the direction is minus its gradient."""

    learned: tuple[str, ...] = ()

    def check(self, energy: Any) -> None:
        """Raise unless this is a torch energy or score that learns."""
        if not isinstance(energy, Scored):
            raise TypeError(
                f"{type(self).__name__} needs a torch energy (NeuralEnergy, ScoreModel, TorchEnergy), got "
                f"{protocols.name_of(energy)}"
            )
        if energy.domain != "real":
            raise TypeError(f"{type(self).__name__} needs a real energy, got the domain {energy.domain!r}")

    def start(self, energy: Any, data: np.ndarray, batch_size: int, entropy: int) -> State:
        """Return the state of torch's generator, and the place of the last loss."""
        import torch

        seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])
        return {"generator": torch.Generator().manual_seed(seed).get_state().numpy().copy(), "loss": np.zeros(1)}

    def gradient(self, energy: Any, batch: np.ndarray, state: State, centre: Centre | None) -> Gradient:
        """Return the direction of ascent for a batch (n, *shape)."""
        import torch

        generator = torch.Generator()
        generator.set_state(torch.from_numpy(state["generator"]))
        with torch.enable_grad():
            loss = self.loss(energy, energy.tensor(batch), state, generator)
            direction = derivative(-loss, energy.module)
        state["loss"][0] = float(loss.detach())
        state["generator"][:] = generator.get_state().numpy()
        return direction

    def loss(self, energy: Any, x: Any, state: State, generator: Any) -> Any:
        """Return the loss of a batch, a tensor of one number, with its graph."""
        raise NotImplementedError
