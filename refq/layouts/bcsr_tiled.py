"""bcsr_tiled: bcsr in tiles of columns, with the sum of each row.

    values  (blocks * size)         as in bcsr; all blocks of the first tile come first, row by row, then those of the next tile
    columns (blocks)                int32: counted in blocks from the start of the tile
    starts  (tiles * rows + 1)      int32: where each row of each tile begins, and at the end how many blocks there are
    sums    (rows)                  int32: of all codes of a row, to take x's zero point out of a product

The zero point of the codes is 0. Partial blocks, at the end of a row, are filled with zeros.

source  pytorch/FBGEMM include/fbgemm/FbgemmSparse.h and src/FbgemmSparseDense.cc (BCSRMatrix: rowBPtr, colBIdx, values,
        row_offsets; blocks of 1 x 4 int8, tiles of 4000 columns)
"""
from dataclasses import dataclass

import numpy as np

from refq.errors import Corrupt, IllFormed
from refq.ints.sparse import part, places, rising, runs
from refq.layouts import bcsr


@dataclass(frozen=True)
class Layout(bcsr.Layout):
    tile: int = 4000

    PARTS = "values", "columns", "starts", "sums"

    def __post_init__(self):
        super().__post_init__()
        if self.zero or self.block[0] != 1 or self.tile < 1 or self.tile % self.block[1]:
            raise IllFormed(f"{self.name}: a zero point of {self.zero}, blocks of {self.block}, tiles of {self.tile} columns; "
                            "the zero point is 0, a block one row high, and a tile a multiple of a block")

    def pack(self, codes):
        codes = self.admitted(codes)
        tiles = [super(Layout, self).pack(codes[:, t:t + self.tile]) for t in range(0, codes.shape[1], self.tile)]
        starts, end = [np.zeros(1, np.int32)], 0
        for made in tiles:
            starts.append(made["starts"][1:] + np.int32(end))
            end += len(made["columns"])
        return {"values": np.concatenate([np.empty(0, codes.dtype), *(made["values"] for made in tiles)]),
                "columns": np.concatenate([np.empty(0, np.int32), *(made["columns"] for made in tiles)]),
                "starts": np.concatenate(starts), "sums": codes.sum(1, dtype=np.int32)}

    def unpack(self, parts, shape):
        rows, k = shape
        wide, across = self.block[1], -(-k // self.block[1])
        tiles, each = -(-k // self.tile), self.tile // wide
        starts = places(parts, "starts", (tiles * rows + 1,), self.name)
        columns, values = self.stored(parts)
        runs(starts, len(columns), self.name, "row of a tile")
        room = np.minimum(each, across - each * np.arange(tiles)).repeat(rows)
        owner = rising(columns, starts, room, self.name, "row of a tile")
        tile, row = (owner // rows, owner % rows) if rows else (owner, owner)
        codes = self.placed(values, row, tile * each + columns, rows, across, shape)
        sums = part(parts, "sums", np.int32, (rows,), self.name)
        if (wrong := np.flatnonzero(codes.sum(1, dtype=np.int64) != sums)).size:
            raise Corrupt(f"{self.name}: the codes of row {wrong[0]} add up to {codes[wrong[0]].sum(dtype=np.int64)}, and "
                          f"{sums[wrong[0]]} is stored as their sum; the parts are damaged")
        return codes


EVERY = (Layout(),)
CHECK = ((Layout(tile=4), [[0, 0, 0, 0, 1, 0], [0] * 6, [0, 2, 0, 0, 0, 3]],
          {"values": np.array([0, 2, 0, 0, 1, 0, 0, 0, 0, 3, 0, 0], np.int8), "columns": np.array([0, 0, 0], np.int32),
           "starts": np.array([0, 0, 0, 1, 2, 2, 3], np.int32), "sums": np.array([1, 0, 5], np.int32)}),)
