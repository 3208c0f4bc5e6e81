"""Independent oracles of operations that compute in float32: every rounding is of a fraction, no float is added or multiplied."""
from fractions import Fraction

from tests.oracle import float32_of, roundings, saturated

LOWEST = -(2**31)


def converted(whole, far):
    """A rounded number on its way to an integer of 32 bits."""
    return LOWEST if far == "lowest_int32" and whole >= 2**31 else whole


def codes(value, zp, row, last):
    """A float32 number to a code; `last`: what the zero point does to it where it is inside."""
    if row.zero_point == "after":
        return saturated(converted(roundings[row.ties](value), row.far) + zp, row.out.bits, row.out.signed)
    return saturated(converted(roundings[row.ties](last(value)), row.far), row.out.bits, row.out.signed)


def rescaled_with_bias(acc, zin, first, second, bias, unit, last, zp, row):
    """rescale_float32_bias."""
    first, second, bias, unit, last = (Fraction(float(v)) for v in (first, second, bias, unit, last))
    value = float32_of(float32_of(float32_of(Fraction(acc - zin)) * first) * second)
    value = float32_of(float32_of(value + bias * unit) * last)
    return codes(value, zp, row, lambda v: float32_of(v + zp))


def real_of(q, zp, scale, product):
    """A code as a float32 number."""
    if product == "fused":
        return float32_of(q * scale + float32_of(-zp * scale))
    return float32_of((q - zp) * scale)


def multiplied(a, b, za, zb, sa, sb, so, zo, row):
    """mul_float32."""
    sa, sb, so = (Fraction(float(s)) for s in (sa, sb, so))
    total = float32_of(real_of(a, za, sa, row.product) * real_of(b, zb, sb, row.product))
    reciprocal = float32_of(1 / so)
    exact = {"float32": total / so, "reciprocal_float32": total * reciprocal, "multiple": total * so}[row.quotient]
    fused = float32_of(total * reciprocal + zo)
    return codes(float32_of(exact), zo, row, lambda v: fused if row.zero_point == "fused" else float32_of(v + zo))


def real_with_bias(acc, first, second, bias, row):
    """dequantize_bias."""
    first, second, bias = (Fraction(float(v)) for v in (first, second, bias))
    scaled = float32_of(float32_of(Fraction(acc)) * first)
    return float32_of((scaled * second if row.sum == "fused" else float32_of(scaled * second)) + bias)
