"""The oracle: integer arithmetic on unbounded integers and fractions, by definition, one number at a time.

It shares no code with refq: where both agree, two people made the same mistake or none was made.
"""
from fractions import Fraction
from math import ceil, floor, trunc


def nearest(x, toward):
    """The integer nearest to the fraction `x`; of two that are equally near, the one that `toward(low, high)` picks."""
    low = floor(x)
    below, above = x - low, low + 1 - x
    if below == above:
        return toward(low, low + 1)
    return low if below < above else low + 1


def outward(low, high):
    return high if low >= 0 else low


def inward(low, high):
    return low if low >= 0 else high


roundings = {
    "floor": floor,
    "ceil": ceil,
    "trunc": trunc,
    "away": lambda x: ceil(x) if x > 0 else floor(x),
    "half_up": lambda x: nearest(x, lambda low, high: high),
    "half_down": lambda x: nearest(x, lambda low, high: low),
    "half_away": lambda x: nearest(x, outward),
    "half_zero": lambda x: nearest(x, inward),
    "half_even": lambda x: nearest(x, lambda low, high: low if low % 2 == 0 else high),
    "odd": lambda x: floor(x) if x == floor(x) or floor(x) % 2 else floor(x) + 1,
}


def divided(name, x, d):
    """x / d rounded by name."""
    return roundings[name](Fraction(int(x), int(d)))


def shifted(name, x, s):
    """x / 2**s rounded by name."""
    return divided(name, x, 2 ** int(s))


def saturated(x, bits, signed=True):
    lo, hi = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2 ** bits - 1)
    return lo if x < lo else hi if x > hi else x


def wrapped(x, bits, signed=True):
    """The number that the low bits of x stand for."""
    rest = x % 2 ** bits
    return rest - 2 ** bits if signed and rest >= 2 ** (bits - 1) else rest


def rescaled(acc, mult, shift, zp, ties, bits=8, signed=True):
    """rescale with one rounding and the zero point after it."""
    return saturated(zp + shifted(ties, int(acc) * int(mult), shift), bits, signed)


def rescaled_twice(acc, mult, shift, zp, high, ties, bits=8, signed=True):
    """rescale that rounds at bit 31 and then the rest; a small `shift` shifts left first, in 32 bits that wrap."""
    lifted = wrapped(int(acc) * 2 ** max(31 - shift, 0), 32)
    return saturated(zp + shifted(ties, shifted(high, lifted * int(mult), 31), max(shift - 31, 0)), bits, signed)


def coded(x, scale, zero, lo, hi, ties="half_even"):
    """The code of a real on an affine grid; `x` and `scale` are floats, and mean exactly what they are."""
    if x in (float("inf"), float("-inf")):
        return hi if x > 0 else lo
    code = zero + roundings[ties](Fraction(float(x)) / Fraction(float(scale)))
    return lo if code < lo else hi if code > hi else code


def float32_of(x):
    """The float32 nearest to a fraction, ties to even, as a fraction; normal range only."""
    if x == 0:
        return Fraction(0)
    exponent, size = 0, abs(x)
    while size >= 2 ** 24:
        size, exponent = size / 2, exponent + 1
    while size < 2 ** 23:
        size, exponent = size * 2, exponent - 1
    whole = roundings["half_even"](size) * Fraction(2) ** exponent
    return whole if x > 0 else -whole


def joined(products, order, size, hold, spill=0, into=None, start=0):
    """Products joined as ints/accumulate.py says; `hold` and `into` are functions on an integer."""
    if order == "exact":
        return hold(start + sum(products))
    if order == "pairs":
        parts = []
        for base in range(0, len(products), 2 * size):
            block = products[base:base + 2 * size]
            block = block + [0] * (2 * size - len(block))
            rest = len(products) - base
            parts += [hold(block[i] + block[i + size]) for i in range(min(size, rest))]
    elif order == "tiles":
        parts = [hold(sum(products[i:i + size])) for i in range(0, len(products), size)]
    else:
        parts = list(products)
    if not spill:
        register = hold(start)
        for part in parts:
            register = hold(register + part)
        return register
    total = start
    for base in range(0, len(parts), spill):
        register = 0
        for part in parts[base:base + spill]:
            register = hold(register + part)
        total = into(total + register)
    return into(total)
