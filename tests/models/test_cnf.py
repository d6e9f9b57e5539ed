"""Continuous flows against closed forms: linear fields, the flow of a Gaussian, Jacobians; densities add up to one."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from laws import ALPHA, chi_square_p, mean_p
from scipy import stats
from scipy.integrate import quad
from scipy.linalg import expm
from scipy.special import logsumexp

import models
import samplers
from models.flow_matching import matching_loss, optimal_partners
from models.ode import divergence, transport
from models.streams import seeded

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def bent(shape: tuple[int, ...] = (2,), **options: Any) -> models.CNF:
    """Return a flow whose weights are large enough to bend its law."""
    cnf = models.CNF(shape, **({"hidden": (16, 16), "frequencies": 1, "seed": 3} | options))
    with torch.no_grad():
        for p in cnf.velocity.parameters():
            p *= 1.7
    return cnf


def midpoints(half: float, count: int) -> tuple[np.ndarray, float]:
    """Return the midpoints (count^2, 2) of a square grid, and the area of a cell."""
    axis = half * (2 * (np.arange(count) + 0.5) / count - 1)
    return np.stack([a.ravel() for a in np.meshgrid(axis, axis, indexing="ij")], 1), (2 * half / count) ** 2


def test_a_linear_field_carries_noise_to_the_gaussian_of_its_closed_form() -> None:
    mean, width = np.array([1.0, -2.0, 0.5]), np.array([2.0, 0.4, 1.3])
    cnf = models.CNF((3,), hidden=(), frequencies=0, mean=mean, width=width, seed=0).double()
    layer, rng = cnf.velocity.network[0], np.random.default_rng(1)
    A, b, c = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)
    with torch.no_grad():
        layer.weight[:], layer.bias[:] = torch.tensor(np.c_[c, A]), torch.tensor(b)
    M = np.zeros((5, 5))  # of (y, t, 1)
    M[:3], M[3, 4] = np.c_[A, c, b], 1.0
    flow = expm(M)
    z = rng.normal(size=(50, 3))
    x = mean + width * (z @ flow[:3, :3].T + flow[:3, 4])
    assert np.allclose(cnf.from_noise(z), x, rtol=0, atol=1e-5) and np.allclose(cnf.to_noise(x), z, rtol=0, atol=1e-5)
    law = stats.multivariate_normal(
        mean + width * flow[:3, 4], np.outer(width, width) * (flow @ np.diag([1, 1, 1, 0, 0]) @ flow.T)[:3, :3]
    )
    assert np.allclose(cnf.log_prob(x), law.logpdf(x), rtol=0, atol=1e-6)
    assert np.allclose(cnf.as_energy()(x), -law.logpdf(x), rtol=0, atol=1e-5)
    drawn = law.logpdf(cnf.sample(4000, seed=5))  # -2 ln p is chi-square but for a constant
    assert stats.kstest(2 * (law.logpdf(law.mean) - drawn), stats.chi2(3).cdf).pvalue > ALPHA


def test_the_exact_trace_is_that_of_the_jacobian() -> None:
    velocity = bent((3,)).double().velocity
    y, t = torch.randn(5, 3, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    jacobians = [torch.autograd.functional.jacobian(lambda row: velocity(t, row[None])[0], row) for row in y]
    v, trace = divergence(velocity, t, y)
    assert torch.allclose(trace, torch.stack([J.trace() for J in jacobians]), rtol=1e-12, atol=1e-12)
    assert torch.equal(v, velocity(t, y))
    signs = torch.randint(0, 2, (5, 3)).double() * 2 - 1
    _, estimate = divergence(velocity, t, y, signs)
    assert torch.allclose(estimate, torch.stack([s @ J @ s for s, J in zip(signs, jacobians, strict=True)]), atol=1e-12)


def test_hutchinson_estimates_are_unbiased() -> None:
    exact, estimated = bent((4,)), bent((4,), trace="hutchinson")
    x = exact.sample(6, seed=1)
    found = np.array([estimated.log_prob(x, seed) for seed in range(64)])
    for row, value in zip(found.T, exact.log_prob(x), strict=True):
        assert row.std() > 1e-3 and mean_p(row, value) > ALPHA
    assert np.array_equal(found[0], estimated.log_prob(x, 0))


def test_the_density_integrates_to_one_and_is_that_of_the_samples() -> None:
    cnf = bent(mean=[0.5, 0.0], width=1.5, tolerance=1e-6)
    x, area = midpoints(9.0, 84)
    p = np.exp(cnf.log_prob(x)) * area
    assert abs(p.sum() - 1) < 1e-5
    edges = np.linspace(-9, 9, 29)  # three midpoints a bin
    counts = np.histogram2d(*cnf.sample(20_000, seed=4).T, bins=[edges, edges])[0]
    assert counts.sum() == 20_000
    assert chi_square_p(counts, p.reshape(28, 3, 28, 3).sum((1, 3))) > ALPHA


def test_the_maps_invert_each_other() -> None:
    cnf = bent((2, 3))
    z = np.random.default_rng(2).normal(size=(200, 2, 3))
    x = cnf.from_noise(z)
    assert x.shape == z.shape and np.abs(x - z).max() > 0.5
    assert np.allclose(cnf.to_noise(x), z, rtol=0, atol=1e-5)
    assert np.allclose(cnf.from_noise(cnf.to_noise(x)), x, rtol=0, atol=1e-5)


def test_the_energy_is_minus_log_p_and_chains_sample_it() -> None:
    cnf = bent()
    energy = cnf.as_energy()
    samplers.check(energy)
    x = cnf.sample(48, seed=1)
    assert np.allclose(energy(x), -cnf.log_prob(x), rtol=0, atol=1e-5)
    assert np.allclose(energy(x[:1]), energy(np.r_[x[:1], x[:1] + 50])[:1], rtol=0, atol=1e-12)  # none sees another
    quick = cnf.as_energy(tolerance=1e-3)
    mala = samplers.MALA(0.3, target_acceptance=None)  # from exact draws
    chains = samplers.sample(quick, mala, chains=48, draws=10, warmup=0, init=x, seed=1, progress=False)
    grid, _ = midpoints(7.0, 80)
    u = quick(grid)
    assert mean_p(chains.energy.mean(1), np.exp(-u - logsumexp(-u)) @ u) > ALPHA


def test_flow_matching_of_a_gaussian() -> None:
    m, s = 1.5, 0.6

    def best(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:  # <x - z | y_t = y> for x ~ N(m, s^2)
        t = t.to(y.dtype).reshape(-1, 1)
        return m + (t * s**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * s**2) * (y - t * m)

    z = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    assert torch.allclose(transport(best, z, 0.0, 1.0, 1e-9), m + s * z, rtol=0, atol=1e-6)
    # What no field can explain is the variance of x - z given y_t.
    left = quad(lambda t: s**2 + 1 - (t * s**2 - (1 - t)) ** 2 / ((1 - t) ** 2 + t**2 * s**2), 0, 1)[0]
    rng, losses = np.random.default_rng(3), []
    for seed in range(64):
        with seeded(seed):
            losses.append(matching_loss(best, torch.tensor(rng.normal(m, s, (1000, 1))), "independent").item())
    assert mean_p(np.array(losses), left) > ALPHA


def test_optimal_partners_are_the_best_permutation() -> None:
    z, x = torch.randn(6, 2), torch.randn(6, 2)
    found = (z - x[optimal_partners(z, x)]).square().sum()
    best = min((z - x[list(order)]).square().sum() for order in itertools.permutations(range(6)))
    assert found <= best * (1 + 1e-6)


def test_the_gradient_of_the_likelihood_is_that_of_finite_differences() -> None:
    cnf = bent(objective="likelihood").double()
    x = torch.tensor(cnf.sample(20, seed=1))
    cnf.loss(x).backward()
    rng = np.random.default_rng(0)
    for parameter in cnf.velocity.parameters():
        direction = torch.tensor(rng.normal(size=tuple(parameter.shape)))
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * 1e-3 * direction
                sides.append(-cnf.log_prob(x).mean())
                parameter -= sign * 1e-3 * direction
        slope = (parameter.grad * direction).sum().item()
        # The loss is solved to a tolerance of 1e-4 only, as in training.
        assert slope == pytest.approx((sides[0] - sides[1]) / 2e-3, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        ({"objective": "flow_matching"}, 30),
        ({"objective": "flow_matching", "coupling": "independent"}, 30),
        ({"objective": "likelihood"}, 6),
        ({"objective": "likelihood", "trace": "hutchinson"}, 6),
    ],
)
def test_every_objective_learns_a_correlated_gaussian(options: dict[str, Any], epochs: int) -> None:
    law = stats.multivariate_normal([1, 2], [[1.0, 0.9], [0.9, 1.0]])
    x = law.rvs(1000, random_state=1)
    cnf = models.CNF((2,), hidden=(32,), frequencies=0, mean=[1, 2], seed=1, **options)
    models.fit(
        cnf, x, epochs=epochs, batch_size=100, learning_rate=0.02, schedule=lambda t: 1 - t / epochs, seed=2,
        progress=False,
    )  # fmt: skip
    fresh = law.rvs(2000, random_state=2)
    gap = law.logpdf(fresh) - cnf.log_prob(fresh)  # 0.83 for independent coordinates
    assert stats.ttest_1samp(gap, 0.1, alternative="greater").pvalue > ALPHA
    if "trace" not in options:  # in evaluation the loss is -ln p, whatever the objective
        loss = cnf.loss(torch.as_tensor(x[:200], dtype=torch.float32)).item()
        assert loss == pytest.approx(-cnf.log_prob(x[:200]).mean(), abs=1e-3)


def test_runs_and_samples_follow_from_the_seed_and_a_file_gives_the_model_back(tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(50, 2))
    torch.manual_seed(1)
    before, found = torch.get_rng_state(), []
    for _ in range(2):
        cnf = models.CNF((2,), hidden=(8,), mean=x.mean(0), width=x.std(0), seed=1)
        models.fit(cnf, x, epochs=2, batch_size=20, seed=2, progress=False)
        found.append(cnf.sample(5, seed=3))
    assert np.array_equal(found[0], found[1]) and torch.equal(before, torch.get_rng_state())
    assert not np.array_equal(cnf.sample(5, seed=4), found[0])
    cnf.save(tmp_path / "cnf.pt")
    again = models.load(tmp_path / "cnf.pt")
    assert again.settings == cnf.settings
    assert np.array_equal(again.sample(5, seed=3), found[0]) and np.array_equal(again.log_prob(x), cnf.log_prob(x))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((3, 4)), r"must be configurations of shape \(n, 2\), got \(4,\)"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), "must be finite, got NaN or infinity in row 1"),
        ((np.zeros((3, 2)), np.zeros(3)), "data must be configurations"),
    ],
)
def test_data_that_do_not_fit_are_refused(data: Any, message: str) -> None:
    cnf = models.CNF((2,), hidden=(4,), seed=1)
    with pytest.raises(ValueError, match=message):
        models.fit(cnf, data, epochs=1, seed=1)
    if not isinstance(data, tuple):
        for function in (cnf.log_prob, cnf.to_noise, cnf.from_noise):
            with pytest.raises(ValueError, match=message):
                function(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "score"}, "objective must be 'flow_matching' or 'likelihood', got 'score'"),
        ({"trace": "both"}, "trace must be"),
        ({"coupling": "none"}, "coupling must be"),
        ({"hidden": (0,)}, "hidden must be"),
        ({"frequencies": -1}, "frequencies must be"),
        ({"tolerance": 0.0}, "tolerance must be"),
        ({"width": [1.0, 0.0]}, "width must be positive, got 0"),
        ({"mean": np.nan}, "mean must be finite"),
        ({"mean": [0.0, 0.0, 0.0]}, r"mean must have shape \(2\), got \(3,\)"),
    ],
)
def test_errors_name_the_argument(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.CNF((2,), **changes)


def test_a_field_that_cannot_be_solved_is_told() -> None:
    with pytest.raises(ArithmeticError, match="could not be solved to a tolerance of 1e-08"):
        transport(lambda t, y: y**2, torch.full((1, 1), 2.0, dtype=torch.float64), 0.0, 1.0, 1e-8)
