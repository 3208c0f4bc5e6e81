"""shiftgelu: x * sigmoid(1.702 x) by shifts and one division an element.

    y = x * clip(floor(e * F / 2**(m + 1 - b))),  x = q - zp,  M = max x of the row,
    e = shift_exp(x - M),  F = floor((2**m - 1) / min(e + shift_exp(-M), 2**m - 1))

units    q counts s, and x0 = floor(-1/(1.702*s)) stands for -1; y counts s * 2**-(b-1), b the bits of the sigmoid
R1       the zero point is taken off first
R2       the largest x of the row is taken off; exp by shifts with n fraction bits (refq.ints.exponential)
R3       exp(-M) joins; where M < 0 its argument is positive, and it ends at |x0| * 2**32, or saturates with the sum before
R4       the sum saturates at 2**m - 1: m is 31 for the authors, whose sums of 16-bit codes do not fit that; 52 holds them
R5       one division an element, floored; the product is floored at m + 1 - b
R6       the sigmoid is clipped to b bits: idle while |x0| * 2**n < 2**m
R7       y is the exact product
error    of the sigmoid, with t = 1.702*s: at most |x0|*2**(n-m) + 2**(1-b) + 0.025 + 0.12*t + 0.25 * (|x0|*t - 1) in
         rows whose largest real x is at most 0.4 * (n - 5). Beyond, small exponentials run out of halvings, and a very
         negative x keeps up to half of itself
source   Li and Gu 2023 (I-ViT); zkkli/I-ViT models/quantization_utils/quant_modules.py, IntGELU, where float32 carries
         integers, so that 2**31 - 1 is 2**31
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.ints.exponential import FINEST, exponential, falling_exp, pair_registers, quotient, shift_exp, unit, whole
from refq.ints.jit import jit, word
from refq.ints.operand import never_empty
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, negated, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I32, I64, Width, at_most

STEEPNESS = Fraction(1702, 1000)


@dataclass(frozen=True)
class Row(Base):
    n: int = choice(23, 15, 24)
    bits: int = choice(8, 16)
    reciprocal: int = choice(31, 52)
    q: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "shiftgelu", self.q)

    @property
    def rounds(self):
        return "floor"

    overflow = "saturate"       # R4: no field, since it is always so

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "zp": self.q(), "x0": I32("", FINEST, -1)}

    @property
    def gives(self):
        return {"y": I32("n c")}

    def sizes(self, found):
        return never_empty("c", found, "shiftgelu")


def build(row, scale, zero):
    """The constants of a step: `scale` of q (a float64, at most 1/1.702), `zero` its zero point."""
    return {"zp": zero, "x0": unit(Fraction(scale) * STEEPNESS, "shiftgelu (whose scale is 1.702 times its input's)")}


def fitting(scale):
    """The least scale not below `scale` at which -1 / 1.702 has a code of its own: the formula errs least there."""
    return whole(scale, STEEPNESS)


def result(row, scale):
    """The scale of y."""
    return scale * 2.0 ** (1 - row.bits)


registers = pair_registers


def spec(q, zp, x0, row, at=unwatched):
    x = at("x", q.astype(np.int64) - zp, Width(row.q.bits + 1))                                    # R1
    largest = x.max(axis=1, keepdims=True)
    e = exponential(at, "e", x - largest, x0, row.n)                                               # R2
    rest = exponential(at, "rest", -largest, x0, row.n)                                            # R3
    held = Width(row.reciprocal + 1)
    factor = at.divide("factor", "floor", held.hi, at.clip("total", e + rest, held), held)         # R4 R5
    scaled = at.shift("scaled", "floor", e * factor, row.reciprocal + 1 - row.bits, I64)           # R5
    return at("y", x * at.clip("sigmoid", scaled, Width(row.bits)), I32)                           # R6 R7


@cache
def kernel(row):
    n, down, hi, codes, lo = row.n, row.reciprocal + 1 - row.bits, Width(row.bits).hi, 1 << row.q.bits, row.q.lo
    one = (1 << row.reciprocal) - 1

    @word
    def sigmoid(e, rest):
        return min((e * quotient(one, min(e + rest, one))) >> down, hi)                            # R4 R5 R6

    @jit(nogil=True, error_model="numpy")
    def tabled(q, zp, x0, y):
        # 8-bit codes have at most 256 distances from the largest, and a row's largest is one of 256: a table for each
        # that occurs turns the loop over the row into a look-up
        exponentials = np.empty(codes, np.int64)
        for i in range(codes):
            exponentials[i] = falling_exp(i + 1 - codes, x0, n)                                    # R2
        tables, ready = np.empty((codes, codes), np.int32), np.zeros(codes, np.bool_)
        for r in range(q.shape[0]):
            top = np.int64(q[r].max()) - lo
            table = tables[top]
            if not ready[top]:
                ready[top] = True
                rest = shift_exp(zp - lo - top, x0, n)                                             # R1 R3
                for i in range(top + 1):
                    table[i] = (i + lo - zp) * sigmoid(exponentials[codes - 1 - top + i], rest)    # R1 R7
            for c in range(q.shape[1]):
                y[r, c] = table[np.int64(q[r, c]) - lo]

    @jit(nogil=True, error_model="numpy")
    def direct(q, zp, x0, y):
        for r in range(q.shape[0]):
            largest = np.int64(q[r].max())
            rest = shift_exp(zp - largest, x0, n)                                                  # R1 R3
            for c in range(q.shape[1]):
                e = falling_exp(q[r, c] - largest, x0, n)                                          # R2
                y[r, c] = (q[r, c] - zp) * sigmoid(e, rest)                                        # R1 R7

    return tabled if row.q.bits <= 8 else direct


def real(q, zp, s):
    """x * sigmoid(1.702 x) of the real numbers (q - zp) * s; float64."""
    x = (np.asarray(q, np.float64) - zp) * s
    return x / (1 + np.exp(np.minimum(-1.702 * x, 700.0)))


slips = (dropped("zp"), negated("zp"), channels_shifted("q", 1), channels_shifted("y", 1),
         row_tail_lost("c", 4), row_tile_leaks("c", 4))


def r4_near_the_real_value(q, zp, x0, row):
    """Within |x| times the bound of x * sigmoid(1.702 x), and a rounding of y, at the scale whose x0 is exact."""
    s = -1 / (1.702 * x0)
    x = (q.astype(np.int64) - zp) * s
    bound = -x0 * 2.0 ** (row.n - row.reciprocal) + 2.0 ** (1 - row.bits) + 0.025 + 0.12 * 1.702 * s
    error = np.abs(spec(q, zp, x0, row) * result(row, s) - real(q, zp, s))
    return (error <= np.abs(x) * bound * 1.001) | (x.max(axis=1, keepdims=True) > 0.4 * (row.n - 5))


def r7_takes_the_sign_of_x(q, zp, x0, row):
    """y never has the sign that x has not."""
    return spec(q, zp, x0, row) * (q.astype(np.int64) - zp) >= 0
