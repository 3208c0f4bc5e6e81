"""Words for targets that compute in float32: every float32 rounding is written out.

`product(acc, scale)` is float32(float32(acc) * scale), both rounded to the nearest, ties to even. `nearest(ties,
width)` rounds a float32 to an integer by any of the ten roundings, and saturates at `width` (at most 52 bits). `fused` is
a fused multiply-add. All serve NumPy arrays and jitted kernels from the one text. `rounded` is for specs: it refuses NaN, which a
kernel cannot meet, since it multiplies integers by finite scales.
"""
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.jit import word


@word
def product(acc, scale):
    """float32(acc) * float32(scale): an integer and a float32 (or a float64 that is rounded to one)."""
    return np.float32(acc) * np.float32(scale)


@word
def plus(x, y):
    """float32(x + y) of two float32 numbers; a kernel that adds a product with it rounds twice, as without an fma."""
    return np.float32(np.float32(x) + np.float32(y))


@word
def minus(x, y):
    """float32(x - y)."""
    return np.float32(np.float32(x) - np.float32(y))


joins = {"plus": plus, "minus": minus}


@word
def fused(x, y, z):
    """float32(x*y + z) of three float32 numbers, rounded once, as a processor's fused multiply-add does.

    The product is exact in float64, the sum is rounded there to odd: 29 bits more than float32 has, of which the last says
    whether anything was left, so that the second rounding is right.
    """
    product = np.float64(x) * np.float64(y)
    total = product + np.float64(z)
    back = total - product
    rest = (product - (total - back)) + (np.float64(z) - back)
    bits = np.float64(total).view(np.int64)
    step = np.int64(1) - 2 * np.int64((rest > 0) != (total > 0))
    odd = bits + step * np.int64(((rest > 0) | (rest < 0)) & ((bits & 1) == 0))
    return np.float32(np.int64(odd).view(np.float64))


@cache
def nearest(ties, width):
    """A word of one float32: the integer that `ties` rounds it to, saturated at `width`; infinities saturate."""
    shift, lo, hi = rounding.word(ties), width.lo, width.hi
    least, most = float(lo - 1), float(hi + 1)

    @word
    def rounded_to_even(x):
        # What the text below says, in the processor's own instruction.
        return np.int64(np.minimum(np.maximum(np.rint(np.float64(x)), float(lo)), float(hi)))

    @word
    def rounded_to(x):
        # The floor and two bits more, the half and the rest, decide every rounding; float64 holds them exactly.
        bounded = np.minimum(np.maximum(np.float64(x), least), most)
        floor = np.floor(bounded)
        rest = bounded - floor
        quarters = 4 * np.int64(floor) + 2 * (rest >= 0.5) + ((rest != 0.0) & (rest != 0.5))
        return np.minimum(np.maximum(shift(quarters, 2), lo), hi)

    return rounded_to_even if ties == "half_even" else rounded_to


def rounded(x, ties, width):
    """`nearest` for specs: `x` a float32 array, the result int64; raises IllFormed for NaN."""
    if np.isnan(x).any():
        raise IllFormed("a float32 product is NaN; the accumulator is an integer, so its scale must be finite")
    return nearest(ties, width)(x)
