"""conv_transpose2d: every place of an image throws a window of products onto a larger image, in an accumulator.

    acc[n, oy, ox, m] = bias + sum over iy, ix, d of (x[n, iy, ix, d] - zx) * (w[m, i, j, d] - zw)
    where   oy = iy*sy + i*dy - top,   ox = ix*sx + j*dx - left      for some i, j of the window

units    acc and bias count s_x*s_w; images are (n h w c), weights (m kh kw d) with d = c / groups
R1       the zero points are taken off before the product
R2       the result has (h-1)*sy + (kh-1)*dy + 1 - top - bottom rows, and columns likewise: `padding` (top, left, bottom,
         right) cuts off; a negative one adds places (ONNX: pads, the last two less output_padding; TOSA: -out_pad)
R3       channel m sees the d channels of its own group; all groups have as many
R4       the sum starts with the bias; a place that no window reaches is the bias
R5       the products join it in the order iy, ix, d, as the row says: exactly where it says nothing, and what does not
         fit is refused
error    exact while the accumulator is not left
source   TOSA 1.0 TRANSPOSE_CONV2D; ONNX ConvTranspose; tensorflow/tflite-micro reference/integer_ops/transpose_conv.h
"""
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from refq.ints.accumulate import Accumulate, combined
from refq.ints.operand import Operand
from refq.ints.row import Row as Base
from refq.ints.row import decided
from refq.ints.sites import unwatched
from refq.ints.slips import bias_dropped, channels_shifted, dropped, negated, not_cleared, transposed
from refq.ints.width import I8, I32, I64, Width
from refq.ints.window_slips import padding_swapped
from refq.machine.linear import admit, rule_of, weighted, weighted_registers
from refq.machine.spread import admit_spread, spread, thrown
from refq.machine.window import conv


@dataclass(frozen=True)
class Row(Base):
    x: Width = decided(I8)
    w: Width = decided(I8)
    acc: Width = decided(I32)
    accumulate: Accumulate | None = None
    stride: tuple = decided((1, 1))
    padding: tuple = decided((0, 0, 0, 0))
    dilation: tuple = decided((1, 1))
    groups: int = decided(1)

    def __post_init__(self):
        super().__post_init__()
        for name in ("stride", "padding", "dilation"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        admit_spread(self, "conv_transpose2d")
        admit(self, "conv_transpose2d")

    @property
    def takes(self):
        bias = Operand(I32 if self.acc.bits <= 32 else I64, "m", self.acc.lo, self.acc.hi)
        return {"x": self.x("n [h] [w] [c]"), "w": self.w("m [kh] [kw] [d]"), "bias": bias, "zx": self.x(),
                "zw": self.w("m")}

    @property
    def gives(self):
        return {"acc": self.acc("n oh ow m")}

    def sizes(self, found):
        return thrown(self, found, "conv_transpose2d")


build, registers = weighted, weighted_registers


def spec(x, w, bias, zx, zw, row, at=unwatched):
    x, w = x.astype(np.int64) - zx, w.astype(np.int64) - zw.astype(np.int64)[:, None, None, None]     # R1
    (m, kh, kw, d), (dy, dx), groups = w.shape, row.dilation, row.groups
    wide = spread(x, 0, row, kh, kw)                                                                  # R2
    n, oh, ow = len(x), wide.shape[1] - dy * (kh - 1), wide.shape[2] - dx * (kw - 1)
    wide, w = wide.reshape(*wide.shape[:3], groups, d), w.reshape(groups, m // groups, kh, kw, d)     # R3
    start = np.zeros((n, oh, ow, m), np.int64) + bias                                                 # R4

    def product(wide, w, k):
        i, j, c = k // d // kw, k // d % kw, k % d
        seen = wide[:, i * dy:i * dy + oh, j * dx:j * dx + ow, :, c]
        return (seen[..., None] * w[:, :, kh - 1 - i, kw - 1 - j, c]).reshape(start.shape)

    codes = wide + zx, w + zw.astype(np.int64).reshape(groups, m // groups, 1, 1, 1)
    return combined(partial(product, wide, w), partial(product, *codes), kh * kw * d, rule_of(row), start, at)     # R5


@cache
def kernel(row):
    inside = conv(row.x, row.w, rule_of(row), (1, 1), (0, 0, 0, 0), row.dilation, row.groups)      # R1 R3 R4 R5

    def conv_transpose2d(x, w, bias, zx, zw, acc):
        wide = spread(x, zx, row, *w.shape[1:3])                                                      # R2
        inside(wide, np.ascontiguousarray(w[:, ::-1, ::-1]), bias, zx, zw, acc)

    return conv_transpose2d


def real(x, w, bias, row):
    """The transposed convolution of real images (n h w c) with filters (m kh kw d); acc is it in units of s_x*s_w."""
    (sy, sx), (dy, dx), (m, kh, kw, _), (n, h, width, _) = row.stride, row.dilation, w.shape, x.shape
    parts = [np.einsum("nyxd,mijd->nyxijm", seen, filters)
             for seen, filters in zip(np.split(x, row.groups, axis=3), np.split(w, row.groups))]
    each, (top, left, bottom, right) = np.concatenate(parts, axis=5), np.maximum(row.padding, 0)
    more = [max(0, -p) for p in row.padding]
    tall, broad = (h - 1) * sy + (kh - 1) * dy + 1 + more[0], (width - 1) * sx + (kw - 1) * dx + 1 + more[1]
    whole = np.zeros((n, tall + more[2], broad + more[3], m))
    for iy, ix, i, j in np.ndindex(h, width, kh, kw):
        whole[:, more[0] + iy * sy + i * dy, more[1] + ix * sx + j * dx] += each[:, iy, ix, i, j]
    return whole[:, top:tall + more[2] - bottom, left:broad + more[3] - right] + bias


def reach(operands, row, result, index):
    """What one element of the result is made of: (operands, row, index there): its image, one filter, its group."""
    x, w = operands["x"], operands["w"]
    n, oy, ox, f = index
    d = w.shape[3]
    group = f // (len(w) // row.groups) * d
    part = {k: v if k in ("x", "zx") else v[f:f + 1] for k, v in operands.items()}
    return {**part, "x": np.ascontiguousarray(x[n:n + 1, :, :, group:group + d])}, replace(row, groups=1), (0, oy, ox, 0)


def kernel_mirrored(run, operands, row):
    """A convolution of the spread image, whose window is not turned."""
    return run({**operands, "w": np.ascontiguousarray(operands["w"][:, ::-1, ::-1])})


def gaps_are_codes(run, operands, row):
    """Between the places of the image lies the code 0 instead of its zero point."""
    h, w = operands["x"].shape[1:3]
    spaced = spread(operands["x"], 0, replace(row, padding=(0, 0, 0, 0)), 1, 1)
    return run({**operands, "x": spaced}, row=replace(row, stride=(1, 1))) if h * w > 1 else run(operands)


slips = (bias_dropped, negated("zx"), dropped("zw"), gaps_are_codes, padding_swapped, kernel_mirrored, transposed("w"),
         transposed("acc"), channels_shifted("bias", 1), channels_shifted("acc", 1), not_cleared("acc", 1))


def r1_zero_points_shift_the_codes(x, w, bias, zx, zw, row):
    moved = w.astype(np.int64) - zw.astype(np.int64)[:, None, None, None]
    return spec(x.astype(np.int64) - zx, moved, bias, 0, 0 * zw, row) == spec(x, w, bias, zx, zw, row)


def r2_padding_cuts(x, w, bias, zx, zw, row):
    """What padding cuts off is cut off what there is without it."""
    (top, left), kept = row.padding[:2], spec(x, w, bias, zx, zw, row)
    whole = spec(x, w, bias, zx, zw, replace(row, padding=tuple(min(p, 0) for p in row.padding)))
    return whole[:, max(top, 0):, max(left, 0):][:, :kept.shape[1], :kept.shape[2]] == kept


def r4_an_image_of_zero_points_gives_the_bias(x, w, bias, zx, zw, row):
    return spec(np.full_like(x, zx), w, bias, zx, zw, row) == bias
