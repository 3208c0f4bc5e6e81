"""shiftgelu_int32: ShiftGELU as the authors' TVM benchmark computes it, in 32 bits that wrap.

    y = x * (wrap(e * F) >> 24),  x = q - zp,  M = max x of the row,
    e = wrapped_exp(x - M),  F = trunc((2**31 - 1) / wrap(e + wrapped_exp(-M)))

units    q counts s, and x0 stands for -1 of codes of scale 1.702*s; y counts s * 2**-7
R1       the zero point is taken off first (theirs is 0)
R2       the largest x of the row is taken off; exp by shifts with n fraction bits, its half taken first, k cut toward 0, in 32
         bits that wrap (refq.ints.exponential)
R3       exp(-M) joins likewise; where M < 0 it grows beyond exp(0), and past 32 bits nothing but its low bits is left
R4       the sum wraps at 32 bits
R5       one division an element, cut toward 0; by a sum of 0, by which theirs traps or not as the machine does, F is 0
R6       the product wraps at 32 bits, and its top 8 are the sigmoid
R7       y is the exact product
error    of the sigmoid, t/4 more than shiftgelu's (t = 1.702*s), while nothing wraps: in rows whose largest x is not negative,
         at |x0| * 2**n < 2**30
source   zkkli/I-ViT TVM_benchmark/models/layers.py, quantized_gelu and shift_exp, commit 302e3919. Shifts by 32 and more, which
         its compiler leaves undefined, give 0 here
"""
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from refq.ints.exponential import FINEST, UNITS, unit, wrapped_exp, wrapped_exponential
from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.registers import wrapping
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, negated, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I32, Width, at_most
from refq.ops.shiftgelu import STEEPNESS, fitting, real

__all__ = ["fitting", "real"]
BITS, ONE = 8, I32.hi


@dataclass(frozen=True)
class Row(Base):
    n: int = choice(23, 15, 24)
    unit: str = choice("beyond", *UNITS, acts="build")
    q: Width = decided(I8)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "shiftgelu_int32", self.q)

    @property
    def rounds(self):
        return "floor, trunc"

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "zp": self.q(), "x0": I32("", FINEST, -1)}

    @property
    def gives(self):
        return {"y": I32("n c")}

    def sizes(self, found):
        return never_empty("c", found, "shiftgelu_int32")


def build(row, scale, zero):
    """The constants of a step: `scale` of q (a float64, at most 1/1.702), `zero` its zero point."""
    return {"zp": zero, "x0": unit(Fraction(scale) * STEEPNESS, "shiftgelu_int32 (whose scale is 1.702 times its input's)",
                                   row.unit)}


def result(row, scale):
    """The scale of y."""
    return scale * 2.0 ** (1 - BITS)


def spec(q, zp, x0, row, at=unwatched):
    x = at("x", q.astype(np.int64) - zp, Width(row.q.bits + 1))                                    # R1
    largest = x.max(axis=1, keepdims=True)
    e = wrapped_exponential(at, "e", x - largest, x0, row.n)                                       # R2
    rest = wrapped_exponential(at, "rest", -largest, x0, row.n)                                    # R3
    total = at.wrap("total", e + rest, I32)                                                        # R4
    size = np.maximum(np.maximum(total, -total), 1)
    factor = at("factor", np.clip(total, -1, 1) * at.divide("quotient", "floor", ONE, size, I32), I32)      # R5
    product = at.wrap("product", e * factor, I32)                                                  # R6
    sigmoid = at.shift("sigmoid", "floor", product, 32 - BITS, Width(BITS))                        # R6
    return at("y", x * sigmoid, I32)                                                               # R7


@cache
def kernel(row):
    n, keep = row.n, wrapping(I32)

    @jit(nogil=True, error_model="numpy")
    def shiftgelu_int32(q, zp, x0, y):
        for r in range(q.shape[0]):
            largest = np.int64(q[r].max())
            rest = wrapped_exp(zp - largest, x0, n)                                                # R1 R3
            for c in range(q.shape[1]):
                e = wrapped_exp(q[r, c] - largest, x0, n)                                          # R2
                total = keep(e + rest)                                                             # R4
                factor = ONE // total if total > 0 else -(ONE // -total) if total < 0 else 0       # R5
                y[r, c] = (q[r, c] - zp) * (keep(e * factor) >> 32 - BITS)                         # R1 R6 R7

    return shiftgelu_int32


slips = (dropped("zp"), negated("zp"), channels_shifted("q", 1), channels_shifted("y", 1),
         row_tail_lost("c", 4), row_tile_leaks("c", 4))


def r1_free_of_the_zero_point(q, zp, x0, row):
    """The same x from other codes: the zero point moved with them."""
    return spec(q.astype(np.int64) - zp, 0, x0, row) == spec(q, zp, x0, row)


def r7_divides_by_x(q, zp, x0, row):
    """y is a multiple of x, of at most 8 bits."""
    x, y = q.astype(np.int64) - zp, spec(q, zp, x0, row)
    return (y == x * np.clip(y // np.where(x == 0, 1, x), -128, 127)) & ((x != 0) | (y == 0))
