"""average_pool: the mean of the codes under a window that slides over an image, in integers.

    y = clip(zp + round(acc / n))                   acc = sum of q over the window's places, n how many count
    y = clip(zp + round(acc * mult[n] / 2**shift[n]))

units    q counts s_in, y counts s_y; mult[n] / 2**shift[n] is s_in / (s_y * n), and its place in the arrays is n - 1; without a
         multiplier, or with a reciprocal of n alone, both scales are one; images are (n h w c)
R1       the sum is exact, or joined as the row says (then it saturates to 32 bits); places outside the image add nothing to it
R2       the zero point is taken off every code, and joins again behind the rounding; or codes are averaged as they are
R3       n is the number of places in the image, or of those in the image and its padding
R4       rounded once, ties as the row says
R5       clipped to the output width, never wrapped
error    at most half a unit of y for nearest roundings beside the multiplier's own, while R5 is idle
source   tensorflow/tflite-micro reference/integer_ops/pooling.h (codes as they are, half away); TOSA 1.0 AVG_POOL2D
         (reciprocal30, half up); nxp-imx/ethos-u-vela ethosu/vela/scaling.py (reciprocal31); pytorch/QNNPACK src/q8avgpool
         (mantissa24, all, half away); Xilinx/Vitis-AI cpu_task/ops/pool-fix/pool-fix.cpp (coarse, half up)
"""
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import reciprocal, rounding, scales
from refq.ints.accumulate import Accumulate, admit_sum
from refq.ints.jit import jit
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, negated, not_cleared, transposed
from refq.ints.width import I8, I32, I64, Width, at_most
from refq.ints.window_slips import padding_swapped, strides_swapped
from refq.machine import pool


@dataclass(frozen=True)
class Row(Base):
    """`multiplier` "none" divides by n; the others multiply (a reciprocal of n, or of s_in / (s_y * n) by its form)."""

    multiplier: str = choice("none", *reciprocal.names, acts="build")
    ratio: str = choice("float64", *scales.names, acts="build")
    zero_point: str = choice("kept", "taken")
    counts: str = choice("valid", "all")
    ties: str = choice("half_away", *rounding.names)
    q: Width = decided(I8)
    out: Width = decided(I8)
    kernel: tuple = decided((2, 2))
    stride: tuple = decided((1, 1))
    padding: tuple = decided((0, 0, 0, 0))
    dilation: tuple = decided((1, 1))
    beyond: tuple = decided((0, 0))
    accumulate: Accumulate | None = None

    def __post_init__(self):
        super().__post_init__()
        admit_sum("average_pool", self.accumulate)
        pool.admit_pool(self, "average_pool")
        at_most(16, "average_pool", self.q, self.out)

    @property
    def takes(self):
        pair = {} if self.multiplier == "none" else {"mult": I64("p", 0, (1 << 32) - 1), "shift": I8("p", 0, 62)}
        return {"q": self.q("n [h] [w] c"), "zin": self.q(), "zp": self.out(), **pair}

    @property
    def gives(self):
        return {"y": self.out("n oh ow c")}

    def sizes(self, found):
        return pool.one_for_each(self, found, "average_pool")


def build(row, s_in, zin, s_y, zp):
    """The constants of a step from the real scales and zero points of q and y. Raises IllFormed for two grids where the row
    only averages."""
    if row.zero_point == "kept" and zin != zp or row.multiplier == "none" and s_in != s_y:
        raise IllFormed(f"average_pool: from scale {s_in}, zero point {zin} to {s_y}, {zp}; this row averages on one grid: "
                        "rescale the result in a step of its own")
    if row.multiplier == "none":
        return {"zin": zin, "zp": zp}
    pairs = reciprocal.pairs(row.multiplier, row.ratio, s_in, s_y, *row.kernel)
    return {"zin": zin, "zp": zp, "mult": [m for m, _ in pairs], "shift": [s for _, s in pairs]}


def spec(q, zin, zp, mult=None, shift=None, *, row, at=unwatched):
    acc, valid = pool.window_totals(at, row, q.astype(np.int64), zin if row.zero_point == "taken" else 0)     # R1 R2
    n = (valid if row.counts == "valid" else pool.padded_places(row, *q.shape[1:3]))[:, :, None]           # R3
    if mult is None:
        scaled = at.divide("scaled", row.ties, acc, n, I32)                                           # R4
    else:
        factor, s = mult.astype(np.int64)[n - 1], shift.astype(np.int64)[n - 1]
        scaled = at.shift("scaled", row.ties, at("wide", acc * factor, I64), s, I64)                  # R4
    return at.clip("y", scaled + (zp if row.zero_point == "taken" else 0), row.out)                   # R2 R5


@cache
def kernel(row):
    divide, shifted = rounding.divide(row.ties), rounding.word(row.ties)
    taken, every, lo, hi = row.zero_point == "taken", row.counts == "all", row.out.lo, row.out.hi
    sums, late, padded = pool.joined_sums(row.accumulate), taken and row.accumulate is None, pool.inside_padding
    geometry = (*row.kernel, *row.stride, *row.dilation, *row.padding)

    @jit(nogil=True)
    def walk(q, zin, zp, mult, shift, geometry, y):
        kh, kw, sy, sx, dy, dx, top, left, bottom, right = geometry
        total = np.empty(q.shape[3], np.int64)
        for image, oy, ox in np.ndindex(y.shape[:3]):
            b, a = oy * sy - top, ox * sx - left
            valid = sums(q[image], b, a, kh, kw, dy, dx, total, zin if taken else 0)                  # R1 R2
            n = padded(b, a, kh, kw, dy, dx, q.shape[1] + bottom, q.shape[2] + right) if every else valid     # R3
            for c in range(q.shape[3]):
                acc = total[c] - valid * zin if late else total[c]                                    # R2
                if mult.size:
                    scaled = shifted(acc * mult[n - 1], np.int64(shift[n - 1]))                       # R4
                else:
                    scaled = divide(acc, n)                                                           # R4
                y[image, oy, ox, c] = min(max(scaled + zp if taken else scaled, lo), hi)              # R2 R5

    none = np.empty(0, np.int64), np.empty(0, np.int8)

    def average_pool(q, zin, zp, *rest):
        *pair, y = rest
        walk(q, zin, zp, *(pair or none), geometry, y)

    return average_pool


def real(q, row):
    """The mean of real images (n h w c) under each window, over the places that count; those outside the image are 0."""
    parts = [(np.where(inside[..., None], codes, 0.0), inside) for _i, _j, codes, inside in pool.seen(row, q)]
    valid = np.sum([inside for _, inside in parts], axis=0)
    n = valid if row.counts == "valid" else pool.padded_places(row, *q.shape[1:3])
    return np.sum([codes for codes, _ in parts], axis=0) / n[..., None]


def reach(operands, row, result, index):
    """What one element of the result is made of: (operands, row, index there): its window alone."""
    part, fields = pool.window_of(operands["q"], row, index)
    return {**operands, "q": part}, replace(row, **fields), (0, 0, 0, 0)


registers = pool.registers
slips = (dropped("zin"), negated("zin"), dropped("zp"), padding_swapped, strides_swapped, transposed("q"), transposed("y"),
         channels_shifted("y", 1), not_cleared("y", 1))


def r2_an_image_of_one_code_stays_it(q, zin, zp, *pair, row):
    """An image of zero points; and any, where codes are divided by how many there are."""
    if row.zero_point == "kept" and (pair or row.counts == "all"):
        return True
    return spec(np.full_like(q, zin), zin, zp, *pair, row=row) == row.out.clip(zp if row.zero_point == "taken" else zin)


def r5_keeps_order(q, zin, zp, *pair, row):
    """A code that grows makes no result smaller, where sums are exact."""
    if row.accumulate is not None:
        return True
    grown = np.minimum(q.astype(np.int64) + 1, row.q.hi)
    return spec(grown, zin, zp, *pair, row=row) >= spec(q, zin, zp, *pair, row=row)
