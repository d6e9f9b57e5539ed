"""Matrix products over many rows: fixed pieces of rows side by side in our own threads, BLAS on one thread in each.

A piece runs through a whole chain of products and passes without waiting for the others. The pieces follow from the
number of rows alone, so that no bit depends on the number of threads; and threads of BLAS, which wait for each other
in every product, are slow on a machine that has other work to do.
"""

from collections.abc import Callable
from functools import cache
from threading import Lock
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


class _OneThread:
    """The limit of BLAS to one thread, set by the first who enters and lifted by the last who leaves.

    The limit belongs to the process: were it lifted by whoever leaves, it would be lifted under everyone else who is
    still inside. And a limit within a limit costs nothing.
    """

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                _take_control()
                self._limit = _blas().limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _take_control()
                self._limit.restore_original_limits()


_ONE_THREAD = _OneThread()


def one_blas_thread() -> _OneThread:
    """Return a context in which every matrix product runs on one thread, so that its bits are always the same."""
    return _ONE_THREAD


def _take_control() -> None:
    # threadpoolctl (3.8) obeys one thread only, the first that ever set a limit, lest threads fight over one number;
    # here a lock keeps them from it, and a limit that is not obeyed would let BLAS choose the bits.
    for library in _blas().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
