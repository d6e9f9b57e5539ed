"""The steps that models.fit takes are those of the papers, written out in numpy."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import models

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RNG = np.random.default_rng(4)
X = RNG.normal(size=(40, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1 * RNG.normal(size=40)
RATE, STEPS = 0.02, 7
Step = Callable[[np.ndarray, np.ndarray, dict[str, Any], int], np.ndarray]


def sgd(w: np.ndarray, g: np.ndarray, kept: dict[str, Any], t: int) -> np.ndarray:
    return w - RATE * g


def momentum(w: np.ndarray, g: np.ndarray, kept: dict[str, Any], t: int) -> np.ndarray:
    """Polyak 1964: v <- m v + g."""
    kept["v"] = 0.9 * kept.get("v", 0.0) + g
    return w - RATE * kept["v"]


def nesterov(w: np.ndarray, g: np.ndarray, kept: dict[str, Any], t: int) -> np.ndarray:
    """Nesterov 1983, as Sutskever et al. 2013 with the parameters where the gradient is taken."""
    kept["v"] = 0.9 * kept.get("v", 0.0) + g
    return w - RATE * (g + 0.9 * kept["v"])


def rmsprop(w: np.ndarray, g: np.ndarray, kept: dict[str, Any], t: int) -> np.ndarray:
    """Tieleman and Hinton 2012."""
    kept["s"] = 0.99 * kept.get("s", 0.0) + 0.01 * g**2
    return w - RATE * g / (np.sqrt(kept["s"]) + 1e-8)


def adam(w: np.ndarray, g: np.ndarray, kept: dict[str, Any], t: int) -> np.ndarray:
    """Kingma and Ba 2015."""
    kept["m"] = 0.9 * kept.get("m", 0.0) + 0.1 * g
    kept["s"] = 0.999 * kept.get("s", 0.0) + 0.001 * g**2
    m, s = kept["m"] / (1 - 0.9**t), kept["s"] / (1 - 0.999**t)
    return w - RATE * m / (np.sqrt(s) + 1e-8)


def adamw(w: np.ndarray, g: np.ndarray, kept: dict[str, Any], t: int) -> np.ndarray:
    """Loshchilov and Hutter 2019: the decay is not divided by the root mean square."""
    return adam((1 - RATE * 0.1) * w, g, kept, t)


@pytest.mark.parametrize(
    ("optimiser", "step"),
    [
        (torch.optim.SGD, sgd),
        (partial(torch.optim.SGD, momentum=0.9), momentum),
        (partial(torch.optim.SGD, momentum=0.9, nesterov=True), nesterov),
        (torch.optim.RMSprop, rmsprop),
        (torch.optim.Adam, adam),
        (partial(torch.optim.AdamW, weight_decay=0.1), adamw),
    ],
    ids=["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"],
)
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_a_step_is_that_of_the_paper(optimiser: Any, step: Step, l2: float) -> None:
    model = models.MLP(3, hidden=(), seed=1).double()
    w = np.concatenate([p.detach().numpy().ravel() for p in model.parameters()])
    models.fit(
        model, (X, Y), epochs=STEPS, batch_size=40, learning_rate=RATE, optimiser=optimiser, l2=l2, seed=1,
        progress=False,
    )  # fmt: skip
    design, kept = np.c_[X, np.ones(40)], dict[str, Any]()
    for t in range(1, STEPS + 1):
        g = 2 * design.T @ (design @ w - Y) / 40 + l2 * w * [1, 1, 1, 0]  # the intercept is not penalised
        w = step(w, g, kept, t)
    assert np.allclose(np.concatenate([p.detach().numpy().ravel() for p in model.parameters()]), w, rtol=0, atol=1e-13)


def test_one_cycle_scales_every_step() -> None:
    model, rates = models.MLP(3, hidden=(), seed=1), []
    models.fit(
        model, (X, Y), epochs=4, batch_size=10, learning_rate=0.1, schedule=models.one_cycle(4, rise=0.25), seed=1,
        after_step=lambda model, rate: rates.append(rate), progress=False,
    )  # fmt: skip
    assert np.allclose(rates[:4], [0.0, 0.025, 0.05, 0.075])
    assert np.allclose(rates[4:], 0.05 * (1 + np.cos(np.pi * np.arange(12) / 12)))
