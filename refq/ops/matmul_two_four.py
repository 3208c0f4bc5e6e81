"""matmul_two_four: activations times weights of which two of every four are stored, with the places of both.

    acc = bias + sum over e of (x[4 * (e / 2) + place of e] - zx) * (values[e] - zw)

units    acc and bias count s_x*s_w; values are stored (m h), h = k / 2; a word of meta holds a nibble for each quad, the first in
         its low bits: the place of the first value in bits 0 and 1, that of the second in bits 2 and 3
R1       the zero points are taken off before the product; a code that is not stored stands for 0, whatever zw is: it adds nothing
R2       the sum starts with the bias
R3       each value meets the x that its place selects, in its own quad; nibbles are taken as they are (what cannot have been
         meant is refused where weights are read: refq.layouts.two_four), and what they select beyond the row adds nothing
R4       the products of the stored codes join in the order in which they are stored, as the row says: exactly where it says
         nothing, and what does not fit is refused
error    exact while the accumulator is not left: the dense product of the weights with zero points where nothing is stored
source   NVIDIA PTX ISA, mma.sp (2:4 sparsity, selectors); PyTorch torch/sparse/_semi_structured_conversions.py (words)
"""
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import metadata_slips, sparse
from refq.ints.accumulate import Accumulate
from refq.ints.jit import jit
from refq.ints.operand import Operand
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.sparse_slips import common
from refq.ints.width import I8, I16, I32, I48, I64, U16, U32, Width
from refq.layouts import two_four_cutlass
from refq.machine.linear import admit, rule_of, weighted_registers
from refq.machine.sparse import gathered
from refq.machine.stored import in_quads


@dataclass(frozen=True)
class Row(Base):
    x: Width = decided(I8)
    w: Width = decided(I8)
    acc: Width = decided(I32)
    meta: Width = decided(U32)
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        admit(self, "matmul_two_four")
        if self.meta.signed or self.meta.bits % 4 or self.meta.bits > 32:
            raise IllFormed(f"matmul_two_four: metadata in words of {self.meta}; words hold nibbles, u4 to u32")

    @property
    def takes(self):
        bias = Operand(I32 if self.acc.bits <= 32 else I64, "m", self.acc.lo, self.acc.hi)
        return {"x": self.x("n k"), "values": self.w("m h"), "meta": self.meta("m b"), "bias": bias, "zx": self.x(),
                "zw": self.w("m")}

    @property
    def gives(self):
        return {"acc": self.acc("n m")}

    def sizes(self, found):
        quads, words = found["k"] // 4, -(-found["k"] // self.meta.bits)
        if found["k"] % 4 or found["h"] != 2 * quads or found["b"] != words:
            raise IllFormed(f"matmul_two_four: rows of {found['k']} codes with {found['h']} values and {found['b']} words of "
                            f"{self.meta}; {quads} quads have {2 * quads} values and {words} words")
        return {}


PUBLISHED = {"s8": Row(), "words16": Row(x=I16, w=I16, acc=I48, meta=U16)}


def build(row, values, meta, bias, zx, zw):
    """The constants of a step, from the parts of refq.layouts.two_four."""
    return sparse.of_parts({"values": values, "meta": meta}, bias, zx, zw, len(values))


def registers(row, ends, sizes, constants):
    return weighted_registers(row, ends, sizes, constants | {"w": constants["values"]})


def columns_of(meta, h, row):
    """The column (m h) of every value."""
    e = np.arange(h)
    words, shift = e // 2 // (row.meta.bits // 4), 4 * (e // 2 % (row.meta.bits // 4)) + 2 * (e % 2)
    return 4 * (e // 2) + (meta.astype(np.int64)[:, words] >> shift & 3)


def spec(x, values, meta, bias, zx, zw, row, at=unwatched):
    columns = columns_of(meta, values.shape[1], row)                                                       # R3
    return sparse.product(x.astype(np.int64), columns, values.astype(np.int64), bias, zx,
                          zw.astype(np.int64), rule_of(row), at)                                           # R1 R2 R4


@cache
def kernel(row):
    inner = gathered(row.x, row.w, rule_of(row), *in_quads(row.meta.bits))                                 # R3

    @jit(nogil=True)
    def matmul_two_four(x, values, meta, bias, zx, zw, acc):
        inner(x, values, meta, meta, bias, zx, zw, acc)                                                    # R1 R2 R4

    return matmul_two_four


def real(x, w, bias):
    """Real activations (n k) times weights (m k), 0 where none is stored, and a bias (m); acc is it in units of s_x*s_w."""
    return x @ w.T + bias


def places(operands, row):
    return columns_of(operands["meta"], operands["values"].shape[1], row), operands["values"].astype(np.int64)


def reordered(run, operands, row):
    """The metadata lies as tensor cores load it, and is read as if rows lay one after the other."""
    meta, bits = operands["meta"], row.meta.bits
    if bits not in (16, 32) or len(meta) % (512 // bits) or meta.shape[1] % 2:
        return run(operands)
    turned = np.empty_like(meta)
    turned.flat[two_four_cutlass.offsets(*meta.shape, bits)] = meta
    return run({**operands, "meta": turned})


slips = (*common(places, (4, 8, 16)), reordered, *metadata_slips.of(places))


def r1_equals_the_dense_product(x, values, meta, bias, zx, zw, row):
    w = sparse.dense(x, columns_of(meta, values.shape[1], row), values.astype(np.int64), bias, zx, zw, row)
    return w is None or spec(x, values, meta, bias, zx, zw, row) == w


def r2_values_at_the_zero_point_give_the_bias(x, values, meta, bias, zx, zw, row):
    alone = sparse.bare(row, bias)
    return alone is None or spec(x, np.broadcast_to(zw[:, None], values.shape), meta, bias, zx, zw, row) == alone


def r3_where_a_zero_stands_does_not_matter(x, values, meta, bias, zx, zw, row):
    """A value at its zero point, which fills a quad up, may stand anywhere: here in the first place of its quad."""
    row = replace(row, accumulate=Accumulate(overflow="wrap", width=row.acc))
    filled = np.where(np.arange(values.shape[1]) % 2 == 1, zw[:, None], values).astype(values.dtype)
    firsts = meta & row.meta.hi // 15 * 3
    return spec(x, filled, meta, bias, zx, zw, row) == spec(x, filled, firsts, bias, zx, zw, row)
