"""add_float32: the sum, or the difference, of two tensors of different grids, by way of float32.

    y = clip(zo + round(f32(f32((a - za) * sa) + f32((b - zb) * sb)) / so))

units    a, b and y count sa, sb and so, which are float32
R1       each operand becomes a float32 number as in dequantize: a difference and a product, or fused
R2       the products are rounded to float32 before they are added
R3       the sum (or the difference) is rounded to float32
R4       it is divided by the output scale, or multiplied by its reciprocal, in float32, as in quantize
R5       rounded to an integer, ties as the row says; the zero point joins after that, or inside in float32, or fused
R6       clipped to the output width, never wrapped
error    half a unit of y and 2**-22 of the summands (fused: of a*sa and za*sa too), while R6 is idle
source   ONNX DequantizeLinear, Add, QuantizeLinear; PyTorch aten/src/ATen/native/quantized/cpu/kernels, qadd_kernel (fused,
         reciprocal_float32, after)
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import products, quotients, rounding
from refq.ints.floats import joins, nearest
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
    product: str = choice("float32", "float32", "fused")
    quotient: str = choice("float32", "float32", "reciprocal_float32")
    zero_point: str = choice("after", *quotients.places)
    join: str = decided("plus")
    ties: str = choice("half_even", *rounding.names)
    a: Width = decided(I8)
    b: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        if max(self.a.bits, self.b.bits, self.out.bits) > 24:
            raise IllFormed(f"add_float32: {self.a} and {self.b} to {self.out}; float32 holds codes of up to 24 bits")
        if self.join not in joins:
            raise IllFormed(f"add_float32: join is {self.join!r}; it can be {', '.join(joins)}")
        quotients.value(self.quotient, self.zero_point)

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
    real = products.word(row.product)
    first, second = at("a", real(a.astype(np.int64), za, sa), F32), at("b", real(b.astype(np.int64), zb, sb), F32)   # R1 R2
    total = at("total", joins[row.join](first, second), F32)                                      # R3
    value = at("quotient", quotients.value(row.quotient, row.zero_point)(total, so, zo), F32)     # R4 R5
    whole = at.nearest("rounded", row.ties, value, I40)                                           # R5
    return at.clip("y", whole + zo * (row.zero_point == "after"), row.out)                        # R5 R6


@cache
def kernel(row):
    real, value = products.word(row.product), quotients.value(row.quotient, row.zero_point)
    join, whole, lo, hi, after = joins[row.join], nearest(row.ties, I40), row.out.lo, row.out.hi, row.zero_point == "after"

    @jit(nogil=True, error_model="numpy")
    def add_float32(a, b, za, zb, sa, sb, so, zo, y):
        last = zo if after else 0
        for n in range(a.shape[0]):
            total = join(real(np.int64(a[n]), za, sa), real(np.int64(b[n]), zb, sb))              # R1 R2 R3
            y[n] = min(max(whole(value(total, so, zo)) + last, lo), hi)                           # R4 R5 R6

    return add_float32


def real(a, b, za, zb, sa, sb, so, zo, row):
    sa, sb, so = (Fraction(float(s)) for s in (sa, sb, so))
    sign = 1 if row.join == "plus" else -1
    return zo + ((int(a) - za) * sa + sign * (int(b) - zb) * sb) / so


def scales_swapped(run, operands, row):
    """The scales of the two operands change places."""
    return run({**operands, "sa": operands["sb"], "sb": operands["sa"]})


slips = (dropped("za"), negated("za"), dropped("zb"), negated("zb"), dropped("zo"), scales_swapped,
         channels_shifted("b", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r2_operands_are_alike(a, b, za, zb, sa, sb, so, zo, row):
    """Nothing tells the first operand of a sum from the second."""
    alike = row.a == row.b and row.join == "plus"
    return not alike or spec(a, b, za, zb, sa, sb, so, zo, row) == spec(b, a, zb, za, sb, sa, so, zo, row)


def r5_zeros_give_the_zero_point(a, b, za, zb, sa, sb, so, zo, row):
    """A fused product leaves what float32 loses of za * sa, which can be far more than so."""
    return row.product == "fused" or spec(np.full_like(a, za), np.full_like(b, zb), za, zb, sa, sb, so, zo, row) == zo
