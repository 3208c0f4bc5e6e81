"""The oracle of normalizations: by definition, on unbounded integers and fractions, one row at a time. It shares no code with
refq, and reads TensorFlow Lite's formulas without any width but those that it names.
"""
from fractions import Fraction
from math import floor, isqrt

from tests.oracle import roundings, saturated, wrapped


def over_root(x, v, eps, reach, count, ties):
    """Numbers x over sqrt(v + eps / 4**f), in units of 2**(k - 29)."""
    f, k = 31 - reach.bit_length(), next(k for k in range(40) if 4**k >= count)
    radicand = max(v * 4**f + eps, 4**f)
    h = next(h for h in range(32) if radicand * 4**h >= 2**60)
    factor = 2**61 // isqrt(radicand * 4**h)
    return [roundings[ties](Fraction(d * factor) * Fraction(2) ** (f + h - k - 32)) for d in x]


def centred(q, span, eps, ties="half_up"):
    """A row less its mean, over its deviation."""
    c, total = len(q), sum(q)
    return over_root([c * x - total for x in q], c * sum(x * x for x in q) - total**2, eps, c * span, c, ties)


def layernorm(q, span, eps, beta, sign, down, ties="half_up"):
    u = centred(q, span, eps, ties)
    return [s * (floor(Fraction(x, 2**d) + Fraction(1, 2)) + b) for x, b, s, d in zip(u, beta, sign, down)]


def rms_norm(q, zero, span, eps, sign, ties="half_up"):
    d, c = [x - zero for x in q], len(q)
    u = over_root([c * x for x in d], c * sum(x * x for x in d), eps, 2 * c * span, c, ties)
    return [s * x for s, x in zip(sign, u)]


def batch_norm(q, zero, mult, bias, shift, out, ties, bits):
    exact = [Fraction((x - zero) * m + b, 2**s) for x, m, b, s in zip(q, mult, bias, shift)]
    return [saturated(roundings[ties](x) + out, bits) for x in exact]


def doubled_high(a, b):
    """SaturatingRoundingDoublingHighMul, by its nudge and a division that cuts."""
    if a == b == -(2**31):
        return 2**31 - 1
    nudged = a * b + (2**30 if a * b >= 0 else 1 - 2**30)
    return abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)


def divided(x, e):
    """RoundingDivideByPOT, by its mask and threshold."""
    rest = x % 2**e
    return x // 2**e + (rest > (2**e - 1) // 2 + (x < 0))


def rescaled(x, mult, shift):
    """MultiplyByQuantizedMultiplier, two roundings; a positive shift goes left."""
    return divided(doubled_high(wrapped(x * 2 ** max(shift, 0), 32), mult), max(-shift, 0))


def inverse_root(v):
    """GetInvSqrtQuantizedMultiplierExp with its shift to the right: (multiplier, shift)."""
    if v <= 1:
        return 2**31 - 1, 0
    shift = 11
    while v >= 2**29:
        v, shift = v // 4, shift + 1
    pairs = (32 - v.bit_length() - 1) // 2 - 1
    shift, v = shift - pairs, v * 4**pairs
    half, x = divided(v // 2, 1), 2**28
    for _ in range(5):
        cube = saturated(doubled_high(doubled_high(x, x), x) * 64, 32)
        x = saturated((doubled_high(3 * 2**27, x) - doubled_high(half, cube)) * 8, 32)
    x = doubled_high(x, 1518500250)
    return (x * 2**-shift, 0) if shift < 0 else (x, shift)


def l2_norm(q, zero):
    """L2Normalization of int8, a row."""
    mult, shift = inverse_root(max(wrapped(sum((x - zero) ** 2 for x in q), 32), 0))
    return [saturated(rescaled(x - zero, mult, 7 - shift), 8) for x in q]


def layernorm_lstm(q, w, bias, guard, mult, shift):
    """PortableApplyLayerNorm, a row; `shift` is to the left, 12 included."""
    def cut(x, d):
        return abs(x) // d * (1 if x >= 0 else -1)

    mean = cut(sum(q) * 1024, len(q))
    v = cut(sum(x * x for x in q) * (2**20 // len(q)) - mean * mean, 2**20)
    by, down = inverse_root(v if v >= 1 else guard)
    y = []
    for x, weight, b in zip(q, w, bias):
        joined = wrapped(rescaled(1024 * x - mean, by, -down) * weight + b, 32)
        y.append(saturated(rescaled(cut(joined + (512 if joined > 0 else -512), 1024), mult, shift), 16))
    return y
