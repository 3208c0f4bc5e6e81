"""The oracle of FQ-ViT's operations: the definitions on unbounded integers and fractions, one number at a time, and the authors'
formula of LayerNorm in float32, as their code carries it. It shares no code with refq.
"""
from fractions import Fraction
from math import floor, isqrt

import numpy as np

from tests.oracle import roundings, saturated


def i_exp(q, scale):
    """I-BERT's exponentials of one row of codes of a Fraction `scale`, less their maximum, n = 30: integers."""
    a, b1, ln2 = Fraction("0.35815147"), Fraction("0.96963238"), Fraction("0.6931")
    x0, b, c = floor(-ln2 / scale), floor(b1 / a / scale), floor(1 / a / scale ** 2)
    made = []
    for x in q:
        t = max(x - max(q), 30 * x0)
        z = floor(Fraction(t, x0))
        r = t - z * x0
        made.append(max(floor((r * (r + b) + c) * Fraction(2) ** (30 - z)), 0))
    return made


def log_round(r):
    """The authors' F: floor of the logarithm, and one more from 1.5 times that power on."""
    k = 0
    while 2 ** (k + 1) <= r:
        k += 1
    return k + (r - Fraction(2) ** k >= Fraction(2) ** (k - 1))


def log_int_softmax(q, scale, deepest, top):
    """One row of codes."""
    e = i_exp(q, scale)
    codes = [log_round(roundings["half_even"](Fraction(sum(e), x))) for x in e]
    return [min(code, deepest + (top == "zero")) for code in codes]


def layernorm(q, zq, k, mult, shift, sign, beta, zo, bits, ties, out):
    """One row of codes, as the docstring of layernorm_fqvit says it."""
    x = [(v - zq) * 2 ** e for v, e in zip(q, k)]
    count, total = len(x), sum(x)
    spread = count * sum(v * v for v in x) - total ** 2
    up = 62 - spread.bit_length()
    up -= up % 2
    root = isqrt(spread * 2 ** up)
    whole = count * 2 ** (61 - count.bit_length())
    factor = whole // root if spread else 0
    mean = floor(Fraction(total * 256, count))
    made = []
    for v, m, s, g, b in zip(x, mult, shift, sign, beta):
        slope = Fraction(factor * m * 2 ** (up // 2) * 2 ** count.bit_length(), 2 ** (s + 61))
        n = 31
        if slope:
            power = 0
            while Fraction(2) ** power > slope:
                power -= 1
            while Fraction(2) ** (power + 1) <= slope:
                power += 1
            n = min(max(bits - 1 - power, 0), 31)
        a = floor(slope * 2 ** (n + 8))
        multiplier = min(a // 256, 2 ** bits - 1)
        offset = roundings[ties](Fraction(b * 2 ** n - g * a * mean, 2 ** 16))
        made.append(saturated(roundings[ties](Fraction(g * multiplier * v + offset, 2 ** n)) + zo, out))
    return made


def layernorm_float32(x, gamma, beta, s_out):
    """The authors' QIntLayerNorm on a row of integers `x` of unit 1, every operation rounded to float32; float32 codes, neither
    clipped nor moved by a zero point."""
    one = np.float32
    x, gamma, beta = (np.asarray(v, one) for v in (x, gamma, beta))
    count = one(len(x))
    mean = one(x.mean(dtype=one))
    std = one(1) / count * np.sqrt(count * (x ** 2).sum(dtype=one) - x.sum(dtype=one) ** 2)
    slope = one(1) / std * gamma / one(s_out)
    n = np.clip(one(7) - np.floor(np.log2(np.abs(slope))), 0, 31).astype(one)
    m = np.clip(np.floor(np.abs(slope) * one(2) ** n), 0, 255).astype(one)
    offset = np.rint((beta - mean / std * gamma) / one(s_out) * one(2) ** n)
    return np.rint((np.sign(slope) * m * x + offset) / one(2) ** n)


def add_factors(a, b, c, ties, bits):
    """One row of codes; `c` the constants by name."""
    made = []
    for x, y, ka, kb, ky in zip(a, b, c["ka"], c["kb"], c["ky"]):
        total = (x - c["za"]) * 2 ** ka * c["ma"] + (y - c["zb"]) * 2 ** kb * c["mb"]
        made.append(saturated(roundings[ties](Fraction(total, 2 ** (c["shift"] + ky))) + c["zo"], bits))
    return made
