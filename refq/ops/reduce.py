"""reduce: plain integers along one axis made into one: no grids, no scales.

    y[n, c] = word of q[n, r, c] over r

units    integers; `word` is sum, product, max, min, any (or), all (and)
R1       r is walked from its first place to its last, one register for each result
R2       no places give 0, 1 and, of one bit, 0 and 1 for sum, product, any and all; max and min of none are refused
R3       what the register does not hold wraps, saturates, or is refused, after every step; only sums and products leave it;
         a sum whose row has an `accumulate` is joined as that says, and what it refuses a kernel is not given
error    exact while the register is not left
source   TOSA 1.0 REDUCE_SUM, REDUCE_PRODUCT, REDUCE_MAX, REDUCE_MIN, REDUCE_ANY, REDUCE_ALL; ONNX ReduceSum, ReduceMax, ...
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import elementwise as words
from refq.ints import spans
from refq.ints.accumulate import Accumulate, admit_sum, holder, holds, summed
from refq.ints.jit import jit
from refq.ints.operand import never_empty
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, not_cleared, tail_lost, transposed
from refq.ints.width import I32, Width, at_most
from refq.machine.sums import along_axis

STEPS = {"sum": ("add", 0), "product": ("mul", 1), "any": ("or", 0), "all": ("and", -1), "max": ("max", None),
         "min": ("min", None)}
"""Word to the elementwise one of each step, and what a register starts with; None: with the first place."""


@dataclass(frozen=True)
class Row(Base):
    word: str = decided("sum")
    overflow: str = choice("wrap", "saturate", "refuse")
    q: Width = decided(I32)
    y: Width = decided(I32)
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.word not in STEPS:
            raise IllFormed(f"reduce: a word {self.word!r}; there are {', '.join(STEPS)}")
        at_most(48, "reduce", self.q, self.y)
        admit_sum("reduce", self.accumulate, register=self.y)
        if self.accumulate is not None and self.word != "sum":
            raise IllFormed(f"reduce: an accumulate for the word {self.word}; only sums are joined in other ways")
        if self.word not in ("sum", "product") and self.y != self.q:
            raise IllFormed(f"reduce: a {self.word} of {self.q} in {self.y}; both are of one width")
        if self.word == "product" and sum(w.bits - w.signed for w in (self.q, self.y)) > 62:
            raise IllFormed(f"reduce: products of {self.q} in {self.y} leave 64 bits; both have at most 62 together, signs aside")

    @property
    def takes(self):
        return {"q": self.q("n [r] c")}

    @property
    def gives(self):
        return {"y": self.y("n c")}

    def sizes(self, found):
        return {} if STEPS[self.word][1] is not None else never_empty("r", found, "reduce")


def build(row):
    return {}


def registers(row, ends, sizes, constants):
    """Of a sum whose row has an `accumulate`; others wrap, saturate or refuse while they run, as the row says."""
    return () if row.accumulate is None else spans.summed(row.accumulate, "total", row.y, sizes["r"], ends["q"])


def spec(q, row, at=unwatched):
    if row.accumulate is not None:
        return summed(q.astype(np.int64), row.accumulate, at, "total")[:, 0]                       # R3
    (name, start), hold = STEPS[row.word], holds[row.overflow]
    join, q = words.word(name, row.y, "floor"), q.astype(np.int64)
    first = q[:, 0] if start is None else np.full((len(q), q.shape[2]), row.y.wrap(start))     # R2
    total = hold(at, "partial", first, row.y)
    for r in range(start is None, q.shape[1]):                                                 # R1
        total = hold(at, "partial", join(total, q[:, r]), row.y)                               # R3
    return at("y", total, row.y)


@cache
def kernel(row):
    if row.accumulate is not None:
        total = along_axis(row.accumulate)
        return lambda q, y: total(q, 0, y)                                                         # R3
    (name, start), hold = STEPS[row.word], holder(row.overflow, row.y)
    join, lo, hi = words.word(name, row.y, "floor"), row.y.lo, row.y.hi
    begin, neutral = int(start is None), row.y.wrap(start or 0)

    @jit(nogil=True)
    def walk(q, y):
        left = 0
        total = np.empty(q.shape[2], np.int64)
        for n in range(q.shape[0]):
            for c in range(q.shape[2]):
                raw = np.int64(q[n, 0, c]) if begin else neutral                               # R2
                left |= (raw < lo) | (raw > hi)
                total[c] = hold(raw)
            for r in range(begin, q.shape[1]):                                                 # R1
                for c in range(q.shape[2]):
                    raw = join(total[c], np.int64(q[n, r, c]))
                    left |= (raw < lo) | (raw > hi)
                    total[c] = hold(raw)                                                       # R3
            for c in range(q.shape[2]):
                y[n, c] = total[c]
        return left

    def reduce(q, y):
        if walk(q, y) and row.overflow == "refuse":
            raise IllFormed(f"reduce: a {row.word} leaves {row.y}, which this row refuses; take a wider result")

    return reduce


def real(q, word):
    """The same along axis 1 of real numbers (n r c)."""
    return {"sum": np.sum, "product": np.prod, "max": np.max, "min": np.min, "any": np.any, "all": np.all}[word](q, axis=1)


def axis_mixed(run, operands, row):
    """The axis that is walked and the channels change places in memory."""
    return transposed("q")(run, operands, row)


slips = (axis_mixed, channels_shifted("y", 1), tail_lost("r", 4), not_cleared("y", 1))


def r1_channels_do_not_meet(q, row):
    return spec(q[..., ::-1], row)[..., ::-1] == spec(q, row)


def r3_a_wrapping_register_has_no_order(q, row):
    return True if row.overflow != "wrap" or row.accumulate is not None else spec(q[:, ::-1], row) == spec(q, row)
