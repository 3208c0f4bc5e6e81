"""bcsr: blocks of codes that are not all zero, row of blocks by row of blocks, each with its column of blocks.

    values  (blocks * size)    the codes of each block, its rows one after the other
    columns (blocks)           int32: the column of each block, counted in blocks
    starts  (block rows + 1)   int32: where each row of blocks begins, and at the end how many there are

A block that reaches over the right or the lower edge is filled with the zero point. A block is kept where any code of it is
not zero, so some that are stored may be.

source  PyTorch ATen/native/quantized/cpu/qnnpack/src/pack_block_sparse.cc (blocks 8x1 and 1x4 of unsigned codes, with zero
        points). It ends its search of a block at the first column beyond the edge: of blocks of several rows and columns it
        would lose codes in the rows behind; the two shapes that it is used with do not have that
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import Corrupt, IllFormed
from refq.ints.sparse import Stored, places, rising, runs


@dataclass(frozen=True)
class Layout(Stored):
    block: tuple = (1, 4)

    PARTS = "values", "columns", "starts"

    def __post_init__(self):
        super().__post_init__()
        if len(self.block) != 2 or min(self.block) < 1:
            raise IllFormed(f"{self.name}: blocks of {self.block}; give the rows and the columns of a block, such as (1, 4)")

    def blocks(self, codes):
        """(block rows, block columns, rows of a block, columns of a block), filled up with the zero point."""
        (high, wide), (rows, k) = self.block, codes.shape
        filled = np.full((-(-rows // high) * high, -(-k // wide) * wide), self.zero, codes.dtype)
        filled[:rows, :k] = codes
        return filled.reshape(len(filled) // high, high, filled.shape[1] // wide, wide).swapaxes(1, 2)

    def pack(self, codes):
        blocks = self.blocks(self.admitted(codes))
        some = (blocks != self.zero).any((2, 3))
        starts = np.concatenate([[0], np.cumsum(some.sum(1))]).astype(np.int32)
        return {"values": blocks[some].reshape(-1), "columns": np.nonzero(some)[1].astype(np.int32), "starts": starts}

    def unpack(self, parts, shape):
        (high, wide), (rows, k) = self.block, shape
        down, across = -(-rows // high), -(-k // wide)
        starts = places(parts, "starts", (down + 1,), self.name)
        columns, values = self.stored(parts)
        runs(starts, len(columns), self.name, "row of blocks")
        owner = rising(columns, starts, across, self.name, "row of blocks")
        return self.placed(values, owner, columns, down, across, shape)

    def stored(self, parts):
        """(columns, blocks of values), as many of both."""
        columns = places(parts, "columns", None, self.name)
        return columns, self.values(parts, (len(columns) * self.block[0] * self.block[1],)).reshape(-1, *self.block)

    def placed(self, values, owner, columns, down, across, shape):
        """Codes of `shape` from blocks of values and where they stand."""
        blocks = self.empty((down, across, *self.block))
        blocks[owner, columns] = values
        whole = blocks.swapaxes(1, 2).reshape(down * self.block[0], across * self.block[1])
        codes = whole[:shape[0], :shape[1]]
        behind = whole != self.zero
        behind[:shape[0], :shape[1]] = False
        if behind.any():
            row, column = np.argwhere(behind)[0]
            raise Corrupt(f"{self.name}: the block of row {row // self.block[0] * self.block[0]} at column "
                          f"{column // self.block[1] * self.block[1]} holds {whole[row, column]} behind the edge of "
                          f"{tuple(shape)}; that padding must be the zero point {self.zero}")
        return np.ascontiguousarray(codes)


EVERY = (Layout(), Layout(signed=False, zero=128, block=(8, 1)))
CHECK = ((Layout(), [[0, 0, 0, 0, 1, 0], [0] * 6, [0, 2, 0, 0, 0, 3]],
          {"values": np.array([1, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0], np.int8), "columns": np.array([1, 0, 1], np.int32),
           "starts": np.array([0, 1, 1, 3], np.int32)}),)
