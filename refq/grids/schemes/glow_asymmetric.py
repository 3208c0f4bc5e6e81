"""glow_asymmetric: Glow's Asymmetric: from the lower end to the upper one; the zero point from the end of the smaller error, half
away from zero. See refq.grids.schemes.glow for what all of its schemes share.

source   pytorch/glow lib/Quantization/Base/Base.cpp; Schema::Asymmetric
"""
from refq.grids.schemes import glow


def grid(lo, hi, bits, axis=None, block=None):
    """scale = (hi - lo) / (2**bits - 1)."""
    width, lo, hi = glow.ends(lo, hi, bits)
    return glow.made(width, lo, hi, glow.step(width, lo, hi), axis, block)
