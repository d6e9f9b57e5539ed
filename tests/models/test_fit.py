"""models.fit: it takes the steps that torch would, stops where it should, and goes on to the same bits."""

import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import models
from ebm.training_run import LearningError
from models.streams import seeded
from samplers.store import StoreError

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 3))
Y = X @ [[1.0], [-2.0], [0.5]] + 0.1 * RNG.normal(size=(60, 1))


class Net(nn.Sequential):
    """A regression with dropout, so that every step draws random numbers."""

    def __init__(self, dropout: float = 0.2) -> None:
        with seeded(5):
            super().__init__(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))

    def loss(self, batch: Any) -> torch.Tensor:
        x, y = batch
        return (self(x) - y).square().mean()


def weights(net: nn.Module) -> np.ndarray:
    return np.concatenate([p.detach().numpy().ravel() for p in net.parameters()])


def learn(net: nn.Module, **changes: Any) -> Any:
    settings = {"epochs": 6, "batch_size": 16, "learning_rate": 0.01, "seed": 4, "progress": False} | changes
    return models.fit(net, settings.pop("data", (X, Y)), **settings)


def test_a_step_is_that_of_torch() -> None:
    ours, theirs = Net(0.0), Net(0.0)
    learn(ours, epochs=3, batch_size=60, optimiser=partial(torch.optim.SGD, momentum=0.9), schedule=lambda t: 1 - t / 4)
    x, y = (torch.as_tensor(a, dtype=torch.float32) for a in (X, Y))
    optimiser = torch.optim.SGD(theirs.parameters(), 0.01, momentum=0.9)
    for epoch in range(3):
        optimiser.param_groups[0]["lr"] = 0.01 * (1 - epoch / 4)
        optimiser.zero_grad()
        theirs.loss((x, y)).backward()
        optimiser.step()
    assert np.allclose(weights(ours), weights(theirs), rtol=0, atol=1e-6)  # rows in another order: sums round otherwise


def test_lbfgs_finds_least_squares() -> None:
    class Line(nn.Linear):
        def loss(self, batch: Any) -> torch.Tensor:
            return (self(batch[0]) - batch[1]).square().mean()

    line = Line(3, 1, dtype=torch.float64)
    newton = partial(torch.optim.LBFGS, line_search_fn="strong_wolfe", tolerance_change=1e-14, tolerance_grad=1e-12)
    learn(line, optimiser=newton, learning_rate=1.0, batch_size=60)
    best = np.linalg.lstsq(np.c_[X, np.ones(60)], Y[:, 0], rcond=None)[0]
    assert np.allclose(weights(line), best, rtol=0, atol=1e-6)


@pytest.mark.parametrize("averaging", [0.0, 0.9])
@pytest.mark.parametrize("cut", [1, 9, 11, 12])  # 4 batches an epoch: 11 is in the last one of the third
def test_a_cut_run_goes_on_to_the_same_bits(tmp_path: Path, cut: int, averaging: float) -> None:
    steps = 0

    def interrupting(batch: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == cut + 1:  # the model looks at no data, so that each call is a batch
            signal.raise_signal(signal.SIGINT)
        return batch[0] + 0.1 * torch.randn_like(batch[0]), batch[1]

    options = {"augment": interrupting, "averaging": averaging, "validation": (X[:9], Y[:9]), "patience": 50}
    whole, cut_run = Net(), Net()
    steps = 1000
    records = learn(whole, **options).records()
    steps = 0
    with pytest.raises(KeyboardInterrupt):
        learn(cut_run, checkpoint=tmp_path / "c", **options)
    resumed = Net()
    again = learn(resumed, checkpoint=tmp_path / "c", resume=True, **options).records()
    assert np.array_equal(weights(whole), weights(resumed))
    untimed = [[{k: v for k, v in r.items() if k != "seconds"} for r in run] for run in (records, again)]
    assert untimed[0] == untimed[1]
    finished = Net()
    learn(finished, checkpoint=tmp_path / "c", resume=True, **options)  # done already: returns what it came to
    assert np.array_equal(weights(whole), weights(finished))


def test_more_epochs_extend_a_run(tmp_path: Path) -> None:
    whole, longer = Net(), Net()
    learn(whole, averaging=0.9)
    learn(longer, averaging=0.9, epochs=3, checkpoint=tmp_path / "c")
    learn(longer, averaging=0.9, epochs=6, checkpoint=tmp_path / "c", resume=True)
    assert np.array_equal(weights(whole), weights(longer))


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    learn(Net(), epochs=1, checkpoint=tmp_path / "c")
    with pytest.raises(StoreError, match="exists already"):
        learn(Net(), checkpoint=tmp_path / "c")
    for name, value in {"learning_rate": 0.02, "batch_size": 8, "seed": 5, "data": (X + 1, Y)}.items():
        with pytest.raises(StoreError, match=f"other settings: {name} was"):
            learn(Net(), checkpoint=tmp_path / "c", resume=True, **{name: value})
    with pytest.raises(StoreError, match="other settings: factors was"):
        learn(Net(), checkpoint=tmp_path / "c", resume=True, schedule=lambda t: 0.5)
    (tmp_path / "d").write_bytes(b"something else")
    with pytest.raises(StoreError, match="is not a readable"):
        learn(Net(), checkpoint=tmp_path / "d", resume=True)


def test_training_leaves_the_global_generator_alone_and_depends_on_the_seed() -> None:
    torch.manual_seed(1)
    before, first, second, third = torch.get_rng_state(), Net(), Net(), Net()
    learn(first)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(10)
    learn(second)
    learn(third, seed=5)
    assert np.array_equal(weights(first), weights(second)) and not np.array_equal(weights(first), weights(third))


def test_averages_are_plain_means_at_first() -> None:
    net, path = Net(), []
    learn(net, epochs=5, batch_size=60, averaging=0.9999, after_step=lambda net, rate: path.append(weights(net)))
    assert np.allclose(weights(net), np.mean(path, 0), rtol=0, atol=1e-6)


def test_patience_returns_the_best_epoch() -> None:
    net, states = Net(0.0), []
    history = learn(
        net, epochs=200, learning_rate=0.05, validation=(X[:5], -Y[:5]), patience=3,
        callback=lambda record: states.append(weights(net)),
    )  # fmt: skip
    best = int(np.argmin(history["validation_loss"]))
    assert len(history) == best + 4 < 200
    assert np.array_equal(weights(net), states[best])


def test_players_descend_losses_of_their_own() -> None:
    class Game(nn.Module):
        """a goes down a b, b goes up it: a spiral around the saddle at zero."""

        def __init__(self) -> None:
            super().__init__()
            self.players = nn.ModuleDict({"a": nn.Linear(1, 1, bias=False), "b": nn.Linear(1, 1, bias=False)})
            for part in self.players.values():
                nn.init.ones_(part.weight)

        def loss(self, batch: torch.Tensor, player: str) -> torch.Tensor:
            value = (self.players["a"].weight * self.players["b"].weight).sum()
            return value if player == "a" else -value

    game = Game()
    history = learn(game, data=np.ones((1, 1)), epochs=2, learning_rate=0.1, optimiser=torch.optim.SGD)
    # a <- a - .1 b, then b <- b + .1 a, twice
    a, b = 1.0, 1.0
    for _ in range(2):
        a -= 0.1 * b
        b += 0.1 * a
    assert np.allclose(weights(game), [a, b])
    assert history.names == ("epoch", "learning_rate", "a_loss", "b_loss", "seconds")


def test_paces_scale_the_learning_rate() -> None:
    fast, slow = Net(0.0), Net(0.0)
    slow.paces = {"0": 0.0}
    learn(fast)
    learn(slow)
    assert torch.equal(slow[0].weight, Net()[0].weight) and not torch.equal(fast[0].weight, slow[0].weight)
    assert not torch.equal(slow[3].weight, Net()[3].weight)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": (X, Y[:5])}, r"equally many rows in each array, got shapes \(60, 3\), \(5, 1\)"),
        ({"data": (np.where(X > 2, np.nan, X), Y)}, "data must be finite, got NaN or infinity in row"),
        ({"data": X[:0]}, "at least one row"),
        ({"epochs": 0}, "epochs must be"),
        ({"batch_size": 2.5}, "batch_size must be"),
        ({"learning_rate": -1.0}, "learning_rate must be"),
        ({"averaging": 1.0}, "averaging must be"),
        ({"patience": 3}, "patience needs validation data"),
        ({"resume": True}, "resume=True needs checkpoint"),
        ({"schedule": lambda t: np.nan}, "schedule must give finite factors"),
    ],
)
def test_errors_name_the_argument(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        learn(Net(), **changes)


def test_what_is_not_a_model_is_refused() -> None:
    for model in (nn.Linear(2, 1), "net"):
        with pytest.raises(TypeError, match=r"model must be a torch module with loss\(batch\)"):
            learn(model)


def test_divergence_says_where() -> None:
    with pytest.raises(LearningError, match=r"model's loss must stay finite, got .* in epoch \d+, batch \d.*it was 1e"):
        learn(Net(), epochs=200, learning_rate=1e9, optimiser=torch.optim.SGD)
