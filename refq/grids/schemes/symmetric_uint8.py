"""symmetric_uint8: Glow's SymmetricWithUnsigned: unsigned where nothing is below 0, so all codes are for it; else its Symmetric.

Codes are signed here as there: unsigned ones are held less 2**(b-1), which is the zero point. A range of zeros, and one that ends
below the float32 epsilon (refq.grids.schemes.glow), has the zero point 0 all the same.

source   pytorch/glow lib/Quantization/Base/Base.cpp; Schema::SymmetricWithUnsigned
"""
import numpy as np

from refq.grids.schemes import glow


def grid(lo, hi, bits, axis=None, block=None):
    """scale = hi / (2**bits - 1) and the lowest code for 0, or that of glow_symmetric."""
    width, lo, hi = glow.ends(lo, hi, bits)
    least, most = glow.balanced(width, lo, hi)
    lo, hi = np.where(lo < 0, least, lo), np.where(lo < 0, most, hi)
    return glow.made(width, lo, hi, glow.step(width, lo, hi), axis, block)
