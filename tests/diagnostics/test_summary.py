"""The summary: right on series of known answer, the same in every unit, and never pleased by what is broken."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from samplers.diagnosis import UNKNOWN, Row, diagnose
from samplers.rungs import Tempering
from samplers.summary import summary
from samplers.verdict import worst_coordinates

ALPHA = 1e-6
Make = Callable[..., Any]


@pytest.mark.parametrize("r", [-0.5, 0.0, 0.5, 0.9])
def test_effective_sample_size_and_mcse_match_ar1(ar1: Make, r: float) -> None:
    """N / ESS = N (MCSE/sd)^2 = (1+r)/(1-r): t-test over replicas at alpha = 1e-6, ArviZ may have a bias of 3 %."""
    rng = np.random.default_rng(round(10 * r) + 60)
    exact = (1.0 + r) / (1.0 - r)
    rows = [diagnose(ar1(r, (4, 5000), rng)) for _ in range(40)]
    for tau in ([20000 / row.ess_bulk for row in rows], [20000 * (row.mcse / row.sd) ** 2 for row in rows]):
        noise = stats.t.isf(ALPHA / 2, len(rows) - 1) * np.std(tau, ddof=1) / np.sqrt(len(rows))
        assert abs(np.mean(tau) - exact) < noise + 0.03 * exact
    assert max(row.r_hat for row in rows) < 1.02


def test_a_row_is_what_arviz_says(ar1: Make) -> None:
    array_stats = pytest.importorskip("arviz_stats.base").array_stats
    x = 5.0 + 3.0 * ar1(0.7, (4, 1000), np.random.default_rng(0))
    row = diagnose(x)
    assert row.mean == pytest.approx(x.mean(), rel=1e-12)
    assert row.sd == pytest.approx(x.std(ddof=1), rel=1e-12)
    assert row.mcse == pytest.approx(array_stats.mcse(x), rel=1e-9)
    assert row.ess_bulk == pytest.approx(array_stats.ess(x), rel=1e-9)
    assert row.ess_tail == pytest.approx(array_stats.ess(x, method="tail", prob=0.95), rel=1e-9)
    assert row.r_hat == pytest.approx(array_stats.rhat(x), rel=1e-9)


@pytest.mark.parametrize("unit", [1e-300, 1e-20, 1e20, 1e300])
def test_a_row_does_not_depend_on_the_unit(ar1: Make, unit: float) -> None:
    """ArviZ itself calls a range below 1e-15 constant, and its MCSE then perfect."""
    x = ar1(0.9, (4, 1000), np.random.default_rng(1))
    row, scaled = diagnose(x), diagnose(unit * x)
    for field in ("mean", "sd", "mcse"):
        assert getattr(scaled, field) / unit == pytest.approx(getattr(row, field), rel=1e-9)
    assert scaled[3:] == pytest.approx(row[3:], rel=1e-9)


def test_a_constant_is_not_perfect() -> None:
    row = diagnose(np.full((4, 100), 0.3))
    assert (row.mean, row.sd, row.frozen_chains) == (0.3, 0.0, 4)
    assert np.isnan([row.mcse, row.tau, row.tau_error, row.ess_bulk, row.ess_tail, row.r_hat]).all()


def test_chains_stuck_at_different_constants_have_infinite_r_hat() -> None:
    row = diagnose(np.repeat(0.1 * np.arange(4.0), 100).reshape(4, 100))
    assert row.r_hat == np.inf and row.frozen_chains == 4 and row.tau_error == np.inf


def test_a_variable_mostly_at_one_value_has_no_perfect_tail() -> None:
    """98 per cent ones, in long stretches: "x <= 95 per cent quantile" is always true, which ArviZ calls perfect."""
    spins = np.ones((4, 1000), dtype=np.int8)
    spins[:, 300:320] = -1
    assert diagnose(spins).ess_tail < 400


def test_values_that_are_not_finite_give_nan() -> None:
    row = diagnose([[1.0, np.inf, 2.0, 4.0]])
    assert np.isnan(row[:8]).all()


def test_good_chains_are_called_good(ar1: Make, make_chains: Make) -> None:
    rng = np.random.default_rng(3)
    chains = make_chains(
        energy=-1e6 + ar1(0.5, (4, 4000), rng), x=ar1(0.3, (4, 4000, 2), rng), m=1e-20 * ar1(-0.5, (4, 4000), rng)
    )
    result = summary(chains)
    assert list(result.rows) == ["energy", "m", "x[0]", "x[1]"]
    assert result.trustworthy and result.problems == () and result.verdict.startswith("good: R-hat at most 1.00")
    assert (result.chains, result.draws) == (4, 4000)
    np.testing.assert_allclose(result.acceptance, 0.7)
    assert isinstance(result.rows["energy"], Row)
    assert 2.0 < result.rows["energy"].tau < 4.0 and 0.25 < result.rows["m"].tau < 0.45


def test_the_table_is_aligned_and_complete(ar1: Make, make_chains: Make) -> None:
    energy = -1e6 + ar1(0.5, (4, 1000), np.random.default_rng(3))
    text = str(summary(make_chains(energy=energy, a_long_name=np.zeros((4, 1000)))))
    lines = text.splitlines()
    assert lines[0] == "4 chains of 1,000 draws"
    header, first, second = lines[2:5]
    assert header.split() == ["mean", "sd", "MCSE", "tau", "(draws)", "ESS", "bulk", "ESS", "tail", "R-hat"]
    assert len(header) == len(first) == len(second)
    assert first.startswith("energy       -1000000.0") or first.startswith("energy       -999999.9")
    assert second.split() == ["a_long_name", "0", "0", "-", "-", "-", "-", "-"]
    assert "acceptance: 0.700  0.700  0.700  0.700  (by chain)" in lines
    assert "verdict: do not trust these chains yet" in lines


def test_a_short_run_says_how_many_draws_to_run(ar1: Make, make_chains: Make) -> None:
    """And that many draws are then enough: the same process, as long as it was told, is called good."""
    short = summary(make_chains(energy=ar1(0.95, (4, 500), np.random.default_rng(5))))
    assert not short.trustworthy
    problem = short.problems[0]
    assert problem.startswith("too short to trust: 500 draws are only") and "autocorrelation times of energy" in problem
    needed = int(problem.split("run at least ")[1].split(" ")[0].replace(",", ""))
    assert 2000 < needed < 20000
    assert summary(make_chains(energy=ar1(0.95, (4, 2 * needed), np.random.default_rng(6)))).trustworthy


def _shifted(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(4, 2000)) + np.array([[0.0], [0.0], [0.0], [1.0]])


def _one_frozen(rng: np.random.Generator) -> np.ndarray:
    x = rng.normal(size=(4, 2000))
    x[2] = 0.1
    return x


@pytest.mark.parametrize(
    ("energy", "words"),
    [
        (lambda rng: np.zeros((4, 500)), "energy never changed in 2,000 draws"),
        (lambda rng: np.full((4, 500), 1e-17) * np.arange(4.0)[:, None], "energy never changed in 4 of 4 chains"),
        (_one_frozen, "energy never changed in 1 of 4 chains"),
        (_shifted, r"the chains disagree about energy (R-hat 1."),
        (lambda rng: rng.normal(size=(1, 2000)), "one chain only, so R-hat is not defined"),
        (lambda rng: np.tile([1.0, -1.0], (4, 500)), "energy oscillates"),
        (lambda rng: rng.normal(size=(4, 100)).cumsum(axis=1), "too short to trust, and even to measure"),
        (lambda rng: rng.normal(size=(4, 3)), "too short to say anything: 3 draws"),
        (lambda rng: rng.normal(size=(4, 1)), "too short to say anything: 1 draws"),
        (lambda rng: np.where(rng.random((4, 500)) < 0.01, np.nan, 1.0), "energy: some values are nan or infinite"),
        (lambda rng: 1e-18 * rng.normal(size=(4, 60)), "too short to trust: 60 draws"),
    ],
)
def test_each_kind_of_trouble_is_named(
    make_chains: Make, energy: Callable[[np.random.Generator], np.ndarray], words: str
) -> None:
    result = summary(make_chains(energy=energy(np.random.default_rng(0))))
    assert not result.trustworthy
    assert any(words in problem for problem in result.problems), result.verdict
    assert words in str(result)


def test_a_chain_that_accepts_nothing_is_named(make_chains: Make) -> None:
    acceptance = np.full((4, 1000), 0.5)
    acceptance[1] = 0.0
    result = summary(make_chains(energy=np.random.default_rng(0).normal(size=(4, 1000)), acceptance=acceptance))
    assert "1 of 4 chains accepted no proposal: take smaller steps" in result.problems


def test_a_sampler_that_could_reject_but_never_does_is_noted(make_chains: Make) -> None:
    chains = make_chains(energy=np.random.default_rng(0).normal(size=(4, 1000)), acceptance=np.ones((4, 1000)))
    assert "every proposal was accepted" in summary(chains).verdict
    chains.attributes["sampler"] = "Gibbs()"
    assert summary(chains).notes == ()


def test_of_many_coordinates_the_worst_are_shown(ar1: Make, make_chains: Make) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 1000, 5, 5))
    x[:, :, 3, 1] = ar1(0.95, (4, 1000), rng)
    x[..., 4, 4] = 1.0
    result = summary(make_chains(x=x))
    assert set(result.rows) == {"x[3, 1]"}
    assert "of 25 coordinates x[3, 1] has the lowest ESS, x[3, 1] the largest R-hat" in str(result)
    assert "1 never changed, 1 with R-hat above 1.01, 1 with ESS below 400" in result.coordinates
    assert any("autocorrelation times of x[3, 1]" in problem for problem in result.problems)


def test_lowest_ess_and_largest_r_hat_may_be_of_two_coordinates() -> None:
    row = diagnose(np.random.default_rng(0).normal(size=(4, 1000)))
    every = {"a": row, "b": row._replace(ess_tail=30.0), "c": row._replace(r_hat=1.2), "d": row._replace(r_hat=1.02)}
    rows, remark = worst_coordinates(every)
    assert rows == {"b": every["b"], "c": every["c"]}
    assert remark.endswith("0 never changed, 2 with R-hat above 1.01, 1 with ESS below 400")
    rows, remark = worst_coordinates({**every, "e": UNKNOWN})
    assert list(rows) == ["e"] and remark == "e stands for 1 of 5 coordinates"


def test_pixels_that_are_always_off_are_noted_but_no_fault(make_chains: Make) -> None:
    x = np.random.default_rng(0).integers(0, 2, size=(4, 1000, 20), dtype=np.int8)
    x[..., :5] = 0
    result = summary(make_chains(x=x, domain="binary"))
    assert result.trustworthy, result.verdict
    assert result.notes == ("5 of 20 coordinates never changed: their means have no error bar",)


@pytest.mark.parametrize("sites", [3, 30])
def test_a_frozen_lattice_is_a_fault(make_chains: Make, sites: int) -> None:
    result = summary(make_chains(x=np.ones((4, 100, sites), dtype=np.int8), domain="spin"))
    assert not result.trustworthy
    assert f"x[0] and {sites - 1} more never changed in 400 draws" in result.verdict


def test_a_real_coordinate_that_never_moves_is_a_fault(make_chains: Make) -> None:
    x = np.random.default_rng(0).normal(size=(4, 1000, 20))
    x[..., 7] = 1.0
    assert "x[7] never changed in 4,000 draws" in summary(make_chains(x=x)).verdict


def test_an_angle_is_judged_by_its_cosine_and_sine(make_chains: Make) -> None:
    """Angles around the seam at pi jump by 2 pi all the time, and yet are narrow: sd 0.1 in the sine."""
    angles = np.pi + 0.1 * np.random.default_rng(0).normal(size=(4, 1000, 1))
    angles -= 2 * np.pi * (angles > np.pi)
    rows = summary(make_chains(x=angles, domain="angle")).rows
    assert list(rows) == ["cos x[0]", "sin x[0]"]
    assert rows["cos x[0]"].mean == pytest.approx(-np.exp(-0.005), abs=5 * rows["cos x[0]"].mcse)
    assert rows["sin x[0]"].sd == pytest.approx(0.1, rel=0.1)


def test_chains_without_a_draw_are_refused(make_chains: Make) -> None:
    with pytest.raises(ValueError, match="at least one draw, got 0"):
        summary(make_chains(energy=np.empty((4, 0))))


def test_scalar_configurations_and_score_only_chains_are_taken(make_chains: Make) -> None:
    result = summary(make_chains(x=np.random.default_rng(0).normal(size=(4, 1000))))
    assert list(result.rows) == ["x"] and result.trustworthy


def test_many_chains_show_the_range_of_their_acceptance(make_chains: Make) -> None:
    rng = np.random.default_rng(0)
    acceptance = np.linspace(0.2, 0.6, 20)[:, None] * np.ones((20, 100))
    text = str(summary(make_chains(energy=rng.normal(size=(20, 100)), acceptance=acceptance)))
    assert "acceptance: 0.200 to 0.600, mean 0.400" in text


def _ladder(accepted: list[float], trips: int) -> Tempering:
    """A ladder of three rungs after 200 draws and 100 proposals a pair, in 4 chains."""
    draws = np.ones((4, 200, 1))
    betas = draws * np.array([0.2, 0.5, 1.0])
    return Tempering(
        {
            "betas": betas,
            "energies": np.random.default_rng(0).normal(size=(4, 200, 3)) - betas,
            "replicas": np.tile(np.arange(3, dtype=np.int16), (4, 200, 1)),
            "swaps_proposed": np.full((4, 200, 2), 100),
            "swaps_accepted": draws * np.array(accepted),
            "round_trips": np.full((4, 200), trips),
        }
    )


def test_a_ladder_is_told_in_a_line_and_its_gaps_are_problems(make_chains: Make) -> None:
    chains = make_chains(energy=np.random.default_rng(0).normal(size=(4, 200)))
    assert "tempering" not in str(summary(chains)).split("verdict")[0]
    chains.attributes["thin"] = 5
    chains.tempering = _ladder([30.0, 60.0], trips=4)
    told = summary(chains)
    assert (
        "tempering: 3 rungs from beta 0.2 to 1, swap rates 0.30 to 0.60, 4 round trips a chain in 1,000 sweeps, "
        in (str(told))
    )
    assert "barrier 1.10" in told.tempering and told.trustworthy
    chains.tempering = _ladder([30.0, 0.1], trips=0)
    assert summary(chains).problems == (
        "rungs 1 and 2 (beta 0.5 and 1) never swapped, in 400 attempts: put rungs between them",
    )
    chains.tempering = _ladder([30.0, 60.0], trips=0)
    assert summary(chains).problems == ("no replica went from one end of the ladder to the other and back: run longer",)
