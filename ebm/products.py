"""Matrix products over many rows: fixed pieces of rows side by side in our own threads, BLAS on one thread in each.

A piece runs through a whole chain of products and passes without waiting for the others. The pieces follow from the
number of rows alone, so that no bit depends on the number of threads; and threads of BLAS, which wait for each other
in every product, are slow on a machine that has other work to do.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from samplers.sampler import over_chains

LEAST, MOST = 64, 256  # rows of a piece: fewer waste time on packing the weights, more leave threads idle


def over_rows(part: Callable[[slice], Any], rows: int) -> None:
    """Call part(piece) for slices that together cover all rows.

    Args:
        part: works on the rows of a slice; may use matrix products.
        rows: number of rows.
    """
    pieces = 1 if rows < LEAST else 2 * -(-rows // (2 * MOST))

    def run(numbers: slice) -> None:
        for k in range(numbers.start, numbers.stop):
            part(slice(rows * k // pieces, rows * (k + 1) // pieces))

    with one_blas_thread():
        over_chains(run, pieces)


def one_blas_thread() -> Any:
    """Return a context in which every matrix product runs on one thread, so that its bits are always the same."""
    return _blas().limit(limits=1, user_api="blas")


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
