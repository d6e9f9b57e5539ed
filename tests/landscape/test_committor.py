"""The committor: against its closed form where one coordinate separates, rates against the Fokker-Planck operator."""

import numpy as np
import pytest
from scipy.integrate import cumulative_simpson, quad

import ebm
from ebm import exact
from ebm.landscape import committor, disc

BOX, BETA = [(-1.6, 1.6), (-1.5, 1.5)], 2.0


def tilted() -> ebm.Energy:
    """A double well with unequal wells along x, a spring along y: q depends on x alone."""
    import torch

    return ebm.TorchEnergy(
        lambda x: (x[:, 0] ** 2 - 1) ** 2 + 0.3 * torch.sin(2 * x[:, 0]) + 1.5 * x[:, 1] ** 2, shape=(2,)
    )


def left(x: np.ndarray) -> np.ndarray:
    return x[:, 0] <= -1.0 + 1e-9


def right(x: np.ndarray) -> np.ndarray:
    return x[:, 0] >= 0.8 - 1e-9


def closed_form(x: np.ndarray) -> np.ndarray:
    """q(x) = int_a^x exp(beta U) / int_a^b exp(beta U), between a = -1 and b = 0.8."""
    grid = np.linspace(-1.0, 0.8, 4001)
    integral = cumulative_simpson(np.exp(BETA * ((grid**2 - 1) ** 2 + 0.3 * np.sin(2 * grid))), x=grid, initial=0.0)
    return np.interp(np.clip(x, -1.0, 0.8), grid, integral / integral[-1])


def test_the_committor_of_a_separable_energy_is_its_closed_form_to_second_order() -> None:
    errors = []
    for n in (33, 65):
        found = committor(tilted(), BOX, left, right, beta=BETA, n=(n, 21))
        x = found.surface.axes[0]
        assert np.ptp(found.q, axis=1).max() < 1e-10  # no y in it
        errors.append(np.abs(found.q[:, 0] - closed_form(x)).max())
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(4.0, abs=0.6)


def test_the_rate_is_that_of_the_separable_case() -> None:
    found = committor(tilted(), BOX, left, right, beta=BETA, n=(129, 21))

    def u(x: float) -> float:
        return (x**2 - 1) ** 2 + 0.3 * np.sin(2 * x)

    z = quad(lambda x: np.exp(-BETA * u(x)), *BOX[0])[0]
    resistance = quad(lambda x: np.exp(BETA * u(x)), -1.0, 0.8)[0]
    assert found.rate == pytest.approx(1.0 / (BETA * z * resistance), rel=2e-3)


def test_the_rate_of_a_high_barrier_is_half_of_the_first_eigenvalue() -> None:
    well, beta = ebm.DoubleWell(2, stiffness=4.0), 6.0
    found = committor(well, [(-1.7, 1.7), (-1.5, 1.5)], disc([-1, 0], 0.3), disc([1, 0], 0.3), beta=beta, n=(121, 61))
    # nu counts transitions of a particle that is in either well: half of the rate from one well.
    rate = exact.fokker_planck_rate(ebm.DoubleWell(), (-2.5, 2.5), beta)
    assert 2.0 * found.rate == pytest.approx(rate, rel=0.02)


def test_exchanging_a_and_b_exchanges_q() -> None:
    E, a, b = ebm.MullerBrown(0.1), disc([-0.558, 1.442], 0.2), disc([0.623, 0.028], 0.2)
    box = [(-1.5, 1.2), (-0.2, 2.0)]
    forth, back = (committor(E, box, *ends, n=(41, 37)) for ends in ((a, b), (b, a)))
    np.testing.assert_allclose(forth.q + back.q, 1.0, atol=1e-9)
    assert forth.rate == pytest.approx(back.rate, rel=1e-9)


def test_walls_are_mirrors() -> None:
    whole = committor(tilted(), [BOX[0], (-1.5, 1.5)], left, right, beta=BETA, n=(33, 41))
    half = committor(tilted(), [BOX[0], (0.0, 1.5)], left, right, beta=BETA, n=(33, 21))
    np.testing.assert_allclose(half.q, whole.q[:, 20:], atol=1e-10)
    assert half.rate == pytest.approx(whole.rate, rel=1e-9)


def test_wrong_arguments_of_committors_are_named() -> None:
    E = ebm.MullerBrown()
    with pytest.raises(ValueError, match="a must hold at least one point of the grid, got none"):
        committor(E, BOX, disc([50.0, 0.0], 1.0), right, n=11)
    with pytest.raises(ValueError, match="a and b must be apart, got the point"):
        committor(E, BOX, left, lambda x: ~right(x), n=11)
    with pytest.raises(ValueError, match=r"box must be two pairs \(low, high\), got 1"):
        committor(ebm.DoubleWell(), BOX[:1], left, right, n=11)
    with pytest.raises(ValueError, match="beta must be positive, got 0"):
        committor(E, BOX, left, right, beta=0)
    with pytest.raises(ValueError, match=r"a must return one boolean a point, shape \(121,\), got \(\)"):
        committor(E, BOX, lambda x: True, right, n=11)
