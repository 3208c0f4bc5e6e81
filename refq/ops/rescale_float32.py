"""rescale_float32: carry a register onto the output grid by one float32 multiplication.

    y = clip(zp + round(f32(f32(acc - zin) * scale)))

units    acc counts s_in; y counts s_y; scale is s_in / s_y rounded to float32
R1       the input zero point is taken off as an integer; an accumulator has none; or (folded) it joins in R5
R2       the difference is rounded to float32, exact below 2**24
R3       the product is rounded to float32, ties to even
R4       rounded to an integer, ties as the row says
R5       the zero point joins after the rounding as an integer; or inside it, in float32, rounded once more; folded: less the
         input zero point times the scale, the product and the difference rounded to float32
R6       what leaves 32 bits there saturates; or becomes the lowest int32, as x86's conversion gives it
R7       clipped to the output width, never wrapped
error    at most half a unit of y and 2**-23 of the result beside the scale's own, while R6 and R7 are idle
source   ONNX Runtime core/mlas/lib/quantize.cpp; XNNPACK fp32 requantization; FBGEMM src/QuantUtilsAvx2.cc and PyTorch's
         QNNPACK q8gemm for SSE2 (lowest_int32)
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import conversions, rounding, scales
from refq.ints.floats import nearest, plus, product
from refq.ints.jit import jit
from refq.ints.operand import F32
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, last_tile_lost, negated
from refq.ints.width import I8, I32, I40, I64, Width

LARGEST = 2.0 ** 64
"""The largest scale: no product of it is infinite."""


@dataclass(frozen=True)
class Row(Base):
    ratio: str = choice("float64", *scales.names, acts="build")
    ties: str = choice("half_even", *rounding.names)
    zero_point: str = choice("after", "inside", "folded")
    far: str = choice("saturates", *conversions.names)
    acc: Width = decided(I32)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        if self.acc.bits > 48 or self.out.bits > 32:
            raise IllFormed(f"rescale_float32: {self.acc} to {self.out}; defined up to 48 and 32 bits")

    @property
    def takes(self):
        return {"acc": self.acc("n c"), "zin": self.acc(), "scale": F32("c", 0.0, LARGEST), "zp": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n c")}


def build(row, factors, unit, zin, zp, count=1):
    """The constants of a step from real scales: the product of `factors` (numbers, or one for each channel) is s_in, `unit`
    is s_y; `count` says of how many summands the mean is meant."""
    scale = np.atleast_1d(scales.ratio(row.ratio, factors, unit, count))
    with np.errstate(over="ignore"):
        single = scale.astype(np.float32)
    if not ((single >= 0) & (single <= LARGEST)).all():
        raise IllFormed(f"rescale_float32: scales {np.min(scale)!r} to {np.max(scale)!r}; allowed is 0 to 2**64")
    return {"zin": zin, "scale": single, "zp": zp}


def spec(acc, zin, scale, zp, row, at=unwatched):
    converted = conversions.word(row.far)
    if row.zero_point == "folded":
        rest = at("rest", np.float32(zp) - at("taken", np.float32(zin) * scale, F32), F32)        # R5
        value = at("product", at("single", acc.astype(np.float32), F32) * scale, F32)             # R2 R3
        return at.clip("y", converted(at.nearest("rounded", row.ties, at("joined", value + rest, F32), I40)), row.out)  # R4 R6 R7
    centred = at("centred", acc.astype(np.int64) - zin, I64)                                      # R1
    value = at("product", at("single", centred.astype(np.float32), F32) * scale, F32)             # R2 R3
    if row.zero_point == "inside":
        value = at("joined", value + np.float32(zp), F32)                                         # R5
        return at.clip("y", converted(at.nearest("rounded", row.ties, value, I40)), row.out)      # R4 R6 R7
    return at.clip("y", converted(at.nearest("rounded", row.ties, value, I40)) + zp, row.out)     # R4 R5 R6 R7


@cache
def kernel(row):
    whole, converted, lo, hi = nearest(row.ties, I40), conversions.word(row.far), row.out.lo, row.out.hi

    @jit(nogil=True)
    def after(acc, zin, scale, zp, y):
        for n in range(acc.shape[0]):
            for c in range(acc.shape[1]):
                value = product(acc[n, c] - zin, scale[c])                                        # R1 R2 R3
                y[n, c] = min(max(converted(whole(value)) + zp, lo), hi)                          # R4 R5 R6 R7

    @jit(nogil=True)
    def inside(acc, zin, scale, zp, y):
        for n in range(acc.shape[0]):
            for c in range(acc.shape[1]):
                value = product(acc[n, c] - zin, scale[c])                                        # R1 R2 R3
                y[n, c] = min(max(converted(whole(plus(value, zp))), lo), hi)                     # R4 R5 R6 R7

    @jit(nogil=True)
    def folded(acc, zin, scale, zp, y):
        for n in range(acc.shape[0]):
            for c in range(acc.shape[1]):
                rest = np.float32(zp) - product(zin, scale[c])                                    # R5
                value = product(acc[n, c], scale[c])                                              # R2 R3
                y[n, c] = min(max(converted(whole(plus(value, rest))), lo), hi)                   # R4 R5 R6 R7

    return {"after": after, "inside": inside, "folded": folded}[row.zero_point]


def real(acc, zin, scale, zp, row):
    return zp + (int(acc) - int(zin)) * Fraction(float(scale))


def scale_in_half_precision(run, operands, row):
    """The scale is rounded to float16."""
    with np.errstate(over="ignore"):
        half = np.minimum(operands["scale"].astype(np.float16).astype(np.float32), np.float32(65504))
    return run({**operands, "scale": half})


slips = (dropped("zp"), negated("zp"), dropped("zin"), channels_shifted("scale", 1), channels_shifted("y", 1),
         last_tile_lost("y", 4), scale_in_half_precision)


def r4_keeps_order(acc, zin, scale, zp, row):
    """Larger accumulators never give smaller codes, while 32 bits hold what they are rounded to."""
    order = np.sort(acc, axis=0)
    held = (order.astype(np.int64) - zin) * scale.astype(np.float64) < 2.0 ** 30
    return (np.diff(spec(order, zin, scale, zp, row), axis=0) >= 0) | (row.far != "saturates") & ~held[1:]


def r5_zero_gives_the_zero_point(acc, zin, scale, zp, row):
    if row.out.bits > 24 and row.zero_point == "inside" or row.zero_point == "folded":
        return True         # float32 does not hold every zero point, nor every product with one
    return spec(np.full_like(acc, zin), zin, scale, zp, row) == zp
