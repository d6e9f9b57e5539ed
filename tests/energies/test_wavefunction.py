"""The RBM wavefunction: ln psi from its formula and from NetKet, and a kernel that loses no digits at any weights."""

import numpy as np
import pytest
from laws import DISCRETE

import ebm
import samplers
from samplers import random
from samplers.initial import initial

RNG = np.random.default_rng(9)


def _log_psi(psi: ebm.RBMWaveFunction, x: np.ndarray) -> np.ndarray:
    theta = psi.b + x @ psi.W
    return x @ psi.a + (np.logaddexp(theta, -theta) - np.log(2.0)).sum(1)


def _psi(n: int, m: int, scale: float) -> ebm.RBMWaveFunction:
    W, a, b = (scale * RNG.normal(size=shape) for shape in ((n, m), n, m))
    return ebm.RBMWaveFunction(W, a, b)


def _exponentials(psi: ebm.RBMWaveFunction) -> bool:
    """Whether the cache holds exponentials, and not the fields of very strong weights."""
    return len(psi.compiled.params) == 6


@pytest.mark.parametrize("m", [1, 8, 511, 512, 513, 1030])
@pytest.mark.parametrize("scale", [0.1, 3.0, 100.0])
def test_log_psi_is_its_formula_and_the_energy_its_born_law(m: int, scale: float) -> None:
    psi, x = _psi(6, m, scale), RNG.choice([-1, 1], (9, 6)).astype(np.int8)
    np.testing.assert_allclose(psi.log_psi(x), _log_psi(psi, x), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(psi(x), -2.0 * psi.log_psi(x))
    np.testing.assert_allclose(psi.reduced(x, 0.3), -0.6 * _log_psi(psi, x), rtol=1e-12, atol=1e-12)
    assert _exponentials(psi) or scale > 0.1
    samplers.check(psi)


@pytest.mark.parametrize(("strength", "exponentials"), [(0.05, True), (1.0, True), (20.0, True), (300.0, False)])
def test_the_cache_keeps_its_digits_while_fields_saturate_and_come_back(strength: float, exponentials: bool) -> None:
    # Fields wander between -strength and +strength many times; tanh of them would be +-1 from 19 on, for ever.
    n, m = 12, 40
    W = RNG.normal(size=(n, m))
    psi = ebm.RBMWaveFunction(strength * W / np.abs(W).sum(0), b=0.1 * RNG.normal(size=m))
    assert _exponentials(psi) is exponentials
    sampler = samplers.Metropolis()
    x = initial(psi, 6, 1)
    state = {"x": x, "beta": np.full(6, 0.01 / strength), "stream": random.make_streams(2, 6)}
    sampler.start(psi, state)
    sampler.advance(psi, state, sampler.settings(psi, 0), 1, 900)  # all but no move refused: it goes everywhere
    kept = state["cache"].copy()
    sampler.start(psi, state)
    if exponentials:  # exp(2 theta)
        np.testing.assert_allclose(kept[:, :m], state["cache"][:, :m], rtol=1e-10)
    else:
        np.testing.assert_allclose(kept, state["cache"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("move", ["single", "exchange"])
def test_products_are_those_of_the_moves_made(move: str) -> None:
    psi, sampler = _psi(6, 200, 0.05), samplers.Metropolis(move)  # two products
    state = {"x": initial(psi, 8, 1), "beta": np.ones(8), "stream": random.make_streams(2, 8)}
    sampler.start(psi, state)
    sampler.advance(psi, state, sampler.settings(psi, 0), 1, 20)
    need = 1.0 + np.exp(2.0 * (state["x"] @ psi.W + psi.b))
    need = np.stack([need[:, :128].prod(1), need[:, 128:].prod(1)], axis=1)
    np.testing.assert_allclose(state["cache"][:, 200:202], need, rtol=1e-11)


def test_hidden_units_of_huge_weights_follow_the_spins_exactly() -> None:
    for name in ("rbm wavefunction, saturated", "rbm wavefunction, beyond exponentials"):
        psi = DISCRETE[name]
        x = RNG.choice([-1, 1], (20, 4))
        theta = x @ psi.W + psi.b
        assert np.abs(theta).min() > 90
        np.testing.assert_allclose(psi.log_psi(x), (np.abs(theta) - np.log(2.0)).sum(1), rtol=1e-14)
    assert _exponentials(DISCRETE["rbm wavefunction, saturated"]) and not _exponentials(psi)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0],), r"W must have shape \(any, any\), got \(2,\)"),
        (([[1.0, np.inf]],), "W must be finite, got inf"),
        (([[1.0, 2.0]], [1.0, 2.0]), r"a must have shape \(1\), got \(2,\)"),
        (([[1.0, 2.0]], None, [1.0]), r"b must have shape \(2\), got \(1,\)"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ebm.RBMWaveFunction(*arguments)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of NetKet and what it imports
def test_netket_gives_the_same_wavefunction() -> None:
    import jax
    import netket as nk

    jax.config.update("jax_enable_x64", True)
    machine = nk.models.RBM(alpha=2, param_dtype=float, use_visible_bias=True)
    x = RNG.choice([-1.0, 1.0], (20, 7))
    weights = {
        "Dense": {"kernel": RNG.normal(size=(7, 14)), "bias": RNG.normal(size=14)},
        "visible_bias": RNG.normal(size=7),
    }
    psi = ebm.RBMWaveFunction(weights["Dense"]["kernel"], weights["visible_bias"], weights["Dense"]["bias"])
    np.testing.assert_allclose(psi.log_psi(x), np.asarray(machine.apply({"params": weights}, x)), rtol=1e-12)
