"""matmul_bitmap: activations times weights of which one bit for each place says whether the code is stored.

    acc = bias + sum over k with bit k of row m of (x[k] - zx) * (values[starts[m] + bits of the row before k] - zw)

units    acc and bias count s_x*s_w; place k is bit k % word of word k / word of a row's bits, low bits first; starts (m+1) says
         where the values of a row begin
R1       the zero points are taken off before the product; a code that is not stored stands for 0, whatever zw is: it adds nothing
R2       the sum starts with the bias
R3       the value of a place is counted out: as many bits of the row as are set before it; bits behind the row and values that
         there are not add nothing (what cannot have been meant is refused where weights are read: refq.layouts.bitmap)
R4       the products of the stored codes join in order, as the row says: exactly where it says nothing, and what does not fit is
         refused
error    exact while the accumulator is not left: the dense product of the weights with zero points where nothing is stored
source   oneapi-src/oneDNN, RFC of packed sparse weights (pull request 1724): values, offsets and a bitmask
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import bitmap_slips, sparse
from refq.ints.accumulate import Accumulate
from refq.ints.operand import Operand
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.sparse_slips import common
from refq.ints.width import I8, I32, I64, U8, Width
from refq.machine.linear import admit, rule_of, weighted_registers
from refq.machine.sparse import gathered
from refq.machine.stored import under_bits


@dataclass(frozen=True)
class Row(Base):
    """`kept`: how many values are stored, so that the declared range of starts refuses any other."""

    x: Width = decided(I8)
    w: Width = decided(I8)
    acc: Width = decided(I32)
    bits: Width = decided(U8)
    accumulate: Accumulate | None = None
    kept: int = decided(1)

    def __post_init__(self):
        super().__post_init__()
        admit(self, "matmul_bitmap")
        if self.bits.signed or self.bits.bits > 32 or self.kept < 0:
            raise IllFormed(f"matmul_bitmap: {self.kept} values under words of {self.bits}; take unsigned words, u1 to u32")

    @property
    def takes(self):
        bias = Operand(I32 if self.acc.bits <= 32 else I64, "[m]", self.acc.lo, self.acc.hi)
        return {"x": self.x("n k"), "values": self.w("[v]"), "bits": self.bits("[m] [b]"), "starts": I32("[p]", 0, self.kept),
                "bias": bias, "zx": self.x(), "zw": self.w("[m]")}

    @property
    def gives(self):
        return {"acc": self.acc("n m")}

    def sizes(self, found):
        words = -(-found["k"] // self.bits.bits)
        if found["p"] != found["m"] + 1 or found["b"] != words or found["v"] != self.kept:
            raise IllFormed(f"matmul_bitmap: {found['m']} rows of {found['k']} codes with {found['p']} starts, {found['v']} "
                            f"values and {found['b']} words of {self.bits}; there are {found['m'] + 1}, {self.kept} and {words}")
        return {}


PUBLISHED = {"u8s8": Row(x=Width(8, False))}


def build(row, values, bits, starts, bias, zx, zw):
    """The constants of a step, from the parts of refq.layouts.bitmap."""
    return sparse.of_parts({"values": values, "bits": bits, "starts": starts}, bias, zx, zw, len(bits))


def stored(values, bits, starts, row):
    """(columns, codes): of every bit its place, or -1, and its value; (m e)."""
    some = bits.astype(np.int64)[..., None] >> np.arange(row.bits.bits) & 1
    some = some.reshape(len(bits), bits.shape[1] * row.bits.bits)
    at = starts.astype(np.int64)[:len(bits), None] + np.cumsum(some, 1) - some                              # R3
    there = (some > 0) & (at >= 0) & (at < len(values))
    codes = np.append(values.astype(np.int64), 0)[np.where(there, at, len(values))]
    return np.where(there, np.arange(some.shape[1]), -1), codes


def registers(row, ends, sizes, constants):
    columns, codes = stored(constants["values"], constants["bits"], constants["starts"], row)
    there = (columns >= 0) & (columns < sizes["k"])
    return weighted_registers(row, ends, sizes, constants | {"w": np.where(there, codes, constants["zw"][:, None])})


def spec(x, values, bits, starts, bias, zx, zw, row, at=unwatched):
    columns, codes = stored(values, bits, starts, row)                                                     # R3
    return sparse.product(x.astype(np.int64), columns, codes, bias, zx, zw.astype(np.int64), rule_of(row), at)    # R1 R2 R4


@cache
def kernel(row):
    return gathered(row.x, row.w, rule_of(row), *under_bits(row.bits.bits))                                # R1 R2 R3 R4


def real(x, w, bias):
    """Real activations (n k) times weights (m k), 0 where none is stored, and a bias (m); acc is it in units of s_x*s_w."""
    return x @ w.T + bias


def places(operands, row):
    return stored(operands["values"], operands["bits"], operands["starts"], row)


slips = (*common(places, (2, 4, 8)), *bitmap_slips.of(places))


def r1_equals_the_dense_product(x, values, bits, starts, bias, zx, zw, row):
    w = sparse.dense(x, *stored(values, bits, starts, row), bias, zx, zw, row)
    return w is None or spec(x, values, bits, starts, bias, zx, zw, row) == w


def r2_no_bits_give_the_bias(x, values, bits, starts, bias, zx, zw, row):
    alone = sparse.bare(row, bias)
    return alone is None or spec(x, values, 0 * bits, starts, bias, zx, zw, row) == alone


def r3_values_come_in_order(x, values, bits, starts, bias, zx, zw, row):
    """With all bits set a row is dense: place k takes the value k places from its start."""
    if row.accumulate is not None or len(values) < bits.shape[1] * row.bits.bits:
        return True
    every, first = np.full(bits.shape, row.bits.hi), 0 * starts
    w = np.broadcast_to(values[:x.shape[1]].astype(np.int64), (len(bits), x.shape[1])) - zw.astype(np.int64)[:, None]
    total = (x.astype(np.int64) - zx) @ w.T + bias
    if total.size and not (row.acc.lo <= total.min() and total.max() <= row.acc.hi):
        return True
    return spec(x, values, every, first, bias, zx, zw, row) == total
