"""Directions of torch objectives: their means against closed forms for a Gaussian, losses against differences."""

from typing import Any

import numpy as np
import pytest
import torch
from laws import ALPHA
from scipy import stats
from torch_gaussian import COVARIANCE, LOG_Z, PRECISION, QuadraticEnergy, draws

import ebm
import samplers
from ebm.autograd import TorchObjective

DATA = draws(400, 7)
MOMENTS = DATA.T @ DATA / len(DATA)
SIGMA = 0.5
UPPER = np.triu_indices(5)
START = PRECISION + np.diag([1.5, -0.2, 0.9, 0.0, 1.2])


def direction(objective: Any, energy: QuadraticEnergy, seed: int, data: np.ndarray = DATA) -> np.ndarray:
    """The symmetric part of the direction of ascent in P."""
    state = objective.start(energy, data, len(data), seed)
    g = objective.gradient(energy, data, state, None)["P"]
    return (g + g.T) / 2


def score_matching_direction(P: np.ndarray) -> np.ndarray:
    """-d/dP of tr(P M P) / 2 - tr P, M the second moments: the loss of a quadratic energy."""
    return np.eye(5) - (P @ MOMENTS + MOMENTS @ P) / 2


def denoising_direction(P: np.ndarray) -> np.ndarray:
    """-d/dP of <|z - sigma P (x + sigma z)|^2> / 2."""
    smooth = MOMENTS + SIGMA**2 * np.eye(5)
    return SIGMA**2 * (np.eye(5) - (P @ smooth + smooth @ P) / 2)


def likelihood_direction(P: np.ndarray) -> np.ndarray:
    """d/dP of -tr(P M) / 2 - ln Z."""
    return (np.linalg.inv(P) - MOMENTS) / 2


def test_exact_directions_are_the_closed_forms() -> None:
    energy = QuadraticEnergy(START)
    np.testing.assert_allclose(direction(ebm.ScoreMatching(), energy, 1), score_matching_direction(START), atol=1e-12)
    np.testing.assert_allclose(direction(ebm.ExactLikelihood(), energy, 1), likelihood_direction(START), atol=1e-12)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (ebm.ScoreMatching("hutchinson"), score_matching_direction),
        (ebm.ScoreMatching("hutchinson", probes=3), score_matching_direction),
        (ebm.SlicedScoreMatching(), score_matching_direction),
        (ebm.SlicedScoreMatching(projections=3), score_matching_direction),
        (ebm.DenoisingScoreMatching(SIGMA), denoising_direction),
        (ebm.DenoisingScoreMatching(SIGMA, noises=3), denoising_direction),
        (ebm.ContrastiveDivergence(60, samplers.MALA(0.3)), likelihood_direction),
    ],
    ids=lambda value: repr(value) if isinstance(value, TorchObjective) else "",
)
def test_directions_with_chance_have_the_closed_form_as_their_mean(objective: Any, expected: Any) -> None:
    energy = QuadraticEnergy(START)
    replicas = np.array([direction(objective, energy, seed)[UPPER] for seed in range(60)])
    mean, moves = expected(START)[UPPER], replicas.std(0) > 1e-9
    assert (stats.ttest_1samp(replicas[:, moves], mean[moves]).pvalue > ALPHA / 15).all()
    np.testing.assert_allclose(replicas[:, ~moves], np.tile(mean[~moves], (60, 1)), atol=1e-12)  # where v_i^2 = 1
    # The test has power: by the other sign, or with ds/dx left out, the direction would be many errors away.
    assert np.abs(mean).max() > 20 * replicas.std(0).max() / np.sqrt(60)


def test_more_draws_of_noise_make_the_direction_steadier() -> None:
    energy = QuadraticEnergy(START)
    for few, many in (
        (ebm.DenoisingScoreMatching(SIGMA), ebm.DenoisingScoreMatching(SIGMA, noises=16)),
        (ebm.SlicedScoreMatching(), ebm.SlicedScoreMatching(projections=16)),
        (ebm.ScoreMatching("hutchinson"), ebm.ScoreMatching("hutchinson", probes=16)),
    ):
        spread = [np.var([direction(o, energy, seed) for seed in range(30)], 0).sum() for o in (few, many)]
        assert spread[1] < spread[0] / 4  # a sixteenth, but for the scatter of the estimates of variance


def test_noise_contrastive_direction_vanishes_at_the_truth_and_points_to_it() -> None:
    objective, at_truth, off = ebm.NoiseContrastive(ratio=4, widen=1.3), [], []
    for seed in range(40):
        data = draws(500, 50 + seed)
        for energy, log_z, kept in (
            (QuadraticEnergy(PRECISION), LOG_Z, at_truth),
            (QuadraticEnergy(START), LOG_Z, off),
        ):
            state = objective.start(energy, data, len(data), seed)
            state["log_z"][0] = log_z
            g = objective.gradient(energy, data, state, None)
            kept.append(np.r_[(g["P"] + g["P"].T)[UPPER], g["log_z"]])
    assert (stats.ttest_1samp(at_truth, 0.0).pvalue > ALPHA / 16).all()
    assert (np.mean(off, 0)[:15] @ (PRECISION - START)[UPPER]) > 0.01
    assert stats.ttest_1samp(np.array(off)[:, 0], 0.0).pvalue < ALPHA


def _loss(objective: TorchObjective, energy: Any, x: np.ndarray, state: dict[str, np.ndarray]) -> float:
    copy = {name: array.copy() for name, array in state.items()}
    objective.gradient(energy, x, copy, None)
    return float(copy["loss"][0])


class Curved(torch.nn.Module):
    """A smooth energy that is not quadratic, with a few parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor([0.7, -0.4, 0.2], dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.w[0] * x[:, 0] ** 2 + self.w[1] * torch.sin(x[:, 0] * x[:, 1]) + self.w[2] * x[:, 1] ** 4) + x[
            :, 1
        ] ** 2


@pytest.mark.parametrize(
    "objective",
    [
        ebm.ScoreMatching(),
        ebm.ScoreMatching("hutchinson", probes=2),
        ebm.SlicedScoreMatching(2),
        ebm.DenoisingScoreMatching(0.3, noises=2),
        ebm.NoiseContrastive(2),
    ],
    ids=repr,
)
def test_direction_is_minus_the_derivative_of_the_loss(objective: Any) -> None:
    energy = ebm.TorchEnergy(Curved(), shape=(2,))
    x = np.random.default_rng(4).normal(size=(30, 2))
    state = objective.start(energy, x, 30, 3)
    before = {name: array.copy() for name, array in state.items()}
    g = objective.gradient(energy, x, state, None)
    learned = {**energy.learnable(), **{name: before[name] for name in objective.learned}}
    for name, array in learned.items():
        for i in range(array.size):
            value, sides = array[i], []
            for shift in (1e-5, -1e-5):
                array[i] = value + shift
                sides.append(_loss(objective, energy, x, before))
            array[i] = value
            assert g[name][i] == pytest.approx(-(sides[0] - sides[1]) / 2e-5, rel=1e-6, abs=1e-8)
    # The next batch has other noise: the generator has moved on.
    if state["generator"].tobytes() == before["generator"].tobytes():
        assert objective == ebm.ScoreMatching()  # which has no noise


def test_gradient_penalty_is_the_derivative_of_the_mean_squared_slope() -> None:
    energy = ebm.TorchEnergy(Curved(), shape=(2,))
    x = np.random.default_rng(5).normal(size=(20, 2))
    slope, w = energy.slope_gradient(x)["w"], energy.learnable()["w"]
    for i in range(3):
        value, sides = w[i], []
        for shift in (1e-5, -1e-5):
            w[i] = value + shift
            sides.append((energy.grad(x) ** 2).sum(1).mean())
        w[i] = value
        assert slope[i] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-6)


def test_penalties_enter_the_contrast_with_their_sign() -> None:
    from ebm.contrastive import contrast

    energy = ebm.TorchEnergy(Curved(), shape=(2,))
    rng, w = np.random.default_rng(6), energy.learnable()["w"]
    data, model = rng.normal(size=(20, 2)), 1.5 * rng.normal(size=(30, 2))

    def loss() -> float:
        e, f = energy(data), energy(model)
        slopes = (energy.grad(data) ** 2).sum(1).mean()
        return float(e.mean() - f.mean() + 0.3 * ((e**2).mean() + (f**2).mean()) + 0.2 * slopes)

    g = contrast(energy, data, model, None, energy_penalty=0.3, gradient_penalty=0.2)["w"]
    for i in range(3):
        value, sides = w[i], []
        for shift in (1e-5, -1e-5):
            w[i] = value + shift
            sides.append(loss())
        w[i] = value
        assert g[i] == pytest.approx(-(sides[0] - sides[1]) / 2e-5, rel=1e-6)


def test_likelihood_of_a_box_is_that_of_its_quadrature() -> None:
    energy = ebm.TorchEnergy(Curved(), shape=(2,))
    box, w = ((-5.0, 5.0), (-4.0, 4.0)), energy.learnable()["w"]
    x = np.random.default_rng(8).normal(size=(30, 2))
    g = ebm.ExactLikelihood(box=box, points=150).gradient(energy, x, {}, None)["w"]
    for i in range(3):
        value, sides = w[i], []
        for shift in (1e-4, -1e-4):
            w[i] = value + shift
            sides.append(-energy(x).mean() - ebm.exact.log_z_quadrature(energy, box))
        w[i] = value
        assert g[i] == pytest.approx((sides[0] - sides[1]) / 2e-4, rel=1e-5)


def test_the_covariance_of_the_tests_is_no_special_case() -> None:
    assert np.abs(COVARIANCE - np.diag(np.diag(COVARIANCE))).max() > 0.2 and np.ptp(np.linalg.eigvalsh(PRECISION)) > 1


@pytest.mark.parametrize(
    ("make", "energy", "error", "message"),
    [
        (lambda: ebm.ScoreMatching("full"), "good", ValueError, 'trace must be "exact" or "hutchinson", got \'full\''),
        (lambda: ebm.ScoreMatching("hutchinson", 0), "good", ValueError, "probes must be a positive integer, got 0"),
        (lambda: ebm.SlicedScoreMatching(-1), "good", ValueError, "projections must be a positive integer, got -1"),
        (lambda: ebm.DenoisingScoreMatching(0.0), "good", ValueError, "sigma must be a positive number or a sequence"),
        (lambda: ebm.DenoisingScoreMatching([]), "good", ValueError, "sigma must be a positive number or a sequence"),
        (lambda: ebm.DenoisingScoreMatching([1.0, 0.5]), "good", TypeError, "a ladder of sigma needs a ScoreModel"),
        (lambda: ebm.NoiseContrastive(0), "good", ValueError, "ratio must be a positive integer, got 0"),
        (lambda: ebm.NoiseContrastive(widen=0.0), "good", ValueError, "widen must be a positive finite number"),
        (lambda: ebm.ScoreMatching(), ebm.RBM(4, 2), TypeError, "ScoreMatching needs a torch energy .*, got RBM"),
        (lambda: ebm.NoiseContrastive(), "score", TypeError, "NoiseContrastive needs an energy, got ScoreModel"),
        (lambda: ebm.ContrastiveDivergence(), "score", TypeError, "ContrastiveDivergence needs an energy .* a score"),
        (lambda: ebm.ContrastiveDivergence(), "good", TypeError, r"needs sampler=..., such as samplers.MALA\(0.01\)"),
        (lambda: ebm.PersistentCD(reinitialise=1.0), ebm.RBM(4, 2), ValueError, "reinitialise must be below 1"),
        (lambda: ebm.PersistentCD(energy_penalty=-1), ebm.RBM(4, 2), ValueError, "energy_penalty must be a non-neg"),
        (lambda: ebm.PersistentCD(gradient_penalty=1), ebm.RBM(4, 2), TypeError, "gradient_penalty needs a torch"),
        (lambda: ebm.ExactLikelihood(), "good", ValueError, r"needs one or two real dimensions and box="),
        (lambda: ebm.ExactLikelihood(((-1, 1),)), "good", ValueError, "limits must be 2 pairs"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(make: Any, energy: Any, error: type, message: str) -> None:
    energies = {"good": ebm.TorchEnergy(Curved(), shape=(2,)), "score": ebm.ScoreModel((2,), hidden=(4,))}
    with pytest.raises(error, match=message):
        make().check(energies.get(energy, energy) if isinstance(energy, str) else energy)


def test_a_module_without_parameters_does_not_learn() -> None:
    energy = ebm.TorchEnergy(lambda x: (x**2).sum(1), shape=(2,))
    with pytest.raises(TypeError, match="energy must have parameters to learn, got a function without any"):
        ebm.fit(energy, np.ones((4, 2)), ebm.ScoreMatching(), epochs=1, batch_size=2, learning_rate=0.1, progress=False)
    frozen = torch.nn.Linear(2, 1).half()
    with pytest.raises(TypeError, match=r"parameter weight must be contiguous, of float32 or float64 and on the CPU"):
        ebm.TorchEnergy(frozen, shape=(2,)).learnable()
