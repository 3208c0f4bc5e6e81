"""asymmetric: the codes reach from the lower end of the range to the upper one, and 0 is the code nearest to where it falls.

source   Jacob et al. 2018, section 2.1; the zero point decided exactly from the float32 scale, half to even
"""
from refq.grids import affine
from refq.grids.schemes.ranges import admitted


def grid(lo, hi, bits, axis=None, block=None):
    """scale = (hi - lo) / (2**bits - 1) as a float32."""
    width, lo, hi = admitted(lo, hi, bits)
    return affine.asymmetric(width, lo, hi, axis, block)
