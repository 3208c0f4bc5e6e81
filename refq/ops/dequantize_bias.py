"""dequantize_bias: an accumulator becomes reals, as float32 numbers, and a real bias joins.

    y = acc * first * second + bias

units    acc counts s_x*s_w, y and the bias count 1; first is s_x and second s_w, or first is 1 and second s_x*s_w in float32
R1       the accumulator is rounded to float32, exact below 2**24
R2       its product with each scale is rounded to float32, one after the other
R3       the bias joins in a float32 sum; or the last product and the sum are rounded once, by a fused multiply-add
error    2**-24 of each term for each float32 rounding
source   pytorch/FBGEMM include/fbgemm/OutputProcessing-inl.h, ReQuantizeForFloat (joined, fused); PyTorch's QNNPACK,
         q8gemm dynamic quantization (joined, float32); oneDNN through ideep (each, float32); all run in torch 2.13
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import scales
from refq.ints.floats import fused, plus, product
from refq.ints.jit import jit, word
from refq.ints.operand import F32
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import bias_dropped, channels_shifted, dropped, last_tile_lost, negated
from refq.ints.width import I32, Width

SCALE, BIAS = 2.0 ** 32, 2.0 ** 100
"""The largest scale and bias: no sum or product of them is infinite."""


@word
def rounded_twice(x, scale, bias):
    return plus(np.float32(x) * np.float32(scale), bias)


sums = {"float32": rounded_twice, "fused": fused}


@dataclass(frozen=True)
class Row(Base):
    scales: str = choice("joined", "each", acts="build")
    inverted: str = choice("none", "first", "both", acts="build")
    sum: str = choice("float32", *sums)
    acc: Width = decided(I32)

    def __post_init__(self):
        super().__post_init__()
        if self.acc.bits > 48:
            raise IllFormed(f"dequantize_bias: {self.acc}; defined up to 48 bits")
        if self.inverted != "none" and self.scales == "joined":
            raise IllFormed("dequantize_bias: scales that come by way of their reciprocals (`inverted`) are taken each")

    @property
    def takes(self):
        return {"acc": self.acc("n c"), "first": F32("", 0.0, SCALE), "second": F32("c", 0.0, SCALE),
                "bias": F32("c", -BIAS, BIAS)}

    @property
    def gives(self):
        return {"y": F32("n c")}


def build(row, sx, sw, bias):
    """The constants of a step from real scales, `sx` a number, `sw` and `bias` numbers or one for each channel."""
    first, second = scales.pair(sx, np.atleast_1d(sw), row.inverted)
    if row.scales == "joined":
        first, second = np.float32(1), scales.product32((first, second))
    count = max(np.size(second), np.size(bias))
    made = {"first": first, "second": np.broadcast_to(second, count), "bias": np.broadcast_to(np.float32(bias), count)}
    for k, v in made.items():
        if not ((v >= row.takes[k].lo) & (v <= row.takes[k].hi)).all():
            raise IllFormed(f"dequantize_bias: {k} reaches from {np.min(v)} to {np.max(v)}; allowed is {row.takes[k].lo} to "
                            f"{row.takes[k].hi}")
    return made


def spec(acc, first, second, bias, row, at=unwatched):
    scaled = at("scaled", at("single", acc.astype(np.float32), F32) * np.float32(first), F32)     # R1 R2
    return at("y", sums[row.sum](scaled, second, bias), F32)                                      # R2 R3


@cache
def kernel(row):
    joined = sums[row.sum]

    @jit(nogil=True)
    def dequantize_bias(acc, first, second, bias, y):
        for n in range(acc.shape[0]):
            for c in range(acc.shape[1]):
                y[n, c] = joined(product(acc[n, c], first), second[c], bias[c])                   # R1 R2 R3

    return dequantize_bias


def real(acc, first, second, bias, row):
    return int(acc) * Fraction(float(first)) * Fraction(float(second)) + Fraction(float(bias))


slips = (bias_dropped, negated("bias"), dropped("second"), channels_shifted("second", 1), channels_shifted("bias", 1),
         channels_shifted("y", 1), last_tile_lost("y", 4))


def r2_keeps_order(acc, first, second, bias, row):
    """Larger accumulators never give smaller numbers."""
    return np.diff(spec(np.sort(acc, axis=0), first, second, bias, row), axis=0) >= 0


def r3_nothing_gives_the_bias(acc, first, second, bias, row):
    return spec(acc * 0, first, second, bias, row) == bias
