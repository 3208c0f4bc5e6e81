"""mean: the sum over one axis, from which a rescale makes the mean.

    acc = sum over r of (q - zq)

units    acc counts s_q; the division by the number of summands is part of the scale of the rescale that follows
R1       the zero point is taken off every code; so acc of a grid's zeros is 0
R2       summed over r, exactly or joined as the row says; the sum of no codes is 0
R3       the register wraps to the accumulator's width; a program whose sums could leave it is refused where the row says nothing
error    exact
source   tensorflow/lite/kernels/internal/reference/reduce.h, MEAN as sum and rescale
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.ints import spans
from refq.ints.accumulate import Accumulate, admit_sum, summed
from refq.ints.jit import jit
from refq.ints.registers import wrapping
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, negated, not_cleared, tail_lost, transposed
from refq.ints.width import I8, I32, Width
from refq.machine.sums import along_axis


@dataclass(frozen=True)
class Row(Base):
    q: Width = decided(I8)
    acc: Width = decided(I32)
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        admit_sum("mean", self.accumulate, register=self.acc)

    @property
    def takes(self):
        return {"q": self.q("n [r] c"), "zq": self.q()}

    @property
    def gives(self):
        return {"acc": self.acc("n c")}


def build(row, zq):
    """The constants of a step: the zero point of q."""
    return {"zq": zq}


def registers(row, ends, sizes, constants):
    yield from spans.summed(row.accumulate, "acc", row.acc, sizes["r"], spans.factor(ends["q"], int(constants["zq"])))


def spec(q, zq, row, at=unwatched):
    centred = q.astype(np.int64) - zq                                              # R1
    if row.accumulate is None:
        return at.wrap("acc", centred.sum(axis=1), row.acc)                        # R2 R3
    return summed(centred, row.accumulate, at, "acc")[:, 0]                        # R2 R3


@cache
def kernel(row):
    if row.accumulate is not None:
        return along_axis(row.accumulate)                                          # R1 R2 R3
    wrap = wrapping(row.acc)

    @jit(nogil=True)
    def mean(q, zq, acc):
        total = np.empty(q.shape[2], np.int64)
        for n in range(q.shape[0]):
            total[:] = 0
            for r in range(q.shape[1]):
                for c in range(q.shape[2]):
                    total[c] += np.int64(q[n, r, c]) - zq                          # R1 R2
            for c in range(q.shape[2]):
                acc[n, c] = wrap(total[c])                                         # R3

    return mean


def real(q):
    """The sum of real rows (n r c) over r; acc is it in units of s_q."""
    return q.sum(axis=1)


def axis_mixed(run, operands, row):
    """The summed axis and the channels change places in memory."""
    return transposed("q")(run, operands, row)


slips = (dropped("zq"), negated("zq"), axis_mixed, channels_shifted("acc", 1), not_cleared("acc", 1), tail_lost("r", 4))


def r1_zeros_give_zero(q, zq, row):
    return spec(np.full_like(q, zq), zq, row) == 0


def r2_order_is_free(q, zq, row):
    return row.accumulate is not None or spec(q[:, ::-1], zq, row) == spec(q, zq, row)


def r3_splits_anywhere(q, zq, row):
    if row.accumulate is not None:
        return True
    half = q.shape[1] // 2
    parts = spec(q[:, :half], zq, row) + spec(q[:, half:], zq, row)
    return row.acc.wrap(parts) == spec(q, zq, row)
