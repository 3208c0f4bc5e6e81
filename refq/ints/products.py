"""How a code becomes a real number in float32: a word of (q, zp, scale), of integers and a float32 number, or arrays of them.

    product    is                                       seen in
    float32    f32(f32(q - zp) * scale)                 ONNX, MLAS, XNNPACK
    exact      f32((q - zp) * scale)                    TFLite, which multiplies in float64
    fused      f32(q * scale + f32(-zp * scale))        PyTorch's quantized add and mul, by a fused multiply-add
    spread     f32(f32(q * scale) + f32(-zp * scale))   LiteRT's fast kernels for x86, 16 codes at a time

The first two are the same while q - zp has 24 bits.
"""
import numpy as np

from refq.errors import IllFormed
from refq.ints.floats import fused as multiply_add
from refq.ints.floats import plus, product
from refq.ints.jit import word as jitted


@jitted
def float32(q, zp, scale):
    return product(q - zp, scale)


@jitted
def exact(q, zp, scale):
    # The two halves of the difference have 17 bits: their products are exact in float64, and their sum is rounded once.
    high, low = q - zp >> 16, q - zp & 0xFFFF
    return multiply_add(65536 * high, scale, np.float64(low) * np.float64(scale))


@jitted
def fused(q, zp, scale):
    return multiply_add(np.float32(q), np.float32(scale), product(-zp, scale))


@jitted
def spread(q, zp, scale):
    return plus(product(q, scale), product(-zp, scale))


words = {f.__name__: f for f in (float32, exact, fused, spread)}
names = tuple(words)


def word(name):
    """The word of that name; raises IllFormed where there is none."""
    if name not in words:
        raise IllFormed(f"a product named {name!r}; there are {', '.join(names)}")
    return words[name]
