"""Spans: the intervals that registers stay within, from those of the codes that go in.

An operation's `registers(row, ends, sizes, constants)` yields (site, Width, lo, hi) for every register that sums, is raised
or multiplied: `ends`: operand to (lo, hi) of its codes (int64 arrays that broadcast over the last axis, or numbers),
`sizes`: axis to its size, `constants`: operand to its codes. lo and hi are numbers, or one for each channel; they hold
for every partial sum, in whatever order, and before the register wraps or saturates. What is here is shared by several.
"""
from math import ceil, floor

import numpy as np

from refq.ints.multiplier import decode
from refq.ints.width import I24, I32, I64

RULED = ("acc", "sum", "total", "partial", "pair", "tile", "spilled")
"""First words of registers that the field `accumulate` of a row speaks of; a field of another sum has its register's name."""


def factor(ends, zero):
    """The interval of codes less their zero point, with 0 in it."""
    lo, hi = ends
    return np.minimum(lo - zero, 0), np.maximum(hi - zero, 0)


def times(x, y):
    """The interval of a product of two."""
    corners = [a * b for a in x for b in y]
    return np.minimum.reduce(corners), np.maximum.reduce(corners)


def spanned(intervals):
    """The least interval that holds them all."""
    return np.minimum.reduce([lo for lo, _ in intervals]), np.maximum.reduce([hi for _, hi in intervals])


def summed(rule, name, width, count, ends):
    """The registers of a sum of `count` terms, each within `ends`: `name` of `width` where `rule` is None, else what an
    Accumulate joins them in (accumulate.summed)."""
    def of(terms):
        terms = min(terms, count)
        if isinstance(ends[1], int):        # of any size
            return min(ends[0] * terms, 0), max(ends[1] * terms, 0)
        return np.minimum(ends[0] * terms, 0), np.maximum(ends[1] * terms, 0)

    if rule is None or rule.order == "exact":
        yield name, width if rule is None else rule.width, *of(count)
        return
    together = {"pairs": 2, "tiles": rule.size}.get(rule.order, 1)
    if rule.order != "sequential":
        yield f"{name}_{rule.order[:-1]}", rule.width, *of(together)
    yield f"{name}_partial", rule.width, *of(rule.spill * together or count)
    if rule.spill:
        yield f"{name}_spilled", rule.into, *of(count)
    yield name, rule.result, *of(count)


def scaled(row, ends, mult, shift, prefix=""):
    """The registers of multiplier.scaled: what is rescaled in two roundings is first raised by 31 - shift bits, where that is
    positive; and the product."""
    mult, shift = np.asarray(mult, np.int64), np.asarray(shift, np.int64)
    if row.high != "none":
        up = np.int64(1) << np.maximum(31 - shift, 0)
        # what 32 bits do not hold does not fit, however far it is raised; 2**31 times 2**31 fits 64
        lo, hi = (np.clip(end, I32.lo - 1, I32.hi + 1) * up for end in ends)
        yield prefix + "lifted", I32, lo, hi
        ends = np.maximum(lo, I32.lo), np.minimum(hi, I32.hi)
        if row.overflow == "wrap":
            fits = (ends[0] == lo) & (ends[1] == hi)
            ends = np.where(fits, lo, I32.lo), np.where(fits, hi, I32.hi)
    yield prefix + "wide", I64, ends[0] * mult, ends[1] * mult


def rescaled(row, ends, sizes, constants):
    """The registers of rescale."""
    centred, shift = factor(ends["acc"], int(constants["zin"])), constants["shift"].astype(np.int64)
    if getattr(row, "zero_point", "after") == "inside":
        joins, (lo, hi) = int(constants["zp"]) << shift, (end * constants["mult"] for end in centred)
        yield "wide", I64, np.minimum(lo, 0) + joins, np.maximum(hi, 0) + joins
    else:
        yield from scaled(row, centred, constants["mult"], shift)


def weighted(row, ends, sizes, constants):
    """The registers of add_weighted: two operands times their weights, and the sum or the difference."""
    a, b = (times(factor(ends[name], int(constants[f"z{name}"])), (int(constants[f"k{name}"]),)) for name in ("a", "b"))
    yield "a_weighted", I32, *a
    yield "b_weighted", I32, *b
    less = (b[0], b[1]) if row.join == "plus" else (-b[1], -b[0])
    yield "total", I32, a[0] + less[0], a[1] + less[1]


def leaky(row, ends, sizes, constants):
    """The products of leaky_relu: codes of either sign have a multiplier of their own. A left shift may wrap, as its row says."""
    lo, hi = factor(ends["q"], int(constants["zq"]))
    parts = [[*scaled(row, part, int(constants[f"m{way}"]), int(constants[f"s{way}"]))][-1]
             for part, way in (((0, hi), "p"), ((lo, 0), "n"))]
    yield "wide", I64, *spanned([part[2:] for part in parts])


def interpolated(row, ends, sizes, constants):
    """The product of table16: the rise between two entries times the place between them."""
    rises = np.diff(constants["t"].astype(np.int64))
    yield "rise", I24, np.minimum(rises.min(), 0) * 127, np.maximum(rises.max(), 0) * 127


def joined(row, ends, sizes, constants):
    """The registers of add: two operands that are raised, rescaled and added, or taken one from the other."""
    total = [0, 0]
    for name in ("a", "b"):
        lo, hi = (end << row.left for end in factor(ends[name], int(constants[f"z{name}"])))
        yield f"{name}_raised", I32, lo, hi
        yield from scaled(row, (lo, hi), constants[f"m{name}"], constants[f"s{name}"], f"{name}_")
        if name == "b" and row.join == "minus":
            lo, hi = -hi, -lo
        scale = decode(int(constants[f"m{name}"]), int(constants[f"s{name}"]))
        total = [total[0] + floor(lo * scale) - 1, total[1] + ceil(hi * scale) + 1]
    if row.joined:
        yield "total", I32, *total
        fits = I32.lo <= total[0] and total[1] <= I32.hi
        yield from scaled(row, total if fits else (I32.lo, I32.hi), constants["mo"], constants["so"], "total_")


def multiplied(row, ends, sizes, constants):
    """The registers of mul: the product of two operands, and what it is raised to where it is rescaled in two roundings."""
    product = times(*(factor(ends[name], int(constants[f"z{name}"])) for name in ("a", "b")))
    yield "product", I32, *product
    yield from scaled(row, product, constants["mult"], constants["shift"])


def moments(row, ends, sizes, constants):
    """The registers of a layer norm: the sum of the codes, and that of the squares of their differences from a mean."""
    (lo, hi), count = ends["q"], sizes["c"]
    yield from summed(row.accumulate, "total", I64, count, (lo, hi))
    if row.accumulate is row.squares is None:       # of a mean that is right within 1 the furthest are half above, half below
        yield "squares", I64, 0, count * ((hi - lo) ** 2 // 4 + 1)
    else:
        yield from summed(row.squares, "squares", I64, count, (0, (hi - lo) ** 2))
