"""The oracle of I-BERT's operations: the published formulas on unbounded integers and fractions, one number at a time. It
shares no code with refq, and takes the authors' steps: exponentials of up to 60 bits, negative scales, divisions by a root.
"""
from fractions import Fraction
from math import floor, isqrt

from tests.oracle import roundings, saturated

LN2, A, B = Fraction("0.6931"), Fraction("0.35815147"), Fraction("0.96963238")
ERF_A, ERF_B, ROOT2 = Fraction("-0.2888"), Fraction("-1.769"), Fraction("1.4142")


def exp_constants(scale):
    s = Fraction(scale)
    return floor(-LN2 / s), floor(B / A / s), floor(1 / A / s**2)


def i_exp(x, x0, b, c):
    """e of a code x <= 0."""
    x = max(x, 30 * x0)
    z = floor(Fraction(x, x0))
    r = x - z * x0
    return floor((r * (r + b) + c) * Fraction(2) ** (30 - z))


def softmax(q, x0, b, c, ratio, bits, ties="half_even"):
    """One row of shares, before any clip; `ratio`: of a unit of e to one of the exponents of 16 bits."""
    exponents = [max(min(roundings[ties](i_exp(x - max(q), x0, b, c) * Fraction(ratio)), 32767), 0) for x in q]
    factor = floor(Fraction(2**32, max(sum(exponents), 1)))
    return [floor(Fraction(e * factor, 2 ** (32 - bits))) for e in exponents]


def gelu_constants(scale):
    """(b, c, one, scale of the result) of a scale of x; the last is negative."""
    s = Fraction(scale) / ROOT2
    unit = ERF_A * s**2 * 2**14
    return floor(ERF_B / s), floor(1 / ERF_A / s**2), floor(1 / unit), Fraction(scale) * unit / 2


def i_gelu(x, b, c, one):
    """The authors' integer, negative for a positive x."""
    sign = (x > 0) - (x < 0)
    curve = sign * ((min(abs(x), -b) + b) ** 2 + c)
    return x * (floor(Fraction(curve, 2**14)) + one)


def gelu(q, zp, b, c, one, up, down, fall, bits, ties="half_even"):
    """One code of refq's operation, which moves codes onto fine scales and lowers the result."""
    x = saturated(roundings[ties](Fraction((q - zp) * 2**up, 2**down)), 32)
    return saturated(floor(Fraction(-i_gelu(x, b, c, one), 2**fall)), bits)


def normalized(q, sh, root=isqrt):
    """One row of integers of a LayerNorm, before beta."""
    mean = roundings["half_even"](Fraction(sum(q), len(q)))
    squares = sum(floor(Fraction(x - mean, 2**sh)) ** 2 for x in q)
    deviation = max(root(squares), 1) * 2**sh
    return [floor(Fraction((x - mean) * floor(Fraction(2**31, deviation)), 2)) for x in q]


def layernorm(q, beta, sign, down, sh):
    """One row of registers."""
    lowered = [roundings["half_up"](Fraction(u, 2**d)) for u, d in zip(normalized(q, sh), down)]
    return [saturated(s * (u + b), 32) for u, b, s in zip(lowered, beta, sign)]
