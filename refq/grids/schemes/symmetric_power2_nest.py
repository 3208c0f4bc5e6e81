"""symmetric_power2_nest: symmetric_power2 as NEST-C has it, whose scales end at 2**-(b - 1): 2**-7 at 8 bits, 2**-15 at 16.

source   etri/nest-compiler lib/Quantization/Base/Base.cpp, which states the two floors of 8 and 16 bits; the others are read
         from them
"""
import numpy as np

from refq.grids.schemes import glow
from refq.grids.schemes.symmetric_power2 import raised


def grid(lo, hi, bits, axis=None, block=None):
    """scale = max(2**ceil(log2 of that of glow_symmetric), 2**-(bits - 1))."""
    width, lo, hi = glow.ends(lo, hi, bits)
    lo, hi = glow.balanced(width, lo, hi)
    return glow.made(width, lo, hi, glow.step(width, lo, hi), axis, block,
                     stored=lambda scale: np.maximum(raised(scale), 2.0 ** (1 - bits)))
