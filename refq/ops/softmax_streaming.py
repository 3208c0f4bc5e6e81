"""softmax_streaming: softmax of a row that is summed tile by tile, by shifts only, while its largest code is still being found.

    a tile:  M' = max(M, codes of the tile),  S' = (S >> steps(M' - M)) + sum of 2**8 >> steps(M' - q)
    then     y = lowest + ((peak * 2**8 // S) >> steps(M - q)),  steps(d) = round(d * mult / 2**shift), at most 31

units    q counts s; steps count halvings, and mult / 2**shift is s * log2(e): 2**-5 as published; S counts 2**-8 of the largest
         exponential; y counts 1 / peak from its lowest code
R1       the largest code so far is taken off, so a zero point plays no part; tiles are read from the first code on, the last
         one may be short
R2       halvings are rounded, ties as the row says; behind 31 of them nothing is left
R3       where a tile has a larger code, what was summed is shifted down by the halvings in between, and what falls off is lost:
         so other tiles, or another order of codes, give other bits
R4       a tile's powers join exactly; S has the register `acc`, which holds a whole row
R5       one division a row, floored, and one shift an element
error    p / 2**(1 + g/2) - 1/peak <= (y - lowest) / peak <= sqrt(2) * e**((q - M) * s), where p is softmax, and g tiles after the
         first have a larger code than all before
source   Islamoglu et al. 2023 (ITA, arXiv 2307.03493); pulp-platform/ITA src/ita_softmax.sv and PyITA/softmax.py (peak 255, u8,
         19 bits for S); pulp-platform/Deeploy TargetLibraries/Generic/src/Softmax_s8.c, ITAPartialMax_s8 (peak 127, i8), which
         leaves what is behind the last whole tile out of the sum; scales other than log(2) / 2**k are our reading
"""
from dataclasses import dataclass
from functools import cache
from math import e, log2

import numpy as np

from refq.errors import IllFormed
from refq.ints import halvings, rounding, shares
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, not_shifted, row_tail_lost, row_tile_leaks
from refq.ints.width import I8, I16, I64, U8, Width, at_most

ONE, MOST = 1 << 8, 31
"""The largest exponential; the most halvings."""


@dataclass(frozen=True)
class Row(Base):
    tile: int = choice(16, 1, 8, 64)
    ties: str = choice("half_up", *rounding.names)
    peak: int = choice(255, 127)
    acc: Width = Width(19, False)
    q: Width = decided(I8)
    out: Width = U8

    def __post_init__(self):
        super().__post_init__()
        at_most(16, "softmax_streaming", self.q)
        at_most(32, "softmax_streaming", self.acc)
        if self.out.bits != 8:
            raise IllFormed(f"softmax_streaming: y of {self.out}; a share of 1 is {self.peak} codes: give it 8 bits")

    @property
    def takes(self):
        return {"q": self.q("n [c]"), "mult": I16("", 0), "shift": I8("", 0, 31)}

    @property
    def gives(self):
        return {"y": self.out("n c")}

    def sizes(self, found):
        return shares.held(found, self.acc, ONE, "softmax_streaming")


def build(row, scale, zero):
    """The constants of a step: `scale` of q (float64); `zero`, its zero point, plays no part. log(2) / 2**k is a shift by k.
    Raises IllFormed for scales that are no number of halvings of 15 bits."""
    return halvings.multiplier(scale * log2(e), 31, "softmax_streaming")


fitting, real, zero = halvings.fitting, shares.real, shares.lowest


def holds(row, scale, count):
    """Does the sum of a row of `count` codes fit its register?"""
    return count * ONE <= row.acc.hi


def result(row, scale):
    """The scale of y."""
    return 1.0 / row.peak


def bound(row, scale, count):
    """The largest error of y: of codes alike whose tiles lost their sum, or of shares that were halved for each tile."""
    tiles = -(-count // row.tile)
    return max(1 - 0.5 ** 0.5 / count, 1 - 2.0 ** -(1 + (tiles - 1) / 2)) + 1 / row.peak


def registers(row, ends, sizes, constants):
    """The sum of a row, and the product that becomes halvings."""
    yield "total", row.acc, 0, sizes["c"] * ONE
    yield "wide", I64, 0, (row.q.hi - row.q.lo) * int(constants["mult"])


def spec(q, mult, shift, row, at=unwatched):
    def steps(name, d):
        exact = rounding.word(row.ties)(at("wide", d * mult, I64), shift)                          # R2
        return at(name, np.minimum(exact, MOST), Width(5, False))                                  # R2

    q = q.astype(np.int64)
    largest, total = np.full((len(q), 1), row.q.lo), np.zeros((len(q), 1), np.int64)
    for first in range(0, q.shape[1], row.tile):
        part = q[:, first:first + row.tile]
        before, largest = largest, np.maximum(largest, part.max(axis=1, keepdims=True))            # R1
        kept = at.shift("kept", "floor", total, steps("moved", largest - before), row.acc)         # R3
        total = at("total", kept + (ONE >> steps("part", largest - part)).sum(axis=1, keepdims=True), row.acc)  # R4
    inverse = at.divide("inverse", "floor", row.peak * ONE, total, U8)                             # R5
    return at.shift("share", "floor", inverse, steps("halvings", largest - q), U8) + row.out.lo    # R2 R5


@cache
def kernel(row):
    steps, tile, lo, lowest, top = halvings.steps(row.ties, MOST), row.tile, row.q.lo, row.out.lo, row.peak * ONE

    @jit(nogil=True, error_model="numpy")
    def softmax_streaming(q, mult, shift, y):
        for r in range(q.shape[0]):
            largest, total = np.int64(lo), np.int64(0)
            for first in range(0, q.shape[1], tile):
                part = q[r, first:min(first + tile, q.shape[1])]
                before, largest = largest, max(largest, np.int64(part.max()))                      # R1
                total >>= steps(largest - before, mult, shift)                                     # R2 R3
                for c in range(part.size):
                    total += ONE >> steps(largest - part[c], mult, shift)                          # R2 R4
            inverse = top // total                                                                 # R5
            for c in range(q.shape[1]):
                y[r, c] = (inverse >> steps(largest - q[r, c], mult, shift)) + lowest              # R2 R5

    return softmax_streaming


slips = (not_shifted("kept"), channels_shifted("q", 1), row_tail_lost("c", 4), row_tile_leaks("c", 4))
r1_zero_point_plays_no_part = shares.zero_point_plays_no_part(spec)


def r3_largest_first_is_one_tile(q, mult, shift, row):
    """A row whose largest code is its first is never shifted: tiles of any length give what one tile gives."""
    q = -np.sort(-q.astype(np.int64), axis=1)
    steps = np.minimum(rounding.word(row.ties)((q[:, :1] - q) * mult, np.int64(shift)), MOST)
    whole = row.peak * ONE // (ONE >> steps).sum(axis=1, keepdims=True)
    return spec(q, mult, shift, row) == (whole >> steps) + row.out.lo


def r5_keeps_order(q, mult, shift, row):
    """Larger codes never have smaller shares, in whatever tile."""
    return shares.rising(q, spec(q, mult, shift, row))
