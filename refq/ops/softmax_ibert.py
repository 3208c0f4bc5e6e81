"""softmax_ibert: softmax of a row by I-BERT's polynomial, exponents of 16 bits, and one division.

    p = clip(floor(E * F / 2**(32 - b))),  E = half_even(p(d) * mult / 2**(shift + z)),  d = q - max q,
    F = floor(2**32 / sum E)

units    q counts s; E counts exp(0) / 32767; p counts 2**-b
R1       the largest code of the row is taken off, so a zero point plays no part
R2       exp by a parabola and z halvings (refq.ints.polynomial)
R3       brought to 16 bits, exp(0) to 32767, half to even; bits behind the 63rd are cut off. The authors' running
         maximum of the exponentials is a constant: every row has its exp(0)
R4       the sum, exact or joined as the row says, has 32 bits without a sign; 0 counts as 1
R5       one division a row, floored
R6       the product is floored at 32 - b
R7       clipped to p's width. A share of 1 may become 2**b, one past b bits, where the sum divides 2**32; 32767 does not: a
         row of one code, or one-hot, gives 2**b - 1
error    |p / 2**b - softmax| <= 2**-b + 0.003 + 0.06*s + C/65534 + (0.5 + ln(C)/4) * (|x0|*s/0.6931 - 1) for rows of C
         codes; the last term is what a scale loses at which 0.6931 is no whole number of codes: most of 0.11 at s = 1/16. A
         smaller code may have the larger E, by 1, where a halving begins
source   Kim et al., I-BERT, ICML 2021, section 3.5; kssteven418/I-BERT fairseq/quantization/utils/quant_modules.py,
         IntSoftmax, where float32 carries integers: a one-hot row gives 2**b there, 32767 * 131076 being rounded up to 2**32
"""
from dataclasses import dataclass
from functools import cache
from math import log

import numpy as np

from refq.errors import IllFormed
from refq.ints import multiplier, polynomial, rounding, shares
from refq.ints.accumulate import Accumulate, admit_sum, summed, summing
from refq.ints.jit import jit, word
from refq.ints.operand import never_empty
from refq.ints.polynomial import exponential, parts
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, largest_forgotten, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I64, U8, U32, Width, at_most

MOST, E, FULL = 32767, Width(15, False), 1 << 32


@dataclass(frozen=True)
class Row(Base):
    bits: int = choice(8, 16)
    ties: str = choice("half_even", *rounding.names)
    q: Width = decided(I8)
    out: Width = U8
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "softmax_ibert", self.q)
        at_most(32, "softmax_ibert", self.out)
        admit_sum("softmax_ibert", self.accumulate)
        if self.out.hi < (1 << self.bits) - 1:
            raise IllFormed(f"softmax_ibert: p of {self.out}, which does not hold shares of {self.bits} bits; give it a width "
                            "that does, or fewer bits")

    @property
    def rounds(self):
        return f"exponents {self.ties}, floor"

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "x0": polynomial.X0, "b": polynomial.B, "c": polynomial.C, "mult": I64("", 0, 1 << 31),
                "shift": I8("", 16, 46)}

    @property
    def gives(self):
        return {"p": self.out("n c", 0)}

    def sizes(self, found):
        return never_empty("c", found, "softmax_ibert")


def build(row, scale, zero):
    """The constants of a step: `scale` of q (a float64 in 2**-14 .. 0.6931), `zero` its zero point, which plays no part."""
    x0, b, c = polynomial.constants(scale, "softmax_ibert")
    mult, shift = multiplier.pair(MOST / c, "dyadic")
    return {"x0": x0, "b": b, "c": c, "mult": mult, "shift": shift}


holds = shares.held_to(U32.hi // MOST)


def registers(row, ends, sizes, constants):
    return shares.registers(row, U32, sizes["c"], MOST)


fitting = polynomial.fitting


def result(row, scale):
    """The scale of p."""
    return 2.0 ** -row.bits


def bound(row, scale, count):
    """The largest error of p in a row of `count` codes."""
    lost = -build(row, scale, 0)["x0"] * scale / float(polynomial.LN2) - 1
    return 2.0 ** -row.bits + 0.003 + 0.06 * scale + count / (2 * MOST) + (0.5 + 0.25 * log(count)) * max(lost, 0.0)


def spec(q, x0, b, c, mult, shift, row, at=unwatched):
    q = q.astype(np.int64)
    lowered = at("lowered", q - q.max(axis=1, keepdims=True), Width(row.q.bits + 1))               # R1
    parabola, z = exponential(at, "parabola", lowered, x0, b, c)                                   # R2
    wide, down = at("wide", parabola * mult, I64), shift + z
    scaled = at.shift("scaled", row.ties, wide >> np.maximum(down - 63, 0), np.minimum(down, 63), I64)      # R3
    e = at.clip("e", scaled, E)                                                                    # R3
    total = at("total", np.maximum(summed(e, row.accumulate, at, "sum"), 1), U32)                  # R4
    factor = at.divide("factor", "floor", FULL, total, I64)                                        # R5
    share = at.shift("share", "floor", e * factor, 32 - row.bits, I64)                             # R6
    return at.clip("p", share, row.gives["p"].width)                                               # R7


@cache
def kernel(row):
    down, hi, codes = 32 - row.bits, row.out.hi, 1 << row.q.bits if row.q.bits <= 8 else 0
    ties, sum_of = rounding.word(row.ties), summing(row.accumulate)

    @word
    def exponent(d, x0, b, c, mult, shift):
        parabola, z = parts(-d, x0, b, c)                                                          # R2
        return min(max(ties(parabola * mult >> max(shift + z - 63, 0), min(shift + z, 63)), 0), MOST)      # R3

    @jit(nogil=True, error_model="numpy")
    def softmax_ibert(q, x0, b, c, mult, shift, p):
        # 8-bit codes have at most 256 distances from the largest: their exponents are made once
        exponents = np.empty(codes, np.int64)
        for d in range(codes):
            exponents[d] = exponent(d, x0, b, c, mult, shift)                                      # R2
        e = np.empty(q.shape[1], np.int64)
        for r in range(q.shape[0]):
            largest = np.int64(q[r].max())                                                         # R1
            for i in range(q.shape[1]):
                d = largest - q[r, i]                                                              # R1
                e[i] = exponents[d] if codes else exponent(d, x0, b, c, mult, shift)               # R2
            total = max(sum_of(e), 1)                                                              # R4
            factor = FULL // total                                                                 # R5
            for i in range(q.shape[1]):
                p[r, i] = min((e[i] * factor) >> down, hi)                                         # R6 R7

    return softmax_ibert


real = shares.real
slips = (channels_shifted("q", 1), row_tail_lost("c", 4), row_tile_leaks("c", 4), largest_forgotten)


r1_zero_point_plays_no_part = shares.zero_point_plays_no_part(spec)


def r6_no_more_than_one(q, x0, b, c, mult, shift, row):
    """No row has shares of more than 1 together, but where its register loses parts of the sum."""
    p = spec(q, x0, b, c, mult, shift, row)
    return (p.astype(np.int64).sum(axis=1, keepdims=True) <= 1 << row.bits) | (row.accumulate is not None)
