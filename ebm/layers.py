"""Passes over the layers of restricted Boltzmann machines, each one loop between two matrix products.

A pass takes the matrix product of one layer with the weights and turns it, in place, into a sample of the other layer:
scale, bias, logistic function, uniform number, comparison. Row c is drawn from the stream of chain c alone, so the bits
do not depend on how rows are shared among threads.

Random numbers: each row takes one 64-bit key from its chain's xoshiro256++ stream and expands it by the counter
generator SplitMix64 (Steele, Lea, Flood 2014), two 32-bit uniforms a word, in a loop that runs in vector registers.

Probabilities: p = sigmoid(a) is drawn as a rare event of probability q = e / (1 + e) <= 1/2 with e = exp(-|a|), and the
outcome is flipped where a > 0. Both ends are therefore resolved alike: |P(1) - p| <= 2^-32 + 2^-20 min(p, 1 - p).
A NaN activation gives a NaN unit, which the next matrix product spreads over its whole row.
"""

import math

import numpy as np
from numba import float32, float64, int32, njit, uint64

from samplers import random
from samplers.elementary import BLOCK, exp_minus64, plus, times
from samplers.inner import OPTIONS, inline

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


@inline
def exp_minus32(x):
    """Return exp(-x) in single precision for x >= 0 (zero beyond 87), to a relative error below 3e-7."""
    x = min(x, float32(87.0))
    n = np.floor(x * float32(1.4426950408889634) + float32(0.5))
    # ln 2 in two parts: n times the first is exact.
    r = n * float32(0.693359375) - x
    r = r + n * float32(-2.12194440e-4)
    p = float32(1.9875691500e-4)
    p = p * r + float32(1.3981999507e-3)
    p = p * r + float32(8.3334519073e-3)
    p = p * r + float32(4.1665795894e-2)
    p = p * r + float32(1.6666665459e-1)
    p = p * r + float32(5.0000001201e-1)
    p = p * r * r + r + float32(1.0)
    return p * np.int32((int32(127) - int32(n)) << int32(23)).view(np.float32)


@inline
def sum_softplus(theta, scale):
    """Return sum_j ln(1 + exp(scale * theta_j)) in double precision, with one logarithm for 512 terms."""
    total, n = 0.0, uint64(theta.shape[0])
    for start in range(uint64(0), n, BLOCK):
        product = 1.0  # of factors between 1 and 2: no overflow
        for j in range(start, min(start + BLOCK, n)):
            a = scale * theta[j]
            total = plus(total, 0.5 * (a + abs(a)))  # max(a, 0), but NaN stays NaN
            product = times(product, 1.0 + exp_minus64(abs(a)))
        total += math.log(product)
    return total


@inline
def sum_softplus_moved(theta, step, row, scale):
    """Return sum_j ln(1 + exp(scale * (theta_j + step * row_j))), as `sum_softplus` does."""
    total, n = 0.0, uint64(theta.shape[0])
    for start in range(uint64(0), n, BLOCK):
        product = 1.0
        for j in range(start, min(start + BLOCK, n)):
            a = scale * (theta[j] + step * row[j])
            total = plus(total, 0.5 * (a + abs(a)))
            product = times(product, 1.0 + exp_minus64(abs(a)))
        total += math.log(product)
    return total


@njit(cache=True, **OPTIONS)
def softplus_rows(theta, scale, out):
    """Set out[i] to sum_j ln(1 + exp(scale[i] * theta[i, j]))."""
    for i in range(theta.shape[0]):
        out[i] = sum_softplus(theta[i], scale[i])


@inline
def fill_words(key, words):
    """Fill `words` with random bits, the outputs 1, 2, ... of SplitMix64 started at `key`."""
    for j in range(words.shape[0]):
        z = key + uint64(j + 1) * _GAMMA
        z = (z ^ (z >> uint64(30))) * _MIX1
        z = (z ^ (z >> uint64(27))) * _MIX2
        words[j] = z ^ (z >> uint64(31))


@njit(cache=True, **OPTIONS)
def draw_units(units, bias, scale, streams):
    """Turn activations into a sample of a layer, in place.

    P(unit j of row c = 1) = sigmoid(scale_c (activation_cj + bias_j)), each unit drawn independently.

    Args:
        units: activations (rows, n) of the other layer times the weights; afterwards the sample, 0.0 and 1.0.
        bias: biases (n,).
        scale: inverse temperature of each row, (rows,).
        streams: random streams (rows, 4), advanced by one word.
    """
    rows, n = units.shape
    words = np.empty((n + 1) // 2, np.uint64)
    bits = words.view(np.uint32)
    for c in range(rows):
        key, stream = random.bits64(random.load(streams, c))
        random.save(streams, c, stream)
        fill_words(key, words)
        row, s = units[c], float32(scale[c])
        for j in range(n):
            a = s * float32(row[j] + bias[j])
            e = exp_minus32(abs(a))
            # u < e / (1 + e) without the division; u in units of 2^-32.
            rare = float32(bits[j]) * (float32(1.0) + e) < e * float32(4294967296.0)
            one = float32(1.0) if rare != (a > float32(0.0)) else float32(0.0)
            row[j] = one if a == a else a


@njit(cache=True, **OPTIONS)
def store_units(units, x):
    """Set x to a sample of a layer in its own dtype; return the first row that holds a NaN, or -1."""
    for c in range(units.shape[0]):
        row, total = units[c], units[c, 0] - units[c, 0]
        for j in range(units.shape[1]):
            total = plus(total, row[j])
            x[c, j] = row[j]
        if total != total:
            return c
    return -1


@njit(cache=True, **OPTIONS)
def weighted_logistic(units, bias, weight):
    """Set units[c, j] to weight[c] sigmoid(units[c, j] + bias[j]), in place."""
    for c in range(units.shape[0]):
        row, w = units[c], float64(weight[c])
        for j in range(units.shape[1]):
            a = float64(row[j]) + float64(bias[j])
            e = exp_minus64(abs(a))
            row[j] = w * (1.0 if a > 0.0 else e) / (1.0 + e)


@njit(cache=True, **OPTIONS)
def reweight(units, bias, old, new, log_weight):
    """Add sum_j ln(1 + exp(new a_j)) - ln(1 + exp(old a_j)), a = units + bias, to the log weight of each row.

    All in double precision: the weights of a long annealing are sums of many small terms.

    Args:
        units: activations (rows, n).
        bias: biases (n,).
        old: inverse temperature before the step.
        new: inverse temperature after the step.
        log_weight: gathered log weights (rows,).
    """
    for c in range(units.shape[0]):
        row, total = units[c], 0.0
        for start in range(0, row.shape[0], 512):
            after, before = 1.0, 1.0  # of 512 factors between 1 and 2
            for j in range(start, min(start + 512, row.shape[0])):
                a = float64(row[j]) + float64(bias[j])
                total = plus(total, 0.5 * (new - old) * (a + abs(a)))
                after = times(after, 1.0 + exp_minus64(abs(new * a)))
                before = times(before, 1.0 + exp_minus64(abs(old * a)))
            total += math.log(after / before)
        log_weight[c] += total
