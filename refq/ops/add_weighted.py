"""add_weighted: the sum of two tensors of different grids, or their difference: two multipliers, one shift, one rounding.

    y = clip(zo + round(((a - za) * ka +- (b - zb) * kb) / 2**shift))

units    a, b and y count s_a, s_b and s_y; ka / 2**shift is s_a / s_y, kb / 2**shift is s_b / s_y
R1       zero points are taken off
R2       the weighted codes are summed, or the second one is taken off the first, in 32 bits, which they cannot leave
R3       rounded once, ties as the row says
R4       the zero point joins last
R5       clipped to the output width, never wrapped
error    half a unit of y (one for a rounding that is not to the nearest), and 2**-bits of each summand, while R5 is idle
source   google/XNNPACK src/microparams-init.c, vadd (21 bits, half up); pytorch/QNNPACK src/qnnpack/requantization.h and
         microsoft/onnxruntime core/mlas/lib/qladd.cpp on Arm (22 bits, half away)
"""
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from math import frexp, ldexp

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding, scales, spans
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, last_tile_lost, negated
from refq.ints.width import I8, I32, Width, at_most

FINEST, COARSEST = -10, 7
"""The exponents of two that the larger of s_a / s_y and s_b / s_y may have."""
SIGNS = {"plus": 1, "minus": -1}


@dataclass(frozen=True)
class Row(Base):
    bits: int = choice(21, 22, acts="build")
    ratio: str = choice("float32", *scales.names, acts="build")
    ties: str = choice("half_up", *rounding.names)
    a: Width = decided(I8)
    b: Width = decided(I8)
    out: Width = decided(I8)
    join: str = decided("plus")

    def __post_init__(self):
        super().__post_init__()
        at_most(8, "add_weighted", self.a, self.b, self.out)
        if self.join not in SIGNS:
            raise IllFormed(f"add_weighted: join is {self.join!r}; it can be {', '.join(map(repr, SIGNS))}")

    @property
    def takes(self):
        weight = I32("", 0, 1 << self.bits)
        return {"a": self.a("n"), "b": self.b("n"), "za": self.a(), "zb": self.b(), "ka": weight, "kb": weight,
                "shift": I8("", self.bits - 1 - COARSEST, self.bits - 1 - FINEST), "zo": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n")}


def build(row, sa, za, sb, zb, so, zo):
    """The constants of a step from the real scales `sa`, `sb`, `so` (float64) and the zero points; the larger multiplier has
    `bits` bits, or is the next power of two. Raises IllFormed where an input's unit is far from the output's."""
    ratios = [float(scales.ratio(row.ratio, (s,), so)) for s in (sa, sb)]
    exponent = frexp(max(ratios))[1] - 1
    if not FINEST <= exponent <= COARSEST:
        raise IllFormed(f"add_weighted: scales {sa!r} and {sb!r} over {so!r}; the larger quotient lies between 2**{FINEST} and "
                        f"2**{COARSEST + 1}")
    shift = row.bits - 1 - exponent
    ka, kb = (int(np.rint(ldexp(r, shift))) for r in ratios)
    return {"za": za, "zb": zb, "ka": ka, "kb": kb, "shift": shift, "zo": zo}


registers = spans.weighted


def spec(a, b, za, zb, ka, kb, shift, zo, row, at=unwatched):
    first = at("a_weighted", (a.astype(np.int64) - za) * ka, I32)                                 # R1
    second = at("b_weighted", (b.astype(np.int64) - zb) * kb, I32)                                # R1
    total = at("total", first + SIGNS[row.join] * second, I32)                                    # R2
    return at.clip("y", at.shift("scaled", row.ties, total, shift, I32) + zo, row.out)  # R3 R4 R5


@cache
def kernel(row):
    ties, sign, lo, hi = rounding.word(row.ties), SIGNS[row.join], row.out.lo, row.out.hi

    @jit(nogil=True)
    def add_weighted(a, b, za, zb, ka, kb, shift, zo, y):
        for n in range(a.shape[0]):
            total = (a[n] - za) * ka + sign * ((b[n] - zb) * kb)                                  # R1 R2
            y[n] = min(max(ties(total, shift) + zo, lo), hi)                                      # R3 R4 R5

    return add_weighted


def real(a, b, za, zb, ka, kb, shift, zo, row):
    return zo + Fraction((int(a) - za) * ka + SIGNS[row.join] * (int(b) - zb) * kb, 1 << shift)


def weights_swapped(run, operands, row):
    """The multipliers of the two operands change places."""
    return run({**operands, "ka": operands["kb"], "kb": operands["ka"]})


def joined_the_other_way(run, operands, row):
    """A difference is taken where the sum is meant, or the sum of a difference."""
    return run(operands, row=replace(row, join="minus" if row.join == "plus" else "plus"))


slips = (dropped("za"), negated("za"), dropped("zb"), negated("zb"), dropped("zo"), negated("zo"), weights_swapped,
         joined_the_other_way, channels_shifted("b", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r2_operands_are_alike(a, b, za, zb, ka, kb, shift, zo, row):
    """Nothing tells the first operand of a sum from the second."""
    if row.a != row.b or row.join == "minus":
        return True
    return spec(a, b, za, zb, ka, kb, shift, zo, row) == spec(b, a, zb, za, kb, ka, shift, zo, row)


def r3_half_a_unit(a, b, za, zb, ka, kb, shift, zo, row):
    """At most half a unit from the weighted sum for the nearest roundings, less than one for the others, or clipped."""
    y = spec(a, b, za, zb, ka, kb, shift, zo, row)
    bound = Fraction(1 + ("half" not in row.ties), 2)
    near = [abs(real(i, j, za, zb, ka, kb, shift, zo, row) - k) <= bound for i, j, k in zip(a.tolist(), b.tolist(), y.tolist())]
    return np.array(near, bool) | (y == row.out.lo) | (y == row.out.hi)


def r4_zeros_give_the_zero_point(a, b, za, zb, ka, kb, shift, zo, row):
    return spec(np.full_like(a, za), np.full_like(b, zb), za, zb, ka, kb, shift, zo, row) == zo
