"""The export: what xarray sees, and that ArviZ's own functions take it."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from samplers.arviz import to_arviz
from samplers.diagnosis import diagnose

pytest.importorskip("xarray")
Make = Callable[..., Any]


def test_groups_dimensions_and_attributes(make_chains: Make) -> None:
    rng = np.random.default_rng(0)
    x = rng.choice(np.array([-1, 1], dtype=np.int8), size=(3, 20, 4, 5))
    energy, m = rng.normal(size=(3, 20)), rng.normal(size=(3, 20))
    tree = to_arviz(make_chains(energy=energy, x=x, domain="spin", m=m))
    assert set(tree.children) == {"posterior", "sample_stats"}
    assert tree["posterior"]["x"].dims == ("chain", "draw", "x_dim_0", "x_dim_1")
    assert tree["posterior"]["x"].dtype == np.int8
    np.testing.assert_array_equal(tree["posterior"]["x"], x)
    np.testing.assert_array_equal(tree["posterior"]["m"], m)
    np.testing.assert_array_equal(tree["sample_stats"]["energy"], energy)
    assert tree["sample_stats"]["acceptance"].dims == ("chain", "draw")
    np.testing.assert_array_equal(tree["posterior"]["draw"], np.arange(20))
    assert tree.attrs["beta"] == 0.5 and tree.attrs["domain"] == "spin" and tree.attrs["seed"] == 3
    assert json.loads(tree.attrs["settings"]) == {"thin": [1, 2]}


def test_missing_configurations_and_energies_are_left_out(make_chains: Make) -> None:
    tree = to_arviz(make_chains(m=np.zeros((2, 5))))
    assert set(tree["posterior"].data_vars) == {"m"}
    assert set(tree["sample_stats"].data_vars) == {"acceptance"}


def test_arviz_functions_take_the_tree(ar1: Make, make_chains: Make) -> None:
    pytest.importorskip("arviz_base")
    arviz_stats = pytest.importorskip("arviz_stats")
    rng = np.random.default_rng(1)
    x, m = ar1(0.5, (4, 500, 2), rng), ar1(0.9, (4, 500), rng)
    tree = to_arviz(make_chains(energy=m, x=x, m=m))
    row = diagnose(x[..., 1])
    ess, r_hat = arviz_stats.ess(tree), arviz_stats.rhat(tree)
    ess, r_hat = (result["posterior"] if "posterior" in result else result for result in (ess, r_hat))
    assert float(ess["x"][1]) == pytest.approx(row.ess_bulk)
    assert float(r_hat["x"][1]) == pytest.approx(row.r_hat)
    assert set(arviz_stats.summary(tree).index) == {"m", "x[0]", "x[1]"}
