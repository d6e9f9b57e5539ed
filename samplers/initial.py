"""Where chains start when nobody says otherwise."""

from typing import Any

import numpy as np

from samplers import protocols


def initial(energy: Any, chains: int, entropy: int) -> np.ndarray:
    """Return starting configurations (chains, sites): uniform for discrete sites and angles, N(0, 1) for real ones."""
    sites = int(np.prod(energy.shape))
    rows = []
    for child in np.random.SeedSequence(entropy).spawn(chains):
        rng = np.random.default_rng(child.spawn(1)[0])
        if energy.domain == "real":
            rows.append(rng.standard_normal(sites))
        elif energy.domain == "angle":
            rows.append(-rng.uniform(-np.pi, np.pi, sites))
        else:
            rows.append(rng.choice(protocols.values(energy), sites))
    return np.stack(rows)
