"""l2_norm: rows of 8-bit codes divided by their Euclidean norm, as TensorFlow Lite does it.

    y = clip(R((q - zq) * mult / 2**(24 + e))),  mult / 2**(31 + e) about 1 / sqrt(sum of (q - zq)**2)

units    q counts any scale; y counts 1/128, so 1 becomes 127/128
R1       the zero point is taken off; the sum of squares is a register of 32 bits, exact, or joined as the row says
R2       one over its root by five steps of Newton's from 1 (refq.ints.inverse_root); a sum below 2 counts as 1, one beyond the
         register is negative and does so too
R3       rounded as a rescale: raised by what e is short of 7, then twice, at bit 31 by `high` and then by `ties`, or once
R4       clipped to 8 bits with a sign, never wrapped
error    |y / 128 - real| <= 1/128 + 2**-18
source   tensorflow/tflite-micro tensorflow/lite/kernels/internal/reference/integer_ops/l2normalization.h
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints import multiplier, rounding, spans
from refq.ints.accumulate import Accumulate, admit_sum, summed, summing
from refq.ints.inverse_root import exponent
from refq.ints.inverse_root import multiplier as inverse
from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.registers import wrapping
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, negated, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I32, Width, at_most

WIDTH, DOWN = I8, 24
"""The width of y; and 31 bits of the multiplier less the 7 of 1/128."""


@dataclass(frozen=True)
class Row(Base):
    high: str = choice("half_up", "none", *rounding.names)
    ties: str = choice("half_away", *rounding.names)
    q: Width = decided(I8)
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        at_most(8, "l2_norm", self.q)
        admit_sum("l2_norm", self.accumulate)

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "zq": self.q()}

    @property
    def gives(self):
        return {"y": WIDTH("n c")}

    def sizes(self, found):
        return never_empty("c", found, "l2_norm")


def build(row, zero):
    """The constants of a step: the zero point of q."""
    return {"zq": zero}


def result(row):
    """The scale and the zero point of y."""
    return 2.0 ** -7, 0


def bound(row, scale, count):
    return 2.0 ** -7 + 2.0 ** -18


def registers(row, ends, sizes, constants):
    lo, hi = (int(np.max(np.abs(end))) for end in spans.factor(ends["q"], int(constants["zq"])))
    yield from spans.summed(row.accumulate, "total", I32, sizes["c"], (0, max(lo, hi) ** 2))


def spec(q, zq, row, at=unwatched):
    d = q.astype(np.int64) - zq                                                                    # R1
    total = at.wrap("total", summed(d * d, row.accumulate, at), I32)                               # R1
    mult, e = at("inverse", inverse(np.maximum(total, 0)), I32), exponent(np.maximum(total, 0))    # R2
    return at.clip("y", multiplier.scaled(at, d, mult, DOWN + e, row.high, row.ties, "wrap"), WIDTH)     # R3 R4


@cache
def kernel(row):
    scaled, sum_of, wrap = multiplier.scaler(row.high, row.ties, "wrap"), summing(row.accumulate), wrapping(I32)
    lo, hi = WIDTH.lo, WIDTH.hi

    @jit(nogil=True)
    def l2_norm(q, zq, y):
        squares = np.empty(q.shape[1], np.int64)
        for r in range(q.shape[0]):
            for c in range(q.shape[1]):
                d = np.int64(q[r, c]) - zq                                                         # R1
                squares[c] = d * d
            total = max(wrap(sum_of(squares)), 0)                                                  # R1
            mult, down = inverse(total), DOWN + exponent(total)                                    # R2
            for c in range(q.shape[1]):
                y[r, c] = min(max(scaled(np.int64(q[r, c]) - zq, mult, down), lo), hi)             # R3 R4

    return l2_norm


def real(q):
    """Rows (n c) of codes less their zero point over their norm; 0 where all are 0; float64."""
    norm = np.sqrt((q.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    return q / np.where(norm == 0, 1, norm)


slips = (dropped("zq"), negated("zq"), channels_shifted("y", 1), row_tail_lost("c", 4), row_tile_leaks("c", 4))


def r1_zeros_give_zero(q, zq, row):
    return spec(np.full_like(q, zq), zq, row) == 0


def r3_near_the_real_value(q, zq, row):
    d = q.astype(np.int64) - zq
    known = ((d * d).sum(axis=1, keepdims=True) <= I32.hi) & (row.accumulate is None)
    return (np.abs(spec(q, zq, row) / 128 - real(d)) <= bound(row, 1, q.shape[1])) | ~known


def r3_keeps_order(q, zq, row):
    """Larger codes of a row never have smaller results."""
    order = np.argsort(q, axis=1, kind="stable")
    return np.diff(np.take_along_axis(spec(q, zq, row), order, axis=1), axis=1) >= 0
