"""Centred gradients of a Boltzmann machine's parameters (Montavon and Mueller 2012; Melchior, Fischer, Wiskott 2016).

The same energy written about offsets mu of the visible and lambda of the hidden units,

    E = -(v - mu) W (h - lambda) - b'.(v - mu) - c'.(h - lambda) + const,    b = b' - W lambda,    c = c' - W^T mu,

gives, by the chain rule, another direction of ascent in the ordinary W, b, c, from their ordinary gradient g:

    d_W = g_W - mu g_c^T - g_b lambda^T,        d_b = g_b - d_W lambda,        d_c = g_c - d_W^T mu

It vanishes exactly where g does, whatever the offsets, so that learning has the same fixed points; it does not depend
on which value of a unit is called 1. The parameters stay in their ordinary form throughout.
"""

import numpy as np

RATE = 0.01  # of the moving averages, as in Melchior, Fischer, Wiskott (2016)


class Centre:
    """Offsets of both layers: moving averages of the units' means over the data.

    Args:
        state: where the offsets are kept, "centre_visible", "centre_hidden" and "centre_seen", so that a checkpoint
            of the state has them.
    """

    def __init__(self, state: dict[str, np.ndarray]) -> None:
        self._state = state

    @staticmethod
    def start(n_visible: int, n_hidden: int) -> dict[str, np.ndarray]:
        """Return offsets that have seen no data."""
        zeros = {"centre_visible": np.zeros(n_visible), "centre_hidden": np.zeros(n_hidden)}
        return {**zeros, "centre_seen": np.zeros(1, np.int64)}

    def update(self, visible: np.ndarray, hidden: np.ndarray) -> None:
        """Move the offsets towards the means of a batch: (n_visible,) and (n_hidden,)."""
        first = not self._state["centre_seen"][0]
        self._state["centre_seen"] += 1
        for name, mean in (("centre_visible", visible), ("centre_hidden", hidden)):
            self._state[name] += (1.0 if first else RATE) * (mean - self._state[name])

    def direction(self, gradient: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the centred direction of ascent from the ordinary gradients of W, b and c; W is changed in place.

        The offsets do not touch other parameters, such as widths: their gradients stay.
        """
        W, b, c = gradient["W"], gradient["b"], gradient["c"]
        mu, lam = (self._state[name].astype(W.dtype) for name in ("centre_visible", "centre_hidden"))
        W -= np.outer(mu, c)
        W -= np.outer(b, lam)
        return {**gradient, "b": b - W @ lam, "c": c - mu @ W}
