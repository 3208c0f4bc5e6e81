"""requantize_float32: codes of one grid become codes of another, by way of float32.

    y = clip(zp + round(f32(f32((acc - zin) * scale) / unit)))

units    acc counts `scale`, one for each channel; y counts `unit`; both are float32 numbers
R1       a code becomes a float32 number as in dequantize: a difference and a product, or fused
R2       that is divided by the unit, or multiplied by its reciprocal, in float32, as in quantize
R3       rounded to an integer, ties as the row says; the zero point joins after that, or inside in float32, or fused
R4       clipped to the output width, never wrapped
error    half a unit of y and 2**-22 of the quotient, while R4 is idle
source   ONNX DequantizeLinear, QuantizeLinear
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, reduce
from operator import mul

import numpy as np

from refq.errors import IllFormed
from refq.ints import products, quotients, rounding
from refq.ints.floats import nearest
from refq.ints.jit import jit
from refq.ints.operand import F32
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, last_tile_lost, negated
from refq.ints.width import I8, I40, Width, at_most

FINEST, COARSEST = 2.0 ** -60, 2.0 ** 40
"""The scales between which no quotient is infinite, and none that matters is subnormal."""


@dataclass(frozen=True)
class Row(Base):
    product: str = choice("float32", "float32", "fused")
    quotient: str = choice("float32", "float32", "reciprocal_float32")
    zero_point: str = choice("after", *quotients.places)
    ties: str = choice("half_even", *rounding.names)
    acc: Width = decided(I8)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(32, "requantize_float32", self.acc)
        at_most(24, "requantize_float32", self.out)
        quotients.value(self.quotient, self.zero_point)

    @property
    def takes(self):
        return {"acc": self.acc("n c"), "zin": self.acc(), "scale": F32("c", FINEST, COARSEST),
                "unit": F32("", FINEST, COARSEST), "zp": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n c")}


def build(row, factors, unit, zin, zp):
    """The constants of a step: the product of `factors` (numbers, or one for each channel), rounded to float32, is the scale of
    the input; `unit` is that of the output."""
    scale = np.atleast_1d(reduce(mul, (np.asarray(f, np.float64) for f in factors)).astype(np.float32))
    single = np.float32(unit)
    if not ((scale >= FINEST) & (scale <= COARSEST)).all() or not FINEST <= single <= COARSEST:
        raise IllFormed(f"requantize_float32: scales {np.min(scale)!r} to {np.max(scale)!r}, onto {unit!r}; allowed is 2**-60 "
                        "to 2**40")
    return {"zin": zin, "scale": scale, "unit": single, "zp": zp}


def spec(acc, zin, scale, unit, zp, row, at=unwatched):
    real = at("real", products.word(row.product)(acc.astype(np.int64), zin, scale), F32)          # R1
    value = at("quotient", quotients.value(row.quotient, row.zero_point)(real, unit, zp), F32)    # R2 R3
    whole = at.nearest("rounded", row.ties, value, I40)                                           # R3
    return at.clip("y", whole + zp * (row.zero_point == "after"), row.out)                        # R3 R4


@cache
def kernel(row):
    real, value = products.word(row.product), quotients.value(row.quotient, row.zero_point)
    whole, lo, hi, after = nearest(row.ties, I40), row.out.lo, row.out.hi, row.zero_point == "after"

    @jit(nogil=True, error_model="numpy")
    def requantize_float32(acc, zin, scale, unit, zp, y):
        last = zp if after else 0
        for n in range(acc.shape[0]):
            for c in range(acc.shape[1]):
                found = value(real(np.int64(acc[n, c]), zin, scale[c]), unit, zp)                 # R1 R2 R3
                y[n, c] = min(max(whole(found) + last, lo), hi)                                   # R3 R4

    return requantize_float32


def real(acc, zin, scale, unit, zp, row):
    return zp + (int(acc) - int(zin)) * Fraction(float(scale)) / Fraction(float(unit))


slips = (dropped("zp"), negated("zp"), dropped("zin"), negated("zin"), first_for_all("scale"), channels_shifted("scale", 1),
         channels_shifted("y", 1), last_tile_lost("y", 4))


def r3_zero_gives_the_zero_point(acc, zin, scale, unit, zp, row):
    """But for what float32 loses of it where the product is fused."""
    return row.product == "fused" or spec(np.full_like(acc, zin), zin, scale, unit, zp, row) == zp


def r4_keeps_order(acc, zin, scale, unit, zp, row):
    """Larger codes never give smaller ones."""
    return np.diff(spec(np.sort(acc, axis=0), zin, scale, unit, zp, row), axis=0) >= 0
