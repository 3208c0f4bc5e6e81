"""log_int_softmax: softmax of a row as codes of powers of two, by the exponential of I-BERT and the inverse of each share.

    code = F(round(sum e / e)),  e = p * 2**(n - z),  F(R) = floor(log2 R), and one more where R >= 1.5 * 2**floor(log2 R)

units    q counts s; code c stands for 2**-c, the code above `deepest` for 0 where `top` says so (refq.grids.log2)
R1       the largest code of the row is taken off, so a zero point plays no part
R2       p and z are those of I-BERT's exponential (refq.ints.polynomial); e is floored where z is above n, and at least 1
R3       the sum is exact in 64 bits, or joined as the row says; its quotient by e, the inverse of a share, is rounded once
R4       a code is the place of R's leading bit, and one more where the bit below it is set
R5       codes beyond `deepest` become 0, or the smallest power where no code means 0
error    2**-code is 0.625 to 1.5 times e / sum e, which is within a factor of 2**(0.012 + 2*s) of softmax where 0.6931 / s is
         whole; other scales lose |x0|*s / 0.6931 - 1 of every halving besides
source   Lin et al. 2022 (FQ-ViT), section 3.3; megvii-research/FQ-ViT models/ptq/layers.py, QIntSoftmax (n 30), in float32; its
         17 levels, 2**-15 and 0 among them, take five bits
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.grids.log2 import Log2
from refq.ints import polynomial, rounding, shares
from refq.ints.accumulate import Accumulate, admit_sum, divisor, summing
from refq.ints.bits import length
from refq.ints.jit import jit, word
from refq.ints.log_slips import next_bit_ignored, switched_between_powers
from refq.ints.operand import never_empty
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, largest_forgotten, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I16, I64, U4, Width, at_most


@dataclass(frozen=True)
class Row(Base):
    n: int = 30
    top: str = choice("zero", "power")
    deepest: int = 14
    q: Width = decided(I8)
    out: Width = U4
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "log_int_softmax", self.q)
        admit_sum("log_int_softmax", self.accumulate)
        if grid(self) and not 16 <= self.n <= 30:
            raise IllFormed(f"log_int_softmax: exponentials of {self.n} fraction bits; take 16 to 30")

    @property
    def rounds(self):
        return "inverse half_even, floor"

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "x0": polynomial.X0, "b": polynomial.B, "c": polynomial.C.width("", 1, most(self))}

    @property
    def gives(self):
        return {"p": self.out("n c", 0, grid(self).hi)}

    def sizes(self, found):
        return never_empty("c", found, "log_int_softmax")


def grid(row):
    """The grid of the codes; raises IllFormed where they have no room."""
    return Log2(row.out, row.top, row.deepest, "inverse")


def build(row, scale, zero):
    """The constants of a step: `scale` of q (a float64 up to 0.6931), `zero` its zero point, which plays no part."""
    made = dict(zip(("x0", "b", "c"), polynomial.constants(scale, "log_int_softmax")))
    if made["c"] > most(row):
        raise IllFormed(f"log_int_softmax: exponentials of codes of scale {float(scale)!r} leave 54 bits; give it coarser ones")
    return made


def most(row):
    """The largest c."""
    return min(polynomial.C.hi, (1 << 54 - row.n) - 1)


def holds(row, scale, count):
    """Does the sum of a row of `count` codes of `scale` fit 64 bits?"""
    return max(count, 512) * polynomial.constants(scale, "log_int_softmax")[2] << row.n <= I64.hi


def registers(row, ends, sizes, constants):
    x0, b, c = (int(constants[k]) for k in ("x0", "b", "c"))
    yield from shares.registers(row, I64, sizes["c"], max(c, c + x0 * (x0 + b)) << row.n)       # the parabola's ends


def spec(q, x0, b, c, row, at=unwatched):
    q = q.astype(np.int64)
    lowered = at("lowered", q - q.max(axis=1, keepdims=True), Width(row.q.bits + 1))               # R1
    p, z = polynomial.exponential(at, "poly", lowered, x0, b, c)                                      # R2
    raised = at("raised", p << np.maximum(row.n - z, 0), I64)                                      # R2
    e = at("e", np.maximum(rounding.word("floor")(raised, np.maximum(z - row.n, 0)), 1), I64)      # R2
    total = at("total", divisor(e, row.accumulate, at), I64)                                       # R3
    inverse = at.divide("inverse", "half_even", total, e, I64)                                     # R3
    place = at("place", np.maximum(length(inverse) - 1, 0), I8)                                    # R4
    below = at("below", inverse >> np.maximum(place - 1, 0) & (place > 0), I8)                     # R4
    return at("p", np.minimum(place + below, grid(row).hi), I16)                              # R5


@cache
def kernel(row):
    n, hi, codes, sum_of = row.n, grid(row).hi, 1 << row.q.bits if row.q.bits <= 8 else 0, summing(row.accumulate)
    parts, over = polynomial.parts, rounding.divide("half_even")

    @word
    def exponential(d, x0, b, c):
        value, z = parts(-d, x0, b, c)
        return max((value << max(n - z, 0)) >> max(z - n, 0), 1)                                   # R2

    @jit(nogil=True, error_model="numpy")
    def log_int_softmax(q, x0, b, c, p):
        held = np.empty(codes, np.int64)        # 8-bit codes have at most 256 distances from the largest
        for d in range(codes):
            held[d] = exponential(d, x0, b, c)                                                     # R2
        e = np.empty(q.shape[1], np.int64)
        for r in range(q.shape[0]):
            largest = np.int64(q[r].max())
            for i in range(q.shape[1]):
                d = largest - q[r, i]                                                              # R1
                e[i] = held[d] if codes else exponential(d, x0, b, c)                              # R2
            total = max(sum_of(e), 1)                                                              # R3
            for i in range(q.shape[1]):
                inverse = over(total, e[i])                                                        # R3
                place = max(length(inverse) - 1, 0)                                                # R4
                below = (inverse >> max(place - 1, 0)) & (place > 0)                               # R4
                p[r, i] = min(place + below, hi)                                                   # R5

    return log_int_softmax


slips = (channels_shifted("q", 1), row_tail_lost("c", 4), row_tile_leaks("c", 4), largest_forgotten, next_bit_ignored,
         switched_between_powers)
fitting = polynomial.fitting


r1_zero_point_plays_no_part = shares.zero_point_plays_no_part(spec)


def r4_shares_are_no_more_than_half_too_large(q, x0, b, c, row):
    """Together they are less than 1.5, beside what the smallest power gives each code that has none."""
    p, least = spec(q, x0, b, c, row), q.shape[1] * 2.0 ** -row.deepest * (row.top == "power")
    return (np.where(p <= row.deepest, 2.0 ** -p, 0).sum(axis=1) < 1.5 + least) | (row.accumulate is not None)
