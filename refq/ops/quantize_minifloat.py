"""quantize_minifloat: reals, as float32 numbers, become codes of a small floating-point format.

    y = code(x / scale)

units    x counts 1, y is a bit pattern of the format, whose numbers count scale, which is a float32 number
R1       the quotient is exact; or the float32 quotient; or the float32 product with the float32 reciprocal of the scale
R2       rounded to a multiple of the format's step at its exponent, subnormal ones included, as though exponents had no end;
         ties as the row says: the even neighbour is the one whose code is even
R3       a finite number that is rounded beyond the largest becomes the largest; or the format's special code: infinity, or NaN
         where it has none
R4       an infinity becomes the largest number; or the special code
R5       a NaN is refused; or it becomes the format's NaN; or the largest number, positive; or 0
R6       the sign is that of the quotient, also of 0 and of NaN; where the format has one 0 and one NaN they have none
error    half a step for the nearest roundings where the quotient is exact and R3 idle; 2**-24 of it for each float32 rounding
source   ONNX Cast and QuantizeLinear, with and without saturate, docs/docsgen/source/technical/float8.md and float4.md (of
         infinities under FNUZ formats it says NaN: the rows ..._document; onnx 1.23 and onnxruntime 1.31 saturate them); OCP
         Microscaling Formats v1.0, 5.3 (the 6-bit formats: saturating); IEEE 754 (float16), the brain format by its definition
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import minifloat, quotients, rounding
from refq.ints.floats import nearest
from refq.ints.jit import jit
from refq.ints.minifloat import exponent, negative, power
from refq.ints.operand import F32, Operand
from refq.ints.row import Row as Base
from refq.ints.row import choice
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, first_for_all, last_tile_lost
from refq.ints.width import Width
from refq.ops.quantize import COARSEST, FINEST, scale_inverted


@dataclass(frozen=True)
class Row(Base):
    format: str = choice("e4m3fn", *minifloat.names)
    quotient: str = choice("float32", *quotients.quotients)
    ties: str = choice("half_even", *rounding.names)
    beyond: str = choice("most", "special")
    infinity: str = choice("most", "special")
    nan: str = choice("special", "most", "zero", "refused")

    def __post_init__(self):
        super().__post_init__()
        if minifloat.load(self.format).nan is None and "special" in (self.beyond, self.infinity, self.nan):
            raise IllFormed(f"quantize_minifloat: format {self.format} has no infinity and no NaN; what is beyond its largest "
                            "number is most, and a NaN most, zero or refused")

    @property
    def takes(self):
        return {"x": Operand(F32, "n c", -np.inf, np.inf, nan=self.nan != "refused"), "scale": F32("c", FINEST, COARSEST)}

    @property
    def gives(self):
        return {"y": minifloat.load(self.format).width("n c")}

    @property
    def codes(self):
        """The codes (beyond, of infinity, of a NaN), without sign."""
        f = minifloat.load(self.format)
        named = {"most": f.most, "special": f.special, "zero": 0, "refused": 0}
        return named[self.beyond], named[self.infinity], f.nan if self.nan == "special" else named[self.nan]


PUBLISHED = {
    **{f: Row(f) for f in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz")},
    **{f"{f}_document": Row(f, infinity="special") for f in ("e4m3fnuz", "e5m2fnuz")},
    **{f"{f}_unsaturated": Row(f, beyond="special", infinity="special") for f in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz")},
    "float4": Row("e2m1fn", nan="most"), "e3m2": Row("e3m2fn", nan="refused"), "e2m3": Row("e2m3fn", nan="refused"),
    **{f: Row(f, beyond="special", infinity="special") for f in ("float16", "bfloat16")}}


def build(row, scale):
    """The constants of a step: `scale` real numbers, one or one for each channel, rounded to float32."""
    single = np.atleast_1d(np.asarray(scale, np.float64).astype(np.float32))
    if not ((single >= FINEST) & (single <= COARSEST)).all():
        raise IllFormed(f"quantize_minifloat: scales {np.min(scale)!r} to {np.max(scale)!r}; allowed is 2**-126 to 2**126")
    return {"scale": single}


def spec(x, scale, row, at=unwatched):
    f, lost, (beyond, infinite, none) = minifloat.load(row.format), np.isnan(x), row.codes
    if row.nan == "refused" and lost.any():
        raise IllFormed("quantize_minifloat: x has a NaN, which this row gives no code; clean the data first")
    with np.errstate(over="ignore", invalid="ignore"):
        value = np.float64(quotients.value(row.quotient, "after")(x, scale, 0))                           # R1
    minus, endless = negative(value), np.isinf(value)
    finite = np.where(lost | endless, 0.0, value)
    e = np.maximum(exponent(finite), f.least)
    steps = at.nearest("steps", row.ties, finite * power(f.mantissa - e), Width(f.mantissa + 3))          # R2
    low = np.abs(steps) + (e - f.least << f.mantissa)
    low = np.where(low > f.most, beyond, low)                                                             # R3
    low = np.where(endless, infinite, low)                                                                # R4
    low = np.where(lost, none, low)                                                                       # R5
    signed = minus & ~(lost & (row.nan != "special")) & ~((f.kind == "fnuz") & ((low == 0) | (low == f.sign)))
    return at("y", low | signed * np.int64(f.sign), f.width)                                              # R6


@cache
def kernel(row):
    f, value, (beyond, infinite, none) = minifloat.load(row.format), quotients.value(row.quotient, "after"), row.codes
    nearest_to, least, mantissa, most, sign = nearest(row.ties, Width(f.mantissa + 3)), f.least, f.mantissa, f.most, f.sign
    single, unsigned_nan = f.kind == "fnuz", row.nan != "special"

    @jit(nogil=True, error_model="numpy")
    def quantize_minifloat(x, scale, y):
        for n in range(x.shape[0]):
            for c in range(x.shape[1]):
                real = np.float64(value(x[n, c], scale[c], 0))                                            # R1
                signed = negative(real)
                if real != real:
                    low = none                                                                            # R5
                    signed = signed and not unsigned_nan
                elif np.abs(real) == np.inf:
                    low = infinite                                                                        # R4
                else:
                    e = max(exponent(real), least)
                    low = np.abs(nearest_to(real * power(mantissa - e))) + (e - least << mantissa)        # R2
                    low = beyond if low > most else low                                                   # R3
                signed = signed and not (single and (low == 0 or low == sign))
                y[n, c] = low | (sign if signed else 0)                                                   # R6

    return quantize_minifloat


def real(x, scale, row):
    """The real quotient, of one finite number."""
    return Fraction(float(x)) / Fraction(float(scale))


def subnormals_flushed(run, operands, row):
    """Results that are subnormal become 0."""
    f, results = minifloat.load(row.format), run(operands)
    y = results["y"]
    return {"y": np.where((y & f.sign - 1) < 1 << f.mantissa, y & f.sign if f.kind != "fnuz" else y - y, y).astype(y.dtype)}


slips = (scale_inverted, subnormals_flushed, first_for_all("scale"), channels_shifted("scale", 1),
         channels_shifted("y", 1), last_tile_lost("y", 4))


def r2_codes_stand_for_themselves(x, scale, row):
    """The number of a code has that code, whatever the rounding, where the scale is 1."""
    values, y = minifloat.load(row.format).values, spec(x, scale, row)
    y = np.where(np.isnan(values[y]), 0, y)
    once = values[y].astype(np.float32)
    again = spec(np.where(np.isfinite(once), once, np.float32(0)), np.ones_like(scale), row)
    return (again == y) | ~np.isfinite(once)


def r3_keeps_order(x, scale, row):
    """Larger finite numbers never give smaller ones, where what is beyond saturates."""
    x = np.sort(np.where(np.isfinite(x) & (np.abs(x) < 2.0 ** 60 * scale), x, np.float32(0)), axis=0)
    with np.errstate(invalid="ignore"):
        return (np.diff(minifloat.load(row.format).values[spec(x, scale, row)], axis=0) >= 0) | (row.beyond != "most")
