"""glow_symmetric: Glow's Symmetric: -2**(b-1) reaches the lower end or 2**(b-1) - 1 the upper one, whichever takes the larger
step.

So a range of which the lower end is the farther one has a step of m / 2**(b-1), one of the other kind m / (2**(b-1) - 1).

source   pytorch/glow lib/Quantization/Base/Base.cpp; Schema::Symmetric
"""
from refq.grids.schemes import glow


def grid(lo, hi, bits, axis=None, block=None):
    """scale = max(-lo / 2**(bits - 1), hi / (2**(bits - 1) - 1)), but for float32 roundings of the end that is moved."""
    width, lo, hi = glow.ends(lo, hi, bits)
    lo, hi = glow.balanced(width, lo, hi)
    return glow.made(width, lo, hi, glow.step(width, lo, hi), axis, block)
