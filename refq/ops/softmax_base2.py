"""softmax_base2: softmax of a row by powers of two; codes of the shares, or of their negative logarithms.

    u + f / 2**k = min(round((max q - q) * mult / 2**shift), n * 2**k - 1) / 2**k,  u whole, f < 2**k
    e = (2**(k+1) - f) << (n - 1 - u)  (chord)  or  2**(k+1) << (n - 1 - u)  (flat),  S = sum of e
    inverse, geometric   y = min(c, top), c the least with S < edge * 2**c * e, edge 3/2 or 46341/2**15 (sqrt(2))
    linear               y = min(round(e * 2**b / S), 2**b - 1), b the bits of y

units    q counts s, and mult / 2**shift is s * 2**k, or s * log2(e) * 2**k for shares to the base e; S counts 2**-(k+n); a code c
         stands for 2**-c, `top` for 0 (refq.grids.log2: 14 powers and 0 in 4 bits, the released 16 and 0 in 5)
R1       the largest code of the row is taken off, so a zero point plays no part
R2       exponents have k fraction bits, ties as the row says, and saturate below n, so that order is kept
R3       2**-f on [0, 1) is the chord 1 - f/2, or 1 where f is dropped (refq.ints.halvings)
R4       the sum, exact or joined as the row says, lies in the register `acc`, which holds a whole row where it is exact
R5       a share's logarithm is one of leading zeros, and one comparison behind it
R6       what is beyond `top`, or a linear share of 1, is the last code
error    linear: |y / 2**b - p| <= 2**-b + g * p + C * 2**-n for rows of C codes; logarithms: |y + log2(p)| <= d + log2((1 + g)
         * (1 + C * 2**(1-n))) for y below top and p from 2**(2-n); p is softmax to that base, d 0.5 (geometric) or 0.585, g the
         chord's 0.0615 (flat: 1) and what exponents lose, 2**-k + n * 2**-14
source   our reading, in integers, of PackQViT (NeurIPS 2023), whose Int-2^n-Softmax was published in float, as 2**(x - max x)
         over their sum and a 4-bit logarithm; PeiyanFlying/PackQViT Quant.py, Softmax_p2 and Log2_Quantize, commit 3753234, which
         gives 0 from 2**-15 on, also where 2**-15 is nearer
"""
from dataclasses import dataclass
from functools import cache
from math import log2

import numpy as np

from refq.errors import IllFormed
from refq.grids.affine import Affine
from refq.grids.log2 import of_shares
from refq.ints import halvings, rounding, shares
from refq.ints.accumulate import Accumulate, admit_sum, divisor, summing
from refq.ints.bits import length
from refq.ints.halvings import EDGES, logarithm, power
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, largest_forgotten, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I16, I64, U4, U8, U16, U32, Width, at_most


@dataclass(frozen=True)
class Row(Base):
    shares: str = choice("inverse", "geometric", "linear")
    curve: str = choice("chord", "flat")
    ties: str = choice("half_up", *rounding.names)
    fraction: int = choice(8, 4)
    n: int = choice(16, 8)
    base: str = choice("e", "two", acts="build")
    acc: Width = U32
    q: Width = decided(I8)
    out: Width = U4
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "softmax_base2", self.q)
        at_most(48, "softmax_base2", self.acc)
        admit_sum("softmax_base2", self.accumulate)
        if self.shares == "linear" and self.out not in (U8, U16):
            raise IllFormed(f"softmax_base2: linear codes of {self.out}; they are unsigned, of 8 or 16 bits")
        grid(self)

    @property
    def top(self):
        """The last code in use."""
        return grid(self).hi

    @property
    def one(self):
        """The largest power: what e counts 1 as."""
        return 1 << self.fraction + self.n

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "mult": I16("", 0), "shift": I8("", 0, 62)}

    @property
    def gives(self):
        return {"y": self.out("n c", 0, self.top)}

    def sizes(self, found):
        width = self.acc if self.accumulate is None else I64
        return shares.held(found, width, self.one, "softmax_base2")


def build(row, scale, zero):
    """The constants of a step: `scale` of q (float64); `zero`, its zero point, plays no part. A power of two is a shift where the
    base is two. Raises IllFormed for scales of 2**15 halvings and more."""
    return halvings.multiplier(scale * (log2(np.e) if row.base == "e" else 1.0) * (1 << row.fraction), 62, "softmax_base2")


def grid(row):
    """What y lies on."""
    if row.shares == "linear":
        return Affine(row.out, 2.0 ** -row.out.bits, 0)
    return of_shares(row.out, row.shares)


def holds(row, scale, count):
    """Does the sum of a row of `count` codes fit its register?"""
    return row.accumulate is not None or count * row.one <= row.acc.hi


def registers(row, ends, sizes, constants):
    """The sum of a row, and the product that becomes an exponent."""
    yield from shares.registers(row, row.acc, sizes["c"], row.one)
    yield "wide", I64, 0, (row.q.hi - row.q.lo) * int(constants["mult"])


def spec(q, mult, shift, row, at=unwatched):
    k, n, q = row.fraction, row.n, q.astype(np.int64)
    lowered = at("lowered", q - q.max(axis=1, keepdims=True), Width(row.q.bits + 1))               # R1
    exact = at.shift("exact", row.ties, at("wide", -lowered * mult, I64), shift, I64)              # R2
    t = at("t", np.minimum(exact, (n << k) - 1), Width(length(n << k), False))                     # R2
    e = at("e", power(t, k, n, halvings.mask(row.curve, k)), U32)                                  # R3
    total = at("total", divisor(e, row.accumulate, at), row.acc)                                   # R4
    if row.shares == "linear":
        found = at.divide("share", row.ties, e << row.out.bits, total, U32)
    else:
        found = at("logarithm", logarithm(total, e, *EDGES[row.shares]), I8)                       # R5
    return np.minimum(found, row.top)                                                              # R6


@cache
def kernel(row):
    exponential, code, sum_of = halvings.exponential(row), halvings.code(row), summing(row.accumulate)

    @jit(nogil=True)
    def softmax_base2(q, mult, shift, y):
        e = np.empty(q.shape[1], np.int64)
        for r in range(q.shape[0]):
            largest = np.int64(q[r].max())                                                         # R1
            for c in range(q.shape[1]):
                e[c] = exponential(largest - q[r, c], mult, shift)                                 # R1 R2 R3
            total = max(sum_of(e), 1)                                                              # R4
            for c in range(q.shape[1]):
                y[r, c] = code(e[c], total)                                                        # R5 R6

    return softmax_base2


real, bound = shares.real, halvings.bound
slips = (channels_shifted("q", 1), row_tail_lost("c", 4), row_tile_leaks("c", 4), largest_forgotten)
r1_zero_point_plays_no_part = shares.zero_point_plays_no_part(spec)


def r2_keeps_order(q, mult, shift, row):
    """Larger codes never have smaller shares: the codes of their logarithms never grow."""
    return shares.rising(q, spec(q, mult, shift, row) * (1 if row.shares == "linear" else -1))


def r5_powers_of_two_are_exact(q, mult, shift, row):
    """A code in all of 2**j places gives each the logarithm j."""
    powers = () if row.shares == "linear" or row.accumulate is not None else range(q.shape[1].bit_length())
    return all((spec(np.zeros((1, 1 << j), np.int64), mult, shift, row) == min(j, row.top)).all() for j in powers)
