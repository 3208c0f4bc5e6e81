"""shiftmax: softmax of a row by shifts and one division.

    p = clip(floor(e * F / 2**(m + 1 - b))),  e = shift_exp(q - max q),  F = floor((2**m - 1) / min(sum e, 2**m - 1))

units    q counts s, and x0 = floor(-1/s) stands for -1; p counts 2**-(b-1), b the bits of p
R1       the largest code of the row is taken off, so a zero point plays no part
R2       exp by shifts with n fraction bits (refq.ints.exponential); of the code of -1 and of the half there are two forms: the
         paper's, and that of the authors' TVM benchmark
R3       the sum, exact or joined as the row says, saturates at 2**m - 1: m is 31 for the authors; 62 holds those of 16 bits
R4       one division a row, floored
R5       the product is floored at m + 1 - b
R6       clipped to p's width, never wrapped: idle while |x0| * 2**n < 2**m
error    |p / 2**(b-1) - softmax| <= 2**(1-b) + 0.028 + s/8 + 1.6 * (|x0|*s - 1) for rows of C <= 256 codes, while
         C * |x0| <= 2**(m-n); the last term is what a scale loses whose inverse is not whole: 0.033 at s = 1/16; a half that is
         taken first adds s/4, and unit `beyond` what |x0| * s is more
source   Li and Gu 2023 (I-ViT); zkkli/I-ViT models/quantization_utils/quant_modules.py, IntSoftmax, where float32
         carries integers: 2**31 - 1 is 2**31, and sums and products lose bits beyond 24; TVM_benchmark/models/layers.py in
         int32, whose sum would wrap where R3's saturates: `holds` says where neither happens
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import shares
from refq.ints.accumulate import Accumulate, admit_sum, divisor, summing
from refq.ints.exponential import FALLING, FINEST, HALVES, UNITS, exponential, quotient, sum_registers, unit, whole
from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, largest_forgotten, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I32, I64, Width, at_most


@dataclass(frozen=True)
class Row(Base):
    n: int = choice(15, 14, 16)
    reciprocal: int = choice(31, 62)
    unit: str = choice("floor", *UNITS, acts="build")
    half: str = choice(*HALVES)
    q: Width = decided(I8)
    out: Width = I8
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "shiftmax", self.q, self.out)
        admit_sum("shiftmax", self.accumulate)
        if not self.out.signed:
            raise IllFormed(f"shiftmax: p of {self.out}; its top bit stands for 1, so give it a signed width")

    @property
    def rounds(self):
        return "floor"

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "x0": I32("", FINEST, -1)}

    @property
    def gives(self):
        return {"p": self.out("n c", 0)}

    def sizes(self, found):
        return never_empty("c", found, "shiftmax")


def build(row, scale, zero):
    """The constants of a step: `scale` of q (a float64 in 2**-24 .. 1), `zero` its zero point, which plays no part."""
    return {"x0": unit(scale, "shiftmax", row.unit)}


def holds(row, scale, count):
    """Does the sum of a row of `count` codes of `scale` never saturate?"""
    return count * -unit(scale, "shiftmax", row.unit) << row.n < 1 << row.reciprocal


registers, real = sum_registers, shares.real


def bound(row, scale, count):
    """The largest error of p where the sum does not saturate; none is stated of rows longer than 256."""
    lost = -build(row, scale, 0)["x0"] * scale - 1
    near = 2.0 ** (1 - row.out.bits) + 0.028 + scale / 8 + 1.6 * lost + (row.half == "first") * scale / 4
    return near if count <= 256 and holds(row, scale, count) else float("inf")


def fitting(scale):
    """The least scale not below `scale` at which -1 has a code of its own: the formula errs least there."""
    return whole(scale, 1)


def result(row, scale):
    """The scale of p."""
    return 2.0 ** (1 - row.out.bits)


def spec(q, x0, row, at=unwatched):
    q = q.astype(np.int64)
    lowered = at("lowered", q - q.max(axis=1, keepdims=True), Width(row.q.bits + 1))               # R1
    e = exponential(at, "e", lowered, x0, row.n, row.half)                                         # R2
    held = Width(row.reciprocal + 1)
    total = at.clip("total", divisor(e, row.accumulate, at), held)                                 # R3
    factor = at.divide("factor", "floor", held.hi, total, held)                                    # R4
    scaled = at.shift("scaled", "floor", e * factor, row.reciprocal + 1 - row.out.bits, I64)       # R5
    return at.clip("p", scaled, row.out)                                                           # R6


@cache
def kernel(row):
    n, down, hi, codes = row.n, row.reciprocal + 1 - row.out.bits, row.out.hi, 1 << row.q.bits if row.q.bits <= 8 else 0
    one, single, sum_of, exp = (1 << row.reciprocal) - 1, row.reciprocal <= 31, summing(row.accumulate), FALLING[row.half]

    @jit(nogil=True, error_model="numpy")
    def shiftmax(q, x0, p):
        # 8-bit codes have at most 256 distances from the largest: their exponentials are made once
        exponentials = np.empty(codes, np.int64)
        for d in range(codes):
            exponentials[d] = exp(-d, x0, n)                                                       # R2
        e = np.empty(q.shape[1], np.int64)
        for r in range(q.shape[0]):
            largest = np.int64(q[r].max())                                                         # R1
            for c in range(q.shape[1]):
                d = largest - q[r, c]                                                              # R1
                e[c] = exponentials[d] if codes else exp(-d, x0, n)                                # R2
            total = min(max(sum_of(e), 1), one)                                                    # R3
            factor = quotient(one, total) if single else one // total                              # R4
            for c in range(q.shape[1]):
                p[r, c] = min((e[c] * factor) >> down, hi)                                         # R5 R6

    return shiftmax


slips = (channels_shifted("q", 1), row_tail_lost("c", 4), row_tile_leaks("c", 4), largest_forgotten)


r1_zero_point_plays_no_part = shares.zero_point_plays_no_part(spec)


def r2_keeps_order(q, x0, row):
    """Larger codes never have smaller shares: exp by shifts is monotone."""
    order = np.argsort(q, axis=1, kind="stable")
    return np.diff(np.take_along_axis(spec(q, x0, row), order, axis=1), axis=1) >= 0


def r4_near_the_real_value(q, x0, row):
    """Within the bound of softmax at the scale 1 / |x0|; and no row has shares of more than 1 together."""
    if row.accumulate is not None or q.shape[1] > 256 or q.shape[1] * (-x0 << row.n) >= 1 << row.reciprocal:
        return True
    p, s, unit = spec(q, x0, row), -1 / x0, 2.0 ** (1 - row.out.bits)
    near = np.abs(p * unit - real(q.astype(np.int64), s)) <= unit + 0.028 + s / 8 + (row.half == "first") * s / 4
    return near & (p.sum(axis=1, keepdims=True) * unit <= 1)
