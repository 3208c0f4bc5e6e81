"""symmetric_full: the scale of `symmetric`, and the lowest code is in use too: it lies one step below -m, m = max |x|.

source   stated here: what a result that saturates at the ends of its width has; refq's activations where a target has no zero
         point
"""
from refq.grids import affine
from refq.grids.schemes.ranges import admitted, farthest


def grid(lo, hi, bits, axis=None, block=None):
    """scale = max(-lo, hi) / (2**(bits - 1) - 1) as a float32; codes from -2**(bits - 1)."""
    width, lo, hi = admitted(lo, hi, bits)
    return affine.symmetric(width, farthest(lo, hi), axis, block, narrow=False)
