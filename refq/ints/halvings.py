"""halvings: powers of two of codes by shifts, and the logarithm of a share by leading zeros; for softmax to the base two.

    power(t, k, n, mask)            2**(k+n) * 2**-(t / 2**k) for 0 <= t < n * 2**k: with u whole and f the low k bits of t,
                                    ((2**(k+1) - f) << (n - 1 - u)), where 2**-f on [0, 1) is the chord 1 - f/2; a mask of 0
                                    drops f, one of 2**k - 1 keeps it. Never 0, and it falls with t
    mask(curve, k)                  that mask: of a row's `chord`, or `flat`
    steps(ties, most)(d, mult, shift)   round(d * mult / 2**shift) of a distance d from the largest code, at most `most`
    exponential(row)(d, mult, shift)    the power of those steps, for a row with fraction bits k and n halvings
    code(row)(e, total)             the code of a share e / total, for a row of linear shares or of their logarithms
    multiplier(stepped, most, where)    (mult, shift) of the steps that one code is, a real
    logarithm(total, e, mult, down) the least c >= 0 with total < edge * 2**c * e, edge = mult / 2**down in 1 .. 2: the code of
                                    -log2(e / total), whose next code begins at edge (EDGES)

power and logarithm are words for Python integers, NumPy int64 arrays and kernels from one text; steps, exponential and code are
for kernels. logarithm: 1 <= e, total < 2**47, mult < 2**16.

error    exponential: excess(row), relative; power: 1 <= power / 2**(k+n) * 2**t <= 1.0615 (chord), 2 (f dropped)
"""
from functools import cache
from math import ceil, log, log2

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.bits import length
from refq.ints.jit import word
from refq.ints.multiplier import q15

EDGES = {"inverse": (3, 1), "geometric": (46341, 15)}
"""3/2, in the middle of two powers; sqrt(2), in the middle of their exponents, to 15 bits."""


@word
def power(t, k, n, mask):
    return ((2 << k) - (t & mask)) << (n - 1 - (t >> k))


@word
def logarithm(total, e, mult, down):
    c = length(total) - length(e)
    c = c * (c > 0)
    c = c - (((e << c) > total) & (c > 0))
    return c + ((total << down) >= mult * (e << c))


def mask(curve, k):
    return (1 << k) - 1 if curve == "chord" else 0


@cache
def steps(ties, most):
    rounded = rounding.word(ties)

    @word
    def halved(d, mult, shift):
        return min(max(rounded(d * mult, shift), 0), most)

    return halved


@cache
def exponential(row):
    k, n, low, stepped = row.fraction, row.n, mask(row.curve, row.fraction), steps(row.ties, (row.n << row.fraction) - 1)

    @word
    def halved(d, mult, shift):
        return power(stepped(d, mult, shift), k, n, low)

    return halved


def excess(row):
    """How far an exponential is above its real, relative: the curve, the rounding of its steps, and 15 bits of a multiplier."""
    return (0.0615 if row.curve == "chord" else 1.0) + 2.0 ** -row.fraction + row.n * 2.0 ** -14


@cache
def code(row):
    divided, bits, top, (edge, down) = rounding.divide(row.ties), row.out.bits, row.top, EDGES.get(row.shares, (1, 0))

    @word
    def linear(e, total):
        return min(divided(e << bits, total), top)

    @word
    def below(e, total):
        return min(logarithm(total, e, edge, down), top)

    return linear if row.shares == "linear" else below


def bound(row, scale, count):
    """The largest error of a decoded code in rows of `count`: where the share is 1, or what a code leaves of it; infinite where
    sums may saturate."""
    if row.accumulate is not None:
        return float("inf")
    if row.shares == "linear":
        return 2.0 ** -row.out.bits + excess(row) + count * 2.0 ** -row.n
    mult, down = EDGES[row.shares]
    return 1 - 2.0 ** down / (mult * (1 + excess(row)) * (1 + count * 2.0 ** (1 - row.n))) + 2.0 ** (3 - row.n)


def multiplier(stepped, most, where):
    """Raises IllFormed where 15 bits and a shift of up to `most` do not say `stepped`."""
    mult, shift = q15(stepped)
    if not 0 <= shift <= most or not mult:
        raise IllFormed(f"{where}: a code is {stepped!r} steps of its exponent; 2**{14 - most} to 2**15 are defined: rescale it "
                        "first")
    return {"mult": mult, "shift": shift}


def fitting(scale):
    """The least float32 not below `scale` that is log(2) / 2**k, for which halvings are a shift."""
    return float(np.float32(log(2) * 2.0 ** ceil(log2(scale / log(2)) - 2.0 ** -20)))
