"""softmax_tosa: softmax of a row of 8-bit codes, as the chain of TOSA operators that TFLite's becomes.

    e = t[max q - q],  S = sum of round(e / 2**12),  h = leading zeros of S in 32 bits,  a = S << h - 1
    x = 48/17 - 32/17 * a;  three times  x = x + 4 * high(x, 1 - high(a, x))
    y = clip(lowest + round(round(e * x / 2**30) / 2**(35 - h)))

units    q counts s; t[i] is Q0.31 of e**(-i * s); S is Q12.19; a is half of what is left of S behind its leading zeros; x, Q2.29,
         is half of 1 / a; y counts 2**-8 from its lowest code
R1       the largest code of the row is taken off, so a zero point plays no part; what is left is an index, 128 times of which
         four TABLEs read: the bytes of t
R2       rounded to 19 bits behind the point, ties as the row says, and summed in 32 bits; 0, which exponentials never sum to,
         counts as 1; joined as a row says, the sum is at least one exponential, and saturates
R3       one reciprocal a row: a line and three of Newton's steps, each product rounded half up at bit 31 (MUL of shift 31)
R4       a product an element, rounded half up at bit 30; x is at most 2**30, so it stays below 2**31
R5       shifted right once more, ties as the row says
R6       from the lowest code on, clipped (RESCALE): a share of 1 gives the largest code
error    |(y - lowest) / 2**8 - softmax| <= 2**-9 + 2**-8 * (share of 1) + 2**-19 + C * 2**-20 / S for rows of C codes, of either
         table but for codes below e**-31
source   tensorflow/compiler/mlir/tosa/transforms/legalize_common.cc, convertSoftmaxOp, and legalize_utils.cc,
         getTosaConst32bitSoftmaxExpTable (`fixed`; before 2023 getTosaConst32bitTable, `rounded`), as tosa-converter-for-tflite
         2026.2.0 emits it (TensorFlow commit 777924f5), run by Arm's reference model
"""
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import fixedpoint, functions, rounding, shares
from refq.ints.accumulate import Accumulate, admit_sum, divisor, keeper, summing, within
from refq.ints.bits import clz32
from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I32, I64, U8, Width
from refq.ops import softmax_gemmlowp

LONGEST, ONE = 4095, 1 << 19
"""The longest row whose sum has 31 bits; the exponential of the largest code."""


@dataclass(frozen=True)
class Row(Base):
    ties: str = choice("half_up", *rounding.names)
    exponentials: str = choice("fixed", "rounded", acts="build")
    q: Width = decided(I8)
    out: Width = I8
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        admit_sum("softmax_tosa", self.accumulate)
        if self.q.bits > 8 or self.out.bits != 8:
            raise IllFormed(f"softmax_tosa: {self.q} to {self.out}; defined for codes of up to 8 bits, and results of 8")

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "t": I32("i", 0)}

    @property
    def gives(self):
        return {"y": self.out("n c")}

    def sizes(self, found):
        if found["i"] != 256 or found["c"] > LONGEST:
            raise IllFormed(f"softmax_tosa: t has {found['i']} entries, a row {found['c']} codes; 256 entries and rows of up to "
                            f"{LONGEST} are defined, whose sum fits 32 bits")
        return never_empty("c", found, "softmax_tosa")


def build(row, scale, zero):
    """The table for codes of `scale` (float64, that of a float32); `zero`, its zero point, plays no part. Raises IllFormed for
    codes finer than 2**-27, of which the fixed-point exponential has none."""
    if row.exponentials == "rounded":
        with localcontext(prec=functions.DIGITS):
            made = [int((functions.exp(-i * Decimal(scale)) * (1 << 31)).to_integral_value("ROUND_HALF_UP")) for i in range(256)]
        return {"t": [min(e, I32.hi) for e in made]}
    given = softmax_gemmlowp.build(softmax_gemmlowp.Row(), scale, zero)
    d = np.maximum(-np.arange(256), given["least"])
    fine = fixedpoint.high(d << given["left"], given["mult"])
    return {"t": np.where(d == -np.arange(256), fixedpoint.exp_neg(np.minimum(fine, 0), softmax_gemmlowp.INTEGER), 0).tolist()}


def holds(row, scale, count):
    """Does the sum of a row of `count` codes fit its register?"""
    return count <= LONGEST


def result(row, scale):
    """The scale of y; its zero point is the lowest code."""
    return 2.0 ** -row.out.bits


def registers(row, ends, sizes, constants):
    """The sum of a row, and the products of an exponential with the reciprocal, before and after their shift."""
    most = int(np.max(constants["t"])) if "t" in constants else I32.hi
    yield from shares.registers(row, I32, sizes["c"], max(most + (1 << 11) >> 12, 1))
    yield "product", I64, 0, most << 30
    yield "share", I32, 0, most


def spec(q, t, row, at=unwatched):
    q = q.astype(np.int64)
    e = at("e", t.astype(np.int64)[at("d", q.max(axis=1, keepdims=True) - q, U8)], I32)            # R1
    near = at.shift("near", row.ties, e, 12, Width(21))                                            # R2
    total = np.maximum(divisor(near, row.accumulate, at, ONE), 1)                                  # R2
    total = at("total", within(at, "sum_held", total, I32, row.accumulate), I32)                   # R2
    zeros = at("zeros", clz32(total), I8)                                                          # R3
    factor = at("factor", fixedpoint.inverse((total << zeros) - (1 << 31)), I32)                   # R3
    share = at.shift("share", "half_up", at("product", e * factor, I64), 30, I32)                  # R4
    scaled = at.shift("scaled", row.ties, share, 35 - zeros, Width(10))                            # R5
    return at("y", np.minimum(scaled, row.out.hi - row.out.lo) + row.out.lo, row.out)              # R6


@cache
def kernel(row):
    ties, lo, hi, inverse, half_up = rounding.word(row.ties), row.out.lo, row.out.hi, fixedpoint.inverse, rounding.half_up
    sum_of, held, least = summing(row.accumulate), keeper(I32, row.accumulate), ONE if row.accumulate else 1

    @jit(nogil=True)
    def softmax_tosa(q, t, y):
        near = np.empty(t.size, np.int64)
        for i in range(t.size):
            near[i] = ties(np.int64(t[i]), 12)                                                     # R2
        parts = np.empty(q.shape[1], np.int64)
        for r in range(q.shape[0]):
            largest = np.int64(q[r].max())                                                         # R1
            for c in range(q.shape[1]):
                parts[c] = near[largest - q[r, c]]                                                 # R2
            total = held(max(sum_of(parts), least))                                                # R2
            zeros = clz32(total)                                                                   # R3
            factor, down = inverse((total << zeros) - 2147483648), 35 - zeros                      # R3
            for c in range(q.shape[1]):
                share = half_up(np.int64(t[largest - q[r, c]]) * factor, 30)                       # R4
                y[r, c] = min(ties(share, down) + lo, hi)                                          # R5 R6

    return softmax_tosa


real, zero, bound = shares.real, shares.lowest, softmax_gemmlowp.bound
slips = (channels_shifted("t", 1), channels_shifted("q", 1), row_tail_lost("c", 4), row_tile_leaks("c", 4))
r1_zero_point_plays_no_part = shares.zero_point_plays_no_part(spec)


def r5_larger_exponentials_have_no_smaller_shares(q, t, row):
    """By one reciprocal for the row: order is kept where the table's is."""
    return shares.rising(t.astype(np.int64)[q.max(axis=1, keepdims=True).astype(np.int64) - q], spec(q, t, row))
