"""dequantize_minifloat: codes of a small floating-point format become reals, as the bit patterns of float32 numbers.

    y = value(q) * scale

units    q is a bit pattern of the format, whose numbers count scale, which is a float32 number; y, read as float32, counts 1
R1       every number of the format is a float32 number; subnormal ones are not flushed
R2       the product with the scale is rounded to float32 once, ties to even; beyond its largest number it is infinite
R3       infinity stays one; -0 keeps its sign; a NaN becomes the one pattern 0x7FC00000
error    2**-24 of y, or 2**-150
source   ONNX Cast and DequantizeLinear, docs/docsgen/source/technical/float8.md and float4.md; R3's pattern is our reading: which
         NaN a processor gives is its own
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.ints import minifloat
from refq.ints.jit import jit
from refq.ints.minifloat import pattern, power
from refq.ints.operand import F32
from refq.ints.row import Row as Base
from refq.ints.row import choice
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, first_for_all, last_tile_lost
from refq.ints.width import U32
from refq.ops import quantize_minifloat
from refq.ops.quantize import COARSEST, FINEST

NAN = 0x7FC00000


@dataclass(frozen=True)
class Row(Base):
    format: str = choice("e4m3fn", *minifloat.names)

    @property
    def takes(self):
        return {"q": minifloat.load(self.format).width("n c"), "scale": F32("c", FINEST, COARSEST)}

    @property
    def gives(self):
        return {"y": U32("n c")}


PUBLISHED = {f: Row(f) for f in minifloat.names}
build = quantize_minifloat.build


def spec(q, scale, row, at=unwatched):
    value = minifloat.load(row.format).values[q.astype(np.int64)].astype(np.float32)                  # R1
    with np.errstate(over="ignore", under="ignore"):
        product = value * scale                                                                       # R2
    return at("y", np.where(np.isnan(product), NAN, pattern(product)), U32)                           # R3


@cache
def kernel(row):
    f = minifloat.load(row.format)
    sign, mantissa, least, most = f.sign, f.mantissa, f.least, f.most
    fraction, hidden, infinity, single = (1 << mantissa) - 1, 1 << mantissa, f.infinity or -1, f.kind == "fnuz"

    @jit(nogil=True, error_model="numpy")
    def dequantize_minifloat(q, scale, y):
        for n in range(q.shape[0]):
            for c in range(q.shape[1]):
                low, minus = np.int64(q[n, c]) & (sign - 1), np.int64(q[n, c]) >= sign
                if low > most and low != infinity or single and minus and low == 0:
                    y[n, c] = NAN                                                                     # R3
                    continue
                e = low >> mantissa
                whole = (low & fraction) + (hidden if e > 0 else 0)
                value = whole * power(max(e, 1) - 1 + least - mantissa) if low <= most else np.inf    # R1
                y[n, c] = pattern(np.float32(-value if minus else value) * scale[c])                  # R2

    return dequantize_minifloat


def real(q, scale, row):
    """The real number of one code that stands for a finite one."""
    return Fraction(float(minifloat.load(row.format).values[int(q)])) * Fraction(float(scale))


def subnormals_flushed(run, operands, row):
    """Codes of subnormal numbers are read as 0."""
    f, q = minifloat.load(row.format), operands["q"]
    small = (q & f.sign - 1) < 1 << f.mantissa
    return run({**operands, "q": np.where(small & (q != f.sign), 0, q).astype(q.dtype)})


def sign_of_zero_lost(run, operands, row):
    """-0 becomes 0."""
    y = run(operands)["y"]
    return {"y": np.where(y == 1 << 31, 0, y).astype(y.dtype)}


def topmost_read_as_numbers(run, operands, row):
    """The patterns of infinity and NaN are read as numbers: the largest finite one stands for what they become."""
    f, q = minifloat.load(row.format), operands["q"]
    low = np.minimum(q & f.sign - 1, f.most)
    return run({**operands, "q": (low | q & f.sign * (1 - (f.kind == "fnuz") * (low == 0))).astype(q.dtype)})


slips = (subnormals_flushed, sign_of_zero_lost, topmost_read_as_numbers, first_for_all("scale"), channels_shifted("scale", 1),
         channels_shifted("y", 1), last_tile_lost("y", 4))


def r2_keeps_order(q, scale, row):
    """Codes of larger numbers never give smaller ones."""
    values = minifloat.load(row.format).values[q.astype(np.int64)]
    order = np.argsort(values, axis=0)
    y = np.take_along_axis(spec(q, scale, row).astype(np.uint32).view(np.float32), order, 0)
    with np.errstate(invalid="ignore"):
        return (np.diff(y, axis=0) >= 0) | np.isnan(y[1:]) | np.isnan(y[:-1]) | (y[1:] == y[:-1])


def r3_one_nan(q, scale, row):
    """Whatever is a NaN has the one pattern."""
    y = spec(q, scale, row)
    return ((y & 0x7FFFFFFF) <= 0x7F800000) | (y == NAN)
