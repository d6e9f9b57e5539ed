"""Unadjusted Langevin steps: torchebm, on a double well in the plane and on a small network."""

from functools import partial
from typing import Any

import limits
import numpy as np
from timing import Check, Line, Side, compare, same

import ebm
import samplers

STEP = 0.01
BARRIER, MINIMUM, STIFFNESS = 1.0, 1.0, 1.0
CHECK_CHAINS, CHECK_STEPS = 2000, 300


def ours(energy: Any, chains: int, name: str = "ebmlab") -> Side:
    """Langevin steps of our own; units are steps of one chain."""

    def work(n: int) -> float:
        steps = n * max(1, 1000 // chains)
        _sample(energy, chains, steps, keep_x=False)
        return float(steps * chains)

    return Side(name, work)


def _sample(energy: Any, chains: int, steps: int, keep_x: bool) -> samplers.Chains:
    return samplers.sample(
        energy, samplers.Langevin(STEP), chains=chains, draws=1, thin=steps, warmup=0, seed=1, keep_x=keep_x,
        progress=False,
    )  # fmt: skip


def torchebm(model: Any, chains: int, name: str, threads: tuple[int, ...]) -> list[Side]:
    """torchebm's LangevinDynamics: float32 and its default Euler-Maruyama integrator, the last state alone kept.

    What is left to choose is torch's number of threads (one is often faster for small batches, and all are tried).
    """
    import torch
    from torchebm.samplers import LangevinDynamics

    sampler = LangevinDynamics(model, step_size=STEP)
    state = torch.randn(chains, 2)

    def work(n: int, cores: int) -> float:
        torch.set_num_threads(cores)
        sampler.sample(x=state, n_steps=100 * n)
        torch.set_num_threads(limits.THREADS)
        return float(100 * n * chains)

    return [Side(f"torchebm ({name}, {k} torch threads)", partial(work, cores=k)) for k in threads]


def check(energy: Any, model: Any) -> Check:
    """Compare the second moments of both sides, which share the bias of the step, from the same kind of start."""
    import torch
    from torchebm.samplers import LangevinDynamics

    mine = np.asarray(_sample(energy, CHECK_CHAINS, CHECK_STEPS, keep_x=True).x)[:, 0]
    theirs = LangevinDynamics(model, step_size=STEP).sample(x=torch.randn(CHECK_CHAINS, 2), n_steps=CHECK_STEPS)
    return same("<x^2>", (mine**2).sum(1), (theirs.numpy().astype(np.float64) ** 2).sum(1))


def well_model(by_hand: bool) -> Any:
    """Our double well as a torchebm model; its own adds a well in each coordinate, which is another energy."""
    import torch
    from torchebm.core import BaseModel

    class Well(BaseModel):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x[:, 0] ** 2 - 1.0) ** 2 + 0.5 * x[:, 1] ** 2

    class WellByHand(Well):
        def gradient(self, x: torch.Tensor, model_kwargs: dict | None = None) -> torch.Tensor:
            gradient = x * x
            gradient[:, 0].mul_(4.0).sub_(4.0)
            gradient[:, 1] = 1.0
            return gradient.mul_(x)

    return (WellByHand if by_hand else Well)()


def well(chains: int, by_hand: bool, goal: float) -> Line:
    """The double well; `by_hand`: torchebm is given a gradient written by hand instead of autograd's, its default."""
    energy = ebm.DoubleWell(2, barrier=BARRIER, minimum=MINIMUM, stiffness=STIFFNESS)
    model = well_model(by_hand)
    peers = torchebm(model, chains, "gradient by hand" if by_hand else "autograd", (1,))
    return compare(
        f"Langevin, 2-D double well, {chains:,} chains", "steps/s", goal, [ours(energy, chains)], peers,
        [check(energy, model)], (limits.random_words(), 2.0), "limit: a 64-bit word a normal number",
    )  # fmt: skip


def network_energies() -> tuple[Any, Any]:
    """The same network 2-128-128-1, confined by x^2/2, as an energy of ours and as a torchebm model."""
    import torch
    from torchebm.core import BaseModel

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(2, 128), torch.nn.SiLU(), torch.nn.Linear(128, 128), torch.nn.SiLU(), torch.nn.Linear(128, 1)
    )
    for parameter in net.parameters():
        parameter.requires_grad_(False)  # else autograd computes gradients of the weights as well

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)[:, 0] + 0.5 * (x * x).sum(1)

    class Model(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x)[:, 0] + 0.5 * (x * x).sum(1)

    return ebm.TorchEnergy(Network(), shape=(2,)), Model()


def _torch_threads(side: Side, threads: int) -> Side:
    import torch

    def work(n: int) -> float:
        torch.set_num_threads(threads)
        units = side.work(n)
        torch.set_num_threads(limits.THREADS)
        return units

    return Side(f"{side.name} ({threads} torch threads)", work)


def network(chains: int, goal: float) -> Line:
    """The network."""
    energy, model = network_energies()
    cores = range(1, limits.THREADS + 1)
    compiled = ebm.CompiledNetwork(model.net) + ebm.Gaussian([0.0, 0.0], np.eye(2))
    mine = [_torch_threads(ours(energy, chains), k) for k in cores] + [ours(compiled, chains, "compiled network")]
    return compare(
        f"Langevin, torch MLP 2-128-128-1, {chains:,} chains", "steps/s", goal, mine,
        torchebm(model, chains, "autograd", tuple(cores)), [check(energy, model), check(compiled, model)],
        (limits.small_multiply_adds(), 2.0 * 128**2), "limit: the multiply-adds of its 128 x 128 layer, there and back",
    )  # fmt: skip


LINES = {
    "langevin-10": partial(well, 10, False, 1000.0),
    "langevin-1000": partial(well, 1000, False, 40.0),
    "langevin-10-by-hand": partial(well, 10, True, 1000.0),
    "langevin-1000-by-hand": partial(well, 1000, True, 40.0),
    "network-10": partial(network, 10, 4.0),
    "network-1000": partial(network, 1000, 1.5),
}
