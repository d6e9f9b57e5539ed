"""What is not to be trusted says so, and what is says nothing; likelihoods carry all of their error."""

import numpy as np
import pytest
from scipy import stats

import ebm
import samplers
from ebm.bracket import LogZ, bracket_complaints
from ebm.likelihood import log_likelihood
from ebm.partition import log_z

DETAILS = {"lower_error": 0.01, "upper_error": 0.01}


LADDER = samplers.sample(
    ebm.Ising(6), samplers.ParallelTempering(samplers.Gibbs(), (0.0, 1.0)), draws=3, warmup=0, seed=1, progress=False
)


def result(value=1.0, error=0.01, lower=0.99, upper=1.01):
    return LogZ(value, error, lower, upper, "ais", DETAILS)


def test_an_honest_bracket_has_no_complaint():
    assert bracket_complaints(result(), "take more steps") == []
    assert bracket_complaints(result(lower=1.02), "take more steps") == []  # inside out, but within the errors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lower": 1.2}, "the bracket is inside out"),
        ({"value": 1.3, "upper": 1.1}, "disagree"),
        ({"value": 0.7}, "disagree"),
        ({"lower": -1.5}, "2.51 nats wide"),
    ],
)
def test_what_is_wrong_with_a_bracket_is_said(change, message):
    complaints = " ".join(bracket_complaints(result(**change), "take more steps"))
    assert message in complaints and "take more steps" in complaints


def test_the_printed_form_warns():
    text = str(result()._replace(complaints=("too short",)))
    assert text.splitlines() == [
        "ln Z = 1 ± 0.01 nats, between 0.99 and 1.01 (ais)", "  not to be trusted: too short",
    ]  # fmt: skip
    assert "not to be trusted" not in str(result())


def test_a_ladder_without_overlap_is_reported():
    with pytest.warns(ebm.LogZWarning) as caught:
        found = log_z(ebm.Ising((16, 16)), "bar", rungs=2, draws=300, chains=4, warmup=20, seed=1, progress=False)
    messages = " ".join(str(warning.message) for warning in caught)
    assert "never swapped" in messages and "take more rungs" in messages
    assert all(text in messages for text in found.complaints)


def test_chains_that_are_too_short_are_reported():
    with pytest.warns(ebm.LogZWarning) as caught:
        log_z(ebm.Ising(10), "mbar", 0.5, rungs=4, draws=5, chains=2, warmup=20, seed=1, progress=False)
    assert any("the chains are short" in str(warning.message) for warning in caught)


def test_a_good_ladder_is_not_complained_of():
    log_z(ebm.Ising(10), "ti", 0.5, rungs=6, draws=600, seed=1, progress=False)  # warnings are errors here


def test_likelihoods_have_the_error_of_the_data_and_of_log_z():
    energy = ebm.Gaussian([0.0, 0.0], [[2.0, 0.5], [0.5, 1.0]])
    x = energy.sample(400, seed=1)
    truth = -0.5 * np.log((2 * np.pi) ** 2 * 1.75) - 1.0  # minus the entropy
    given = log_z(energy)._replace(error=0.03, lower=energy.log_z() - 0.2, upper=energy.log_z() + 0.1)
    found = log_likelihood(energy, x, given)
    assert found.error == pytest.approx(np.hypot(found.data_error, 0.03))
    assert found.data_error == pytest.approx(energy(x).std(ddof=1) / 20)
    assert abs(found.value - truth) < stats.norm.isf(1e-6) * found.data_error
    assert (found.lower, found.upper) == pytest.approx((found.value - 0.1, found.value + 0.2))
    number = log_likelihood(energy, x, energy.log_z())
    assert number.error == number.data_error and number.lower == number.upper == number.value
    assert "nats, between" in str(found)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"rungs": 1}, ValueError, "rungs must be at least 2, got 1"),
        ({"rungs": [0.1, 1.0]}, ValueError, "rungs must be a positive integer or rise from 0 to 1"),
        ({"chains": 1}, ValueError, "chains must be at least 2"),
        ({"seed": -1}, ValueError, "seed must be a non-negative integer, got -1"),
        ({"starts": np.ones((9, 4))}, ValueError, "starts is for method 'ais', got it with 'mbar'"),
        ({"steps": 1000}, ValueError, "steps is for method 'ais', got it with 'mbar'"),  # and be it the default
        ({"method": "ais", "rungs": 5}, ValueError, "rungs is for method 'ti' or 'bar' or 'mbar', got it with 'ais'"),
        ({"method": "ais", "draws": 5}, ValueError, "draws is for method 'ti' or 'bar' or 'mbar', got it with 'ais'"),
        ({"method": "exact", "chains": 4}, ValueError, "chains is for method 'ais' or 'ti' or 'bar' or 'mbar', got it"),
        ({"run": LADDER, "draws": 5}, ValueError, "draws is for a new run, got it with a run to be read"),
        ({"sampler": samplers.Metropolis()}, ValueError, "betas must be positive for Metropolis"),
        ({"run": "run"}, ValueError, "run must be chains of ParallelTempering"),
        ({"run": LADDER}, ValueError, "run must be of this energy, got one of Ising"),
        ({"base": ebm.Ising(4)}, ValueError, "base is for continuous energies"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    with pytest.raises(error, match=message):
        log_z(ebm.Ising(4), **{"method": "mbar", "progress": False, **change})
