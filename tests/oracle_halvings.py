"""The oracle of softmax by halvings and by TOSA's operators, and of the straight gate: unbounded integers and fractions, one
number at a time, by definition. It shares no code with refq.
"""
from fractions import Fraction
from math import floor

from tests.oracle import roundings
from tests.oracle_nonlinear import high


def half_up(x, divisor):
    return floor(Fraction(x, divisor) + Fraction(1, 2))


def softmax_tosa(q, table, lowest):
    """The chain of operators that tosa-converter-for-tflite emits, one after the other."""
    e = [table[max(q) - v] for v in q]
    total = sum(half_up(x, 4096) for x in e)
    clz = 32 - total.bit_length()
    a = total * 2 ** (clz - 1)
    x = 1515870810 + high(a, -1010580540)
    for _ in range(3):
        x += high(x, 2 ** 29 - high(a, x)) * 4
    return [min(half_up(half_up(s * x, 2 ** 30), 2 ** (35 - clz)), 255) + lowest for s in e]


def softmax_streaming(q, ratio, tile, peak, lowest, ties="half_up"):
    """`ratio`: halvings for each code, a Fraction."""
    def steps(d):
        return min(roundings[ties](d * ratio), 31)

    largest, total = None, 0
    for first in range(0, len(q), tile):
        part = q[first:first + tile]
        top = max(part) if largest is None else max(largest, *part)
        total = floor(Fraction(total, 2 ** steps(top - (top if largest is None else largest))))
        total += sum(floor(Fraction(256, 2 ** steps(top - v))) for v in part)
        largest = top
    inverse = peak * 256 // total
    return [floor(Fraction(inverse, 2 ** steps(largest - v))) + lowest for v in q]


def power(t, k, n, chord):
    """2**-(t / 2**k) as a fraction of 2**(k+n), by a chord between whole exponents."""
    whole, rest = divmod(t, 2 ** k)
    part = 1 - Fraction(rest, 2 ** (k + 1)) if chord else 1
    return part * Fraction(2 ** (k + n), 2 ** whole)


def softmax_base2(q, ratio, k, n, shares, chord, top, ties="half_up"):
    """`ratio`: steps of 2**-k for each code, a Fraction; 2**b codes where shares are linear, `top` the last."""
    exponents = [min(roundings[ties]((max(q) - v) * ratio), n * 2 ** k - 1) for v in q]
    e = [power(t, k, n, chord) for t in exponents]
    total, found = sum(e), []
    for x in e:
        if shares == "linear":
            found.append(min(roundings[ties](x * (top + 1) / total), top))
            continue
        edge, code = {"inverse": Fraction(3, 2), "geometric": Fraction(46341, 2 ** 15)}[shares], 0
        while total >= edge * 2 ** code * x:
            code += 1
        found.append(min(code, top))
    return found


def gelu_hard(q, zq, half, scale, zo, lo, hi, ties="half_up"):
    x = q - zq
    return min(max(zo + roundings[ties](x * min(max(x + half, 0), 2 * half) * scale), lo), hi)
