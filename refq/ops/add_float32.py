"""add_float32: the sum of two tensors of different grids, by way of float32.

    y = clip(zo + round(f32(f32(f32(f32(a - za) * sa) + f32(f32(b - zb) * sb)) / so)))

units    a, b and y count sa, sb and so, which are float32
R1       the zero points are taken off as integers, and the differences rounded to float32, exact below 2**24
R2       each product is rounded to float32, and never fused with the sum
R3       the sum is rounded to float32
R4       divided by the output scale, not multiplied by its reciprocal; rounded to float32
R5       rounded to an integer, ties as the row says; the zero point joins after that
R6       clipped to the output width, never wrapped
error    half a unit of y and 2**-22 of the summands, while R6 is idle
source   ONNX DequantizeLinear, Add, QuantizeLinear
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.floats import nearest, plus, product
from refq.ints.jit import jit
from refq.ints.operand import F32
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, last_tile_lost, negated
from refq.ints.width import I8, I40, Width

FINEST, COARSEST = 2.0 ** -60, 2.0 ** 40
"""The scales between which no quotient is infinite, and none that matters is subnormal."""


@dataclass(frozen=True)
class Row(Base):
    ties: str = choice("half_even", *rounding.names)
    a: Width = decided(I8)
    b: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        if max(self.a.bits, self.b.bits, self.out.bits) > 24:
            raise IllFormed(f"add_float32: {self.a} and {self.b} to {self.out}; float32 holds codes of up to 24 bits")

    @property
    def takes(self):
        scale = F32("", FINEST, COARSEST)
        return {"a": self.a("n"), "b": self.b("n"), "za": self.a(), "zb": self.b(), "sa": scale, "sb": scale,
                "so": scale, "zo": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n")}


def build(row, sa, za, sb, zb, so, zo):
    """The constants of a step from the real scales `sa`, `sb`, `so` (float64; rounded to float32) and zero points."""
    singles = [np.float32(s) for s in (sa, sb, so)]
    if not all(FINEST <= s <= COARSEST for s in singles):
        raise IllFormed(f"add_float32: scales {sa!r}, {sb!r}, {so!r}; allowed is 2**-60 to 2**40")
    return {"za": za, "zb": zb, "sa": singles[0], "sb": singles[1], "so": singles[2], "zo": zo}


def spec(a, b, za, zb, sa, sb, so, zo, row, at=unwatched):
    first = at("a_single", (a.astype(np.int64) - za).astype(np.float32), F32)                     # R1
    second = at("b_single", (b.astype(np.int64) - zb).astype(np.float32), F32)                    # R1
    total = at("total", at("a", first * np.float32(sa), F32) + at("b", second * np.float32(sb), F32), F32)   # R2 R3
    value = at("quotient", total / np.float32(so), F32)                                           # R4
    return at.clip("y", at.nearest("rounded", row.ties, value, I40) + zo, row.out)                # R5 R6


@cache
def kernel(row):
    whole, lo, hi = nearest(row.ties, I40), row.out.lo, row.out.hi

    @jit(nogil=True, error_model="numpy")
    def add_float32(a, b, za, zb, sa, sb, so, zo, y):
        divisor = np.float32(so)
        for n in range(a.shape[0]):
            total = plus(product(a[n] - za, sa), product(b[n] - zb, sb))                          # R1 R2 R3
            y[n] = min(max(whole(total / divisor) + zo, lo), hi)                                  # R4 R5 R6

    return add_float32


def real(a, b, za, zb, sa, sb, so, zo, row):
    sa, sb, so = (Fraction(float(s)) for s in (sa, sb, so))
    return zo + ((int(a) - za) * sa + (int(b) - zb) * sb) / so


def scales_swapped(run, operands, row):
    """The scales of the two operands change places."""
    return run({**operands, "sa": operands["sb"], "sb": operands["sa"]})


slips = (dropped("za"), negated("za"), dropped("zb"), negated("zb"), dropped("zo"), scales_swapped,
         channels_shifted("b", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r2_operands_are_alike(a, b, za, zb, sa, sb, so, zo, row):
    """Nothing tells the first operand from the second."""
    return (row.a != row.b) | (spec(a, b, za, zb, sa, sb, so, zo, row) == spec(b, a, zb, za, sb, sa, so, zo, row))


def r5_zeros_give_the_zero_point(a, b, za, zb, sa, sb, so, zo, row):
    return spec(np.full_like(a, za), np.full_like(b, zb), za, zb, sa, sb, so, zo, row) == zo
