"""quantize: reals, as float32 numbers, become codes.

    y = clip(zp + round(x / scale))

units    x counts 1, y counts scale, which is a float32 number
R1       the quotient is exact; or the float32 quotient; or the float32 product with the float32 reciprocal of the scale
R2       the zero point joins after the rounding as an integer; or inside it: in float32, rounded once more, or fused with the
         product
R3       rounded to an integer, ties as the row says
R4       what leaves 32 bits there saturates; or becomes the lowest int32, as x86's conversion gives it, and the zero point
         joins in 32 bits, which wrap
R5       clipped to the output width; infinities saturate (under the second form of R4 both are the lowest int32)
R6       a NaN is refused; or it becomes the lowest code, or the highest; or it is converted: to the lowest int32 of R4
error    half a unit of y for the nearest roundings where the quotient is exact and R5 idle; 2**-23 of the quotient, and of
         the zero point where it is inside, for each float32 rounding
source   ONNX QuantizeLinear (exact, after); ONNX Runtime core/mlas/lib/quantize.cpp (float32, after); FBGEMM QuantUtils
         (reciprocal_float32, inside); TFLite AffineQuantize (float32, half away, after); onnx/reference (R4's second form)
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import quotients, rounding
from refq.ints.floats import nearest
from refq.ints.jit import jit, word
from refq.ints.operand import F32, Operand
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, last_tile_lost, negated
from refq.ints.width import I8, I32, I40, Width, at_most
from refq.machine import codes

FINEST, COARSEST = 2.0 ** -126, 2.0 ** 126
"""The scales whose reciprocal is a normal number."""


@dataclass(frozen=True)
class Row(Base):
    quotient: str = choice("exact", *quotients.quotients)
    zero_point: str = choice("after", *quotients.places)
    ties: str = choice("half_even", *rounding.names)
    far: str = choice("saturates", "lowest_int32")
    nan: str = choice("refused", "lowest", "highest", "converted")
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "quantize", self.out)
        quotients.value(self.quotient, self.zero_point)
        if self.quotient == "exact" and self.far != "saturates":
            raise IllFormed("quantize: an exact quotient has no 32-bit conversion; what is far saturates")
        if self.nan == "converted" and self.far != "lowest_int32":
            raise IllFormed("quantize: a NaN that is converted needs far = lowest_int32, which says what conversions give")

    @property
    def takes(self):
        x = Operand(F32, "n c", -np.inf, np.inf, nan=self.nan != "refused")
        return {"x": x, "scale": F32("c", FINEST, COARSEST), "zp": self.out("c")}

    @property
    def gives(self):
        return {"y": self.out("n c")}


def build(row, scale, zp):
    """The constants of a step: `scale` real numbers, one or one for each channel, rounded to float32; `zp` likewise."""
    single = np.atleast_1d(np.asarray(scale, np.float64).astype(np.float32))
    if not ((single >= FINEST) & (single <= COARSEST)).all():
        raise IllFormed(f"quantize: scales {np.min(scale)!r} to {np.max(scale)!r}; allowed is 2**-126 to 2**126")
    return {"scale": single, "zp": np.broadcast_to(zp, single.shape)}


@word
def saturating(whole, zero):
    return whole + zero


@word
def lowest_int32(whole, zero):
    joined = (whole if -2147483648 <= whole <= 2147483647 else -2147483648) + zero
    return ((joined + 2147483648) & 0xFFFFFFFF) - 2147483648


conversion = {"saturates": saturating, "lowest_int32": lowest_int32}


def spec(x, scale, zp, row, at=unwatched):
    lost = np.isnan(x)
    if row.nan == "refused" and lost.any():
        raise IllFormed("quantize: x has a NaN, which this row gives no code; clean the data first")
    away = np.float32(np.inf if row.nan == "highest" else -np.inf)
    x, after = np.where(lost, away, x), row.zero_point == "after"                                     # R6
    with np.errstate(over="ignore", invalid="ignore"):
        value = quotients.value(row.quotient, row.zero_point)(x, scale, zp)                           # R1 R2
    whole = at.nearest("rounded", row.ties, value, I40)                                               # R3
    if row.far == "lowest_int32":
        whole = at("converted", np.where((whole < I32.lo) | (whole > I32.hi), I32.lo, whole), I32)    # R4
        joined = at.wrap("joined", whole + zp.astype(np.int64) * after, I32)                          # R2 R4
    else:
        joined = whole + zp.astype(np.int64) * after                                                  # R2
    y = at.clip("y", joined, row.out)                                                                 # R5
    return y if row.nan == "converted" else np.where(lost, row.out.hi if row.nan == "highest" else row.out.lo, y)     # R6


@cache
def kernel(row):
    if row.out.bits <= 8:
        return codes.quantizing(row.quotient, row.zero_point, row.ties, row.far, row.nan, row.out.lo, row.out.hi)
    value, whole = quotients.value(row.quotient, row.zero_point), nearest(row.ties, I40)
    converted, lo, hi = conversion[row.far], row.out.lo, row.out.hi
    after, as_number = int(row.zero_point == "after"), row.nan == "converted"
    of_nan = hi if row.nan == "highest" else lo
    least = np.float32(-np.inf)

    @jit(nogil=True, error_model="numpy")
    def quantize(x, scale, zp, y):
        for n in range(x.shape[0]):
            for c in range(x.shape[1]):
                real = x[n, c] if x[n, c] == x[n, c] else least                                       # R6
                found = whole(value(real, scale[c], zp[c]))                                           # R1 R2 R3
                found = min(max(converted(found, after * np.int64(zp[c])), lo), hi)                   # R2 R4 R5
                y[n, c] = found if x[n, c] == x[n, c] or as_number else of_nan                        # R6

    return quantize


def real(x, scale, zp, row):
    """The real code, unrounded, of one finite number."""
    return int(zp) + Fraction(float(x)) / Fraction(float(scale))


def scale_inverted(run, operands, row):
    """x is multiplied by the scale instead of divided by it."""
    return run({**operands, "scale": (1 / operands["scale"]).astype(np.float32)})


slips = (dropped("zp"), negated("zp"), scale_inverted, first_for_all("scale", "zp"), channels_shifted("scale", 1),
         channels_shifted("y", 1), last_tile_lost("y", 4))


def r3_keeps_order(x, scale, zp, row):
    """Larger numbers never give smaller codes."""
    far = row.far == "lowest_int32"         # there the largest numbers give the lowest code
    x = np.sort(np.where(np.isnan(x) | (far & ~(np.abs(x / scale) < 2.0 ** 30)), np.float32(0), x), axis=0)
    return np.diff(spec(x, scale, zp, row), axis=0) >= 0


def r5_zero_gives_the_zero_point(x, scale, zp, row):
    return spec(np.zeros_like(x), scale, zp, row) == zp
