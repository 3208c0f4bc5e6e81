"""mul: the product of two tensors of different grids.

    y = clip(zo + R((a - za) * (b - zb); mult, shift))

R(x; m, s) is x * m / 2**s, rounded as in rescale.

units    a, b and y count s_a, s_b and s_y; mult / 2**shift is s_a*s_b / s_y
R1       zero points are taken off; the product has 32 bits, and what does not fit overflows as said
R2       it is rescaled to the output grid, once or twice rounded
R3       the zero point joins last
R4       clipped to the output width, never wrapped
error    half a unit of y for each rounding (one for a rounding that is not to the nearest), beside the multiplier's own,
         while overflow and R4 are idle
source   tensorflow/lite/kernels/internal/reference/mul.h and integer_ops/mul.h (two roundings; the scale in float32, left to
         right: tensorflow/lite/kernels/mul.cc); CMSIS-NN arm_elementwise_mul_s8; TOSA 1.0 MUL and RESCALE (one rounding)
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import multiplier, rounding, scales, spans
from refq.ints.jit import jit
from refq.ints.registers import saturating, wrapping
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, last_tile_lost, negated
from refq.ints.width import I8, I32, I64, Width, at_most


@dataclass(frozen=True)
class Row(Base):
    multiplier: str = choice("q31", *multiplier.forms, acts="build")
    ratio: str = choice("float32", *scales.names, acts="build")
    high: str = choice("half_up", "none", *rounding.names)
    ties: str = choice("half_away", *rounding.names)
    overflow: str = choice("wrap", "saturate")
    a: Width = decided(I8)
    b: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "mul", self.a, self.b)
        at_most(32, "mul", self.out)
        if self.high != "none" and self.multiplier == "pow2":
            raise IllFormed("mul: two roundings (`high`) of a pow2 multiplier: its left shift leaves 32 bits; round once")

    @property
    def takes(self):
        bits = multiplier.bits[self.multiplier]
        return {"a": self.a("n"), "b": self.b("n"), "za": self.a(), "zb": self.b(), "mult": I64("", 0, 1 << bits),
                "shift": I8("", 1 if bits > 30 and self.out.bits > 31 else 0, 62), "zo": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n")}


def build(row, sa, za, sb, zb, so, zo):
    """The constants of a step from the real scales `sa`, `sb`, `so` (float64) and the zero points."""
    mult, shift = multiplier.pair(float(scales.ratio(row.ratio, (sa, sb), so)), row.multiplier)
    return {"za": za, "zb": zb, "mult": mult, "shift": shift, "zo": zo}


registers = spans.multiplied


def spec(a, b, za, zb, mult, shift, zo, row, at=unwatched):
    overflow = at.wrap if row.overflow == "wrap" else at.clip
    product = overflow("product", (a.astype(np.int64) - za) * (b.astype(np.int64) - zb), I32)     # R1
    scaled = multiplier.scaled(at, product, mult, shift, row.high, row.ties, row.overflow)        # R2
    return at.clip("y", scaled + zo, row.out)                                                     # R3 R4


@cache
def kernel(row):
    scaled = multiplier.scaler(row.high, row.ties, row.overflow)
    overflow = (wrapping if row.overflow == "wrap" else saturating)(I32)
    lo, hi = row.out.lo, row.out.hi

    @jit(nogil=True)
    def mul(a, b, za, zb, mult, shift, zo, y):
        for n in range(a.shape[0]):
            product = overflow((np.int64(a[n]) - za) * (np.int64(b[n]) - zb))                     # R1
            y[n] = min(max(scaled(product, mult, shift) + zo, lo), hi)                            # R2 R3 R4

    return mul


def real(a, b, za, zb, mult, shift, zo, row):
    return zo + Fraction((int(a) - za) * (int(b) - zb) * mult, 1 << shift)


def products_added(run, operands, row):
    """Each product is added to what the one before has left in its register."""
    y = run(operands)["y"].astype(np.int64)
    return {"y": row.out.clip(y + np.roll(y, 1, -1) - operands["zo"]).astype(row.out.dtype)}


slips = (dropped("za"), negated("za"), dropped("zb"), negated("zb"), dropped("zo"), negated("zo"), products_added,
         channels_shifted("b", 1), channels_shifted("y", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r1_operands_are_alike(a, b, za, zb, mult, shift, zo, row):
    """Nothing tells the first operand from the second."""
    if row.a != row.b:
        return True
    return spec(a, b, za, zb, mult, shift, zo, row) == spec(b, a, zb, za, mult, shift, zo, row)


def r3_a_zero_gives_the_zero_point(a, b, za, zb, mult, shift, zo, row):
    return spec(np.full_like(a, za), b, za, zb, mult, shift, zo, row) == zo


def r4_is_of_the_output(a, b, za, zb, mult, shift, zo, row):
    y = spec(a, b, za, zb, mult, shift, zo, row)
    return (row.out.lo <= y) & (y <= row.out.hi)
