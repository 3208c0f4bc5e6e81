"""matmul_packed: activations times weights, where several weights share a machine word and a multiplication.

    acc = bias + sum over k of (x - zx) * (w - zw)

units    acc and bias count s_x*s_w; weights are stored (m k); their rows are taken `fields` at a time, the last may lack some
R1       the codes of one column lie `apart` bits from one another in a word, the first row lowest, a missing one as 0; with a
         bias they are lifted to 0 and up
R2       one multiplication by the activation that they share makes all their products, in a word that wraps
R3       the products are set `spread` bits apart, a negative one giving back what it borrowed from the one above, and are added
         up in `sums`, which wraps
R4       after `drain` additions, and at the end, the fields are emptied: read as `sign` says, a negative one giving back what it
         borrowed; the sum starts again at 0
R5       what a bias lifted codes by is taken off at the end, times the sum of the activations
R6       codes are multiplied as they are: bias - zx * (sum of w) - zw * (sum of x) + k * zx * zw joins at the end
error    none: a row in which a field could lose something is refused, naming the field; acc refuses what it does not hold
source   Agile-Quant (arXiv 2312.05693) and PackQViT (NeurIPS 2023): two INT4 rows in 16 bits, widened to 32, 2**8 additions;
         the drains that are exact, the repair and the bias are stated here. Xilinx WP486: INT8 products, 18 bits apart, 7 of
         them. pccx v002: weights of 4 bits, 23 apart, 4096 products: a -8 leaves the port, and the field (4095 fit), so -7 to 7
"""
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from refq.errors import IllFormed
from refq.ints import packing
from refq.ints.accumulate import refuse
from refq.ints.lanes import Lanes, joined
from refq.ints.operand import Operand
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import bias_dropped, channels_shifted, dropped, last_tile_lost, negated, tail_lost, tile_leaks, transposed
from refq.ints.width import I4, I8, I32, I48, I64, U4, U8, U16, U32, Width
from refq.machine import packed
from refq.machine.linear import weighted


@dataclass(frozen=True)
class Row(Base):
    x: Width = decided(U4)
    w: Width = decided(U4)
    acc: Width = decided(I32)
    narrow: bool = decided(False)
    fields: int = 2
    sign: str = "bias"
    word: Width = U16
    apart: int = 8
    sums: Width = U32
    spread: int = 16
    drain: int = 256
    port: int = 0

    def __post_init__(self):
        super().__post_init__()
        if not self.acc.signed or self.acc.bits > 62 or self.drain < 1 or self.spread < self.apart:
            raise IllFormed(f"matmul_packed: {self.acc}, drained after {self.drain} products, {self.apart} bits spread to "
                            f"{self.spread}; acc has a sign and at most 62 bits, the others are at least 1 and {self.apart}")
        self.summed.admit(self.drain)
        if self.port:
            self.lanes.ported(self.port)

    @cached_property
    def lanes(self):
        """The word of codes and of one product."""
        return Lanes(self.word, self.fields, self.apart, self.sign, (self.w.lo + self.narrow, self.w.hi), (self.x.lo, self.x.hi))

    @cached_property
    def summed(self):
        """The word of sums."""
        return Lanes(self.sums, self.fields, self.spread, self.sign, self.lanes.code, self.lanes.shared)

    @property
    def takes(self):
        bias = Operand(I32 if self.acc.bits <= 32 else I64, "m", self.acc.lo, self.acc.hi)
        zero = self.w("m", 0, 0) if self.narrow else self.w("m")
        return {"x": self.x("n [k]"), "w": self.w("m [k]", *self.lanes.code), "bias": bias, "zx": self.x(), "zw": zero}

    @property
    def gives(self):
        return {"acc": self.acc("n m")}


build, registers = weighted, packing.registers


def reach(operands, row, result, index):
    return packing.reach(operands, row, {"n": (0, 1), "m": (1, row.fields)}, index)


def spec(x, w, bias, zx, zw, row, at=unwatched):
    x, w, zw = x.astype(np.int64), w.astype(np.int64), zw.astype(np.int64)
    total = lanes_of(x, w, row, at)                                                                 # R1 R2 R3 R4 R5
    bare = bias - zx * w.sum(1) - zw * x.sum(1)[:, None] + x.shape[1] * zx * zw                     # R6
    return refuse(at, "acc", total + bare, row.acc)


def lanes_of(x, w, row, at=unwatched, drain=0, kept=False, lanes=None, summed=None):
    """Sums of products of codes (n m); a mistake alters the drain, what words keep, or how products and sums are taken apart."""
    (count, k), fields, drain, lanes, summed = x.shape, row.fields, drain or row.drain, lanes or row.lanes, summed or row.summed
    padded = np.pad(w, ((0, -len(w) % fields), (0, 0)))                                             # R1
    rows = padded.reshape(len(padded) // fields, fields, k).swapaxes(1, 2)
    words = at("packed", row.lanes.pack(rows)[None], Width(row.port) if row.port else row.word)     # R1
    total, held = np.zeros((count, len(rows), fields), np.int64), 0
    for first in range(0, k, drain):
        part = slice(first, first + drain)
        product = at.wrap("product", x[:, None, part] * words[..., part], row.word)                 # R2
        spread = at("spread", row.sums.wrap(joined(lanes.fields_of(product), row.spread)), row.sums)   # R3
        added = at.wrap("sum", held + np.cumsum(spread, -1), row.sums)[..., -1:]                    # R3
        total += at("drained", np.stack(summed.fields_of(added[..., 0]), -1), row.summed.held)        # R4
        held = added * kept                                                                         # R4
    lifted = at("lifted", total, I64)
    return (lifted - row.lanes.offset * x.sum(1)[:, None, None]).reshape(count, len(padded))[:, :len(w)]     # R5


@cache
def kernel(row):
    return packed.linear(row.lanes, row.summed, row.drain)                                          # R1 R2 R3 R4 R5 R6


def real(x, w, bias):
    """The product of real activations (n k) and weights (m k) with a bias (m); acc is it in units of s_x*s_w."""
    return x @ w.T + bias


slips = (bias_dropped, negated("zx"), dropped("zw"), transposed("acc"), channels_shifted("bias", 1), channels_shifted("acc", 1),
         tail_lost("k", 4), tile_leaks("k", 4), last_tile_lost("acc", 4),
         *packing.orders(lanes_of, lambda row: row.fields), *packing.drains(lanes_of, lambda row: row.summed.drain),
         packing.slip(lanes_of, "sign_not_repaired", "What was borrowed is not given back, or what lifted codes not taken off.",
                      lambda right, x, w, row: right(x, w, row, summed=packing.forgetful(row.summed))
                      + row.lanes.offset * x.sum(1)[:, None]),
         packing.slip(lanes_of, "products_not_repaired", "What a product borrowed from the one above is not given back to it.",
                      lambda right, x, w, row: right(x, w, row, lanes=packing.forgetful(row.lanes))))


def r2_products_are_those_of_the_codes(x, w, bias, zx, zw, row):
    """Whatever the words: without zero points and bias acc is the product of the codes."""
    return spec(x, w, 0 * bias, 0, 0 * zw, row) == x.astype(np.int64) @ w.T.astype(np.int64)


def r4_order_is_free(x, w, bias, zx, zw, row):
    """Columns from last to first give the same, whatever is drained when."""
    return spec(x[:, ::-1], w[:, ::-1], bias, zx, zw, row) == spec(x, w, bias, zx, zw, row)


def r6_zero_points_shift_the_codes(x, w, bias, zx, zw, row):
    """A code at its zero point adds nothing."""
    return spec(np.full_like(x, zx), w, bias, zx, zw, row) == bias


PUBLISHED = {
    "agile_quant_u4": Row(),
    "agile_quant_s4u4_borrow": Row(w=I4, sign="borrow", word=Width(16), sums=I32),
    "agile_quant_s4u4_bias": Row(w=I4),
    "agile_quant_s4s4": Row(x=I4, w=I4, sign="borrow", word=Width(16), sums=I32),
    "int8_in_32": Row(x=U8, w=U8, word=U32, apart=16, drain=1),
    "four_int4_in_64": Row(fields=4, word=U32, sums=I64),
    "dsp48_int8x2": Row(x=I8, w=I8, sign="borrow", word=I48, apart=18, sums=I48, spread=18, drain=7, port=27),
    "dsp48_w4a8": Row(x=I8, w=I4, narrow=True, sign="borrow", word=I48, apart=23, sums=I48, spread=23, drain=4096, port=27),
}
