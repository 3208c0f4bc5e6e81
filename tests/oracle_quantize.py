"""The oracle of reals and codes: quantize, dequantize and the sums by way of float32, one number at a time, on fractions.

It shares no code with refq. Finite numbers only, and none that float32 holds as a subnormal.
"""
from fractions import Fraction

from tests.oracle import float32_of, roundings, saturated, wrapped


def value(x, scale, zp, quotient, zero_point):
    """What is rounded to an integer; `x`, `scale`: fractions that float32 holds."""
    if quotient == "exact":
        return x / scale
    if quotient == "float32":
        made = float32_of(x / scale)
    else:
        inverse = float32_of(1 / scale)
        made = x * inverse if zero_point == "fused" else float32_of(x * inverse)
    return made if zero_point == "after" else float32_of(made + zp)


def quantized(x, scale, zp, row, bits=8, signed=True):
    x, scale = Fraction(float(x)), Fraction(float(scale))
    code = roundings[row.ties](value(x, scale, zp, row.quotient, row.zero_point))
    if row.far == "lowest_int32" and not -(2 ** 31) <= code < 2 ** 31:
        code = -(2 ** 31)
    code += zp if row.zero_point == "after" else 0
    return saturated(wrapped(code, 32) if row.far == "lowest_int32" else code, bits, signed)


def dequantized(q, scale, zp, product):
    scale = Fraction(float(scale))
    if product == "exact":
        return float32_of((q - zp) * scale)
    if product == "float32":
        return float32_of(float32_of(Fraction(q - zp)) * scale)
    first, last = float32_of(Fraction(q)) * scale, float32_of(float32_of(Fraction(-zp)) * scale)
    return float32_of((first if product == "fused" else float32_of(first)) + last)


def added(a, b, c, row, bits=8):
    """add_float32; `c`: its constants by name."""
    first, second = (dequantized(v, c["s" + k], c["z" + k], row.product) for k, v in (("a", a), ("b", b)))
    total = float32_of(first + (second if row.join == "plus" else -second))
    found = roundings[row.ties](value(total, Fraction(float(c["so"])), c["zo"], row.quotient, row.zero_point))
    return saturated(found + (c["zo"] if row.zero_point == "after" else 0), bits)


def ratios(sa, za, sb, zb, so, zo):
    """The constants of add_ratio_float32."""
    sa, sb, so = (Fraction(float(s)) for s in (sa, sb, so))
    ra, rb = float32_of(sa / so), float32_of(sb / so)
    return ra, rb, float32_of(zo - float32_of(za * ra + float32_of(zb * rb)))


def added_by_ratios(a, b, ra, rb, c, ties, bits=8):
    return saturated(roundings[ties](float32_of(a * ra + float32_of(b * rb + c))), bits)


def paired(x, w, zx, zw, bias):
    """A sum of products of codes that join in pairs of 16 bits, which saturate; zero points and bias come afterwards."""
    products = [int(a) * int(b) for a, b in zip(x, w)]
    total = sum(saturated(sum(products[i:i + 2]), 16) for i in range(0, len(products), 2))
    return total + bias - zx * sum(map(int, w)) - zw * sum(map(int, x)) + len(products) * zx * zw
