"""softmax_table16: softmax of a row of 16-bit codes by two interpolated tables.

    d = q - max q,  e = E(held(round(d * mult / 2**shift) + 32767)),  S = sum of e,  h = leading zeros of S in 32 bits
    y = clip(round(e * R(held((S << h - 1) + 2**13 >> 14) - 98304) / 2**(31 - h)), 0, 32767)

units    q counts s; the argument of E counts 10 / 65535 from -10 to 0; e is Q0.15, S is Q16.15; the argument of R counts
         1 / 65535 from 0 to 1; y counts 2**-15 from 0
R1       the largest code of the row is taken off, so a zero point plays no part
R2       rescaled as in rescale; held in 16 bits, which saturates, so that what lies below -10 is taken for -10; or which keeps
         the low bits, so that the share of -10.001 is that of 0
R3       E and R are tables of 513 entries of exp(x) and 1 / (1 + x), made in float64 or float32, read with one rounding, half
         up (refq.ints.interpolated)
R4       S, exact or joined as the row says (then at least 1, saturated to 31 bits), without its leading zeros, half up, is 1 + x
         of R, held as in R2: an x of 1 that does not saturate is 0
R5       one product an element, rounded by `ties` of the last shift, then clipped: a share of 1 is 32767
error    |y / 2**15 - softmax| <= 2**-13 + C * 2**-14 / S for rows of C codes: no exp is smaller than 2**-14; any, where low
         bits are kept and a code lies 10 below the largest, or S has 17 leading ones
source   tensorflow/tflite-micro tensorflow/lite/kernels/internal/reference/softmax.h, SoftmaxInt16, commit 90b983c2 (whose
         tables are made in float32); LiteRT tflite/kernels/activations.cc (float64); low bits are kept by the CAST of TOSA's
         lowering, tensorflow/compiler/mlir/tosa/transforms/legalize_common.cc, convertSoftmaxOp, since a RESCALE to 16 bits may
         have no zero point (tosa-converter-for-tflite 2026.2.0)
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import interpolated, multiplier, rounding, shares
from refq.ints.accumulate import Accumulate, admit_sum, divisor, holder, keeper, summing, within
from refq.ints.bits import clz32
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I16, I32, I64, Width

LONGEST = 65536
"""The longest row whose sum has 31 bits."""


tables = interpolated.of_softmax


@dataclass(frozen=True)
class Row(Base):
    high: str = choice("half_up", "none", *rounding.names)
    ties: str = choice("half_away", *rounding.names)
    last: str = choice("half_up", *rounding.names)
    evaluated: str = choice("float64", *interpolated.REALS)
    q: Width = decided(I16)
    out: Width = I16
    store: str = choice("clip", "wrap")
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        admit_sum("softmax_table16", self.accumulate)
        if self.q.bits > 16 or self.out != I16:
            raise IllFormed(f"softmax_table16: {self.q} to {self.out}; defined for codes of up to 16 bits, and results of i16")

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "mult": I64("", 0, I32.hi), "shift": I8("", 0, 62)}

    @property
    def gives(self):
        return {"y": self.out("n c", 0)}

    def sizes(self, found):
        return shares.short(found, LONGEST, "softmax_table16")


def build(row, scale, zero):
    """The constants of a step: `scale` of q (float64, rounded to float32); `zero`, its zero point, plays no part."""
    mult, shift = multiplier.pair(float(np.float32(scale)) / (10.0 / 65535.0), "q31")
    return {"mult": mult, "shift": shift}


holds, registers, real = shares.held_to(LONGEST), shares.up_to(I32, I16.hi), shares.real


def result(row, scale):
    """The scale of y."""
    return 2.0 ** -15


def bound(row, scale, count):
    """The largest error of y; none is stated where low bits are kept."""
    return 2.0 ** -13 + count * 2.0 ** -14 if row.store == "clip" else float("inf")


def spec(q, mult, shift, row, at=unwatched):
    e_table, r_table = tables(row.evaluated)
    q, held = q.astype(np.int64), at.clip if row.store == "clip" else at.wrap
    d = at("d", q - q.max(axis=1, keepdims=True), Width(row.q.bits + 1))                           # R1
    scaled = multiplier.scaled(at, d, mult, shift, row.high, row.ties, "wrap")                     # R2
    e = at("e", interpolated.rounded(e_table, held("argument", scaled + 32767, I16)), I16)         # R2 R3
    total = at("total", within(at, "sum_held", divisor(e, row.accumulate, at), I32, row.accumulate), I32)     # R3 R4
    zeros = at("zeros", clz32(total), I8)                                                          # R4
    x = at.shift("x", "half_up", (total << zeros) >> 1, 14, I32) - 98304                           # R4
    factor = at("factor", interpolated.rounded(r_table, held("x_held", x, I16)), I16)              # R3
    share = at.shift("share", row.last, at("product", e * factor, I64), 31 - zeros, I32)           # R5
    return at("y", np.clip(share, 0, row.out.hi), row.out)                                         # R5


@cache
def kernel(row):
    (e_table, r_table), read, hi = tables(row.evaluated), interpolated.rounded, row.out.hi
    scaled, last = multiplier.scaler(row.high, row.ties, "wrap"), rounding.word(row.last)
    held, sum_of = holder("saturate" if row.store == "clip" else "wrap", I16), summing(row.accumulate)
    fits = keeper(I32, row.accumulate)

    @jit(nogil=True)
    def softmax_table16(q, mult, shift, y):
        e = np.empty(q.shape[1], np.int64)
        for r in range(q.shape[0]):
            largest = np.int64(q[r].max())                                                         # R1
            for c in range(q.shape[1]):
                argument = scaled(np.int64(q[r, c]) - largest, mult, shift) + 32767                # R1 R2
                e[c] = read(e_table, held(argument))                                               # R2 R3
            total = fits(max(sum_of(e), 1))                                                        # R3 R4
            zeros = clz32(total)                                                                   # R4
            x = ((((total << zeros) >> 1) + 8192) >> 14) - 98304                                   # R4
            factor, down = read(r_table, held(x)), 31 - zeros                                      # R3
            for c in range(q.shape[1]):
                y[r, c] = min(max(last(e[c] * factor, down), 0), hi)                               # R5

    return softmax_table16


def shift_off_by_one(run, operands, row):
    """The argument is halved once more."""
    return run({**operands, "shift": min(operands["shift"] + 1, 62)})


slips = (shift_off_by_one, channels_shifted("q", 1), row_tail_lost("c", 4), row_tile_leaks("c", 4))


r1_zero_point_plays_no_part = shares.zero_point_plays_no_part(spec)


def r5_alike_codes_have_alike_shares(q, mult, shift, row):
    y = spec(np.zeros_like(q), mult, shift, row)
    return y == y[:, :1]


def r5_keeps_order(q, mult, shift, row):
    """Larger codes never have smaller shares, where no register keeps low bits."""
    wraps = row.store == "wrap" or row.high != "none" and row.q.lo - row.q.hi << max(31 - shift, 0) < I32.lo
    return wraps | shares.rising(q, spec(q, mult, shift, row))
