"""The oracle of the schemes: one range at a time, in Python floats and fractions, float32 by struct; no code of refq."""
import math
import struct
from fractions import Fraction

TINY, MOST = 2.0 ** -126, float.fromhex("0x1.fffffep127")


def f32(x):
    """The nearest float32, within its range."""
    return struct.unpack("f", struct.pack("f", min(max(x, -MOST), MOST)))[0]


def half_away(x):
    below = math.floor(abs(x))
    return int(math.copysign(below + (Fraction(abs(x)) - below >= Fraction(1, 2)), x))


def glow(schema, lo, hi, bits):
    """(scale, zero) as Glow's chooseQuantizationParams computes them, of a schema of these: asymmetric, symmetric,
    unsigned, power2, nest."""
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    lo, hi = min(f32(lo), 0.0), max(f32(hi), 0.0)
    if schema == "unsigned" and lo < 0:
        schema = "symmetric"
    if schema in ("symmetric", "power2", "nest"):
        if lo / least > hi / most:
            hi = f32(lo / least * most)
        else:
            lo = f32(hi / most * least)
    scale = (hi - lo) / (most - least) or 0.1
    start = least - lo / scale if abs(least) + abs(lo / scale) < abs(most) + abs(hi / scale) else most - hi / scale
    if abs(f32(hi + lo)) <= 2.0 ** -23:
        start = 0.0
    zero = min(max(half_away(start), least), most)
    if schema in ("power2", "nest"):
        exponent = -160
        while Fraction(2) ** exponent < Fraction(scale):
            exponent += 1
        scale = 2.0 ** (max(exponent, 1 - bits) if schema == "nest" else exponent)
    return max(f32(scale), TINY), zero


def symmetric(lo, hi, bits, codes):
    """(scale, 0) where the largest magnitude is `codes` (a fraction) steps."""
    most = max(-lo, hi, 0.0)
    return (max(f32(most / float(codes)), TINY) if most else 1.0), 0


def asymmetric(lo, hi, bits):
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    if lo == hi:
        return 1.0, -(2 ** (bits - 1))
    scale = max(f32((hi - lo) / (2 ** bits - 1)), TINY)
    place = Fraction(-lo) / Fraction(scale)
    low = math.floor(place)
    near = low + (place - low > Fraction(1, 2) or place - low == Fraction(1, 2) and low % 2)
    return scale, min(near, 2 ** bits - 1) - 2 ** (bits - 1)


def power(lo, hi, bits, nearest):
    """The exponent of power_of_two_ceil or power_of_two_nearest."""
    lo, hi, codes = Fraction(min(lo, 0.0)), Fraction(max(hi, 0.0)), 2 ** (bits - 1)
    if lo == hi:
        return 0
    for exponent in range(-126, 128):
        step = Fraction(2) ** exponent
        if nearest and 2 * step ** 2 > (max(-lo, hi) / (codes - 1)) ** 2:
            return exponent
        if not nearest and codes * step >= -lo and (codes - 1) * step >= hi:
            return exponent
    return 127
