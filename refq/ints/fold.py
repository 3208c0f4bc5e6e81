"""gamma and beta of an integer LayerNorm as integers: decided exactly, so that no machine decides otherwise.

A channel y = gamma * z + beta, with z in units of sqrt(c) / 2**30, becomes sign(gamma) * (z / 2**down + code) in units
of |gamma| * sqrt(c) / 2**(30 - down): `code` is beta / gamma in these units, floored, and `down` makes room for it.
"""
from fractions import Fraction
from math import isqrt, ldexp, sqrt

MOST = (1 << 30) - 1
"""The largest code that leaves room in 32 bits for the sum, and for the sign: -MOST <= code <= MOST + 1."""

CONSTANT = 32
"""The `down` of a channel of which nothing but beta is left."""


def floor_over_root(x, c):
    """floor(x / sqrt(c)) of a Fraction x and an integer c > 0."""
    square = x * x / c
    return isqrt(square.__floor__()) if x >= 0 else -1 - isqrt(square.__ceil__() - 1)


def channel(gamma, beta, c):
    """(code, sign, down, unit) of one of c channels; `unit` is the real scale of the result, a positive float64."""
    sign = -1 if gamma < 0 else 1
    for down in range(CONSTANT) if gamma else ():
        code = floor_over_root(Fraction(beta) / Fraction(gamma) * 2 ** (30 - down), c)
        if -MOST <= code <= MOST + 1:
            return code, sign, down, ldexp(abs(gamma) * sqrt(c), down - 30)
    # gamma is 0, or so small beside beta that nothing of z is left: the channel is the constant beta
    return sign * ((beta > 0) - (beta < 0) << 29), sign, CONSTANT, ldexp(abs(beta) or 1.0, -29)


def channels(gamma, beta):
    """The four lists of `channel` over two equally long arrays."""
    pairs = [(float(g), float(b)) for g, b in zip(gamma, beta)]
    return [list(column) for column in zip(*(channel(g, b, len(pairs)) for g, b in pairs))]
