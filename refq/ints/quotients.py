"""How a real number becomes a multiple of a scale before it is rounded: exactly, or with every float32 rounding written out.

    quotient            is                              seen in
    exact               x / scale                       the standard's prose
    float32             f32(x / scale)                  MLAS, TFLite, the ONNX evaluator
    reciprocal_float32  f32(x * f32(1 / scale))         FBGEMM, QNNPACK, XNNPACK

    zero point          joins
    after               the integer that the value is rounded to
    inside              the value, which is rounded to float32 again
    fused               the product with the reciprocal, and both are rounded to float32 once

`value(quotient, zero_point)` is a word of (x, scale, zp): the number to be rounded to an integer, of float32 numbers or arrays
and an integer. The exact one is a float64 quotient: of two float32 numbers, below 2**27, it is on the same side of every
integer and every half as the real quotient, since that is at least 2**-25 away from those that it is not.
"""
import numpy as np

from refq.errors import IllFormed
from refq.ints.floats import fused, plus
from refq.ints.jit import word


@word
def exact(x, scale, zp):
    return np.float64(x) / np.float64(scale)


@word
def float32(x, scale, zp):
    return np.float32(x) / np.float32(scale)


@word
def float32_inside(x, scale, zp):
    return plus(np.float32(x) / np.float32(scale), zp)


@word
def reciprocal_float32(x, scale, zp):
    return np.float32(x) * (np.float32(1) / np.float32(scale))


@word
def reciprocal_float32_inside(x, scale, zp):
    return plus(np.float32(x) * (np.float32(1) / np.float32(scale)), zp)


@word
def reciprocal_float32_fused(x, scale, zp):
    return fused(x, np.float32(1) / np.float32(scale), np.float32(zp))


values = {("exact", "after"): exact, ("float32", "after"): float32, ("float32", "inside"): float32_inside,
          ("reciprocal_float32", "after"): reciprocal_float32, ("reciprocal_float32", "inside"): reciprocal_float32_inside,
          ("reciprocal_float32", "fused"): reciprocal_float32_fused}
quotients = tuple(dict.fromkeys(q for q, _ in values))
places = tuple(dict.fromkeys(z for _, z in values))


def value(quotient, zero_point):
    """The word; raises IllFormed for a pair that there is none for."""
    if (quotient, zero_point) not in values:
        allowed = ", ".join(z for q, z in values if q == quotient)
        raise IllFormed(f"a {quotient} quotient with its zero point {zero_point}; its zero point can be {allowed}")
    return values[quotient, zero_point]
