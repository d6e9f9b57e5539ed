"""Products of a matrix with the vectors of a few chains, compiled: for layers of some tens or hundreds of units.

BLAS is made for large matrices, and the BLAS that a machine brings may not know its widest registers. Here a block of
the product, a few chains times a few vector registers of the result, stays in registers while a row of the matrix after
another is loaded, once for all the chains of the block.

Every entry of the result is one chain of multiply-adds over the rows in order, whatever the block, so which vectors
stand side by side never changes their bits.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from samplers.inner import inner

BYTES = 64  # of the widest vector register; rows are padded to a multiple of it


@intrinsic(prefer_literal=True)
def _add_block(
    typing_context: Any, matrix: Any, column: Any, rows: Any, width: Any, vectors: Any, length: Any, out: Any,
    chain: Any, chains: Any, registers: Any,
) -> Any:  # fmt: skip
    """Add the block of the product at (chain, column): `chains` rows of `registers` vector registers of the result."""
    shape = chains.literal_value, registers.literal_value
    entries = 8 * BYTES // matrix.dtype.bitwidth
    kinds = [matrix, types.intp, types.intp, types.intp, vectors, types.intp, out, types.intp, chains, registers]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = context.get_value_type(matrix.dtype)
        wide = ir.VectorType(number, entries)
        undefined = ir.Constant(wide, ir.Undefined)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), entries), [0] * entries)
        _, column, rows, width, _, length, _, chain, _, _ = arguments
        data = [context.make_array(kinds[i])(context, builder, arguments[i]).data for i in (0, 4, 6)]

        def address(start: Any, row: Any, stride: Any, at: Any, kind: Any) -> Any:
            place = builder.gep(start, [builder.add(builder.mul(row, stride), at)])
            return builder.bitcast(place, kind.as_pointer())

        def index(start: Any, offset: int) -> Any:
            return builder.add(start, ir.Constant(start.type, offset))

        places = [
            [address(data[2], index(chain, c), width, index(column, r * entries), wide) for r in range(shape[1])]
            for c in range(shape[0])
        ]
        align = matrix.dtype.bitwidth // 8
        sums = [[cgutils.alloca_once_value(builder, builder.load(p, align=align)) for p in row] for row in places]
        with cgutils.for_range(builder, rows) as loop:
            weights = [
                builder.load(address(data[0], loop.index, width, index(column, r * entries), wide), align=align)
                for r in range(shape[1])
            ]
            for c in range(shape[0]):
                factor = builder.load(address(data[1], index(chain, c), length, loop.index, number))
                factor = builder.insert_element(undefined, factor, ir.Constant(ir.IntType(32), 0))
                factor = builder.shuffle_vector(factor, undefined, everywhere)
                for r in range(shape[1]):
                    total = builder.fadd(builder.load(sums[c][r]), builder.fmul(factor, weights[r]))
                    builder.store(total, sums[c][r])
        for c in range(shape[0]):
            for r in range(shape[1]):
                builder.store(builder.load(sums[c][r]), places[c][r], align=align)
        return context.get_dummy_value()

    return types.none(*kinds), generate


@inner
def add_product(matrix, rows, width, vectors, length, out, chains):
    """out[c, i] += sum_j vectors[c, j] matrix[j, i], all of them flat.

    Args:
        matrix: (rows, width), the width a multiple of BYTES.
        rows: number of rows that count.
        width: entries of a row of the matrix and of `out`.
        vectors: (chains, length); of each the first `rows` entries count.
        length: entries of a vector.
        out: (chains, width).
        chains: 1, or a multiple of eight.
    """
    entries = BYTES // matrix.itemsize
    column = 0
    if chains == 1:
        while column + 8 * entries <= width:
            _add_block(matrix, column, rows, width, vectors, length, out, 0, 1, 8)
            column += 8 * entries
        while column < width:
            _add_block(matrix, column, rows, width, vectors, length, out, 0, 1, 1)
            column += entries
        return
    while column + 2 * entries <= width:
        for chain in range(0, chains, 8):
            _add_block(matrix, column, rows, width, vectors, length, out, chain, 8, 2)
        column += 2 * entries
    while column < width:
        for chain in range(0, chains, 8):
            _add_block(matrix, column, rows, width, vectors, length, out, chain, 8, 1)
        column += entries
