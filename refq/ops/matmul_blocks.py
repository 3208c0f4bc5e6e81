"""matmul_blocks: activations times weights of which blocks are stored, row of blocks by row of blocks (BCSR).

    acc = bias + sum over the blocks of row m / high, and over c below wide, of (x[column of the block, c] - zx) * (code - zw)

units    acc and bias count s_x*s_w; a block is high x wide codes, its rows one after the other; columns (b) counts blocks;
         starts (p) says where each row of blocks begins; where `tile` is not 0, k is cut into tiles of so many columns, starts
         holds the rows of the first tile, then those of the next, and columns counts from the start of the tile
R1       the zero points are taken off before the product; a code that is not stored stands for 0, whatever zw is: it adds nothing
R2       the sum starts with the bias
R3       block e stands at column tile + wide * columns[e]; what lies behind the row's end, where the last block may reach, adds
         nothing; a run that ends before it starts is empty
R4       the products of the stored codes join in the order in which they are stored, tile by tile, as the row says: exactly
         where it says nothing, and what does not fit is refused
error    exact while the accumulator is not left: the dense product of the weights with zero points where nothing is stored
source   pytorch/FBGEMM include/fbgemm/FbgemmSparse.h (1x4, tiles of 4000); PyTorch qnnpack/src/pack_block_sparse.cc (8x1, 1x4)
"""
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import block_slips, sparse
from refq.ints.accumulate import Accumulate
from refq.ints.operand import Operand
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import place_off_by
from refq.ints.sparse_slips import common
from refq.ints.width import I8, I32, I64, U8, Width
from refq.machine.linear import admit, rule_of, weighted_registers
from refq.machine.sparse import gathered
from refq.machine.stored import in_blocks


@dataclass(frozen=True)
class Row(Base):
    """`block`: its rows and columns; `tile`: columns of a tile, 0 for one; `across`: how many blocks lie side by side in a tile,
    and `kept`: how many are stored, so that the declared ranges of columns and starts refuse any other."""

    x: Width = decided(I8)
    w: Width = decided(I8)
    acc: Width = decided(I32)
    accumulate: Accumulate | None = None
    block: tuple = decided((1, 4))
    tile: int = decided(0)
    across: int = decided(1)
    kept: int = decided(1)

    def __post_init__(self):
        super().__post_init__()
        admit(self, "matmul_blocks")
        if len(self.block) != 2 or min(*self.block, self.across, self.kept + 1, self.tile + 1) < 1 or self.tile % self.block[1]:
            raise IllFormed(f"matmul_blocks: blocks of {self.block}, tiles of {self.tile} columns, {self.across} across and "
                            f"{self.kept} stored; a block has rows and columns, and a tile is a multiple of one")

    @property
    def takes(self):
        bias = Operand(I32 if self.acc.bits <= 32 else I64, "[m]", self.acc.lo, self.acc.hi)
        return {"x": self.x("n k"), "values": self.w("[v]"), "columns": I32("[b]", 0, self.across - 1),
                "starts": I32("[p]", 0, self.kept), "bias": bias, "zx": self.x(), "zw": self.w("[m]")}

    @property
    def gives(self):
        return {"acc": self.acc("n m")}

    def sizes(self, found):
        (high, wide), k = self.block, found["k"]
        tiles, down = -(-k // self.tile) if self.tile else 1, -(-found["m"] // high)
        across = -(-min(k, self.tile or k) // wide)
        right = tiles * down + 1, self.kept, self.kept * high * wide
        if (found["p"], found["b"], found["v"]) != right or across > self.across:
            raise IllFormed(f"matmul_blocks: ({found['m']} {k}) in blocks of {self.block}, {self.across} across, with "
                            f"{found['p']} starts, {found['b']} columns and {found['v']} values; there are {right}")
        return {}


PUBLISHED = {"fbgemm": Row(x=U8, tile=4000, across=1000), "qnnpack_8x1": Row(x=U8, w=U8, block=(8, 1)),
             "qnnpack_1x4": Row(x=U8, w=U8)}


def build(row, values, columns, starts, bias, zx, zw):
    """The constants of a step, from the parts of refq.layouts.bcsr or bcsr_tiled; `zw` is of each channel."""
    return sparse.of_parts({"values": values, "columns": columns, "starts": starts}, bias, zx, zw, len(zw))


def stored(values, columns, starts, m, k, row):
    """(columns, codes): of every stored code of a row the column of x, or -1, and its value; (m e)."""
    (high, wide), down, tiles = row.block, -(-m // row.block[0]), -(-k // row.tile) if row.tile else 1
    ends, found = np.clip(starts.astype(np.int64), 0, len(columns)), []
    for j in range(m):
        place, value = [], []
        for t in range(tiles):
            e = np.arange(ends[t * down + j // high], ends[t * down + j // high + 1])[:, None]
            column = (t * row.tile + wide * columns[e] + np.arange(wide)).reshape(-1)                      # R3
            place += np.where(column < k, column, -1).tolist()
            value += values[(e * high + j % high) * wide + np.arange(wide)].reshape(-1).tolist()
        found.append((place, value))
    made = np.full((2, m, max([wide, *(len(place) for place, _ in found)])), -1, np.int64)
    for j, (place, value) in enumerate(found):
        made[:, j, :len(place)] = place, value
    return made


def registers(row, ends, sizes, constants):
    columns, codes = stored(*(constants[name] for name in ("values", "columns", "starts")), sizes["m"], sizes["k"], row)
    return weighted_registers(row, ends, sizes, constants | {"w": np.where(columns >= 0, codes, constants["zw"][:, None])})


def spec(x, values, columns, starts, bias, zx, zw, row, at=unwatched):
    found, codes = stored(values, columns, starts, len(bias), x.shape[1], row)                             # R3
    return sparse.product(x.astype(np.int64), found, codes, bias, zx, zw.astype(np.int64), rule_of(row), at)      # R1 R2 R4


@cache
def kernel(row):
    return gathered(row.x, row.w, rule_of(row), *in_blocks(*row.block, row.tile))                          # R1 R2 R3 R4


def real(x, w, bias):
    """Real activations (n k) times weights (m k), 0 where none is stored, and a bias (m); acc is it in units of s_x*s_w."""
    return x @ w.T + bias


def places(operands, row):
    return stored(operands["values"], operands["columns"], operands["starts"], len(operands["bias"]), operands["x"].shape[1], row)


slips = (*common(places, (2, 4, 8)), place_off_by("columns", 1), place_off_by("columns", -1), *block_slips.of(places))


def r1_equals_the_dense_product(x, values, columns, starts, bias, zx, zw, row):
    w = sparse.dense(x, *stored(values, columns, starts, len(bias), x.shape[1], row), bias, zx, zw, row)
    return w is None or spec(x, values, columns, starts, bias, zx, zw, row) == w


def r2_empty_rows_give_the_bias(x, values, columns, starts, bias, zx, zw, row):
    alone = sparse.bare(row, bias)
    return alone is None or spec(x, values, columns, 0 * starts, bias, zx, zw, row) == alone


def r3_what_lies_behind_the_row_may_be_anything(x, values, columns, starts, bias, zx, zw, row):
    """With x one column shorter, the codes that met its last one, behind the edge now, do not matter."""
    if x.shape[1] < 2 or row.tile:
        return True
    short, (last, place) = x[:, :-1], divmod(x.shape[1] - 1, row.block[1])
    blocks = values.reshape(-1, *row.block).copy()
    blocks[columns == last, :, place] = row.w.hi
    free = replace(row, accumulate=Accumulate(overflow="wrap", width=row.acc))
    return spec(short, blocks.reshape(-1), columns, starts, bias, zx, zw, free) == spec(
        short, values, columns, starts, bias, zx, zw, free)
