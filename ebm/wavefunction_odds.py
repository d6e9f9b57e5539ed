"""The flips of eight chains of a real RBM wavefunction side by side: what samplers.flips asks of an energy.

    |psi(s')|^2 / |psi(s)|^2 = prod_j (1 + y_j G_ij)^2 / (exp(a) prod_j (1 + y_j)^2)

in the terms of ebm.wavefunction, with one block that holds all hidden units. Each chain goes through the row of the
table that its own spin asks for, eight units in a register, and the eight products are folded into one register.
"""

from numba import uint64

from samplers.inner import inline, inner
from samplers.lane_views import beside, in_eights, products_of
from samplers.lanes import every, fma, sqrt, where

LARGEST = 1e150  # product whose square is trusted


@inline
def _row(x, site, chain):
    return uint64(2) * uint64(site) + uint64(x[chain, site] < 0)


@inline
def _chains_and_rows(x, site, begin, end):
    """Return four chains from `begin` on, the last one before `end` in place of more, and their rows of the table."""
    last = uint64(end) - uint64(1)
    first = min(uint64(begin), last)
    second, third, fourth = min(first + uint64(1), last), min(first + uint64(2), last), min(first + uint64(3), last)
    chains = first, second, third, fourth
    return chains, (_row(x, site, first), _row(x, site, second), _row(x, site, third), _row(x, site, fourth))


@inline
def _products(y, table, chains, rows):
    """Return the products of 1 + y_j G_ij of four chains, each as eight that are still to be multiplied."""
    (k, l, m, n), (s, t, u, v) = chains, rows
    a, b = fma(y[k, 0], table[s, 0], 1.0), fma(y[l, 0], table[t, 0], 1.0)
    c, d = fma(y[m, 0], table[u, 0], 1.0), fma(y[n, 0], table[v, 0], 1.0)
    for j in range(uint64(1), uint64(table.shape[1])):
        a = a * fma(y[k, j], table[s, j], 1.0)
        b = b * fma(y[l, j], table[t, j], 1.0)
        c = c * fma(y[m, j], table[u, j], 1.0)
        d = d * fma(y[n, j], table[v, j], 1.0)
    return a, b, c, d


@inline
def _quotient(y, table, chain, row):
    """Return the product of (1 + y_j G_ij) / (1 + y_j), as eight that are still to be multiplied."""
    product = fma(y[chain, 0], table[row, 0], 1.0) / (y[chain, 0] + 1.0)
    for j in range(uint64(1), uint64(table.shape[1])):
        product = product * (fma(y[chain, j], table[row, j], 1.0) / (y[chain, j] + 1.0))
    return product


@inner  # rarely called: in line, it would take the registers of what is always done
def _quotients(x, site, table, caches, begin, end):
    """Return the products of (1 + y_j G_ij) / (1 + y_j) of eight chains, whatever the size of either product."""
    y, table = in_eights(caches), in_eights(table)
    (k, l, m, n), (s, t, u, v) = _chains_and_rows(x, site, begin, end)
    a, b = _quotient(y, table, k, s), _quotient(y, table, l, t)
    c, d = _quotient(y, table, m, u), _quotient(y, table, n, v)
    (k, l, m, n), (s, t, u, v) = _chains_and_rows(x, site, begin + 4, end)
    e, f = _quotient(y, table, k, s), _quotient(y, table, l, t)
    g, h = _quotient(y, table, m, u), _quotient(y, table, n, v)
    return products_of((a, b, c, d, e, f, g, h))


@inline
def odds(x, site, p, caches, begin, end):
    """Return (new, old, product): exp(-dE) = new / old of the flip of a site, and the product of 1 + y_j after it."""
    y, table, bias, place = in_eights(caches), in_eights(p[3]), p[4][1], uint64(p[3].shape[1])
    (k, l, m, n), (s, t, u, v) = first = _chains_and_rows(x, site, begin, end)
    (q, r, w, z), (e, f, g, h) = second = _chains_and_rows(x, site, begin + 4, end)
    after = products_of((*_products(y, table, *first), *_products(y, table, *second)))
    before = beside((
        caches[k, place], caches[l, place], caches[m, place], caches[n, place],
        caches[q, place], caches[r, place], caches[w, place], caches[z, place],
    ))  # fmt: skip
    factor = beside((bias[s], bias[t], bias[u], bias[v], bias[e], bias[f], bias[g], bias[h]))
    new, old = after * after, before * before * factor
    trusted = (after < LARGEST) & (before < LARGEST)
    if not every(trusted):
        root = _quotients(x, site, p[3], caches, begin, end) / sqrt(factor)
        new, old = where(trusted, new, root * root), where(trusted, old, 1.0)
    return new, old, after


@inline
def flip(x, site, p, cache, product):
    """Bring the cache of a chain in line with a flip, before it is made: the product after it is known."""
    y, table = in_eights(cache), in_eights(p[3])
    row = uint64(2) * uint64(site) + uint64(x[site] < 0)
    for j in range(uint64(table.shape[1])):
        y[j] = y[j] * table[row, j]
    place = uint64(p[3].shape[1])
    cache[place] = product
    cache[place + uint64(2)] = -1.0  # no site is noted any more
