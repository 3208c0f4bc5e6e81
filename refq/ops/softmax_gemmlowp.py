"""softmax_gemmlowp: softmax of a row of 8-bit codes in 32-bit fixed point.

    d = q - max q,  e = exp(high(d << left, mult)) for d >= least,  S = sum of round(e / 2**12)
    y = clip(lowest + round(high(1 / S, e) / 2**down)); lowest for d < least

units    q counts s, and d << left times mult is Q5.26; e is Q0.31; S is Q12.19; y counts 2**-b from its lowest code, b its bits
R1       the largest code of the row is taken off, so a zero point plays no part
R2       a code below `least` takes no part: its exp would be below e**-31
R3       the left shift keeps the low 32 bits; the high half of the product is rounded half up
R4       exp as refq.ints.fixedpoint has it; rounded to 19 bits behind the point, ties as the row says, and summed; or joined as
         the row says, at least what the largest code may add alone, and in 31 bits, where the sum saturates
R5       S without its leading zeros, less its first bit, is a of 1 / (1 + a): one reciprocal a row, three of Newton's steps
R6       its product with e is rounded half up, and then once more, ties as the row says
R7       from the lowest code on, clipped: a share of 1 gives the largest code
error    |(y - lowest) / 2**b - softmax| <= 2**-(b+1) + 2**-b * (share of 1) + 2**-19 + C * 2**-20 / S for rows of C codes
source   tensorflow/tflite-micro tensorflow/lite/kernels/internal/reference/softmax.h, commit 90b983c2; ARM-software/CMSIS-NN
         arm_softmax_s8, which computes the same; LiteRT 2.3's ends the process where S reaches 2**28, as 512 codes alike make it
"""
from dataclasses import dataclass
from functools import cache
from math import floor

import numpy as np

from refq.errors import IllFormed
from refq.ints import fixedpoint, multiplier, rounding, shares
from refq.ints.accumulate import Accumulate, admit_sum, divisor, keeper, summing, within
from refq.ints.bits import clz32
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I32, I64, Width

INTEGER, LONGEST, ONE = 5, 4095, (1 << 19) - 1
"""Bits in front of the point of exp's argument; the longest row whose sum has 31 bits; the least that the largest code adds."""


@dataclass(frozen=True)
class Row(Base):
    ties: str = choice("half_away", *rounding.names)
    most: int = choice(31, 30, acts="build")
    q: Width = decided(I8)
    out: Width = I8
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        admit_sum("softmax_gemmlowp", self.accumulate)
        if self.q.bits > 8 or self.out.bits not in (8, 16):
            raise IllFormed(f"softmax_gemmlowp: {self.q} to {self.out}; codes of up to 8 bits give results of 8 or 16")

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "mult": I64("", 0, I32.hi), "left": I8("", 0, 31), "least": I32("", None, 0)}

    @property
    def gives(self):
        return {"y": self.out("n c")}

    def sizes(self, found):
        return shares.short(found, LONGEST, "softmax_gemmlowp")


def build(row, scale, zero):
    """The constants of a step: `scale` of q times the exponent's own factor, if it has one (float64); `zero`, its zero point,
    plays no part. Raises IllFormed for codes finer than 2**-27."""
    mult, shift = multiplier.q31(min(scale * 2.0 ** (31 - INTEGER), 2.0 ** row.most - 1))
    if shift > 31 or not mult:
        raise IllFormed(f"softmax_gemmlowp: codes of scale {scale!r}; scales of at least 2**-27 are defined: rescale it first")
    return {"mult": mult, "left": 31 - shift, "least": -floor(31 * 2.0 ** (31 - INTEGER - 31 + shift))}


holds, registers, real, zero = shares.held_to(LONGEST), shares.up_to(I32, ONE + 1), shares.real, shares.lowest


def result(row, scale):
    """The scale of y; its zero point is the lowest code."""
    return 2.0 ** -row.out.bits


def bound(row, scale, count):
    """The largest error of y: of a share of 1, in a row whose exponentials add up to 1 (S is no less)."""
    return 1.5 * 2.0 ** -row.out.bits + 2.0 ** -19 + count * 2.0 ** -20


def spec(q, mult, left, least, row, at=unwatched):
    q = q.astype(np.int64)
    d = at("d", q - q.max(axis=1, keepdims=True), Width(row.q.bits + 1))                           # R1
    lifted = at.wrap("lifted", d << left, I32)                                                     # R3
    t = at.shift("t", "half_up", at("wide", lifted * mult, I64), 31, I32)                          # R3
    e = at("e", fixedpoint.exp_neg(np.minimum(t, 0), INTEGER), I32)                                # R4
    near = at.shift("near", row.ties, e, 12, Width(21))                                            # R4
    total = divisor(np.where(d >= least, near, 0), row.accumulate, at, ONE)                        # R2 R4
    total = at("total", within(at, "sum_held", total, I32, row.accumulate), I32)                   # R4
    zeros = at("zeros", clz32(total), I8)                                                          # R5
    factor = at("factor", fixedpoint.reciprocal((total << zeros) - (1 << 31)), I32)                # R5
    share = at.shift("share", "half_up", at("product", factor * e, I64), 31, I32)                  # R6
    scaled = at.shift("scaled", row.ties, share, 43 - zeros - row.out.bits, Width(row.out.bits + 2))  # R6
    return np.where(d >= least, at.clip("y", scaled + row.out.lo, row.out), row.out.lo)            # R2 R7


@cache
def kernel(row):
    ties, lo, hi, bits, codes = rounding.word(row.ties), row.out.lo, row.out.hi, row.out.bits, 1 << row.q.bits
    high, exp_neg, reciprocal = fixedpoint.high, fixedpoint.exp_neg, fixedpoint.reciprocal
    sum_of, held = summing(row.accumulate), keeper(I32, row.accumulate)

    @jit(nogil=True)
    def softmax_gemmlowp(q, mult, left, least, y):
        # 8-bit codes have at most 256 distances from the largest: their exponentials are made once
        e, near = np.zeros(codes, np.int64), np.zeros(codes, np.int64)
        for d in range(codes):
            lifted = (((-d << left) & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000                       # R3
            e[d] = exp_neg(min(high(lifted, mult), 0), INTEGER)                                    # R3 R4
            near[d] = ties(e[d], 12) if -d >= least else 0                                         # R2 R4
        parts = np.empty(q.shape[1], np.int64)
        for r in range(q.shape[0]):
            largest = np.int64(q[r].max())                                                         # R1
            for c in range(q.shape[1]):
                parts[c] = near[largest - q[r, c]]                                                 # R4
            total = held(max(sum_of(parts), ONE))                                                  # R4
            zeros = clz32(total)                                                                   # R5
            factor, down = reciprocal((total << zeros) - 2147483648), 43 - zeros - bits            # R5
            for c in range(q.shape[1]):
                d = largest - q[r, c]                                                              # R1
                value = ties(high(factor, e[d]), down) + lo                                        # R6
                y[r, c] = min(max(value, lo), hi) if -d >= least else lo                           # R2 R7

    return softmax_gemmlowp


def all_take_part(run, operands, row):
    """Codes far below the largest are not left out."""
    return run({**operands, "least": -512})


slips = (all_take_part, channels_shifted("q", 1), row_tail_lost("c", 4), row_tile_leaks("c", 4))
r1_zero_point_plays_no_part = shares.zero_point_plays_no_part(spec)


def r2_far_codes_have_no_share(q, mult, left, least, row):
    q = q.astype(np.int64)
    return (q - q.max(axis=1, keepdims=True) >= least) | (spec(q, mult, left, least, row) == row.out.lo)


def r6_keeps_order(q, mult, left, least, row):
    """Larger codes never have smaller shares, where no argument of exp leaves its register."""
    wraps = max(least, row.q.lo - row.q.hi) << left < I32.lo
    return wraps | shares.rising(q, spec(q, mult, left, least, row))
