"""deviation: x over the root of a sum of squares, to 29 bits, whatever its size; what exact normalizations are made of.

With `count` numbers a row, z = x / sqrt(v) lies within the root of `count`, so it counts units of 2**(octaves(count) - 29),
and v is taken with 2*f bits of fraction (`fraction`) beside eps, an integer in the same unit.

    octaves(count)      the least k with 4**k >= count
    fraction(reach)     f, where the root of v is at most `reach` / 2: so many that v stays below 2**61 with it
    radicand(v, f, e)   v * 4**f + e, at least 4**f and below 2**62; the ends are met where the row is constant (x is 0 then),
                        and by registers that overflowed before
    lift(r)             by how many pairs of bits r goes up, so that its root has 31
    inverse(r)          2**61 over the floored root of the lifted r, floored: 32 bits
    left(r, f, k)       the shift of x * inverse(r) that leaves z

error    z is right within 1/2 + |z| * (2**-29 + 1 / (4 * r)) units, r the radicand: the last is the rounding of eps
"""
from dataclasses import dataclass
from fractions import Fraction
from math import floor, ldexp, sqrt

import numpy as np

from refq.errors import IllFormed
from refq.ints import roots, rounding, spans
from refq.ints.accumulate import Accumulate, admit_sum, summed
from refq.ints.bits import length
from refq.ints.fold import CONSTANT, MOST
from refq.ints.jit import word
from refq.ints.operand import never_empty
from refq.ints.row import Row, choice, decided
from refq.ints.width import I8, I32, I64, U32, Width, at_most

REACH = 1 << 31
"""What the `reach` of a row stays below: its products have 63 bits."""
EPS = I64("", 0, (1 << 61) - 1)
MOST_Z = (1 << 29) + 2
"""Of a quotient, in its units."""
CHANNELS = {"beta": I32("c", -MOST, MOST + 1), "sign": I8("c", -1, 1), "down": I8("c", 0, CONSTANT)}
"""Operands: eps in units of the radicand, and what `channels` makes of gamma and beta."""

exact_root = roots.exact


@word
def octaves(count):
    return (length(count - 1) + 1) >> 1


@word
def fraction(reach):
    return 31 - length(reach)


@word
def radicand(v, f, eps):
    r, least, most = (v << 2 * f) + eps, 1 << 2 * f, (1 << 62) - 1
    r = r + (least - r) * (r < least)
    return r + (most - r) * (r > most)


@word
def lift(r):
    return (62 - length(r)) >> 1


@word
def inverse(r):
    return (1 << 61) // exact_root(r << 2 * lift(r))


@word
def left(r, f, k):
    return 32 + k - f - lift(r)


@dataclass(frozen=True)
class Normalizing(Row):
    """The fields of a row that divides rows of `q` by the root of their squares' sum, and what such rows share."""

    ties: str = choice("half_up", *rounding.names)
    squares: Accumulate | None = None
    q: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, self.name, self.q)
        admit_sum(self.name, *self.sums)

    @property
    def sums(self):
        """How each sum is joined."""
        return self.squares,

    @property
    def name(self):
        return type(self).__module__.rpartition(".")[2]

    def reach(self, count):
        """Twice the largest root of count times the sum of squares, and the largest number that is divided by it."""
        return 2 * count * (self.q.hi - self.q.lo)

    def holds(self, count):
        """Do the registers hold rows of `count` codes?"""
        return self.reach(count) < REACH

    def admitted(self, count):
        """Refuse a row that is too long for its codes: raises IllFormed."""
        if not self.holds(count):
            raise IllFormed(f"{self.name}: a row of {count} codes of {self.q}: {count} times their range is not below 2**31, "
                            "which the registers hold; take narrower codes")

    def sizes(self, found):
        never_empty("c", found, self.name)
        self.admitted(found["c"])
        return {}

    def epsilon(self, eps, scale, count):
        """eps (a real, at least 0) beside count**2 times the variance of codes of `scale`, with f pairs of bits of fraction:
        ties up, decided exactly. Raises IllFormed for one that leaves nothing of the codes, and for rows that are too long."""
        if not (0 <= eps < float("inf") and 0 < scale < float("inf")):
            raise IllFormed(f"{self.name}: eps {eps!r} at a scale of {scale!r}: eps is at least 0, a scale above 0, both finite")
        self.admitted(count)
        one = Fraction(count << fraction(self.reach(count))) / Fraction(float(scale))
        whole = floor(Fraction(float(eps)) * one ** 2 + Fraction(1, 2))
        if whole > EPS.hi:
            raise IllFormed(f"{self.name}: eps {eps!r} is so large beside codes of scale {float(scale)!r} that nothing is left "
                            "of them; take a coarser grid, or a smaller eps")
        return whole


@dataclass(frozen=True)
class Centring(Normalizing):
    """A row that takes off the mean first: differences from the mean have half the reach."""

    accumulate: Accumulate | None = None

    @property
    def sums(self):
        return self.accumulate, self.squares

    def reach(self, count):
        return super().reach(count) // 2


def total_of(at, name, values, rule):
    """The sum of int64 `values` (n c) along c, at a site of that name, joined as `rule` says; None: exactly."""
    return at(name, summed(values, None), I64) if rule is None else summed(values, rule, at, name)


def over_root(at, x, v, eps, f, count, ties):
    """x / sqrt(v + eps) with every register at its site: x (n c), v (n 1), int64."""
    r = radicand(v, f, np.int64(eps))
    root = at("root", exact_root(r << 2 * lift(r)), Width(31, False))
    by = at.divide("factor", "floor", 1 << 61, root, U32)
    return at.clip("u", at.shift("scaled", ties, x * by, left(r, f, octaves(count)), I64), I32)


def by_mean(at, q, eps, count, row):
    """Codes (n count), int64, less their mean, over their deviation."""
    total = total_of(at, "total", q, row.accumulate)
    squares = total_of(at, "squares", q * q, row.squares)
    spread = at("spread", count * squares - total * total, I64)
    return over_root(at, at("centred", count * q - total, Width(33)), spread, eps, fraction(row.reach(count)), count, row.ties)


def joined(at, u, beta, sign, down):
    """gamma's sign and beta on u; operands (c)."""
    u = at.shift("lowered", "half_up", u, down.astype(np.int64), I32)
    return at.clip("y", sign.astype(np.int64) * at("joined", u + beta, Width(33)), I32)


def registers(row, ends, count, constants):
    """The registers of `by_mean` and `joined`, where sums are exact (refq.ints.spans)."""
    lo, hi = int(np.min(ends[0])), int(np.max(ends[1]))
    yield from spans.summed(row.accumulate, "total", I64, count, (lo, hi))
    yield from spans.summed(row.squares, "squares", I64, count, (0, max(lo * lo, hi * hi)))
    yield "spread", I64, 0, (count * (hi - lo)) ** 2 // 4
    yield "centred", Width(33), -count * (hi - lo), count * (hi - lo)
    if not any(row.sums):
        beta, down = (np.asarray(constants[name], np.int64) for name in ("beta", "down"))
        most = (MOST_Z >> down) + 1 + np.abs(beta)
        yield "y", I32, -most, most


def bound(row, count):
    """How far gamma * z is off at most, for gamma 1 and rows of `count` codes, in parts of 1."""
    f = fraction(row.reach(count))
    return 2.0 ** (octaves(count) - 29) + sqrt(count) * (2.0 ** -28 + 1 / (4.0 ** (f + 1) * max(count - 1, 1)))


def near(row, count, u, z, e):
    """Whether registers `u` (n c) are within the bound of reals `z`, of rows of `count` codes, which were divided by the root of
    at least `e` squared codes."""
    unit, rounded = 2.0 ** (octaves(count) - 29), 1 / (4.0 ** (fraction(row.reach(count)) + 1) * max(e, 1))
    return np.abs(u * unit - z) <= unit + np.abs(z) * (2.0 ** -28 + rounded)


def eps_of(row, count, code):
    """The real eps, in units of a squared code, that the operand `code` stands for."""
    return code / (count * 2.0 ** fraction(row.reach(count))) ** 2


def channel(gamma, beta, k):
    """(code, sign, down, unit) of a channel y = gamma * z + beta, with z in units of 2**(k - 29): it becomes
    sign * (z / 2**down + code) in units of `unit`, a positive float64; code is rounded, ties up."""
    sign = -1 if gamma < 0 else 1
    for lowered in range(CONSTANT) if gamma else ():
        code = floor(Fraction(beta) / Fraction(gamma) * Fraction(2) ** (29 - k - lowered) + Fraction(1, 2))
        if -MOST <= code <= MOST + 1:
            return code, sign, lowered, ldexp(abs(gamma), k - 29 + lowered)
    # gamma is 0, or so small beside beta that nothing of z is left: the channel is the constant beta
    return sign * ((beta > 0) - (beta < 0) << 29), sign, CONSTANT, ldexp(abs(beta) or 1.0, -29)


def channels(gamma, beta, count):
    """The four lists of `channel` over two equally long arrays, for rows of `count` codes: codes, signs, downs, units."""
    pairs = [(float(g), float(b)) for g, b in zip(gamma, beta, strict=True)]
    return [list(column) for column in zip(*(channel(g, b, octaves(count)) for g, b in pairs))]
