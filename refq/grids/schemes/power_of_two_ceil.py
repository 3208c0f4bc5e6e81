"""power_of_two_ceil: no zero point, and the finest scale 2**e whose codes reach both ends of the range: nothing saturates.

Decided exactly on the ends themselves: -lo <= 2**(b-1) * 2**e and hi <= (2**(b-1) - 1) * 2**e.

source   Jain et al. 2020 (TQT), section 3, ceil of the logarithm, there of a threshold m / 2**(b-1); the shifters of VTA and the
         DPU
"""
import numpy as np

from refq.grids.affine import Affine
from refq.grids.power_of_two import PowerOfTwo
from refq.grids.schemes.ranges import admitted

LEAST, MOST = -126, 127


def reaching(end, codes):
    """The least e at which `codes` * 2**e is not below `end` (an array >= 0)."""
    _, exponent = np.frexp(end)
    exponent = exponent - codes.bit_length()
    return exponent + (np.ldexp(float(codes), exponent) < end)


def exact(width, exponent, axis, block):
    """The grid of the scales 2**exponent."""
    exponent = np.clip(exponent, LEAST, MOST)
    if block is None:
        return PowerOfTwo(width, exponent, 0, axis)
    return Affine(width, np.ldexp(1.0, exponent), 0, axis, block)


def grid(lo, hi, bits, axis=None, block=None):
    """scale = 2**e, e from -126 to 127; 1 for a range of zeros."""
    width, lo, hi = admitted(lo, hi, bits)
    exponent = np.where(lo < 0, reaching(-lo, -width.lo), LEAST)
    exponent = np.maximum(exponent, np.where(hi > 0, reaching(hi, width.hi), LEAST))
    return exact(width, np.where((lo == 0) & (hi == 0), 0, exponent), axis, block)
