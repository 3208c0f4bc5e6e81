"""The oracle of nonlinear operations: unbounded integers and fractions, one number at a time, by definition. It shares no code
with refq.
"""
from fractions import Fraction
from math import floor

from tests.oracle import roundings, saturated, shifted, wrapped

TOP = 2 ** 31 - 1
FACTORS = {-2: 1672461947, -1: 1302514674, 0: 790015084, 1: 290630308, 2: 39332535, 3: 720401, 4: 242}


def high(a, b):
    return min(floor(Fraction(a * b, 2 ** 31) + Fraction(1, 2)), TOP)


def exp_neg(a, bits):
    """e**a of gemmlowp for a <= 0 with so many integer bits."""
    if a == 0:
        return TOP
    one = 2 ** (31 - bits)
    last = a % (one // 4) - one // 4
    x = last * 2 ** bits + 2 ** 28
    square = high(x, x)
    cube, fourth = high(square, x), high(square, square)
    series = shifted("half_away", high(shifted("half_away", fourth, 2) + cube, 715827883) + square, 1)
    result = 1895147668 + high(1895147668, x + series)
    for power, factor in FACTORS.items():
        if power < bits and (last - a) * 4 // one >> power + 2 & 1:
            result = high(result, factor)
    return result


def newton(a):
    half = roundings["half_away"](Fraction(a + TOP, 2))
    x = 1515870810 + high(half, -1010580540)
    for _ in range(3):
        x += saturated(high(x, 2 ** 29 - high(half, x)) * 4, 32)
    return x


def reciprocal(a):
    return saturated(newton(a) * 2, 32)


def one_minus_over(a):
    return saturated((newton(a) - 2 ** 29) * 4, 32)


def logistic_fixed(q, zq, mult, left, radius, tanh, ties):
    """Of one int8 code to one."""
    x = q - zq
    if abs(x) >= radius:
        return 127 if x >= radius else -128
    t = high(wrapped(x * 2 ** left, 32), mult)
    if tanh:
        g = one_minus_over(exp_neg(-abs(t), 5)) if t else 0
        return saturated(shifted(ties, -g if t < 0 else g, 24), 8)
    g = reciprocal(exp_neg(-abs(t), 4)) if t else 2 ** 30
    return saturated(shifted(ties, TOP - g if t < 0 else g, 23) - 128, 8)


def softmax_gemmlowp(q, mult, left, least, ties, bits, lowest):
    top = max(q)
    e = [exp_neg(min(high(wrapped((v - top) * 2 ** left, 32), mult), 0), 5) for v in q]
    total = sum(shifted(ties, s, 12) for s, v in zip(e, q) if v - top >= least)
    zeros = 32 - total.bit_length()
    factor = reciprocal(total * 2 ** zeros - 2 ** 31)
    made = [shifted(ties, high(factor, s), 12 - zeros + 31 - bits) for s in e]
    return [min(m, 2 ** bits - 1) + lowest if v - top >= least else lowest for m, v in zip(made, q)]


def rescaled(x, mult, shift, high_word, ties):
    """x * mult / 2**shift in one rounding, or in two with what is shifted left kept in 32 bits."""
    if high_word == "none":
        return shifted(ties, x * mult, shift)
    doubled = shifted(high_word, wrapped(x * 2 ** max(31 - shift, 0), 32) * mult, 31)
    return shifted(ties, doubled, max(shift - 31, 0))


def leaky_relu(q, zq, mp, sp, mn, sn, zo, high_word, ties, bits):
    x = q - zq
    return saturated(zo + rescaled(x, *((mp, sp) if x >= 0 else (mn, sn)), high_word, ties), bits)


def hard_swish(q, zq, mo, down, mr, er, zo):
    """The 16-bit form of TFLite, of one int8 code."""
    def product(name, a, b):
        return saturated(shifted(name, a * b, 15), 16)

    x = (q - zq) * 128
    fine = product("half_up", x, mo)
    v = product("half_up", saturated(x * 2 ** max(er - 1, 0), 16), mr)
    v = saturated(v * 2, 16) if er > 0 else shifted("half_away", v, -er)
    y = shifted("half_away", product("trunc", floor(Fraction(v + 2 ** 15, 2)), fine), down)
    return saturated(y + zo, 8)


def interpolated(table, q, raised=False):
    """A table of 513 entries at a 16-bit code: the exact value on the line, and how it is rounded."""
    i, o = divmod(q + 2 ** 15, 128)
    line = 128 * table[i] + (table[i + 1] - table[i]) * o
    return line if raised else shifted("half_up", line, 7)


def logistic_table16(q, mult, right, table, tanh):
    """Of one int16 code to one: the value on the line, rounded, or mirrored and rounded the other way."""
    x = floor(Fraction(q * mult, 2 ** right) + (Fraction(1, 2) if right else 0))
    b = 8 if tanh else 9
    u, o = divmod(abs(x), 2 ** b)
    if u >= 255:
        line = Fraction(65535 if tanh else 65534, 65536)
    else:
        line = (table[u] + Fraction(o, 2 ** b) * (table[u + 1] - table[u])) / 65536
    if x < 0:
        return roundings["half_down"]((1 - 2 * line if tanh else 1 - line) * 2 ** 15)
    return roundings["half_up"]((2 * line - 1 if tanh else line) * 2 ** 15)


def softmax_table16(q, mult, shift, tables, high_word="half_up", ties="half_away"):
    top = max(q)
    e = [interpolated(tables[0], saturated(rescaled(v - top, mult, shift, high_word, ties) + 32767, 16)) for v in q]
    total = sum(e)
    zeros = 32 - total.bit_length()
    x = saturated(floor(Fraction(total * 2 ** (zeros - 1), 2 ** 14) + Fraction(1, 2)) - 98304, 16)
    factor = interpolated(tables[1], x)
    return [min(max(shifted("half_up", s * factor, 31 - zeros), 0), 32767) for s in e]


def softmax_table_integer(q, table, ties="half_up"):
    top, total = max(q), sum(table[max(q) - v] for v in q)
    return [min(roundings[ties](Fraction(256 * table[top - v], total)), 255) for v in q]
