"""softmax_table_integer: softmax of a row of 8-bit codes by a table of 256 integers and a division an element.

    e = t[max q - q],  S = sum of e,  y = min(round(e * 2**b / S), 2**b - 1), b the bits of y

units    q counts s; t[i] counts t[0] * e**(-i * s); y counts 2**-b from its lowest code
R1       the largest code of the row is taken off, so a zero point plays no part; what is left is the index
R2       S has 32 bits without a sign: entries are at most 2**23 - 1, and so small that a row of C codes does not leave them;
         or it is joined as the row says; a sum below 1 counts as 1
R3       divided exactly, ties as the row says
R4       a share of 1 gives the largest code
error    |(y - lowest) / 2**b - softmax| <= 2**-(b+1) + 2**-b * (share of 1) + (C + 1) / (2 * t[0]) for rows of C codes
source   pytorch/QNNPACK src/softargmax.c and src/u8lut32norm/scalar.c, commit 7d2a4e9
"""
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import functions, rounding, shares
from refq.ints.accumulate import Accumulate, admit_sum, summed, summing
from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, row_tail_lost, row_tile_leaks
from refq.ints.width import U8, U32, Width

LARGEST, LONGEST = (1 << 23) - 1, 1 << 24
"""Of an entry, and of a row."""


@dataclass(frozen=True)
class Row(Base):
    ties: str = choice("half_up", *rounding.names)
    q: Width = decided(U8)
    out: Width = U8
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        admit_sum("softmax_table_integer", self.accumulate)
        if self.q.bits > 8 or self.out.bits != 8:
            raise IllFormed(f"softmax_table_integer: {self.q} to {self.out}; defined for codes of up to 8 bits, and results of 8")

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "t": U32("i", 0, LARGEST)}

    @property
    def gives(self):
        return {"y": self.out("n c")}

    def sizes(self, found):
        if found["i"] != 256 or found["c"] > LONGEST:
            raise IllFormed(f"softmax_table_integer: t has {found['i']} entries, a row {found['c']} codes; 256 entries and rows "
                            f"of up to {LONGEST} are defined")
        return never_empty("c", found, "softmax_table_integer")


def build(row, scale, count):
    """The table for codes of `scale` (float64, means what it is) in rows of `count`."""
    top = min(Decimal(U32.hi) / count, Decimal(LARGEST))
    with localcontext(prec=functions.DIGITS):
        made = [int((top * functions.exp(-i * Decimal(float(scale)))).to_integral_value()) for i in range(256)]
    return {"t": made}


def holds(row, scale, count):
    """Does the sum of a row of `count` codes fit its register?"""
    return count <= LONGEST


def result(row, scale):
    """The scale of y; its zero point is the lowest code."""
    return 2.0 ** -row.out.bits


def zero(row):
    """The zero point of y."""
    return row.out.lo


def bound(row, scale, count):
    """The largest error of y, of a share of 1."""
    return 1.5 * 2.0 ** -row.out.bits + (count + 1) / (2 * int(min(Decimal(U32.hi) / count, LARGEST)))


def registers(row, ends, sizes, constants):
    return shares.registers(row, U32, sizes["c"], max(int(constants["t"].max()), 1))


def spec(q, t, row, at=unwatched):
    q = q.astype(np.int64)
    e = at("e", t.astype(np.int64)[at("d", q.max(axis=1, keepdims=True) - q, U8)], Width(23, False))      # R1
    held = U32 if row.accumulate is None else row.accumulate.result
    total = at("total", np.maximum(summed(e, row.accumulate, at, "sum"), 1), held)                 # R2
    scaled = at.divide("scaled", row.ties, e << row.out.bits, total, Width(10))                          # R3
    return at("y", np.minimum(scaled, (1 << row.out.bits) - 1) + row.out.lo, row.out)              # R4


@cache
def kernel(row):
    divided, bits, lo, sum_of = rounding.divide(row.ties), row.out.bits, row.out.lo, summing(row.accumulate)
    most = (1 << bits) - 1

    @jit(nogil=True, error_model="numpy")
    def softmax_table_integer(q, t, y):
        e = np.empty(q.shape[1], np.int64)
        for r in range(q.shape[0]):
            largest = np.int64(q[r].max())                                                         # R1
            for c in range(q.shape[1]):
                e[c] = t[largest - q[r, c]]                                                        # R1
            total = max(sum_of(e), 1)                                                              # R2
            for c in range(q.shape[1]):
                y[r, c] = min(divided(e[c] << bits, total), most) + lo                             # R3 R4

    return softmax_table_integer


real = shares.real


slips = (channels_shifted("t", 1), channels_shifted("q", 1), row_tail_lost("c", 4), row_tile_leaks("c", 4))


r1_zero_point_plays_no_part = shares.zero_point_plays_no_part(spec)


def r3_alike_codes_have_alike_shares(q, t, row):
    y = spec(np.zeros_like(q), t, row)
    return y == y[:, :1]


def r3_keeps_order(q, t, row):
    """Larger exponentials never have smaller shares."""
    return shares.rising(t.astype(np.int64)[q.max(axis=1, keepdims=True).astype(np.int64) - q], spec(q, t, row))
