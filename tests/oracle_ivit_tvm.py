"""The oracle of I-ViT's TVM benchmark: its relay expressions one integer at a time, every int32 (or int16, uint32) result
wrapped as a compiler of array programs keeps it. Shares no code with refq; shifts by 32 and more give 0.
"""
from fractions import Fraction
from math import floor, trunc

from tests.oracle import roundings, wrapped

ONE = 2**31 - 1


def int32(x):
    return wrapped(x, 32)


def divided(a, b):
    """Truncating division; 0 where it is by 0."""
    return trunc(Fraction(a, b)) if b else 0


def code_of_minus_one(scale):
    """const(-1.0 / scale - 1, "int32")."""
    return trunc(-1 / Fraction(scale) - 1)


def shift_exp(x, x0, n):
    t = max(x + floor(Fraction(x, 2)) - floor(Fraction(x, 16)), n * x0)
    k = divided(t, x0)
    half = floor(Fraction(t - k * x0, 2)) - x0
    return int32(half * 2 ** (n - k)) if n - k < 64 else 0


def softmax(q, x0, n=16):
    e = [shift_exp(x - max(q), x0, n) for x in q]
    return [wrapped(floor(Fraction(int32(divided(ONE, int32(sum(e))) * v), 2**24)), 8) for v in e]


def gelu(q, zp, x0, n=23):
    x, y = [v - zp for v in q], []
    rest = shift_exp(-max(x), x0, n)
    for v in x:
        e = shift_exp(v - max(x), x0, n)
        sigmoid = floor(Fraction(int32(divided(ONE, int32(e + rest)) * e), 2**24))
        y.append(int32(v * sigmoid))
    return y


def layernorm(q, beta, sign, down):
    mean = divided(wrapped(sum(q), 16), len(q))
    d = [wrapped(v - mean, 16) for v in q]
    squares = wrapped(sum(v * v for v in d), 32, signed=False)
    root = 2**16
    for _ in range(10):
        root = (root + squares // root) // 2
    factor = divided(ONE, max(root, 1))
    u = [divided(int32(factor * v), 2) for v in d]
    return [int32(s * (roundings["half_up"](Fraction(v, 2**k)) + b)) for v, b, s, k in zip(u, beta, sign, down)]
