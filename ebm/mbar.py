"""The multistate Bennett acceptance ratio: ln Z of many laws from draws of all of them (Shirts and Chodera 2008).

With n_k draws of p_k = exp(-u_k) / Z_k, pooled, g_k = ln Z_k solves

    Z_i = sum_n exp(-u_i(x_n)) / sum_k n_k exp(-u_k(x_n) - g_k),

or, with p_kn = n_k exp(-u_k(x_n) - g_k) / sum_j (same), sum_n p_kn = n_k: the gradient of a convex function of g.
Newton's steps on that function, and the equation above as a step where they do not lower it.
"""

from itertools import pairwise

import numpy as np
from scipy.special import logsumexp

STEPS = 500
CLOSE = 1e-11  # of sum_n p_kn to n_k, relative


def mbar(u: np.ndarray, counts: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
    """Return g_k = ln Z_k - ln Z_0, (states,).

    Args:
        u: reduced energy of every draw in every state, (states, draws); which state a draw is of does not matter.
        counts: number of draws of each state, (states,), positive.
        start: first guess of g.

    Raises:
        ValueError: counts that do not fit u.
        ArithmeticError: no solution was found: the states do not overlap.

    Example:
        >>> x = np.random.default_rng(0).normal(size=4000)
        >>> u = np.stack([x**2 / 2, x**2 / 2 + 3])
        >>> mbar(u, np.array([2000, 2000])).round(6)
        array([ 0., -3.])
    """
    counts = np.asarray(counts, np.float64)
    if counts.shape != (len(u),) or not (counts > 0).all() or counts.sum() != u.shape[1]:
        raise ValueError(f"counts must be positive, one a state, and sum to {u.shape[1]} draws, got {counts.tolist()}")
    # Without a guess: as if all draws were of one law that covers all states.
    g = logsumexp(-u, axis=1) if start is None else np.array(start, np.float64)
    value, p = _objective(u, counts, g)
    for _ in range(STEPS):
        gradient = counts - p.sum(1)
        if np.abs(gradient).max() <= CLOSE * counts.min():
            return g - g[0]
        step = _newton(p, gradient)
        new = g + step
        new_value, new_p = _objective(u, counts, new)
        if not new_value < value + 1e-12 * abs(value) or np.abs(step).max() > 20.0:
            new = logsumexp(-u - log_denominators(u, counts, g), axis=1)  # the self-consistent step
            new_value, new_p = _objective(u, counts, new)
        done = np.abs(new - g).max() <= 1e-14 * max(1.0, np.abs(g).max())
        g, value, p = new - new[0], new_value, new_p
        if done:
            return g
    raise ArithmeticError(f"MBAR found no solution in {STEPS} steps: neighbouring states hardly overlap, add some")


def log_denominators(u: np.ndarray, counts: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return ln sum_k n_k exp(-u_k(x_n) - g_k) for every draw, (draws,): minus it is what weighs a draw.

    A draw's weight at any other state is exp(-u(x_n)) over this sum.
    """
    return logsumexp((np.log(counts) - g)[:, None] - u, axis=0)


def shares(u: np.ndarray, counts: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return p_kn, by which share draw n is one of state k, (states, draws)."""
    return np.exp((np.log(counts) - g)[:, None] - u - log_denominators(u, counts, g))


def influences(u: np.ndarray, counts: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return how every draw moves g - g[0], (states, draws): to first order the error of g is their mean.

    Draws of p_k must be the same stretch of `u` for all k as counts tell: the first n_0 of p_0, the next of p_1, ...
    Fluctuations are around the mean of each state's draws, since their numbers are fixed.
    """
    counts = np.asarray(counts, np.float64)
    p = shares(u, counts, g)
    hessian = np.diag(p.sum(1)) - p @ p.T
    edges = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    for begin, end in pairwise(edges):
        p[:, begin:end] -= p[:, begin:end].mean(1, keepdims=True)
    out = np.zeros_like(p)
    out[1:] = np.linalg.lstsq(hessian[1:, 1:], p[1:], rcond=None)[0] * u.shape[1]
    return out


def _objective(u: np.ndarray, counts: np.ndarray, g: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the convex function of g whose minimum is sought, and p, (states, draws)."""
    log_n = log_denominators(u, counts, g)
    return float(log_n.sum() + counts @ g), np.exp((np.log(counts) - g)[:, None] - u - log_n)


def _newton(p: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return Newton's step, g_0 held fixed; zero where the matrix is singular, which the caller sees by its size."""
    hessian = np.diag(p.sum(1)) - p @ p.T
    step = np.zeros(len(gradient))
    step[1:] = -np.linalg.lstsq(hessian[1:, 1:], gradient[1:], rcond=None)[0]
    return step
