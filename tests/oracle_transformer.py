"""The oracle of the operations between matrix products: by definition, on unbounded integers and fractions, one number
at a time. It shares no code with refq, and reads the authors' formulas without any width.
"""
from fractions import Fraction
from math import floor, isqrt

from tests.oracle import float32_of, roundings, saturated, shifted, wrapped

ONE = 2**31 - 1


def times_by_pair(x, mult, shift, high, ties, overflow="wrap"):
    """x * mult / 2**shift, rounded once, or twice in 32 bits."""
    if high == "none":
        return shifted(ties, x * mult, shift)
    lifted = held(x * 2 ** max(31 - shift, 0), overflow)
    return shifted(ties, shifted(high, lifted * mult, 31), max(shift - 31, 0))


def held(x, overflow):
    return wrapped(x, 32) if overflow == "wrap" else saturated(x, 32)


def rescaled_inside(acc, zin, mult, shift, zp, ties, bits=8):
    """rescale whose zero point joins before the rounding."""
    exact = Fraction((acc - zin) * mult, 2**shift) + zp
    return saturated(roundings[ties](exact), bits)


def rescaled_in_float(acc, zin, scale, zp, ties, inside, bits=8):
    """rescale_float32: two roundings to float32, three with the zero point inside."""
    value = float32_of(float32_of(Fraction(acc - zin)) * Fraction(scale))
    if inside:
        return saturated(roundings[ties](float32_of(value + zp)), bits)
    return saturated(roundings[ties](value) + zp, bits)


def added(a, b, c, row, bits=8):
    """add; `c` the constants by name."""
    first = held((a - c["za"]) * 2**row.left, row.overflow)
    second = held((b - c["zb"]) * 2**row.left, row.overflow)
    own = (row.high, row.ties) if row.alone == "same" else ("none", row.alone)
    total = times_by_pair(first, c["ma"], c["sa"], *own, row.overflow)
    second = times_by_pair(second, c["mb"], c["sb"], *own, row.overflow)
    total = total - second if row.join == "minus" else total + second
    if row.joined:
        total = times_by_pair(held(total, row.overflow), c["mo"], c["so"], row.high, row.ties, row.overflow)
    return saturated(total + c["zo"], bits)


def added_in_float(a, b, za, zb, sa, sb, so, zo, bits=8):
    """add_float32: DequantizeLinear twice, Add, QuantizeLinear, each result rounded to float32."""
    first, second = (float32_of((x - z) * Fraction(float(s))) for x, z, s in ((a, za, sa), (b, zb, sb)))
    value = float32_of(float32_of(first + second) / Fraction(float(so)))
    return saturated(roundings["half_even"](value) + zo, bits)


def shift_exp(x, x0, n):
    """The authors' exponential; where they multiply by a power of two that is no integer, so does a fraction."""
    t = x + floor(Fraction(x, 2)) - floor(Fraction(x, 16))
    t = max(t, n * x0)
    k = floor(Fraction(t, x0))
    rest = t - k * x0
    return max(floor((Fraction(rest, 2) - x0) * Fraction(2) ** (n - k)), 0)


def shiftmax(q, x0, n, bits):
    """One row of shares."""
    e = [shift_exp(x - max(q), x0, n) for x in q]
    factor = floor(Fraction(ONE, min(sum(e), ONE)))
    return [saturated(floor(Fraction(x * factor, 2 ** (31 - bits + 1))), bits) for x in e]


def sigmoids(x, x0, n, bits, reciprocal=31):
    """The sigmoid codes of one row of centred codes."""
    codes, rest, one = [], shift_exp(-max(x), x0, n), 2**reciprocal - 1
    for v in x:
        e = shift_exp(v - max(x), x0, n)
        factor = floor(Fraction(one, min(e + rest, one)))
        codes.append(saturated(floor(Fraction(e * factor, 2 ** (reciprocal - bits + 1))), bits))
    return codes


def shiftgelu(q, zp, x0, n, bits, reciprocal=31):
    """One row of registers."""
    x = [v - zp for v in q]
    return [v * s for v, s in zip(x, sigmoids(x, x0, n, bits, reciprocal))]


def newton10(v):
    k = 2**16
    for _ in range(10):
        k = floor((k + floor(Fraction(v, k))) / Fraction(2))
    return k


def normalized(q, root):
    """One row of the integers u of a LayerNorm, before beta."""
    mean = roundings["half_even"](Fraction(sum(q), len(q)))
    squares = sum((x - mean) ** 2 for x in q)
    factor = floor(Fraction(ONE, max(newton10(squares) if root == "newton10" else isqrt(squares), 1)))
    return [floor(Fraction((x - mean) * factor, 2)) for x in q]


def layernorm(q, beta, sign, down, root):
    """One row of registers."""
    lowered = [shifted("half_up", u, d) for u, d in zip(normalized(q, root), down)]
    return [s * (u + b) for u, b, s in zip(lowered, beta, sign)]
