"""power_of_two_nearest: no zero point, and the power of two nearest to max |x| / (2**(b-1) - 1) by its logarithm.

So a range may end up to a factor of sqrt(2) beyond the highest code, and saturate there. The switch is no float: decided exactly
by squares, and never a tie.

source   Brevitas core/restrict_val.py, PowerOfTwoRestrictValue with FloatToIntImplType.ROUND
"""
from fractions import Fraction

import numpy as np

from refq.grids.schemes.power_of_two_ceil import exact
from refq.grids.schemes.ranges import admitted, farthest


def nearest(most, codes):
    """The exponent nearest to log2(most / codes); 0 for none."""
    if most == 0:
        return 0
    ratio = Fraction(most) / codes
    guess = int(np.rint(np.log2(most) - np.log2(codes)))
    while ratio ** 2 > Fraction(2) ** (2 * guess + 1):
        guess += 1
    while ratio ** 2 < Fraction(2) ** (2 * guess - 1):
        guess -= 1
    return guess


def grid(lo, hi, bits, axis=None, block=None):
    """scale = 2**round(log2(max(-lo, hi) / (2**(bits - 1) - 1))), the exponent from -126 to 127; 1 for a range of zeros."""
    width, lo, hi = admitted(lo, hi, bits)
    most = farthest(lo, hi)
    found = np.array([nearest(m, width.hi) for m in most.ravel().tolist()], np.int64).reshape(most.shape)
    return exact(width, found, axis, block)
