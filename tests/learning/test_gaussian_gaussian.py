"""The fixed point of persistent chains is maximum likelihood: a machine of Gaussian units, where that is known.

    E(v, h) = |v - b|^2 / 2 s^2 + |h|^2 / 2 - (v - b) W h / s^2,        v (d,) and h (q,) real

Summed over h, v is normal with the precision matrix 1 / s^2 - W W^T / s^4. The likelihood is highest at b = mean and,
as in probabilistic principal components (Tipping and Bishop 1999; for this machine Karakida, Okada, Amari 2016), at

    W W^T = sum of the q leading eigenpairs (l, u) of the data's covariance, l > s^2, of  s^2 (1 - s^2 / l) u u^T
"""

import numpy as np
import pytest
from laws import ALPHA, mean_p
from scipy import stats

from ebm.contrastive import PersistentCD
from ebm.learning import fit
from samplers import MALA, random

S = 0.8  # the width, not learned


class GaussianGaussian:
    """A user's own energy: what `fit` and the samplers ask for, and nothing else."""

    domain = "real"

    def __init__(self, W: np.ndarray, b: np.ndarray) -> None:
        self.W, self.b, self.shape = np.array(W, float), np.array(b, float), (len(b),)

    def precision(self) -> np.ndarray:
        return np.eye(len(self.b)) / S**2 - self.W @ self.W.T / S**4

    def __call__(self, x: np.ndarray) -> np.ndarray:
        y = x - self.b
        return 0.5 * np.einsum("ni,ij,nj->n", y, self.precision(), y)

    def grad(self, x: np.ndarray) -> np.ndarray:
        return (x - self.b) @ self.precision()

    def learnable(self) -> dict[str, np.ndarray]:
        return {"W": self.W, "b": self.b}

    def parameter_gradient(self, x: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        y = x - self.b
        moment = (y.T * weights) @ y
        return {"W": -moment @ self.W / S**4, "b": -(weights @ y) @ self.precision()}


class Layered(GaussianGaussian):
    """The same with its two layers drawn in turn: h ~ N(W^T (v - b) / s^2, 1), v ~ N(b + W h, s^2), at beta = 1."""

    def block_gibbs(self, x: np.ndarray, beta: np.ndarray, streams: np.ndarray, sweeps: int) -> None:
        assert (beta == 1).all()
        rng = np.random.default_rng(streams[0])
        streams[:] = rng.integers(0, 2**63, streams.shape)
        for _ in range(sweeps):
            h = (x - self.b) @ self.W / S**2 + rng.standard_normal((len(x), self.W.shape[1]))
            x[:] = self.b + h @ self.W.T + S * rng.standard_normal(x.shape)


def data(n: int = 400) -> np.ndarray:
    rng, turn = np.random.default_rng(1), stats.ortho_group.rvs(3, random_state=2)
    return rng.standard_normal((n, 3)) @ np.diag([1.5, 1.1, 0.5]) @ turn + [0.5, 0.0, -0.5]


def best(x: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray]:
    """W W^T and b of the highest likelihood."""
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    leading = slice(len(values) - q, None)
    return (vectors[:, leading] * S**2 * (1 - S**2 / values[leading])) @ vectors[:, leading].T, x.mean(0)


def start(kind: type, q: int) -> GaussianGaussian:
    return kind(0.1 * np.random.default_rng(3).standard_normal((3, q)), np.zeros(3))


def test_the_gradient_is_the_derivative():
    energy, x, step = start(GaussianGaussian, 2), data(5), 1e-6
    weights = np.random.default_rng(4).standard_normal(5)
    gradient = energy.parameter_gradient(x, weights)
    for name, array in energy.learnable().items():
        for index in np.ndindex(array.shape):
            value, sides = array[index], []
            for shift in (step, -step):
                array[index] = value + shift
                sides.append(weights @ energy(x))
            array[index] = value
            assert gradient[name][index] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-6, abs=1e-7)


def test_block_gibbs_keeps_its_exact_law():
    energy = start(Layered, 2)
    covariance = np.linalg.inv(energy.precision())
    x = np.random.default_rng(5).multivariate_normal(energy.b, covariance, 20_000)
    energy.block_gibbs(x, np.ones(len(x)), random.make_streams(6, len(x)), 3)
    white = (x - energy.b) @ np.linalg.cholesky(energy.precision())
    assert min(stats.kstest(white[:, i], "norm").pvalue for i in range(3)) > ALPHA / 6
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert mean_p(white[:, i] * white[:, j], 0.0) > ALPHA / 6


@pytest.mark.parametrize(
    ("kind", "q", "k", "sampler"),
    [
        (Layered, 1, 2, None),
        (Layered, 2, 2, None),
        pytest.param(GaussianGaussian, 1, 8, MALA(0.4, target_acceptance=None), marks=pytest.mark.slow),
    ],
)
def test_the_fixed_point_of_persistent_chains_is_maximum_likelihood(kind, q, k, sampler):
    x = data()
    square, mean = best(x, q)
    need, replicas = np.concatenate([square[np.triu_indices(3)], mean]), []
    for replica in range(16):
        energy = start(kind, q)
        fit(
            energy, x, PersistentCD(k, 400, sampler), epochs=200, batch_size=len(x), learning_rate=0.1, seed=replica,
            schedule=lambda epoch: min(1.0, 2 - epoch / 100), progress=False,
        )  # fmt: skip
        replicas.append(np.concatenate([(energy.W @ energy.W.T)[np.triu_indices(3)], energy.b]))
    replicas = np.array(replicas)
    assert (replicas.std(0, ddof=1) / 4 < 0.005).all()
    assert min(mean_p(replicas[:, i], need[i]) for i in range(9)) > ALPHA / 9
