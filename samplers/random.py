"""Random streams: one xoshiro256++ generator a chain, its state held in local variables while a chain runs.

Each chain owns four 64-bit words (Blackman and Vigna 2021), seeded through numpy's `SeedSequence`, so chains are
independent and their bits do not depend on the number of threads. Inside compiled code a stream is a tuple of the four
words that every function takes and gives back: in registers a normal number costs a few nanoseconds. The streams of
eight chains side by side are a tuple of four `Words` (samplers.lanes), from an array (rows, 4) of them.
"""

import math

import numpy as np
from numba import float64, int64, uint64

from samplers.elementary import circle, log
from samplers.inner import inline
from samplers.lanes import as_number, bits_of, fma, from_bits, sqrt

# Of the hash of numpy's SeedSequence (O'Neill 2015): the first constants of its two rounds, and what multiplies them.
_MIX, _MIX_FACTOR, _OUT, _OUT_FACTOR = 0x43B0D7E5, 0x931E8875, 0x8B51F9DD, 0x58F38DED
_LEFT, _RIGHT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)


def make_streams(entropy: int, chains: int) -> np.ndarray:
    """Return the initial states of one independent stream a chain, shape (chains, 4), uint64.

    They are the states of the children that `SeedSequence(entropy).spawn(chains)` has, for all chains at once.
    """
    words = max(4, -(-int(entropy).bit_length() // 32))  # of the entropy in the parent's pool, each mixed in four times
    constant = _MIX * pow(_MIX_FACTOR, 4 * words, 1 << 32)
    key, pool = np.arange(chains, dtype=np.uint32), []
    for word in np.random.SeedSequence(entropy).pool:
        hashed, constant = _hashed(key, constant, _MIX_FACTOR)
        mixed: np.ndarray = np.full(chains, word, np.uint32) * _LEFT - hashed * _RIGHT
        pool.append(mixed ^ (mixed >> np.uint32(16)))
    constant, out = _OUT, np.empty((chains, 8), "<u4")
    for k in range(8):
        out[:, k], constant = _hashed(pool[k % 4], constant, _OUT_FACTOR)
    return out.view("<u8").astype(np.uint64)


def _hashed(words: np.ndarray, constant: int, factor: int) -> tuple[np.ndarray, int]:
    following = constant * factor % (1 << 32)
    words = (words ^ np.uint32(constant % (1 << 32))) * np.uint32(following)
    return words ^ (words >> np.uint32(16)), following


def fresh_entropy() -> int:
    """Return new entropy from the operating system, to be recorded as the seed of a run."""
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])


@inline
def load(streams, chain):
    """Take a chain's stream from the array of streams."""
    return streams[chain, 0], streams[chain, 1], streams[chain, 2], streams[chain, 3]


@inline
def save(streams, chain, stream):
    """Put a chain's stream back into the array of streams."""
    streams[chain, 0] = stream[0]
    streams[chain, 1] = stream[1]
    streams[chain, 2] = stream[2]
    streams[chain, 3] = stream[3]


@inline
def _rotate(word, bits):
    return (word << uint64(bits)) | (word >> uint64(64 - bits))


@inline
def bits64(stream):
    """Return 64 random bits and the advanced stream (xoshiro256++)."""
    a, b, c, d = stream
    result = _rotate(a + d, 23) + a
    shifted = b << uint64(17)
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = _rotate(d, 45)
    return result, (a, b, c, d)


@inline
def uniform(stream):
    """Return a uniform number in [0, 1) with 53 random bits, and the advanced stream."""
    word, stream = bits64(stream)
    return as_number(word >> uint64(11)) * 2.0**-53, stream


@inline
def below(n, stream):
    """Return a uniform integer 0 <= k < n (n up to 2^31: relative bias below 2^-21), and the advanced stream."""
    u, stream = uniform(stream)
    return int64(u * n), stream


def _ziggurat_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scale, threshold and density of the 256 layers of equal area under exp(-x^2/2) (Marsaglia, Tsang 2000)."""
    layers, area = 256, 0.00492867323399
    edge = np.zeros(layers + 1)
    edge[0] = area / math.exp(-0.5 * _TAIL**2)
    edge[1] = _TAIL
    for i in range(2, layers):
        edge[i] = math.sqrt(-2.0 * math.log(area / edge[i - 1] + math.exp(-0.5 * edge[i - 1] ** 2)))
    scale = edge[:layers] * 2.0**-52
    threshold = (edge[1:] / edge[:layers] * 2.0**52).astype(np.int64)
    return scale, threshold, np.exp(-0.5 * edge**2)


_TAIL = 3.6541528853610088
_SCALE, _THRESHOLD, _DENSITY = _ziggurat_tables()


@inline
def normal(stream):
    """Return a standard normal number and the advanced stream (ziggurat, exact up to the 52 bits of a sample)."""
    word, stream = bits64(stream)
    layer = word & uint64(255)
    mantissa = int64(word) >> 11  # signed, 53 bits; the layer uses other bits of the word
    x = float64(mantissa) * _SCALE[layer]
    while abs(mantissa) >= _THRESHOLD[layer]:
        if layer == 0:  # beyond the last layer: the tail by Marsaglia's method
            u, stream = uniform(stream)
            v, stream = uniform(stream)
            a = -math.log(1.0 - u) / _TAIL
            b = -math.log(1.0 - v)
            if 2.0 * b > a * a:
                return math.copysign(_TAIL + a, x), stream
        else:
            u, stream = uniform(stream)
            low, high = _DENSITY[layer], _DENSITY[layer + uint64(1)]
            if low + u * (high - low) < math.exp(-0.5 * x * x):
                return x, stream
            word, stream = bits64(stream)
            layer = word & uint64(255)
            mantissa = int64(word) >> 11
            x = float64(mantissa) * _SCALE[layer]
    return x, stream


@inline
def normal_pair(u, word):
    """Return two independent normal numbers made of a uniform number and a word (Box and Muller 1958).

    The radius sqrt(-2 ln(1 - u)) reaches 8.57; the upper bits of the word are an angle in [-pi/2, pi/2), the last one
    says on which side of the axis. Without branches, it serves numbers and lanes, and gives the same bits for both.
    """
    radius = sqrt(-2.0 * log(1.0 - u))
    cosine, sine = circle(fma(as_number(word >> uint64(11)), 2.0**-52, -1.0))
    return from_bits(bits_of(radius * cosine) ^ (word << uint64(63))), radius * sine


@inline
def fill_normal(out, stream):
    """Fill a vector with standard normal numbers, of one chain or of eight; returns the advanced stream.

    They come in pairs; of an odd number the last one's partner is dropped, so that nothing is kept between calls.
    """
    n = out.shape[0]
    for i in range(0, n - 1, 2):
        u, stream = uniform(stream)
        word, stream = bits64(stream)
        out[i], out[i + 1] = normal_pair(u, word)
    if n % 2:
        u, stream = uniform(stream)
        word, stream = bits64(stream)
        out[n - 1], _ = normal_pair(u, word)
    return stream
