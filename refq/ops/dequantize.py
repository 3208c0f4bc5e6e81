"""dequantize: codes become reals, as float32 numbers.

    y = (q - zp) * scale

units    q counts scale, which is a float32 number; y counts 1
R1       the zero point is taken off as an integer
R2       the difference is rounded to float32, exact below 2**24, and the product with the scale again; or the exact product is
         rounded once; or q times the scale plus float32(-zp * scale) are rounded once, by a fused multiply-add
error    2**-24 of y where it is exact, else 2**-23; of zp * scale where it is fused
source   ONNX DequantizeLinear, ONNX Runtime (float32); TFLite Dequantize, a product in float64 (exact); PyTorch
         aten/src/ATen/cpu/vec, Vectorized<c10::qint8>::dequantize (fused: in its quantized add, not in dequantize())
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import products
from refq.ints.jit import jit
from refq.ints.operand import F32
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, first_for_all, last_tile_lost, negated
from refq.ints.width import I8, Width, at_most
from refq.machine import codes

FINEST, COARSEST = 2.0 ** -126, 2.0 ** 80
"""The scales under which no product is infinite, nor any but 0 subnormal."""


@dataclass(frozen=True)
class Row(Base):
    product: str = choice("float32", *products.names)
    q: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(32, "dequantize", self.q)

    @property
    def takes(self):
        return {"q": self.q("n c"), "scale": F32("c", FINEST, COARSEST), "zp": self.q("c")}

    @property
    def gives(self):
        return {"y": F32("n c")}


def build(row, scale, zp):
    """The constants of a step: `scale` real numbers, one or one for each channel, rounded to float32; `zp` likewise."""
    single = np.atleast_1d(np.asarray(scale, np.float64).astype(np.float32))
    if not ((single >= FINEST) & (single <= COARSEST)).all():
        raise IllFormed(f"dequantize: scales {np.min(scale)!r} to {np.max(scale)!r}; allowed is 2**-126 to 2**80")
    return {"scale": single, "zp": np.broadcast_to(zp, single.shape)}


def spec(q, scale, zp, row, at=unwatched):
    return at("y", products.word(row.product)(q.astype(np.int64), zp.astype(np.int64), scale), F32)        # R1 R2


@cache
def kernel(row):
    if row.q.bits <= 16:
        return codes.dequantizing(row.product)
    product = products.word(row.product)

    @jit(nogil=True)
    def dequantize(q, scale, zp, y):
        for n in range(q.shape[0]):
            for c in range(q.shape[1]):
                y[n, c] = product(np.int64(q[n, c]), np.int64(zp[c]), scale[c])                           # R1 R2

    return dequantize


def real(q, scale, zp, row):
    return (int(q) - int(zp)) * Fraction(float(scale))


slips = (dropped("zp"), negated("zp"), first_for_all("scale", "zp"), channels_shifted("scale", 1), channels_shifted("y", 1),
         last_tile_lost("y", 4))


def r1_the_zero_point_is_zero(q, scale, zp, row):
    """But for what float32 loses of it where it is fused."""
    slack = np.abs(zp.astype(np.float64)) * scale * 2.0 ** -23 if row.product == "fused" else 0
    return np.abs(spec(np.zeros_like(q) + zp, scale, zp, row)) <= slack


def r2_keeps_order(q, scale, zp, row):
    """Larger codes never give smaller numbers."""
    return np.diff(spec(np.sort(q, axis=0), scale, zp, row), axis=0) >= 0
