"""mul_float32: the product of two tensors of different grids, by way of float32.

    y = clip(zo + round(f32(f32(f32((a - za) * sa) * f32((b - zb) * sb)) / so)))

units    a, b and y count sa, sb and so, which are float32
R1       each operand becomes a float32 number as in dequantize: a difference and a product, or fused
R2       their product is rounded to float32
R3       it is divided by the output scale, or multiplied by its reciprocal, in float32, as in quantize; or (multiple) by the
         one scale sa*sb/so of the whole: then sa and sb are 1, `so` is that scale, and R2's product is of integers
R4       rounded to an integer, ties as the row says; the zero point joins after that, or inside in float32, or fused
R5       what leaves 32 bits there saturates; or becomes the lowest int32, as x86's conversion gives it
R6       clipped to the output width, never wrapped
error    half a unit of y and 2**-22 of the product (fused: of a*sa and za*sa too), while R5 and R6 are idle
source   ONNX DequantizeLinear, Mul, QuantizeLinear; PyTorch aten/src/ATen/native/quantized/cpu/kernels, mul_kernel
         (multiple, reciprocal_float32); google/XNNPACK src/qs8-vmul (multiple, float32)
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import conversions, products, quotients, rounding, scales
from refq.ints.floats import nearest, plus
from refq.ints.jit import jit, word
from refq.ints.operand import F32
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, last_tile_lost, negated
from refq.ints.width import I8, I40, Width

FINEST, COARSE, COARSEST = 2.0 ** -44, 2.0 ** 16, 2.0 ** 40
"""The finest scale, the coarsest of an operand and of the result: between them no product or quotient is infinite."""


@word
def multiple(x, scale, zp):
    return np.float32(x) * np.float32(scale)


@word
def multiple_inside(x, scale, zp):
    return plus(np.float32(x) * np.float32(scale), zp)


multiples = {"after": multiple, "inside": multiple_inside}


@dataclass(frozen=True)
class Row(Base):
    product: str = choice("float32", "float32", "fused")
    quotient: str = choice("float32", "float32", "reciprocal_float32", "multiple")
    ratio: str = choice("float32", *scales.names, acts="build")
    zero_point: str = choice("after", *quotients.places)
    ties: str = choice("half_even", *rounding.names)
    far: str = choice("saturates", *conversions.names)
    a: Width = decided(I8)
    b: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        if max(self.a.bits, self.b.bits) > 16 or self.out.bits > 24:
            raise IllFormed(f"mul_float32: {self.a} times {self.b} to {self.out}; defined up to 16 bits, and 24 of the result")
        value(self.quotient, self.zero_point)

    @property
    def takes(self):
        scale = F32("", FINEST, COARSE)
        return {"a": self.a("n"), "b": self.b("n"), "za": self.a(), "zb": self.b(), "sa": scale, "sb": scale,
                "so": F32("", FINEST, COARSEST), "zo": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n")}


def value(quotient, zero_point):
    """The word of (product, so, zo) that is rounded to an integer; raises IllFormed for a pair that there is none for."""
    if quotient != "multiple":
        return quotients.value(quotient, zero_point)
    if zero_point not in multiples:
        raise IllFormed(f"a multiple with its zero point {zero_point}; its zero point can be {', '.join(multiples)}")
    return multiples[zero_point]


def build(row, sa, za, sb, zb, so, zo):
    """The constants of a step from the real scales `sa`, `sb`, `so` (float64; rounded to float32) and zero points."""
    given = (sa, sb, so) if row.quotient != "multiple" else (1, 1, scales.ratio(row.ratio, (sa, sb), so))
    with np.errstate(over="ignore"):
        singles = [np.float32(s) for s in given]
        known = np.float32((sa, sb, so))
    if not all(FINEST <= s <= most for s, most in zip((*singles, *known), 2 * (COARSE, COARSE, COARSEST))):
        raise IllFormed(f"mul_float32: scales {sa!r}, {sb!r}, {so!r}; allowed are 2**-44 to 2**16 of operands, and to 2**40 of "
                        "the result and of a multiple sa*sb/so")
    return {"za": za, "zb": zb, "sa": singles[0], "sb": singles[1], "so": singles[2], "zo": zo}


def spec(a, b, za, zb, sa, sb, so, zo, row, at=unwatched):
    real, converted = products.word(row.product), conversions.word(row.far)
    first, second = at("a", real(a.astype(np.int64), za, sa), F32), at("b", real(b.astype(np.int64), zb, sb), F32)   # R1
    total = at("total", first * second, F32)                                                      # R2
    found = at("quotient", value(row.quotient, row.zero_point)(total, so, zo), F32)               # R3 R4
    whole = converted(at.nearest("rounded", row.ties, found, I40))                                # R4 R5
    return at.clip("y", whole + zo * (row.zero_point == "after"), row.out)                        # R4 R6


@cache
def kernel(row):
    real, found = products.word(row.product), value(row.quotient, row.zero_point)
    whole, converted, lo, hi = nearest(row.ties, I40), conversions.word(row.far), row.out.lo, row.out.hi
    after = row.zero_point == "after"

    @jit(nogil=True, error_model="numpy")
    def mul_float32(a, b, za, zb, sa, sb, so, zo, y):
        last = zo if after else 0
        for n in range(a.shape[0]):
            total = real(np.int64(a[n]), za, sa) * real(np.int64(b[n]), zb, sb)                   # R1 R2
            y[n] = min(max(converted(whole(found(total, so, zo))) + last, lo), hi)                # R3 R4 R5 R6

    return mul_float32


def real(a, b, za, zb, sa, sb, so, zo, row):
    sa, sb, so = (Fraction(float(s)) for s in (sa, sb, so))
    product = (int(a) - za) * sa * (int(b) - zb) * sb
    return zo + (product * so if row.quotient == "multiple" else product / so)


def output_scale_inverted(run, operands, row):
    """The product is multiplied by what it should be divided by, or the other way round."""
    return run({**operands, "so": np.float32(1 / operands["so"])})


slips = (dropped("za"), negated("za"), dropped("zb"), negated("zb"), dropped("zo"), output_scale_inverted,
         channels_shifted("b", 1), last_tile_lost("y", 4), last_tile_lost("y", 16))


def r2_operands_are_alike(a, b, za, zb, sa, sb, so, zo, row):
    """Nothing tells the first operand from the second."""
    return (row.a != row.b) | (spec(a, b, za, zb, sa, sb, so, zo, row) == spec(b, a, zb, za, sb, sa, so, zo, row))


def r4_nothing_gives_the_zero_point(a, b, za, zb, sa, sb, so, zo, row):
    """A fused product leaves what float32 loses of za * sa."""
    return row.product == "fused" or spec(np.full_like(a, za), b, za, zb, sa, sb, so, zo, row) == zo
