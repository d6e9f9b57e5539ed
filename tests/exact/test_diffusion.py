"""Closed forms of diffusion models against autograd, quadrature, plain recursions and their limits."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.stats import norm

import ebm
from ebm.exact import best_epsilon, ddim_variance, ddpm_variance, diffused, ode_variance, sde_variance

LINEAR = np.cumprod(1.0 - np.linspace(1e-4, 0.02, 1000))
VARIANCES = (0.01, 0.25, 1.0, 4.0)
MIXTURE = ebm.GaussianMixture(
    [[-1.2, 0.0], [1.2, 0.6]], [[[0.5, 0.2], [0.2, 0.4]], [[0.3, -0.1], [-0.1, 0.6]]], [0.3, 0.7]
)


@pytest.mark.parametrize("abar", LINEAR[[0, 10, 200, 500, 999]])
def test_best_epsilon_of_a_mixture_is_autograd_s(abar: float) -> None:
    categories = torch.distributions.Categorical(torch.tensor(MIXTURE.weights))
    covariance = abar * torch.tensor(MIXTURE.covariances) + (1 - abar) * torch.eye(2, dtype=torch.float64)
    components = torch.distributions.MultivariateNormal(math.sqrt(abar) * torch.tensor(MIXTURE.means), covariance)
    law = torch.distributions.MixtureSameFamily(categories, components)
    x = torch.as_tensor(np.random.default_rng(1).normal(0.0, 2.0, (50, 2))).requires_grad_(True)
    (score,) = torch.autograd.grad(law.log_prob(x).sum(), x)
    found = best_epsilon(MIXTURE, x.detach().numpy(), abar)
    assert np.allclose(found, -math.sqrt(1 - abar) * score.numpy(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("abar", LINEAR[[100, 300, 800]])
def test_best_epsilon_is_the_mean_of_the_noise_given_the_point(abar: float) -> None:
    means, variances, weights = (-1.0, 0.5), (0.3, 0.1), (0.4, 0.6)
    energy = ebm.GaussianMixture([[m] for m in means], [[[v]] for v in variances], weights)
    y, x = np.linspace(-6.0, 6.0, 20_001), 0.7  # x_0 and x_t; sums over so fine a grid are exact
    epsilon = (x - math.sqrt(abar) * y) / math.sqrt(1 - abar)
    prior = sum(w * norm.pdf(y, m, math.sqrt(v)) for w, m, v in zip(weights, means, variances, strict=True))
    weight = prior * norm.pdf(epsilon)
    assert best_epsilon(energy, [[x]], abar)[0, 0] == pytest.approx(weight @ epsilon / weight.sum(), rel=1e-9)


def test_a_mixture_of_one_is_its_gaussian() -> None:
    covariance, x = [[1.0, 0.3], [0.3, 0.5]], np.random.default_rng(2).normal(size=(5, 2))
    one, many = ebm.Gaussian([1.0, -2.0], covariance), ebm.GaussianMixture([[1.0, -2.0]], covariance)
    assert np.allclose(best_epsilon(one, x, 0.3), best_epsilon(many, x, 0.3), rtol=1e-12)
    assert np.array_equal(diffused(one, 1.0).covariance, one.covariance)


# --- samplers on a Gaussian -------------------------------------------------------------------------------------------


def pushed(variance: float, abar: np.ndarray, sampler: Any) -> float:
    """The variance at the end by the law of total variance, with the map of each step measured at two points."""
    data, total = ebm.Gaussian([0.0], [[variance]]), 1.0
    for t in reversed(range(len(abar))):
        now, then = abar[t], abar[t - 1] if t else 1.0
        at = [sampler(x, float(best_epsilon(data, [[x]], now)[0, 0]), now, then)[0] for x in (0.0, 1.0)]
        total = (at[1] - at[0]) ** 2 * total + sampler(0.0, 0.0, now, then)[1]
    return total


def ancestral(tilde: bool) -> Any:
    """One step as the paper writes it: its mean, and the variance of its noise."""

    def step(x: float, epsilon: float, now: float, then: float) -> tuple[float, float]:
        beta = 1 - now / then
        noise = beta * (1 - then) / (1 - now) if tilde else beta
        return (x - beta / math.sqrt(1 - now) * epsilon) / math.sqrt(1 - beta), noise if then < 1 else 0.0

    return step


def implicit(eta: float) -> Any:
    def step(x: float, epsilon: float, now: float, then: float) -> tuple[float, float]:
        s = eta * math.sqrt((1 - then) / (1 - now)) * math.sqrt(1 - now / then)
        x0 = (x - math.sqrt(1 - now) * epsilon) / math.sqrt(now)
        return math.sqrt(then) * x0 + math.sqrt(1 - then - s**2) * epsilon, s**2

    return step


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("kept", (1, 3, 50))
def test_variances_follow_the_steps_as_the_papers_write_them(variance: float, kept: int) -> None:
    abar = LINEAR[np.round(np.linspace(0, 1000, kept + 1)[1:]).astype(int) - 1]
    for eta in (0.0, 0.4, 1.0):
        assert ddim_variance(variance, abar, eta) == pytest.approx(pushed(variance, abar, implicit(eta)), rel=1e-9)
    for name, tilde in (("beta", False), ("beta_tilde", True)):
        assert ddpm_variance(variance, abar, name) == pytest.approx(pushed(variance, abar, ancestral(tilde)), rel=1e-9)
    assert ddim_variance(variance, abar, 1.0) == pytest.approx(ddpm_variance(variance, abar, "beta_tilde"), rel=1e-12)


def test_reference_values() -> None:
    assert ddpm_variance(0.25, LINEAR) == pytest.approx(0.250752, abs=5e-7)
    assert ddim_variance(0.25, LINEAR) == pytest.approx(0.248498, abs=5e-7)


def test_ancestral_steps_are_exact_where_their_variance_is_right() -> None:
    # "beta" is the variance of x' given x for data ~ N(0, 1), at any number of steps; but the last has no noise.
    before = ddpm_variance(1.0, LINEAR[[400, 999]])
    assert before == pytest.approx(LINEAR[400], rel=1e-12)
    # "beta_tilde" is that for one point, whose variance it therefore finds.
    assert ddpm_variance(1e-12, LINEAR[[100, 400, 999]], "beta_tilde") == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("variance", VARIANCES)
def test_the_flow_s_variance_solves_its_equation(variance: float) -> None:
    def rate(time: float, log_scale: np.ndarray) -> list[float]:
        """d ln x / dt of dx/dt = -x/2 - score/2, abar = exp(-t)."""
        abar = math.exp(-time)
        return [-0.5 + 0.5 / (abar * variance + 1 - abar)]

    start, end = LINEAR[-1], LINEAR[0]
    path = solve_ivp(rate, (-math.log(start), -math.log(end)), [0.0], rtol=1e-11, atol=1e-13, max_step=0.05)
    exact = math.exp(2 * path.y[0, -1]) / end
    assert ode_variance(variance, start, end) == pytest.approx(exact, rel=1e-8)
    assert ode_variance(variance, 1e-14) == pytest.approx(variance, rel=1e-12)


@pytest.mark.parametrize("variance", VARIANCES)
def test_many_steps_give_the_law_of_the_equation_to_first_order(variance: float) -> None:
    first, last = -math.log(LINEAR[0]), -math.log(LINEAR[-1])
    flow, noisy = ode_variance(variance, LINEAR[-1]), variance + (1 - LINEAR[0]) / LINEAR[0]
    ddim, sde = [], []
    for steps in (8000, 16_000):
        even = np.arange(steps + 1) / steps
        ddim.append(ddim_variance(variance, np.exp(-last * even[1:] ** 2)) - flow)
        sde.append(sde_variance(variance, np.exp(-first - (last - first) * even**2)) - noisy)
    for coarse, fine in (ddim, sde):
        assert abs(fine) < 5e-3 * variance
        assert coarse / fine == pytest.approx(2.0, rel=0.05) or abs(coarse) < 1e-6


@pytest.mark.parametrize(
    ("call", "message"),
    (
        (lambda: ddpm_variance(0.0, LINEAR), r"variance must be positive, got 0\.0"),
        (lambda: ddpm_variance(1.0, LINEAR[::-1]), "alpha_bar must fall strictly, between 1 and 0"),
        (lambda: ddpm_variance(1.0, [1.0, 0.5]), "alpha_bar must fall strictly, between 1 and 0"),
        (lambda: ddpm_variance(1.0, LINEAR, "gamma"), 'posterior must be "beta" or "beta_tilde"'),  # type: ignore[arg-type]
        (lambda: ddim_variance(1.0, LINEAR, eta=1.5), r"eta must be from 0 to 1, got 1\.5"),
        (lambda: sde_variance(1.0, [0.5, math.nan]), "alpha_bar must fall strictly"),
        (lambda: ode_variance(1.0, 0.5, 0.2), r"end must be at least start = 0\.5, got 0\.2"),
        (lambda: best_epsilon(MIXTURE, [[0.0, 0.0]], 1.5), r"alpha_bar must be at most 1, got 1\.5"),
    ),
)
def test_errors_name_the_argument(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_only_what_stays_a_mixture_of_gaussians_is_diffused() -> None:
    with pytest.raises(TypeError, match="energy must be a Gaussian or a GaussianMixture, got DoubleWell"):
        diffused(ebm.DoubleWell(), 0.5)  # type: ignore[arg-type]
