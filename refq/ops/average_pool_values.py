"""average_pool_values: the mean under a sliding window of the real numbers that codes stand for, in float32, and its code.

    total = sum in float32 of f32(s_in * (q - zin)) over the window's places in the image, n how many count
    y = clip(round(f32(f32(f32(total / n) / s_y) + zp)))

units    q counts s_in, y counts s_y, both float32; images are (n h w c)
R1       each code becomes a float32 number, rounded; places outside the image add nothing
R2       the numbers join one after the other, rows before columns, each sum rounded to float32; the first joins 0
R3       n is the number of places in the image, or of those in the image and its padding; both quotients are rounded
R4       the zero point joins in float32, rounded, before the rounding to an integer
R5       rounded ties to even, and clipped to the output width, never wrapped
error    half a unit of y, 2**-22 of the largest sum, and 2**-22 of the result
source   microsoft/onnxruntime onnxruntime/contrib_ops/cpu/quantization/qlinear_pool.cc, QLinearAveragePool
"""
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from refq.ints.floats import nearest, plus, product
from refq.ints.jit import jit
from refq.ints.operand import F32
from refq.ints.row import Row as Base
from refq.ints.row import choice, decided
from refq.ints.sites import unwatched
from refq.ints.slips import channels_shifted, dropped, negated, not_cleared, transposed
from refq.ints.width import I8, I40, Width, at_most
from refq.ints.window_slips import padding_swapped, strides_swapped
from refq.machine.pool import admit_pool, inside_padding, padded_places, pooled, seen, window_of


@dataclass(frozen=True)
class Row(Base):
    counts: str = choice("valid", "all")
    q: Width = decided(I8)
    out: Width = decided(I8)
    kernel: tuple = decided((2, 2))
    stride: tuple = decided((1, 1))
    padding: tuple = decided((0, 0, 0, 0))
    dilation: tuple = decided((1, 1))
    beyond: tuple = decided((0, 0))

    def __post_init__(self):
        super().__post_init__()
        admit_pool(self, "average_pool_values")
        at_most(16, "average_pool_values", self.q, self.out)

    @property
    def takes(self):
        scale = F32("", 2.0 ** -64, 2.0 ** 32)
        return {"q": self.q("n [h] [w] c"), "sin": scale, "zin": self.q(), "sy": scale, "zp": self.out()}

    @property
    def gives(self):
        return {"y": self.out("n oh ow c")}

    def sizes(self, found):
        return pooled(self, found, "average_pool_values")


def build(row, s_in, zin, s_y, zp):
    """The constants of a step: both scales, rounded to float32, and the zero points."""
    return {"sin": np.float32(s_in), "zin": zin, "sy": np.float32(s_y), "zp": zp}


def spec(q, sin, zin, sy, zp, row, at=unwatched):
    total, valid, sin, sy = np.float32(0), np.int64(0), np.float32(sin), np.float32(sy)
    for _i, _j, codes, inside in seen(row, q.astype(np.int64)):
        value = at("value", product(codes - zin, sin), F32)                                           # R1
        total = at("partial", np.where(inside[..., None], total + value, total), F32)                 # R2
        valid = valid + inside
    n = (valid if row.counts == "valid" else padded_places(row, *q.shape[1:3])).astype(np.float32)[:, :, None]      # R3
    code = at("code", at("mean", total / n, F32) / sy, F32)                                           # R3
    return at.clip("y", at.nearest("rounded", "half_even", at("joined", code + np.float32(zp), F32), I40), row.out)      # R4 R5


@cache
def kernel(row):
    whole, every, lo, hi = nearest("half_even", I40), row.counts == "all", row.out.lo, row.out.hi
    geometry = (*row.kernel, *row.stride, *row.dilation, *row.padding)

    @jit(nogil=True)
    def walk(q, sin, zin, sy, zp, geometry, y):
        kh, kw, sv, sx, dy, dx, top, left, bottom, right = geometry
        total = np.empty(q.shape[3], np.float32)
        for image, oy, ox in np.ndindex(y.shape[:3]):
            b, a, n = oy * sv - top, ox * sx - left, 0
            total[:] = 0
            for i in range(kh):
                if 0 <= b + i * dy < q.shape[1]:
                    for j in range(kw):
                        if 0 <= a + j * dx < q.shape[2]:
                            place, n = q[image, b + i * dy, a + j * dx], n + 1
                            for c in range(total.shape[0]):
                                total[c] = plus(total[c], product(np.int64(place[c]) - zin, sin))     # R1 R2
            if every:
                n = inside_padding(b, a, kh, kw, dy, dx, q.shape[1] + bottom, q.shape[2] + right)     # R3
            for c in range(total.shape[0]):
                code = np.float32(total[c] / np.float32(n)) / np.float32(sy)                          # R3
                y[image, oy, ox, c] = min(max(whole(plus(code, zp)), lo), hi)                         # R4 R5

    def average_pool_values(q, sin, zin, sy, zp, y):
        walk(q, np.float32(sin), zin, np.float32(sy), zp, geometry, y)

    return average_pool_values


def real(values, counted):
    """The mean of the real numbers of one window, of which so many places count."""
    return sum(values) / counted


def reach(operands, row, result, index):
    """What one element of the result is made of: (operands, row, index there): its window alone."""
    part, fields = window_of(operands["q"], row, index)
    return {**operands, "q": part}, replace(row, **fields), (0, 0, 0, 0)


slips = (dropped("zin"), negated("zin"), dropped("zp"), padding_swapped, strides_swapped, transposed("q"), transposed("y"),
         channels_shifted("y", 1), not_cleared("y", 1))


def r1_an_image_of_zero_points_gives_the_zero_point(q, sin, zin, sy, zp, row):
    return spec(np.full_like(q, zin), sin, zin, sy, zp, row) == zp


def r5_keeps_order(q, sin, zin, sy, zp, row):
    """A code that grows makes no result smaller."""
    grown = np.minimum(q.astype(np.int64) + 1, row.q.hi)
    return spec(grown, sin, zin, sy, zp, row) >= spec(q, sin, zin, sy, zp, row)
