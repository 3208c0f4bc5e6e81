"""The oracle of what LiteRT's kernels compute: by definition, on unbounded integers and fractions, one number at a time.

It shares no code with refq; float64 and float32 are those of Python and of tests/oracle.py.
"""
from fractions import Fraction

from tests.oracle import float32_of, roundings, saturated
from tests.oracle_transformer import held, times_by_pair


def multiplied(a, b, za, zb, mult, shift, zo, row, bits=8):
    """mul."""
    product = held((a - za) * (b - zb), row.overflow)
    return saturated(times_by_pair(product, mult, shift, row.high, row.ties, row.overflow) + zo, bits)


def weighted(a, b, za, zb, ka, kb, shift, zo, ties, sign, bits=8, signed=True):
    """add_weighted: one quotient, one rounding."""
    exact = Fraction((a - za) * ka + sign * (b - zb) * kb, 2 ** shift)
    return saturated(roundings[ties](exact) + zo, bits, signed)


def weights(ratios, bits):
    """(shift, multipliers) of the float32 quotients `ratios`, as XNNPACK makes them: the larger one fills `bits` bits."""
    top, shift = Fraction(max(ratios)), bits - 1
    while top >= 2:
        top, shift = top / 2, shift - 1
    while top < 1:
        top, shift = top * 2, shift + 1
    return shift, [roundings["half_even"](Fraction(r) * 2 ** shift) for r in ratios]


def doubled(acc, zin, mantissa, exponent, zp, ties, bits=8, signed=True):
    """rescale_double: Python's own float64 product."""
    product = float(acc - zin) * (mantissa / 2 ** exponent)
    return saturated(roundings[ties](Fraction(product)) + zp, bits, signed)


def folded(acc, zin, scale, zp, ties, bits=8):
    """rescale_float32 whose zero points are one float32 number."""
    rest = float32_of(zp - float32_of(float32_of(Fraction(zin)) * Fraction(scale)))
    value = float32_of(float32_of(float32_of(Fraction(acc)) * Fraction(scale)) + rest)
    return saturated(roundings[ties](value), bits)


def mean_pair(mult, shift, count):
    """TFLite's multiplier of a mean: (mult, left shift) of the scale, over `count`, as reduce.h writes it."""
    up = min(63 - (64 - count.bit_length()), 32, 31 + shift)
    return mult * 2 ** up // count, shift - up
