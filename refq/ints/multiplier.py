"""A real scale as integers: `encode(scale, form)` gives (mult, shift), and the scale is about mult / 2**shift.

    form         mult                     how
    q31          0 or 2**30 .. 2**31-1    frexp; mantissa * 2**31 half up; a carry halves it; below 2**-32: 0 (TFLite)
    q15          0 or 2**14 .. 2**15-1    the q31 one without its low 16 bits, half up, at most 0x7fff (TFLite int16x8)
    mantissa24   2**23 .. 2**24-1         the mantissa of the float32 scale, exact (QNNPACK, XNNPACK)
    dyadic       0 or 2**30 .. 2**31      frexp; mantissa * 2**31 half up, the carry kept; below 2**-32: 0 (I-ViT, Vela)
    dyadic15     0 or 2**14 .. 2**15      the dyadic one without its low 16 bits, half up (Vela int16)
    fixed8       0 .. 2**15               the float32 scale in 256ths, half to even; the shift is 8 (XNNPACK vcvt)
    pow2         1, or 2**k to the left   the scale must be a power of two; refused otherwise (VTA, DPU)

`scaler(high, ties, overflow)` is the word that applies such a pair: acc * mult / 2**shift, rounded once, or twice where
`high` names the rounding of the high half at bit 31. `scaled` is the same text with its sites, for specs.
"""
from functools import cache
from math import frexp, ldexp

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.jit import word
from refq.ints.width import I32, I64

FLUSHED = (0, 31)


def q31(scale):
    mantissa, exponent = frexp(scale)
    mult = int(ldexp(mantissa, 32)) + 1 >> 1
    if mult == 1 << 31:
        mult, exponent = mult >> 1, exponent + 1
    return (mult, 31 - exponent) if exponent >= -31 else FLUSHED


def q15(scale):
    mult, shift = q31(scale)
    if not mult:
        return FLUSHED
    return (mult + (1 << 15) >> 16 if mult < 0x7FFF0000 else 0x7FFF), shift - 16


def mantissa24(scale):
    if scale >= 2.0 ** 128 - 2.0 ** 103:
        raise IllFormed(f"a scale of {scale!r}: this row's multiplier is a float32, which does not reach so far")
    single = float(np.float32(scale))
    mantissa, exponent = frexp(single)
    return (int(ldexp(mantissa, 24)), 24 - exponent) if single else FLUSHED


def dyadic(scale):
    mantissa, exponent = frexp(scale)
    # below 2**-32 no 32-bit register reaches a half
    return (int(ldexp(mantissa, 32)) + 1 >> 1, 31 - exponent) if scale and exponent >= -31 else FLUSHED


def dyadic15(scale):
    mult, shift = dyadic(scale)
    return (mult + (1 << 15) >> 16, shift - 16) if mult else FLUSHED


def fixed8(scale):
    mult = int(np.rint(256 * float(np.float32(min(scale, 2.0 ** 127)))))
    if mult > 1 << 15:
        raise IllFormed(f"a scale of {scale!r}: this row's multiplier counts 256ths, up to 128 of the result's units")
    return mult, 8


def pow2(scale):
    mantissa, exponent = frexp(scale)
    if mantissa != 0.5:
        raise IllFormed(f"a scale of {scale!r}: this row's multiplier is a shift, so the scale must be a power of two")
    return (1, 1 - exponent) if exponent <= 1 else (1 << exponent - 1, 0)


forms = {f.__name__: f for f in (q31, q15, mantissa24, dyadic, dyadic15, fixed8, pow2)}
bits = {"q31": 31, "q15": 15, "mantissa24": 24, "dyadic": 31, "dyadic15": 15, "fixed8": 15, "pow2": 0}
"""A multiplier of that form is at most 2**bits."""


def encode(scale, form):
    """The pair of one real scale (a float64, at least 0); raises IllFormed for NaN, infinite and negative ones."""
    if form not in forms:
        raise IllFormed(f"a multiplier of form {form!r}; there are {', '.join(forms)}")
    if not 0 <= scale < float("inf"):
        raise IllFormed(f"a scale of {scale!r}: scales are finite and at least 0")
    return forms[form](float(scale))


def pair(scale, form):
    """`encode` for an operation whose shifts end at 62: a scale that only a longer one reaches is flushed to 0, which
    is what every nearest rounding makes of such a product."""
    mult, shift = encode(scale, form)
    return (mult, shift) if shift <= 62 else FLUSHED


def shared(mult, shift, count):
    """A q31 pair divided by the number `count` (1 or more), in integers: raised by as many bits as keep it below 2**31 and the
    shift from going left by more than 31, and the quotient truncated (tensorflow/lite/kernels/internal/reference/reduce.h)."""
    room = min(count.bit_length() - 1, 32, 62 - shift)
    return (mult << room) // count, shift + room


def decode(mult, shift):
    """The real scale that a pair stands for, exactly, as a float64 (mult has at most 32 bits)."""
    return ldexp(mult, -shift)


def scaled(at, acc, mult, shift, high, ties, overflow, prefix=""):
    """acc * mult / 2**shift with every register and rounding at its site; NumPy int64 arrays that broadcast. `prefix`
    tells the sites apart where an operation rescales more than once."""
    if high == "none":
        return at.shift(prefix + "scaled", ties, at(prefix + "wide", acc * mult, I64), shift, I64)
    room, hold = np.maximum(31 - shift, 0), at.wrap if overflow == "wrap" else at.clip
    lifted = hold(prefix + "lifted", acc << room, I32)
    doubled = at.shift(prefix + "high", high, at(prefix + "wide", lifted * mult, I64), 31, I32)
    return at.shift(prefix + "scaled", ties, doubled, np.maximum(shift - 31, 0), I32)


@cache
def scaler(high, ties, overflow):
    """`scaled` for jitted kernels: a word of (acc, mult, shift), all int64."""
    last = rounding.word(ties)
    if high == "none":
        @word
        def once(acc, mult, shift):
            return last(acc * mult, shift)
        return once

    first, saturates, lo, hi = rounding.word(high), overflow == "saturate", I32.lo, I32.hi

    @word
    def twice(acc, mult, shift):
        lifted = acc << max(31 - shift, 0)
        if saturates:
            lifted = min(max(lifted, lo), hi)
        else:
            lifted = ((lifted & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000
        return last(first(lifted * mult, 31), max(shift - 31, 0))

    return twice
