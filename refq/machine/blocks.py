"""The inside of kernels on blocks of numbers that share a scale: the largest of a block, and its scale as a code."""
from functools import cache

import numpy as np

from refq.ints import blocks, minifloat
from refq.ints.floats import nearest
from refq.ints.jit import word
from refq.ints.minifloat import exponent, negative, pattern, power
from refq.ints.width import Width


@cache
def storer(rule, element):
    """A word of (amax, g): the code of the scale."""
    if rule in blocks.POWERS:
        power_of = blocks.exponents(rule, element)
        return of_pattern(power_of)
    f = minifloat.load("e4m3fn" if rule == "tensor" else "float16")
    least, mantissa, most, beyond, sign = f.least, f.mantissa, f.most, f.infinity or f.most, f.sign
    steps, scale_of = nearest("half_even", Width(mantissa + 3)), unstored(rule)

    @word
    def stored(amax, g):
        scale = np.float64(scale_of(amax, g))
        low = beyond
        if np.abs(scale) != np.inf:
            e = max(exponent(scale), least)
            low = np.abs(steps(scale * power(mantissa - e))) + (e - least << mantissa)
            low = beyond if low > most else low
        return low | (sign if negative(scale) else 0)

    return stored


def of_pattern(power_of):
    @word
    def stored(amax, g):
        return power_of(pattern(amax))
    return stored


def unstored(rule):
    """A word of (amax, g): the scale of one block in float32, before it is stored."""
    @word
    def tensor(amax, g):
        return np.float32(1) if amax == 0 else amax / np.float32(6) / g

    @word
    def q4_0(amax, g):
        return amax / np.float32(-8)

    @word
    def q8_0(amax, g):
        return amax / np.float32(127)

    return {"tensor": tensor, "q4_0": q4_0, "q8_0": q8_0}[rule]


@word
def largest(block, signed):
    """The first number of the largest magnitude of some; a NaN counts as larger than all."""
    most = block[0]
    for v in block:
        if np.abs(v) > np.abs(most) or v != v:
            most = v
            if v != v:
                break
    return most + np.float32(0) if signed else np.abs(most)


@cache
def coder(row):
    """A word of (number in units of its scale, x): the code, under a row of quantize_blocks."""
    if row.element in ("int8", "int4"):
        whole, unit = nearest(row.ties, row.steps), 64 if row.rule in blocks.POWERS else 1
        lo, hi = (0, 15) if row.element == "int4" else (-127, 127)

        @word
        def coded(value, x):
            return min(max(whole(value * unit), lo), hi)
        return coded
    f = minifloat.load(row.element)
    steps, least, mantissa, most, sign = nearest(row.ties, Width(f.mantissa + 3)), f.least, f.mantissa, f.most, f.sign
    of_x, never = row.zero == "of_x", row.zero == "never"

    @word
    def coded(value, x):
        low = most
        if np.abs(value) < np.inf:
            e = max(exponent(value), least)
            low = np.abs(steps(value * power(mantissa - e))) + (e - least << mantissa)
            low = most if low > most else low
        minus = negative(np.float64(x)) if of_x else x < 0
        return low | (sign if minus and not (never and low == 0) else 0)
    return coded
