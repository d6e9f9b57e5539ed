"""MALA and HMC on correlated normal distributions: blackjax, jitted, vmapped and scanned."""

import itertools
from functools import partial
from typing import Any

import limits
import numpy as np
from timing import Check, Line, Side, compare, fastest, known

import ebm
import samplers

LEAPFROG = 10
# Ten leapfrog steps of 0.2 are no half period of any mode: without jitter, as in blackjax, it would hardly mix.
STEP = {"MALA": 0.15, "HMC": 0.2}
CHECK_CHAINS, CHECK_STEPS = 1000, {"MALA": 400, "HMC": 60}


def target(dimension: int) -> Any:
    """A correlated normal distribution with a dense precision, condition number about 5 to 9."""
    if dimension == 2:
        return ebm.Gaussian(np.zeros(2), [[1.0, 0.8], [0.8, 1.0]])
    a = np.random.default_rng(0).normal(size=(dimension, dimension))
    return ebm.Gaussian(np.zeros(dimension), a @ a.T / dimension + np.eye(dimension))


def sampler(kind: str) -> samplers.Sampler:
    """Our sampler with its step fixed."""
    step = STEP[kind]
    if kind == "MALA":
        return samplers.MALA(step, target_acceptance=None)
    return samplers.HMC(step, steps=LEAPFROG, target_acceptance=None)


def _sample(energy: Any, kind: str, chains: int, steps: int, init: np.ndarray | None = None) -> samplers.Chains:
    return samplers.sample(
        energy, sampler(kind), chains=chains, draws=1, thin=steps, warmup=0, seed=1, init=init,
        progress=False,
    )  # fmt: skip


def ours(energy: Any, kind: str, chains: int) -> Side:
    """Our side, from equilibrium; units are transitions of one chain."""
    init = energy.sample(chains, seed=2)

    def work(n: int) -> float:
        steps = n * max(1, 100 // chains)
        _sample(energy, kind, chains, steps, init)
        return float(steps * chains)

    return Side("ebmlab", work)


class Blackjax:
    """blackjax as its documentation runs it: the kernel inside `lax.scan`, jitted, chains by `vmap`.

    float32, its default, was the fastest everywhere but on HMC of 1,000 chains, where float64 came out 10 % ahead in
    one trial. `vmap` outside or inside the scan, and the generator (threefry, or rbg, the processor's own of XLA),
    differ by up to five times either way: all are tried. Draws are not kept on either side. XLA uses all cores.
    """

    def __init__(self, energy: Any, kind: str) -> None:
        import blackjax
        import jax.numpy as jnp

        precision = jnp.asarray(energy.precision, jnp.float32)
        self.dimension = energy.shape[0]
        step = STEP[kind]

        def log_density(x: Any) -> Any:
            return -0.5 * jnp.dot(x, precision @ x)

        if kind == "MALA":
            self.algorithm = blackjax.mala(log_density, step)
        else:
            self.algorithm = blackjax.hmc(log_density, step, jnp.ones(self.dimension), LEAPFROG)

    def runner(self, chains: int, steps: int, generator: str, scan_outside: bool) -> Any:
        """Return a function of a state and a key that runs some steps, compiled; and the state from zero."""
        import jax
        import jax.numpy as jnp

        step = self.algorithm.step

        def chain(state: Any, key: Any) -> Any:
            def one(s: Any, k: Any) -> Any:
                return step(k, s)[0], None

            return jax.lax.scan(one, state, jax.random.split(key, steps))[0]

        def together(state: Any, key: Any) -> Any:
            def one(s: Any, k: Any) -> Any:
                return jax.vmap(step)(jax.random.split(k, chains), s)[0], None

            return jax.lax.scan(one, state, jax.random.split(key, steps))[0]

        def apart(state: Any, key: Any) -> Any:
            return jax.vmap(chain)(state, jax.random.split(key, chains))

        run = jax.jit(together if scan_outside else apart)
        state = jax.vmap(self.algorithm.init)(jnp.zeros((chains, self.dimension), jnp.float32))
        return lambda s, k: jax.block_until_ready(run(s, jax.random.key(k, impl=generator))), state

    def side(self, chains: int, steps: int, generator: str, scan_outside: bool) -> Side:
        """One setting."""
        advance, state = self.runner(chains, steps, generator, scan_outside)
        held = [advance(state, 0)]

        def work(n: int) -> float:
            for k in range(n):
                held[0] = advance(held[0], k + 1)
            return float(n * steps * chains)

        return Side(f"blackjax ({'vmap in scan' if scan_outside else 'scan in vmap'}, {generator})", work)


def _check(energy: Any, x: np.ndarray, who: str) -> Check:
    """Check x P x, chi-square with d degrees of freedom, over independent chains started at zero."""
    d = energy.shape[0]
    x = np.asarray(x, np.float64)
    return known(f"{who} <x P x>", np.einsum("ni,ij,nj->n", x, energy.precision, x), d, np.sqrt(2.0 * d))


def gaussian(kind: str, dimension: int, chains: int, goal: float) -> Line:
    """One line."""
    energy, steps = target(dimension), CHECK_STEPS[kind]
    peer = Blackjax(energy, kind)
    start = np.zeros((CHECK_CHAINS, dimension))
    advance, state = peer.runner(CHECK_CHAINS, steps, "threefry2x32", True)
    checks = [
        _check(energy, np.asarray(_sample(energy, kind, CHECK_CHAINS, steps, start).x)[:, 0], "ours"),
        _check(energy, np.asarray(advance(state, 5).position), "blackjax"),
    ]
    block = max(10, round(20_000 / chains / (dimension * (1 if kind == "MALA" else LEAPFROG)) ** 0.5))
    sides = [
        peer.side(chains, block, generator, outside)
        for generator, outside in itertools.product(("threefry2x32", "rbg"), (True, False))
    ]
    gradients = 1 if kind == "MALA" else LEAPFROG
    if dimension == 2:
        limit, note = (limits.random_words(), 2.0), "limit: a 64-bit word a normal number"
    else:
        limit = (fastest(limits.products([(chains, dimension, dimension)] * gradients, chains)), 1.0)
        note = "limit: bare float32 products of the gradients"
    return compare(
        f"{kind}, {dimension}-D Gaussian, {chains:,} chains", "transitions/s", goal, [ours(energy, kind, chains)],
        sides, checks, limit, note,
    )  # fmt: skip


LINES = {
    f"{kind.lower()}-{dimension}-{chains}": partial(gaussian, kind, dimension, chains, goal)
    for kind in ("MALA", "HMC")
    for dimension in (2, 100)
    for chains, goal in ((10, 30.0), (1000, 8.0))
}
