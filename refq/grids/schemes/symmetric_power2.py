"""symmetric_power2: Glow's SymmetricWithPower2Scale: its Symmetric, the scale then raised to a power of two. A range of zeros:
2**-3.

source   pytorch/glow lib/Quantization/Base/Base.cpp; Schema::SymmetricWithPower2Scale
"""
import numpy as np

from refq.grids.schemes import glow


def raised(scale):
    """The least power of two that is not below the scale."""
    mantissa, exponent = np.frexp(scale)
    return np.ldexp(1.0, exponent - (mantissa == 0.5))


def grid(lo, hi, bits, axis=None, block=None):
    """scale = 2**ceil(log2 of that of glow_symmetric)."""
    width, lo, hi = glow.ends(lo, hi, bits)
    lo, hi = glow.balanced(width, lo, hi)
    return glow.made(width, lo, hi, glow.step(width, lo, hi), axis, block, stored=raised)
