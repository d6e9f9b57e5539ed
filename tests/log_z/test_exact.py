"""log_z "exact": every closed form against the sum or integral it stands for."""

import math

import numpy as np
import pytest
from scipy import integrate

import ebm
from ebm import exact
from ebm.known_log_z import known_log_z
from ebm.partition import log_z

BETAS = (0.4, 1.0, 1.7)
DISCRETE = {
    "ring in a field": (ebm.Ising(7, coupling=0.8, field=0.3), "closed form"),
    "ring of two": (ebm.Ising(2, field=-0.4), "closed form"),
    "torus": (ebm.Ising((4, 4), coupling=0.7), "closed form"),
    "torus in a field": (ebm.Ising((3, 3), field=0.2), "enumeration"),
    "antiferromagnetic ring": (ebm.Ising(7, coupling=-0.8), "enumeration"),
    "curie-weiss": (ebm.CurieWeiss(9, field=0.2), "closed form"),
    "a multiple": (0.6 * ebm.CurieWeiss(9), "closed form"),
    "potts": (ebm.Potts((2, 3), 3), "enumeration"),
    "rbm": (ebm.RBM(5, 3, W=np.random.default_rng(1).normal(size=(5, 3)), b=[0.1] * 5), "closed form"),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_energies_agree_with_the_sum_over_all_states(name):
    energy, how = DISCRETE[name]
    for beta in BETAS:
        known = known_log_z(energy, beta)
        assert known.how == how
        assert known.value == pytest.approx(exact.enumerate(energy, beta).log_z, rel=1e-12)


def test_the_multiple_of_an_rbm_is_not_the_rbm_at_another_temperature():
    half = 0.5 * DISCRETE["rbm"][0]
    known = known_log_z(half, 1.0)
    assert known.how == "enumeration"
    assert known.value == pytest.approx(exact.enumerate(half, 1.0).log_z, rel=1e-12)
    assert abs(known.value - known_log_z(DISCRETE["rbm"][0], 0.5).value) > 0.01


def integral(energy, beta, box):
    """An independent integration, by scipy's adaptive rules."""

    def density(*x):
        return float(np.exp(-energy.reduced(np.array([x[::-1]]), beta)[0]))

    return math.log(integrate.nquad(density, box[::-1], opts={"limit": 200})[0])


@pytest.mark.parametrize("beta", BETAS)
def test_continuous_energies_agree_with_integrals(beta):
    well = ebm.DoubleWell(3, barrier=1.5, minimum=1.2, stiffness=2.0)
    springs = math.log(2 * math.pi / (2.0 * beta))
    first = integral(ebm.DoubleWell(1, 1.5, 1.2), beta, [(-6, 6)])
    assert known_log_z(well, beta).value == pytest.approx(first + springs, abs=1e-9)
    mixture = ebm.GaussianMixture([[-60.0], [55.0]], [[[1.0]], [[4.0]]])
    # Far apart, the modes of a mixture to a power are those of its parts.
    parts = [
        beta * math.log(0.5) - beta * math.log(s) - 0.5 * beta * math.log(2 * math.pi)
        + 0.5 * math.log(2 * math.pi * s**2 / beta)
        for s in (1.0, 2.0)
    ]  # fmt: skip
    found = known_log_z(mixture, beta)
    assert found.value == pytest.approx(np.logaddexp(*parts), abs=1e-9)
    assert found.how == ("closed form" if beta == 1.0 else "quadrature")


def test_quadrature_finds_masses_that_are_far_narrow_or_bent():
    for centre, width in ((0.0, 1e-3), (3e3, 1.0), (-0.02, 1e4)):
        energy = ebm.TorchEnergy(lambda x, c=centre, w=width: ((x - c) ** 2).sum(1) / (2 * w**2), shape=(1,))
        assert known_log_z(energy, 1.0).value == pytest.approx(0.5 * math.log(2 * math.pi) + math.log(width), abs=1e-9)
    banana = ebm.Rosenbrock(2, b=5.0)  # Z = pi / (beta sqrt(b)), the second coordinate being normal given the first
    assert known_log_z(banana, 0.7).value == pytest.approx(math.log(math.pi / (0.7 * math.sqrt(5.0))), abs=1e-7)


def test_angles_are_integrated_over_the_circle():
    from scipy.special import i0

    energy = ebm.XY((2,), coupling=0.6)  # a double bond
    truth = 2 * math.log(2 * math.pi) + math.log(i0(1.3 * 2 * 0.6))
    assert known_log_z(energy, 1.3).value == pytest.approx(truth, abs=1e-10)


def test_what_cannot_be_had_is_said():
    with pytest.raises(TypeError, match="at most two coordinates"):
        log_z(ebm.Rosenbrock(3))
    flat = ebm.TorchEnergy(lambda x: 0.0 * x.sum(1), shape=(1,))
    with pytest.raises(ValueError, match="energy must be confined"):
        log_z(flat)


def test_exact_results_carry_the_error_of_the_quadrature():
    result = log_z(ebm.MullerBrown(0.02))
    assert 0 < result.error <= 1e-4 and result.upper - result.lower == pytest.approx(2 * result.error)
    assert log_z(ebm.Gaussian([0.0], [[1.0]])).error == 0.0
