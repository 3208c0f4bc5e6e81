"""recode: codes of one grid onto another of any kind, by the codes at which the result changes.

    y = codes[number of thresholds that are at most q]

units    q and y count as their grids say; a threshold is a code of q
R1       a code that is a threshold lies behind it
R2       codes holds the result of each run between two thresholds, in the order of q
R3       a threshold is where the real of a code leaves what the other grid rounds to the code before: decided exactly, by that
         grid's own switch, or ties as the row says where it rounds
error    what the other grid's rounding says: for an affine one at most half of its unit while it does not saturate
source   thresholds as in Rusci et al. 2019 (CMix-NN), and comparators before a priority encoder; stated here
"""
from dataclasses import dataclass
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, last_tile_lost
from refq.ints.width import I8, U4, Width, at_most


@dataclass(frozen=True)
class Row(Base):
    ties: str = choice("half_even", *rounding.names, acts="build")
    q: Width = decided(I8)
    out: Width = decided(U4)

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "recode", self.q, self.out)

    @property
    def takes(self):
        return {"q": self.q("n"), "turns": self.q("i"), "codes": self.out("j")}

    @property
    def gives(self):
        return {"y": self.out("n")}

    def sizes(self, found):
        if found["j"] != found["i"] + 1:
            raise IllFormed(f"recode: {found['i']} thresholds and {found['j']} codes; there is one code more")
        return {}


def build(row, source, target):
    """The thresholds and codes between two grids per tensor, of any kind."""
    q = np.arange(source.lo, source.hi + 1)
    y = target.encode(source.decode(q), row.ties).astype(np.int64)
    turns = np.flatnonzero(np.diff(y)) + 1
    return {"turns": q[turns], "codes": y[[0, *turns]]}


def spec(q, turns, codes, row, at=unwatched):
    behind = np.searchsorted(np.sort(turns.astype(np.int64)), q.astype(np.int64), "right")                    # R1
    return at("y", codes.astype(np.int64)[behind], row.out)                                                   # R2 R3


@cache
def kernel(row):
    lo, count = row.q.lo, 1 << row.q.bits

    @jit(nogil=True)
    def recode(q, turns, codes, y):
        if q.size > count:
            here = np.zeros(count, np.int64)
            for i in range(turns.size):
                here[np.int64(turns[i]) - lo] += 1
            made, behind = np.empty(count, y.dtype), 0
            for c in range(count):
                behind += here[c]
                made[c] = codes[behind]                                                                       # R1 R2
            for n in range(q.size):
                y[n] = made[np.int64(q[n]) - lo]
            return
        for n in range(q.size):
            behind = 0
            for i in range(turns.size):
                behind += np.int64(q[n]) >= np.int64(turns[i])                                                    # R1
            y[n] = codes[behind]                                                                              # R2 R3

    return recode


def threshold_passed_late(run, operands, row):
    """A code that is a threshold is taken for one before it."""
    turns = operands["turns"]
    return run({**operands, "turns": np.minimum(turns.astype(np.int64) + 1, row.q.hi).astype(turns.dtype)})


slips = (threshold_passed_late, channels_shifted("codes", 1), channels_shifted("q", 1), last_tile_lost("y", 16))


def r1_counts_thresholds(q, turns, codes, row):
    """One comparison after the other gives the same."""
    behind = sum((q.astype(np.int64) >= int(c) for c in turns), np.zeros(q.shape, np.int64))
    return spec(q, turns, codes, row) == codes[behind]


def r2_rising_codes_keep_order(q, turns, codes, row):
    """Where the codes rise from run to run, larger codes never give smaller ones."""
    y = spec(np.sort(q), turns, np.sort(codes), row)
    return np.diff(y) >= 0
