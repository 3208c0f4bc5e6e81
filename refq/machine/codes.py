"""The inside of quantize and dequantize: fast loops between float32 numbers and codes of at most 8 bits, and packed nibbles.

Everything stays in float32, 16 numbers to a vector: a value is clipped between the ends of the codes first, which are whole, so
that the rounding that follows stays between them, and all that is added is exact. Constants of channels are laid out again and
again over `SPAN` numbers, so that one loop serves few channels, many, and one.
Quotients are estimated by the reciprocal of the scale, whose product errs by less than 2**-22 of itself: only where that may
decide a tie (or 32 bits are left) the quotient itself is made, for the whole span.
"""
from functools import cache

import numpy as np

from refq.ints import quotients
from refq.ints.floats import fused, plus
from refq.ints.jit import jit, word

SPAN = 512
LEFT = np.float32(2.0 ** 31)
HALF, DOUBT, FAR = np.float32(0.5), np.float32(2.0 ** -21), np.float32(2.0 ** 30)


@word
def floor(t, r):
    return t - np.float32(r < 0)


@word
def ceil(t, r):
    return t + np.float32(r > 0)


@word
def trunc(t, r):
    return t


@word
def away(t, r):
    return t + np.float32(r > 0) - np.float32(r < 0)


@word
def half_up(t, r):
    return t + np.float32(r >= HALF) - np.float32(r < -HALF)


@word
def half_down(t, r):
    return t + np.float32(r > HALF) - np.float32(r <= -HALF)


@word
def half_away(t, r):
    return t + np.float32(r >= HALF) - np.float32(r <= -HALF)


@word
def half_zero(t, r):
    return t + np.float32(r > HALF) - np.float32(r < -HALF)


@word
def half_even(t, r):
    return np.rint(t + r)           # which is the number itself: r is what trunc has left


@word
def odd(t, r):
    turned = np.float32(r > 0) - np.float32(r < 0)
    return t + (turned if np.int32(t) & np.int32(1) == 0 else np.float32(0))


roundings = {f.__name__: f for f in (floor, ceil, trunc, away, half_up, half_down, half_away, half_zero, half_even, odd)}
"""Word of the whole part of a float32 number and of its rest, which is exact: the same ten roundings as on integers."""
NEAREST = ("half_up", "half_down", "half_away", "half_zero", "half_even")


@cache
def encoder(quotient, zero_point, ties, far, nan, lo, hi):
    """A jitted function of (x, scale, inverse, zero, y): the codes `y` of as many numbers `x`; as many scales, their reciprocals
    and zero points, all float32; the fields are those of a row of quantize, `lo` and `hi` of at most 8 bits."""
    value, rounded = quotients.value(quotient, zero_point), roundings[ties]
    after, left, highest, converted = zero_point == "after", far == "lowest_int32", nan == "highest", nan == "converted"
    direct = quotient == "reciprocal_float32" and zero_point != "fused"
    estimated, once = ties in NEAREST, direct and not left
    least, most = np.float32(lo), np.float32(hi)

    @word
    def clipped(v, low, high):
        # Comparisons with a NaN are false: what is written decides that it becomes the low end, or the high one.
        if highest:
            under = v if v < high else high
            return under if under > low else low
        over = v if v > low else low
        return over if over < high else high

    @word
    def code(v, zero):
        bounded = clipped(v, least - zero, most - zero) if after else clipped(v, least, most)
        whole = np.trunc(bounded)
        found = np.int32(rounded(whole, bounded - whole) + zero) if after else np.int32(rounded(whole, bounded - whole))
        if left:
            joined = zero if after else np.float32(0)
            # what is 128 below 2**31 leaves 32 bits as well where so large a zero point joins it
            top = LEFT - np.float32(128) if joined >= np.float32(128) else LEFT
            lost = not (v < top and v > -LEFT)
            if not converted:
                lost = lost and v == v
            found = np.int32(least if joined >= 0 else most) if lost else found
        return found

    @word
    def guessed(x, inverse, zero):
        return x * inverse if after else np.float32(x * inverse) + zero

    @jit(nogil=True, error_model="numpy")
    def encode(x, scale, inverse, zero, y):
        if once:
            for i in range(len(y)):
                y[i] = code(guessed(x[i], inverse[i], zero[i]), zero[i])
            return
        if estimated:
            doubts = False
            for i in range(len(y)):
                v = guessed(x[i], inverse[i], zero[i])
                bounded = clipped(v, least - zero[i], most - zero[i]) if after else clipped(v, least, most)
                whole = np.rint(bounded)
                y[i] = np.int32(whole + zero[i]) if after else np.int32(whole)
                reach = np.abs(bounded) if after else np.abs(bounded) + np.abs(zero[i])
                unsure = np.abs(bounded - whole) >= HALF - reach * DOUBT
                doubts = doubts | unsure
                if left:
                    doubts = doubts | (not np.abs(v) <= FAR)
            if not doubts:
                return
        for i in range(len(y)):
            y[i] = code(value(x[i], scale[i], zero[i]), zero[i])

    return encode


@word
def laid_out(constants):
    """Constants of channels one after another, again and again, at least `SPAN` of them, as float32."""
    count = len(constants)
    made = np.empty(count * max(1, -(-SPAN // count)), np.float32)
    for first in range(0, len(made), count):
        made[first:first + count] = constants
    return made


@cache
def quantizing(quotient, zero_point, ties, far, nan, lo, hi):
    """The kernel of a row of quantize: a jitted function of (x, scale, zp, y), contiguous, x and y (n c)."""
    encode = encoder(quotient, zero_point, ties, far, nan, lo, hi)

    @jit(nogil=True, error_model="numpy")
    def quantize(x, scale, zp, y):
        size, given, codes = x.size, x.reshape(x.size), y.reshape(y.size)
        if size == 0:
            return
        scales, zeros = laid_out(scale), laid_out(zp)
        inverses, longest = np.float32(1) / scales, len(scales)
        for at in range(0, longest, SPAN):          # a part of the constants, and all numbers that take it
            to = min(at + SPAN, longest)
            part, inverse, zero = scales[at:to], inverses[at:to], zeros[at:to]
            for first in range(at, size, longest):
                last = min(first + to - at, size)
                encode(given[first:last], part, inverse, zero, codes[first:last])

    return quantize


@word
def taken(q, zero, scale, offset):
    return (q - zero) * scale


@word
def spread(q, zero, scale, offset):
    return plus(q * scale, offset)


@word
def added(q, zero, scale, offset):
    return fused(q, scale, offset)


decoders = {"float32": taken, "exact": taken, "spread": spread, "fused": added}
"""Word of a code, its zero point, the scale and float32(-zero * scale), all float32: the products of dequantize, for codes of at
most 16 bits, where differences are exact and the first two are one."""


@cache
def decoder(product):
    """A jitted function of (q, scale, zero, offset, y): the numbers `y` of as many codes, as the word `product` says."""
    number = decoders[product]

    @jit(nogil=True, error_model="numpy")
    def decode(q, scale, zero, offset, y):
        for i in range(len(y)):
            y[i] = number(np.float32(q[i]), zero[i], scale[i], offset[i])

    return decode


@cache
def dequantizing(product):
    """The kernel of a row of dequantize whose codes have at most 16 bits: a jitted function of (q, scale, zp, y), contiguous."""
    decode = decoder(product)

    @jit(nogil=True, error_model="numpy")
    def dequantize(q, scale, zp, y):
        size, given, numbers = q.size, q.reshape(q.size), y.reshape(y.size)
        if size == 0:
            return
        scales, zeros = laid_out(scale), laid_out(zp)
        offsets, longest = (np.float32(0) - zeros) * scales, len(scales)
        for at in range(0, longest, SPAN):
            to = min(at + SPAN, longest)
            part, zero, offset = scales[at:to], zeros[at:to], offsets[at:to]
            for first in range(at, size, longest):
                last = min(first + to - at, size)
                decode(given[first:last], part, zero, offset, numbers[first:last])

    return dequantize
