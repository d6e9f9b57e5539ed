"""Learning steps of a small network: contrastive divergence beside torchebm, other losses beside bare torch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import limits
import numpy as np
from timing import Line, Side, compare

import ebm
import samplers

BATCH, BATCHES, STEP, RATE = 256, 20, 0.01, 1e-3
SIGMA, RATIO, K = 0.3, 4, 10


def data() -> np.ndarray:
    """Points of two Gaussians in the plane."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(BATCH * BATCHES, 2)) * 0.4 + rng.choice([-1.0, 1.0], (BATCH * BATCHES, 1))


def ours(objective: Any, threads: int) -> Side:
    """Steps of our own fit: what it measures of itself after each epoch is timed as well."""
    import torch

    x = data()

    def work(n: int) -> float:
        torch.set_num_threads(threads)
        energy = ebm.NeuralEnergy((2,), hidden=(128, 128), width=2.0, seed=0)
        ebm.fit(
            energy, x, objective, epochs=n, batch_size=BATCH, learning_rate=RATE, optimiser=ebm.Adam(), seed=1,
            progress=False,
        )  # fmt: skip
        torch.set_num_threads(limits.THREADS)
        return float(n * BATCHES)

    return Side(f"ebmlab ({threads} torch threads)", work)


def model() -> Any:
    """The same energy as a torch module."""
    import torch

    energy = ebm.NeuralEnergy((2,), hidden=(128, 128), width=2.0, seed=0)

    class Confined(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = energy.module

        def forward(self, x: Any) -> Any:
            return self.net(x)[:, 0] + x.square().sum(1) / 8.0

    return Confined()


def bare(name: str, loss: Callable[[Any, Any], Any], threads: int) -> Side:
    """A loss written out in torch, with torch's Adam: nothing is recorded, checked or shuffled by a seed."""
    import torch

    x = torch.tensor(data(), dtype=torch.float32)

    def work(n: int) -> float:
        torch.set_num_threads(threads)
        net = model()
        optimiser = torch.optim.Adam(net.parameters(), RATE)
        for _ in range(n):
            for rows in torch.randperm(len(x)).split(BATCH):
                value = loss(net, x[rows])
                optimiser.zero_grad()
                value.backward()
                optimiser.step()
        torch.set_num_threads(limits.THREADS)
        return float(n * BATCHES)

    return Side(f"{name} ({threads} torch threads)", work)


def denoising(net: Any, x: Any) -> Any:
    """Denoising score matching at one noise level."""
    import torch

    z = torch.randn_like(x)
    y = (x + SIGMA * z).requires_grad_(True)
    (gradient,) = torch.autograd.grad(net(y).sum(), y, create_graph=True)
    return 0.5 * (z - SIGMA * gradient).square().sum(1).mean()


def noise_contrastive(net: Any, x: Any) -> Any:
    """Noise-contrastive estimation against a standard normal noise; ln Z is in the network's last bias."""
    import torch

    noise = torch.randn(RATIO * len(x), 2)
    both = torch.cat([x, noise])
    logit = -net(both) + 0.5 * both.square().sum(1) + 1.8378770664093453 - 1.3862943611198906
    softplus = torch.nn.functional.softplus
    return softplus(-logit[: len(x)]).mean() + RATIO * softplus(logit[len(x) :]).mean()


def loss(what: str, objective: Any, written_out: Callable[[Any, Any], Any]) -> Line:
    """A step of an objective beside the same loss bare in torch."""
    cores = range(1, limits.THREADS + 1)
    return compare(
        f"{what} step, network 2-128-128-1, batch {BATCH}", "steps/s", 1 / 1.1, [ours(objective, k) for k in cores],
        [bare("bare torch", written_out, k) for k in cores], (), None, "goal: at most 10 % slower",
    )  # fmt: skip


def contrastive() -> Line:
    """CD-10 by Langevin steps beside torchebm's ContrastiveDivergence, each with Adam."""
    import torch
    from torchebm.core import BaseModel
    from torchebm.losses import ContrastiveDivergence
    from torchebm.samplers import LangevinDynamics

    class Model(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.confined = model()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.confined(x)

    x = torch.tensor(data(), dtype=torch.float32)

    def work(n: int, threads: int) -> float:
        torch.set_num_threads(threads)
        net = Model()
        optimiser = torch.optim.Adam(net.parameters(), RATE)
        sampler = LangevinDynamics(net, step_size=STEP)
        objective = ContrastiveDivergence(net, sampler, k_steps=K, energy_reg_weight=0.0)
        for _ in range(n):
            for rows in torch.randperm(len(x)).split(BATCH):
                optimiser.zero_grad()
                objective(x[rows])[0].backward()
                optimiser.step()
        torch.set_num_threads(limits.THREADS)
        return float(n * BATCHES)

    cores = range(1, limits.THREADS + 1)
    mine = [ours(ebm.ContrastiveDivergence(K, samplers.Langevin(STEP)), k) for k in cores]
    peers = [Side(f"torchebm ({k} torch threads)", partial(work, threads=k)) for k in cores]
    return compare(f"CD-{K} step by Langevin, network 2-128-128-1, batch {BATCH}", "steps/s", 1.5, mine, peers)


LINES = {
    "learn-denoising": partial(loss, "denoising score matching", ebm.DenoisingScoreMatching(SIGMA), denoising),
    "learn-contrastive-noise": partial(loss, "noise-contrastive", ebm.NoiseContrastive(RATIO), noise_contrastive),
    "learn-cd": contrastive,
}
