"""A real scale as a shift, a small multiplier and another shift: `encode(scale, form, bits)` gives (pre, mult, post), and the
scale is about mult / 2**(pre + post). A negative `pre` shifts left; `bits`: of the result's codes.

    form      mult                      how
    glow      1 .. 511 (or a power)     a power of two by shifts alone; else doubled into [256, 512) as far as 15 bits behind
                                        and half as many in front allow, rounded half away (Glow)
    rndnu16   2**14 .. 2**15 - 1        the mantissa of the float32 scale in 15 bits, half up, at most 0x7fff; 15 behind
                                        (XNNPACK)
    sdp       0 or 2**14 .. 2**15 - 1   15 bits of mantissa (as multiplier's q15), all of the shift behind (NVDLA)
    fixed     scale * 2**(28 - bits)    half to even; 28 - bits behind, the same for all channels (Deeploy)
    fixed24   scale * 2**24             likewise, 24 behind (quantlib's default)

A scale below 2**-32, under which no 32-bit register reaches a half, is (0, 0, 15) in every form.
"""
from math import floor, frexp, ldexp

import numpy as np

from refq.errors import IllFormed
from refq.ints import multiplier, rounding

FLUSHED = (0, 0, 15)
RANGES = {"glow": (0, 31, 31, 0, 31), "rndnu16": (-8, 31, 15, 15, 15), "sdp": (0, 31, 15, 0, 62), "fixed": (0, 0, 31, 0, 31),
          "fixed24": (0, 0, 31, 0, 31)}
"""Of each form: least and largest shift in front, bits of the multiplier, least and largest shift behind."""


def glow(scale, bits):
    scale = float(np.float32(scale))
    mantissa, exponent = frexp(scale)
    if mantissa == 0.5:
        return (0, 1 << exponent - 1, 0) if exponent > 0 else (0, 1, 1 - exponent)
    pre = post = 0
    while scale < 0.5 or (scale < 256 and post < 15):
        scale, post = 2 * scale, post + 1
    while scale < 255 and pre < post // 2:
        scale, pre = 2 * scale, pre + 1
    return pre, floor(scale + 0.5), post


def rndnu16(scale, bits):
    mult, shift = multiplier.encode(scale, "mantissa24")
    return shift - 24, min((mult + (1 << 8)) >> 9, 0x7FFF), 15


def sdp(scale, bits):
    mult, shift = multiplier.encode(scale, "q15")
    return 0, mult, shift


def fixed24(scale, bits):
    return 0, round(ldexp(scale, 24)), 24                       # Python's round of a float: half to even, exactly


def fixed(scale, bits):
    return 0, round(ldexp(scale, max(28 - bits, 0))), max(28 - bits, 0)


forms = {f.__name__: f for f in (glow, rndnu16, sdp, fixed, fixed24)}


def encode(scale, form, bits=8):
    """The triple of one real scale (a float64, at least 0); raises IllFormed for NaN, infinite and negative ones, and for those
    that need another multiplier or shift than RANGES allow."""
    if form not in forms:
        raise IllFormed(f"a multiplier of form {form!r}; there are {', '.join(forms)}")
    if not 0 <= scale < float("inf"):
        raise IllFormed(f"a scale of {scale!r}: scales are finite and at least 0")
    if scale < 2.0 ** -32:
        return FLUSHED
    if scale < 2.0 ** 31:
        pre, mult, post = forms[form](float(scale), bits)
        least, most, width, low, high = RANGES[form]
        if mult < 1 << width and least <= pre <= most and low <= post <= high:
            return pre, mult, post
    raise IllFormed(f"a scale of {float(scale)!r}: too large for a multiplier of form {form}; coarsen the grid of the result")


def registers(row, ends, sizes, constants):
    """The product that has a register of its own, between two shifts; with the half that is added for rounding."""
    pre, mult, post = (constants[k].astype(np.int64) for k in ("pre", "mult", "post"))
    first, half = rounding.word(row.first), (np.int64(1) << post) >> 1
    centred = (np.asarray(end, np.int64) - int(constants["zin"]) for end in ends["acc"])
    lo, hi = (row.middle.clip(first(end << np.maximum(-pre, 0), np.maximum(pre, 0))) for end in centred)
    if row.product.bits < 64:
        yield "wide", row.product, np.minimum(lo, 0) * mult, np.maximum(hi, 0) * mult + half * row.adds_half


def reaches(row, pre, mult, post):
    """Whether no result is cut short by the register in front of the multiplier: it holds the largest sum, or what makes the
    largest result."""
    largest = row.acc.hi >> pre if pre > 0 else row.acc.hi << -pre
    return largest <= row.middle.hi or row.middle.hi * mult >> post >= row.out.hi
