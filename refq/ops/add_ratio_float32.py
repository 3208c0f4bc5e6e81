"""add_ratio_float32: the sum of two tensors of different grids, by ratios of scales and fused multiply-adds.

    y = clip(round(fma(a, ra, fma(b, rb, c)))),   ra = sa / so,   rb = sb / so,   c = zo - (za*ra + zb*rb)

units    a, b and y count sa, sb and so; ra, rb and c are float32
R1       the ratios are float32 quotients; c is float32(zo - fma(za, ra, float32(zb*rb))), and holds all three zero points
R2       the inner multiply-add is rounded to float32 once, and so is the outer one
R3       rounded to an integer, ties as the row says: the zero point is inside the rounding
R4       clipped to the output width, never wrapped
error    half a unit of y and 2**-22 of the products and of c, while R4 is idle
source   ONNX Runtime core/mlas/lib/qladd.cpp and qladd.h, QLinearAdd on x86 with FMA3; the contraction in c is its compiler's
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.floats import fused, minus, nearest, product
from refq.ints.jit import jit
from refq.ints.operand import F32
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, last_tile_lost
from refq.ints.width import I8, I40, Width

FINEST, COARSEST, FARTHEST = 2.0 ** -60, 2.0 ** 40, 2.0 ** 60
"""The ratios between which no product is infinite or subnormal, and the largest constant."""


@dataclass(frozen=True)
class Row(Base):
    ties: str = choice("half_even", *rounding.names)
    a: Width = decided(I8)
    b: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        if max(self.a.bits, self.b.bits, self.out.bits) > 24:
            raise IllFormed(f"add_ratio_float32: {self.a} and {self.b} to {self.out}; float32 holds codes of up to 24 bits")

    @property
    def takes(self):
        ratio = F32("", FINEST, COARSEST)
        return {"a": self.a("n"), "b": self.b("n"), "ra": ratio, "rb": ratio, "c": F32("", -FARTHEST, FARTHEST)}

    @property
    def gives(self):
        return {"y": self.out("n")}


def build(row, sa, za, sb, zb, so, zo):
    """The constants of a step from the real scales `sa`, `sb`, `so` (float64; rounded to float32) and zero points."""
    sa, sb, so = (np.float32(s) for s in (sa, sb, so))
    with np.errstate(all="ignore"):
        ra, rb = sa / so, sb / so                                                                 # R1
    if not all(FINEST <= r <= COARSEST for r in (ra, rb)):
        raise IllFormed(f"add_ratio_float32: scales {sa!r}, {sb!r} over {so!r}; ratios from 2**-60 to 2**40 are allowed")
    return {"ra": ra, "rb": rb, "c": minus(zo, fused(np.float32(za), ra, product(zb, rb)))}       # R1


def spec(a, b, ra, rb, c, row, at=unwatched):
    inner = at("inner", fused(b.astype(np.float32), rb, c), F32)                                  # R1 R2
    outer = at("outer", fused(a.astype(np.float32), ra, inner), F32)                              # R2
    return at.clip("y", at.nearest("rounded", row.ties, outer, I40), row.out)                     # R3 R4


@cache
def kernel(row):
    whole, lo, hi = nearest(row.ties, I40), row.out.lo, row.out.hi

    @jit(nogil=True)
    def add_ratio_float32(a, b, ra, rb, c, y):
        for n in range(a.shape[0]):
            inner = fused(np.float32(b[n]), np.float32(rb), np.float32(c))                        # R1 R2
            y[n] = min(max(whole(fused(np.float32(a[n]), np.float32(ra), inner)), lo), hi)        # R2 R3 R4

    return add_ratio_float32


def real(a, b, ra, rb, c, row):
    return int(a) * Fraction(float(ra)) + int(b) * Fraction(float(rb)) + Fraction(float(c))


def ratios_swapped(run, operands, row):
    """The ratios of the two operands change places."""
    return run({**operands, "ra": operands["rb"], "rb": operands["ra"]})


slips = (dropped("c"), ratios_swapped, channels_shifted("b", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r2_keeps_order(a, b, ra, rb, c, row):
    """Larger codes never give a smaller sum."""
    order = np.sort(a)
    return np.diff(spec(order, np.full_like(b, b[0] if b.size else 0), ra, rb, c, row)) >= 0


def r3_nothing_gives_the_constant(a, b, ra, rb, c, row):
    alone = nearest(row.ties, I40)(np.full(a.shape, c, np.float32))
    return spec(np.zeros_like(a), np.zeros_like(b), ra, rb, c, row) == row.out.clip(alone)
