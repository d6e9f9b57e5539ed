"""All objectives, one answer: the precision of a correlated Gaussian in five dimensions, sign and size."""

from typing import Any

import numpy as np
import pytest
from laws import ALPHA, mean_p
from scipy import stats
from torch_gaussian import PRECISION, QuadraticEnergy, draws

import ebm
import samplers

SIGMA = 0.4
POINTS, REPLICAS = 1000, 5
UPPER = np.triu_indices(5)

# An objective, and the epochs of two batches each from which on the answer moves no more.
OBJECTIVES: dict[str, tuple[Any, int]] = {
    "hutchinson": (ebm.ScoreMatching(trace="hutchinson", probes=4), 150),
    "sliced": (ebm.SlicedScoreMatching(projections=4), 150),
    "denoising": (ebm.DenoisingScoreMatching(SIGMA, noises=4), 150),
    "noise-contrastive": (ebm.NoiseContrastive(ratio=4, widen=1.2), 400),
    "contrastive divergence": (ebm.ContrastiveDivergence(k=10, sampler=samplers.MALA(0.3)), 120),
    "persistent chains": (ebm.PersistentCD(k=3, chains=1000, sampler=samplers.MALA(0.3)), 150),
}


def learned(objective: Any, data: np.ndarray, seed: int, epochs: int, batch: int = POINTS // 2) -> QuadraticEnergy:
    """The energy learned from data, from an identity matrix on."""
    energy = QuadraticEnergy(np.eye(5))
    ebm.fit(
        energy, data, objective, epochs=epochs, batch_size=batch, learning_rate=0.05, optimiser=ebm.Adam(), seed=seed,
        schedule=lambda epoch: 1.0 - epoch / epochs, averaging=0.95, progress=False,
    )  # fmt: skip
    return energy


@pytest.mark.parametrize("objective", [ebm.ScoreMatching(), ebm.ExactLikelihood()], ids=["exact trace", "likelihood"])
def test_without_chance_the_answer_is_the_inverse_of_the_second_moments(objective: Any) -> None:
    data = draws(POINTS, 1)
    P = learned(objective, data, 1, 600, POINTS).precision()
    np.testing.assert_allclose(P, np.linalg.inv(data.T @ data / POINTS), rtol=0, atol=2e-4)
    # The second moments themselves are those of the truth to their own error, n P_ij having a Wishart's variance.
    deviation = np.sqrt((PRECISION**2 + np.outer(np.diag(PRECISION), np.diag(PRECISION))) / POINTS)
    assert (np.abs(P - PRECISION) < 6 * deviation).all()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_with_chance_the_answer_is_the_same_within_its_error(name: str) -> None:
    (objective, epochs), differences = OBJECTIVES[name], []
    for seed in range(REPLICAS):
        data = draws(POINTS, 100 + seed)
        moments = data.T @ data / POINTS + (SIGMA**2 * np.eye(5) if name == "denoising" else 0.0)
        P = learned(objective, data, seed, epochs).precision()
        differences.append((P - np.linalg.inv(moments))[UPPER])
    p = stats.ttest_1samp(differences, 0.0).pvalue
    assert (p > ALPHA / 15).all()
    # And near enough that a wrong answer would show: the smoothed precision differs from the true one by far more.
    assert np.abs(np.mean(differences, 0)).max() < 0.15


def test_noise_contrastive_estimation_learns_log_z_too() -> None:
    differences = []
    for seed in range(REPLICAS):
        energy = QuadraticEnergy(np.eye(5))
        history = ebm.fit(
            energy, draws(POINTS, seed), ebm.NoiseContrastive(ratio=4), epochs=300, batch_size=POINTS // 2,
            learning_rate=0.05, optimiser=ebm.Adam(), seed=seed, schedule=lambda epoch: 1.0 - epoch / 300,
            averaging=0.95, progress=False,
        )  # fmt: skip
        log_z = 2.5 * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(energy.precision())[1]
        differences.append(history["log_z"][-1] - log_z)
    assert mean_p(np.array(differences), 0.0) > ALPHA
    assert np.abs(differences).max() < 0.2  # from ln Z = 5/2 ln 2 pi = 4.6 at the start, where it was told to be 0
