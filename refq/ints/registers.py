"""Registers of a declared width in jitted kernels: `wrapping(width)` keeps the low bits of an int64, as Width.wrap."""
from functools import cache

from refq.ints.jit import word


@word
def unchanged(x):
    return x


@cache
def wrapping(width):
    """The word that wraps an int64 to `width`."""
    if width.bits == 64:
        return unchanged
    mask, sign = (1 << width.bits) - 1, (1 << (width.bits - 1)) * width.signed

    @word
    def wrap(x):
        return ((x & mask) ^ sign) - sign
    return wrap


@cache
def saturating(width):
    """The word that saturates an int64 to `width`."""
    lo, hi = width.lo, width.hi

    @word
    def saturate(x):
        return min(max(x, lo), hi)
    return saturate
