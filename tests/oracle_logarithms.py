"""Logarithmic and twin grids by fractions: codes by comparing whole powers, one after the other; levels by their formulas."""
from fractions import Fraction
from math import isqrt


def log2_level(code, deepest, first=1):
    return Fraction(first) / 2 ** code if code <= deepest else Fraction(0)


def log2_code(x, deepest, zero, switch="geometric", first=1):
    """The number of switches that lie above x, and what is beyond the last."""
    x, most = Fraction(x) / Fraction(first), deepest + zero
    if x <= 0:
        return most
    code = 0
    while code < most:
        beyond = x * x * 2 ** (2 * code + 1) < 1 if switch == "geometric" else 1 / x >= Fraction(3, 2) * 2 ** code
        if not beyond:
            break
        code += 1
    return code


def root_two(fraction):
    """The integer nearest to the square root of 2, times 2**fraction."""
    low = isqrt(2 << 2 * fraction)
    return low + ((2 * low + 1) ** 2 < 8 << 2 * fraction)


def sqrt2_level(code, deepest, fraction, first=1):
    if code > deepest:
        return Fraction(0)
    whole = Fraction(first) / 2 ** ((code + 1) // 2)
    return whole * Fraction(root_two(fraction), 1 << fraction) if code % 2 else whole


def sqrt2_code(x, deepest, zero, first=1):
    x, most = Fraction(x) / Fraction(first), deepest + zero
    if x <= 0:
        return most
    return next((code for code in range(most) if x ** 4 * 2 ** (2 * code + 1) >= 1), most)


def adalog_entry(rest, r, one):
    """one * 2**-(rest / r) rounded to the nearest, by bisection over whole numbers."""
    low, high = 0, one
    while low < high:
        middle = (low + high) // 2
        if Fraction(2 * middle + 1, 2) ** r * 2 ** rest >= Fraction(one) ** r:
            high = middle
        else:
            low = middle + 1
    return low


def adalog_level(code, deepest, q, r, bits, unit):
    if code > deepest:
        return Fraction(0)
    return Fraction(unit) * adalog_entry(code * q % r, r, (2 << bits) - 2) / 2 ** (code * q // r)


def adalog_code(x, deepest, zero, q, r, bits, unit):
    first, most = Fraction(unit) * ((2 << bits) - 2), deepest + zero
    if x <= 0:
        return most
    ratio = (Fraction(x) / first) ** (2 * r)
    for code in range(most):
        switch = Fraction(1, 2 ** ((2 * code + 1) * q))
        if ratio > switch or ratio == switch and code % 2 == 0:
            return code
    return most


def twin_level(code, bits, shift, signed, fine):
    half = 1 << bits - 1
    if signed:
        return Fraction(fine) * (code << shift if code >= 0 else code)
    return Fraction(fine) * (code if code < half else code - half << shift)


def twin_codes(x, bits, shift, signed, fine):
    """Every code whose level is as near as any on its side of 0."""
    codes = range(-(1 << bits - 1), 1 << bits - 1) if signed else range(1 << bits)
    side = [c for c in codes if not signed or (c <= 0 if x < 0 else c >= 0)]
    away = {c: abs(twin_level(c, bits, shift, signed, fine) - Fraction(x)) for c in side}
    least = min(away.values())
    return {c for c, d in away.items() if d == least}
