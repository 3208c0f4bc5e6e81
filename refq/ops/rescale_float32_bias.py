"""rescale_float32_bias: carry an accumulator onto the output grid in float32, with a real bias on the way.

    y = clip(zp + round(f32(f32(bias * unit + f32(f32(f32(acc - zin) * first) * second)) * last)))

units    with the bias at the accumulator: first, second are 1, bias * unit counts s_x*s_w, last is s_x*s_w / s_y;
         with the bias in reals: first is s_x, second s_w, the bias counts 1, unit is 1, last is 1 / s_y
R1       the input zero point is taken off as an integer, and the difference rounded to float32; an accumulator has none
R2       each product is rounded to float32, one scale after the other
R3       the bias joins in float32: its product with `unit` and the sum are rounded once (unit 1: a plain float32 sum)
R4       the product with `last` is rounded to float32
R5       rounded to an integer, ties as the row says
R6       the zero point joins after the rounding as an integer; or inside it, in float32, rounded once more
R7       what leaves 32 bits there saturates; or becomes the lowest int32, as x86's conversion gives it
R8       clipped to the output width, never wrapped
error    half a unit of y, and 2**-23 of each term for each float32 rounding, while R7 and R8 are idle
source   pytorch/FBGEMM src/QuantUtilsAvx2.cc, requantizeOutputProcessingAvx2 (accumulator, after, lowest_int32);
         oneapi-src/oneDNN doc/programming_model/attributes_quantization.md, as PyTorch calls it through ideep (reals, inside)
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import conversions, rounding, scales
from refq.ints.floats import fused, nearest, plus, product
from refq.ints.jit import jit
from refq.ints.operand import F32
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import bias_dropped, channels_shifted, dropped, last_tile_lost, negated
from refq.ints.width import I8, I32, I40, I64, Width

SCALE, UNIT, LAST, BIAS = 2.0 ** 16, 2.0 ** 40, 2.0 ** 36, 2.0 ** 48
"""The largest first and second scale, unit, last scale and bias: no sum or product of them is infinite."""


@dataclass(frozen=True)
class Row(Base):
    bias: str = choice("accumulator", "reals", acts="build")
    ratio: str = choice("float32", *scales.names, acts="build")
    inverted: str = choice("none", "first", "both", acts="build")
    ties: str = choice("half_even", *rounding.names)
    zero_point: str = choice("after", "inside")
    far: str = choice("saturates", *conversions.names)
    weights: str = decided("channel")
    acc: Width = decided(I32)
    out: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        if self.acc.bits > 48 or self.out.bits > 32:
            raise IllFormed(f"rescale_float32_bias: {self.acc} to {self.out}; defined up to 48 and 32 bits")
        if self.weights not in ("channel", "tensor"):
            raise IllFormed(f"rescale_float32_bias: weights is {self.weights!r}; they have a scale for each channel or tensor")
        if self.inverted != "none" and self.bias == "accumulator":
            raise IllFormed("rescale_float32_bias: scales that come by way of their reciprocals (`inverted`) need the bias in "
                            "reals")

    @property
    def takes(self):
        return {"acc": self.acc("n c"), "zin": self.acc(), "first": F32("", 0.0, SCALE), "second": F32("c", 0.0, SCALE),
                "bias": F32("c", -BIAS, BIAS), "unit": F32("", 0.0, UNIT), "last": F32("c", 0.0, LAST), "zp": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n c")}


def build(row, factors, unit, zin, zp, bias=0.0):
    """The constants of a step from real scales: the first of `factors` (numbers, or one for each channel) is s_x, the product
    of the others s_w, `unit` is s_y; `bias` counts 1. Each is rounded to float32 before anything is done with it.

    A bias at the accumulator is divided by s_x*s_w; where the weights have one scale for the tensor it is multiplied by the
    reciprocal, in one rounding with the sum. `inverted`: that scale is the reciprocal of its reciprocal."""
    with np.errstate(all="ignore"):
        made = makers[row.bias](row, factors, unit, np.atleast_1d(np.float32(bias)))
    count = max(np.size(v) for v in (*factors, bias))
    made = {k: np.broadcast_to(v, count) if row.takes[k].names else np.float32(np.ravel(v)[0]) for k, v in made.items()}
    for k, v in made.items():
        if not ((v >= row.takes[k].lo) & (v <= row.takes[k].hi)).all():
            raise IllFormed(f"rescale_float32_bias: {k} reaches from {np.min(v)} to {np.max(v)}; allowed is {row.takes[k].lo} "
                            f"to {row.takes[k].hi}")
    return {"zin": zin, **made, "zp": zp}


def at_accumulator(row, factors, unit, bias):
    product, one = scales.product32(factors), np.float32(1)
    share = one / np.ravel(product)[0] if row.weights == "tensor" else one
    return {"first": one, "second": one, "bias": bias if row.weights == "tensor" else bias / product, "unit": share,
            "last": np.float32(scales.ratio(row.ratio, factors, unit))}


def in_reals(row, factors, unit, bias):
    first, *others = factors
    # a scale for each channel has no place in the first product, unless all are alike
    first, others = (np.ravel(first)[0], others) if not np.ptp(first) else (1.0, factors)
    first, second = scales.pair(first, np.prod(np.broadcast_arrays(*others), 0) if others else 1.0, row.inverted)
    return {"first": first, "second": second, "bias": bias, "unit": np.float32(1), "last": np.float32(1) / np.float32(unit)}


makers = {"accumulator": at_accumulator, "reals": in_reals}


def spec(acc, zin, first, second, bias, unit, last, zp, row, at=unwatched):
    converted = conversions.word(row.far)
    centred = at("centred", acc.astype(np.int64) - zin, I64)                                      # R1
    scaled = at("scaled", at("single", centred.astype(np.float32), F32) * np.float32(first), F32)     # R1 R2
    total = at("total", fused(bias, np.float32(unit), at("real", scaled * second, F32)), F32)     # R2 R3
    value = at("product", total * last, F32)                                                      # R4
    if row.zero_point == "inside":
        value = at("joined", value + np.float32(zp), F32)                                         # R6
        return at.clip("y", converted(at.nearest("rounded", row.ties, value, I40)), row.out)      # R5 R7 R8
    return at.clip("y", converted(at.nearest("rounded", row.ties, value, I40)) + zp, row.out)     # R5 R6 R7 R8


@cache
def kernel(row):
    whole, converted, lo, hi = nearest(row.ties, I40), conversions.word(row.far), row.out.lo, row.out.hi

    after = row.zero_point == "after"

    @jit(nogil=True)
    def rescale_float32_bias(acc, zin, first, second, bias, unit, last, zp, y):
        inner, outer = (0, zp) if after else (zp, 0)
        for n in range(acc.shape[0]):
            for c in range(acc.shape[1]):
                real = product(acc[n, c] - zin, first) * second[c]                                # R1 R2
                value = plus(fused(bias[c], unit, real) * last[c], inner)                         # R3 R4 R6
                y[n, c] = min(max(converted(whole(value)) + outer, lo), hi)                       # R5 R6 R7 R8

    return rescale_float32_bias


def real(acc, zin, first, second, bias, unit, last, zp, row):
    first, second, bias, unit, last = (Fraction(float(v)) for v in (first, second, bias, unit, last))
    return zp + ((int(acc) - int(zin)) * first * second + bias * unit) * last


slips = (dropped("zp"), negated("zp"), dropped("zin"), bias_dropped, negated("bias"), channels_shifted("second", 1),
         channels_shifted("bias", 1), channels_shifted("last", 1), channels_shifted("y", 1), last_tile_lost("y", 4))


def r5_keeps_order(acc, zin, first, second, bias, unit, last, zp, row):
    """Larger accumulators never give smaller codes, while 32 bits hold what they are rounded to."""
    order = np.sort(acc, axis=0)
    wide = ((order.astype(np.int64) - zin) * np.float64(first) * second + bias.astype(np.float64) * unit) * last
    y = spec(order, zin, first, second, bias, unit, last, zp, row)
    return (np.diff(y, axis=0) >= 0) | (row.far != "saturates") & ~(wide < 2.0 ** 30)[1:]


def r6_nothing_gives_the_zero_point(acc, zin, first, second, bias, unit, last, zp, row):
    if row.out.bits > 24 and row.zero_point == "inside":
        return True         # float32 does not hold every zero point
    return spec(np.full_like(acc, zin), zin, first, second, bias * 0, unit, last, zp, row) == zp
