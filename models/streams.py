"""Random numbers of torch from a seed, by streams of their own: the global generator is left as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from samplers import protocols


@contextmanager
def seeded(seed: int | None, *key: int) -> Iterator[None]:
    """Return a context in which torch draws from the stream `key` of a seed, on the CPU; afterwards all is as before.

    Args:
        seed: non-negative integer; None takes one from the operating system.
        *key: which of the seed's streams.

    Raises:
        ValueError, TypeError: seed is not such a number.

    Example:
        >>> with seeded(1):
        ...     a = torch.rand(2)
        >>> with seeded(1):
        ...     b = torch.rand(2)
        >>> bool((a == b).all())
        True
    """
    if seed is not None:
        protocols.check_positive(seed, "seed", integer=True, zero=True)
    state = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(state[0] >> np.uint64(1)))
        yield
