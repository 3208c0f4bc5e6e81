"""Small formats and blocks by definition: fractions and a search among all numbers; plain Python and single float32 steps."""
from bisect import bisect_left
from fractions import Fraction
from functools import cache
from math import frexp

import numpy as np

F = np.float32
FORMATS = {"float16": (5, 10, 15, "ieee"), "bfloat16": (8, 7, 127, "ieee"), "e5m2": (5, 2, 15, "ieee"), "e4m3": (4, 3, 7, "ieee"),
           "e3m4": (3, 4, 3, "ieee"), "e4m3fn": (4, 3, 7, "fn"), "e4m3fnuz": (4, 3, 8, "fnuz"), "e5m2fnuz": (5, 2, 16, "fnuz"),
           "e4m3b11fnuz": (4, 3, 11, "fnuz"), "e3m2fn": (3, 2, 3, "finite"), "e2m3fn": (2, 3, 1, "finite"),
           "e2m1fn": (2, 1, 1, "finite")}


def bits(name):
    return 1 + sum(FORMATS[name][:2])


def value(name, code):
    """The number of a code as a Fraction, or "inf", "-inf", "nan"."""
    exponent, mantissa, bias, kind = FORMATS[name]
    sign, e, f = code >> exponent + mantissa, code >> mantissa & (1 << exponent) - 1, code & (1 << mantissa) - 1
    topmost = e == (1 << exponent) - 1
    if kind == "ieee" and topmost:
        return "nan" if f else "-inf" if sign else "inf"
    if kind == "fn" and topmost and f == (1 << mantissa) - 1 or kind == "fnuz" and sign and not e and not f:
        return "nan"
    size = Fraction(f) * Fraction(2) ** (1 - bias - mantissa) if not e else Fraction((1 << mantissa) + f) * Fraction(2) ** (
        e - bias - mantissa)
    return -size if sign else size


@cache
def ladder(name):
    """The magnitudes of the format in order, one more than there are: what would come next."""
    sizes = [v for c in range(1 << bits(name) - 1) if not isinstance(v := value(name, c), str)]
    exponent, mantissa, bias, _ = FORMATS[name]
    e = len(sizes) >> mantissa
    return sizes, Fraction((1 << mantissa) + (len(sizes) & (1 << mantissa) - 1)) * Fraction(2) ** (e - bias - mantissa)


def between(x, low, high, even, ties):
    """0 or 1: which of the neighbours low < x < high a magnitude x rounds to; `even`: the lower one has an even code."""
    middle = (low + high) / 2
    if x != middle:
        return int(x > middle)
    return {"half_even": int(not even), "half_away": 1, "half_zero": 0}[ties]


def encoded(name, x, ties="half_even"):
    """The code of a finite real under a nearest rounding, without its sign; None where it is beyond the largest."""
    sizes, after = ladder(name)
    x = abs(Fraction(x))
    if x >= after:
        return None
    at = bisect_left(sizes, x)
    if at < len(sizes) and sizes[at] == x:
        return at
    low, high = at - 1, at
    found = low + between(x, sizes[low], after if high == len(sizes) else sizes[high], low % 2 == 0, ties)
    return None if found == len(sizes) else found


def largest(name):
    return len(ladder(name)[0]) - 1


def log2_floor(x):
    return frexp(float(x))[1] - 1


TOP = {"e4m3fn": 8, "e5m2": 15, "e3m2fn": 4, "e2m3fn": 2, "e2m1fn": 2, "int8": 0}
PRECISION = {"e4m3fn": 3, "e5m2": 2, "e3m2fn": 2, "e2m3fn": 3, "e2m1fn": 1, "int8": 6}


def e8m0(block, rule, element):
    """The scale's code of a list of float32 numbers."""
    if any(not np.isfinite(v) for v in block):
        return 255
    amax = max(abs(Fraction(float(v))) for v in block)
    if amax == 0:
        return 0
    if rule == "round_up":
        most = Fraction(127, 64) if element == "int8" else ladder(element)[0][-1]
        amax = Fraction(float(F(float(amax)) * F(1 / float(most))))
        if amax == 0:
            return 0
    k = log2_floor(amax)
    if k < -126 and rule != "round_up":          # subnormal: exponents are read from the bits of float32
        if rule == "ceil":
            k = -126 - TOP[element] + 127
        elif rule == "even" and amax + Fraction(2) ** (-127 - PRECISION[element]) >= Fraction(2) ** -126:
            k = -126 - TOP[element] + 127
        else:
            k = -127 - TOP[element] + 127
        return max(0, k)
    if rule == "even":
        # a half of the last place that the element keeps is added, and the sum cut
        k = log2_floor(amax + Fraction(2) ** (k - PRECISION[element] - 1))
        if k > 127:
            return 255
    if rule in ("ceil", "round_up") and amax != Fraction(2) ** k:
        k += 1
    return min(max(k - (0 if rule == "round_up" else TOP[element]) + 127, 0), 254)


def small_float(x, name, ties, minus):
    """The saturated code of a Fraction with the sign `minus`."""
    found = encoded(name, x, ties)
    return (largest(name) if found is None else found) | minus << bits(name) - 1


def mx(block, rule, element, ties):
    """(scale code, element codes) of a block."""
    code = e8m0(block, rule, element)
    if code == 255:
        return code, [0] * len(block)
    scaled = [Fraction(float(v)) / Fraction(2) ** (code - 127) for v in block]
    if element == "int8":
        return code, [max(-127, min(127, nearest(64 * v, ties))) for v in scaled]
    return code, [small_float(v, element, ties, int(np.signbit(x))) for v, x in zip(scaled, block)]


def nearest(x, ties):
    size = abs(x)
    low = size.numerator // size.denominator
    found = low if size == low else low + between(size, Fraction(low), Fraction(low + 1), low % 2 == 0, ties)
    return -found if x < 0 else found


def nvfp4(block, g):
    """modelopt's steps, one float32 at a time: (scale code, element codes)."""
    with np.errstate(all="ignore"):
        amax = max(abs(v) for v in block)
        per_block = F(amax) / F(6)
        scale = F(1) if per_block == 0 else per_block / F(g)
        code = encoded("e4m3fn", float(scale)) if np.isfinite(scale) else None
        code = largest("e4m3fn") if code is None else code
        divisor = F(float(value("e4m3fn", code))) * F(g)
        made = []
        for v in block:
            y = F(v) / divisor
            found = 7 if not np.isfinite(y) else encoded("e2m1fn", float(y))
            made.append((7 if found is None else found) | (8 if v < 0 else 0))
    return code, made


def half(x):
    return int(np.array(x, F).astype(np.float16).view(np.uint16))


def q4_0(block):
    """quantize_row_q4_0_ref, one float32 at a time: (d as float16, codes)."""
    amax, most = F(0), F(0)
    for v in block:
        if amax < abs(v):
            amax, most = abs(v), v
    with np.errstate(all="ignore"):
        d = most / F(-8)
        inverse = F(1) / d if d != 0 else F(0)
        inverse = F(0) if np.isinf(inverse) else inverse
        return half(d), [max(0, min(15, int(F(F(v * inverse) + F(8.5))))) for v in block]


def q8_0(block):
    """quantize_row_q8_0_ref: (d as float16, codes); roundf takes halves away from zero."""
    with np.errstate(all="ignore"):
        d = F(max(abs(v) for v in block)) / F(127)
        inverse = F(1) / d if d != 0 else F(0)
        inverse = F(0) if np.isinf(inverse) else inverse
        return half(d), [max(-127, min(127, nearest(Fraction(float(F(v * inverse))), "half_away"))) for v in block]


E2M1 = [Fraction(v, 2) for v in (0, 1, 2, 3, 4, 6, 8, 12)]


def mxfp4_ggml(block):
    """quantize_row_mxfp4_ref: a search of all sixteen entries, the first of the nearest wins."""
    amax = max(abs(Fraction(float(v))) for v in block)
    code = min(max(log2_floor(amax) - 2 + 127, 0), 254) if amax else 0
    entries = E2M1 + [-v for v in E2M1]
    unit = Fraction(2) ** (code - 127)
    return code, [min(range(16), key=lambda i: abs(entries[i] * unit - Fraction(float(v)))) for v in block]
