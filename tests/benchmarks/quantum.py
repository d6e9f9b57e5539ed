"""Sampling inside NetKet: NumbaMetropolis in the place of MetropolisLocal, called as a VMC step calls it."""

from functools import partial
from typing import Any

import numpy as np
from timing import Line, Side, compare, same

SAMPLES = 1024  # of one call
CHAINS = (16, 64, 256)  # of either side; 16 is what NetKet takes by default


def state(sampler: Any, sites: int) -> Any:
    """Return the state of an RBM of as many hidden units as spins, with weights of width 0.1."""
    import jax
    import netket as nk

    model = nk.models.RBM(alpha=1, param_dtype=float)
    found = nk.vqs.MCState(sampler, model, n_samples=SAMPLES, n_discard_per_chain=0, seed=1)
    found.init_parameters(jax.nn.initializers.normal(0.1), seed=2)
    return found


def side(name: str, make: Any, sites: int, chains: int) -> Side:
    """Return a side whose work is calls for samples; units are proposals."""
    import jax

    mine = state(make(chains), sites)
    jax.block_until_ready(mine.sample())

    def work(n: int) -> float:
        for _ in range(n):
            mine.reset()
            jax.block_until_ready(mine.sample())
        return float(n * SAMPLES * sites)

    return Side(f"{name} ({chains} chains)", work)


def inside_netket(sites: int, goal: float) -> Line:
    """One line; the check compares -2 ln |psi| at the ends of many chains of both sides."""
    import netket as nk

    from ebm.quantum import NumbaMetropolis

    space = nk.hilbert.Spin(0.5, sites)
    ours = lambda chains: NumbaMetropolis(space, n_chains=chains)  # noqa: E731
    theirs = lambda chains: nk.sampler.MetropolisLocal(space, n_chains=chains, sweep_size=sites)  # noqa: E731
    ends = []
    for make in (ours, theirs):
        one = state(make(256), sites)
        for _ in range(25):
            x = np.asarray(one.sample())[:, -1]  # four sweeps a call, at the end of a hundred
        ends.append(-2.0 * np.asarray(one.log_value(x)).real)
    check = same("-2 ln |psi|", *ends)
    return compare(
        f"MCState.sample, RBM N = M = {sites}, {SAMPLES} samples", "proposals/s", goal,
        [side("NumbaMetropolis", ours, sites, c) for c in CHAINS],
        [side("MetropolisLocal", theirs, sites, c) for c in CHAINS], [check],
    )  # fmt: skip


LINES = {"netket-40": partial(inside_netket, 40, 15.0), "netket-100": partial(inside_netket, 100, 15.0)}
