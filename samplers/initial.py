"""Where chains start when nobody says otherwise."""

from typing import Any

import numpy as np

from samplers import protocols


def initial(energy: Any, chains: int, entropy: int) -> np.ndarray:
    """Return starting configurations (chains, sites): uniform for discrete sites and angles, N(0, 1) for real ones.

    Spins of a conserved sum are uniform among those of that sum.
    """
    sites, total = int(np.prod(energy.shape)), protocols.conserved_sum(energy)
    rows = []
    for child in np.random.SeedSequence(entropy).spawn(chains):
        rng = np.random.default_rng(child.spawn(1)[0])
        if total is not None:
            rows.append(rng.permutation(np.where(2 * np.arange(sites) < sites + total, 1, -1).astype(np.int8)))
        elif energy.domain == "real":
            rows.append(rng.standard_normal(sites))
        elif energy.domain == "angle":
            rows.append(-rng.uniform(-np.pi, np.pi, sites))
        else:
            rows.append(rng.choice(protocols.values(energy), sites))
    return np.stack(rows)
