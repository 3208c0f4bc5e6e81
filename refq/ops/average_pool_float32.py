"""average_pool_float32: the mean of the codes under a sliding window, by one float32 multiplication of their sum.

    y = clip(zp + round(f32(f32(acc) * scale[n])))          acc = sum of q - zin over the window's places, n how many count

units    q counts s_in, y counts s_y; scale[n] is s_in / (s_y * n) rounded to float32, and its place in the array is n - 1; images
         are (n h w c)
R1       the zero point is taken off every code as an integer, or kept in it; places outside the image add nothing
R2       n is the number of places in the image, or of those in the image and its padding
R3       the sum is rounded to float32, exact below 2**24, and so is the product
R4       rounded to an integer, ties as the row says
R5       the zero point joins after the rounding; or inside it, in float32, rounded once more; or fused, product and sum rounded
         once together; channels that fill no block, as a vector loop leaves some, have it inside; one that was kept does not join
R6       clipped to the output width, never wrapped
error    at most half a unit of y and 2**-23 of the result beside the scale's own, while R6 is idle
source   ONNX Runtime core/mlas/lib/qlgavgpool.cpp (after); pytorch/pytorch aten/src/ATen/native/quantized/cpu/AveragePool2d.cpp
         (inside), AdaptiveAveragePooling.cpp (kept, by sides), kernels/QuantizedOpKernels.cpp (channels last: after, adaptive:
         fused; in blocks), qnnpack/src/q8avgpool (after, all)
"""
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np

from refq.errors import IllFormed
from refq.ints import rounding, scales
from refq.ints.floats import fused, nearest, plus, product
from refq.ints.jit import jit
from refq.ints.operand import F32
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, negated, not_cleared, transposed
from refq.ints.width import I8, I32, I40, Width, at_most
from refq.ints.window_slips import padding_swapped, strides_swapped
from refq.machine.pool import admit_pool, inside_padding, one_for_each, padded_places, seen, window_of, window_sums


@dataclass(frozen=True)
class Row(Base):
    """`ratio`: how a scale is made of s_in / (s_y * n), as refq/ints/scales.py says; by_sides: s_in / s_y divided by the height
    and then by the width of the window, each quotient rounded to float32, for every n."""

    ratio: str = choice("float32", *scales.names, "by_sides", acts="build")
    zero_point: str = choice("after", "inside", "fused", "kept")
    block: int = choice(1, 8, 16)
    counts: str = choice("valid", "all")
    ties: str = choice("half_even", *rounding.names)
    q: Width = decided(I8)
    out: Width = decided(I8)
    kernel: tuple = decided((2, 2))
    stride: tuple = decided((1, 1))
    padding: tuple = decided((0, 0, 0, 0))
    dilation: tuple = decided((1, 1))
    beyond: tuple = decided((0, 0))

    def __post_init__(self):
        super().__post_init__()
        admit_pool(self, "average_pool_float32")
        at_most(16, "average_pool_float32", self.q, self.out)

    @property
    def takes(self):
        return {"q": self.q("n [h] [w] c"), "zin": self.q(), "scale": F32("p", 0.0, 2.0 ** 64), "zp": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n oh ow c")}

    def sizes(self, found):
        return one_for_each(self, found, "average_pool_float32")


def build(row, s_in, zin, s_y, zp):
    """The constants of a step from the real scales and zero points of q and y."""
    if row.zero_point == "kept" and (s_in, zin) != (s_y, zp):
        raise IllFormed(f"average_pool_float32: from scale {s_in}, zero point {zin} to {s_y}, {zp}; this row averages on one "
                        "grid: rescale the result in a step of its own")
    (kh, kw), every = row.kernel, np.arange(1, row.kernel[0] * row.kernel[1] + 1)
    if row.ratio == "by_sides":
        scale = np.full(len(every), np.float32(s_in / s_y / kh) / np.float32(kw))
    else:
        scale = scales.ratio(row.ratio, (s_in,), s_y * every)
    return {"zin": zin, "scale": scale.astype(np.float32), "zp": zp}


def spec(q, zin, scale, zp, row, at=unwatched):
    kept, total, valid = row.zero_point == "kept", np.int64(0), np.int64(0)
    taken, joins = (0, 0) if kept else (zin, zp)
    for _i, _j, codes, inside in seen(row, q.astype(np.int64)):
        total = at("partial", total + np.where(inside[..., None], codes - taken, 0), I32)             # R1
        valid = valid + inside
    n = (valid if row.counts == "valid" else padded_places(row, *q.shape[1:3]))[:, :, None]           # R2
    acc, last = at("single", at("acc", total, I32).astype(np.float32), F32), np.float32(joins)
    value, whole = at("product", acc * scale[n - 1], F32), np.arange(q.shape[3]) < q.shape[3] // row.block * row.block     # R3
    inside = at("joined", value + last, F32)                                                          # R5
    if row.zero_point == "fused":
        inside = at("fused", np.where(whole, fused(acc, scale[n - 1], last), inside), F32)            # R3 R5
    after = whole & (row.zero_point == "after") | kept
    rounded = at.nearest("rounded", row.ties, np.where(after, value, inside), I40)                    # R4
    return at.clip("y", rounded + np.where(after, joins, 0), row.out)                              # R5 R6


@cache
def kernel(row):
    whole, every, lo, hi, block = nearest(row.ties, I40), row.counts == "all", row.out.lo, row.out.hi, row.block
    after, once, kept = (row.zero_point == word for word in ("after", "fused", "kept"))
    geometry = (*row.kernel, *row.stride, *row.dilation, *row.padding)

    @jit(nogil=True)
    def walk(q, zin, scale, zp, geometry, y):
        kh, kw, sy, sx, dy, dx, top, left, bottom, right = geometry
        total, edge = np.empty(q.shape[3], np.int64), q.shape[3] // block * block
        for image, oy, ox in np.ndindex(y.shape[:3]):
            b, a = oy * sy - top, ox * sx - left
            valid = window_sums(q[image], b, a, kh, kw, dy, dx, total)                                # R1
            n = inside_padding(b, a, kh, kw, dy, dx, q.shape[1] + bottom, q.shape[2] + right) if every else valid    # R2
            for c in range(q.shape[3]):
                acc = total[c] if kept else total[c] - valid * zin
                if kept:
                    rounded = whole(product(acc, scale[n - 1]))                                       # R3 R4
                elif after and c < edge:
                    rounded = whole(product(acc, scale[n - 1])) + zp                                  # R3 R4 R5
                elif once and c < edge:
                    rounded = whole(fused(np.float32(acc), scale[n - 1], np.float32(zp)))             # R3 R4 R5
                else:
                    rounded = whole(plus(product(acc, scale[n - 1]), zp))                             # R3 R4 R5
                y[image, oy, ox, c] = min(max(rounded, lo), hi)                                       # R6

    def average_pool_float32(q, zin, scale, zp, y):
        walk(q, zin, scale, zp, geometry, y)

    return average_pool_float32


def real(acc, scale, zp):
    """What one sum of codes less their zero point stands for, in units of y."""
    return zp + int(acc) * Fraction(float(scale))


def reach(operands, row, result, index):
    """What one element of the result is made of: (operands, row, index there): its window, and where its zero point joins."""
    part, fields = window_of(operands["q"], row, index)
    fills = index[3] < operands["q"].shape[3] // row.block * row.block
    joins = row.zero_point if fills or row.zero_point == "kept" else "inside"
    return {**operands, "q": part}, replace(row, **fields, block=1, zero_point=joins), (0, 0, 0, 0)


slips = (dropped("zin"), negated("zin"), dropped("zp"), padding_swapped, strides_swapped, transposed("q"), transposed("y"),
         channels_shifted("y", 1), not_cleared("y", 1))


def r1_an_image_of_zero_points_gives_the_zero_point(q, zin, scale, zp, row):
    return (spec(np.full_like(q, zin), zin, scale, zp, row) == zp) | (row.zero_point == "kept")


def r4_keeps_order(q, zin, scale, zp, row):
    """A code that grows makes no result smaller."""
    grown = np.minimum(q.astype(np.int64) + 1, row.q.hi)
    return spec(grown, zin, scale, zp, row) >= spec(q, zin, scale, zp, row)
