"""Optimisers: torch's own steps, averages of the parameters, and what stops learning."""

from typing import Any

import numpy as np
import pytest
import torch
from torch_gaussian import QuadraticEnergy, draws

import ebm


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ebm.SGD(), lambda p: torch.optim.SGD(p, 0.1)),
        (ebm.Adam(), lambda p: torch.optim.Adam(p, 0.1)),
        (ebm.Adam(0.5, 0.9, epsilon=1e-3), lambda p: torch.optim.Adam(p, 0.1, betas=(0.5, 0.9), eps=1e-3)),
        (ebm.Adam(0.0, 0.99), lambda p: torch.optim.Adam(p, 0.1, betas=(0.0, 0.99))),
        (ebm.Adam(weight_decay=0.3), lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.3)),
        (ebm.SGD(weight_decay=0.3), lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.3)),
        (ebm.SGD(momentum=0.8), lambda p: torch.optim.SGD(p, 0.1, momentum=0.8)),
    ],
    ids=lambda value: repr(value) if isinstance(value, ebm.SGD | ebm.Adam) else "",
)
def test_steps_are_those_of_torch(ours: Any, theirs: Any) -> None:
    rng = np.random.default_rng(1)
    mine = rng.normal(size=(4, 3))
    tensor = torch.nn.Parameter(torch.tensor(mine))
    optimiser, moments = theirs([tensor]), tuple(np.zeros_like(mine) for _ in ours.moments)
    for count in range(1, 8):
        g = rng.normal(size=mine.shape)
        square, finite = ours.step(mine, moments, g, 0.1, count)
        assert finite and square == pytest.approx((g**2).sum())
        tensor.grad = torch.tensor(-g)  # torch descends
        optimiser.step()
        np.testing.assert_allclose(mine, tensor.detach().numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("optimiser", [ebm.SGD(weight_decay=0.5), ebm.Adam(weight_decay=0.5)])
def test_biases_do_not_decay_and_single_precision_stays(optimiser: Any) -> None:
    for shape in ((3,), (3, 2), ()):
        parameter = np.ones(shape, np.float32)
        moments = tuple(np.zeros_like(parameter) for _ in optimiser.moments)
        optimiser.step(parameter, moments, np.zeros_like(parameter), 0.1, 1)
        assert parameter.dtype == np.float32 and (parameter < 1).all() == (len(shape) > 1)


def test_a_parameter_that_is_not_finite_is_told() -> None:
    for optimiser in (ebm.SGD(), ebm.Adam()):
        parameter = np.ones(3)
        moments = tuple(np.zeros(3) for _ in optimiser.moments)
        assert not optimiser.step(parameter, moments, np.array([0.0, np.nan, 0.0]), 0.1, 1)[1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ebm.SGD(momentum=1.0), "momentum must be below 1, got 1.0"),
        (lambda: ebm.SGD(weight_decay=-1.0), "weight_decay must be a non-negative finite number, got -1.0"),
        (lambda: ebm.Adam(beta1=-0.1), "beta1 must be a non-negative finite number, got -0.1"),
        (lambda: ebm.Adam(beta2=1.0), "beta2 must be below 1, got 1.0"),
        (lambda: ebm.Adam(epsilon=0.0), "epsilon must be a positive finite number, got 0.0"),
    ],
)
def test_settings_out_of_range_are_told(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


class Recording(ebm.SGD):
    """SGD that keeps each value of the parameter."""

    values: list[np.ndarray] = []  # noqa: RUF012

    def step(self, parameter: np.ndarray, *more: Any) -> tuple[float, bool]:
        result = super().step(parameter, *more)
        self.values.append(parameter.copy())
        return result


def test_averaged_parameters_are_shown_and_the_last_ones_go_on(tmp_path: Any) -> None:
    data, seen = draws(60, 1), []

    def learn(epochs: int, resume: bool, averaging: float = 0.8) -> QuadraticEnergy:
        energy = QuadraticEnergy(np.eye(5))
        ebm.fit(
            energy, data, ebm.DenoisingScoreMatching(0.3), epochs=epochs, batch_size=20, learning_rate=0.05, seed=2,
            optimiser=Recording(), averaging=averaging, checkpoint=tmp_path / f"{averaging}-{resume}.h5",
            resume=resume, progress=False, measure=lambda e: seen.append(e.module.P.detach().numpy().copy()) or {},
        )  # fmt: skip
        return energy

    Recording.values = []
    whole = learn(4, False)
    mean = np.zeros((5, 5))
    for t, value in enumerate(Recording.values, 1):
        mean += (1 - min(0.8, 1 - 1 / t)) * (value - mean)
    np.testing.assert_allclose(whole.module.P.detach().numpy(), mean, rtol=1e-12)
    np.testing.assert_array_equal(seen[-1], whole.module.P.detach().numpy())  # what is measured is the average
    learn(2, True)
    again = learn(4, True)
    np.testing.assert_array_equal(again.module.P.detach().numpy(), whole.module.P.detach().numpy())
    finished = learn(4, True)
    np.testing.assert_array_equal(finished.module.P.detach().numpy(), whole.module.P.detach().numpy())
    Recording.values = []
    plain = learn(4, False, averaging=0.0)
    np.testing.assert_array_equal(plain.module.P.detach().numpy(), Recording.values[-1])


def test_numbers_of_ones_own_join_the_record() -> None:
    energy = QuadraticEnergy(np.eye(5))
    history = ebm.fit(
        energy, draws(60, 1), ebm.ScoreMatching(), epochs=3, batch_size=20, learning_rate=0.01, seed=1, progress=False,
        measure=lambda e: {"trace": float(e.precision().trace())},
    )  # fmt: skip
    assert len(history["trace"]) == 3 and history["trace"][-1] == float(energy.precision().trace())
    assert history["loss"][-1] < history["loss"][0]


def test_chains_that_leave_the_numbers_stop_learning_with_the_place() -> None:
    import samplers

    energy = ebm.NeuralEnergy((2,), network=torch.nn.Linear(2, 1), width=0.01)
    with pytest.raises(ebm.LearningError, match=r"model's chain 0 left the numbers under Langevin.* in epoch 1, batch"):
        ebm.fit(
            energy, np.ones((10, 2)), ebm.PersistentCD(400, 5, samplers.Langevin(1.0)), epochs=1, batch_size=5,
            learning_rate=0.1, seed=1, progress=False,
        )  # fmt: skip


def test_a_loss_that_is_no_number_stops_learning_with_the_place() -> None:
    energy = QuadraticEnergy(np.eye(5))
    energy.module.P.data[0, 0] = 1e300
    with pytest.raises(ebm.LearningError, match=r"loss of ScoreMatching must stay finite, got inf in epoch 1, batch 1"):
        ebm.fit(
            energy, draws(10, 1), ebm.ScoreMatching(), epochs=1, batch_size=5, learning_rate=0.1, seed=1, progress=False
        )


def test_restarted_chains_begin_where_chains_begin() -> None:
    from scipy import stats

    from ebm.contrastive import restart
    from samplers import random

    energy = ebm.NeuralEnergy((3,), hidden=(4,), seed=0)
    state = {"x": np.full((4000, 3), 9.0), "stream": random.make_streams(1, 4000)}
    before = state["stream"].copy()
    restart(energy, state, 0.25)
    fresh = (state["x"] != 9.0).all(1)
    assert ((state["x"] == 9.0).all(1) | fresh).all()
    assert stats.binomtest(int(fresh.sum()), 4000, 0.25).pvalue > 1e-6
    assert stats.kstest(state["x"][fresh].ravel(), "norm").pvalue > 1e-6
    assert (state["stream"] != before).any(1).all()
    restart(energy, state, 0.25)
    assert ((state["x"] != 9.0).all(1)).sum() > fresh.sum()
